//! Rules with a time window and the service, which does not evaluate them yet.

use crate::service_process::{Workspace, event};

const THEN: &str = r#"send("out", 1);"#;
const OUT: &str = "[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n";

/// A rule with each kind of window, and where in its file.
const RULES: [(&str, &str, &str); 5] = [
    (
        "count",
        "when = 'a exists'\nby = 'a'\ncount = { at_least = 2, within = '1m' }\nnotify = 'out'\n",
        "3:9",
    ),
    (
        "followed_by",
        "when = 'a exists'\nby = 'a'\nthen = 'log(1)'\n[[followed_by]]\nwhen = 'b exists'\n\
         within = '1m'\n",
        "4:",
    ),
    (
        "not_followed_by",
        "when = 'a exists'\nby = 'a'\nnotify = 'out'\n[not_followed_by]\nwhen = 'b exists'\n\
         within = '1m'\n",
        "4:",
    ),
    (
        "absent_for",
        "when = 'a exists'\nabsent_for = '1h'\nnotify = 'out'\n",
        "2:14",
    ),
    (
        "batch",
        "when = 'a exists'\nbatch = { within = '1m' }\nnotify = 'out'\n",
        "2:9",
    ),
];

#[test]
fn the_service_refuses_rules_with_a_time_window() {
    for (key, rule, location) in RULES {
        let workspace = Workspace::new(THEN, OUT);
        workspace.write("rules/waits.toml", rule);
        workspace.write("events.ndjson", &event("e1", "eni-1"));
        for args in [
            &["config", "check"][..],
            &["config", "check", "--without-secrets"],
            &["check", "--config", "reflexarc.toml"],
            &["serve"],
            &["run", "--deliver", "events.ndjson"],
        ] {
            let outcome = workspace.run(args);
            let text = format!("{}{}", outcome.stdout, outcome.stderr);
            assert_eq!(outcome.code, 3, "{args:?} {rule}: {text}");
            for part in [
                "RA0609",
                &format!("rules/waits.toml:{location}"),
                &format!("`{key}` is not supported by the service yet"),
                "`reflexarc test`, `run` and `simulate` evaluate this rule",
            ] {
                assert!(text.contains(part), "{part} {args:?}: {text}");
            }
        }
        // Nothing was stored, and what needs no store evaluates the rule.
        assert!(!workspace.path("reflexarc.db").exists(), "{key}");
        for args in [
            &["check", "rules"][..],
            &["test", "rules"],
            &["run", "rules", "events.ndjson", "--until", "end"],
        ] {
            let outcome = workspace.run(args);
            assert_eq!(outcome.code, 0, "{args:?} {rule}: {}", outcome.stderr);
        }
    }
}

#[test]
fn disabled_rules_may_have_a_time_window() {
    let workspace = Workspace::new(THEN, OUT);
    let (_, rule, _) = RULES[0];
    workspace.write("rules/waits.toml", &format!("enabled = false\n{rule}"));
    let checked = workspace.run(&["config", "check"]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
}

#[test]
fn replays_refuse_rules_with_a_time_window() {
    let workspace = Workspace::new(THEN, OUT);
    workspace.write("events.ndjson", &event("e1", "eni-1"));
    let ran = workspace.run(&["run", "--deliver", "events.ndjson"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    workspace.write("rules/waits.toml", RULES[0].1);
    for args in [&["replay", "--event", "e1"][..], &["replay", "--deliver"]] {
        let refused = workspace.run(args);
        assert_eq!(refused.code, 3, "{}", refused.stderr);
        assert!(refused.stderr.contains("RA0609"), "{}", refused.stderr);
    }
}

#[test]
fn reloads_refuse_rules_with_a_time_window() {
    let workspace = Workspace::new(THEN, OUT);
    let service = workspace.serve();
    workspace.write("rules/waits.toml", RULES[2].1);
    let refused = workspace.run(&["reload"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(
        refused
            .stderr
            .contains("`not_followed_by` is not supported"),
        "{}",
        refused.stderr
    );
    // The rules before go on.
    let (status, _) = service
        .call("POST", "/events", &event("e1", "eni-1"))
        .unwrap();
    assert_eq!(status, 200);
    std::fs::remove_file(workspace.path("rules/waits.toml")).unwrap();
    let reloaded = workspace.run(&["reload"]);
    assert_eq!(reloaded.code, 0, "{}", reloaded.stderr);
    assert_eq!(service.terminate(), 0);
}
