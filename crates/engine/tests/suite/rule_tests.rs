//! The expectations of `[[test]]`: met and not met.

use reflexarc::{RuleSet, TestReport};

use crate::rules;

const RULE: &str = r#"
when = 'n >= 0 or again exists'
throttle = { key = "key", every = "10m" }
then = '''
if event.n == 99 { throw "no" }
if event.n == 98 { skip("on purpose") }
log(`n is ${event.n}`);
set("last", event.n);
if event.n == 97 { emit(#{again: true}); }
notify("team", #{ title: "t", text: `${event.n}` });
'''
"#;

/// The keys of the failed expectations of a test with these lines.
#[track_caller]
fn failing(test: &str) -> Vec<String> {
    let file = format!("{RULE}\n[[test]]\nname = 'x'\n{test}\n");
    let reports = rules(&[("a.toml", &file)]).test("");
    let report: &TestReport = &reports[0].tests[0];
    assert_eq!(report.passed(), report.mismatches.is_empty());
    report
        .mismatches
        .iter()
        .map(|m| {
            format!(
                "{}{}",
                m.key,
                m.step.map_or(String::new(), |s| s.to_string())
            )
        })
        .collect()
}

#[test]
fn each_expectation_can_pass_and_fail() {
    let none: [&str; 0] = [];
    for (met, failed, key) in [
        ("matches = true", "matches = false", "matches"),
        (
            "actions = [{ target = 'team', text = '1' }]",
            "actions = [{ text = '2' }]",
            "actions",
        ),
        ("actions = [{}]", "actions = []", "actions"),
        ("actions = [{}]", "actions = [{}, {}]", "actions"),
        ("state = { last = 1 }", "state = { last = '1' }", "state"),
        ("state = { last = 1 }", "state = {}", "state"),
        ("absent = ['first']", "absent = ['first', 'last']", "absent"),
        ("skipped = false", "skipped = true", "skipped"),
        ("skipped = false", "skipped = 'n'", "skipped"),
        ("log = ['is 1']", "log = ['is 2']", "log"),
        ("emits = []", "emits = [{ again = true }]", "emits"),
        ("failures = []", "failures = ['no']", "failures"),
        ("notes = ['value at `key`']", "notes = []", "notes"),
    ] {
        assert_eq!(
            failing(&format!("event = '{{\"n\": 1}}'\n{met}")),
            none,
            "{met}"
        );
        assert_eq!(
            failing(&format!("event = '{{\"n\": 1}}'\n{failed}")),
            [key],
            "{failed}"
        );
    }
}

#[test]
fn failures_skips_and_emitted_events_are_checked() {
    let none: [&str; 0] = [];
    assert_eq!(
        failing("event = '{\"n\": 99}'\nfailures = ['no']\nmatches = true"),
        none
    );
    assert_eq!(
        failing("event = '{\"n\": 99}'"),
        ["failures"],
        "an unexpected failure"
    );
    assert_eq!(
        failing("event = '{\"n\": 98}'\nskipped = 'purpose'\nactions = []"),
        none
    );
    assert_eq!(
        failing("event = '{\"n\": 98}'\nskipped = 'accident'"),
        ["skipped"]
    );
    assert_eq!(
        failing(
            "event = '{\"n\": 97, \"key\": 1}'\nemits = [{ again = true }]\nactions = [{}, {}]"
        ),
        none
    );
}

#[test]
fn the_clock_advances_from_step_to_step() {
    let steps = "[[test.step]]\nevent = '{\"n\": 1, \"key\": 0}'\nactions = [{}]\n\
        [[test.step]]\nat = '9m'\nevents = ['{\"n\": 2, \"key\": 0}', '{\"n\": 3, \"key\": 0}']\n\
         matches = true\n\
        actions = []\nstate = { last = 1 }\nnotes = []\n\
        [[test.step]]\nat = '10m'\nevent = '{\"n\": 4, \"key\": 0}'\nactions = [{ text = '4' }]\n";
    assert_eq!(failing(steps), [""; 0]);
    assert_eq!(failing(&steps.replace("10m", "9m 59s")), ["actions2"]);
    assert_eq!(
        failing(&steps.replace("matches = true", "matches = [true, false]")),
        ["matches1"]
    );
}

