//! Crashes: what the disk has at any moment is a store in which each transaction is whole or
//! absent.

use std::collections::BTreeSet;
use std::path::Path;

use reflexarc::Evaluation;
use reflexarc_reaction::{KeptMatch, StateChange};
use reflexarc_store::{
    Archived, DeliveryStatus, EntryKind, NewEntry, Selection, SqliteStore, Store, StoreCheck,
    TimeTransaction,
};

use crate::samples::{at, evaluation, incoming, open, send};

/// Matches that are opened, and all but the last of which fire.
const MATCHES: u32 = 12;

/// A match of the event at this position, which is due a second after it for each number.
fn opening(number: u64) -> Evaluation {
    let mut kept = KeptMatch::new("{}");
    kept.due = Some(at(100 + number.cast_signed()));
    (kept.is_pending, kept.positions) = (true, vec![number]);
    let key = number.to_string();
    let change = StateChange::SetMatch {
        key,
        kept,
        event: None,
    };
    evaluation("r", vec![], vec![change])
}

/// Fires the first match that is due: its entry, its delivery and its end.
fn fire(transaction: &mut dyn TimeTransaction) {
    let due = transaction
        .due(at(1_000), 1, &|_, _| true)
        .unwrap()
        .remove(0);
    let key = due.key.clone();
    let changes = vec![StateChange::RemoveMatch { key }];
    let event = incoming(&due.key);
    let entry = NewEntry {
        kind: EntryKind::Firing,
        at: due.at,
        identity: event.identity.clone(),
        event: event.name,
        resource: event.identity.resource,
        detail: reflexarc_event::Json::object([("key", due.key.as_str().into())]),
    };
    let fired = evaluation("r", vec![send("t", 1)], changes);
    transaction.add(entry, &fired, at(1_000)).unwrap();
}

/// What a store has: its matches, and the firings and deliveries of the others.
fn state_of(store: &SqliteStore) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut check = StoreCheck::default();
    while !check.is_done {
        store.check(&mut check).unwrap();
    }
    assert_eq!(check.damage, []);
    let (mut opened, mut fired) = (BTreeSet::new(), BTreeSet::new());
    let mut visit = |entry: Result<Archived, _>| {
        let entry = entry.unwrap();
        let of_kind = match entry.entry {
            EntryKind::Event => &mut opened,
            _ => &mut fired,
        };
        assert!(of_kind.insert(entry.name.id), "twice");
        true
    };
    store.walk(&Selection::default(), &mut visit).unwrap();
    let reader = store.state_reader().unwrap();
    let waits = |key: &String| reader.read_match("r", key, at(0)).unwrap().is_some();
    let waiting: BTreeSet<String> = opened.iter().filter(|key| waits(key)).cloned().collect();
    let ended: BTreeSet<String> = opened.difference(&waiting).cloned().collect();
    assert_eq!(ended, fired, "each match waits or has fired");
    let deliveries = store.deliveries(DeliveryStatus::Pending, None, 1_000);
    let sent = deliveries.unwrap().into_iter();
    assert!(
        sent.map(|record| record.delivery.event.id)
            .eq(sorted(&fired))
    );
    (waiting, fired)
}

/// In the order in which they fire.
fn sorted(keys: &BTreeSet<String>) -> Vec<String> {
    let mut keys: Vec<String> = keys.iter().cloned().collect();
    keys.sort_by_key(|key| key.parse::<u64>().unwrap());
    keys
}

/// Copies the files of a store as they are, as a crash leaves them; of the log, so many bytes.
fn copy(from: &Path, to: &Path, log_bytes: usize) {
    let log = std::fs::read(from.join("store.db-wal")).unwrap();
    std::fs::copy(from.join("store.db"), to.join("store.db")).unwrap();
    let log = &log[..log_bytes.min(log.len())];
    std::fs::write(to.join("store.db-wal"), log).unwrap();
}

#[test]
fn a_log_that_ends_anywhere_has_whole_transactions() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for number in 1..=u64::from(MATCHES) {
        let event = incoming(&number.to_string());
        store.accept(event, opening(number), at(0)).unwrap();
    }
    for _ in 1..MATCHES {
        let fired = store.submit_time(Box::new(|transaction| {
            fire(transaction);
            Ok(None)
        }));
        fired.wait().unwrap();
    }
    let (waiting, fired) = state_of(&store);
    assert_eq!((waiting.len(), fired.len()), (1, MATCHES as usize - 1));
    let copied = tempfile::tempdir().unwrap();
    SqliteStore::backup(store.path(), &copied.path().join("store.db")).unwrap();
    assert_eq!(state_of(&open(copied.path())), state_of(&store));
    let log = folder.path().join("store.db-wal").metadata().unwrap().len();
    let log = usize::try_from(log).unwrap();
    let (mut states, mut last) = (BTreeSet::new(), 0);
    // A frame is a page of 4,096 bytes and its header of 24; the log has one of 32.
    for end in (32..=log).step_by(4_120 / 2) {
        let crashed = tempfile::tempdir().unwrap();
        copy(folder.path(), crashed.path(), end);
        let (waiting, fired) = state_of(&open(crashed.path()));
        let progress = waiting.len() + 2 * fired.len();
        assert!(progress >= last, "what was there is gone at {end}");
        last = progress;
        states.insert((waiting.len(), fired.len()));
    }
    // Each transaction is one state more.
    assert_eq!(states.len(), 2 * MATCHES as usize);
}

#[test]
fn nothing_of_an_open_transaction_is_found_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for number in 1..=u64::from(MATCHES) {
        let event = incoming(&number.to_string());
        store.accept(event, opening(number), at(0)).unwrap();
    }
    let crashed = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().to_owned(), crashed.path().to_owned());
    let work = store.submit_time(Box::new(move |transaction| {
        fire(transaction);
        fire(transaction);
        copy(&from, &to, usize::MAX);
        Ok(None)
    }));
    work.wait().unwrap();
    assert_eq!(state_of(&store).1.len(), 2);
    assert_eq!(state_of(&open(crashed.path())).1.len(), 0);
}
