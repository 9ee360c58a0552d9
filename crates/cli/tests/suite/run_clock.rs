//! The time at which `run` evaluates events.

use crate::{Outcome, reflexarc_in};

/// Runs a rule that logs `now` in seconds; returns the outcome and the logged times.
fn run(events: &[&str], args: &[&str]) -> (Outcome, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let rule = "when = 'n exists'\nthen = 'log(now / 1000)'\n";
    std::fs::write(folder.path().join("every.toml"), rule).unwrap();
    let args = [&["run", "every.toml", "-", "--format", "ndjson"], args].concat();
    let outcome = reflexarc_in(folder.path(), &args, events.join("\n").as_bytes());
    let times = outcome.stdout.lines().map(|line| {
        let report: serde_json::Value = serde_json::from_str(line).unwrap();
        report["rules"][0]["log"][0].as_str().unwrap().to_owned()
    });
    let times = times.collect();
    (outcome, times)
}

fn notes(outcome: &Outcome) -> Vec<&str> {
    let lines = outcome.stderr.lines();
    lines.filter(|line| line.contains("has no time")).collect()
}

const TIMED: &str = r#"{"n": 1, "eventTime": "1970-01-01T00:01:00Z"}"#;
const LATER: &str = r#"{"n": 1, "time": "1970-01-01T00:02:00Z"}"#;
const UNTIMED: &str = r#"{"n": 1}"#;
const UNREADABLE: &str = r#"{"n": 1, "eventTime": "soon"}"#;
const UNMATCHED: &str = r#"{"eventTime": "1970-01-01T00:00:07Z"}"#;

#[test]
fn an_event_without_time_has_that_of_the_first_event_with_one() {
    for jobs in ["1", "4"] {
        let (outcome, times) = run(&[TIMED, LATER, UNTIMED, UNREADABLE], &["--jobs", jobs]);
        assert_eq!(times, ["60", "120", "60", "60"]);
        assert_eq!(
            notes(&outcome),
            [
                "-:3: the event has no time; events without one are evaluated at \
              1970-01-01T00:01:00Z (choose with --clock)"
            ]
        );
        let (_, times) = run(&[UNMATCHED, TIMED, UNTIMED], &["--jobs", jobs]);
        assert_eq!(times, ["60", "7"], "the first event may match no rule");
    }
}

#[test]
fn before_the_first_time_the_clock_is_at_1970() {
    let (outcome, times) = run(&[UNTIMED, UNTIMED], &[]);
    assert_eq!(times, ["0", "0"]);
    assert_eq!(notes(&outcome).len(), 1, "{}", outcome.stderr);
    assert_eq!(outcome.code, 0);
}

#[test]
fn a_clock_can_be_chosen() {
    let (outcome, times) = run(&[TIMED, UNTIMED], &["--clock", "1970-01-01T00:05:00Z"]);
    assert_eq!(
        (times, notes(&outcome).len()),
        (vec!["300".to_owned(); 2], 0)
    );
    let (outcome, times) = run(&[TIMED, UNTIMED], &["--clock", "event"]);
    assert_eq!((times.len(), notes(&outcome).len()), (2, 1));
    let before = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let (outcome, times) = run(&[TIMED, UNTIMED], &["--clock", "now"]);
    assert!(
        times
            .iter()
            .all(|time| time.parse::<u64>().unwrap() >= before)
    );
    assert_eq!(notes(&outcome).len(), 0);
    let (outcome, _) = run(&[TIMED], &["--clock", "today"]);
    assert_eq!(outcome.code, 2);
    assert!(
        outcome.stderr.contains("expected event, now, or a time"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn events_with_times_are_not_reported() {
    let (outcome, _) = run(&[TIMED, LATER], &[]);
    assert_eq!(notes(&outcome).len(), 0);
}
