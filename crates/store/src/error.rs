//! Errors of the store, with what an operator can do about them.

use std::path::{Path, PathBuf};

/// Why the store did not do what was requested. Nothing of a failed job is stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No space is left.
    #[error(
        "the disk, or the store's own max_bytes, is full; nothing was stored: free some space or \
         prune the archive"
    )]
    Full,
    /// The file or its folder cannot be written.
    #[error(
        "cannot write the store{}: {reason}; check owner, permissions and whether the file system \
         is read-only",
        path.as_ref().map(|path| format!(" {}", path.display())).unwrap_or_default()
    )]
    NotWritable {
        /// The file, if known.
        path: Option<PathBuf>,
        /// The error of the operating system.
        reason: String,
    },
    /// The file is damaged. It was not changed.
    #[error(
        "the store {path} is damaged and was left as it is: {reason}; restore a backup, or move \
         the file away and recover what can be read with `sqlite3 {path} .recover`",
        path = path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The result of the check.
        reason: String,
    },
    /// A database of another program, or not a database. It was not changed.
    #[error("{} is not a reflexarc store; it was left as it is", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Written by a newer version of reflexarc. It was not changed.
    #[error(
        "the store {} has schema version {version}, but this program supports versions up to \
         {supported}; use the newer program",
        path.display()
    )]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        version: i32,
        /// The newest schema version that this program supports.
        supported: i32,
    },
    /// A copy of another store that is not complete.
    #[error(
        "the store {} is a copy that is not complete; run `reflexarc store copy` again, which goes \
         on where it ended",
        path.display()
    )]
    UnfinishedCopy {
        /// The file or database.
        path: PathBuf,
    },
    /// There is a file where a new one was to be created.
    #[error("{} exists; it was left as it is", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file of the store was deleted or replaced while the store was open. Nothing was stored.
    #[error(
        "{path} was deleted or replaced while the store was open, so nothing is accepted or sent: \
         put it back, or restart to go on with what is there",
        path = path.display()
    )]
    Gone {
        /// The file.
        path: PathBuf,
    },
    /// Another process holds the store's lock.
    #[error("the store {} is in use: another process delivers from it", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The URL of a database is invalid.
    // Without the URL, which may have a password.
    #[error("invalid URL of the store: {reason}")]
    InvalidUrl {
        /// What is wrong with it.
        reason: String,
    },
    /// The first connection to a database failed.
    #[error(
        "cannot connect to the store {database}: {reason}; check the URL and whether the database \
         accepts connections"
    )]
    NotConnected {
        /// The database, without user and password.
        database: String,
        /// The error of the system or of the database.
        reason: String,
    },
    /// The database does not answer.
    #[error(
        "the database of the store does not answer: {reason}; nothing is lost: it is tried again"
    )]
    Unavailable {
        /// What happened.
        reason: String,
    },
    /// Another node sends to a target to which only one may send.
    #[error("another node sends to {target} now")]
    TakenOver {
        /// The target.
        target: String,
    },
    /// Another process held SQLite's write lock for ten seconds.
    #[error("the store is locked by another process")]
    Busy,
    /// The writer thread has ended.
    #[error("the store is closed")]
    Closed,
    /// Anything else.
    #[error("the store failed: {0}")]
    Failed(String),
}

impl StoreError {
    /// Adds the path to errors that carry one: SQLite's own errors do not name the file.
    pub(crate) fn at(self, path: &Path) -> Self {
        match self {
            Self::NotWritable { reason, .. } => Self::NotWritable {
                path: Some(path.to_owned()),
                reason,
            },
            Self::Corrupt { reason, .. } => Self::Corrupt {
                path: path.to_owned(),
                reason,
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
            // SQLITE_FULL also means that `max_bytes` is reached.
            Some(ErrorCode::DiskFull) => Self::Full,
            // No space for the shared memory beside the file.
            Some(ErrorCode::SystemIoFailure)
                if error.sqlite_error().is_some_and(|error| {
                    error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE
                }) =>
            {
                Self::Full
            }
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::NotWritable {
                    path: None,
                    reason: error.to_string(),
                }
            }
            Some(ErrorCode::DatabaseCorrupt) => Self::Corrupt {
                // The caller adds the path with `at`.
                path: PathBuf::new(),
                reason: error.to_string(),
            },
            Some(ErrorCode::NotADatabase) => Self::Foreign {
                path: PathBuf::new(),
            },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            // Constraint violations and wrong statements are bugs of ours, I/O errors are the
            // disk's; the text says which, and operators can do the same about all of them: look at
            // the log.
            _ => Self::Failed(error.to_string()),
        }
    }
}
