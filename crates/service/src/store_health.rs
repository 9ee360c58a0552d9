//! Whether the store can accept events: probed regularly, reported by `/readyz` and `/status`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reflexarc_event::Json;
use tokio::sync::watch;

use crate::shutdown::stopped;
use crate::store::{Store, StoreCheck, StoreError};
use crate::telemetry::{ProblemKind, Problems};

/// How often the store is probed.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);
/// A store that has not written and synced for this long is not ready. Longer than a slow disk
/// needs for a commit, shorter than a load balancer waits before it asks again.
const MAX_SILENCE: Duration = Duration::from_secs(10);

/// The result of the latest probes.
pub(crate) struct StoreHealth {
    latest: Mutex<Latest>,
    problems: Arc<Problems>,
}

#[derive(Debug)]
struct Latest {
    /// When a write was last synced.
    written: Instant,
    /// Why the last probe failed, if it did.
    error: Option<String>,
    check: CheckProgress,
}

/// How far the check for damage is.
#[derive(Debug, Default)]
struct CheckProgress {
    is_done: bool,
    bytes: u64,
    damaged: u64,
}

impl StoreHealth {
    /// The health of a store that was opened, and so written to, just now.
    pub(crate) fn new(problems: Arc<Problems>) -> Self {
        Self {
            problems,
            latest: Mutex::new(Latest {
                written: Instant::now(),
                error: None,
                check: CheckProgress::default(),
            }),
        }
    }

    /// Why no event can be accepted now; `None` if one can.
    pub(crate) fn failure(&self) -> Option<String> {
        let latest = self.lock();
        let silence = latest.written.elapsed();
        latest.error.clone().or_else(|| {
            // The writer hangs, or has so much to do that the probe waits behind it.
            (silence > MAX_SILENCE)
                .then(|| format!("the store has written nothing for {} s", silence.as_secs()))
        })
    }

    /// `{"ready": …, "error": …, "last_write_seconds": …, "check": {"done": …, "bytes": …,
    /// "damaged": …}}`
    pub(crate) fn to_json(&self) -> Json {
        let failure = self.failure();
        let latest = self.lock();
        let seconds = latest.written.elapsed().as_secs();
        let check = Json::object([
            ("done", latest.check.is_done.into()),
            ("bytes", Json::count(latest.check.bytes)),
            ("damaged", Json::count(latest.check.damaged)),
        ]);
        Json::object([
            ("ready", failure.is_none().into()),
            ("error", Json::optional(failure.as_deref())),
            ("last_write_seconds", Json::count(seconds)),
            ("check", check),
        ])
    }

    /// Records how far the check for damage is.
    pub(crate) fn set_check(&self, check: &StoreCheck) {
        self.lock().check = CheckProgress {
            is_done: check.is_done,
            bytes: check.bytes,
            damaged: check.damaged,
        };
    }

    /// Records a probe. The problem that it shows begins or goes on, and all others are over.
    fn record(&self, result: Result<(), StoreError>) {
        let error = {
            let mut latest = self.lock();
            let text = result.as_ref().err().map(ToString::to_string);
            if text.is_none() && latest.error.is_some() {
                tracing::info!("the store can be written again");
            }
            if text.is_none() {
                latest.written = Instant::now();
            }
            latest.error.clone_from(&text);
            text
        };
        let found = result.err().map(|error| problem_of(&error));
        for kind in PROBLEMS {
            let detail = error.clone().filter(|_| found == Some(kind));
            self.problems.set_level(kind, detail);
        }
    }

    /// Reports a probe that has no result yet.
    fn record_silence(&self) {
        let seconds = self.lock().written.elapsed().as_secs();
        let detail = format!("the store has written nothing for {seconds} s");
        self.problems
            .set_level(ProblemKind::StoreFailed, Some(detail));
    }

    fn lock(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What can be wrong with a store that cannot be written.
const PROBLEMS: [ProblemKind; 5] = [
    ProblemKind::StoreFull,
    ProblemKind::StoreReadOnly,
    ProblemKind::StoreGone,
    ProblemKind::StoreDamaged,
    ProblemKind::StoreFailed,
];

fn problem_of(error: &StoreError) -> ProblemKind {
    match error {
        StoreError::Full => ProblemKind::StoreFull,
        StoreError::NotWritable { .. } => ProblemKind::StoreReadOnly,
        StoreError::Gone { .. } => ProblemKind::StoreGone,
        StoreError::Corrupt { .. } | StoreError::Foreign { .. } => ProblemKind::StoreDamaged,
        _ => ProblemKind::StoreFailed,
    }
}

/// Probes the store until `stop` becomes true.
pub(crate) async fn watch_store(
    store: Arc<dyn Store>,
    health: Arc<StoreHealth>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        // A second probe would only wait behind the first: if that hangs, so do accepts.
        let mut probe = store.submit_probe();
        let result = loop {
            match tokio::time::timeout(MAX_SILENCE, &mut probe).await {
                Ok(result) => break result,
                Err(_) => health.record_silence(),
            }
        };
        health.record(result);
        let pause = tokio::time::timeout(PROBE_INTERVAL, stopped(&mut stop));
        if pause.await.is_ok() {
            return;
        }
    }
}
