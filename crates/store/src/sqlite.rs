//! A store in one SQLite file.
//!
//! SQLite runs in write-ahead mode (WAL) with `synchronous=FULL`. Readers have connections of their
//! own and never wait for the writer: in WAL mode a reader sees the file as of the last commit
//! before it began.
//!
//! SQLite allows one write transaction at a time anyway, so more writing threads would only wait
//! for each other.

mod backup;
mod copy;
mod duplicates;
mod files;
mod migration;
pub(crate) mod schema;
mod trees;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use self::files::StoreFiles;
use self::schema::{BUSY_TIMEOUT, LOG_BYTES};
use crate::database::Connection;
use crate::database_store::DatabaseStore;
use crate::engine::Engine;
use crate::nodes::Cluster;
use crate::tree::Tree;
use crate::{StoreError, StoreLock, StoreOptions, StoreVersion};

/// A write-ahead log that is larger than this is cut after the commit. SQLite itself reuses the log
/// from its start, and only when no reader is in it at that moment.
const MAX_LOG_BYTES: u64 = 2 * LOG_BYTES as u64;

/// A store in one SQLite file. Dropping it finishes what was submitted.
pub type SqliteStore = DatabaseStore<SqliteFile>;

/// The file of a store.
pub struct SqliteFile {
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
        copy::refuse_unfinished(&connection, path)?;
        let connection = Connection::sqlite(connection);
        let files = Arc::new(StoreFiles::opened(path)?);
        Self::with_engine(SqliteFile { files }, connection, options)
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

    /// The version of the tables in a file. Changes nothing.
    ///
    /// # Errors
    /// If the file cannot be read, or is of another program or of a newer version.
    pub fn version(path: &Path) -> Result<StoreVersion, StoreError> {
        // As where it is opened: an empty file counts as new, and so does one without tables.
        let exists = std::fs::metadata(path).is_ok_and(|file| file.len() > 0);
        let found = if exists { schema::examine(path)? } else { 0 };
        Ok(StoreVersion {
            found: Some(i64::from(found)).filter(|found| *found > 0),
            newest: i64::from(schema::VERSION),
        })
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        self.engine().files.path()
    }

    /// Makes this process the one that changes the state, as [`Store::lock_exclusive`] does for a
    /// service, but without a reserve of disk space.
    ///
    /// [`Store::lock_exclusive`]: crate::Store::lock_exclusive
    ///
    /// # Errors
    /// If another process holds the lock.
    pub fn lock_state(&self) -> Result<StoreLock, StoreError> {
        self.engine().files.lock_without_reserve()
    }
}

impl Engine for SqliteFile {
    const IS_SHARED: bool = false;

    /// All: this is the only process that delivers.
    const LOST_CLAIMS: &str = "claimed <> 0";

    const MAX_READERS: usize = usize::MAX;

    fn open_reader(&self) -> Result<Connection, StoreError> {
        let connection = schema::open_reader(self.files.path())?;
        // Opened by its name, which may be another file's by now.
        self.files.check()?;
        Ok(Connection::sqlite(connection))
    }

    fn begin(&self, connection: &mut Connection) -> Result<(), StoreError> {
        // IMMEDIATE takes the write lock now. A deferred transaction would take it at its first
        // write and could fail there with "busy" after a job has read state.
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute(())?;
        Ok(())
    }

    fn commit(&self, connection: &mut Connection) -> Result<(), StoreError> {
        // As late as possible: a commit to a file that was deleted succeeds, and is gone at the
        // restart. Three `stat` calls for a group, which waits for a sync anyway.
        let log_bytes = self.files.check()?;
        connection.prepare_cached("COMMIT")?.execute(())?;
        if log_bytes > MAX_LOG_BYTES {
            truncate_log(connection);
        }
        Ok(())
    }

    fn is_undone(&self, connection: &Connection) -> bool {
        // After a full disk or an I/O error.
        connection
            .file()
            .is_ok_and(rusqlite::Connection::is_autocommit)
    }

    fn close(&self, connection: &Connection) {
        // Moves the write-ahead log into the file, so that a copy of the file alone is complete. An
        // open reader prevents that; then the log stays and is read at the next start.
        drop(connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)"));
    }

    fn locate(&self, error: StoreError) -> StoreError {
        error.at(self.files.path())
    }

    fn lock(self: &Arc<Self>) -> Result<StoreLock, StoreError> {
        self.files.lock_exclusive()
    }

    fn cluster(&self) -> Option<&dyn Cluster> {
        None
    }

    fn give_up_reserve(&self) -> bool {
        files::give_up_reserve(self.files.path())
    }

    fn keep_reserve(&self) {
        self.files.create_reserve();
    }

    fn probe(&self, connection: &Connection) -> Result<(), StoreError> {
        schema::probe(connection.file()?)
    }

    fn used_bytes(&self, connection: &Connection) -> Result<u64, StoreError> {
        let file = connection.file()?;
        let read = |pragma: &str| file.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        // Not the size of the file: that never shrinks, so pruning by it would never end.
        let pages = read("page_count")? - read("freelist_count")?;
        Ok((pages * read("page_size")?).unsigned_abs())
    }

    fn log_bytes(&self) -> Result<u64, StoreError> {
        self.files.check()
    }

    fn trees(&self, connection: &Connection) -> Result<Vec<Tree>, StoreError> {
        Ok(trees::trees(connection.file()?)?)
    }

    fn check_structure(&self) -> Result<(), StoreError> {
        schema::check_structure(self.files.path())
    }
}

/// Moves the write-ahead log into the file and cuts it, unless a reader still needs it: then the
/// next group tries again.
fn truncate_log(connection: &Connection) {
    let Ok(file) = connection.file() else { return };
    // Without waiting for readers, because every job would wait too.
    if file.busy_timeout(Duration::ZERO).is_ok() {
        // Fails only if the disk does, and then the next commit says so.
        drop(file.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
    }
    drop(file.busy_timeout(BUSY_TIMEOUT));
}