#[test]
fn events_are_read_from_files_in_any_envelope() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "event.json",
        r#"{"id": "1", "source": "acs.ecs", "specversion": "1.0",
            "type": "ecs:Disk:Stalled", "data": {"diskId": "d-1"}}"#,
    );
    let rule = "when = 'content.diskId exists'\nnotify = 'team'\n\
        [[test]]\nname = 'x'\nmatches = true\nevent_file = 'event.json'\n";
    write("a.toml", rule);
    let report = reflexarc::RuleSet::load(folder.path()).unwrap().test("");
    assert!(
        report[0].tests[0].passed(),
        "{:?}",
        report[0].tests[0].mismatches
    );

    let rules = reflexarc::RuleSet::load(folder.path()).unwrap();
    let event_files = rules.event_files();
    std::fs::remove_file(folder.path().join("event.json")).unwrap();
    assert!(!rules.test("")[0].tests[0].passed() && rules.event_files().is_empty());
    let rules = rules.with_event_files(event_files.clone());
    assert!(rules.test("")[0].tests[0].passed() && rules.event_files() == event_files);

    write("a.toml", &rule.replace("event.json", "nowhere.json"));
    let report = reflexarc::RuleSet::load(folder.path()).unwrap().test("");
    assert_eq!(report[0].tests[0].mismatches[0].key, "event_file");
}

#[test]
fn coverage_lists_what_no_test_exercised() {
    let text = format!("{RULE}\n[[test]]\nname = 'x'\nevents = ['{{\"n\": 1}}', '{{}}']\n");
    let coverage = rules(&[("a.toml", &text)]).test("")[0].coverage.clone();
    let leaves: Vec<_> = coverage
        .leaves
        .iter()
        .map(|l| (l.expression.as_str(), l.seen_true, l.seen_false))
        .collect();
    assert_eq!(
        leaves,
        [("n >= 0", true, true), ("again exists", false, true)]
    );
    let missed: Vec<_> = coverage
        .lines
        .iter()
        .filter(|(_, run)| !**run)
        .map(|(line, _)| *line)
        .collect();
    // `throw`, `skip` and `emit` are on the lines of their `if`s.
    assert_eq!(missed, [0; 0]);
    assert!(!coverage.is_full());
    assert_eq!(
        (coverage.covered(), coverage.total()),
        (3 + coverage.lines.len(), 4 + coverage.lines.len())
    );
}

