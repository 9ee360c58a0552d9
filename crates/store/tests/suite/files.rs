//! Faults of the files under an open store: deleted, replaced, readable by others, read for long.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use reflexarc::Evaluation;
use reflexarc_store::{DeliveryStatus, Retention, Selection, SqliteStore, Store, StoreError};

use crate::disks::large;
use crate::samples::{OPTIONS, at, evaluation, incoming, open, send};

fn accept(store: &SqliteStore, id: &str) -> Result<(), StoreError> {
    let evaluation = evaluation("r", vec![send("t", 1)], vec![]);
    store.accept(incoming(id), evaluation, at(0)).map(drop)
}

fn is_gone(result: &Result<(), StoreError>) -> bool {
    matches!(result, Err(StoreError::Gone { .. }))
}

#[test]
fn a_deleted_or_replaced_file_stops_accepting() {
    for suffix in ["", "-wal", "-shm"] {
        for replaced in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let store = open(folder.path());
            accept(&store, "before").unwrap();
            let file = folder.path().join(format!("store.db{suffix}"));
            let aside = folder.path().join("aside");
            std::fs::rename(&file, &aside).unwrap();
            if replaced {
                std::fs::copy(&aside, &file).unwrap();
            }
            let case = format!("store.db{suffix}, replaced: {replaced}");
            assert!(is_gone(&accept(&store, "lost")), "{case}");
            assert!(is_gone(&store.submit_probe().wait()), "{case}");

            std::fs::rename(&aside, &file).unwrap();
            store.submit_probe().wait().unwrap();
            accept(&store, "after").unwrap();
            drop(store);
            let store = open(folder.path());
            let found = ["before", "lost", "after"].map(|id| store.find(id).unwrap().len());
            assert_eq!(found, [1, 0, 1], "{case}");
        }
    }
}

#[test]
fn the_lock_is_on_the_file_itself() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (open(folder.path()), open(folder.path()));
    let held = first.lock_exclusive().unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        // Whatever else lies beside the store can be deleted.
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if !["store.db", "store.db-wal", "store.db-shm"].contains(&name) {
            std::fs::remove_file(path).unwrap();
        }
    }
    for store in [&first, &second] {
        let refused = store.lock_exclusive();
        assert!(matches!(refused, Err(StoreError::InUse { .. })));
    }
    drop(held);
    drop(second.lock_exclusive().unwrap());
    drop(first.lock_exclusive().unwrap());
    // Neither taking nor releasing it disturbs SQLite's own locks.
    accept(&first, "1").unwrap();
    accept(&second, "2").unwrap();
}

#[test]
fn a_process_of_version_0_1_keeps_its_lock() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let file = std::fs::File::create(folder.path().join("store.db.lock")).unwrap();
    file.lock().unwrap();
    let refused = store.lock_exclusive();
    assert!(matches!(refused, Err(StoreError::InUse { .. })));
    file.unlock().unwrap();
    drop(store.lock_exclusive().unwrap());
}

#[test]
fn others_cannot_read_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let mode = |file: &Path| file.metadata().unwrap().permissions().mode() & 0o777;
    let files = || {
        let entries = std::fs::read_dir(folder.path()).unwrap();
        let files = entries.map(|entry| entry.unwrap().path());
        files.collect::<Vec<PathBuf>>()
    };
    let store = open(folder.path());
    accept(&store, "1").unwrap();
    let _lock = store.lock_exclusive().unwrap();
    assert!(files().len() >= 3);
    for file in files() {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    drop(store);
    // A store that an earlier version created.
    let path = folder.path().join("store.db");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let store = open(folder.path());
    accept(&store, "2").unwrap();
    for file in files() {
        assert_eq!(mode(&file) & 0o007, 0, "{}", file.display());
    }
}

#[test]
fn the_log_is_cut_when_a_long_read_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let log = folder.path().join("store.db-wal");
    let log_bytes = || log.metadata().unwrap().len();
    let reader = rusqlite::Connection::open(store.path()).unwrap();
    let count = "BEGIN; SELECT count(*) FROM archive";
    reader.execute_batch(count).unwrap();
    let mut id = 0;
    while log_bytes() < 40 << 20 {
        id += 1;
        store
            .accept(large(id), Evaluation::default(), at(0))
            .unwrap();
    }
    reader.execute_batch("COMMIT").unwrap();
    // The first one finds the log too large, and cuts it after its commit.
    accept(&store, "a").unwrap();
    accept(&store, "b").unwrap();
    assert!(log_bytes() <= 17 << 20, "{}", log_bytes());
}

