//! Promises about what happens in time: matches, deadlines, and entries that are no events.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use reflexarc::Evaluation;
use reflexarc_delivery::EventRef;
use reflexarc_event::{EventIdentity, Json};
use reflexarc_reaction::{KeptEvent, KeptMatch, StateChange};
use reflexarc_store::{
    Advanced, AfterCommit, DueMatch, EntryKind, EvaluateInTransaction, NewEntry, Reply, Retention,
    Selection, Store, StoreError, TimeTransaction, Timeline,
};

use super::Backend;
use crate::samples::{at, evaluation, incoming, send};

/// A match that waits until a second, of these positions.
pub(super) fn waiting(due: i64, positions: &[u64]) -> KeptMatch {
    let mut kept = KeptMatch::new("{}");
    kept.window = 7;
    kept.due = Some(at(due));
    kept.is_pending = true;
    kept.positions = positions.to_vec();
    kept
}

pub(super) fn set_match(key: &str, kept: KeptMatch) -> StateChange {
    StateChange::SetMatch {
        key: key.to_owned(),
        kept,
        event: None,
    }
}

fn remove_match(key: &str) -> StateChange {
    StateChange::RemoveMatch {
        key: key.to_owned(),
    }
}

/// An entry about event `1`, with an identity of its own.
pub(crate) fn entry(kind: EntryKind, second: i64, identity: &str) -> NewEntry {
    let event = incoming("1");
    NewEntry {
        kind,
        at: at(second),
        identity: EventIdentity {
            id: identity.to_owned(),
            ..event.identity.clone()
        },
        event: event.name,
        resource: event.identity.resource,
        detail: Json::object([("number", identity.into())]),
    }
}

/// Runs work in a transaction of its own.
pub(super) fn in_time<T: Send + 'static>(
    store: &dyn Store,
    work: impl FnOnce(&mut dyn TimeTransaction) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let (sender, result) = std::sync::mpsc::channel();
    let submitted = store.submit_time(Box::new(move |transaction| {
        sender.send(work(transaction)?).unwrap();
        Ok(None)
    }));
    submitted.wait()?;
    Ok(result.recv().unwrap())
}

/// Fires what is due: each match is removed and sends to `t`.
struct FireAll {
    fired: Mutex<Vec<DueMatch>>,
    committed: Arc<AtomicI64>,
    fails: bool,
    /// What comes later is of this time.
    latest: Timestamp,
}

impl Timeline for FireAll {
    fn advance(
        &self,
        transaction: &mut dyn TimeTransaction,
        now: Timestamp,
    ) -> Result<Advanced, StoreError> {
        let mut count = 0;
        loop {
            let due = transaction.due(now, 2, &|_, _| true)?;
            if due.is_empty() {
                break;
            }
            for due in due {
                let changes = vec![remove_match(&due.key)];
                let evaluation = evaluation(&due.rule, vec![send("t", 1)], changes);
                let mut entry = entry(EntryKind::Firing, 0, &due.key);
                entry.at = due.at;
                transaction.add(entry, &evaluation, now)?;
                self.fired.lock().unwrap().push(due);
                count += 1;
            }
        }
        if self.fails {
            return Err(StoreError::Failed("no".into()));
        }
        let committed = self.committed.clone();
        let after_commit: AfterCommit = Box::new(move || {
            committed.fetch_add(count, Ordering::Relaxed);
        });
        Ok(Advanced {
            now: now.min(self.latest),
            after_commit: Some(after_commit),
        })
    }
}

fn accept(store: &dyn Store, id: &str, second: i64, changes: Vec<StateChange>) -> i64 {
    let evaluation = evaluation("r", vec![], changes);
    let accepted = store.accept(incoming(id), evaluation, at(second)).unwrap();
    assert!(!accepted.duplicate);
    accepted.seq
}

/// The kinds and positions of all entries, and of those about an event.
fn entries(store: &dyn Store, id: Option<&str>) -> Vec<(EntryKind, i64)> {
    let selection = Selection {
        id: id.map(str::to_owned),
        ..Selection::default()
    };
    let mut found = Vec::new();
    let mut visit = |entry: Result<reflexarc_store::Archived, _>| {
        let entry = entry.unwrap();
        found.push((entry.entry, entry.seq));
        true
    };
    store.walk(&selection, &mut visit).unwrap();
    found
}

