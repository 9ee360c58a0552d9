//! Evaluations in two parts equal those in one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use reflexarc::{
    Entry, Evaluation, KeptMatches, MemoryState, NativeEvent, NoState, PreparedEvaluation, RuleSet,
    State, Timestamp, sealed,
};

use crate::rules;

/// Reactions with state, without, with both, and those that fail, emit or exceed a limit.
const RULES: [(&str, &str); 20] = [
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
    (
        "overwrite",
        "then = 'set(\"last\", event.n); remove(\"warned\"); if event.n == 5 { set(\"warned\", 1) }'",
    ),
    (
        "expire",
        "then = 'if get(\"k\") == () { set(\"k\", event.n, \"2s\") } send(\"t\", add(\"k\", 1))'",
    ),
    (
        "full",
        "then = 'set(`k${event.n}`, now, \"3s\")'\nstate = { max_entries = 2 }",
    ),
    (
        "full_gate",
        "notify = [\"team\"]\nonce = { key = \"n\", within = \"2s\" }\nstate = { max_entries = 2 }",
    ),
    (
        "throw_some",
        "then = 'if add(\"n\", 1) % 2 == 0 { remove(\"n\"); throw \"even\" } send(\"t\", 1)'",
    ),
    (
        "emit_counted",
        "then = 'emit(#{n: add(\"n\", 1), from: \"emit\"}); set(\"large\", event)'",
    ),
];

/// A state that answers each read from one of several states, as one that changes while a reaction
/// runs.
struct ChangingState {
    states: Vec<MemoryState>,
    /// Random bits.
    choice: AtomicU64,
}

impl ChangingState {
    fn state(&self) -> &MemoryState {
        let choice = self.choice.load(Ordering::Relaxed);
        self.choice.store(choice.rotate_left(7), Ordering::Relaxed);
        let count = u64::try_from(self.states.len()).unwrap();
        &self.states[usize::try_from(choice % count).unwrap()]
    }
}

impl sealed::Sealed for ChangingState {}

impl State for ChangingState {
    fn get(&self, rule: &str, key: &str, now: Timestamp) -> Option<Arc<Entry>> {
        self.state().get(rule, key, now)
    }

    fn contains(&self, rule: &str, key: &str, now: Timestamp) -> bool {
        self.state().contains(rule, key, now)
    }

    fn has_room(&self, rule: &str, added: usize, max: usize, now: Timestamp) -> bool {
        self.state().has_room(rule, added, max, now)
    }

    fn matches(&self) -> &dyn KeptMatches {
        &NoState
    }
}

/// An event of the property.
#[derive(Debug, Clone)]
struct Step {
    n: i64,
    /// Seconds from the event before it; the times of events jump both ways.
    pause: i64,
    /// How many events before it are not evaluated yet when it is prepared.
    lag: usize,
    /// Which of the states up to then its reads see.
    choice: u64,
    /// Whether what has expired is removed after it.
    removes_expired: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let lag = prop_oneof![2 => Just(0_usize), 3 => 0..8_usize];
    // Often the latest state, so that reads hold.
    let choice = prop_oneof![Just(0), any::<u64>()];
    (0..6_i64, -1..3_i64, lag, choice, any::<bool>()).prop_map(
        |(n, pause, lag, choice, removes_expired)| Step {
            n,
            pause,
            lag,
            choice,
            removes_expired,
        },
    )
}

/// A rule set of the rules whose bits are set.
fn rule_set(selected: u32) -> RuleSet {
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
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn prepared_evaluations_equal_those_in_one_part(
        selected in 0..1_u32 << RULES.len(),
        steps in prop::collection::vec(step(), 1..16),
    ) {
        let rules = rule_set(selected);
        let mut now = Timestamp::UNIX_EPOCH;
        let mut events: VecDeque<_> = steps
            .into_iter()
            .enumerate()
            .map(|(number, step)| {
                now += jiff::SignedDuration::from_secs(step.pause);
                let event = NativeEvent::from_json(format!("{{\"n\": {}}}", step.n)).unwrap();
                (number, event, now, step)
            })
            .collect();
        let (mut state, mut naive_state) = (MemoryState::new(), MemoryState::new());
        let mut prepared = VecDeque::new();
        let mut states = Vec::new();
        for turn in 0..events.len() {
            // The latest first.
            states.insert(0, state.clone());
            while let Some((.., step)) = events
                .front()
                .filter(|(number, .., step)| number.saturating_sub(step.lag) <= turn)
            {
                let seen = ChangingState {
                    states: states.iter().take(6).cloned().collect(),
                    choice: step.choice.into(),
                };
                let (_, event, now, step) = events.pop_front().unwrap();
                let first = rules.prepare(&event, rules.matching(&event), now, &seen);
                prepared.push_back((event, now, step, first));
            }
            let (event, now, step, first) = prepared.pop_front().unwrap();
            let naive = rules.evaluate(&event, &naive_state, now);
            let evaluation = rules.evaluate_prepared(&event, first, &state);
            prop_assert_eq!(format!("{evaluation:?}"), format!("{naive:?}"));
            apply(&mut naive_state, &naive);
            apply(&mut state, &evaluation);
            if step.removes_expired {
                state.remove_expired(now);
                naive_state.remove_expired(now);
            }
            prop_assert_eq!(&state, &naive_state);
        }
    }
}

/// For each of some events, the bytes that are prepared with an empty state while the entry that
/// the rule counts in changes with every event.
fn bytes_ahead(rules: &RuleSet, events: usize) -> Vec<usize> {
    let (mut state, now) = (MemoryState::new(), Timestamp::UNIX_EPOCH);
    let event = crate::event(r#"{"n": 1}"#);
    let evaluate = |_| {
        let matched = rules.matching(&event);
        let prepared: PreparedEvaluation = rules.prepare(&event, matched, now, &MemoryState::new());
        let bytes = prepared.bytes();
        let evaluation = rules.evaluate_prepared(&event, prepared, &state);
        apply(&mut state, &evaluation);
        bytes
    };
    let bytes = (0..events).map(evaluate).collect();
    let count = state
        .get("count", "n", now)
        .map(|entry| entry.value.clone());
    let expected = i64::try_from(events).unwrap();
    assert_eq!(count.and_then(|count| count.as_i64()), Some(expected));
    bytes
}

#[test]
fn rules_that_run_ahead_in_vain_run_in_their_turn() {
    let count = "when = 'n exists'\nthen = 'add(\"n\", 1)'";
    let bytes = bytes_ahead(&rules(&[("count.toml", count)]), 400);
    assert!(bytes[..30].iter().all(|bytes| *bytes > 0));
    let later = bytes[100..].iter().filter(|bytes| **bytes > 0).count();
    assert!((5..20).contains(&later), "{later} of 300");
}

#[test]
fn what_was_read_ahead_counts_as_prepared_bytes() {
    let rules = rules(&[("a.toml", "when = 'n exists'\nthen = 'get(\"k\")'")]);
    let (event, now) = (crate::event(r#"{"n": 1}"#), Timestamp::UNIX_EPOCH);
    let mut state = MemoryState::new();
    let bytes = |state: &MemoryState| {
        let matched = rules.matching(&event);
        rules.prepare(&event, matched, now, state).bytes()
    };
    assert_eq!(bytes(&state), 1);
    let texts = vec![reflexarc::Json::from("x".repeat(500)); 100];
    state.insert("a", "k", Entry::new(texts.into()));
    assert!(
        (50_000..60_000).contains(&bytes(&state)),
        "{}",
        bytes(&state)
    );
}
