//! Reloads when a file changes that matters, or SIGHUP comes.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::reload::Reloader;
use crate::service::stopped;

/// Editors write a file in several steps: changes are taken together when nothing more happens for so long.
const SETTLE: Duration = Duration::from_millis(300);

/// Watches until told to stop. From the return on no change and no signal is missed: a SIGHUP that nobody listens for would end
/// the process.
pub(crate) fn watch(
    reloader: Arc<Reloader>,
    stop: watch::Receiver<bool>,
) -> std::io::Result<JoinHandle<()>> {
    let hangup = signal(SignalKind::hangup())?;
    let (notice, changes) = mpsc::channel(1);
    let paths = reloader.paths();
    let watcher = watcher(&paths, notice.clone());
    Ok(tokio::spawn(reload_again_and_again(
        reloader,
        stop,
        hangup,
        Watching {
            paths,
            watcher,
            notice,
            changes,
        },
    )))
}

/// The watched paths and what tells of them.
struct Watching {
    paths: Vec<PathBuf>,
    watcher: Option<RecommendedWatcher>,
    notice: mpsc::Sender<()>,
    changes: mpsc::Receiver<()>,
}

async fn reload_again_and_again(
    reloader: Arc<Reloader>,
    mut stop: watch::Receiver<bool>,
    mut hangup: Signal,
    watching: Watching,
) {
    let Watching {
        mut paths,
        mut watcher,
        notice,
        mut changes,
    } = watching;
    loop {
        tokio::select! {
            () = stopped(&mut stop) => break,
            Some(()) = hangup.recv() => {}
            Some(()) = changes.recv() => {
                while tokio::time::timeout(SETTLE, changes.recv()).await.is_ok_and(|change| change.is_some()) {}
            }
        }
        let again = reloader.clone();
        // What is wrong was logged; whoever wants to see it drawn runs `reflexarc check` or `config check`.
        drop(tokio::task::spawn_blocking(move || again.reload()).await);
        let now = reloader.paths();
        if now != paths {
            watcher = self::watcher(&now, notice.clone());
            paths = now;
        }
    }
    drop(watcher);
}

/// Tells `notice` of changes to these files and to what is in these folders, until it is dropped.
fn watcher(paths: &[PathBuf], notice: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    let watched: Vec<Watched> = paths.iter().map(|path| Watched::of(path)).collect();
    let concerned = watched.clone();
    let observe = move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        // Reading is no change; without this a reload would lead to the next one.
        if !event.kind.is_access()
            && event
                .paths
                .iter()
                .any(|path| concerned.iter().any(|one| one.concerns(path)))
        {
            _ = notice.try_send(());
        }
    };
    let made = notify::recommended_watcher(observe).and_then(|mut watcher| {
        for one in &watched {
            let mode = if one.file.is_some() {
                RecursiveMode::NonRecursive
            } else {
                RecursiveMode::Recursive
            };
            watcher.watch(&one.folder, mode)?;
        }
        Ok(watcher)
    });
    made.map_err(|error| {
        tracing::warn!(%error, "cannot watch the files; send SIGHUP or POST /reload after a change");
    })
    .ok()
}

/// A folder with all that is in it, or one file.
#[derive(Clone)]
struct Watched {
    folder: PathBuf,
    file: Option<PathBuf>,
}

impl Watched {
    /// A file is watched by its folder: editors replace files, and a watch on the file would stay with the old one.
    fn of(path: &Path) -> Self {
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

    /// Other files beside a watched one do not matter: the store may lie there. But a mounted volume changes all its files
    /// at once by a link of this name.
    fn concerns(&self, changed: &Path) -> bool {
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
    fn a_file_is_concerned_by_itself_and_by_its_volume_but_not_by_its_neighbours() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        std::fs::write(folder.join("reflexarc.toml"), "").unwrap();
        let file = Watched::of(&folder.join("reflexarc.toml"));
        assert!(
            file.concerns(&folder.join("reflexarc.toml")) && file.concerns(&folder.join("..data"))
        );
        assert!(!file.concerns(&folder.join("reflexarc.db-wal")));
        let whole = Watched::of(&folder);
        assert!(
            whole.concerns(&folder.join("deep/rule.toml"))
                && !whole.concerns(Path::new("/elsewhere"))
        );
    }
}
