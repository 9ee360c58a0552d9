//! Disks that are full or become read-only under an open store. These need root, to mount small
//! file systems, and say so where they are left out.

use std::io::Read;
use std::path::Path;
use std::process::Command;

use jiff::SignedDuration;
use reflexarc::Evaluation;
use reflexarc_delivery::DeliveryId;
use reflexarc_event::Event;
use reflexarc_store::{
    DeliveryStatus, Incoming, Retention, Selection, SqliteStore, Store, StoreError,
};

use crate::samples::{LEASE, OPTIONS, at, attempt, dead_letter, evaluation, incoming, send};

/// A mounted file system, unmounted when dropped.
struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.0).output());
    }
}

fn run(command: &[&str], last: &Path) -> bool {
    let output = Command::new(command[0])
        .args(&command[1..])
        .arg(last)
        .output();
    output.is_ok_and(|output| output.status.success())
}

/// A small file system in memory; `None`, with a line in the output, without root.
#[expect(clippy::print_stdout, reason = "says what was left out")]
fn small_disk(folder: &Path) -> Option<Mounted<'_>> {
    let command = ["mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs"];
    if run(&command, folder) {
        return Some(Mounted(folder));
    }
    println!("left out: it needs root, to mount a small file system");
    None
}

/// An event of half a megabyte that does not compress well.
pub(crate) fn large(id: i64) -> Incoming {
    let mut random = id.unsigned_abs() + 1;
    let words = std::iter::repeat_with(|| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        format!("{random:016x}")
    });
    // Two digits compress to a byte.
    let text: String = words.take(65_000).collect();
    let event = Event::from_json(format!(r#"{{"id":"{id}","text":"{text}"}}"#)).unwrap();
    Incoming::new(event).unwrap()
}

fn everything() -> Retention {
    Retention {
        age: SignedDuration::ZERO,
        bytes: None,
        dead_letters: None,
    }
}

/// Ten dead letters.
fn dead_letters(store: &SqliteStore) -> Vec<DeliveryId> {
    let mut ids = Vec::new();
    for id in 0..10 {
        let evaluation = evaluation("r", vec![send("dead", id)], vec![]);
        let accepted = store.accept(incoming(&format!("dead-{id}")), evaluation, at(id));
        ids.extend(accepted.unwrap().deliveries);
        let claimed = store.claim("dead", at(id), LEASE, 1).unwrap().remove(0);
        let decision = dead_letter("no");
        store
            .settle(claimed, attempt("refused"), decision, at(id))
            .unwrap();
    }
    ids
}

/// Fills the store, and then the disk to its last block. Returns how many events were accepted.
fn fill(store: &SqliteStore, folder: &Path) -> i64 {
    let mut accepted = 0;
    let error = loop {
        match store.accept(large(accepted), Evaluation::default(), at(accepted)) {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, StoreError::Full);
    // Another program takes what is left.
    let zeros = std::fs::File::open("/dev/zero").map(|zeros| zeros.take(1 << 30));
    let mut filler = std::fs::File::create(folder.join("filler")).unwrap();
    assert!(std::io::copy(&mut zeros.unwrap(), &mut filler).is_err());
    accepted
}

fn count(store: &SqliteStore) -> usize {
    let mut count = 0;
    let visit = &mut |event: Result<_, _>| {
        count += usize::from(event.is_ok());
        true
    };
    store.walk(&Selection::default(), visit).unwrap();
    count
}

#[test]
fn pruning_works_on_a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_mounted) = small_disk(folder.path()) else {
        return;
    };
    let store = SqliteStore::open(&folder.path().join("store.db"), &OPTIONS).unwrap();
    let lock = store.lock_exclusive().unwrap();
    let reserve = folder.path().join("store.db.reserve");
    assert_eq!(reserve.metadata().unwrap().len(), 16 << 20);
    let accepted = fill(&store, folder.path());
    let removed = store.prune(&everything(), at(accepted + 10)).unwrap();
    assert!(removed.events >= accepted.unsigned_abs(), "{removed:?}");
    store
        .accept(incoming("after"), Evaluation::default(), at(0))
        .unwrap();
    store.submit_probe().wait().unwrap();
    drop((lock, store));
    let store = SqliteStore::open(&folder.path().join("store.db"), &OPTIONS).unwrap();
    assert_eq!(count(&store), 1);
}

