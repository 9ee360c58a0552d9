//! `reflexarc store`: tables that are created and updated, and copies, also of killed processes.

use std::process::{Command, Stdio};
use std::time::Duration;

use reflexarc_event::Json;

#[cfg(feature = "cluster")]
use crate::database::Database;
use crate::service_process::{Workspace, event, eventually};
use crate::{Outcome, root};

const TARGETS: &str = "[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n";

fn workspace() -> Workspace {
    let workspace = Workspace::new("send(\"out\", 1);", TARGETS);
    workspace.write("copy.toml", "[store]\npath = \"copy.db\"\n");
    workspace
}

impl Outcome {
    /// Its output, if it has this exit code.
    fn exits(&self, code: i32) -> &str {
        let Self { stdout, stderr, .. } = self;
        assert_eq!(self.code, code, "{stdout}{stderr}");
        stdout
    }
}

/// Events in the archive of a store, of which no one reads the content.
fn fill(workspace: &Workspace, count: u32) {
    workspace.run(&["store", "migrate"]).exits(0);
    let file = rusqlite::Connection::open(workspace.path("reflexarc.db")).unwrap();
    file.execute_batch(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
         INSERT INTO archive (seq, source, id, kind, resource, received, size, body)
         SELECT i, 's', 'id-' || i, 'k', 'r', i, 300, randomblob(300) FROM n"
    ))
    .unwrap();
}

#[test]
fn tables_are_created_and_updated() {
    let workspace = workspace();
    let migrate = ["store", "migrate"];
    let check = ["store", "migrate", "--check"];
    let created = workspace.run(&check);
    assert!(
        created.exits(1).contains("has no tables"),
        "{}",
        created.stdout
    );
    assert!(!workspace.path("reflexarc.db").exists());
    let created = workspace.run(&migrate);
    let text = created.exits(0);
    assert!(
        text.starts_with("created the tables of reflexarc.db: version "),
        "{text}"
    );
    let newest = text.trim().rsplit(' ').next().unwrap().to_owned();
    for command in [&migrate[..], &check] {
        let current = workspace.run(command);
        let expected = format!("reflexarc.db is up to date: version {newest}\n");
        assert_eq!(current.exits(0), expected);
    }
    let old = root().join("tests/fixtures/0.1.0/reflexarc.db");
    std::fs::copy(old, workspace.path("reflexarc.db")).unwrap();
    let before = std::fs::read(workspace.path("reflexarc.db")).unwrap();
    let found = workspace.run(&check);
    let expected = format!(", and {newest} is current\n");
    assert!(found.exits(1).ends_with(&expected), "{}", found.stdout);
    assert_eq!(
        std::fs::read(workspace.path("reflexarc.db")).unwrap(),
        before
    );
    let updated = workspace.run(&migrate);
    let expected = format!(" to {newest}\n");
    let text = updated.exits(0);
    assert!(
        text.starts_with("updated reflexarc.db from version "),
        "{text}"
    );
    assert!(text.ends_with(&expected), "{text}");
    workspace.write(
        "reflexarc.db",
        "another program's file, which stays as it is",
    );
    for command in [&migrate[..], &check] {
        let foreign = workspace.run(command);
        foreign.exits(5);
        assert!(
            foreign.stderr.contains("is not a reflexarc store"),
            "{}",
            foreign.stderr
        );
    }
}

#[test]
fn a_store_is_copied_and_goes_on_there() {
    let workspace = workspace();
    let service = workspace.serve();
    for number in 1..4 {
        let event = event(&number.to_string(), "eni-1");
        assert_eq!(service.call("POST", "/events", &event).unwrap().0, 200);
    }
    eventually("delivered", || {
        (workspace.lines("out.ndjson").len() == 3).then_some(())
    });
    let copy = ["store", "copy", "copy.toml"];
    let refused = workspace.run(&copy);
    refused.exits(5);
    assert!(refused.stderr.contains("is in use"), "{}", refused.stderr);
    assert_eq!(service.terminate(), 0);
    let copied = workspace.run(&["store", "copy", "copy.toml", "--format", "json"]);
    let report = Json::parse(copied.exits(0)).unwrap();
    let tables = report.get("tables").unwrap().elements();
    let rows = |name: &str| {
        let is_it = |table: &&Json| table.get("table").and_then(Json::as_str) == Some(name);
        tables
            .iter()
            .find(is_it)
            .unwrap()
            .get("rows")
            .unwrap()
            .to_string()
    };
    assert_eq!(rows("delivery"), "3");
    assert_eq!(
        report.get("from").and_then(Json::as_str),
        Some("reflexarc.db")
    );
    assert_eq!(report.get("to").and_then(Json::as_str), Some("copy.db"));
    assert_eq!(report.get("resumed").unwrap().to_string(), "0");
    let again = workspace.run(&copy);
    again.exits(5);
    assert!(
        again.stderr.contains("copy.db is not empty"),
        "{}",
        again.stderr
    );
    let itself = workspace.run(&["store", "copy", "reflexarc.toml"]);
    itself.exits(2);
    assert!(
        itself.stderr.contains("both configurations"),
        "{}",
        itself.stderr
    );
    // The copy is the store from now on.
    std::fs::remove_file(workspace.path("reflexarc.db")).unwrap();
    std::fs::rename(workspace.path("copy.db"), workspace.path("reflexarc.db")).unwrap();
    let traced = workspace.run(&["trace", "2"]);
    assert!(traced.exits(0).contains("delivered"), "{}", traced.stdout);
    let service = workspace.serve();
    assert_eq!(
        service
            .call("POST", "/events", &event("3", "eni-1"))
            .unwrap()
            .0,
        200
    );
    assert_eq!(
        service
            .call("POST", "/events", &event("4", "eni-1"))
            .unwrap()
            .0,
        200
    );
    eventually("the new one", || {
        (workspace.lines("out.ndjson").len() == 4).then_some(())
    });
    assert_eq!(service.terminate(), 0);
}

