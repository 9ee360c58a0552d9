//! The service and the commands with their store in PostgreSQL.

use std::process::Command;

use reflexarc_event::Json;

use crate::database::Database;
use crate::service_process::{Workspace, event, eventually};

const THEN: &str = r#"send("out", #{ eni: event.content.eniId }); send("away", 1);"#;
/// Nothing listens on port 9.
const TARGETS: &str = "[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n\
                       [targets.away]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:9\"\n\
                       allow = [\"127.0.0.0/8\"]\n";

fn workspace(database: &Database) -> Workspace {
    let workspace = Workspace::new(THEN, TARGETS);
    database.configure(&workspace);
    workspace
}

fn json(text: &str) -> Json {
    Json::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_service_keeps_everything_in_postgresql() {
    let Some(database) = Database::new() else {
        return;
    };
    let workspace = workspace(&database);
    let outcome = workspace.run(&["outbox", "list"]);
    outcome.expect(5);
    let expected = "; the service creates it at its first start";
    assert!(outcome.stderr.contains("no store at postgresql://"));
    assert!(outcome.stderr.contains(expected), "{}", outcome.stderr);
    workspace.run(&["config", "check"]).expect(0);
    assert_eq!(
        database.number("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()"),
        0
    );

    let service = workspace.serve();
    assert_eq!(
        service
            .call("POST", "/events", &event("1", "eni-1"))
            .unwrap()
            .0,
        200
    );
    eventually("delivered", || {
        (workspace.lines("out.ndjson").len() == 1).then_some(())
    });
    let traced = workspace.run(&["trace", "1", "--format", "json"]);
    let traced = json(traced.expect(0));
    let deliveries = traced.elements()[0].get("deliveries").unwrap().elements();
    let statuses: Vec<_> = deliveries
        .iter()
        .map(|delivery| delivery.get("status").and_then(Json::as_str).unwrap())
        .collect();
    assert!(statuses.contains(&"delivered"), "{statuses:?}");
    assert!(statuses.contains(&"pending"), "{statuses:?}");
    let status = service.call("GET", "/status", "").unwrap();
    assert_eq!(status.0, 200);
    assert!(!status.1.contains("canary-password"), "{}", status.1);
    workspace.run(&["status"]);
    // What is kept is there after a restart, and copies are recognised.
    assert!(!service.log().contains("canary-password"));
    assert_eq!(service.terminate(), 0);

    let service = workspace.serve();
    assert_eq!(
        service
            .call("POST", "/events", &event("1", "eni-1"))
            .unwrap()
            .0,
        200
    );
    assert_eq!(
        service
            .call("POST", "/events", &event("2", "eni-2"))
            .unwrap()
            .0,
        200
    );
    eventually("the second", || {
        (workspace.lines("out.ndjson").len() == 2).then_some(())
    });
    assert_eq!(
        database.number("SELECT count(*) FROM archive WHERE entry = 0"),
        2
    );
    let listed = workspace.run(&["outbox", "list", "--format", "json"]);
    let pending = json(listed.expect(0));
    assert_eq!(pending.elements().len(), 2, "{}", listed.stdout);
    // Nothing of it is beside the configuration.
    let files = std::fs::read_dir(workspace.folder.path()).unwrap();
    let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let stores: Vec<_> = files.filter(|name| name.contains("reflexarc.db")).collect();
    assert!(stores.is_empty(), "{stores:?}");
    let id = pending.elements()[0]
        .get("id")
        .and_then(Json::as_str)
        .unwrap();
    workspace.run(&["outbox", "cancel", id]).expect(0);
    let audit = workspace.run(&["audit", "--format", "json"]);
    assert_eq!(
        json(audit.expect(0)).elements().len(),
        1,
        "{}",
        audit.stdout
    );
    assert_eq!(service.terminate(), 0);
    workspace.run(&["config", "check"]).expect(0);
}

#[test]
fn the_url_alone_is_looked_up_where_only_the_store_is_needed() {
    let Some(database) = Database::new() else {
        return;
    };
    // The secret of the target is not set where operators are.
    let targets = "[targets.out]\ntype = \"webhook\"\nurl = { env = \"UNSET_HOOK_URL\" }\n\
                   [store]\nurl = { env = \"TEST_DATABASE_URL\" }\n";
    let workspace = Workspace::new("send(\"out\", 1);", targets);
    let run = |url: Option<&str>, arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reflexarc"));
        command
            .args(arguments)
            .current_dir(workspace.folder.path())
            .env_remove("TEST_DATABASE_URL");
        if let Some(url) = url {
            command.env("TEST_DATABASE_URL", url);
        }
        let output = command.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!stderr.contains("canary-password"), "{stderr}");
        (output.status.code().unwrap(), stderr)
    };
    let (code, stderr) = run(None, &["outbox", "list"]);
    assert_eq!(code, 3, "{stderr}");
    assert!(
        stderr.contains("the environment variable TEST_DATABASE_URL is not set"),
        "{stderr}"
    );
    assert!(stderr.contains("reflexarc.toml:"), "{stderr}");
    assert!(!stderr.contains("UNSET_HOOK_URL"), "{stderr}");
    let (code, stderr) = run(Some(&database.url()), &["outbox", "list"]);
    assert_eq!(code, 5, "{stderr}");
    assert!(stderr.contains("no store at postgresql://"), "{stderr}");
    // Where the store is not needed, its URL is not needed either.
    let (code, stderr) = run(None, &["config", "check", "--without-secrets"]);
    assert_eq!(code, 0, "{stderr}");
}

#[test]
fn a_database_that_does_not_answer_is_named() {
    let targets = "[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n\
                   [store]\nurl = { file = \"database-url\" }\n";
    let workspace = Workspace::new("send(\"out\", 1);", targets);
    workspace.write(
        "database-url",
        "postgresql://operator:canary-password@127.0.0.1:9/events\n",
    );
    for (command, code) in [
        (&["config", "check"][..], 3),
        (&["outbox", "list"], 5),
        (&["serve"], 5),
    ] {
        let outcome = workspace.run(command);
        outcome.expect(code);
        let expected = "cannot connect to the store postgresql://127.0.0.1/events: ";
        assert!(outcome.stderr.contains(expected), "{}", outcome.stderr);
    }
    for command in [&["backup", "copy.db"], &["restore", "copy.db"]] {
        let outcome = workspace.run(command);
        outcome.expect(2);
        assert!(outcome.stderr.contains("`pg_dump`"), "{}", outcome.stderr);
    }
}

#[test]
fn tables_of_others_and_of_newer_versions_are_refused() {
    let Some(database) = Database::new() else {
        return;
    };
    let workspace = workspace(&database);
    database.run("CREATE TABLE archive (id INT)");
    for (command, code) in [(&["config", "check"][..], 3), (&["serve"], 5)] {
        let outcome = workspace.run(command);
        outcome.expect(code);
        let expected = "is not a reflexarc store; it was left as it is";
        assert!(outcome.stderr.contains(expected), "{}", outcome.stderr);
    }
    database.run("DROP TABLE archive");
    database.run("CREATE TABLE schema_version (version BIGINT, oldest BIGINT)");
    database.run("INSERT INTO schema_version VALUES (1000, 1000)");
    for (command, code) in [(&["config", "check"][..], 3), (&["outbox", "list"], 5)] {
        let outcome = workspace.run(command);
        outcome.expect(code);
        assert!(
            outcome.stderr.contains("has schema version 1000"),
            "{}",
            outcome.stderr
        );
    }
}
