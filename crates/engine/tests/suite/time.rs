//! Rules with time windows: the rule files of `tests/corpus/time`, whose tests are cases.

use reflexarc::{MemoryState, RuleSet, Timestamp};

use crate::event;

/// Runs the tests of the rule files in a folder, which must pass, and returns how many there are.
pub(crate) fn run_corpus(folder: &str) -> usize {
    let rules = RuleSet::load(folder).unwrap();
    let mut count = 0;
    for report in rules.test("") {
        for test in &report.tests {
            count += 1;
            assert!(
                test.passed(),
                "{}:{} {}: {:#?}",
                report.file,
                test.line,
                test.name,
                test.mismatches
            );
        }
    }
    count
}

#[test]
fn the_cases_of_the_corpus_hold() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/corpus/time");
    let count = run_corpus(folder);
    assert!(count > 20, "{count} cases");
}

#[test]
fn overdue_deadlines_settle_after_a_restart() {
    // Each with what comes after the restart, and what has fired a minute after it.
    let cases = [
        (
            "not_followed_by = { when = 'op == \"B\"', within = '1m' }",
            None,
            1,
        ),
        (
            "not_followed_by = { when = 'op == \"B\"', within = '1m' }",
            Some("B"),
            0,
        ),
        (
            "not_followed_by = { when = 'op == \"B\"', within = '5h' }",
            None,
            0,
        ),
        ("absent_for = '1h'", None, 1),
        ("absent_for = '1h'", Some("A"), 0),
        ("batch = { within = '1h' }", None, 1),
    ];
    for (window, after, expected) in cases {
        let text = format!("when = 'op == \"A\"'\nby = 'id'\nnotify = ['team']\n{window}");
        let rules = RuleSet::compile([("a.toml", text)]).unwrap();
        let mut state = MemoryState::new();
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let event = |op: &str| event(&format!(r#"{{"op": "{op}", "id": 1}}"#));
        let start = time("2026-11-25T00:00:00Z");
        rules.evaluate_in_time(&event("A"), &mut state, start, &mut |_| ());
        // Nothing ran for three hours.
        let now = time("2026-11-25T03:00:00Z");
        let is_overdue = !window.contains("5h");
        assert_eq!(rules.postpone_due(&mut state, now), usize::from(is_overdue));
        assert!(rules.fire_due(&mut state, now).is_empty(), "{window}");
        if let Some(after) = after {
            let early = time("2026-11-25T03:00:59Z");
            let mut fired = 0;
            rules.evaluate_in_time(&event(after), &mut state, early, &mut |_| fired += 1);
            assert_eq!(fired, 0, "{window}");
        }
        let fired = rules.fire_due(&mut state, time("2026-11-25T03:01:00Z"));
        assert_eq!(fired.len(), expected, "{window} {after:?}");
    }
}

#[test]
fn expected_keys_begin_once_and_again_where_they_were_closed() {
    let rules = |expect: &str, enabled: bool| {
        let text = format!(
            "when = 'kind == \"beat\"'\nby = 'id'\nabsent_for = '1h'\nexpect = {expect}\n\
             enabled = {enabled}\nnotify = ['team']"
        );
        RuleSet::compile([("a.toml", text)]).unwrap()
    };
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    let pending = |state: &MemoryState| {
        let keys = RuleSet::pending("a", state, Timestamp::MAX).map(str::to_owned);
        keys.collect::<Vec<_>>().join(" ")
    };
    let mut state = MemoryState::new();
    rules("[1, 3]", true).arm(&mut state, time("2026-11-25T00:00:00Z"));
    assert_eq!(pending(&state), "1 3");
    // A key in the middle, which waits from now on; the others go on.
    let more = rules("[1, 2, 3]", true);
    assert_eq!(more.close_other_matches(&mut state), []);
    assert_eq!(
        more.fire_due(&mut state, time("2026-11-25T00:30:00Z"))
            .len(),
        0
    );
    assert_eq!(pending(&state), "1 2 3");
    let fired = more.fire_due(&mut state, time("2026-11-25T01:10:00Z"));
    assert_eq!(
        fired.iter().map(|due| due.key.as_str()).collect::<Vec<_>>(),
        ["1", "3"]
    );
    // Disabled for a while, it begins anew.
    assert_eq!(
        rules("[1, 2, 3]", false)
            .close_other_matches(&mut state)
            .len(),
        3
    );
    more.arm(&mut state, time("2026-11-25T02:00:00Z"));
    assert_eq!(pending(&state), "1 2 3");
}

#[test]
fn what_is_overdue_fires_before_the_event() {
    let text = r#"
when = 'op == "A"'
by = "id"
not_followed_by = { when = 'op == "B"', within = "1m" }
then = 'log(`fired at ${now}`)'
resolved = 'log("resolved")'
"#;
    let rules = RuleSet::compile([("a.toml", text)]).unwrap();
    let mut state = MemoryState::new();
    let mut logs = Vec::new();
    for (op, at) in [("A", 0), ("B", 100), ("A", 200), ("B", 210)] {
        let event = event(&format!(r#"{{"op": "{op}", "id": 1}}"#));
        let now = Timestamp::from_second(at).unwrap();
        let evaluation = rules.evaluate_overdue(&event, &state, now);
        for (rule, changes) in evaluation.changes() {
            state.apply(rule, changes);
        }
        let of_event = evaluation.rules.iter().flat_map(|rule| rule.log.clone());
        logs.extend(of_event);
    }
    // At its own deadline, with 10 seconds of grace, and not when it is noticed.
    assert_eq!(logs, ["fired at 70000", "resolved"]);
}

#[test]
fn the_retry_of_a_failed_reaction_settles_too() {
    let text = r#"
when = 'op == "A"'
by = "id"
not_followed_by = { when = 'op == "B"', within = "1m" }
then = 'if get("failed") == () { throw "not yet" } log("fired")'
"#;
    let rules = RuleSet::compile([("a.toml", text)]).unwrap();
    let mut state = MemoryState::new();
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    let event = |op: &str| event(&format!(r#"{{"op": "{op}", "id": 1}}"#));
    rules.evaluate_in_time(&event("A"), &mut state, at(0), &mut |_| ());
    let failed = rules.fire_next(&mut state, at(70)).unwrap();
    assert_eq!(failed.evaluation.failures.len(), 1);
    // Nothing ran for an hour: what is due waits for a minute, also after another event.
    assert_eq!(rules.postpone_due(&mut state, at(3_600)), 1);
    let mut fired = Vec::new();
    rules.evaluate_in_time(&event("A"), &mut state, at(3_601), &mut |due| {
        fired.push(due);
    });
    rules.fire_due_to(&mut state, at(3_659), &mut |due| fired.push(due));
    assert!(fired.is_empty(), "{fired:?}");
    assert_eq!(state.next_due(), Some(at(3_660)));
}
