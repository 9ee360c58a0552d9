//! Operating the service: from `config init` to `archive prune`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;

use reflexarc_event::Json;

use crate::service_process::{ServiceProcess, Workspace, event, eventually, is_not_empty};

const THEN: &str = r#"send("out", #{ eni: event.content.eniId }); set("last", event.id, "1h");"#;
const OUT: &str = "[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n";

#[test]
fn a_configuration_is_created_and_checked() {
    let log = OUT.replace("targets.out", "targets.log");
    let workspace = Workspace::new(r#"send("log", 1);"#, &log);
    let init = workspace.run(&["config", "init", "new.toml"]);
    assert_eq!((init.code, init.stdout.as_str()), (0, "created new.toml\n"));
    assert_eq!(workspace.run(&["config", "init", "new.toml"]).code, 2);
    let new = workspace.run(&["config", "check", "--config", "new.toml"]);
    assert_eq!(new.code, 0, "{}", new.stderr);
    assert_eq!(
        workspace.run(&["config", "check"]).stdout,
        "the configuration is valid: 1 rule, 1 target\n"
    );
    let list = workspace.run(&["archive", "list"]);
    assert_eq!(list.code, 5, "there is no store yet");
}

/// A service that has accepted the events `e1` and `e2` and delivered what follows from them.
fn service_with_two_events() -> (Workspace, ServiceProcess) {
    let workspace = Workspace::new(THEN, OUT);
    let service = workspace.serve();
    let sent = workspace.run_with_stdin(
        &["send", "--url", &workspace.url(), "-"],
        &format!("{}\n{}\n{{\n", event("e1", "eni-1"), event("e2", "eni-2")),
    );
    assert_eq!(
        (sent.code, sent.stdout.as_str()),
        (4, "2 accepted, 0 duplicates, 1 unreadable\n")
    );
    eventually("both are delivered", || {
        (workspace.lines("out.ndjson").len() == 2).then_some(())
    });
    eventually("settled", || {
        (workspace.run(&["outbox", "list"]).code == 1).then_some(())
    });
    (workspace, service)
}

#[test]
fn sent_events_are_traced_listed_and_pruned() {
    let (workspace, service) = service_with_two_events();
    let url = workspace.url();
    let again = workspace.run_with_stdin(&["send", "--url", &url, "-"], &event("e1", "eni-1"));
    assert_eq!(
        (again.code, again.stdout.as_str()),
        (0, "0 accepted, 1 duplicates, 0 unreadable\n")
    );
    let trace = workspace.run(&["trace", "e1", "--explain", "failed"]);
    assert_eq!(trace.code, 0, "{}", trace.stderr);
    for part in [
        "event e1 from acs.ecs, native ECS",
        "✓ failed",
        "action: {\"target\":\"out\"",
        "delivered: written to out.ndjson",
        "state: last: ",
        " → \"e1\", expires ",
    ] {
        assert!(trace.stdout.contains(part), "{part}: {}", trace.stdout);
    }
    assert_eq!(workspace.run(&["trace", "no-such-event"]).code, 1);
    let list = workspace
        .run(&["archive", "list", "--format", "ndjson"])
        .stdout;
    let id = |line: &str| Json::parse(line).unwrap().get("id").unwrap().to_string();
    // The two events are about different interfaces, so either may be stored first.
    let ids: std::collections::BTreeSet<String> = list.lines().map(id).collect();
    assert_eq!(
        ids.iter().map(String::as_str).collect::<Vec<_>>(),
        ["\"e1\"", "\"e2\""]
    );
    let none = workspace.run(&["archive", "list", "--to", "1h"]);
    assert_eq!(
        (none.code, none.stderr.as_str()),
        (1, "no archived events\n")
    );
    let table = workspace.run(&["archive", "list"]).stdout;
    assert!(table.starts_with("ACCEPTED "), "{table}");
    assert_eq!(table.lines().count(), 3, "{table}");
    assert_eq!(
        workspace
            .run(&["archive", "export", "--event", "e2"])
            .stdout,
        format!("{}\n", event("e2", "eni-2"))
    );

    assert_eq!(service.call("GET", "/readyz", "").unwrap().0, 200);
    assert_eq!(service.terminate(), 0);
    eventually("the events are a second old and pruned", || {
        let pruned = workspace.run(&["archive", "prune", "--keep", "1s"]);
        assert_eq!(pruned.code, 0, "{}", pruned.stderr);
        let verified = workspace.run(&["archive", "verify"]).stdout;
        verified.starts_with("0 ").then_some(())
    });
}

#[test]
fn a_reload_changes_what_a_replay_sends() {
    let (workspace, service) = service_with_two_events();
    let url = workspace.url();
    // Invalid rules are refused with file and line, and the loaded ones stay active.
    workspace.write(
        "rules/broken.toml",
        "when = 'content.result = \"failed\"'\nnotify = [\"out\"]\n",
    );
    let refused = workspace.run(&["reload", "--url", &url]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("broken.toml:1:"),
        "{}",
        refused.stderr
    );
    std::fs::remove_file(workspace.path("rules/broken.toml")).unwrap();
    workspace.rule(r#"send("out", #{ interface: event.content.eniId });"#);
    assert_eq!(
        workspace.run(&["reload", "--url", &url]).stdout,
        "reloaded: 1 rule, 1 target\n"
    );

    let dry = workspace.run(&["replay", "--event", "e1"]);
    assert_eq!(dry.code, 1, "{}", dry.stderr);
    let lines: Vec<&str> = dry.stdout.lines().skip(1).collect();
    assert_eq!(
        lines,
        [
            r#"  - failed: {"target":"out","send":{"eni":"eni-1"}}"#,
            r#"  + failed: {"target":"out","send":{"interface":"eni-1"}}"#
        ]
    );
    assert_eq!(workspace.lines("out.ndjson").len(), 2);
    for expected in [
        "1 added to the outbox as replay monday",
        "0 added to the outbox as replay monday",
    ] {
        let delivered =
            workspace.run(&["replay", "--event", "e1", "--deliver", "--name", "monday"]);
        assert!(delivered.stderr.contains(expected), "{}", delivered.stderr);
    }
    let lines = eventually("the replay is delivered", || {
        Some(workspace.lines("out.ndjson")).filter(|lines| lines.len() == 3)
    });
    assert_eq!(lines[2].get("replay").unwrap().as_str(), Some("monday"));
    assert_ne!(lines[2].get("id"), lines[0].get("id"));
    assert_eq!(service.terminate(), 0);
}

#[test]
fn sighup_reloads_rules() {
    let workspace = Workspace::new(THEN, OUT);
    let service = workspace.serve();
    workspace.rule(r#"send("out", #{ interface: event.content.eniId });"#);
    let id = service.child.id().to_string();
    assert!(
        std::process::Command::new("kill")
            .args(["-HUP", &id])
            .status()
            .unwrap()
            .success()
    );
    eventually("reloaded", || {
        service
            .log()
            .contains("\"message\":\"reloaded\"")
            .then_some(())
    });
    assert_eq!(
        service
            .call("POST", "/events", &event("e1", "eni-1"))
            .unwrap()
            .0,
        200
    );
    let lines = eventually("delivered", || {
        Some(workspace.lines("out.ndjson")).filter(|lines| !lines.is_empty())
    });
    assert_eq!(
        lines[0].get("send").unwrap().to_string(),
        r#"{"interface":"eni-1"}"#
    );
    assert_eq!(service.terminate(), 0);
}

/// Starts a receiver that responds 422 and repeats the request head; returns its port.
pub(crate) fn echoing_receiver() -> u16 {
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
fn secrets_that_a_receiver_echoes_are_redacted() {
    let port = echoing_receiver();
    let targets = format!(
        "[targets.out]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:{port}/\"\n\
         allow = [\"127.0.0.0/8\"]\nsecret = {{ env = \"HOOK_SECRET\" }}\n\
         headers = {{ authorization = {{ env = \"HOOK_TOKEN\" }} }}\n"
    );
    let workspace = Workspace::new(THEN, &targets);
    workspace.write(
        "reflexarc.toml",
        &std::fs::read_to_string(workspace.path("reflexarc.toml"))
            .unwrap()
            .replace("\"info\"", "\"trace\""),
    );
    let service = workspace.serve();
    assert_eq!(
        service
            .call("POST", "/events?token=anything", &event("e1", "eni-1"))
            .unwrap()
            .0,
        200
    );
    let dead = eventually("it is a dead letter", || {
        Some(workspace.run(&["dlq", "list"])).filter(|list| list.code == 0)
    });
    assert!(
        dead.stdout.contains("authorization: [redacted]"),
        "{}",
        dead.stdout
    );
    assert!(dead.stdout.starts_with("DELIVERY "), "{}", dead.stdout);
    let row = dead.stdout.lines().nth(1).unwrap();
    let id = row.split(' ').next().unwrap().to_owned();
    let shown = workspace.run(&["dlq", "show", &id, "--format", "json"]);
    let trace = workspace.run(&["trace", "e1", "--format", "json"]);
    let (_, figures) = service.call("GET", "/metrics", "").unwrap();
    let log = service.log();
    assert!(log.contains("\"outcome\":\"refused\""), "{log}");
    for text in [&log, &dead.stdout, &shown.stdout, &trace.stdout, &figures] {
        assert!(!text.contains("canary"), "{text}");
    }
    let store = std::fs::read(workspace.path("reflexarc.db")).unwrap();
    let wal = std::fs::read(workspace.path("reflexarc.db-wal")).unwrap_or_default();
    assert!(
        [store, wal]
            .iter()
            .all(|bytes| !bytes.windows(6).any(|window| window == b"canary"))
    );

    assert_eq!(
        workspace.run(&["dlq", "redrive", &id]).stdout,
        "1 moved back to the outbox\n"
    );
    eventually("it is dead again", || {
        Some(workspace.run(&["dlq", "show", &id]))
            .filter(|shown| shown.stdout.contains("attempt 2,"))
    });
    eventually("settled", || {
        (workspace.run(&["outbox", "list"]).code == 1).then_some(())
    });
    assert_eq!(
        workspace
            .run(&["dlq", "drop", "--all", "--target", "out"])
            .stdout,
        "1 dropped\n"
    );
    let empty = workspace.run(&["dlq", "list"]);
    assert_eq!((empty.code, empty.stdout.as_str()), (1, ""));
    assert_eq!(empty.stderr, "no dead letters\n");
    let empty = workspace.run(&["outbox", "list", "--target", "out"]);
    assert_eq!(empty.stderr, "no pending deliveries for target `out`\n");
    assert_eq!(workspace.run(&["dlq", "drop", &id]).code, 1);
    assert_eq!(workspace.run(&["outbox", "cancel", &id]).code, 1);
    assert_eq!(service.terminate(), 0);
}

#[test]
fn a_backup_of_a_running_service_is_restored() {
    let (workspace, service) = service_with_two_events();
    let backup = workspace.run(&["backup", "copy.db"]);
    assert_eq!((backup.code, backup.stdout.as_str()), (0, ""));
    assert_eq!(backup.stderr, "copied the store to copy.db\n");
    let again = workspace.run(&["backup", "copy.db"]);
    assert_eq!(again.code, 5);
    assert!(again.stderr.contains("copy.db exists"), "{}", again.stderr);
    let running = workspace.run(&["restore", "--force", "copy.db"]);
    assert_eq!(running.code, 5);
    assert!(running.stderr.contains("in use"), "{}", running.stderr);
    assert_eq!(service.terminate(), 0);

    let pruned = workspace.run(&["archive", "prune", "--keep", "1ms"]);
    assert_eq!(pruned.stdout, "2 events removed\n");
    let refused = workspace.run(&["restore", "copy.db"]);
    assert_eq!(refused.code, 5);
    assert!(refused.stderr.contains("exists"), "{}", refused.stderr);
    let restored = workspace.run(&["restore", "--force", "copy.db"]);
    assert_eq!(restored.code, 0, "{}", restored.stderr);
    assert!(workspace.path("reflexarc.db.replaced-1").exists());
    let exported = workspace.run(&["archive", "export"]);
    assert_eq!((exported.code, exported.stdout.lines().count()), (0, 2));
    let service = workspace.serve();
    assert_eq!(workspace.run(&["trace", "e1"]).code, 0);
    assert_eq!(service.terminate(), 0);
}

#[test]
fn damaged_events_are_reported_and_left_out() {
    let (workspace, service) = service_with_two_events();
    assert_eq!(service.terminate(), 0);
    rusqlite::Connection::open(workspace.path("reflexarc.db"))
        .unwrap()
        .execute("UPDATE archive SET body = x'00' WHERE id = 'e1'", [])
        .unwrap();
    let exported = workspace.run(&["archive", "export"]);
    assert_eq!((exported.code, exported.stdout.lines().count()), (4, 1));
    assert!(exported.stdout.contains("\"e2\""), "{}", exported.stdout);
    let replayed = workspace.run(&["replay", "--deliver", "--name", "again"]);
    assert_eq!(replayed.code, 4);
    let added =
        "1 event, 0 with differences, 0 reactions failed, 1 added to the outbox as replay again";
    assert!(replayed.stderr.contains(added), "{}", replayed.stderr);
    for run in [&exported, &replayed] {
        let message = "of the archive is damaged";
        assert!(run.stderr.contains(message), "{}", run.stderr);
        assert!(
            run.stderr.contains("1 damaged event left out"),
            "{}",
            run.stderr
        );
    }
    let repeated = workspace.run(&["replay", "--deliver", "--name", "again"]);
    let message = "0 added to the outbox as replay again (1 were there already)";
    assert!(repeated.stderr.contains(message), "{}", repeated.stderr);
    assert_eq!(workspace.run(&["archive", "verify"]).code, 1);
}

#[test]
fn target_list_prints_names_types_and_endpoints() {
    let targets = format!(
        "{OUT}[targets.chat]\ntype = \"dingtalk\"\ntoken = {{ env = \"UNSET_HERE\" }}\n\
         [targets.hook]\ntype = \"webhook\"\n\
         url = \"https://hooks.example.com:8443/secret?token=canary\"\n\
         secret = {{ env = \"UNSET_HERE\" }}\n\
         [targets.mail]\ntype = \"email\"\nhost = \"smtp.example.com\"\nfrom = \"a@example.com\"\n\
         to = \"b@example.com\"\n\
         [targets.page]\ntype = \"command\"\nargv = [\"/bin/page\", \"--team\"]\n"
    );
    let workspace = Workspace::new(THEN, &targets);
    let list = workspace.run(&["target", "list"]);
    assert_eq!(list.code, 0, "{}", list.stderr);
    let rows: Vec<Vec<&str>> = list
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        rows,
        [
            ["TARGET", "TYPE", "ENDPOINT"],
            ["chat", "dingtalk", "oapi.dingtalk.com"],
            ["hook", "webhook", "hooks.example.com:8443"],
            ["mail", "email", "smtp.example.com:587"],
            ["out", "file", "out.ndjson"],
            ["page", "command", "/bin/page"],
        ]
    );
    assert!(!list.stdout.contains("canary"), "{}", list.stdout);
    let json = workspace.run(&["target", "list", "--json"]);
    assert_eq!(
        Json::parse(&json.stdout).unwrap().elements()[0].to_string(),
        r#"{"target":"chat","type":"dingtalk","endpoint":"oapi.dingtalk.com"}"#
    );
    let empty = Workspace::new(THEN, "");
    let list = empty.run(&["target", "list"]);
    assert_eq!((list.code, list.stdout.as_str()), (1, ""));
    assert_eq!(list.stderr, "no targets are configured\n");
    assert_eq!(empty.run(&["target", "list", "--json"]).stdout.trim(), "[]");
}

#[test]
fn target_test_sends_a_message() {
    let workspace = Workspace::new(
        THEN,
        &format!("{OUT}[targets.bad]\ntype = \"command\"\nargv = [\"false\"]\n"),
    );
    let tested = workspace.run(&["target", "test", "out"]);
    assert_eq!(
        (tested.code, tested.stdout.as_str()),
        (0, "delivered: written to out.ndjson\n")
    );
    assert!(is_not_empty(&workspace.path("out.ndjson")));
    assert!(
        workspace.lines("out.ndjson")[0]
            .get("notify")
            .unwrap()
            .to_string()
            .contains("This is a manual test of the target out")
    );
    let failed = workspace.run(&["target", "test", "bad"]);
    assert_eq!(
        (failed.code, failed.stderr.as_str()),
        (5, "error: failed: exit status: 1: \n")
    );
    let unknown = workspace.run(&["target", "test", "nowhere"]);
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
fn configuration_errors_have_line_and_column() {
    let workspace = Workspace::new(THEN, "[targets.out]\ntype = \"fil\"\n");
    let checked = workspace.run(&["config", "check"]);
    assert_eq!(checked.code, 3);
    assert!(
        checked.stderr.contains("reflexarc.toml:6:8")
            && checked.stderr.contains("did you mean \"file\"?"),
        "{}",
        checked.stderr
    );
    assert_eq!(workspace.run(&["serve"]).code, 3);
    assert_eq!(
        workspace.run(&["serve", "--config", "nowhere.toml"]).code,
        3
    );
}

#[test]
fn run_deliver_delivers_events_of_a_file() {
    let workspace = Workspace::new(THEN, OUT);
    workspace.write(
        "events.ndjson",
        &format!("{}\n{{\n{}\n", event("e1", "eni-1"), event("e2", "eni-2")),
    );
    let ran = workspace.run(&["run", "--deliver", "events.ndjson"]);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert_eq!(
        ran.stdout,
        "2 accepted, 0 duplicates, 1 unreadable; 2 deliveries, 0 left in the outbox\n"
    );
    assert_eq!(workspace.lines("out.ndjson").len(), 2);
    let again = workspace.run_with_stdin(&["run", "--deliver", "-"], &event("e2", "eni-2"));
    assert_eq!(
        (again.code, again.stdout.split(';').next()),
        (0, Some("0 accepted, 1 duplicates, 0 unreadable"))
    );
    assert_eq!(workspace.lines("out.ndjson").len(), 2);
    assert_eq!(workspace.run(&["trace", "e1"]).code, 0);
}

/// Also one that fails once and then succeeds, which is never reported as a rule that keeps
/// failing.
#[test]
fn failed_reactions_and_refused_events_are_logged() {
    let workspace = Workspace::new(
        r#"if event.id == "1" { throw "no team"; } send("out", 1);"#,
        "[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n",
    );
    let service = workspace.serve();
    let post = |body: &str| service.call("POST", "/events", body).unwrap().0;
    for id in ["1", "2"] {
        let event = format!(r#"{{"id": "{id}", "content": {{"result": "failed"}}}}"#);
        assert_eq!(post(&event), 200);
    }
    assert_eq!(
        post("<Notification><TopicName>ecs</TopicName></Notification>"),
        415
    );
    let log = eventually("the refusal", || {
        let log = service.log();
        log.contains("refused a request to /events").then_some(log)
    });
    let failure = log.lines().find(|line| line.contains("a reaction failed"));
    let failure = failure.unwrap_or_else(|| panic!("{log}"));
    for part in ["WARN", "no team", "failed.toml:", "\"times\":1"] {
        assert!(failure.contains(part), "{part}: {failure}");
    }
    assert!(log.contains("NotifyContentFormat"), "{log}");
    assert_eq!(service.terminate(), 0);
}

#[test]
fn targets_are_paused_and_resumed_and_their_states_listed() {
    let workspace = Workspace::new(THEN, OUT);
    let service = workspace.serve();
    let url = workspace.url();
    let paused = workspace.run(&["target", "pause", "out", "--url", &url]);
    assert_eq!(
        (paused.code, paused.stdout.as_str()),
        (0, "paused: out is paused\n"),
        "{}",
        paused.stderr
    );
    let unknown = workspace.run(&["target", "pause", "outt", "--url", &url]);
    assert_eq!(unknown.code, 5);
    assert!(
        unknown
            .stderr
            .contains("unknown target `outt`; known targets: out"),
        "{}",
        unknown.stderr
    );
    workspace.run_with_stdin(&["send", "--url", &url, "-"], &event("e1", "eni-1"));
    let (_, states) = service.call("GET", "/targets", "").unwrap();
    assert!(states.contains(r#""state":"paused""#), "{states}");
    let waiting = workspace.run(&["outbox", "list", "--format", "ndjson"]);
    assert_eq!(waiting.stdout.lines().count(), 1, "{}", waiting.stderr);
    let resumed = workspace.run(&["target", "resume", "out", "--url", &url]);
    assert_eq!(resumed.stdout, "resumed: out is closed\n");
    eventually("it is delivered", || {
        (workspace.lines("out.ndjson").len() == 1).then_some(())
    });
    assert_eq!(service.terminate(), 0);
}
