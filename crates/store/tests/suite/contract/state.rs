//! Promises about the state of rules.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use reflexarc::RuleSet;
use reflexarc_event::{Json, NativeEvent};
use reflexarc_reaction::{State as _, StateChange};
use reflexarc_store::{EntryKind, ReadSet, Retention, Selection, Store, StoredState};

use super::Backend;
use super::timeline::{entry, in_time};
use crate::samples::{at, evaluation, incoming};

const RULES: [&str; 2] = ["a", "b"];

fn set(key: impl Into<String>, expires: Option<Timestamp>) -> StateChange {
    StateChange::Set {
        key: key.into(),
        value: Json::from(1),
        expires,
    }
}

/// Accepts an event whose evaluation changes the state of a rule.
fn change(store: &dyn Store, id: usize, rule: &str, changes: Vec<StateChange>) {
    let evaluation = evaluation(rule, vec![], changes);
    let accepted = store.accept(incoming(&id.to_string()), evaluation, at(0));
    assert!(!accepted.unwrap().duplicate);
}

fn prune(store: &dyn Store, now: Timestamp) {
    let retention = Retention {
        age: SignedDuration::from_hours(24 * 365),
        bytes: None,
        dead_letters: None,
    };
    store.prune(&retention, now).unwrap();
}

#[derive(Debug, Clone)]
enum Step {
    Set(usize, usize, Option<i64>),
    Remove(usize, usize),
    Prune(i64),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let rule_and_key = || (0..2_usize, 0..6_usize);
    prop_oneof![
        6 => (rule_and_key(), prop::option::of(0..20_i64))
            .prop_map(|((rule, key), expires)| Step::Set(rule, key, expires)),
        2 => rule_and_key().prop_map(|(rule, key)| Step::Remove(rule, key)),
        1 => (0..20_i64).prop_map(Step::Prune),
        1 => Just(Step::Reopen),
    ]
}

/// The room for entries is that of a map of them, whatever has expired, was pruned or replaced.
pub(super) fn room_for_entries_equals_the_naive_count(backend: &dyn Backend) {
    let mut store = backend.open();
    let mut naive: BTreeMap<(usize, usize), Option<i64>> = BTreeMap::new();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for id in 0..300 {
        let step = step().new_tree(&mut runner).unwrap().current();
        match &step {
            Step::Set(rule, key, expires) => {
                naive.insert((*rule, *key), *expires);
                let changes = vec![set(key.to_string(), expires.map(at))];
                change(&*store, id, RULES[*rule], changes);
            }
            Step::Remove(rule, key) => {
                naive.remove(&(*rule, *key));
                let key = key.to_string();
                change(&*store, id, RULES[*rule], vec![StateChange::Remove { key }]);
            }
            Step::Prune(now) => {
                naive.retain(|_, expires| expires.is_none_or(|at| at > *now));
                prune(&*store, at(*now));
            }
            Step::Reopen => {
                drop(store);
                store = backend.open();
            }
        }
        let reader = store.state_reader().unwrap();
        for now in [0, 7, 19] {
            for (number, rule) in RULES.iter().enumerate() {
                let live = naive
                    .iter()
                    .filter(|((of, _), _)| *of == number)
                    .filter(|(_, expires)| expires.is_none_or(|at| at > now));
                let count = live.count();
                for (added, max) in [(1, count), (1, count + 1), (0, count), (3, count), (2, 4)] {
                    let has_room = reader.has_room(rule, added, max, at(now)).unwrap();
                    let expected = count + added <= max;
                    assert_eq!(has_room, expected, "{step:?} {naive:?} {now} {added} {max}");
                }
            }
        }
        let used: BTreeMap<_, _> = store
            .rules_in_use()
            .unwrap()
            .into_iter()
            .map(|used| (used.rule, used.entries))
            .collect();
        let expected = naive.keys().fold(BTreeMap::new(), |mut counts, (rule, _)| {
            *counts.entry(RULES[*rule].to_owned()).or_default() += 1;
            counts
        });
        assert_eq!(used, expected, "{step:?}");
    }
}

