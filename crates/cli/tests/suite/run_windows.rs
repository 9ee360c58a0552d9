//! `run` with rules that have a time window: what fires between events, and after the last one.

use serde_json::{Value, json};

use crate::{Outcome, reflexarc_in};

/// Waits 30 minutes, and 10 seconds of grace, for the end of a detach.
const STUCK: (&str, &str) = (
    "stuck",
    r#"
when = 'op == "detach" and result == "accepted"'
by = "eni"
not_followed_by = { when = 'op == "detach" and result == "success"', within = "30m" }
then = 'notify("team", `${key} is stuck`)'
resolved = 'notify("team", `${key} is detached`)'
"#,
);
const FAILING: (&str, &str) = (
    "failing",
    r#"
when = 'result == "failed"'
by = "eni"
count = { at_least = 2, within = "10m" }
then = 'send("t", count)'
"#,
);
const SILENT: (&str, &str) = (
    "silent",
    "when = 'op exists'\nabsent_for = '24h'\nnotify = ['team']\n",
);

fn run(rules: &[(&str, &str)], events: &[String], args: &[&str]) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in rules {
        std::fs::write(folder.path().join(format!("{name}.toml")), text).unwrap();
    }
    let args = [&["run", ".", "-"], args].concat();
    reflexarc_in(folder.path(), &args, events.join("\n").as_bytes())
}

/// An event of `eni-1`, at a time of day.
fn event(time: &str, op: &str, result: &str) -> String {
    of_eni("eni-1", time, op, result)
}

fn of_eni(eni: &str, time: &str, op: &str, result: &str) -> String {
    format!(
        r#"{{"time": "2026-11-25T{time}Z", "op": "{op}", "result": "{result}", "eni": "{eni}"}}"#
    )
}

