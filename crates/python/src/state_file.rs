//! The Python class `StateFile`, and files with the JSON of a state.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use reflexarc_reaction::MemoryState;
use reflexarc_store::{SqliteStore, StoreError, StoreLock, StoreOptions};

use crate::error::{StateError, catch_panics};
use crate::state::PyState;

/// A state that is kept in a SQLite file, with the tables of the service.
///
/// `State.open` makes one. One program at a time can have a file open, or a service use it; both go
/// on with what the other has left. What `commit` has written is on the disk when it returns.
///
/// >>> import tempfile, os
/// >>> folder = tempfile.TemporaryDirectory()
/// >>> path = os.path.join(folder.name, "state.db")
/// >>> rules = RuleSet.from_rules({"count": 'when = "id exists"\nthen = \'add("seen", 1);\''})
/// >>> with State.open(path) as file:
/// ...     file.commit(rules.evaluate({"id": "1"}, state=file.state).state)
/// >>> with State.open(path) as file:
/// ...     file.state.get("count", "seen")
/// 1
/// >>> folder.cleanup()
#[pyclass(name = "StateFile", module = "reflexarc", frozen)]
pub(crate) struct PyStateFile {
    path: PathBuf,
    /// The process that has opened it.
    process: u32,
    /// `None` after it was closed.
    open: Mutex<Option<OpenFile>>,
    /// What is committed, also after it was closed.
    committed: Mutex<Arc<MemoryState>>,
}

struct OpenFile {
    store: SqliteStore,
    _lock: StoreLock,
    // Dropped after the store.
    _claim: FileClaim,
}

/// The files that this process has open. A second store of the same file would release the locks of
/// the first when it is closed, as POSIX has it.
static OPEN_FILES: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// A file that is in [`OPEN_FILES`].
struct FileClaim(PathBuf);

impl FileClaim {
    /// `None` if the file is open in this process.
    fn new(path: PathBuf) -> Option<Self> {
        let mut open = OPEN_FILES.lock().unwrap_or_else(PoisonError::into_inner);
        // Not made where it is not new: dropping it would remove the other one's.
        open.insert(path.clone()).then(|| Self(path))
    }
}

impl Drop for FileClaim {
    fn drop(&mut self) {
        let mut open = OPEN_FILES.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&self.0);
    }
}

impl PyStateFile {
    /// Opens the file, or creates it.
    pub(crate) fn open(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let opened = py.detach(|| {
            let in_use = || StoreError::InUse { path: path.clone() };
            let claim = FileClaim::new(absolute(&path)).ok_or_else(in_use)?;
            let options = StoreOptions {
                duplicate_window: SignedDuration::ZERO,
                max_bytes: None,
            };
            let store = SqliteStore::open(&path, &options)?;
            let lock = store.lock_state()?;
            let state = store.memory_state()?;
            let open = OpenFile {
                store,
                _lock: lock,
                _claim: claim,
            };
            Ok((open, state))
        });
        let (open, state) = opened.map_err(|error| state_error(&error))?;
        Ok(Self {
            path,
            process: std::process::id(),
            open: Mutex::new(Some(open)),
            committed: Mutex::new(Arc::new(state)),
        })
    }

    /// The committed state.
    fn committed(&self) -> MutexGuard<'_, Arc<MemoryState>> {
        let committed = self.committed.lock();
        committed.unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits from one thread at a time.
    fn commit_state(&self, state: &Arc<MemoryState>) -> Result<(), StoreError> {
        let failed = |why: &str| {
            let path = self.path.display();
            Err(StoreError::Failed(format!("{path} {why}")))
        };
        if self.process != std::process::id() {
            return failed("was opened before a fork; open it in the process that uses it");
        }
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(open) = &*open else {
            return failed("is closed");
        };
        let before = self.committed().clone();
        // Most events change nothing: they cost no sync of the disk.
        if Arc::ptr_eq(&before, state) {
            return Ok(());
        }
        let committed = open.store.commit_state(&before, state, Timestamp::now());
        committed.wait()?;
        *self.committed() = state.clone();
        Ok(())
    }
}

#[pymethods]
impl PyStateFile {
    /// The path of the file.
    #[getter]
    fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// The committed state.
    #[getter]
    fn state(&self) -> PyState {
        let state = self.committed().clone();
        PyState { state }
    }

    /// Replace the state. What has changed is written in one transaction, which is on the disk
    /// when this returns; if it raises an exception, nothing was written.
    ///
    /// Args:
    ///     state: a state that comes from `state`, by evaluations.
    ///
    /// Raises:
    ///     StateError: if the file is closed, full or damaged, or a match refers to an event at a
    ///         position where the file has another one.
    fn commit(&self, py: Python<'_>, state: &Bound<'_, PyState>) -> PyResult<()> {
        catch_panics(|| {
            let state = state.get().state.clone();
            let committed = py.detach(|| self.commit_state(&state));
            committed.map_err(|error| state_error(&error))
        })
    }

    /// Close the file, so that another program or a service can open it. `state` remains.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        catch_panics(|| {
            let open = self
                .open
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            if self.process != std::process::id() {
                // The threads of the parent are not here.
                std::mem::forget(open);
                return Ok(());
            }
            py.detach(|| drop(open));
            Ok(())
        })
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (exception_type, exception, traceback, /))]
    fn __exit__(
        &self,
        py: Python<'_>,
        exception_type: &Bound<'_, PyAny>,
        exception: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let _ = (exception_type, exception, traceback);
        self.close(py)
    }

    fn __repr__(&self) -> String {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = if open.is_some() { "" } else { ", closed" };
        format!("<StateFile {}{closed}>", self.path.display())
    }
}

impl Drop for PyStateFile {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            let open = self.open.get_mut();
            std::mem::forget(open.unwrap_or_else(PoisonError::into_inner).take());
        }
    }
}

/// Replaces a file by one with this text, as a whole: after a crash it has either text.
pub(crate) fn write_file(path: &Path, text: &str) -> PyResult<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let written = || -> std::io::Result<()> {
        // Its error has a number, which that of a temporary file has not.
        std::fs::metadata(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        // Links, and who may read the file, stay as they are.
        let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if let Ok(found) = std::fs::metadata(&target) {
            file.as_file().set_permissions(found.permissions())?;
        }
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(&target).map_err(|error| error.error)?;
        std::fs::File::open(target.parent().unwrap_or(folder))?.sync_all()
    };
    written().map_err(|error| io_error(&error, path))
}

/// The text of a file with the JSON of a state.
pub(crate) fn read_file(path: &Path) -> PyResult<String> {
    std::fs::read_to_string(path).map_err(|error| match error.raw_os_error() {
        Some(_) => io_error(&error, path),
        None => StateError::new_err(format!("invalid state in {}: {error}", path.display())),
    })
}

/// An `OSError` with the path; `FileNotFoundError` and the like by its number.
pub(crate) fn io_error(error: &std::io::Error, path: &Path) -> PyErr {
    let text = error.kind().to_string();
    PyOSError::new_err((error.raw_os_error(), text, path.to_owned()))
}

fn state_error(error: &StoreError) -> PyErr {
    let message = match error {
        StoreError::InUse { path } => format!(
            "{} is in use: a service runs with it, or another program has it open",
            path.display()
        ),
        error => error.to_string(),
    };
    StateError::new_err(message)
}

/// The path under which a file is known, whatever links lead to it and also before it is created.
fn absolute(path: &Path) -> PathBuf {
    if let Ok(path) = std::fs::canonicalize(path) {
        return path;
    }
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = std::fs::canonicalize(folder.unwrap_or(Path::new(".")));
    match (folder, path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}