/// The record of an evaluation has what was there before each change, also where the evaluation has
/// not read it.
pub(super) fn records_have_the_state_before_and_after(backend: &dyn Backend) {
    let store = &*backend.open();
    let value = |key: &str, value: i64| StateChange::Set {
        key: key.to_owned(),
        value: Json::from(value),
        expires: Some(at(60)),
    };
    let accept = |id: &str, second: i64, changes: Vec<StateChange>| {
        let evaluation = evaluation("a", vec![], changes);
        store.accept(incoming(id), evaluation, at(second)).unwrap();
    };
    accept("1", 0, vec![value("k", 1), set("$once:x", None)]);
    let key = "k".to_owned();
    let mut both = evaluation("a", vec![], vec![value("k", 2)]);
    both.rules
        .extend(evaluation("a", vec![], vec![StateChange::Remove { key }]).rules);
    store.accept(incoming("2"), both, at(1)).unwrap();
    accept("3", 2, vec![value("k", 3)]);
    // What has expired was not there, although it is in the store.
    accept("4", 60, vec![set("k", None)]);
    accept("5", 61, vec![]);
    let firing = evaluation("a", vec![], vec![set("k", None)]);
    in_time(store, move |transaction| {
        transaction.add(entry(EntryKind::Firing, 62, "f"), &firing, at(62))
    })
    .unwrap();

    let mut recorded = Vec::new();
    store
        .walk(&Selection::default(), &mut |archived| {
            let evaluation = archived.unwrap().evaluation.unwrap();
            let rules = evaluation.get("rules").unwrap().elements().iter();
            let states = rules.map(|rule| rule.get("state").map(Json::to_string));
            recorded.push(states.collect::<Vec<_>>());
            true
        })
        .unwrap();
    let one = |before: &str, after: &str| {
        let expires = match after {
            "null" => "null".to_owned(),
            _ => format!("\"{}\"", at(60)),
        };
        Some(format!(
            r#"[{{"key":"k","before":{before},"after":{after},"expires":{expires}}}]"#
        ))
    };
    let lasting = |before: &str| {
        Some(format!(
            r#"[{{"key":"k","before":{before},"after":1,"expires":null}}]"#
        ))
    };
    let expected = [
        vec![one("null", "1")],
        vec![one("1", "2"), one("2", "null")],
        vec![one("null", "3")],
        vec![lasting("null")],
        vec![None],
        vec![lasting("1")],
    ];
    assert_eq!(recorded, expected);
}

/// What an evaluation has read is current until that changes, and not longer; that there is room
/// stays true while other events add entries and there still is.
pub(super) fn reads_are_current_until_their_results_change(backend: &dyn Backend) {
    let store = backend.open();
    change(
        &*store,
        1,
        "a",
        vec![set("x", None), set("y", Some(at(60)))],
    );
    let reader = store.state_reader().unwrap();
    let read = |read: &dyn Fn(&StoredState<'_>)| {
        let state = StoredState::new(&*reader);
        read(&state);
        state.into_reads().unwrap()
    };
    let x = read(&|state| assert!(state.get("a", "x", at(0)).is_some()));
    let y = read(&|state| assert!(state.get("a", "y", at(0)).is_some()));
    let missing = read(&|state| assert!(state.get("a", "z", at(0)).is_none()));
    let room = read(&|state| assert!(state.has_room("a", 1, 4, at(0))));
    let full = read(&|state| assert!(!state.has_room("a", 1, 2, at(0))));
    let current = |now| {
        let reader = store.state_reader().unwrap();
        [&x, &y, &missing, &room, &full].map(|reads| reads.is_current(&*reader, now).unwrap())
    };
    assert_eq!(current(at(0)), [true; 5]);
    // One more entry: there was room for two.
    change(&*store, 2, "a", vec![set("u", None)]);
    assert_eq!(current(at(0)), [true; 5]);
    change(&*store, 3, "a", vec![set("z", None)]);
    assert_eq!(current(at(0)), [true, true, false, false, true]);
    // `y` has expired.
    assert_eq!(current(at(60)), [true, false, false, true, true]);
    let removed = ["x", "u", "z"].map(|key| StateChange::Remove { key: key.into() });
    change(&*store, 4, "a", removed.into());
    assert_eq!(current(at(0)), [false, true, true, true, false]);
}

/// An evaluation that only overwrites an entry depends on whether there is one, not on its value.
pub(super) fn overwriting_an_entry_depends_on_its_existence(backend: &dyn Backend) {
    let store = backend.open();
    let rule = "when = 'id exists'\nthen = 'set(\"last\", event.id); remove(\"warned\")'";
    let rules = RuleSet::compile([("a.toml", rule)]).unwrap();
    let event = NativeEvent::from_json(r#"{"id": 7}"#).unwrap();
    let evaluate = || {
        let reader = store.state_reader().unwrap();
        let state = StoredState::new(&*reader);
        let evaluation = rules.evaluate(&event, &state, at(0));
        assert_eq!(evaluation.failures, []);
        state.into_reads().unwrap()
    };
    let is_current = |reads: &ReadSet, now| {
        let reader = store.state_reader().unwrap();
        reads.is_current(&*reader, now).unwrap()
    };
    let new = evaluate();
    change(&*store, 1, "a", vec![set("last", None)]);
    assert!(!is_current(&new, at(0)), "the entry counts as one more");
    let overwriting = evaluate();
    change(&*store, 2, "a", vec![set("last", Some(at(60)))]);
    assert!(is_current(&overwriting, at(0)));
    assert!(!is_current(&overwriting, at(60)), "it has expired");
    change(&*store, 3, "a", vec![set("warned", None)]);
    assert!(!is_current(&overwriting, at(0)), "it would be removed");
}
