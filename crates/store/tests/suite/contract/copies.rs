//! Copies of events are recognised within the window, whatever ids are used again and whatever
//! retention has removed.

use std::cell::RefCell;
use std::collections::BTreeMap;

use jiff::SignedDuration;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reflexarc::Evaluation;
use reflexarc_event::Event;
use reflexarc_store::{Archived, DamagedEvent, Incoming, Retention, Selection, Store};

use super::Backend;
use crate::samples::{OPTIONS, at, evaluation, incoming, send};

/// What happens to the store, some seconds after what was before.
#[derive(Debug, Clone)]
enum Step {
    /// An event of this id and name comes. With an action it is kept while that is pending.
    Event {
        id: u8,
        name: u8,
        has_action: bool,
    },
    /// Events older than this many hours are removed, and all if `by_size`.
    Prune {
        hours: i64,
        by_size: bool,
    },
    Restart,
}

fn step() -> impl Strategy<Value = (i64, Step)> {
    let event = (0..3_u8, 0..3_u8, any::<bool>());
    let step = prop_oneof![
        6 => event.prop_map(|(id, name, has_action)| Step::Event { id, name, has_action }),
        2 => (0..30_i64, any::<bool>()).prop_map(|(hours, by_size)| Step::Prune { hours, by_size }),
        1 => Just(Step::Restart),
    ];
    // The window is a day.
    (
        prop::sample::select(vec![0, 1, 20_000, 43_200, 86_399, 86_400]),
        step,
    )
}

/// The naive twins are a list of all identities with the time at which each was accepted last, and
/// one of what is archived: since when, and whether a delivery of it is pending.
pub(super) fn copies_are_those_of_the_naive_list(backend: &dyn Backend) {
    let cases = backend.cases(24);
    // One store for all cases, so that later cases meet the ids of earlier ones.
    let store = RefCell::new(Some(backend.open()));
    let clock = std::cell::Cell::new(0);
    let archived: RefCell<BTreeMap<i64, (i64, bool)>> = RefCell::default();
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let window = OPTIONS.duplicate_window.as_secs();
    let property = |steps: Vec<(i64, Step)>| {
        clock.set(clock.get() + 2 * window);
        let mut known: BTreeMap<(u8, u8), i64> = BTreeMap::new();
        for (seconds, step) in &steps {
            clock.set(clock.get() + seconds);
            let now = clock.get();
            let mut store = store.borrow_mut();
            match step {
                Step::Event {
                    id,
                    name,
                    has_action,
                } => {
                    let is_copy = known.get(&(*id, *name)).is_some_and(|at| now - at < window);
                    let text = format!(r#"{{"id": "{id}", "name": "{name}"}}"#);
                    let incoming = Incoming::new(Event::from_json(text).unwrap()).unwrap();
                    let actions = if *has_action {
                        vec![send("t", 1)]
                    } else {
                        Vec::new()
                    };
                    let result = evaluation("r", actions, Vec::new());
                    let store = store.as_deref().unwrap();
                    let accepted = store.accept(incoming, result, at(now)).unwrap();
                    prop_assert_eq!(accepted.duplicate, is_copy, "{:?}", steps);
                    if !is_copy {
                        let mut archived = archived.borrow_mut();
                        archived.insert(accepted.seq, (now, *has_action));
                        known.insert((*id, *name), now);
                    }
                }
                Step::Prune { hours, by_size } => {
                    let retention = Retention {
                        age: SignedDuration::from_hours(*hours),
                        bytes: by_size.then_some(1),
                        dead_letters: None,
                    };
                    let store = store.as_deref().unwrap();
                    let pruned = store.prune(&retention, at(now)).unwrap();
                    let mut archived = archived.borrow_mut();
                    let before = archived.len();
                    archived.retain(|_, (received, is_pending)| {
                        *is_pending || !by_size && *received >= now - hours * 3_600
                    });
                    prop_assert_eq!(pruned.events, (before - archived.len()) as u64);
                    let left = archived.keys().copied().collect::<Vec<_>>();
                    prop_assert_eq!(positions(store), left, "{:?}", steps);
                }
                Step::Restart => {
                    drop(store.take());
                    *store = Some(backend.open());
                }
            }
        }
        // Else what is pending would keep its events for ever.
        let mut archived = archived.borrow_mut();
        archived
            .values_mut()
            .for_each(|(_, is_pending)| *is_pending = false);
        let store = store.borrow();
        let store = store.as_deref().unwrap();
        store
            .dead_letter_target("t", "gone".into(), at(clock.get()))
            .unwrap();
        for letter in store.newest_dead_letters(1_000).unwrap() {
            store
                .drop_dead_letter(letter.delivery.id, at(clock.get()))
                .unwrap();
        }
        Ok(())
    };
    TestRunner::new(config)
        .run(&vec(step(), 1..40), property)
        .unwrap();
}

/// The positions of all archived events.
fn positions(store: &dyn Store) -> Vec<i64> {
    let mut positions = Vec::new();
    let visit = &mut |event: Result<Archived, DamagedEvent>| {
        positions.push(event.unwrap().seq);
        true
    };
    store.walk(&Selection::default(), visit).unwrap();
    positions
}

/// Only the first event of an id has its fingerprint with it; the others are found all the same.
pub(super) fn one_id_for_all_events_is_no_obstacle(backend: &dyn Backend) {
    let store = backend.open();
    let accept = |name: usize, second| {
        let text = format!(r#"{{"id": "1", "name": "N{name}"}}"#);
        let incoming = Incoming::new(Event::from_json(text).unwrap()).unwrap();
        let accepted = store.accept(incoming, Evaluation::default(), at(second));
        accepted.unwrap()
    };
    let first: Vec<i64> = (0..50).map(|name| accept(name, 0).seq).collect();
    for (name, seq) in first.iter().enumerate() {
        let copy = accept(name, 60);
        assert_eq!((copy.duplicate, copy.seq), (true, *seq));
    }
}

pub(super) fn a_copy_of_a_removed_event_is_recognised(backend: &dyn Backend) {
    let store = backend.open();
    let accept = |second| {
        let accepted = store.accept(incoming("1"), Evaluation::default(), at(second));
        accepted.unwrap().duplicate
    };
    assert!(!accept(0));
    let all = Retention {
        age: SignedDuration::ZERO,
        ..Retention::default()
    };
    assert_eq!(store.prune(&all, at(60)).unwrap().events, 1);
    assert!(store.find("1").unwrap().is_empty());
    assert!(accept(120));
    assert!(!accept(86_400));
}