#[test]
fn tests_are_selected_by_test_or_rule_name() {
    let rule = |test: &str| {
        format!("when = 'n exists'\nnotify = 'team'\n[[test]]\nname = '{test}'\nevent = '{{}}'\n")
    };
    let rules = rules(&[("a.toml", &rule("one")), ("b.toml", &rule("two"))]);
    let names = |filter: &str| {
        rules
            .test(filter)
            .iter()
            .flat_map(|r| {
                r.tests
                    .iter()
                    .map(|t| format!("{}/{}", r.rule, t.name))
                    .collect::<Vec<_>>()
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(names(""), ["a/one", "b/two"]);
    assert_eq!(names("two"), ["b/two"]);
    assert_eq!(names("a"), ["a/one"]);
    assert_eq!(names("nothing"), [""; 0]);
}

/// What `check` finds in a rule with these lines in its test.
fn findings(test: &str) -> Vec<String> {
    let file = format!("when = 'n >= 0'\nnotify = 'team'\n[[test]]\nname = 'x'\n{test}\n");
    let all = match RuleSet::compile([("a.toml", file)]) {
        Ok(rules) => rules.warnings().to_vec(),
        Err(error) => error.into_files(),
    };
    let all = all.into_iter().flat_map(|file| file.diagnostics);
    all.map(|found| format!("{} {}", found.code, found.message))
        .collect()
}

#[test]
fn a_test_that_cannot_fail_is_reported() {
    let event = "event = '{\"n\": 1}'";
    for (test, found) in [
        (event.to_owned(), "RA0412 this test asserts nothing"),
        (
            format!("{event}\nabsent = []"),
            "RA0412 this test asserts nothing",
        ),
        (
            format!("[[test.step]]\n{event}"),
            "RA0412 this test asserts nothing",
        ),
        (
            "events = []\nmatches = true".to_owned(),
            "RA0410 `events` is empty",
        ),
        (
            "event = []\nmatches = true".to_owned(),
            "RA0410 `event` is empty",
        ),
        (
            "event_file = []\nmatches = true".to_owned(),
            "RA0410 `event_file` is empty",
        ),
        (
            format!("{event}\nskipped = ''"),
            "RA0412 an empty text is a part of every text",
        ),
        (
            format!("{event}\nlog = ['a', '']"),
            "RA0412 an empty text is a part of every text",
        ),
        (
            format!("{event}\nactions = [{{ level = 'wran' }}]"),
            "RA0404 unknown level \"wran\"",
        ),
    ] {
        assert!(
            findings(&test).iter().any(|all| all == found),
            "{test}: {:?}",
            findings(&test)
        );
    }
    assert!(findings("step = []").contains(&"RA0410 `step` is empty".to_owned()));
    for test in [
        "matches = false",
        "actions = []",
        "state = {}",
        "failures = []",
        "log = []",
    ] {
        assert_eq!(findings(&format!("{event}\n{test}")), [""; 0], "{test}");
    }
    // One step with expectations is enough: others bring the rule into a state.
    let steps = format!("[[test.step]]\n{event}\n[[test.step]]\n{event}\nmatches = true");
    assert_eq!(findings(&steps), [""; 0]);
}

#[test]
fn an_empty_state_leaves_out_windows_and_expired_entries() {
    let rule = "when = 'n >= 0'\nthrottle = { every = '10m' }\n\
        then = 'if event.n == 1 { set(\"a\", 1, \"1m\"); } send(\"t\", #{});'\n\
        [[test]]\nname = 'x'\n[[test.step]]\nevent = '{\"n\": 1}'\nstate = { a = 1 }\n\
        actions = [{ payload = {} }]\n\
        [[test.step]]\nat = '1m'\nevent = '{\"n\": 2}'\nstate = {}\nabsent = 'a'\nskipped = true\n";
    let report = &rules(&[("a.toml", rule)]).test("")[0].tests[0];
    assert!(report.passed(), "{:?}", report.mismatches);
    let other = rule.replace("#{})", "#{b: 1})");
    let report = &rules(&[("a.toml", &other)]).test("")[0].tests[0];
    let keys: Vec<_> = report.mismatches.iter().map(|found| found.key).collect();
    assert_eq!(keys, ["actions"]);
}

#[test]
fn updating_and_formatting_keep_other_expectations() {
    let text = "when = 'n==1'\nthen = 'send(\"t\", event.n)'\n[[test]]\nname = 'x'\n\
        event = '{\"n\": 1}'\nactions = [{ payload = 2 }]  # sent\nstate = {}\nabsent = ['a']\n\
        skipped = false\nlog = []\n";
    let rules = rules(&[("a.toml", text)]);
    let rule = rules.get("a").unwrap();
    let updated = reflexarc::update_tests(rule, &rules.test("")[0]).unwrap();
    assert_eq!(updated, text.replace("payload = 2", "payload = 1"));
    let formatted = reflexarc::format_rule("a.toml", text).unwrap();
    assert_eq!(formatted, text.replace("n==1", "n == 1"));
}

#[test]
fn delays_and_cancelled_keys_are_checked() {
    let rule = r#"
when = 'n exists'
then = '''
if event.n == 0 { cancel("a"); cancel("b"); skip("over") }
send("t", event.n, #{ after: "90s", key: "a" });
notify("u", #{ text: "x", after: "15m" });
send("v", 1, #{ key: "b" });
'''
[[test]]
name = "x"
"#;
    let failing = |test: &str| {
        let reports = rules(&[("a.toml", &format!("{rule}{test}"))]).test("");
        let mismatches = &reports[0].tests[0].mismatches;
        mismatches.iter().map(|m| m.key).collect::<Vec<_>>()
    };
    let one = |expected: &str| failing(&format!("event = '{{\"n\": 1}}'\n{expected}"));
    let none: [&str; 0] = [];
    for actions in [
        "[{}, {}, {}]",
        "[{ after = '90s', key = 'a' }, { after = '15m' }, { key = 'b' }]",
        "[{ after = '1m 30s' }, { after = '900s', text = 'x' }, { payload = 1 }]",
    ] {
        assert_eq!(one(&format!("actions = {actions}")), none, "{actions}");
    }
    for actions in [
        "[{ after = '91s' }, {}, {}]",
        "[{ key = 'b' }, {}, {}]",
        "[{}, { after = '15m', key = 'a' }, {}]",
        "[{}, {}, { after = '1m' }]",
    ] {
        assert_eq!(
            one(&format!("actions = {actions}")),
            ["actions"],
            "{actions}"
        );
    }
    assert_eq!(one("cancelled = []"), none);
    assert_eq!(one("cancelled = ['a']"), ["cancelled"]);
    let over = |expected: &str| failing(&format!("event = '{{\"n\": 0}}'\n{expected}"));
    assert_eq!(
        over("cancelled = ['a', 'b']\nactions = []\nskipped = 'over'"),
        none
    );
    for cancelled in ["['b', 'a']", "['a']", "[]", "['a', 'b', 'c']"] {
        assert_eq!(over(&format!("cancelled = {cancelled}")), ["cancelled"]);
    }
}

#[test]
fn a_delayed_action_is_of_the_step_that_returned_it() {
    let steps = "[[test.step]]\nevent = '{\"n\": 1}'\nactions = [{ after = '1m' }]\n\
        [[test.step]]\nat = '2m'\nactions = []\ncancelled = []\n";
    let text = format!(
        "when = 'n exists'\nthen = 'send(\"t\", 1, #{{after: \"1m\"}})'\n\
         [[test]]\nname = 'x'\n{steps}"
    );
    let reports = rules(&[("a.toml", &text)]).test("");
    assert_eq!(reports[0].tests[0].mismatches, []);
}

#[test]
fn delays_of_expected_actions_are_updated() {
    let text = "when = 'n == 1'\nthen = 'send(\"t\", 1, #{after: \"90s\", key: \"k\"})'\n\
        [[test]]\nname = 'x'\nevent = '{\"n\": 1}'\n\
        actions = [{ after = \"5m\", key = \"k\" }]\n";
    let rules = rules(&[("a.toml", text)]);
    let rule = rules.get("a").unwrap();
    let updated = reflexarc::update_tests(rule, &rules.test("")[0]).unwrap();
    assert_eq!(updated, text.replace("5m", "1m30s"));
}

#[test]
fn invalid_delays_of_expected_actions_are_reported() {
    for (action, expected) in [
        ("{ after = 'soon' }", "invalid duration"),
        ("{ after = 90 }", "after"),
        ("{ key = 1 }", "key"),
        ("{ afer = '90s' }", "after"),
    ] {
        let text = format!(
            "when = 'n == 1'\nnotify = 't'\n[[test]]\nname = 'x'\nevent = '{{}}'\n\
             actions = [{action}]\n"
        );
        let invalid = RuleSet::compile([("a.toml", text)]).unwrap_err();
        let text = invalid.to_string();
        assert!(text.contains(expected), "{action}: {text}");
    }
}

#[test]
fn failed_tests_explain_events_that_do_not_match() {
    let text = r#"
when = 'result == "failed"'
notify = ["team"]
[[test]]
name = "a window of events"
[[test.step]]
event = '{"result": "failed"}'
actions = []
[[test.step]]
events = ['{"result": "Failed"}', '{"result": "success"}', '{"result": "failed"}']
matches = [true, false, true]
[[test.step]]
event = '{"other": 1}'
actions = [{}]
"#;
    let rules = RuleSet::compile([("a.toml", text)]).expect("a valid rule");
    let report = rules.test("").remove(0).tests.remove(0);
    let found: Vec<_> = report
        .mismatches
        .iter()
        .map(|mismatch| (mismatch.step, mismatch.key, mismatch.near_misses.len()))
        .collect();
    // The event of step 1 matches, and the second one of step 2 must not match.
    let expected = [
        (Some(0), "actions", 0),
        (Some(1), "matches", 1),
        (Some(2), "actions", 1),
    ];
    assert_eq!(found, expected);
    let explanation = &report.mismatches[1].near_misses[0];
    assert!(explanation.contains("ignoring case"), "{explanation}");
}
