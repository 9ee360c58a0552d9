//! Copies of a database to and from other stores.

use super::{PostgresServer, PostgresStore, migration};
use crate::copy::{CopyDatabase, CopySource, CopyTable, CopyTarget, MARK_TABLE, TargetDatabase};
use crate::database::Connection;
use crate::engine::Engine as _;
use crate::{CopyError, StoreError};

/// Tables that are not copied: what is in them is about this database.
const OWN_TABLES: [&str; 4] = ["commit_mark", "node", "schema_version", "sender"];
/// Waits until no node writes, and lets none until the session ends: see `BEGIN` of `postgres.rs`.
const LOCK_WRITERS: &str = "SELECT pg_advisory_lock(hashtextextended(current_schema(), 1))";
/// How long that lock is waited for: nodes hold it for the milliseconds of a commit.
const LOCK_TIMEOUT: &str = "SET lock_timeout = '5s'";
/// Whether no other copy writes to this schema.
const LOCK_COPY: &str = "SELECT pg_try_advisory_lock(hashtextextended(current_schema(), 2))";

/// A database that is copied, or copied to.
struct DatabaseOfCopy {
    connection: Connection,
    // The last field: it must outlive the connection.
    server: PostgresServer,
}

impl PostgresStore {
    /// Opens a store to copy it to another one, see [`copy_store`](crate::copy_store).
    ///
    /// # Errors
    /// If there is no store, nodes use it, or it cannot be opened.
    pub fn copy_source(url: &str) -> Result<CopySource, CopyError> {
        if PostgresStore::version(url)?.found.is_none() {
            return Err(CopyError::Missing {
                store: PostgresStore::name_of(url)?,
            });
        }
        let (server, connection) = PostgresServer::open_migrated(url)?;
        refuse_unfinished(&connection, &server)?;
        refuse_nodes(&connection, &server)?;
        let connection = server.open_reader()?;
        connection.execute_batch(LOCK_WRITERS)?;
        // After the lock, so that the snapshot has what was committed before.
        connection.execute_batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        Ok(CopySource(Box::new(DatabaseOfCopy { connection, server })))
    }

    /// Opens or creates a store to copy another one to it, see [`copy_store`](crate::copy_store).
    ///
    /// # Errors
    /// If nodes use it, or it cannot be opened.
    pub fn copy_target(url: &str) -> Result<CopyTarget, CopyError> {
        refuse_locked(url)?;
        let (server, connection) = PostgresServer::open_migrated(url)?;
        refuse_nodes(&connection, &server)?;
        let mut statement = connection.prepare_cached(LOCK_COPY)?;
        let is_free: bool = statement.query_row((), |row| row.get(0))?;
        drop(statement);
        if !is_free {
            return Err(CopyError::InUse {
                store: server.name(),
                users: "another copy".to_owned(),
            });
        }
        Ok(CopyTarget(Box::new(DatabaseOfCopy { connection, server })))
    }
}

/// Refuses a database that is being copied, by this process too: waiting for it would not end.
fn refuse_locked(url: &str) -> Result<(), CopyError> {
    let server = PostgresServer::new(url)?;
    let connection = server.open_first(PostgresServer::open_reader)?;
    connection.execute_batch(LOCK_TIMEOUT)?;
    match connection
        .execute_batch(LOCK_WRITERS)
        .map_err(StoreError::from)
    {
        // It ends with the session.
        Ok(()) => Ok(()),
        Err(StoreError::Busy) => Err(CopyError::InUse {
            store: server.name(),
            users: "another program, or is the one that is copied".to_owned(),
        }),
        Err(error) => Err(error.into()),
    }
}

/// Refuses a copy that is not complete.
pub(super) fn refuse_unfinished(
    connection: &Connection,
    server: &PostgresServer,
) -> Result<(), StoreError> {
    if migration::has_table(connection, MARK_TABLE)? {
        return Err(StoreError::UnfinishedCopy {
            path: server.name().into(),
        });
    }
    Ok(())
}

/// Refuses a database that nodes use.
fn refuse_nodes(connection: &Connection, server: &PostgresServer) -> Result<(), CopyError> {
    if !migration::has_table(connection, "node")? {
        return Ok(());
    }
    let sql = "SELECT coalesce(string_agg(name, ', ' ORDER BY number), '') FROM node
               WHERE state = 0
                 AND seen > CAST(extract(epoch FROM clock_timestamp()) - 15 AS BIGINT) * 1000000";
    let mut statement = connection.prepare_cached(sql)?;
    let names: String = statement.query_row((), |row| row.get(0))?;
    if names.is_empty() {
        return Ok(());
    }
    Err(CopyError::InUse {
        store: server.name(),
        users: format!("the nodes {names}"),
    })
}

impl CopyDatabase for DatabaseOfCopy {
    fn name(&self) -> String {
        self.server.name()
    }

    fn identity(&self) -> Result<String, StoreError> {
        let sql = "SELECT concat_ws('/', 'postgresql:', system.system_identifier, d.oid,
                                    CAST(CAST(current_schema() AS regnamespace) AS oid))
                   FROM pg_control_system() AS system, pg_database AS d
                   WHERE d.datname = current_database()";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row((), |row| row.get(0))?)
    }

    fn connection(&self) -> &Connection {
        &self.connection
    }

    fn tables(&self) -> Result<Vec<CopyTable>, CopyError> {
        let sql = "SELECT CAST(c.relname AS TEXT), CAST(a.attname AS TEXT),
                          format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
                          CAST(coalesce(array_position(i.indkey, a.attnum) + 1, 0) AS BIGINT)
                   FROM pg_class AS c
                   JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
                        AND NOT a.attisdropped
                   LEFT JOIN pg_index AS i ON i.indrelid = c.oid AND i.indisprimary
                   WHERE c.relkind = 'r'
                     AND c.relnamespace = CAST(current_schema() AS regnamespace)
                   ORDER BY 1, a.attnum";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut tables = CopyTable::all(statement.query(())?)?;
        tables.retain(|table| {
            let name = &*table.name;
            name != MARK_TABLE && !OWN_TABLES.contains(&name)
        });
        Ok(tables)
    }

    fn last_number(&self, table: &str, column: &str) -> Result<Option<i64>, StoreError> {
        if !migration::has_table(&self.connection, table)? {
            return Ok(None);
        }
        let sql = "SELECT pg_sequence_last_value(CAST(pg_get_serial_sequence(?1, ?2) AS regclass))";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row([table, column], |row| row.get(0))?)
    }
}

impl TargetDatabase for DatabaseOfCopy {
    fn begin(&mut self) -> Result<(), StoreError> {
        // As nodes do, so that none writes between two batches of what it has read before.
        let sql = "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended(current_schema(), 1))";
        Ok(self.connection.execute_batch(sql)?)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        Ok(self.connection.execute_batch("COMMIT")?)
    }

    fn has_mark(&self) -> Result<bool, StoreError> {
        migration::has_table(&self.connection, MARK_TABLE)
    }

    fn set_last_number(&self, table: &str, column: &str, last: i64) -> Result<(), StoreError> {
        if !migration::has_table(&self.connection, table)? {
            return Ok(());
        }
        let sql = "SELECT setval(CAST(pg_get_serial_sequence(?1, ?2) AS regclass), ?3)";
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.query_row((table, column, last), |_| Ok(()))?;
        Ok(())
    }

    fn finish(&self) -> Result<(), CopyError> {
        // Queries are planned by what is known of the rows, and that is nothing yet.
        for table in self.tables()? {
            let sql = format!("ANALYZE {}", table.name);
            self.connection.execute_batch(&sql)?;
        }
        Ok(())
    }
}
