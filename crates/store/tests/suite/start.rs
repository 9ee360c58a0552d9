//! What opening a store reads does not depend on how much is in it.

use std::path::Path;

use reflexarc::Evaluation;
use reflexarc_store::{SqliteStore, Store};

use crate::samples::{OPTIONS, at, evaluation, incoming, open, send};

/// Bytes that this thread has read from files.
fn bytes_read() -> u64 {
    let counters = std::fs::read_to_string("/proc/thread-self/io").unwrap();
    let line = counters.lines().find(|line| line.starts_with("rchar:"));
    line.unwrap()["rchar:".len()..].trim().parse().unwrap()
}

/// Copies the rows of the first event until there are `events`, with two deliveries each, of which
/// one waits and one is a dead letter; and as many state entries and fingerprints.
fn fill(store: &SqliteStore, events: u32) {
    let evaluation = evaluation("r", vec![send("t", 1)], vec![]);
    store.accept(incoming("1"), evaluation, at(0)).unwrap();
    let direct = rusqlite::Connection::open(store.path()).unwrap();
    let batch = format!(
        "CREATE TEMP TABLE n AS WITH RECURSIVE n(i) AS
             (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {events}) SELECT i FROM n;
         BEGIN;
         INSERT INTO archive (seq, source, id, kind, resource, received, size, body)
             SELECT i, source, i, kind, resource, received + i, size, body FROM archive, n
             WHERE seq = 1;
         INSERT INTO delivery (id, seq, source, event, resource, rule, target, action, created,
                               since, due, set_at, claimed)
             SELECT randomblob(16), i, source, i, resource, rule, target, action, created, since,
                    due, set_at, 1 FROM delivery, n WHERE seq = 1;
         INSERT INTO delivery (id, seq, source, event, resource, rule, target, action, created,
                               since, due, set_at, status, finished)
             SELECT randomblob(16), i, source, i, resource, rule, target, action, created, since,
                    due, set_at, 2, created FROM delivery, n WHERE seq = 1;
         INSERT INTO state SELECT 'r', i, '1', NULL FROM n;
         INSERT INTO seen SELECT randomblob(16), i, 0 FROM n;
         COMMIT; PRAGMA wal_checkpoint(TRUNCATE);"
    );
    direct.execute_batch(&batch).unwrap();
}

/// Bytes that are read until the store can accept events; the connections are closed before, so
/// that nothing is in their caches.
fn bytes_read_at_start(folder: &Path) -> u64 {
    let before = bytes_read();
    let store = SqliteStore::open(&folder.join("store.db"), &OPTIONS).unwrap();
    let _lock = store.lock_exclusive().unwrap();
    store.newest_event().unwrap();
    drop(store.state_reader().unwrap());
    bytes_read() - before
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "needs /proc")]
fn a_start_reads_as_little_of_a_large_store_as_of_a_small_one() {
    let read = [100, 20_000].map(|events| {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        fill(&store, events);
        drop(store);
        let size = folder.path().join("store.db").metadata().unwrap().len();
        (size, bytes_read_at_start(folder.path()))
    });
    let [(small, of_small), (large, of_large)] = read;
    assert!(large > 50 * small && large > 8 << 20, "{read:?}");
    // One more level of a few trees.
    assert!(of_large <= of_small + (64 << 10), "{read:?}");
    assert!(of_large < 256 << 10, "{read:?}");
}

#[test]
fn claims_of_a_large_outbox_are_released_in_steps() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fill(&store, 5_000);
    // All but the first, which is not claimed.
    assert_eq!(store.release_claims(at(1)).unwrap(), 4_999);
    assert_eq!(store.release_claims(at(1)).unwrap(), 0);
    let event = store.accept(incoming("after"), Evaluation::default(), at(2));
    assert!(!event.unwrap().duplicate);
}
