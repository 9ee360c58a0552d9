//! `once` and `throttle`: what is one key, what has none, and what opens a window.

use jiff::SignedDuration;
use proptest::prelude::*;
use reflexarc::{Code, Diagnostic, MemoryState, NativeEvent, RuleSet, Timestamp};

use crate::{event, rules};

/// Evaluates the events a minute apart; for each, whether it notifies, and its notes.
fn outcomes(rules: &RuleSet, events: &[NativeEvent]) -> Vec<(bool, Vec<String>)> {
    let mut state = MemoryState::new();
    let outcome = |(minute, event): (i64, &NativeEvent)| {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute);
        let evaluation = rules.evaluate(event, &state, now);
        assert_eq!(evaluation.failures, []);
        let [effects] = &evaluation.rules[..] else {
            panic!("one rule matches, once")
        };
        state.apply(&effects.rule, &effects.changes);
        (!effects.actions.is_empty(), effects.notes.clone())
    };
    (0..).zip(events).map(outcome).collect()
}

fn gated(gate: &str) -> RuleSet {
    let text = format!("when = 'name == \"x\"'\n{gate}\nnotify = 'team'");
    rules(&[("a.toml", &text)])
}

/// An event whose `content` has these members.
fn with_content(members: &str) -> NativeEvent {
    event(&format!(r#"{{"name": "x", "content": {{{members}}}}}"#))
}

const GATES: [&str; 2] = [
    "once = { key = 'content.key', within = '24h' }",
    "throttle = { key = 'content.key', every = '24h' }",
];

#[test]
fn an_event_without_the_key_is_not_gated() {
    for gate in GATES {
        let name = gate.split(' ').next().unwrap();
        for (members, reason) in [
            ("", "the event has no value at `content.key`"),
            (r#""Key": "1""#, "the event has no value at `content.key`"),
            (r#""key": null"#, "the value at `content.key` is null"),
            (r#""key": []"#, "the value at `content.key` is an array"),
            (r#""key": ["1"]"#, "the value at `content.key` is an array"),
            (r#""key": {}"#, "the value at `content.key` is an object"),
            (
                r#""key": {"a": 1}"#,
                "the value at `content.key` is an object",
            ),
        ] {
            let same = with_content(members);
            let note = vec![format!("{name}: not gated: {reason}")];
            assert_eq!(
                outcomes(&gated(gate), &[same.clone(), same]),
                [(true, note.clone()), (true, note)],
                "{gate} {members}"
            );
        }
    }
}

#[test]
fn a_key_of_several_paths_needs_all_of_them() {
    let rules = gated("once = { key = ['content.a', 'content.b'], within = '24h' }");
    let notified = |events: &[&str]| -> Vec<bool> {
        let events: Vec<_> = events.iter().map(|members| with_content(members)).collect();
        let outcomes = outcomes(&rules, &events).into_iter();
        outcomes.map(|(notified, _)| notified).collect()
    };
    let both = r#""a": 1, "b": 2"#;
    assert_eq!(notified(&[both, both]), [true, false]);
    assert_eq!(notified(&[both, r#""a": 2, "b": 1"#]), [true, true]);
    for half in [r#""a": 1"#, r#""b": 2"#, r#""a": 1, "b": null"#] {
        assert_eq!(
            notified(&[half, half, both, both]),
            [true, true, true, false]
        );
    }
}

#[test]
fn a_gate_without_key_is_one_window() {
    let events = [with_content(""), with_content(r#""key": 1"#)];
    let outcomes = outcomes(&gated("once = { within = '24h' }"), &events);
    assert_eq!(outcomes, [(true, vec![]), (false, vec![])]);
}

#[test]
fn one_gate_without_its_key_leaves_the_other_in_effect() {
    let gates = "once = { key = 'content.nowhere', within = '24h' }\nthrottle = { every = '24h' }";
    let outcomes = outcomes(&gated(gates), &[with_content(""), with_content("")]);
    assert!(outcomes[0].0 && !outcomes[1].0, "{outcomes:?}");
    for (_, notes) in outcomes {
        assert_eq!(
            notes,
            ["once: not gated: the event has no value at `content.nowhere`"]
        );
    }
}

#[test]
fn keys_that_filters_take_for_equal_are_one_key() {
    for (a, b, same) in [
        ("1", "1.0", true),
        ("100", "1e2", true),
        ("0", "-0", true),
        ("1", r#""1""#, false),
        ("1", "true", false),
        ("9007199254740993", "9007199254740992", false),
        (r#""10.0.0.1""#, r#""::ffff:a00:1""#, true),
        (r#""2001:DB8:0::1""#, r#""2001:db8::1""#, true),
        (r#""10.0.0.1""#, r#""10.0.0.2""#, false),
        (r#""a""#, r#""A""#, false),
        (r#""""#, r#""""#, true),
    ] {
        let event = |value| with_content(&format!(r#""key": {value}"#));
        let outcomes = outcomes(&gated(GATES[0]), &[event(a), event(b)]);
        assert_eq!(outcomes[1].0, !same, "{a} and {b}");
    }
}

#[test]
fn only_actions_and_emitted_events_open_a_window() {
    // The script does `first` at the first event and notifies at every later one.
    let second_notifies = |first: &str| {
        let rules = rules(&[(
            "a.toml",
            &format!(
                "when = 'name == \"x\"'\nthrottle = {{ every = '24h' }}\n\
                 then = 'if event.n == 1 {{ {first} }} else {{ notify(\"team\", \"n\") }}'"
            ),
        )]);
        let events = [1, 2].map(|n| event(&format!(r#"{{"name": "x", "n": {n}}}"#)));
        outcomes(&rules, &events)[1].0
    };
    for without_effect in [
        "",
        "return;",
        "log(1)",
        "set(\"a\", 1)",
        "add(\"n\", 1)",
        "skip(\"no\")",
    ] {
        assert!(second_notifies(without_effect), "{without_effect}");
    }
    for with_effect in [
        "notify(\"t\", \"x\")",
        "send(\"t\", 1)",
        "emit(#{name: \"y\"})",
    ] {
        assert!(!second_notifies(with_effect), "{with_effect}");
    }
}

#[test]
fn a_full_state_is_noted() {
    let text = "when = 'name == \"x\"'\nonce = { key = 'content.key', within = '24h' }\n\
                notify = 'team'";
    let mut limits = reflexarc::ReactionLimits::DEFAULT;
    limits.state_entries = 1;
    let sets = reflexarc::RuleSetLimits::DEFAULT;
    let rules = RuleSet::compile_with_limits([("a.toml", text)], &sets, &limits).unwrap();
    let events = [1, 2].map(|key| with_content(&format!(r#""key": {key}"#)));
    let expected = "once: no window opened: the rule has 1 state entries";
    assert_eq!(
        outcomes(&rules, &events),
        [(true, vec![]), (true, vec![expected.to_owned()])]
    );
}

proptest! {
    /// For every value at the key: two events with it share a window exactly if it is a scalar.
    #[test]
    fn windows_are_shared_by_scalars_only(
        value in "null|true|-?[1-9][0-9]{0,3}|\"[a-z]{0,3}\"|\\[[0-9]?\\]|\\{\\}|\\{\"a\":1\\}",
    ) {
        let same = with_content(&format!(r#""key": {value}"#));
        let outcomes = outcomes(&gated(GATES[0]), &[same.clone(), same]);
        let is_scalar = value != "null" && !value.starts_with(['[', '{']);
        prop_assert_eq!(outcomes[1].0, !is_scalar, "{}", value);
        prop_assert_eq!(outcomes[1].1.is_empty(), is_scalar, "{}", value);
    }
}

/// The findings about a rule with this key and these lines of tests.
fn findings(when: &str, key: &str, tests: &str) -> Vec<Diagnostic> {
    let text = format!(
        "when = '{when}'\nonce = {{ key = {key}, within = '24h' }}\nnotify = 'team'\n{tests}"
    );
    let rules = rules(&[("a.toml", &text)]);
    let found = rules.warnings().iter().flat_map(|file| &file.diagnostics);
    found
        .filter(|found| found.code == Code::UNKNOWN_KEY)
        .cloned()
        .collect()
}

#[test]
fn a_key_that_no_event_has_is_reported() {
    let failed = "content.result == \"failed\"";
    for (key, fix) in [
        ("'content.requestID'", Some("content.requestId")),
        ("'content.eniID'", Some("content.eniId")),
        (
            "['regionId', 'content.opration']",
            Some("content.operation"),
        ),
        ("'event.content.eniId'", Some("content.eniId")),
        ("'$.content.eniId'", Some("content.eniId")),
        ("'data.eniId'", Some("content.eniId")),
        ("['name', 'subject']", Some("resourceId")),
        ("'type'", None),
        ("'content.secondaryPrivateIps'", None),
        ("'content.somethingElse'", None),
        ("''", None),
    ] {
        let found = findings(failed, key, "");
        assert_eq!(found.len(), 1, "{key}: {found:?}");
        let replacement = found[0].fix.as_ref().map(|fix| fix.replacement.as_str());
        assert_eq!(replacement, fix, "{key}");
    }
}

#[test]
fn keys_that_events_may_have_are_not_reported() {
    let test = "[[test]]\nname = 'x'\nmatches = true\nevent = '{\"kind\": \"a\", \"order\": 7}'\n";
    for (when, key, tests) in [
        ("content.result == \"failed\"", "'content.requestId'", ""),
        (
            "content.result == \"failed\"",
            "['regionId', 'content.operation']",
            "",
        ),
        ("kind == \"a\"", "'order'", test),
        ("kind == \"a\" and order exists", "'order'", ""),
        (
            "kind == \"a\"",
            "'order'",
            "[[test]]\nname = 'x'\nmatches = true\nevent_file = 'a.json'\n",
        ),
    ] {
        assert_eq!(findings(when, key, tests), [], "{key}");
    }
    let other =
        "[[test]]\nname = 'x'\nmatches = true\nevent = '{\"kind\": \"a\", \"order\": []}'\n";
    assert_eq!(findings("kind == \"a\"", "'order'", other).len(), 1);
}

#[test]
fn an_empty_key_is_an_error() {
    let text = "when = 'a exists'\nonce = { key = [], within = '24h' }\nnotify = 'team'";
    let error = RuleSet::compile([("a.toml", text)]).unwrap_err();
    assert!(error.to_string().contains("`key` is empty"), "{error}");
}