#[test]
fn dead_letters_are_dropped_and_redriven_on_a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_mounted) = small_disk(folder.path()) else {
        return;
    };
    let store = SqliteStore::open(&folder.path().join("store.db"), &OPTIONS).unwrap();
    let _lock = store.lock_exclusive().unwrap();
    let letters = dead_letters(&store);
    let accepted = fill(&store, folder.path());
    assert!(store.drop_dead_letter(letters[0], at(accepted)).unwrap());
    assert!(store.redrive(letters[1], at(accepted)).unwrap());
    assert!(store.cancel(letters[1], at(accepted)).unwrap());
    let dead = store.deliveries(DeliveryStatus::Dead, None, 99).unwrap();
    assert_eq!(dead.len(), 8);
}

/// And the backup that did not fit leaves nothing behind.
#[test]
fn a_backup_to_a_full_disk_fails_and_harms_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_mounted) = small_disk(folder.path()) else {
        return;
    };
    let path = folder.path().join("store.db");
    // Removed later: opening a store needs a few pages, which the last event may have left or not.
    std::fs::write(folder.path().join("room"), vec![0; 1 << 20]).unwrap();
    let store = SqliteStore::open(&path, &OPTIONS).unwrap();
    let accepted = fill(&store, folder.path());
    std::fs::remove_file(folder.path().join("filler")).unwrap();
    let copy = folder.path().join("copy.db");
    let failed = SqliteStore::backup(&path, &copy);
    assert_eq!(failed, Err(StoreError::Full));
    let left = std::fs::read_dir(folder.path()).unwrap();
    let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["room", "store.db", "store.db-shm", "store.db-wal"]);
    // A restore that does not fit leaves the store as it is.
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("copy.db");
    SqliteStore::backup(&path, &copy).unwrap();
    drop(store);
    assert_eq!(
        SqliteStore::restore(&copy, &path, true),
        Err(StoreError::Full)
    );
    std::fs::remove_file(folder.path().join("room")).unwrap();
    let store = SqliteStore::open(&path, &OPTIONS).unwrap();
    assert_eq!(i64::try_from(count(&store)), Ok(accepted));
}

/// What the kernel does to a disk that fails: every write is an error, reads go on.
#[test]
fn a_disk_that_becomes_read_only_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (image, mount) = (folder.path().join("image"), folder.path().join("disk"));
    std::fs::create_dir(&mount).unwrap();
    let file = std::fs::File::create(&image).unwrap();
    file.set_len(96 << 20).unwrap();
    drop(file);
    let mount_image = || {
        let image = image.to_str().unwrap();
        run(&["mount", "-o", "loop", image], &mount)
    };
    if !run(&["mkfs.ext4", "-q"], &image) || !mount_image() {
        println!("left out: it needs root, mkfs.ext4 and a loop device");
        return;
    }
    let mounted = Mounted(&mount);
    let path = mount.join("store.db");
    let store = SqliteStore::open(&path, &OPTIONS).unwrap();
    let letters = dead_letters(&store);
    store
        .accept(incoming("old"), Evaluation::default(), at(20))
        .unwrap();
    assert!(run(&["mount", "-o", "remount,abort"], &mount));
    let operations = [
        store
            .accept(incoming("lost"), Evaluation::default(), at(50))
            .map(drop),
        store.submit_probe().wait(),
        store.drop_dead_letter(letters[0], at(50)).map(drop),
        store.prune(&everything(), at(50)).map(drop),
        SqliteStore::backup(&path, &mount.join("copy.db")),
    ];
    for (failures, failure) in operations.into_iter().enumerate() {
        let error = failure.expect_err(&format!("{failures} operations have failed"));
        assert!(
            matches!(
                error,
                StoreError::NotWritable { .. } | StoreError::Failed(_)
            ),
            "{error:?}"
        );
    }
    assert_eq!(count(&store), 11);
    let dead = store.deliveries(DeliveryStatus::Dead, None, 99).unwrap();
    assert_eq!(dead.len(), 10);
    drop(store);
    drop(mounted);
    // The machine starts again.
    run(&["fsck.ext4", "-p"], &image);
    assert!(mount_image());
    let _mounted = Mounted(&mount);
    let store = SqliteStore::open(&path, &OPTIONS).unwrap();
    assert_eq!(count(&store), 11);
    assert!(store.find("lost").unwrap().is_empty());
    assert!(store.drop_dead_letter(letters[0], at(60)).unwrap());
}
