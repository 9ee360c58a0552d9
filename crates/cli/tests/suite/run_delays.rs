//! `run` with rules that delay actions: what is printed when it is due, and after the last event.

use serde_json::{Value, json};

use crate::{Outcome, reflexarc_in};

/// The team now; the manager after 15 minutes unless the detach succeeds.
const ESCALATION: (&str, &str) = (
    "escalation",
    r#"
when = 'result in ["failed", "success"]'
by = "eni"
then = '''
if event.result == "success" { cancel("manager"); return; }
notify("team", `${event.eni} failed`);
notify("manager", #{ title: `${event.eni} is still failed`, after: "15m", key: "manager" });
'''
"#,
);

fn run(rules: &[(&str, &str)], events: &[String], args: &[&str]) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in rules {
        std::fs::write(folder.path().join(format!("{name}.toml")), text).unwrap();
    }
    let args = [&["run", ".", "-"], args].concat();
    reflexarc_in(folder.path(), &args, events.join("\n").as_bytes())
}

fn event(eni: &str, time: &str, result: &str) -> String {
    format!(r#"{{"time": "2026-11-25T{time}Z", "result": "{result}", "eni": "{eni}"}}"#)
}

/// Only the time of day: no rule matches it.
fn tick(time: &str) -> String {
    format!(r#"{{"time": "2026-11-25T{time}Z"}}"#)
}

/// What was printed as NDJSON: each result with the targets of its actions.
fn timeline(outcome: &Outcome) -> Vec<String> {
    let lines = outcome.stdout.lines().map(|line| {
        let result: Value = serde_json::from_str(line).unwrap();
        let at = match &result["at"] {
            Value::String(at) => at.trim_start_matches("2026-11-25T").to_owned(),
            _ => format!("line {}", result["line"]),
        };
        let rules = result["rules"].as_array().unwrap().iter();
        let actions = rules.flat_map(|rule| rule["actions"].as_array().unwrap());
        let targets = actions.map(|action| action["target"].as_str().unwrap().to_owned());
        format!("{at}: {}", targets.collect::<Vec<_>>().join(", "))
    });
    lines.collect()
}

#[test]
fn a_delayed_action_is_printed_when_it_is_due() {
    let events = [event("eni-1", "08:00:00", "failed"), tick("08:15:00")];
    for jobs in ["1", "4"] {
        let outcome = run(
            &[ESCALATION],
            &events,
            &["--format", "ndjson", "--jobs", jobs],
        );
        assert_eq!(timeline(&outcome), ["line 1: team", "08:15:00Z: manager"]);
        let mut lines = outcome.stdout.lines();
        let first: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
        let delayed = json!([{"target": "manager", "after": "15m", "key": "manager"}]);
        assert_eq!(first["rules"][0]["delayed"], delayed);
        assert_eq!(
            serde_json::from_str::<Value>(lines.next().unwrap()).unwrap(),
            json!({
                "at": "2026-11-25T08:15:00Z", "rule": "escalation", "key": "eni-1",
                "reason": "delayed", "matched": [],
                "rules": [{
                    "rule": "escalation", "labels": {}, "hop": 0, "causes": [],
                    "actions": [{
                        "target": "manager", "title": "eni-1 is still failed", "text": "",
                        "level": "info", "after": "15m", "key": "manager",
                    }],
                }],
                "failures": [],
            })
        );
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        assert!(
            outcome.stderr.contains("2 actions from 1 rule"),
            "{}",
            outcome.stderr
        );
    }
    let early = [events[0].clone(), tick("08:14:59")];
    let outcome = run(&[ESCALATION], &early, &["--format", "ndjson"]);
    assert_eq!(timeline(&outcome), ["line 1: team"]);
    assert!(
        outcome
            .stderr
            .contains("delayed, not due yet: escalation 1"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_cancelled_action_is_never_printed() {
    let events = [
        event("eni-1", "08:00:00", "failed"),
        event("eni-2", "08:01:00", "failed"),
        event("eni-1", "08:10:00", "success"),
        tick("10:00:00"),
    ];
    let outcome = run(&[ESCALATION], &events, &["--format", "ndjson"]);
    let expected = [
        "line 1: team",
        "line 2: team",
        "line 3: ",
        "08:16:00Z: manager",
    ];
    assert_eq!(timeline(&outcome), expected);
    let third: Value = serde_json::from_str(outcome.stdout.lines().nth(2).unwrap()).unwrap();
    assert_eq!(third["rules"][0]["cancelled"], json!(["manager"]));
    assert!(
        !outcome.stdout.contains("eni-1 is still failed"),
        "{}",
        outcome.stdout
    );
    // At the due time, it has been sent.
    let late = [events[0].clone(), event("eni-1", "08:15:00", "success")];
    let outcome = run(&[ESCALATION], &late, &["--format", "ndjson"]);
    assert_eq!(
        timeline(&outcome),
        ["line 1: team", "08:15:00Z: manager", "line 2: "]
    );
}

#[test]
fn a_replaced_action_is_due_later() {
    let events = [
        event("eni-1", "08:00:00", "failed"),
        event("eni-1", "08:10:00", "failed"),
        tick("09:00:00"),
    ];
    let outcome = run(&[ESCALATION], &events, &["--format", "ndjson"]);
    assert_eq!(
        timeline(&outcome),
        ["line 1: team", "line 2: team", "08:25:00Z: manager"]
    );
}

#[test]
fn until_delivers_what_is_delayed() {
    let events = [
        event("eni-1", "08:00:00", "failed"),
        event("eni-2", "08:05:00", "failed"),
    ];
    let all = [
        "line 1: team",
        "line 2: team",
        "08:15:00Z: manager",
        "08:20:00Z: manager",
    ];
    for (until, printed) in [
        ("2026-11-25T08:14:59Z", 2),
        ("2026-11-25T08:15:00Z", 3),
        ("2026-11-25T09:00:00Z", 4),
        ("end", 4),
    ] {
        let outcome = run(
            &[ESCALATION],
            &events,
            &["--format", "ndjson", "--until", until],
        );
        assert_eq!(timeline(&outcome), all[..printed], "{until}");
        let waiting = format!("delayed, not due yet: escalation {}", 4 - printed);
        assert_eq!(
            outcome.stderr.contains(&waiting),
            printed < 4,
            "{}",
            outcome.stderr
        );
    }
}

#[test]
fn people_see_what_is_delayed_and_what_is_due() {
    let events = [
        event("eni-1", "08:00:00", "failed"),
        event("eni-2", "08:05:00", "failed"),
        event("eni-1", "08:06:00", "success"),
        tick("08:20:00"),
        event("eni-3", "08:30:00", "failed"),
    ];
    let outcome = run(&[ESCALATION], &events, &[]);
    for part in [
        "      → team [info] eni-1 failed\n      → manager (after 15m, key manager)\n",
        "  ✓ escalation\n      cancels manager\n",
        "2026-11-25T08:20:00Z  delayed by escalation  eni-2\n      → manager [info] eni-2 is still",
        "4 of 5 events matched; 4 actions from 1 rule",
        "targets: manager 1, team 3",
        "delayed, not due yet: escalation 1",
    ] {
        assert!(outcome.stdout.contains(part), "{part}\n{}", outcome.stdout);
    }
}

#[test]
fn deadlines_and_delays_come_in_their_order() {
    // The match fires at 08:10:10 and delays by 5 minutes; the one of the event is due at 08:15.
    let stuck = r#"
when = 'result == "failed"'
by = "eni"
not_followed_by = { when = 'result == "success"', within = "10m" }
then = 'send("slow", key, #{ after: "5m", key: "slow" })'
resolved = 'cancel("slow"); send("resolved", key)'
"#;
    let rules = [ESCALATION, ("stuck", stuck)];
    let events = [event("eni-1", "08:00:00", "failed"), tick("09:00:00")];
    let outcome = run(&rules, &events, &["--format", "ndjson"]);
    let expected = [
        "line 1: team",
        "08:10:10Z: ",
        "08:15:00Z: manager",
        "08:15:10Z: slow",
    ];
    assert_eq!(timeline(&outcome), expected);
    let last: Value = serde_json::from_str(outcome.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["rule"], &last["key"]),
        (&json!("stuck"), &json!("eni-1"))
    );
    let until = run(
        &rules,
        &events[..1],
        &["--format", "ndjson", "--until", "end"],
    );
    assert_eq!(timeline(&until), expected);
    // Resolved in between.
    let events = [
        events[0].clone(),
        event("eni-1", "08:12:00", "success"),
        tick("09:00:00"),
    ];
    let outcome = run(&rules, &events, &["--format", "ndjson"]);
    assert_eq!(
        timeline(&outcome),
        ["line 1: team", "08:10:10Z: ", "line 2: resolved"]
    );
}

#[test]
fn a_late_event_delays_from_the_time_that_was_reached() {
    let events = [
        tick("09:00:00"),
        event("eni-1", "08:00:00", "failed"),
        tick("09:14:59"),
        tick("09:15:00"),
    ];
    let outcome = run(&[ESCALATION], &events, &["--format", "ndjson"]);
    assert_eq!(timeline(&outcome), ["line 2: team", "09:15:00Z: manager"]);
}
