//! Rules that name targets which do not exist, and deliveries without a receiver.

use reflexarc_event::Json;

use crate::service_process::{Workspace, event, eventually};
use crate::{reflexarc_in, root};

const THEN: &str = r#"send("out", 1);"#;
const OUT: &str = "[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n";

/// Rule files that name an unknown target, and where they do.
const RULES: [(&str, &str, &str); 5] = [
    (
        "when = 'a exists'\nnotify = [\"out\", \"uot\"]\n",
        "2:18",
        "uot",
    ),
    ("when = 'a exists'\nnotify = \"uot\"\n", "2:10", "uot"),
    (
        "when = 'a exists'\nthen = '''\nsend(\"out\", 1);\n\
         if event.a == 1 {\n  notify(\"uot\", \"x\");\n}\n'''\n",
        "5:10",
        "uot",
    ),
    (
        "when = 'a exists'\nthen = \"const T = \\\"uot\\\"; send(T, 1)\"\n",
        "2:19",
        "uot",
    ),
    (
        "when = 'a exists'\nnotify = \"Out\"\n[message]\ntext = \"x\"\n",
        "2:10",
        "Out",
    ),
];

#[test]
fn unknown_targets_are_found_before_the_first_event() {
    for (rule, location, name) in RULES {
        let workspace = Workspace::new(THEN, OUT);
        workspace.write("rules/other.toml", rule);
        workspace.write("events.ndjson", &event("e1", "eni-1"));
        for args in [
            &["config", "check"][..],
            &["config", "check", "--without-secrets"],
            &["check", "rules", "--config", "reflexarc.toml"],
            &["check", "--config", "reflexarc.toml"],
            &["serve"],
            &["run", "--deliver", "events.ndjson"],
        ] {
            let outcome = workspace.run(args);
            let text = format!("{}{}", outcome.stdout, outcome.stderr);
            assert_eq!(outcome.code, 3, "{args:?} {rule}: {text}");
            for part in [
                "RA0608",
                &format!("rules/other.toml:{location}"),
                &format!("unknown target `{name}`"),
                "did you mean `out`?",
            ] {
                assert!(text.contains(part), "{part} {args:?}: {text}");
            }
        }
        // What does not deliver needs no targets.
        assert_eq!(workspace.run(&["check", "rules"]).code, 0);
        assert_eq!(workspace.run(&["run", "rules", "events.ndjson"]).code, 0);
    }
}

