//! A database of its own in the PostgreSQL server of the tests.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Outcome;
use crate::service_process::Workspace;

/// A schema in the server that `REFLEXARC_POSTGRES` names. Dropped at the end.
pub(crate) struct Database {
    server: String,
    name: String,
}

impl Database {
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
        let name = format!("command_{}_{number}", std::process::id());
        let database = Self { server, name };
        database.run(&format!(
            "DROP SCHEMA IF EXISTS {0} CASCADE; CREATE SCHEMA {0}",
            database.name
        ));
        Some(database)
    }

    /// The URL of a store in it, with a password that must not be seen anywhere.
    pub(crate) fn url(&self) -> String {
        let separator = if self.server.contains('?') { '&' } else { '?' };
        let server = self.server.replace(":@", ":canary-password@");
        let name = &self.name;
        format!("{server}{separator}options=-csearch_path%3D{name}")
    }

    /// Writes the configuration of a workspace, with its store in this database.
    pub(crate) fn configure(&self, workspace: &Workspace) {
        workspace.write("database-url", &format!("{}\n", self.url()));
        let config = std::fs::read_to_string(workspace.path("reflexarc.toml")).unwrap();
        let store = "[store]\nurl = { file = \"database-url\" }\n";
        workspace.write("reflexarc.toml", &format!("{config}{store}"));
    }

    /// Runs statements.
    pub(crate) fn run(&self, sql: &str) {
        self.client().batch_execute(sql).unwrap();
    }

    /// The number that a query returns.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        self.client().query_one(sql, &[]).unwrap().get(0)
    }

    fn client(&self) -> postgres::Client {
        let mut client = postgres::Client::connect(&self.server, postgres::NoTls).unwrap();
        let sql = format!("SET search_path = {}", self.name);
        client.batch_execute(&sql).unwrap();
        client
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.run(&format!("DROP SCHEMA IF EXISTS {} CASCADE", self.name));
    }
}

impl Outcome {
    /// Its output, if it has the expected exit code and no password.
    pub(crate) fn expect(&self, code: i32) -> &str {
        let Self { stdout, stderr, .. } = self;
        assert_eq!(self.code, code, "{stdout}{stderr}");
        for text in [stdout, stderr] {
            assert!(!text.contains("canary-password"), "{text}");
        }
        stdout
    }
}
