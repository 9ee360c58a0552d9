//! What can be said of a database without changing it.

use super::address::Address;
use super::{PostgresServer, PostgresStore, copy, migration};
use crate::database::Connection;
use crate::engine::Engine as _;
use crate::{StoreError, StoreVersion};

impl PostgresStore {
    /// What a database is called in messages: its URL without user and password.
    ///
    /// # Errors
    /// If the URL is invalid. The error does not quote it.
    pub fn name_of(url: &str) -> Result<String, StoreError> {
        Ok(Address::parse(url)?.name())
    }

    /// The version of the tables in a database. Changes nothing.
    ///
    /// # Errors
    /// If the database cannot be read, or its tables are those of another program or of a newer
    /// version.
    pub fn version(url: &str) -> Result<StoreVersion, StoreError> {
        let server = PostgresServer::new(url)?;
        let connection = server.open_first(PostgresServer::open_reader)?;
        Ok(StoreVersion {
            found: migration::version(&connection, &server)?,
            newest: migration::VERSION,
        })
    }

    /// Checks whether [`PostgresStore::connect`] can open or create a store, without changing
    /// anything.
    ///
    /// # Errors
    /// As [`PostgresStore::connect`].
    pub fn check_location(url: &str) -> Result<(), StoreError> {
        let server = PostgresServer::new(url)?;
        let connection = server.open_first(PostgresServer::open_reader)?;
        check_schema(&connection, &server)?;
        copy::refuse_unfinished(&connection, &server)?;
        let found = migration::version(&connection, &server)?;
        let (condition, reason) = match found {
            Some(version) if version >= migration::VERSION => (
                "SELECT has_table_privilege('archive', 'SELECT, INSERT, UPDATE, DELETE')",
                "the user may not write its tables",
            ),
            Some(_) => (
                "SELECT pg_has_role(tableowner, 'USAGE') FROM pg_tables
                 WHERE schemaname = current_schema() AND tablename = 'archive'",
                "its tables are of an older version, and the user may not change them",
            ),
            None => (
                "SELECT has_schema_privilege(current_schema(), 'CREATE')",
                "it has no tables, and the user may not create them",
            ),
        };
        require(&connection, &server, condition, reason)?;
        let condition = "SELECT NOT pg_is_in_recovery()";
        require(
            &connection,
            &server,
            condition,
            "it is a replica, which only reads",
        )
    }
}

/// Checks that there is a schema for the tables.
pub(super) fn check_schema(
    connection: &Connection,
    server: &PostgresServer,
) -> Result<(), StoreError> {
    let condition = "SELECT current_schema() IS NOT NULL";
    let reason = "none of the schemas in its search_path exists, or the user may not use them";
    require(connection, server, condition, reason)
}

/// Checks a condition, without which nothing can be stored.
fn require(
    connection: &Connection,
    server: &PostgresServer,
    condition: &str,
    reason: &str,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(condition)?;
    if statement.query_row((), |row| row.get(0))? {
        return Ok(());
    }
    Err(StoreError::NotWritable {
        path: Some(server.name().into()),
        reason: reason.to_owned(),
    })
}
