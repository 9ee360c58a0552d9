//! The service as operators meet it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;

use reflexarc_event::Json;

use crate::serving::{Place, event, eventually, filled};

const THEN: &str = r#"send("out", #{ eni: event.content.eniId });"#;
const OUT: &str = "[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n";

#[test]
fn from_the_first_configuration_to_the_end() {
    let place = Place::new(THEN, OUT);
    let init = place.run(&["config", "init", "new.toml"]);
    assert_eq!((init.code, init.stdout.as_str()), (0, "created new.toml\n"));
    assert_eq!(place.run(&["config", "init", "new.toml"]).code, 2);
    assert_eq!(
        place.run(&["config", "check", "--config", "new.toml"]).code,
        0
    );
    assert_eq!(
        place.run(&["config", "check"]).stdout,
        "the configuration is valid: 1 target\n"
    );
    assert_eq!(
        place.run(&["archive", "list"]).code,
        5,
        "there is no store yet"
    );

    let serving = place.serve();
    let url = place.url();
    let sent = place.feed(
        &["send", "--url", &url, "-"],
        &format!("{}\n{}\n{{\n", event("e1", "eni-1"), event("e2", "eni-2")),
    );
    assert_eq!(
        (sent.code, sent.stdout.as_str()),
        (4, "2 accepted, 0 duplicates, 1 unreadable\n")
    );
    let again = place.feed(&["send", "--url", &url, "-"], &event("e1", "eni-1"));
    assert_eq!(
        (again.code, again.stdout.as_str()),
        (0, "0 accepted, 1 duplicates, 0 unreadable\n")
    );
    eventually("both are delivered", || {
        (place.lines("out.ndjson").len() == 2).then_some(())
    });

    eventually("settled", || {
        (place.run(&["outbox", "list"]).code == 1).then_some(())
    });
    let trace = place.run(&["trace", "e1", "--explain", "failed"]);
    assert_eq!(trace.code, 0, "{}", trace.stderr);
    for part in [
        "event e1 from acs.ecs, native ECS",
        "✓ failed",
        "action: {\"target\":\"out\"",
        "delivered: written to out.ndjson",
    ] {
        assert!(trace.stdout.contains(part), "{part}: {}", trace.stdout);
    }
    assert_eq!(place.run(&["trace", "no-such-event"]).code, 1);
    let list = place.run(&["archive", "list", "--format", "ndjson"]).stdout;
    let id = |line: &str| Json::parse(line).unwrap().get("id").unwrap().to_string();
    // Two interfaces: which of the two events was stored first is nobody's concern.
    let ids: std::collections::BTreeSet<String> = list.lines().map(id).collect();
    assert_eq!(
        ids.iter().map(String::as_str).collect::<Vec<_>>(),
        ["\"e1\"", "\"e2\""]
    );
    assert_eq!(place.run(&["archive", "list", "--to", "1h"]).code, 1);
    assert_eq!(
        place.run(&["archive", "export", "--event", "e2"]).stdout,
        format!("{}\n", event("e2", "eni-2"))
    );

    // A broken set is refused by name and place, and the old one stays.
    place.write(
        "rules/broken.toml",
        "when = 'content.result = \"failed\"'\nnotify = [\"out\"]\n",
    );
    let refused = place.run(&["reload", "--url", &url]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("broken.toml:1:"),
        "{}",
        refused.stderr
    );
    std::fs::remove_file(place.path("rules/broken.toml")).unwrap();
    place.rule(r#"send("out", #{ interface: event.content.eniId });"#);
    assert_eq!(
        place.run(&["reload", "--url", &url]).stdout,
        "reloaded: 1 rule, 1 target\n"
    );

    let dry = place.run(&["replay", "--event", "e1"]);
    assert_eq!(dry.code, 1, "{}", dry.stderr);
    let lines: Vec<&str> = dry.stdout.lines().skip(1).collect();
    assert_eq!(
        lines,
        [
            r#"  - failed: {"target":"out","send":{"eni":"eni-1"}}"#,
            r#"  + failed: {"target":"out","send":{"interface":"eni-1"}}"#
        ]
    );
    assert_eq!(place.lines("out.ndjson").len(), 2);
    for expected in [
        "1 added to the outbox as replay monday",
        "0 added to the outbox as replay monday",
    ] {
        let delivered = place.run(&["replay", "--event", "e1", "--deliver", "--name", "monday"]);
        assert!(delivered.stderr.contains(expected), "{}", delivered.stderr);
    }
    let lines = eventually("the replay is delivered", || {
        Some(place.lines("out.ndjson")).filter(|lines| lines.len() == 3)
    });
    assert_eq!(lines[2].get("replay").unwrap().as_str(), Some("monday"));
    assert_ne!(lines[2].get("id"), lines[0].get("id"));

    assert_eq!(serving.call("GET", "/readyz", "").unwrap().0, 200);
    assert_eq!(serving.terminate(), 0);
    let pruned = place.run(&["archive", "prune", "--keep", "1s"]);
    assert_eq!(pruned.code, 0, "{}", pruned.stderr);
    assert_eq!(
        place.run(&["archive", "verify"]).stdout.split(' ').next(),
        Some("0")
    );
}

#[test]
fn hangup_puts_new_rules_in_force() {
    let place = Place::new(THEN, OUT);
    let serving = place.serve();
    place.rule(r#"send("out", #{ interface: event.content.eniId });"#);
    let id = serving.child.id().to_string();
    assert!(
        std::process::Command::new("kill")
            .args(["-HUP", &id])
            .status()
            .unwrap()
            .success()
    );
    eventually("reloaded", || {
        serving
            .log()
            .contains("\"message\":\"reloaded\"")
            .then_some(())
    });
    assert_eq!(
        serving
            .call("POST", "/events", &event("e1", "eni-1"))
            .unwrap()
            .0,
        200
    );
    let lines = eventually("delivered", || {
        Some(place.lines("out.ndjson")).filter(|lines| !lines.is_empty())
    });
    assert_eq!(
        lines[0].get("send").unwrap().to_string(),
        r#"{"interface":"eni-1"}"#
    );
    assert_eq!(serving.terminate(), 0);
}

/// Answers every request 422 and repeats its head in the answer, as careless receivers do.
fn echoing_receiver() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) <= 2 {
                    break;
                }
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                head.push_str(&line);
            }
            let mut body = vec![0; length];
            drop(reader.read_exact(&mut body));
            let answer = format!(
                "HTTP/1.1 422 No\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{head}",
                head.len()
            );
            drop(reader.get_mut().write_all(answer.as_bytes()));
        }
    });
    port
}

