//! Creating the tables, and the steps from each older version of them to the next.

use super::PostgresServer;
use crate::StoreError;
use crate::database::Connection;

/// The tables of [`VERSION`].
const SCHEMA: &str = include_str!("schema.sql");
/// The version of the tables. Not that of SQLite's: each has its own steps.
///
/// While nodes are replaced one after another, programs of this version and of the one before use the
/// same tables: a step adds what the newer one needs, and only a later one removes what the older one
/// needs ([`OLDEST`]).
pub(super) const VERSION: i64 = 1;
/// The oldest version whose programs can use tables of [`VERSION`].
const OLDEST: i64 = 1;

/// Brings the tables to the newest version, in the open transaction. Nodes do it one after
/// another.
pub(super) fn migrate(connection: &Connection, server: &PostgresServer) -> Result<(), StoreError> {
    if version(connection, server)?.is_none() {
        connection.execute_batch(SCHEMA)?;
        let sql = "INSERT INTO schema_version (version, oldest) VALUES (?1, ?2)";
        connection.prepare_cached(sql)?.execute((VERSION, OLDEST))?;
    }
    Ok(())
}

/// The version of the tables, which this program can use; `None` if there are none.
pub(super) fn version(
    connection: &Connection,
    server: &PostgresServer,
) -> Result<Option<i64>, StoreError> {
    if !has_table(connection, "schema_version")? {
        if has_table(connection, "archive")? {
            return Err(StoreError::Foreign {
                path: server.name().into(),
            });
        }
        return Ok(None);
    }
    let sql = "SELECT max(version), max(oldest) FROM schema_version";
    let (version, oldest): (i64, i64) = connection
        .prepare_cached(sql)?
        .query_row((), |row| Ok((row.get(0)?, row.get(1)?)))?;
    if oldest > VERSION {
        return Err(StoreError::TooNew {
            path: server.name().into(),
            version: i32::try_from(version).unwrap_or(i32::MAX),
            supported: i32::try_from(VERSION).unwrap_or(i32::MAX),
        });
    }
    Ok(Some(version))
}

/// Whether there is a table in the schema of the store.
pub(super) fn has_table(connection: &Connection, table: &str) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM pg_tables
               WHERE schemaname = current_schema() AND tablename = CAST(?1 AS TEXT)";
    Ok(connection.prepare_cached(sql)?.exists([table])?)
}
