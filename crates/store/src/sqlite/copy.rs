//! Copies of a file to and from other databases.

use std::path::Path;
use std::sync::Arc;

use super::files::StoreFiles;
use super::{SqliteStore, schema};
use crate::copy::{CopyDatabase, CopySource, CopyTable, CopyTarget, MARK_TABLE, TargetDatabase};
use crate::database::Connection;
use crate::{CopyError, StoreError, StoreLock, StoreOptions};

/// The table whose numbers are never given again: it is `AUTOINCREMENT`. The others go on behind
/// their last row.
const NUMBERED: &str = "incident";

/// A file that is copied, or copied to.
struct FileOfCopy {
    connection: Connection,
    files: Arc<StoreFiles>,
    // After the connection, see `StoreFiles`.
    _lock: StoreLock,
}

impl SqliteStore {
    /// Opens a store to copy it to another one, see [`copy_store`](crate::copy_store).
    ///
    /// # Errors
    /// If there is no store at the path, a process delivers from it, or it cannot be opened.
    pub fn copy_source(path: &Path) -> Result<CopySource, CopyError> {
        if !path.exists() {
            return Err(CopyError::Missing {
                store: path.display().to_string(),
            });
        }
        let file = FileOfCopy::open(path, &StoreOptions::default())?;
        refuse_unfinished(file.connection.file()?, path)?;
        // Until it is dropped, others do not write, and this reads one snapshot.
        file.connection.execute_batch("BEGIN IMMEDIATE")?;
        Ok(CopySource(Box::new(file)))
    }

    /// Opens or creates a store to copy another one to it, see [`copy_store`](crate::copy_store).
    ///
    /// # Errors
    /// If a process delivers from it, or it cannot be opened.
    pub fn copy_target(path: &Path, options: &StoreOptions) -> Result<CopyTarget, CopyError> {
        Ok(CopyTarget(Box::new(FileOfCopy::open(path, options)?)))
    }
}

impl FileOfCopy {
    fn open(path: &Path, options: &StoreOptions) -> Result<Self, StoreError> {
        let connection = Connection::sqlite(schema::open_writer(path, options)?);
        let files = Arc::new(StoreFiles::opened(path)?);
        let lock = files.lock_without_reserve()?;
        Ok(Self {
            connection,
            files,
            _lock: lock,
        })
    }
}

/// Refuses a copy that is not complete.
pub(super) fn refuse_unfinished(
    connection: &rusqlite::Connection,
    path: &Path,
) -> Result<(), StoreError> {
    if connection.table_exists(None, MARK_TABLE)? {
        return Err(StoreError::UnfinishedCopy {
            path: path.to_owned(),
        });
    }
    Ok(())
}

impl CopyDatabase for FileOfCopy {
    fn name(&self) -> String {
        self.files.path().display().to_string()
    }

    fn identity(&self) -> Result<String, StoreError> {
        let path = self.files.path();
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        Ok(format!("file:{}", path.display()))
    }

    fn connection(&self) -> &Connection {
        &self.connection
    }

    fn tables(&self) -> Result<Vec<CopyTable>, CopyError> {
        let sql = "SELECT t.name, c.name, c.type, NOT c.\"notnull\" AND NOT c.pk, c.pk
                   FROM pragma_table_list AS t, pragma_table_info(t.name) AS c
                   WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
                     AND t.name <> ?1
                   ORDER BY t.name, c.cid";
        let mut statement = self.connection.prepare_cached(sql)?;
        CopyTable::all(statement.query([MARK_TABLE])?)
    }

    fn last_number(&self, table: &str, column: &str) -> Result<Option<i64>, StoreError> {
        if table == "node" {
            return Ok(None);
        }
        let sql = if table == NUMBERED {
            "SELECT max(seq) FROM sqlite_sequence WHERE name = 'incident'".to_owned()
        } else {
            format!("SELECT max({column}) FROM {table}")
        };
        let mut statement = self.connection.prepare_cached(&sql)?;
        Ok(statement.query_row((), |row| row.get(0))?)
    }
}

impl TargetDatabase for FileOfCopy {
    fn begin(&mut self) -> Result<(), StoreError> {
        self.files.check()?;
        Ok(self.connection.execute_batch("BEGIN IMMEDIATE")?)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.files.check()?;
        Ok(self.connection.execute_batch("COMMIT")?)
    }

    fn has_mark(&self) -> Result<bool, StoreError> {
        let file = self.connection.file()?;
        Ok(file.table_exists(None, MARK_TABLE)?)
    }

    fn set_last_number(&self, table: &str, _column: &str, last: i64) -> Result<(), StoreError> {
        if table == NUMBERED {
            // Without a constraint that a conflict could name: it is a table of SQLite's own.
            self.connection
                .execute_batch("DELETE FROM sqlite_sequence WHERE name = 'incident'")?;
            let sql = "INSERT INTO sqlite_sequence (name, seq) VALUES ('incident', ?1)";
            self.connection.prepare_cached(sql)?.execute([last])?;
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), CopyError> {
        // The log into the file, so that a copy of the file alone is complete.
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        Ok(self.connection.execute_batch(sql)?)
    }
}