#[test]
fn secrets_appear_nowhere_although_a_receiver_repeats_them() {
    let port = echoing_receiver();
    let targets = format!(
        "[targets.out]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:{port}/\"\nallow = [\"127.0.0.0/8\"]\n\
         secret = {{ env = \"HOOK_SECRET\" }}\nheaders = {{ authorization = {{ env = \"HOOK_TOKEN\" }} }}\n"
    );
    let place = Place::new(THEN, &targets);
    place.write(
        "reflexarc.toml",
        &std::fs::read_to_string(place.path("reflexarc.toml"))
            .unwrap()
            .replace("\"info\"", "\"trace\""),
    );
    let serving = place.serve();
    assert_eq!(
        serving
            .call("POST", "/events?token=anything", &event("e1", "eni-1"))
            .unwrap()
            .0,
        200
    );
    let dead = eventually("it is a dead letter", || {
        Some(place.run(&["dlq", "list"])).filter(|list| list.code == 0)
    });
    assert!(
        dead.stdout.contains("authorization: [redacted]"),
        "{}",
        dead.stdout
    );
    let id = dead.stdout.split(' ').next().unwrap().to_owned();
    let shown = place.run(&["dlq", "show", &id, "--format", "json"]);
    let trace = place.run(&["trace", "e1", "--format", "json"]);
    let (_, figures) = serving.call("GET", "/metrics", "").unwrap();
    let log = serving.log();
    assert!(log.contains("\"outcome\":\"refused\""), "{log}");
    for text in [&log, &dead.stdout, &shown.stdout, &trace.stdout, &figures] {
        assert!(!text.contains("canary"), "{text}");
    }
    let store = std::fs::read(place.path("reflexarc.db")).unwrap();
    let wal = std::fs::read(place.path("reflexarc.db-wal")).unwrap_or_default();
    assert!(
        [store, wal]
            .iter()
            .all(|bytes| !bytes.windows(6).any(|window| window == b"canary"))
    );

    assert_eq!(
        place.run(&["dlq", "redrive", &id]).stdout,
        "1 moved back to the outbox\n"
    );
    eventually("it is dead again", || {
        Some(place.run(&["dlq", "show", &id])).filter(|shown| shown.stdout.contains("attempt 2,"))
    });
    eventually("settled", || {
        (place.run(&["outbox", "list"]).code == 1).then_some(())
    });
    assert_eq!(
        place
            .run(&["dlq", "drop", "--all", "--target", "out"])
            .stdout,
        "1 dropped\n"
    );
    assert_eq!(place.run(&["dlq", "list"]).code, 1);
    assert_eq!(place.run(&["dlq", "drop", &id]).code, 1);
    assert_eq!(place.run(&["outbox", "cancel", &id]).code, 1);
    assert_eq!(serving.terminate(), 0);
}

