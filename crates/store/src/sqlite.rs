//! A store in one SQLite file.
//!
//! SQLite runs in write-ahead mode (WAL) with `synchronous=FULL`. One thread writes; the jobs that
//! are waiting for it share a transaction and its sync (group commit), and each gets its reply
//! after the commit. Readers have connections of their own and never wait for the writer: in WAL
//! mode a reader sees the file as of the last commit before it began.
//!
//! SQLite allows one write transaction at a time anyway, so more writing threads would only wait
//! for each other.

mod accept;
mod answers;
mod archive;
mod archived_event;
mod attempts;
mod audit;
mod backup;
mod bulk;
mod calls;
mod changes;
mod check;
mod claim;
mod compression;
mod copies;
mod damage;
mod deadlines;
mod delays;
mod digests;
mod due_list;
mod duplicates;
mod entries;
mod entry_clock;
mod files;
mod filtered;
mod incident_messages;
mod incidents;
mod key;
mod listing;
mod match_list;
mod matches;
mod migration;
mod operations;
mod order;
mod outbox;
mod pages;
#[cfg(test)]
mod plans;
mod program_state;
mod records;
mod references;
mod removal;
mod resume;
mod retention;
mod schema;
mod silences;
mod state;
#[cfg(test)]
mod statements;
mod targets;
mod timeline;
mod trees;
mod withdrawn;
mod withheld;
mod write_clock;
mod writer;

use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use jiff::Timestamp;
use rusqlite::Connection;

pub(crate) use self::check::CheckPlace;
use self::entry_clock::EntryClock;
use self::files::StoreFiles;
use self::withdrawn::WithdrawnCalls;
use self::write_clock::WriteClock;
use crate::dead_letters::Observed;
use crate::{Pruned, StoreError, StoreOptions, Withholding};

/// A store in one SQLite file. Dropping it finishes what was submitted.
pub struct SqliteStore {
    /// The duplicate window in microseconds.
    duplicate_window: i64,
    writer: writer::Writer,
    clock: WriteClock,
    entry_clock: EntryClock,
    /// Events accepted since the last step of retention.
    accepted: Arc<AtomicUsize>,
    /// What retention has removed and not reported yet.
    pruned: Mutex<Pruned>,
    dead_letters: Observed,
    withdrawn_calls: WithdrawnCalls,
    timeline: timeline::SharedTimeline,
    /// What decides which deliveries are withheld, once there is something.
    withholding: Arc<RwLock<Option<Arc<dyn Withholding>>>>,
    /// Read-only connections that are not in use.
    // Grows to the largest number of readers at one time and stays there. Opening one costs a few
    // file operations and compiling its statements again, more than most queries.
    readers: Mutex<Vec<Connection>>,
    // The last field: it must outlive the connections.
    files: Arc<StoreFiles>,
}

impl SqliteStore {
    /// Opens the file or creates it. How long that takes does not depend on its size: it is not
    /// read as a whole, see [`Store::check`](crate::Store::check).
    ///
    /// # Errors
    /// If its first page is damaged or its end is missing, if it is of another program or of a
    /// newer version, or not writable; it is left as it was.
    pub fn open(path: &Path, options: &StoreOptions) -> Result<Self, StoreError> {
        let mut connection = schema::open_writer(path, options);
        // Opening writes, and pruning begins with opening.
        if matches!(connection, Err(StoreError::Full)) && files::give_up_reserve(path) {
            connection = schema::open_writer(path, options);
        }
        let connection = connection?;
        let files = Arc::new(StoreFiles::opened(path)?);
        // An absurdly long window from the configuration becomes the longest there is.
        let window = options.duplicate_window.as_micros();
        let entry_clock = EntryClock::new();
        let undone = entry_clock.clone();
        let withdrawn_calls = WithdrawnCalls::default();
        let committed = withdrawn_calls.clone();
        Ok(Self {
            duplicate_window: i64::try_from(window).unwrap_or(i64::MAX),
            writer: writer::Writer::start(
                connection,
                files.clone(),
                move || undone.forget(),
                move || committed.committed(),
            )?,
            clock: WriteClock::new(),
            entry_clock,
            accepted: Arc::default(),
            pruned: Mutex::default(),
            dead_letters: Observed::default(),
            withdrawn_calls,
            timeline: timeline::SharedTimeline::default(),
            withholding: Arc::default(),
            readers: Mutex::default(),
            files,
        })
    }

    /// Checks whether [`SqliteStore::open`] can open or create a store at this path, without
    /// changing anything and without reading an existing store as a whole.
    ///
    /// ```
    /// use reflexarc_store::SqliteStore;
    ///
    /// let folder = tempfile::tempdir()?;
    /// assert!(SqliteStore::check_location(&folder.path().join("reflexarc.db")).is_ok());
    /// assert!(SqliteStore::check_location(&folder.path().join("missing/reflexarc.db")).is_err());
    /// assert!(SqliteStore::check_location(folder.path()).is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub fn check_location(path: &Path) -> Result<(), StoreError> {
        schema::check_location(path)
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        self.files.path()
    }

    /// A read-only connection.
    fn open_reader(&self) -> Result<Connection, StoreError> {
        let connection = schema::open_reader(self.path())?;
        // Opened by its name, which may be another file's by now.
        self.files.check()?;
        Ok(connection)
    }

    /// Runs what removes something. If the disk is full, it gives up the reserve file and tries
    /// again: otherwise nothing could be removed from a full disk, because that is written to the
    /// write-ahead log first.
    fn free_space<T>(&self, remove: impl Fn() -> Result<T, StoreError>) -> Result<T, StoreError> {
        match remove() {
            Err(StoreError::Full) if files::give_up_reserve(self.path()) => remove(),
            result => result,
        }
    }

    /// Runs a query on a pooled connection.
    fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let pool = || self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let spare = pool().pop();
        let connection = spare.map_or_else(|| self.open_reader(), Ok)?;
        // A connection whose query failed is dropped, not returned: if the failure has to do with
        // the connection, the next caller gets a new one.
        let result = query(&connection).map_err(|error| error.at(self.path()))?;
        pool().push(connection);
        Ok(result)
    }
}

/// An instant as it is stored: whole microseconds since 1970.
fn micros(instant: Timestamp) -> i64 {
    instant.as_microsecond()
}

/// The inverse of [`micros`]; a value outside the calendar becomes its nearest end.
fn instant(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(if micros < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}