/// What is due fires before the events of a transaction, in order, and is in the archive.
pub(super) fn deadlines_come_before_events(backend: &dyn Backend) {
    let store = backend.open();
    let matches = [("c", 20), ("a", 10), ("b", 20), ("d", 30)];
    let changes = matches.map(|(key, due)| set_match(key, waiting(due, &[1])));
    assert_eq!(accept(&*store, "1", 0, changes.into()), 1);
    assert_eq!(store.next_deadline().unwrap(), Some(at(10)));
    let timeline = Arc::new(FireAll {
        fired: Mutex::default(),
        committed: Arc::default(),
        fails: false,
        latest: at(25),
    });
    store.set_timeline(timeline.clone());
    accept(&*store, "2", 26, vec![]);
    assert_eq!(
        store.newest_event().unwrap(),
        Some(at(25)),
        "as the timeline says"
    );
    let fired = timeline.fired.lock().unwrap().clone();
    let keys: Vec<&str> = fired.iter().map(|due| due.key.as_str()).collect();
    assert_eq!(keys, ["a", "b", "c"]);
    assert_eq!(timeline.committed.load(Ordering::Relaxed), 3);
    assert_eq!(store.next_deadline().unwrap(), Some(at(30)));
    let (event, firing) = (EntryKind::Event, EntryKind::Firing);
    let about = [(event, 1), (firing, 2), (firing, 3), (firing, 4)];
    assert_eq!(entries(&*store, Some("1")), about);
    assert_eq!(entries(&*store, None).last(), Some(&(event, 5)));
    let deliveries = store.deliveries(reflexarc_store::DeliveryStatus::Pending, None, 9);
    let events = deliveries.unwrap().into_iter().map(|record| record.seq);
    assert_eq!(events.collect::<Vec<_>>(), [2, 3, 4]);
    // A copy of the event is one of the event, whatever is behind it.
    let copy = store.accept(incoming("1"), Evaluation::default(), at(26));
    assert!(copy.unwrap().duplicate);
}

/// A job whose deadlines fail is not stored, and the others are.
pub(super) fn a_failing_timeline_stores_nothing(backend: &dyn Backend) {
    let store = backend.open();
    accept(&*store, "1", 0, vec![set_match("a", waiting(10, &[1]))]);
    let timeline = |fails| {
        Arc::new(FireAll {
            fired: Mutex::default(),
            committed: Arc::default(),
            fails,
            latest: Timestamp::MAX,
        })
    };
    let failing = timeline(true);
    store.set_timeline(failing.clone());
    let refused = store.accept(incoming("2"), Evaluation::default(), at(20));
    assert_eq!(refused.unwrap_err(), StoreError::Failed("no".into()));
    let (reply, accepted) = Reply::channel();
    let evaluate: EvaluateInTransaction = Box::new(|_, _, _| Ok(Evaluation::default()));
    let events = vec![(incoming("2"), evaluate)];
    store.accept_together(events, at(20), Box::new(()), reply);
    assert!(accepted.wait().is_err());
    assert_eq!(failing.committed.load(Ordering::Relaxed), 0);
    assert_eq!(entries(&*store, None), [(EntryKind::Event, 1)]);
    store.set_timeline(timeline(false));
    accept(&*store, "2", 20, vec![]);
    assert_eq!(entries(&*store, None).len(), 3);
}

/// An event that a match refers to is kept until no match does, emitted ones too.
pub(super) fn retention_keeps_what_matches_refer_to(backend: &dyn Backend) {
    let store = backend.open();
    let native = incoming("emitted").native;
    let mut emitting = evaluation("r", vec![], vec![]);
    let mut kept = waiting(10, &[1, 2]);
    kept.data = "1".into();
    emitting.rules[0].hop = 1;
    emitting.rules[0].changes = vec![
        StateChange::SetMatch {
            key: "a".into(),
            kept,
            event: Some(KeptEvent::new(2, native.clone())),
        },
        set_match("b", waiting(10, &[2])),
    ];
    let accepted = store.accept(incoming("1"), emitting, at(0)).unwrap();
    assert_eq!(accepted.seq, 1);
    accept(&*store, "2", 0, vec![]);
    let (event, emitted) = (EntryKind::Event, EntryKind::Emitted);
    let all = [(event, 1), (emitted, 2), (event, 3)];
    assert_eq!(entries(&*store, None), all);
    let reader = store.state_reader().unwrap();
    let read = reader.read_event(2).unwrap().unwrap();
    assert_eq!(read.bytes(), native.bytes());
    assert_eq!(reader.next_position().unwrap(), 4);
    let prune = || {
        let retention = Retention {
            age: SignedDuration::from_secs(1),
            ..Retention::default()
        };
        store.prune(&retention, at(100)).unwrap();
        entries(&*store, None)
    };
    assert_eq!(prune(), all[..2]);
    let remove = |key: &'static str| {
        in_time(&*store, move |transaction| {
            let entry = entry(EntryKind::Closed, 100, key);
            let evaluation = evaluation("r", vec![], vec![remove_match(key)]);
            transaction.add(entry, &evaluation, at(100))
        })
    };
    remove("a").unwrap();
    assert_eq!(prune()[0], (emitted, 2));
    remove("b").unwrap();
    assert_eq!(prune().iter().find(|(kind, _)| *kind == emitted), None);
}

