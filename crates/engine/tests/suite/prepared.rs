//! Evaluations in two parts equal those in one.

use proptest::prelude::*;
use reflexarc::{Evaluation, MemoryState, NativeEvent, RuleSet, Timestamp};

use crate::rules;

/// Reactions with state, without, with both, and those that fail, emit or exceed a limit.
const RULES: [(&str, &str); 14] = [
    ("count", "then = 'send(\"t\", add(\"n\", 1))'"),
    (
        "count_some",
        "then = 'if event.n > 3 { set(\"n\", event.n) } send(\"t\", get(\"n\"))'",
    ),
    ("send", "then = 'send(\"t\", event)'"),
    ("log", "then = 'log(event.n); log(now)'"),
    (
        "skip",
        "then = 'if event.n == 2 { skip(\"two\") } send(\"t\", 1)'",
    ),
    (
        "throw",
        "then = 'if event.n == 1 { throw `no ${event.n}` } send(\"t\", 1)'",
    ),
    ("endless", "then = 'if event.n == 4 { loop {} }'"),
    ("emit", "then = 'emit(#{n: event.n + 1, from: \"emit\"})'"),
    (
        "emit_much",
        "then = 'for i in 0..30 { emit(#{n: 9, i: i}) }'",
    ),
    (
        "method",
        "then = '\"n\".set(event.n); send(\"t\", \"n\".get())'",
    ),
    (
        "break_value",
        "then = 'let x = loop { break add(\"n\", 1) }; send(\"t\", x)'",
    ),
    (
        "function",
        "then = 'fn f(x) { add(\"n\", x) } send(\"t\", f(event.n))'",
    ),
    (
        "once",
        "then = 'send(\"t\", event.n)'\nonce = { key = \"n\", within = \"5s\" }",
    ),
    (
        "throttle",
        "notify = [\"team\"]\nthrottle = { every = \"3s\" }",
    ),
];

/// A rule set of the rules whose bits are set.
fn rule_set(selected: u16) -> RuleSet {
    let selected = RULES
        .iter()
        .enumerate()
        .filter(|(bit, _)| selected >> bit & 1 == 1);
    let files: Vec<_> = selected
        .map(|(_, (name, reaction))| {
            // An endless cycle of events would only test the limit of hops.
            let when = if name.starts_with("emit") {
                "n exists and not (from exists or i exists)"
            } else {
                "n exists"
            };
            (
                format!("{name}.toml"),
                format!("when = '{when}'\n{reaction}"),
            )
        })
        .collect();
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    rules(&files)
}

fn apply(state: &mut MemoryState, evaluation: &Evaluation) {
    for (rule, changes) in evaluation.changes() {
        state.apply(rule, changes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn prepared_evaluations_equal_those_in_one_part(
        selected in 0..1_u16 << RULES.len(),
        numbers in prop::collection::vec((0..6_i64, 0..3_i64), 1..8),
    ) {
        let rules = rule_set(selected);
        let (mut state, mut naive_state) = (MemoryState::new(), MemoryState::new());
        let mut now = Timestamp::UNIX_EPOCH;
        // All events are prepared before the first is evaluated, as by a thread far ahead.
        let prepared: Vec<_> = numbers
            .iter()
            .map(|(n, pause)| {
                now += jiff::SignedDuration::from_secs(*pause);
                let event = NativeEvent::from_json(format!("{{\"n\": {n}}}")).unwrap();
                let prepared = rules.prepare(&event, rules.matching(&event), now);
                (event, now, prepared)
            })
            .collect();
        for (event, now, prepared) in prepared {
            let naive = rules.evaluate(&event, &naive_state, now);
            let evaluation = rules.evaluate_prepared(&event, prepared, &state);
            prop_assert_eq!(format!("{evaluation:?}"), format!("{naive:?}"));
            apply(&mut naive_state, &naive);
            apply(&mut state, &evaluation);
            prop_assert_eq!(&state, &naive_state);
        }
    }
}

#[test]
fn only_reactions_without_state_run_ahead() {
    let prepared_bytes = |reaction: &str| {
        let rules = rules(&[("a.toml", &format!("when = 'n exists'\n{reaction}"))]);
        let event = crate::event(r#"{"n": 1}"#);
        let matched = rules.matching(&event);
        rules
            .prepare(&event, matched, Timestamp::UNIX_EPOCH)
            .bytes()
    };
    assert!(prepared_bytes("then = 'send(\"t\", event.n)'") > 0);
    assert!(prepared_bytes("notify = ['team']") > 0);
    for reaction in [
        "then = 'send(\"t\", get(\"n\"))'",
        "then = 'send(\"t\", event.n)'\nonce = { key = \"n\", within = \"5s\" }",
        "notify = ['team']\nthrottle = { every = '3s' }",
    ] {
        assert_eq!(prepared_bytes(reaction), 0, "{reaction}");
    }
}
