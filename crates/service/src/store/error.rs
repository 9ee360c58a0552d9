//! What can go wrong with a store, told so that somebody can mend it.

use std::path::{Path, PathBuf};

/// Why the store did not do what it was asked; nothing of a failed job is kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No room.
    #[error(
        "the disk, or the store's own max_bytes, is full; nothing was stored: free some space or prune the archive"
    )]
    Full,
    /// The file or its folder cannot be written.
    #[error("cannot write the store{}: {what}; check owner, permissions and whether the file system is read-only",
            path.as_ref().map(|path| format!(" {}", path.display())).unwrap_or_default())]
    NotWritable {
        /// The file, where known.
        path: Option<PathBuf>,
        /// What the system said.
        what: String,
    },
    /// The file is damaged. It was not touched.
    #[error("the store {path} is damaged and was left as it is: {what}; restore a backup, or move the file away and \
             recover what can be read with `sqlite3 {path} .recover`", path = path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What the check found.
        what: String,
    },
    /// A database of some other program, or no database at all. It was not touched.
    #[error("{} is not a reflexarc store; it was left as it is", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Written by a newer version. It was not touched.
    #[error("the store {} has version {version}, this program knows versions up to {known}", path.display())]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: i32,
        /// What we know.
        known: i32,
    },
    /// Another process delivers out of it.
    #[error("the store {} is in use by another process that delivers out of it", path.display())]
    Owned {
        /// The file.
        path: PathBuf,
    },
    /// Another process writes and did not let us in for ten seconds.
    #[error("the store is locked by another process")]
    Busy,
    /// The writing thread is gone.
    #[error("the store is closed")]
    Closed,
    /// Anything else.
    #[error("the store failed: {0}")]
    Failed(String),
}

impl StoreError {
    /// The same, about this file where it is about one.
    pub(super) fn at(self, path: &Path) -> Self {
        match self {
            Self::NotWritable { what, .. } => Self::NotWritable {
                path: Some(path.to_owned()),
                what,
            },
            Self::Corrupt { what, .. } => Self::Corrupt {
                path: path.to_owned(),
                what,
            },
            Self::Foreign { .. } => Self::Foreign {
                path: path.to_owned(),
            },
            other => other,
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::NotWritable {
                    path: None,
                    what: error.to_string(),
                }
            }
            Some(ErrorCode::DatabaseCorrupt) => Self::Corrupt {
                path: PathBuf::new(),
                what: error.to_string(),
            },
            Some(ErrorCode::NotADatabase) => Self::Foreign {
                path: PathBuf::new(),
            },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            _ => Self::Failed(error.to_string()),
        }
    }
}