/// Such as `archive export` with a pager that is not scrolled.
#[test]
fn walks_and_lists_that_pause_do_not_hold_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for id in 0..10 {
        accept(&store, &id.to_string()).unwrap();
    }
    let log = folder.path().join("store.db-wal");
    let mut visited = 0;
    let visit = &mut |_| {
        visited += 1;
        // Twice as much as the log may have.
        for id in 0..130 * i64::from(visited == 5) {
            let accepted = store.accept(large(id), Evaluation::default(), at(0));
            assert!(!accepted.unwrap().duplicate);
        }
        visited < 10
    };
    store.walk(&Selection::default(), visit).unwrap();
    accept(&store, "last").unwrap();
    let bytes = log.metadata().unwrap().len();
    assert!(bytes <= 33 << 20, "{bytes}");
    assert_eq!(store.log_bytes().unwrap(), bytes);
}

#[test]
fn all_that_has_expired_is_forgotten_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let direct = rusqlite::Connection::open(store.path()).unwrap();
    let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
                INSERT INTO state SELECT 'r', i, '1', i FROM n;
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
                INSERT INTO seen SELECT CAST(i AS BLOB), i, i FROM n;
                INSERT INTO state VALUES ('r', 'for ever', '1', NULL);";
    direct.execute_batch(fill).unwrap();
    store.prune(&Retention::default(), at(0)).unwrap();
    let count = |table: &str| {
        let sql = format!("SELECT count(*) FROM {table}");
        direct
            .query_row(&sql, [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    assert_eq!((count("state"), count("seen")), (1, 0));
}

#[test]
fn a_backup_is_made_under_load_and_restored() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (
        folder.path().join("store.db"),
        folder.path().join("copy.db"),
    );
    let store = open(folder.path());
    for id in 0..200 {
        accept(&store, &id.to_string()).unwrap();
    }
    let stop = AtomicBool::new(false);
    let load = || {
        let mut id = 200;
        while !stop.load(Ordering::Relaxed) {
            accept(&store, &id.to_string()).unwrap();
            id += 1;
        }
        id
    };
    let accepted = std::thread::scope(|scope| {
        let load = scope.spawn(load);
        let copied = SqliteStore::backup(&path, &copy);
        stop.store(true, Ordering::Relaxed);
        let accepted = load.join().unwrap();
        copied.unwrap();
        accepted
    });
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(
        SqliteStore::backup(&path, &copy),
        Err(StoreError::Exists { .. })
    ));

    let lock = store.lock_exclusive().unwrap();
    let refused = SqliteStore::restore(&copy, &path, true);
    assert!(
        matches!(refused, Err(StoreError::InUse { .. })),
        "{refused:?}"
    );
    accept(&store, "last").unwrap();
    drop((lock, store));
    let refused = SqliteStore::restore(&copy, &path, false);
    assert!(
        matches!(refused, Err(StoreError::Exists { .. })),
        "{refused:?}"
    );
    let mut damaged = std::fs::read(&copy).unwrap();
    let end = damaged.len();
    damaged[end - 4_096..].fill(0xA5);
    std::fs::write(folder.path().join("damaged.db"), damaged).unwrap();
    let refused = SqliteStore::restore(&folder.path().join("damaged.db"), &path, true);
    assert!(
        matches!(refused, Err(StoreError::Corrupt { .. })),
        "{refused:?}"
    );

    let aside = SqliteStore::restore(&copy, &path, true).unwrap().unwrap();
    let store = open(folder.path());
    let events = store.verify_archive().unwrap().events;
    assert!((200..=accepted).contains(&events), "{events} of {accepted}");
    assert_eq!(store.find("last").unwrap().len(), 0);
    let pending = store
        .deliveries(DeliveryStatus::Pending, None, 9_999)
        .unwrap();
    assert_eq!(pending.len() as u64, events);
    accept(&store, "after").unwrap();
    let old = SqliteStore::open(&aside, &OPTIONS).unwrap();
    assert_eq!(old.find("last").unwrap().len(), 1);
    let partial = |name: &str| folder.path().join(name).exists();
    assert!(!partial("copy.db.partial") && !partial("store.db.partial"));
}
