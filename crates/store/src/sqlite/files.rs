//! The files of a store: whether they are still the ones that were opened, and its lock.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

use crate::{StoreError, StoreLock};

/// Size of the reserve file, which is given up so that pruning works on a full disk.
const RESERVE_BYTES: u64 = 16 << 20;

/// The files of one open store.
pub(super) struct StoreFiles {
    path: PathBuf,
    /// The database, its write-ahead log and its shared memory, as they were opened.
    // The log matters as much as the database: commits are in it until they are checkpointed, and
    // SQLite goes on writing to a deleted one without noticing.
    opened: Vec<(PathBuf, FileId)>,
    /// A descriptor of the database for the lock, kept open once it was opened.
    // Closing any descriptor of a file releases all POSIX locks that the process has on it, those
    // of SQLite's connections too. So this is dropped after all connections: each holder of a
    // connection holds these files too.
    lock: Mutex<LockFile>,
}

/// What identifies a file as long as it is open, whatever its name.
type FileId = (u64, u64);

#[derive(Default)]
struct LockFile {
    file: Option<File>,
    is_held: bool,
    /// The lock file beside the store that version 0.1.0 used, if there is one.
    legacy: Option<File>,
}

/// Releases the lock when dropped; the descriptor stays open.
struct HeldLock(Arc<StoreFiles>);

impl StoreFiles {
    /// The files of a store that a connection has opened and written to.
    pub(super) fn opened(path: &Path) -> Result<Self, StoreError> {
        let opened = ["", "-wal", "-shm"]
            .map(|suffix| beside(path, suffix))
            .into_iter()
            .filter_map(|file| {
                let id = file_id(&file.metadata().ok()?);
                Some((file, id))
            });
        let opened: Vec<_> = opened.collect();
        if opened.first().is_none_or(|(file, _)| file != path) {
            return Err(StoreError::Gone {
                path: path.to_owned(),
            });
        }
        Ok(Self {
            path: path.to_owned(),
            opened,
            lock: Mutex::default(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that every file is still there under its name. Costs three `stat` calls. Returns the
    /// size of the write-ahead log in bytes.
    pub(super) fn check(&self) -> Result<u64, StoreError> {
        let mut log = 0;
        for (file, id) in &self.opened {
            match file.metadata() {
                Ok(found) if file_id(&found) == *id => {
                    if file != &self.path {
                        log = log.max(found.len());
                    }
                }
                // Deleted, moved, replaced, or its folder cannot be searched any more: what is
                // committed now would not be found at the next start.
                _ => return Err(StoreError::Gone { path: file.clone() }),
            }
        }
        Ok(log)
    }

    /// Takes the lock that one process at a time has, and reserves disk space.
    pub(super) fn lock_exclusive(self: &Arc<Self>) -> Result<StoreLock, StoreError> {
        let lock = self.lock_without_reserve()?;
        self.create_reserve();
        Ok(lock)
    }

    /// Takes the lock that one process at a time has.
    pub(super) fn lock_without_reserve(self: &Arc<Self>) -> Result<StoreLock, StoreError> {
        self.check()?;
        let failed = |error: std::io::Error| StoreError::NotWritable {
            path: Some(self.path.clone()),
            reason: error.to_string(),
        };
        let in_use = || StoreError::InUse {
            path: self.path.clone(),
        };
        let try_lock = |file: &File| match file.try_lock() {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => Err(in_use()),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        };
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if lock.is_held {
            return Err(in_use());
        }
        if lock.file.is_none() {
            let file = OpenOptions::new().read(true).write(true).open(&self.path);
            lock.file = Some(file.map_err(failed)?);
        }
        // `flock`, which is independent of the POSIX locks that SQLite takes on the same file. On
        // the file itself, because one beside it can be deleted, and then a second process gets in.
        // The kernel releases it when the process ends in whatever way.
        lock.file.as_ref().map_or(Ok(()), try_lock)?;
        lock.legacy = File::open(beside(&self.path, ".lock")).ok();
        lock.legacy.as_ref().map_or(Ok(()), try_lock)?;
        lock.is_held = true;
        drop(lock);
        Ok(StoreLock::new(HeldLock(self.clone())))
    }

    /// Creates the reserve file if the lock is held, the file is missing and the disk has room.
    pub(super) fn create_reserve(&self) {
        let is_held = self
            .lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_held;
        let reserve = beside(&self.path, ".reserve");
        if !is_held || reserve.exists() {
            return;
        }
        // Four times its size, so that creating it is not what fills the disk.
        let has_room = statvfs(folder(&self.path)).is_ok_and(|disk| {
            disk.f_bavail.saturating_mul(disk.f_frsize) >= RESERVE_BYTES.saturating_mul(4)
        });
        let created = || -> std::io::Result<()> {
            let file = private_file().create_new(true).open(&reserve)?;
            fallocate(&file, FallocateFlags::empty(), 0, RESERVE_BYTES)?;
            Ok(())
        };
        if has_room && let Err(error) = created() {
            tracing::warn!(%error, file = %reserve.display(), "cannot create the reserve file");
            drop(std::fs::remove_file(&reserve));
        }
    }
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        let mut lock = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
        lock.is_held = false;
        lock.legacy = None;
        if let Some(file) = &lock.file
            && let Err(error) = file.unlock()
        {
            tracing::warn!(%error, "cannot release the lock of the store");
        }
    }
}

/// Removes the reserve file of a store, which frees its space. False if there was none.
pub(super) fn give_up_reserve(path: &Path) -> bool {
    let given_up = std::fs::remove_file(beside(path, ".reserve")).is_ok();
    if given_up {
        tracing::warn!("the disk is full; gave up the reserve file of the store");
    }
    given_up
}

/// Creates an empty file that only its owner can read, if there is none, and takes the permissions
/// of all others from an existing one. SQLite gives its other files the same permissions.
pub(super) fn make_private(path: &Path) {
    match private_file().create_new(true).open(path) {
        Ok(_) => {}
        // What the connection that follows cannot open either is reported by it.
        Err(_) => {
            for suffix in ["", "-wal", "-shm"] {
                let file = beside(path, suffix);
                if let Ok(found) = file.metadata()
                    && found.mode() & 0o007 != 0
                {
                    let mode = std::fs::Permissions::from_mode(found.mode() & 0o770);
                    drop(std::fs::set_permissions(&file, mode));
                }
            }
        }
    }
}

/// Options for a new file that only its owner can read.
pub(super) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

/// The path with a suffix.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The folder of a file.
pub(super) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn file_id(file: &Metadata) -> FileId {
    (file.dev(), file.ino())
}
