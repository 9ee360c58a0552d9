//! How much is in a store does not decide how long opening it takes, and removing what is old does
//! not hold up what is new.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use jiff::SignedDuration;
use reflexarc::Evaluation;
use reflexarc_store::{Retention, SqliteStore, Store};

use crate::samples::{OPTIONS, at, evaluation, incoming, open, send};

/// A file of version 0.1.0.
const OLD_STORE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/fixtures/0.1.0/reflexarc.db"
);

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

/// What retention costs others: acceptance while the archive is pruned, with dead letters that are
/// dropped. `REFLEXARC_PRUNE=30000` for the figures of RESULTS.md.
#[test]
fn events_are_accepted_while_the_archive_is_pruned() {
    let events = std::env::var("REFLEXARC_PRUNE").ok();
    let events: u32 = events.and_then(|text| text.parse().ok()).unwrap_or(3_000);
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fill(&store, events);
    // All but the dead letters is done.
    let direct = rusqlite::Connection::open(store.path()).unwrap();
    let done = "UPDATE delivery SET status = 1, claimed = 0 WHERE status = 0";
    direct.execute_batch(done).unwrap();
    let second = i64::from(events) + 1_000;
    let accept = |name: &str, count: u32| {
        let mut times = Vec::new();
        for event in 0..count {
            let begun = Instant::now();
            let evaluation = evaluation("r", vec![send("other", 1)], vec![]);
            let incoming = incoming(&format!("{name}-{event}"));
            store.accept(incoming, evaluation, at(second)).unwrap();
            times.push(begun.elapsed());
        }
        times
    };
    let alone = accept("alone", 300);
    let is_done = AtomicBool::new(false);
    let (beside, took, pruned) = std::thread::scope(|scope| {
        let pruning = scope.spawn(|| {
            let second = SignedDuration::from_secs(1);
            let keep = Retention {
                age: second,
                bytes: None,
                dead_letters: Some(second),
            };
            let begun = Instant::now();
            let pruned = store.prune(&keep, at(i64::from(events) + 900)).unwrap();
            is_done.store(true, Ordering::Relaxed);
            (pruned, begun.elapsed())
        });
        let mut beside = Vec::new();
        while !is_done.load(Ordering::Relaxed) {
            beside.extend(accept(&format!("beside-{}", beside.len()), 10));
        }
        let (pruned, took) = pruning.join().unwrap();
        (beside, took, pruned)
    });
    assert_eq!(pruned.events, u64::from(events));
    let print = |name: &str, mut times: Vec<std::time::Duration>| {
        times.sort();
        let (p50, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        let max = times[times.len() - 1];
        println!(
            "{name}: {} events, p50 {p50:?}, p99 {p99:?}, max {max:?}",
            times.len()
        );
    };
    print("alone", alone);
    print("beside", beside);
    println!("{events} events pruned in {took:?}");
    assert_eq!(store.find("alone-0").unwrap().len(), 1);
}

/// Programs that open a store at one time: one creates or updates the tables, the others wait.
#[test]
fn several_programs_create_or_update_a_store_at_one_time() {
    let open_together = |path: &Path| {
        let barrier = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            let programs: [_; 4] = std::array::from_fn(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    SqliteStore::open(path, &OPTIONS).map(drop)
                })
            });
            for program in programs {
                program.join().unwrap().unwrap();
            }
        });
        assert!(!SqliteStore::version(path).unwrap().needs_migration());
    };
    for round in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new.db");
        if round % 2 == 1 {
            std::fs::write(&path, "").unwrap();
        }
        open_together(&path);
        let old = folder.path().join("old.db");
        std::fs::copy(OLD_STORE, &old).unwrap();
        let version = SqliteStore::version(&old).unwrap();
        assert!(version.needs_migration(), "{version:?}");
        open_together(&old);
    }
}

#[cfg(feature = "cluster")]
#[test]
fn several_nodes_create_a_database_at_one_time() {
    for _ in 0..4 {
        let Some(schema) = crate::server::Schema::new() else {
            return;
        };
        let url = schema.url();
        let found = || reflexarc_store::PostgresStore::version(&url).unwrap().found;
        assert_eq!(found(), None);
        std::thread::scope(|scope| {
            let nodes: [_; 4] = std::array::from_fn(|_| scope.spawn(|| schema.connect().map(drop)));
            for node in nodes {
                node.join().unwrap().unwrap();
            }
        });
        assert!(found().is_some());
        assert_eq!(schema.number("SELECT count(*) FROM schema_version"), 1);
    }
}
