//! Reloads when a watched file changes or on SIGHUP.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::Reloader;
use crate::shutdown::stopped;
use crate::telemetry::{ProblemKind, Problems};

/// A reload starts when no further change has come for this long.
// Editors write a file in several steps (write a copy, rename it over the original), and deployment
// tools write several files; in between, a file may be empty or missing.
const SETTLE_TIME: Duration = Duration::from_millis(300);

/// Starts watching, until `stop` becomes true. No change and no signal after the return is missed.
// SIGHUP without a handler would end the process, so the handler is installed before returning.
pub(crate) fn watch(
    reloader: Arc<Reloader>,
    stop: watch::Receiver<bool>,
) -> std::io::Result<JoinHandle<()>> {
    let hangup = signal(SignalKind::hangup())?;
    // One place is enough: a second change while a reload is pending needs no second reload.
    let (sender, changes) = mpsc::channel(1);
    let paths = reloader.paths();
    let watcher = start_watcher(&paths, sender.clone(), reloader.problems());
    Ok(tokio::spawn(reload_loop(
        reloader,
        stop,
        hangup,
        WatchState {
            paths,
            watcher,
            sender,
            changes,
        },
    )))
}

/// The watched paths, the watcher, and the channel by which it reports changes.
struct WatchState {
    paths: Vec<PathBuf>,
    watcher: Option<RecommendedWatcher>,
    sender: mpsc::Sender<()>,
    changes: mpsc::Receiver<()>,
}

async fn reload_loop(
    reloader: Arc<Reloader>,
    mut stop: watch::Receiver<bool>,
    mut hangup: Signal,
    mut state: WatchState,
) {
    loop {
        tokio::select! {
            () = stopped(&mut stop) => break,
            // Someone who sends SIGHUP has finished writing.
            Some(()) = hangup.recv() => {}
            Some(()) = state.changes.recv() => settle(&mut state.changes).await,
        }
        let reloader_now = reloader.clone();
        // A refusal is logged by the reload itself, and `/status` has it.
        if let Err(error) = tokio::task::spawn_blocking(move || reloader_now.reload(false)).await {
            let detail = format!("the reload failed: {error}");
            let problems = reloader.problems();
            if problems.holds(ProblemKind::ReloadRefused, "", &detail) {
                tracing::error!(%error, "the reload failed; the previous rules stay in effect");
            }
        }
        // The new configuration may name other files.
        let paths = reloader.paths();
        if paths != state.paths {
            state.watcher = start_watcher(&paths, state.sender.clone(), reloader.problems());
            state.paths = paths;
        }
    }
}

/// Waits until no further change comes.
async fn settle(changes: &mut mpsc::Receiver<()>) {
    while let Ok(Some(())) = tokio::time::timeout(SETTLE_TIME, changes.recv()).await {}
}

/// Reports changes to these files and to anything in these folders to `changes`, until dropped.
fn start_watcher(
    paths: &[PathBuf],
    changes: mpsc::Sender<()>,
    problems: &Problems,
) -> Option<RecommendedWatcher> {
    let watched: Vec<WatchedPath> = paths.iter().map(|path| WatchedPath::new(path)).collect();
    let concerned = watched.clone();
    let report = move |event: notify::Result<notify::Event>| {
        let is_watched = |path: &PathBuf| concerned.iter().any(|watched| watched.covers(path));
        let is_change = match event {
            // Reads do not count: the reload itself reads all files and would trigger the next one.
            // A rescan means that the kernel dropped events, which may have been about any path.
            Ok(event) => {
                event.need_rescan() || !event.kind.is_access() && event.paths.iter().any(is_watched)
            }
            // Most are about a path that vanished; but the change that comes with it may be lost.
            Err(error) => {
                tracing::warn!(%error, "watching the files failed; reloading to be sure");
                true
            }
        };
        if is_change {
            // Full: a reload is pending anyway.
            _ = changes.try_send(());
        }
    };
    let watcher = notify::recommended_watcher(report).and_then(|mut watcher| {
        for path in &watched {
            let mode = if path.file.is_some() {
                RecursiveMode::NonRecursive
            } else {
                // Rule folders may have subfolders.
                RecursiveMode::Recursive
            };
            watcher.watch(&path.folder, mode)?;
        }
        Ok(watcher)
    });
    let error = watcher.as_ref().err().map(ToString::to_string);
    problems.set_level(ProblemKind::FilesUnwatched, error);
    watcher.ok()
}

/// A folder with everything in it, or one file.
#[derive(Clone)]
struct WatchedPath {
    folder: PathBuf,
    file: Option<PathBuf>,
}

impl WatchedPath {
    /// What to watch for a path.
    // A file is watched through its folder: editors replace files, and a watch on the file itself
    // would stay with the replaced one.
    fn new(path: &Path) -> Self {
        // The watcher reports absolute paths without links.
        let canonical = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if path.is_dir() {
            return Self {
                folder: canonical(path),
                file: None,
            };
        }
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let folder = canonical(folder);
        let file = folder.join(path.file_name().unwrap_or_default());
        Self {
            folder,
            file: Some(file),
        }
    }

    /// Whether a changed path belongs to this one.
    // Other files in the folder of a watched file do not count: the store may be there, and changes
    // all the time. But `..data` does: Kubernetes updates all files of a mounted volume at once by
    // replacing a link of this name.
    fn covers(&self, changed: &Path) -> bool {
        match &self.file {
            None => changed.starts_with(&self.folder),
            Some(file) => {
                changed == file
                    || (changed.parent() == Some(&self.folder)
                        && changed.file_name() == Some(OsStr::new("..data")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watched_file_covers_itself_and_its_volume_only() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        std::fs::write(folder.join("reflexarc.toml"), "").unwrap();
        let file = WatchedPath::new(&folder.join("reflexarc.toml"));
        assert!(file.covers(&folder.join("reflexarc.toml")));
        assert!(file.covers(&folder.join("..data")));
        assert!(!file.covers(&folder.join("reflexarc.db-wal")));
        let whole = WatchedPath::new(&folder);
        assert!(whole.covers(&folder.join("deep/rule.toml")));
        assert!(!whole.covers(Path::new("/elsewhere")));
    }
}