#[test]
fn disabled_rules_need_no_targets() {
    let workspace = Workspace::new(THEN, OUT);
    let rule = "when = 'a exists'\nnotify = \"uot\"\n";
    workspace.write("rules/other.toml", rule);
    assert_eq!(workspace.run(&["config", "check"]).code, 3);
    workspace.write("rules/other.toml", &format!("enabled = false\n{rule}"));
    let checked = workspace.run(&["config", "check"]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
}

#[test]
fn replays_need_their_targets_only_to_deliver() {
    let workspace = Workspace::new(THEN, OUT);
    workspace.write("events.ndjson", &event("e1", "eni-1"));
    let ran = workspace.run(&["run", "--deliver", "events.ndjson"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    workspace.rule(r#"send("uot", 1);"#);
    assert_eq!(workspace.run(&["replay", "--event", "e1"]).code, 1);
    let refused = workspace.run(&["replay", "--event", "e1", "--deliver"]);
    assert_eq!(refused.code, 3);
    assert!(
        refused.stderr.contains("did you mean `out`?"),
        "{}",
        refused.stderr
    );
}

#[test]
fn simulations_warn_of_unknown_targets() {
    let workspace = Workspace::new(r#"send("uot", 1); send("out", 1);"#, OUT);
    workspace.write("scenario.toml", "");
    let simulated = workspace.run(&["simulate", "scenario.toml", "--config", "reflexarc.toml"]);
    assert_eq!(simulated.code, 0, "{}", simulated.stderr);
    let stderr = simulated.stderr;
    assert!(
        stderr.contains("warning[RA0608]: unknown target `uot`"),
        "{stderr}"
    );
    assert!(!stderr.contains("unknown target `out`"), "{stderr}");
}

/// From a fresh folder with the template and the ready-made rules to a running service.
#[test]
fn the_template_has_the_targets_of_the_ready_made_rules() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| reflexarc_in(folder.path(), args, b"");
    assert_eq!(run(&["config", "init"]).code, 0);
    let empty = run(&["config", "check"]);
    assert_eq!(empty.code, 3, "there are no rules yet");
    crate::readme::copy(&root().join("rules"), &folder.path().join("rules"));
    let checked = run(&["config", "check"]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    let files = std::fs::read_dir(root().join("rules")).unwrap();
    let is_rule = |name: &std::ffi::OsStr| name.to_string_lossy().ends_with(".toml");
    let count = files
        .filter(|file| is_rule(&file.as_ref().unwrap().file_name()))
        .count();
    assert!(
        checked.stdout.contains(&format!("{count} rules, ")),
        "{}",
        checked.stdout
    );
}

/// A service whose rule computes the target, so that only its first delivery shows the fault, and a
/// receiver that refuses and one that never succeeds.
#[test]
fn dead_letters_are_logged_counted_and_shown() {
    let targets = format!(
        "{OUT}[targets.refusing]\ntype = \"command\"\nargv = [\"sh\", \"-c\", \"exit 65\"]\n\
         [targets.failing]\ntype = \"command\"\nargv = [\"false\"]\nretry = [\"10ms\"]\n"
    );
    let then = r#"send("u" + "ot", 1); send("refusing", 2); send("failing", 3); send("out", 4);"#;
    let workspace = Workspace::new(then, &targets);
    let service = workspace.serve();
    let posted = service.call("POST", "/events", &event("e1", "eni-1"));
    assert_eq!(posted.unwrap().0, 200);
    let status = eventually("there are three dead letters", || {
        let (_, text) = service.call("GET", "/status", "")?;
        let letters = Json::parse(&text).unwrap().get("dead_letters")?.clone();
        (letters.get("count")?.as_i64() == Some(3)).then_some(letters)
    });
    assert_eq!(
        status.get("targets").unwrap().to_string(),
        r#"{"failing":1,"refusing":1,"uot":1}"#
    );
    assert_eq!(status.get("newest").unwrap().elements().len(), 3);
    let (_, metrics) = service.call("GET", "/metrics", "").unwrap();
    let log = service.log();
    for (target, cause) in [
        ("uot", "unknown_target"),
        ("refusing", "refused"),
        ("failing", "exhausted"),
    ] {
        let counted =
            format!("reflexarc_dead_letters_total{{target=\"{target}\",reason=\"{cause}\"}} 1");
        assert!(metrics.contains(&counted), "{metrics}");
        let line = log.lines().find(|line| {
            line.contains("\"WARN\"")
                && line.contains("dead letter")
                && line.contains(&format!("\"to\":\"{target}\""))
        });
        let line = line.unwrap_or_else(|| panic!("{target}: {log}"));
        for part in [
            "\"rule\":\"failed\"",
            "\"event\":\"e1\"",
            "\"reason\":\"",
            &format!("\"cause\":\"{cause}\""),
        ] {
            assert!(line.contains(part), "{line}");
        }
    }
    assert_eq!(service.terminate(), 0);
}

/// Whatever triggers it, a refused reload says which file, which line and why.
#[test]
fn refused_reloads_are_logged_with_the_reason() {
    let workspace = Workspace::new(THEN, OUT);
    let service = workspace.serve();
    let logged = |file: &str, line: &str, reason: &str| {
        eventually(reason, || {
            let log = service.log();
            let found = log.lines().any(|entry| {
                entry.contains("\"ERROR\"")
                    && entry.contains(file)
                    && entry.contains(&format!("\"line\":{line}"))
                    && entry.contains(reason)
            });
            found.then_some(())
        });
    };
    // The watcher.
    workspace.write(
        "rules/broken.toml",
        "when = 'a exists'\nthen = 'notfiy(1)'\n",
    );
    logged("broken.toml", "2", "unknown function `notfiy`");
    workspace.write("rules/broken.toml", "when = 'a exists'\nnotify = 'uot'\n");
    logged("broken.toml", "2", "unknown target `uot`");
    // SIGHUP.
    workspace.write("reflexarc.toml", "lgo = 'info'\n");
    let id = service.child.id().to_string();
    let hangup = std::process::Command::new("kill")
        .args(["-HUP", &id])
        .status();
    assert!(hangup.unwrap().success());
    logged("reflexarc.toml", "1", "unknown key `lgo`");
    let (_, status) = service.call("GET", "/status", "").unwrap();
    assert!(status.contains("unknown key `lgo`"), "{status}");
    assert_eq!(service.terminate(), 0);
}