/// An event that a match keeps has the position that the evaluation gave it.
pub(super) fn a_stale_position_is_refused(backend: &dyn Backend) {
    let store = backend.open();
    let stale = |position: u64| {
        let change = StateChange::SetMatch {
            key: "a".into(),
            kept: waiting(10, &[position]),
            event: Some(KeptEvent::new(position, incoming("1").native)),
        };
        let evaluation = evaluation("r", vec![], vec![change]);
        store.accept(incoming("1"), evaluation, at(0))
    };
    assert!(stale(7).is_err());
    assert!(stale(1).is_ok());
}

/// What the last one of a transaction returns runs before anything that comes later.
pub(super) fn work_in_time_ends_before_later_jobs(backend: &dyn Backend) {
    let store = backend.open();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut replies = Vec::new();
    for number in 0..200 {
        let (work, after) = (order.clone(), order.clone());
        replies.push(store.submit_time(Box::new(move |_| {
            work.lock().unwrap().push((number, "work"));
            let after: AfterCommit = Box::new(move || {
                after.lock().unwrap().push((number, "after"));
            });
            Ok(Some(after))
        })));
    }
    for reply in replies {
        reply.wait().unwrap();
    }
    let expected = (0..200).flat_map(|number| [(number, "work"), (number, "after")]);
    assert_eq!(*order.lock().unwrap(), expected.collect::<Vec<_>>());
}

/// Many with the same deadline come by rule and key, in as many steps as there need be.
pub(super) fn matches_with_one_deadline_come_by_rule_and_key(backend: &dyn Backend) {
    let store = backend.open();
    let mut expected = Vec::new();
    // The windows are numbered in another order than that of their names.
    for (number, rule) in ["z", "m", "a"].into_iter().enumerate() {
        let keys = (0..5).map(|key| format!("k{key}"));
        let changes = keys.map(|key| {
            expected.push((rule.to_owned(), key.clone()));
            set_match(&key, waiting(10, &[]))
        });
        let evaluation = evaluation(rule, vec![], changes.collect());
        store
            .accept(incoming(&number.to_string()), evaluation, at(0))
            .unwrap();
    }
    expected.sort();
    for limit in [1, 2, 4, 7, 100] {
        let expected = expected.clone();
        let undone = in_time(&*store, move |transaction| {
            let mut found = Vec::new();
            loop {
                let due = transaction.due(at(10), limit, &|_, _| true)?;
                assert!(due.len() <= limit);
                if due.is_empty() {
                    break;
                }
                for due in due {
                    assert_eq!(due.at, at(10));
                    let changes = vec![remove_match(&due.key)];
                    let evaluation = evaluation(&due.rule, vec![], changes);
                    let key = format!("{}{}", due.rule, due.key);
                    transaction.add(entry(EntryKind::Firing, 10, &key), &evaluation, at(10))?;
                    found.push((due.rule, due.key));
                }
            }
            assert_eq!(found, expected);
            // Undone, so that the next limit finds them again.
            Err::<(), _>(StoreError::Failed("undo".into()))
        });
        assert_eq!(undone.unwrap_err(), StoreError::Failed("undo".into()));
    }
}

/// The newest entry of a kind, and the clock, which goes back where it was set back.
pub(super) fn the_clock_is_the_latest_time_since_it_was_set(backend: &dyn Backend) {
    let store = backend.open();
    let clock = || store.state_reader().unwrap().clock().unwrap();
    assert_eq!(clock(), Timestamp::MIN);
    accept(&*store, "1", 100, vec![]);
    accept(&*store, "2", 90, vec![]);
    assert_eq!(clock(), at(100));
    for (kind, second) in [(EntryKind::Clock, 50), (EntryKind::Reload, 55)] {
        let number = second.to_string();
        let added = in_time(&*store, move |transaction| {
            transaction.add(entry(kind, second, &number), &Evaluation::default(), at(0))
        });
        added.unwrap();
    }
    assert_eq!(clock(), at(55));
    let newest = in_time(&*store, |transaction| {
        let kinds = [EntryKind::Clock, EntryKind::Reload, EntryKind::Resumed];
        kinds
            .map(|kind| transaction.newest(kind))
            .into_iter()
            .collect()
    });
    let newest: Vec<_> = newest.unwrap();
    let detail = |number: &str| Json::object([("number", number.into())]);
    let expected = [(at(50), detail("50")), (at(55), detail("55"))];
    assert_eq!(newest, [expected.map(Some).to_vec(), vec![None]].concat());
    assert_eq!(store.newest_event().unwrap(), Some(at(90)));
    let name = EventRef::from(&incoming("1").identity);
    assert_eq!(store.find("1").unwrap()[0].name, name);
}
