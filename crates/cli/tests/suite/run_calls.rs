//! `run` prints the calls of rules, and with `--deliver` leaves them to the service.

use crate::service_process::{Workspace, event};

const THEN: &str = r#"
call("ecs", "DescribeNetworkInterfaces", #{ NetworkInterfaceId: [event.content.eniId] });
let eni = #{ NetworkInterfaceId: event.content.eniId };
call("ecs", "DeleteNetworkInterface", eni, #{ after: "2m", key: "delete" });
"#;

const TARGETS: &str = r#"
[targets.ecs]
type = "alibaba"
endpoint = "http://127.0.0.1:9"
credentials = { access_key_id = { file = "key" }, access_key_secret = { file = "key" } }
allow = ["Describe*", "DeleteNetworkInterface"]
"#;

fn workspace() -> Workspace {
    let workspace = Workspace::new(THEN, TARGETS);
    workspace.write("key", "canary");
    workspace.write("events.ndjson", &event("e1", "eni-1"));
    workspace
}

#[test]
fn calls_are_printed_when_they_are_made() {
    let workspace = workspace();
    let run = workspace.run(&["run", "rules", "events.ndjson", "--until", "end"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let lines: Vec<_> = run.stdout.lines().map(str::trim).collect();
    for (line, next) in [
        (
            r#"→ ecs DescribeNetworkInterfaces {"NetworkInterfaceId":["eni-1"]}"#,
            "→ ecs (after 2m, key delete)",
        ),
        (
            "2019-04-09T04:20:26.922Z  delayed by failed",
            r#"→ ecs DeleteNetworkInterface {"NetworkInterfaceId":"eni-1"} (after 2m, key delete)"#,
        ),
    ] {
        let at = lines.iter().position(|found| *found == line);
        let at = at.unwrap_or_else(|| panic!("{line}\n{}", run.stdout));
        assert_eq!(lines[at + 1], next);
    }
    let json = workspace.run(&["run", "rules", "events.ndjson", "--format", "ndjson"]);
    let call = concat!(
        r#""actions":[{"target":"ecs","operation":"DescribeNetworkInterfaces","#,
        r#""parameters":{"NetworkInterfaceId":["eni-1"]}}"#
    );
    assert!(json.stdout.contains(call), "{}", json.stdout);
}

#[test]
fn delivering_leaves_calls_to_the_service() {
    let workspace = workspace();
    let delivered = workspace.run(&["run", "--deliver", "events.ndjson"]);
    assert_eq!(delivered.code, 0, "{}", delivered.stderr);
    let counts = "1 accepted, 0 duplicates, 0 unreadable; 2 deliveries, 2 left in the outbox";
    assert!(delivered.stdout.contains(counts), "{}", delivered.stdout);
    let waiting = workspace.run(&["outbox", "list"]);
    assert_eq!(
        waiting.stdout.matches(" ecs ").count(),
        2,
        "{}",
        waiting.stdout
    );
    let dead = workspace.run(&["dlq", "list", "--format", "ndjson"]);
    assert_eq!(dead.stdout, "");
}
