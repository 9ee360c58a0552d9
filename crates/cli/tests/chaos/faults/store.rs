//! Faults of the disk and the files of the store.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::seconds;
use crate::fault::{Fault, Part, Sign, end_with};
use crate::random::Random;
use crate::world::World;

/// Another program fills the disk, and takes what becomes free.
pub(super) fn disk_full(world: &World, random: &mut Random) -> Option<Fault> {
    world.disk.as_ref()?;
    Some(Fault {
        name: "disk full".to_owned(),
        part: Part::Store,
        lasts: seconds(random, 5, 20),
        // What has room in the store's log is written: with few events it takes seconds until that
        // has to grow.
        expected_sign: Sign::level("store_full", 14),
        start: Box::new(|world| {
            let path = world.on_disk("ballast");
            let goes_on = Arc::new(AtomicBool::new(true));
            let filling = {
                let (path, goes_on) = (path.clone(), goes_on.clone());
                std::thread::spawn(move || {
                    let mut ballast = std::fs::File::create(path).unwrap();
                    let block = vec![0x5A; 1 << 20];
                    // The last bytes in small pieces: a write that does not fit fails as a whole.
                    while goes_on.load(Ordering::Relaxed) {
                        for size in [1 << 20, 4_096, 512] {
                            while ballast.write_all(&block[..size]).is_ok() {}
                        }
                        std::thread::sleep(Duration::from_millis(50));
                    }
                })
            };
            end_with(move |_| {
                goes_on.store(false, Ordering::Relaxed);
                filling.join().unwrap();
                std::fs::remove_file(path).unwrap();
            })
        }),
    })
}

/// Every write fails: as on a disk that is defective, or that the kernel has made read-only.
pub(super) fn writes_fail(world: &World, random: &mut Random) -> Option<Fault> {
    world.control.as_ref()?;
    let (name, errno) = *random.choose(&[("EIO", 5), ("EROFS", 30)]);
    Some(Fault {
        name: format!("writes fail with {name}"),
        part: Part::Store,
        lasts: seconds(random, 5, 15),
        expected_sign: Sign::level("store_failed", 8),
        start: Box::new(move |world| {
            let set = |world: &World, errno| {
                if let Some(control) = &world.control {
                    control.set_write_error(errno);
                }
            };
            set(world, errno);
            end_with(move |world| set(world, 0))
        }),
    })
}

/// The files are moved away under the service, and put back.
#[expect(clippy::unnecessary_wraps, reason = "as the other kinds")]
pub(super) fn moved_away(_: &World, random: &mut Random) -> Option<Fault> {
    Some(Fault {
        name: "store moved away".to_owned(),
        part: Part::Store,
        lasts: seconds(random, 5, 12),
        expected_sign: Sign::level("store_gone", 8),
        start: Box::new(|world| {
            // A service that is started meanwhile would begin a new store; the real one must then
            // come back to a service that is not running.
            world.service.hold(true);
            if !world.service.wait_for_ready() {
                world.service.hold(false);
                return None;
            }
            let generation = world.service.life().generation;
            move_all(world, "reflexarc.db", "away");
            end_with(move |world| {
                let is_same = world.service.life().generation == generation;
                assert!(is_same, "started without its store");
                move_all(world, "away", "reflexarc.db");
                world.service.hold(false);
            })
        }),
    })
}

fn move_all(world: &World, from: &str, to: &str) {
    for suffix in ["", "-wal", "-shm"] {
        let name = |base: &str| world.on_disk(&format!("{base}{suffix}"));
        drop(std::fs::rename(name(from), name(to)));
    }
}
