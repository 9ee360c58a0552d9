//! A store that is copied to another place each time that it is opened again: a copy does what the
//! store would have done.

use std::cell::RefCell;
use std::path::PathBuf;

use reflexarc_store::{CopySource, CopyTarget, SqliteStore, Store, copy_store};

use super::{Backend, cases_or};
use crate::samples::OPTIONS;
#[cfg(feature = "cluster")]
use crate::server::Schema;

/// A store in turn in a file and, if there is a server, in a database.
pub(super) struct Copied {
    folder: tempfile::TempDir,
    /// Where it is now, and how often it was opened.
    now: RefCell<(Option<Place>, usize)>,
}

enum Place {
    File(PathBuf),
    #[cfg(feature = "cluster")]
    Server(Schema),
}

impl Copied {
    pub(super) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            now: RefCell::default(),
        }
    }

    fn place(&self, number: usize) -> Place {
        #[cfg(feature = "cluster")]
        if number % 2 == 1
            && let Some(schema) = Schema::new()
        {
            return Place::Server(schema);
        }
        Place::File(self.folder.path().join(format!("store-{number}.db")))
    }
}

impl Place {
    fn source(&self) -> CopySource {
        match self {
            Self::File(path) => SqliteStore::copy_source(path).unwrap(),
            #[cfg(feature = "cluster")]
            Self::Server(schema) => {
                reflexarc_store::PostgresStore::copy_source(&schema.url()).unwrap()
            }
        }
    }

    fn target(&self) -> CopyTarget {
        match self {
            Self::File(path) => SqliteStore::copy_target(path, &OPTIONS).unwrap(),
            #[cfg(feature = "cluster")]
            Self::Server(schema) => {
                reflexarc_store::PostgresStore::copy_target(&schema.url()).unwrap()
            }
        }
    }

    fn open(&self) -> Box<dyn Store> {
        match self {
            Self::File(path) => Box::new(SqliteStore::open(path, &OPTIONS).unwrap()),
            #[cfg(feature = "cluster")]
            Self::Server(schema) => Box::new(schema.connect().unwrap()),
        }
    }

    fn remove(self) {
        match self {
            Self::File(path) => std::fs::remove_file(path).unwrap(),
            #[cfg(feature = "cluster")]
            Self::Server(schema) => schema.run(&format!("DROP SCHEMA {} CASCADE", schema.name)),
        }
    }
}

impl Backend for Copied {
    fn open(&self) -> Box<dyn Store> {
        let mut now = self.now.borrow_mut();
        let (before, number) = &mut *now;
        let place = self.place(*number);
        *number += 1;
        if let Some(before) = before.take() {
            copy_store(before.source(), place.target(), &mut |_| ()).unwrap();
            before.remove();
        }
        let store = place.open();
        *before = Some(place);
        store
    }

    /// Fewer: every table is read several times.
    fn cases(&self, usual: u32) -> u32 {
        cases_or(usual.div_ceil(12))
    }
}