#[test]
fn a_target_is_tested_by_hand() {
    let place = Place::new(
        THEN,
        &format!("{OUT}[targets.bad]\ntype = \"command\"\nargv = [\"false\"]\n"),
    );
    let tested = place.run(&["target", "test", "out"]);
    assert_eq!(
        (tested.code, tested.stdout.as_str()),
        (0, "delivered: written to out.ndjson\n")
    );
    assert!(filled(&place.path("out.ndjson")));
    assert!(
        place.lines("out.ndjson")[0]
            .get("notify")
            .unwrap()
            .to_string()
            .contains("This is a manual test of the target out")
    );
    let failed = place.run(&["target", "test", "bad"]);
    assert_eq!(
        (failed.code, failed.stderr.as_str()),
        (5, "error: failed: exit status: 1: \n")
    );
    let unknown = place.run(&["target", "test", "nowhere"]);
    assert_eq!(unknown.code, 3);
    assert!(
        unknown
            .stderr
            .contains("unknown target `nowhere`; the configuration defines: "),
        "{}",
        unknown.stderr
    );
}

#[test]
fn a_configuration_that_is_wrong_is_shown_with_line_and_column() {
    let place = Place::new(THEN, "[targets.out]\ntype = \"fil\"\n");
    let checked = place.run(&["config", "check"]);
    assert_eq!(checked.code, 3);
    assert!(
        checked.stderr.contains("reflexarc.toml:6:8")
            && checked.stderr.contains("did you mean \"file\"?"),
        "{}",
        checked.stderr
    );
    assert_eq!(place.run(&["serve"]).code, 3);
    assert_eq!(place.run(&["serve", "--config", "nowhere.toml"]).code, 3);
}

#[test]
fn events_of_a_file_are_delivered_without_http() {
    let place = Place::new(THEN, OUT);
    place.write(
        "events.ndjson",
        &format!("{}\n{{\n{}\n", event("e1", "eni-1"), event("e2", "eni-2")),
    );
    let ran = place.run(&["run", "--deliver", "--events", "events.ndjson"]);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert_eq!(
        ran.stdout,
        "2 accepted, 0 duplicates, 1 unreadable; 2 deliveries, 0 left in the outbox\n"
    );
    assert_eq!(place.lines("out.ndjson").len(), 2);
    let again = place.feed(
        &["run", "--deliver", "--events", "-"],
        &event("e2", "eni-2"),
    );
    assert_eq!(
        (again.code, again.stdout.split(';').next()),
        (0, Some("0 accepted, 1 duplicates, 0 unreadable"))
    );
    assert_eq!(place.lines("out.ndjson").len(), 2);
    assert_eq!(place.run(&["trace", "e1"]).code, 0);
}
