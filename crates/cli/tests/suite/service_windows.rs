//! Rules with a time window in the service.

use reflexarc_event::Json;

use crate::service_process::{ServiceProcess, Workspace, event, eventually};

const THEN: &str = r#"log("seen");"#;
const OUT: &str = "[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n";

/// Fires a second after an event that no other one follows. The events are late by years, so that
/// `settle` takes the place of `grace`.
const WAITS: &str = r#"
when = 'id starts with "open"'
by = "content.eniId"
settle = "500ms"
then = 'send("out", #{ fired: key, count: count });'
resolved = 'send("out", #{ resolved: key });'
[not_followed_by]
when = 'id starts with "close"'
within = "500ms"
"#;

fn post(service: &ServiceProcess, events: &[(&str, &str)]) {
    let lines: Vec<String> = events.iter().map(|(id, eni)| event(id, eni)).collect();
    let (status, body) = service.call("POST", "/events", &lines.join("\n")).unwrap();
    assert_eq!(status, 200, "{body}");
}

/// What was sent, in order.
fn sent(workspace: &Workspace) -> Vec<String> {
    let lines = workspace.lines("out.ndjson");
    let sent = lines.iter().filter_map(|line| line.get("send"));
    sent.map(Json::to_string).collect()
}

#[test]
fn deadlines_fire_resolve_and_are_cancelled() {
    let workspace = Workspace::new(THEN, OUT);
    workspace.write("rules/waits.toml", WAITS);
    let service = workspace.serve();
    post(
        &service,
        &[
            ("open-1", "eni-1"),
            ("open-2", "eni-2"),
            ("close-2", "eni-2"),
        ],
    );
    eventually("eni-1 fires", || {
        (sent(&workspace).len() == 1).then_some(())
    });
    assert_eq!(sent(&workspace), [r#"{"count":1,"fired":"eni-1"}"#]);
    post(&service, &[("close-1", "eni-1")]);
    eventually("eni-1 is resolved", || {
        (sent(&workspace).len() == 2).then_some(())
    });
    assert_eq!(sent(&workspace)[1], r#"{"resolved":"eni-1"}"#);
    assert_eq!(service.terminate(), 0);
}

#[test]
fn matches_survive_kills_and_restarts() {
    let workspace = Workspace::new(THEN, OUT);
    let waits = WAITS.replace("500ms", "8s");
    workspace.write("rules/waits.toml", &waits);
    let mut service = workspace.serve();
    post(&service, &[("open-1", "eni-1"), ("open-2", "eni-2")]);
    service.child.kill().unwrap();
    service.child.wait().unwrap();
    let service = workspace.serve();
    post(&service, &[("close-2", "eni-2")]);
    eventually("eni-1 fires", || {
        (sent(&workspace).len() == 1).then_some(())
    });
    assert_eq!(service.terminate(), 0);
    let service = workspace.serve();
    post(&service, &[("close-1", "eni-1")]);
    eventually("eni-1 is resolved", || {
        (sent(&workspace).len() == 2).then_some(())
    });
    assert_eq!(service.terminate(), 0);
    let all = sent(&workspace);
    assert_eq!(
        all,
        [r#"{"count":1,"fired":"eni-1"}"#, r#"{"resolved":"eni-1"}"#]
    );
}

#[test]
fn reloads_keep_matches_of_windows_that_stay() {
    let workspace = Workspace::new(THEN, OUT);
    let waits = WAITS.replace("500ms", "8s");
    workspace.write("rules/waits.toml", &waits);
    workspace.write("rules/other.toml", &waits.replace("key", "\"other\""));
    let service = workspace.serve();
    post(&service, &[("open-1", "eni-1"), ("open-2", "eni-2")]);
    // Another text with the same window, and another window.
    workspace.write("rules/waits.toml", &waits.replace("fired", "was_fired"));
    let changed = waits.replace("within = \"8s\"", "within = \"1h\"");
    workspace.write("rules/other.toml", &changed.replace("key", "\"other\""));
    let reloaded = workspace.run(&["reload"]);
    assert_eq!(reloaded.code, 0, "{}", reloaded.stderr);
    // The service may have noticed the changed files first.
    let log = service.log();
    let text = format!("{}{}{log}", reloaded.stdout, reloaded.stderr);
    let is_reported = text.contains("closed 2 pending keys")
        || text.contains("a reload closed pending keys of changed windows");
    assert!(is_reported, "{text}");
    eventually("both fire", || (sent(&workspace).len() == 2).then_some(()));
    let mut all = sent(&workspace);
    all.sort();
    let expected = ["eni-1", "eni-2"];
    let expected = expected.map(|eni| format!(r#"{{"count":1,"was_fired":"{eni}"}}"#));
    assert_eq!(all, expected);
    assert_eq!(service.terminate(), 0);
}

#[test]
fn what_passed_while_nothing_ran_waits_once_more() {
    let workspace = Workspace::new(THEN, OUT);
    workspace.write("rules/waits.toml", &WAITS.replace("\"500ms\"", "\"6s\""));
    let mut service = workspace.serve();
    post(&service, &[("open-1", "eni-1"), ("open-2", "eni-2")]);
    service.child.kill().unwrap();
    service.child.wait().unwrap();
    // Longer than the 15 seconds after which deadlines count as missed.
    std::thread::sleep(std::time::Duration::from_secs(17));
    let service = workspace.serve();
    // What its sender repeats comes before the deadline that was moved.
    post(&service, &[("close-2", "eni-2")]);
    assert_eq!(sent(&workspace), Vec::<String>::new());
    eventually("eni-1 fires", || {
        (sent(&workspace).len() == 1).then_some(())
    });
    assert_eq!(sent(&workspace), [r#"{"count":1,"fired":"eni-1"}"#]);
    assert_eq!(service.terminate(), 0);
}

/// The rules of a command may be some of the service's rules only.
#[test]
fn commands_leave_deadlines_to_the_service() {
    let workspace = Workspace::new(THEN, OUT);
    let waits = WAITS.replace("500ms", "1s");
    workspace.write("rules/waits.toml", &waits);
    workspace.write("events.ndjson", &event("open-1", "eni-1"));
    let ran = workspace.run(&["run", "--deliver", "events.ndjson"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let pending = "1 pending key in the store: `reflexarc serve` fires their deadlines";
    assert!(ran.stderr.contains(pending), "{}", ran.stderr);
    // Other rules close nothing.
    std::fs::create_dir(workspace.path("others")).unwrap();
    workspace.write(
        "others/other.toml",
        "when = 'id == \"x\"'\nthen = 'log(1)'\n",
    );
    let ran = workspace.run(&["run", "--deliver", "others", "events.ndjson"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(sent(&workspace), Vec::<String>::new());
    let service = workspace.serve();
    eventually("eni-1 fires", || {
        (sent(&workspace).len() == 1).then_some(())
    });
    assert_eq!(service.terminate(), 0);
}

#[test]
fn failed_firings_are_delivered_by_a_replay() {
    let workspace = Workspace::new(THEN, OUT);
    let broken = WAITS.replace(
        r#"send("out", #{ fired"#,
        r#"throw "broken"; send("out", #{ fired"#,
    );
    workspace.write("rules/waits.toml", &broken);
    let service = workspace.serve();
    post(&service, &[("open-1", "eni-1"), ("open-2", "eni-2")]);
    eventually("both have failed twice", || {
        let listed = workspace.run(&["archive", "list", "--kind", "firing"]);
        (listed.stdout.lines().count() >= 4).then_some(())
    });
    assert_eq!(service.terminate(), 0);
    assert_eq!(sent(&workspace), Vec::<String>::new());
    workspace.write("rules/waits.toml", WAITS);
    let args = [
        "replay",
        "--from",
        "1h",
        "--failed",
        "--deliver",
        "--name",
        "lost",
    ];
    for _ in 0..2 {
        let replayed = workspace.run(&args);
        assert_eq!(replayed.code, 1, "{}{}", replayed.stdout, replayed.stderr);
    }
    let service = workspace.serve();
    eventually("both are sent", || {
        (sent(&workspace).len() == 2).then_some(())
    });
    eventually("the outbox is empty", || {
        (workspace.run(&["outbox", "list"]).code == 1).then_some(())
    });
    let mut all = sent(&workspace);
    all.sort();
    let expected = ["eni-1", "eni-2"];
    let expected = expected.map(|eni| format!(r#"{{"count":1,"fired":"{eni}"}}"#));
    assert_eq!(all, expected);
    assert_eq!(service.terminate(), 0);
}
