//! Reloads when a watched file changes or on SIGHUP.
//!
//! Files are looked at once a second (`stat`), not reported by the kernel: that sees every way in
//! which editors and deployment tools replace a file (in place, by a rename, by another target of a
//! link around it), works on network file systems, and is not woken by each write to the store,
//! which stands beside the configuration.

use std::collections::hash_map::DefaultHasher;
use std::fs::Metadata;
use std::hash::{Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use reflexarc::RuleSet;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Reloader;
use crate::shutdown::stopped;
use crate::telemetry::ProblemKind;

/// The files are looked at after this time again; less often if that takes long.
const INTERVAL: Duration = Duration::from_secs(1);
/// Looking at them takes at most one part in so many of the time of one processor.
// 10,000 files take 50 ms in a debug build, and are looked at every 2.5 s.
const SHARE: u32 = 50;
/// A reload starts when nothing has changed for this long.
// Editors write a file in several steps (write a copy, rename it over the original), and deployment
// tools write several files; in between, a file may be empty or missing.
const SETTLE_TIME: Duration = Duration::from_millis(300);
/// After so many looks a reload starts although something still changes.
const MAX_SETTLING: usize = 20;
/// A look that takes longer is a problem: a network file system may not answer for hours.
const PATIENCE: Duration = Duration::from_secs(30);

/// The paths whose changes trigger a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WatchedPaths {
    /// Rule files, and folders with rule files.
    pub(super) rules: Vec<PathBuf>,
    /// Single files: the configuration and the files that it names.
    pub(super) files: Vec<PathBuf>,
}

/// A digest of all that identifies the content of the watched paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Snapshot(u64);

/// Starts watching, until `stop` becomes true. No change and no signal after the return is missed.
// SIGHUP without a handler would end the process, so the handler is installed before returning.
pub(crate) fn watch(
    reloader: Arc<Reloader>,
    stop: watch::Receiver<bool>,
) -> std::io::Result<JoinHandle<()>> {
    let hangup = signal(SignalKind::hangup())?;
    let seen = Snapshot::of(&reloader.paths());
    let watcher = Watcher {
        reloader,
        seen,
        pause: INTERVAL,
    };
    Ok(tokio::spawn(watcher.run(stop, hangup)))
}

struct Watcher {
    reloader: Arc<Reloader>,
    /// The state of the files to which the last reload belongs, or one before it.
    seen: Snapshot,
    /// Time until the next look.
    pause: Duration,
}

impl Watcher {
    async fn run(mut self, mut stop: watch::Receiver<bool>, mut hangup: Signal) {
        loop {
            let is_signal = tokio::select! {
                () = stopped(&mut stop) => break,
                // Someone who sends SIGHUP has finished writing.
                Some(()) = hangup.recv() => true,
                () = tokio::time::sleep(self.pause) => false,
            };
            let mut now = self.look().await;
            if !is_signal {
                if now == self.seen {
                    continue;
                }
                now = self.settle(now).await;
            }
            // What changes from here on differs from `now` and is seen by the next look, also if
            // the reload has read it already.
            self.seen = now;
            self.reload().await;
        }
    }

    /// Looks until nothing changes any more.
    async fn settle(&mut self, mut last: Snapshot) -> Snapshot {
        for _ in 0..MAX_SETTLING {
            tokio::time::sleep(SETTLE_TIME).await;
            let now = self.look().await;
            if now == last {
                break;
            }
            last = now;
        }
        last
    }

    async fn look(&mut self) -> Snapshot {
        let paths = self.reloader.paths();
        let mut looking = tokio::task::spawn_blocking(move || {
            let started = Instant::now();
            (Snapshot::of(&paths), started.elapsed())
        });
        let problems = self.reloader.problems();
        let looked = if let Ok(looked) = tokio::time::timeout(PATIENCE, &mut looking).await {
            looked
        } else {
            let detail = format!("looking at the files takes longer than {PATIENCE:?}");
            problems.set_level(ProblemKind::FilesUnwatched, Some(detail));
            looking.await
        };
        problems.set_level(ProblemKind::FilesUnwatched, None);
        // An error would be a panic; the next look is another attempt.
        let Ok((snapshot, took)) = looked else {
            return self.seen;
        };
        self.pause = INTERVAL.max(took * SHARE);
        snapshot
    }

    async fn reload(&mut self) {
        let before = self.reloader.paths();
        let reloader = self.reloader.clone();
        // A refusal is logged by the reload itself, and `/status` has it.
        if let Err(error) = tokio::task::spawn_blocking(move || reloader.reload(false)).await {
            let detail = format!("the reload failed: {error}");
            let problems = self.reloader.problems();
            if problems.holds(ProblemKind::ReloadRefused, "", &detail) {
                tracing::error!(%error, "the reload failed; the previous rules stay in effect");
            }
        }
        // The new configuration may name other files.
        if self.reloader.paths() != before {
            self.seen = self.look().await;
        }
    }
}

impl Snapshot {
    fn of(paths: &WatchedPaths) -> Self {
        let mut hasher = DefaultHasher::new();
        for path in &paths.rules {
            // The folder itself may be a link that is set to another one, which may have files of
            // the same names.
            hash_file(path, &mut hasher);
        }
        let (files, errors) = RuleSet::find_files(&paths.rules);
        for path in files.iter().chain(&paths.files) {
            hash_file(path, &mut hasher);
        }
        for error in errors {
            error.name.hash(&mut hasher);
            for diagnostic in error.diagnostics {
                diagnostic.message.hash(&mut hasher);
            }
        }
        Self(hasher.finish())
    }
}

/// Hashes what identifies the content of a file: that of the file at the end of links.
fn hash_file(path: &Path, hasher: &mut DefaultHasher) {
    path.hash(hasher);
    // A folder changes with everything in it, such as the store.
    let found = std::fs::metadata(path).ok();
    found.as_ref().map(Metadata::is_dir).hash(hasher);
    found
        .as_ref()
        .map(|found| (found.dev(), found.ino()))
        .hash(hasher);
    if let Some(found) = found.filter(|found| !found.is_dir()) {
        // The time of the inode as well: programs can set that of the content, and restore it after
        // a change that leaves the size as it was.
        let times = (
            found.mtime(),
            found.mtime_nsec(),
            found.ctime(),
            found.ctime_nsec(),
        );
        (found.len(), times).hash(hasher);
    }
}

#[cfg(test)]
#[path = "watcher/tests.rs"]
mod tests;
