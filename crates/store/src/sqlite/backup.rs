//! Copies of a store, made while it is in use.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use super::SqliteStore;
use super::files::{beside, folder, private_file};
use super::schema::{check_structure, examine, open_reader};
use crate::StoreError;

impl SqliteStore {
    /// Copies the store at `path`, which may be in use, to the new file `to`. The copy is of one
    /// moment, without free pages, checked and synced; `to` exists only if it is whole.
    ///
    /// ```
    /// use reflexarc_store::{SqliteStore, StoreOptions};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let (path, copy) = (folder.path().join("reflexarc.db"), folder.path().join("copy.db"));
    /// let store = SqliteStore::open(&path, &StoreOptions::default())?;
    /// SqliteStore::backup(&path, &copy)?;
    /// assert!(SqliteStore::backup(&path, &copy).is_err());
    ///
    /// drop(store);
    /// SqliteStore::restore(&copy, &path, true)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If there is no store at `path`, `to` exists, or the copy fails.
    pub fn backup(path: &Path, to: &Path) -> Result<(), StoreError> {
        refuse_existing(to)?;
        let partial = copy(path, to)?;
        put_in_place(&partial, to)
    }

    /// Puts a copy of the backup `from` at `path`. With `replace`, a store that is there is moved
    /// aside, and the path where it is now is returned.
    ///
    /// # Errors
    /// If `from` is not a whole store, if there is a store at `path` and `replace` is false or a
    /// process delivers from it, or if the copy fails; the store at `path` is then as it was.
    pub fn restore(from: &Path, path: &Path, replace: bool) -> Result<Option<PathBuf>, StoreError> {
        if !replace {
            refuse_existing(path)?;
        }
        // Copied and checked before anything at `path` is touched.
        let partial = copy(from, path)?;
        let moved = move_aside(path);
        if moved.is_err() {
            drop(std::fs::remove_file(&partial));
        }
        let aside = moved?;
        put_in_place(&partial, path)?;
        Ok(aside)
    }
}

/// Copies a store to a file beside `to`, and checks and syncs it.
fn copy(from: &Path, to: &Path) -> Result<PathBuf, StoreError> {
    let partial = beside(to, ".partial");
    // Left by a copy that was interrupted.
    drop(std::fs::remove_file(&partial));
    examine(from)?;
    let copied = || -> Result<(), StoreError> {
        // Created first, because SQLite would let others read it.
        let file = private_file().create_new(true).open(&partial);
        let file = file.map_err(|error| not_writable(&partial, &error))?;
        // One read transaction. `.backup` of the sqlite3 shell starts again at every commit of
        // another process, and never ends under load.
        open_reader(from)?
            .execute("VACUUM INTO ?1", [partial.to_string_lossy()])
            .map_err(|error| StoreError::from(error).at(from))?;
        check_structure(&partial)?;
        file.sync_all()
            .map_err(|error| not_writable(&partial, &error))
    };
    let result = copied();
    if result.is_err() {
        drop(std::fs::remove_file(&partial));
        // Of SQLite's transaction, where the disk had room for that.
        drop(std::fs::remove_file(beside(&partial, "-journal")));
    }
    result.map(|()| partial)
}

/// Gives a whole copy its name. What is there is replaced in one step.
fn put_in_place(partial: &Path, to: &Path) -> Result<(), StoreError> {
    let renamed = std::fs::rename(partial, to);
    // The name is on disk only when the folder is.
    let synced = renamed.and_then(|()| File::open(folder(to))?.sync_all());
    synced.map_err(|error| not_writable(to, &error))
}

/// Moves the files of a store that no process delivers from to another name.
fn move_aside(path: &Path) -> Result<Option<PathBuf>, StoreError> {
    if !path.exists() {
        return Ok(None);
    }
    let failed = |error: std::io::Error| not_writable(path, &error);
    let store = OpenOptions::new().read(true).write(true).open(path);
    let store = store.map_err(failed)?;
    match store.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StoreError::InUse {
                path: path.to_owned(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    let free = (1..10_000)
        .map(|number| beside(path, &format!(".replaced-{number}")))
        .find(|name| !name.exists());
    let aside = free.unwrap_or_else(|| beside(path, ".replaced"));
    // The log first: without its database it is nothing, while the old log beside the restored
    // database would be taken for its own.
    for suffix in ["-wal", "-shm", ""] {
        let (file, to) = (beside(path, suffix), beside(&aside, suffix));
        if file.exists() {
            std::fs::rename(&file, &to).map_err(failed)?;
        }
    }
    Ok(Some(aside))
}

fn refuse_existing(path: &Path) -> Result<(), StoreError> {
    if path.exists() {
        return Err(StoreError::Exists {
            path: path.to_owned(),
        });
    }
    Ok(())
}

fn not_writable(path: &Path, error: &std::io::Error) -> StoreError {
    if error.kind() == std::io::ErrorKind::StorageFull {
        return StoreError::Full;
    }
    StoreError::NotWritable {
        path: Some(path.to_owned()),
        reason: error.to_string(),
    }
}