/// Kills copies to this configuration until one has ended, and returns how often.
fn kill_copies(workspace: &Workspace, to: &str, copied: impl Fn() -> i64) -> u32 {
    let mut killed = 0;
    let mut before = 0;
    loop {
        let mut child = Command::new(env!("CARGO_BIN_EXE_reflexarc"))
            .args(["store", "copy", to])
            .current_dir(workspace.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Later each time, so that it goes on in whatever it does.
        let rows = before;
        let ended = eventually("rows or an end", || match child.try_wait().unwrap() {
            Some(status) => Some(Some(status)),
            None => (copied() > rows).then_some(None),
        });
        if let Some(status) = ended {
            assert!(status.success(), "{status}");
            return killed;
        }
        std::thread::sleep(Duration::from_millis(u64::from(killed) * 40));
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return killed;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        killed += 1;
        let now = copied();
        assert!(now >= before, "{now} after {before}");
        before = now;
        if killed > 6 {
            // Enough: the next one is left alone.
            before = i64::MAX;
        }
    }
}

#[test]
fn a_killed_copy_to_a_file_goes_on() {
    let workspace = workspace();
    fill(&workspace, 60_000);
    let copy = workspace.path("copy.db");
    let copied = || {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let file = rusqlite::Connection::open_with_flags(&copy, flags).ok();
        let count = file.and_then(|file| {
            let sql = "SELECT count(*) FROM archive";
            file.query_row(sql, (), |row| row.get(0)).ok()
        });
        count.unwrap_or(0)
    };
    let killed = kill_copies(&workspace, "copy.toml", copied);
    assert!(killed > 0);
    assert_eq!(copied(), 60_000);
    let compared = workspace.run(&["store", "copy", "copy.toml"]);
    assert!(
        compared.stderr.contains("is not empty"),
        "{}",
        compared.stderr
    );
    // A list without elements is a negative result.
    let listed = workspace.run(&["outbox", "list", "--config", "copy.toml"]);
    listed.exits(1);
}

#[cfg(feature = "cluster")]
#[test]
fn a_killed_copy_to_postgresql_goes_on() {
    let Some(database) = Database::new() else {
        return;
    };
    let workspace = workspace();
    fill(&workspace, 20_000);
    workspace.write("database-url", &database.url());
    workspace.write(
        "postgresql.toml",
        "[store]\nurl = { file = \"database-url\" }\n",
    );
    let exists = "SELECT count(*) FROM pg_tables
                  WHERE schemaname = current_schema() AND tablename = 'store_copy'";
    let copied = || match database.number(exists) {
        0 => 0,
        _ => database.number("SELECT count(*) FROM archive"),
    };
    let mut child = Command::new(env!("CARGO_BIN_EXE_reflexarc"))
        .args(["store", "copy", "postgresql.toml"])
        .current_dir(workspace.folder.path())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("rows", || (copied() > 2_000).then_some(()));
    child.kill().unwrap();
    child.wait().unwrap();
    // No service and no command takes it for a store.
    for (command, code) in [
        (&["outbox", "list"][..], 5),
        (&["config", "check"], 3),
        (&["store", "migrate"], 5),
    ] {
        let mut command = command.to_vec();
        command.extend(["--config", "postgresql.toml"]);
        let refused = workspace.run(&command);
        refused.expect(code);
        let expected = "is a copy that is not complete";
        assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    }
    // The server ends the session of the process that was killed a moment later.
    let resumed = eventually("a copy", || {
        let copied = workspace.run(&["store", "copy", "postgresql.toml", "--format", "json"]);
        (!copied.stderr.contains("another copy")).then_some(copied)
    });
    let report = Json::parse(resumed.expect(0)).unwrap();
    let resumed: i64 = report.get("resumed").unwrap().to_string().parse().unwrap();
    assert!((2_000..20_000).contains(&resumed), "{resumed}");
    assert_eq!(database.number("SELECT count(*) FROM archive"), 20_000);
    // And back.
    let back = workspace.run(&["store", "copy", "--config", "postgresql.toml", "copy.toml"]);
    let expected = "copied 20000 rows in ";
    assert!(back.expect(0).starts_with(expected), "{}", back.stdout);
    let files = ["reflexarc.db", "copy.db"].map(|name| {
        let file = rusqlite::Connection::open(workspace.path(name)).unwrap();
        let sql = "SELECT seq, id, body FROM archive ORDER BY seq";
        let mut statement = file.prepare(sql).unwrap();
        let rows = statement.query_map((), |row| {
            Ok::<(i64, String, Vec<u8>), _>((row.get(0)?, row.get(1)?, row.get(2)?))
        });
        rows.unwrap().map(Result::unwrap).collect::<Vec<_>>()
    });
    assert_eq!(files[0], files[1]);
}
