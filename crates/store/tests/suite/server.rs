//! The PostgreSQL server of the tests.

use std::sync::atomic::{AtomicUsize, Ordering};

use reflexarc_store::{PostgresStore, StoreError};

use crate::samples::OPTIONS;

/// A schema of its own in the server that `REFLEXARC_POSTGRES` names.
pub(crate) struct Schema {
    /// The URL of the server.
    pub(crate) server: String,
    pub(crate) name: String,
}

impl Schema {
    /// A schema without tables. `None` without a server, unless there has to be one.
    pub(crate) fn new() -> Option<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let Ok(server) = std::env::var("REFLEXARC_POSTGRES") else {
            assert!(
                std::env::var("CI").is_err(),
                "REFLEXARC_POSTGRES names no server"
            );
            eprintln!("left out: REFLEXARC_POSTGRES names no server");
            return None;
        };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        let schema = Self { server, name };
        schema.run(&format!("CREATE SCHEMA {}", schema.name));
        Some(schema)
    }

    /// The URL of a store in it. Its sessions have the name of the schema.
    pub(crate) fn url(&self) -> String {
        self.url_of(&self.server)
    }

    /// The URL of a store in it, by way of another address of the server.
    pub(crate) fn url_of(&self, server: &str) -> String {
        let separator = if server.contains('?') { '&' } else { '?' };
        let name = &self.name;
        format!("{server}{separator}options=-csearch_path%3D{name}&application_name={name}")
    }

    pub(crate) fn connect(&self) -> Result<PostgresStore, StoreError> {
        PostgresStore::connect(&self.url(), &OPTIONS)
    }

    /// A session of its own, in the schema.
    pub(crate) fn client(&self) -> postgres::Client {
        let mut client = postgres::Client::connect(&self.server, postgres::NoTls).unwrap();
        let sql = format!("SET search_path = {}", self.name);
        client.batch_execute(&sql).unwrap();
        client
    }

    /// Runs statements.
    pub(crate) fn run(&self, sql: &str) {
        self.client().batch_execute(sql).unwrap();
    }

    /// The number that a query returns.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        self.client().query_one(sql, &[]).unwrap().get(0)
    }

    /// Ends the sessions of the stores.
    pub(crate) fn end_sessions(&self) {
        let name = &self.name;
        self.run(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE application_name = '{name}'"
        ));
    }
}
