//! Crashes while calls are sent and answered: what the disk has at any moment is a store in which
//! each call waits for its answer, or has exactly one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use reflexarc_delivery::{ChangeLimit, Decision, DeliveryId};
use reflexarc_event::{EventIdentity, Json};
use reflexarc_reaction::{CallAnswer, OwnCode};
use reflexarc_store::{
    Archived, ChangeReservation, DeliveryStatus, EntryKind, NewEntry, Selection, SqliteStore,
    Store, StoreCheck, TimeTransaction,
};

use crate::samples::{LEASE, at, attempt, call, evaluation, incoming_of, open};

/// Calls that are made; every second one leads to another.
const CALLS: u8 = 8;

fn accept(store: &SqliteStore, number: u8) {
    let action = call("t", "Delete").with_key(number.to_string());
    let calling = evaluation("r", vec![action], vec![]);
    let event = incoming_of(&number.to_string(), "");
    store.accept(event, calling, at(number.into())).unwrap();
}

/// As the service does: the answer, its entry and what the rule does with it in one transaction.
fn process(
    transaction: &mut dyn TimeTransaction,
    id: DeliveryId,
    answer: &CallAnswer,
    second: i64,
) -> bool {
    let settled = transaction.settle_call(id, Some(&attempt("answered")), answer, at(second));
    let Some(call_made) = settled.unwrap() else {
        return false;
    };
    let goes_on = call_made.hop == 1 && second % 2 == 0;
    let next = goes_on.then(|| call("t", "Describe"));
    let mut evaluation = evaluation("r", next.into_iter().collect(), vec![]);
    evaluation.rules[0].hop = call_made.hop;
    let entry = NewEntry {
        kind: EntryKind::Answer,
        at: at(second),
        identity: EventIdentity {
            id: id.to_string(),
            ..EventIdentity::default()
        },
        event: call_made.delivery.event.clone(),
        resource: String::new(),
        detail: Json::object([
            ("delivery", id.to_string().into()),
            ("code", call_made.answer.code.as_str().into()),
        ]),
    };
    transaction.add(entry, &evaluation, at(second)).unwrap();
    true
}

/// A process that sends calls until there is none, a transaction a step.
fn work(store: &SqliteStore, mut second: i64) {
    let limit = ChangeLimit::default();
    for call in store.claim("t", at(second), LEASE, 3).unwrap() {
        second += 1;
        let reserved = store.submit_reserve_change("t", call.id, limit, at(second));
        let reserved = reserved.wait().unwrap();
        let id = call.id;
        let answer = match reserved {
            ChangeReservation::Reserved if second % 3 == 0 => {
                let retry = Decision::RetryAt(at(second));
                store
                    .settle(call, attempt("failed"), retry, at(second))
                    .unwrap();
                continue;
            }
            ChangeReservation::Reserved => CallAnswer::ok(200, Json::Null),
            _ => CallAnswer::own(OwnCode::OutcomeUnknown, "sent before"),
        };
        let answered = store.submit_time(Box::new(move |transaction| {
            assert!(process(transaction, id, &answer, second));
            Ok(None)
        }));
        answered.wait().unwrap();
    }
    let withdrawn = store.submit_time(Box::new(move |transaction| {
        for call in transaction.withdrawn_calls(2)? {
            let answer = CallAnswer::own(call.code, call.reason);
            assert!(process(transaction, call.id, &answer, second));
        }
        Ok(None)
    }));
    withdrawn.wait().unwrap();
}

/// For each call whether it was answered: exactly those that have an entry.
fn answers_of(store: &SqliteStore) -> BTreeMap<DeliveryId, bool> {
    let mut check = StoreCheck::default();
    while !check.is_done {
        store.check(&mut check).unwrap();
    }
    assert_eq!(check.damage, []);
    let mut entries = BTreeSet::new();
    let mut visit = |entry: Result<Archived, _>| {
        let entry = entry.unwrap();
        if entry.entry == EntryKind::Answer {
            let id = entry.event.tree().get("delivery").unwrap();
            let id: DeliveryId = id.as_str().unwrap().parse().unwrap();
            assert!(entries.insert(id), "{id} was answered twice");
        }
        true
    };
    store.walk(&Selection::default(), &mut visit).unwrap();
    let mut calls = BTreeMap::new();
    for (status, is_answered) in [
        (DeliveryStatus::Pending, false),
        (DeliveryStatus::Withdrawn, false),
        (DeliveryStatus::Answered, true),
    ] {
        for record in store.deliveries(status, None, 1_000).unwrap() {
            calls.insert(record.delivery.id, is_answered);
        }
    }
    let answered = calls.iter().filter(|(_, answered)| **answered);
    let answered: BTreeSet<_> = answered.map(|(id, _)| *id).collect();
    assert_eq!(answered, entries);
    calls
}

/// A next process goes on with what a crash has left, until every call has its answer.
fn finish(folder: &Path) -> BTreeMap<DeliveryId, bool> {
    let store = open(folder);
    store.release_claims(at(500)).unwrap();
    for round in 0..20 {
        work(&store, 1_000 + 100 * round);
    }
    let calls = answers_of(&store);
    assert!(calls.values().all(|answered| *answered), "{calls:?}");
    calls
}

fn copy(from: &Path, to: &Path, log_bytes: usize) {
    let log = std::fs::read(from.join("store.db-wal")).unwrap();
    std::fs::copy(from.join("store.db"), to.join("store.db")).unwrap();
    let log = &log[..log_bytes.min(log.len())];
    std::fs::write(to.join("store.db-wal"), log).unwrap();
}

#[test]
fn calls_are_answered_once_wherever_a_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for number in 0..CALLS {
        accept(&store, number);
        if number % 4 == 3 {
            // Replaces the call of that name.
            let again = call("t", "Delete").with_key(number.to_string());
            let event = incoming_of(&format!("again {number}"), "");
            let again = evaluation("r", vec![again], vec![]);
            store.accept(event, again, at(number.into())).unwrap();
        }
    }
    for round in 0..6 {
        work(&store, 20 + 10 * round);
        if round == 2 {
            let expired = store.submit_expire_calls("t", at(7), at(60));
            assert!(expired.wait().unwrap() > 0);
        }
    }
    let whole = answers_of(&store);
    assert!(whole.len() > usize::from(CALLS) + 2, "{whole:?}");
    let copied = tempfile::tempdir().unwrap();
    SqliteStore::backup(store.path(), &copied.path().join("store.db")).unwrap();
    assert_eq!(
        answers_of(&open(copied.path())),
        whole,
        "a backup has calls"
    );
    let log = folder.path().join("store.db-wal").metadata().unwrap().len();
    let log = usize::try_from(log).unwrap();
    let (mut states, mut last) = (BTreeSet::new(), 0);
    // A frame is a page of 4,096 bytes and its header of 24; the log has one of 32.
    for end in (32..=log).step_by(3 * 4_120 / 2) {
        let crashed = tempfile::tempdir().unwrap();
        copy(folder.path(), crashed.path(), end);
        let calls = answers_of(&open(crashed.path()));
        let answered = calls.values().filter(|answered| **answered).count();
        assert!(calls.len() + answered >= last, "gone at {end}");
        last = calls.len() + answered;
        states.insert((calls.len(), answered));
        let finished = finish(crashed.path());
        assert!(calls.keys().all(|id| finished.contains_key(id)));
    }
    assert!(states.len() > 15, "{states:?}");
}
