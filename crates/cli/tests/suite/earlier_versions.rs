//! What users of earlier versions have on disk keeps working: rules, configuration and store.

use std::collections::BTreeSet;
use std::path::Path;

use crate::service_process::{Workspace, eventually};
use crate::{Outcome, reflexarc_in, root};

/// A folder with the files of a version, listening on a free port.
fn fixture(version: &str) -> Workspace {
    let workspace = Workspace::new("", "");
    copy(
        &root().join("tests/fixtures").join(version),
        workspace.folder.path(),
    );
    std::fs::remove_file(workspace.path("rules/failed.toml")).unwrap();
    let config = std::fs::read_to_string(workspace.path("reflexarc.toml")).unwrap();
    let listen = format!("127.0.0.1:{}", workspace.port);
    workspace.write("reflexarc.toml", &config.replace("127.0.0.1:8321", &listen));
    workspace
}

/// Adds the targets that the rules name. Version 0.1.0 started without them, and the deliveries to
/// them became dead letters, as 48 in its store did.
fn with_all_targets(workspace: &Workspace) {
    let refused = run(workspace, &["config", "check"]);
    assert_eq!(refused.code, 3);
    let names = refused.stderr.lines().filter_map(|line| {
        let (_, name) = line.split_once("unknown target `")?;
        Some(name.trim_end_matches('`').to_owned())
    });
    let names: BTreeSet<String> = names.collect();
    assert!(names.contains("unknown-team"), "{names:?}");
    let tables = names.iter().map(|name| {
        format!("[targets.{name}]\ntype = \"file\"\npath = \"missing-before.ndjson\"\n")
    });
    let config = std::fs::read_to_string(workspace.path("reflexarc.toml")).unwrap();
    let tables: String = tables.collect();
    workspace.write("reflexarc.toml", &format!("{config}\n{tables}"));
}

/// Lets everyone in, so that requests need no secret.
fn without_tokens(workspace: &Workspace) {
    let config = std::fs::read_to_string(workspace.path("reflexarc.toml")).unwrap();
    let (before, rest) = config.split_once("[[http.tokens]]").unwrap();
    let (_, after) = rest.split_once("\n\n").unwrap();
    workspace.write("reflexarc.toml", &format!("{before}{after}"));
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn run(workspace: &Workspace, args: &[&str]) -> Outcome {
    reflexarc_in(workspace.folder.path(), args, b"")
}

fn rows(outcome: &Outcome) -> usize {
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    outcome.stdout.lines().count()
}

#[test]
fn rules_of_0_1_0_are_valid_and_pass_their_tests() {
    let workspace = fixture("0.1.0");
    let check = run(&workspace, &["check", "rules"]);
    assert_eq!(check.code, 0, "{}", check.stderr);
    assert!(
        check.stdout.contains("0 errors, 0 warnings"),
        "{}",
        check.stdout
    );
    let test = run(&workspace, &["test", "rules"]);
    assert_eq!(test.code, 0, "{}", test.stdout);
    assert!(
        test.stdout.contains("34 passed, 0 failed"),
        "{}",
        test.stdout
    );
}

#[test]
fn the_configuration_of_0_1_0_is_valid() {
    let workspace = fixture("0.1.0");
    with_all_targets(&workspace);
    let check = run(&workspace, &["config", "check"]);
    assert_eq!(check.code, 0, "{}", check.stderr);
    assert!(check.stdout.contains("14 rules, "), "{}", check.stdout);
    let warned = check.stderr.contains("`shutdown_timeout`");
    assert!(warned, "{}", check.stderr);
}

#[test]
fn the_store_of_0_1_0_can_be_read_by_commands() {
    let workspace = fixture("0.1.0");
    assert_eq!(
        rows(&run(&workspace, &["archive", "list", "--format", "ndjson"])),
        30
    );
    assert_eq!(rows(&run(&workspace, &["archive", "export"])), 30);
    assert!(
        run(&workspace, &["archive", "verify"])
            .stdout
            .starts_with("30 ")
    );
    assert_eq!(
        rows(&run(&workspace, &["outbox", "list", "--format", "ndjson"])),
        4
    );
    assert_eq!(
        rows(&run(&workspace, &["dlq", "list", "--format", "ndjson"])),
        48
    );
    let dead = run(
        &workspace,
        &["dlq", "show", "26f184e89175f2c8b4eb0f4c1ec3c481"],
    );
    assert!(
        dead.stdout.contains("exit status: 1: refused"),
        "{}",
        dead.stdout
    );
    let trace = run(
        &workspace,
        &["trace", "7A11C166-4C1D-4E2B-820A-8B00C0FFEE0A"],
    );
    assert_eq!(trace.code, 0, "{}", trace.stderr);
    for part in ["every-feature", "unknown-team", "delivered: written to"] {
        assert!(trace.stdout.contains(part), "{part}: {}", trace.stdout);
    }
}

#[test]
fn a_service_continues_with_the_store_of_0_1_0() {
    let workspace = fixture("0.1.0");
    without_tokens(&workspace);
    with_all_targets(&workspace);
    let service = workspace.serve();

    // All but the two events without an id are recognised as duplicates.
    let events = root().join("examples/eni-events.ndjson");
    let again = run(
        &workspace,
        &["send", "--url", &workspace.url(), events.to_str().unwrap()],
    );
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(
        again.stdout.contains("2 accepted, 28 duplicates"),
        "{}",
        again.stdout
    );

    // Dead letters can be redriven to a target that exists by now.
    let redriven = run(&workspace, &["dlq", "redrive", "--all", "--target", "ipam"]);
    assert_eq!(redriven.code, 0, "{}", redriven.stderr);
    let documents = eventually("the dead letters are delivered", || {
        Some(workspace.lines("ipam.ndjson")).filter(|lines| lines.len() == 10)
    });
    let sent = documents
        .iter()
        .map(|document| document.get("send").unwrap().to_string());
    assert!(
        sent.clone().all(|text| text.contains("\"eniId\":\"eni-")),
        "{sent:?}"
    );

    // State entries are still there: the counter of this interface goes on from 1.
    let event = r#"{"id": "new", "name": "NetworkInterface:NetworkInterfaceOperateCompleted",
        "content": {"result": "failed", "eniId": "eni-bp1b8n3z6d5r2t7w", "requestId": "new"}}"#;
    let event = event.replace('\n', " ");
    assert_eq!(service.call("POST", "/events", &event).unwrap().0, 200);
    let counted = eventually("the document is delivered", || {
        let lines = workspace.lines("deliveries.ndjson");
        lines
            .into_iter()
            .find_map(|line| line.get("send").map(ToString::to_string))
    });
    assert_eq!(counted, r#"{"count":2,"eni":"eni-bp1b8n3z6d5r2t7w"}"#);
    assert_eq!(service.terminate(), 0);
}