/// Only the time of day.
fn tick(time: &str) -> String {
    format!(r#"{{"time": "2026-11-25T{time}Z"}}"#)
}

/// What was printed as NDJSON: events as `line N`, deadlines as their time of day, each with the
/// rules and whether their match fired or was resolved.
fn timeline(outcome: &Outcome) -> Vec<String> {
    let lines = outcome.stdout.lines().map(|line| {
        let result: Value = serde_json::from_str(line).unwrap();
        let at = match &result["at"] {
            Value::String(at) => at.trim_start_matches("2026-11-25T").to_owned(),
            _ => format!("line {}", result["line"]),
        };
        let rules = result["rules"].as_array().unwrap().iter().map(|effects| {
            let reason = effects["firing"]["reason"].as_str().unwrap_or("waits");
            format!("{} {reason}", effects["rule"].as_str().unwrap())
        });
        format!("{at}: {}", rules.collect::<Vec<_>>().join(", "))
    });
    lines.collect()
}

#[test]
fn deadlines_fire_before_the_event_that_passes_them() {
    let events = [
        event("08:00:00", "detach", "accepted"),
        // No rule matches it; time passes all the same.
        tick("08:30:10"),
        event("08:40:00", "detach", "success"),
    ];
    for jobs in ["1", "4"] {
        let outcome = run(&[STUCK], &events, &["--format", "ndjson", "--jobs", jobs]);
        let expected = [
            "line 1: stuck waits",
            "08:30:10Z: stuck fired",
            "line 3: stuck resolved",
        ];
        assert_eq!(timeline(&outcome), expected);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    }
    let early = [events[0].clone(), tick("08:30:09")];
    let outcome = run(&[STUCK], &early, &["--format", "ndjson"]);
    assert_eq!(timeline(&outcome), ["line 1: stuck waits"]);
}

#[test]
fn a_closing_event_at_the_deadline_comes_too_late() {
    let events = [
        event("08:00:00", "detach", "accepted"),
        event("08:30:10", "detach", "success"),
    ];
    let outcome = run(&[STUCK], &events, &["--format", "ndjson"]);
    let expected = [
        "line 1: stuck waits",
        "08:30:10Z: stuck fired",
        "line 2: stuck resolved",
    ];
    assert_eq!(timeline(&outcome), expected);
}

#[test]
fn time_never_steps_back() {
    // The second event is late: at its time the deadline had passed already.
    let events = [
        event("08:00:00", "detach", "accepted"),
        tick("09:00:00"),
        of_eni("eni-2", "08:05:00", "detach", "accepted"),
        tick("09:00:59"),
        tick("09:01:00"),
    ];
    let outcome = run(&[STUCK], &events, &["--format", "ndjson"]);
    let expected = [
        "line 1: stuck waits",
        "08:30:10Z: stuck fired",
        "line 3: stuck waits",
        "09:01:00Z: stuck fired",
    ];
    assert_eq!(timeline(&outcome), expected, "after `settle`, one minute");
    let last: Value = serde_json::from_str(outcome.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(last["rules"][0]["firing"]["late"], json!(true));
    let note = "-:3: the event is earlier than 2026-11-25T09:00:00Z, which was reached before it";
    assert_eq!(
        outcome.stderr.matches(note).count(),
        1,
        "{}",
        outcome.stderr
    );
}

#[test]
fn firings_are_elements_of_the_json_output() {
    let events = [event("08:00:00", "detach", "accepted"), tick("09:00:00")];
    let outcome = run(&[STUCK], &events, &["--format", "json"]);
    let results: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let fired = &results[1];
    assert_eq!(fired["at"], "2026-11-25T08:30:10Z");
    assert_eq!(
        (&fired["rule"], &fired["key"], &fired["reason"]),
        (&json!("stuck"), &json!("eni-1"), &json!("fired"))
    );
    assert_eq!(fired["matched"], json!(["stuck"]));
    assert_eq!(fired["rules"][0]["actions"][0]["text"], "eni-1 is stuck");
    assert_eq!(
        fired["rules"][0]["firing"],
        json!({
            "reason": "fired", "key": "eni-1", "opened": "2026-11-25T08:00:00Z",
            "deadline": "2026-11-25T08:30:00Z", "count": 1, "late": false,
        })
    );
    assert_eq!(fired["failures"], json!([]));
}

#[test]
fn people_see_what_fired_and_what_is_pending() {
    let events = [
        event("08:00:00", "detach", "accepted"),
        of_eni("eni-2", "08:10:00", "attach", "failed"),
        of_eni("eni-2", "08:12:00", "attach", "failed"),
        of_eni("eni-3", "08:40:00", "detach", "accepted"),
    ];
    let outcome = run(&[STUCK, FAILING], &events, &[]);
    for expected in [
        "  ✓ failing (fired for eni-2: 2 events since 2026-11-25T08:10:00Z)\n      → t 2\n",
        "2026-11-25T08:30:10Z  deadline of stuck  eni-1\n  ✓ stuck (fired for eni-1: 1 event since \
         2026-11-25T08:00:00Z)\n      → team [info] eni-1 is stuck\nline 4",
        "4 of 4 events matched, 1 deadline passed; 2 actions from 2 rules\n",
        "\n  pending: stuck 1\n",
    ] {
        let stdout = &outcome.stdout;
        assert!(stdout.contains(expected), "{expected}\n{stdout}");
    }
    // Programs have the totals on stderr.
    let outcome = run(&[STUCK, FAILING], &events, &["--format", "ndjson"]);
    assert!(
        outcome.stderr.ends_with("\n  pending: stuck 1\n"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn until_goes_on_after_the_last_event() {
    let events = [
        event("08:00:00", "detach", "accepted"),
        of_eni("eni-2", "08:10:00", "detach", "accepted"),
    ];
    let run = |until: &str| {
        run(
            &[STUCK, SILENT],
            &events,
            &["--format", "ndjson", "--until", until],
        )
    };
    let events = [
        "line 1: silent waits, stuck waits",
        "line 2: silent waits, stuck waits",
    ];
    let stuck = ["08:30:10Z: stuck fired", "08:40:10Z: stuck fired"];
    let outcome = run("2026-11-25T08:30:10Z");
    assert_eq!(timeline(&outcome), [&events[..], &stuck[..1]].concat());
    assert!(
        outcome.stderr.contains("pending: silent 1, stuck 1"),
        "{}",
        outcome.stderr
    );
    // That nothing came after the last event of a file is no absence.
    let outcome = run("end");
    assert_eq!(timeline(&outcome), [&events[..], &stuck].concat());
    assert!(
        outcome.stderr.contains("pending: silent 1"),
        "{}",
        outcome.stderr
    );
    let outcome = run("2026-11-26T08:10:10Z");
    let silent = "2026-11-26T08:10:10Z: silent fired";
    assert_eq!(
        timeline(&outcome),
        [&events[..], &stuck, &[silent]].concat()
    );
    assert!(!outcome.stderr.contains("pending"), "{}", outcome.stderr);
}

#[test]
fn an_end_before_the_last_event_is_wrong_usage() {
    let events = [event("08:00:00", "detach", "accepted"), tick("08:10:00")];
    let outcome = run(&[STUCK], &events, &["--until", "2026-11-25T08:09:59Z"]);
    assert_eq!(outcome.code, 2);
    let message = "invalid --until 2026-11-25T08:09:59Z: it is before the last event, at \
                   2026-11-25T08:10:00Z";
    assert!(outcome.stderr.contains(message), "{}", outcome.stderr);
    assert!(
        outcome.stdout.contains("1 of 2 events matched"),
        "{}",
        outcome.stdout
    );
    let at_it = run(&[STUCK], &events, &["--until", "2026-11-25T08:10:00Z"]);
    assert_eq!(at_it.code, 0, "{}", at_it.stderr);
    for until in ["tomorrow", "2026-11-25", ""] {
        let outcome = run(&[STUCK], &events, &["--until", until]);
        assert_eq!(outcome.code, 2);
        assert!(
            outcome.stderr.contains("expected end, or a time"),
            "{}",
            outcome.stderr
        );
    }
    let outcome = run(&[STUCK], &events, &["--until", "end", "--deliver"]);
    assert_eq!(outcome.code, 2, "{}", outcome.stderr);
}

#[test]
fn expected_keys_wait_from_the_first_time() {
    let silent = "when = 'region exists'\nby = 'region'\nabsent_for = '1h'\nexpect = ['a', 'b']\n\
                  then = 'log(`${key} ${event?.region}`)'\n";
    let events = [
        // Without a time: it does not begin in 1970.
        r#"{"x": 1}"#.to_owned(),
        tick("08:00:00"),
        r#"{"region": "a", "time": "2026-11-25T08:30:00Z"}"#.to_owned(),
        tick("10:00:00"),
    ];
    let outcome = run(&[("silent", silent)], &events, &["--format", "ndjson"]);
    let expected = [
        "line 3: silent waits",
        "09:00:10Z: silent fired",
        "09:30:10Z: silent fired",
    ];
    assert_eq!(timeline(&outcome), expected, "{}", outcome.stderr);
}

#[test]
fn failures_of_firings_are_reported_and_counted() {
    let broken = "when = 'op exists'\nby = 'eni'\nreport_after = 1\n\
                  not_followed_by = { when = 'x == 1', within = '1m' }\nthen = 'throw \"no\"'\n";
    let events = [event("08:00:00", "attach", "failed"), tick("09:00:00")];
    let outcome = run(&[("broken", broken)], &events, &["--format", "ndjson"]);
    assert_eq!(outcome.code, 5);
    let fired: Value = serde_json::from_str(outcome.stdout.lines().nth(1).unwrap()).unwrap();
    assert_eq!(fired["failures"][0]["rule"], "broken");
    assert_eq!(fired["reason"], Value::Null);
    assert!(
        outcome.stderr.contains("has failed 1 times in a row"),
        "{}",
        outcome.stderr
    );
    let human = run(&[("broken", broken)], &events, &[]);
    assert!(
        human.stdout.contains("✗ broken failed: "),
        "{}",
        human.stdout
    );
    assert!(
        !human.stdout.contains("without actions: broken"),
        "{}",
        human.stdout
    );
}

#[test]
fn one_time_for_all_events_passes_no_deadline() {
    let events = [
        event("08:00:00", "detach", "accepted"),
        tick("12:00:00"),
        event("13:00:00", "detach", "success"),
    ];
    let args = ["--format", "ndjson", "--clock", "2026-11-25T08:00:00Z"];
    let outcome = run(&[STUCK], &events, &args);
    assert_eq!(
        timeline(&outcome),
        ["line 1: stuck waits", "line 3: stuck waits"]
    );
    let until = [&args[..], &["--until", "end"]].concat();
    let outcome = run(&[STUCK], &events[..2], &until);
    assert_eq!(
        timeline(&outcome),
        ["line 1: stuck waits", "08:30:10Z: stuck fired"]
    );
}

#[test]
fn the_current_time_is_that_of_windows_too() {
    let events = [event("08:00:00", "detach", "accepted"), tick("08:10:00")];
    let now = ["--format", "ndjson", "--clock", "now"];
    let outcome = run(&[STUCK], &events, &now);
    // The event is from the past or from the future: nothing fires between two events of a pipe.
    assert_eq!(timeline(&outcome), ["line 1: stuck waits"]);
    let outcome = run(&[STUCK], &events, &[&now[..], &["--until", "end"]].concat());
    assert_eq!(timeline(&outcome).len(), 2, "{}", outcome.stdout);
}

#[test]
fn thousands_of_deadlines_fire_at_one_instant() {
    let rule = "when = 'eni exists'\nby = 'eni'\nmax_pending = 3000\n\
                not_followed_by = { when = 'closed exists', within = '1m' }\nthen = 'log(key)'\n";
    let count = 3_000;
    let mut events: Vec<String> = (0..count)
        .map(|n| format!(r#"{{"time": "2026-11-25T08:00:00Z", "eni": {n}}}"#))
        .collect();
    events.push(r#"{"time": "2026-11-25T08:00:00Z", "eni": -1}"#.to_owned());
    events.push(tick("09:00:00"));
    let outcome = run(&[("many", rule)], &events, &["--format", "ndjson"]);
    let fired = outcome
        .stdout
        .lines()
        .filter(|line| line.starts_with("{\"at\""));
    assert_eq!(fired.count(), count);
    // The one beyond `max_pending` is a recorded failure.
    assert_eq!(outcome.code, 5);
    assert!(outcome.stdout.contains("see `max_pending`"));
}
