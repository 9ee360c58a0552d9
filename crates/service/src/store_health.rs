//! Whether the store can accept events: probed regularly, reported by `/readyz` and `/status`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reflexarc_event::Json;
use tokio::sync::watch;

use crate::shutdown::stopped;
use crate::store::Store;

/// How often the store is probed.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);
/// A store that has not written and synced for this long is not ready. Longer than a slow disk
/// needs for a commit, shorter than a load balancer waits before it asks again.
const MAX_SILENCE: Duration = Duration::from_secs(10);

/// The result of the latest probes.
#[derive(Debug)]
pub(crate) struct StoreHealth {
    latest: Mutex<Latest>,
}

#[derive(Debug)]
struct Latest {
    /// When a write was last synced.
    written: Instant,
    /// Why the last probe failed, if it did.
    error: Option<String>,
}

impl StoreHealth {
    /// The health of a store that was opened, and so written to, just now.
    pub(crate) fn new() -> Self {
        Self {
            latest: Mutex::new(Latest {
                written: Instant::now(),
                error: None,
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

    /// `{"ready": …, "error": …, "last_write_seconds": …}`
    pub(crate) fn to_json(&self) -> Json {
        let failure = self.failure();
        let seconds = self.lock().written.elapsed().as_secs();
        Json::object([
            ("ready", failure.is_none().into()),
            ("error", Json::optional(failure.as_deref())),
            ("last_write_seconds", Json::count(seconds)),
        ])
    }

    /// Records a probe; logs when the store fails and when it is back, not each time.
    fn record(&self, result: Result<(), String>) {
        let mut latest = self.lock();
        match (&result, &latest.error) {
            (Ok(()), Some(_)) => tracing::info!("the store can be written again"),
            (Err(error), before) if before.as_ref() != Some(error) => {
                tracing::error!(error, "the store cannot be written; events are refused");
            }
            _ => {}
        }
        if result.is_ok() {
            latest.written = Instant::now();
        }
        latest.error = result.err();
    }

    fn lock(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Probes the store until `stop` becomes true.
pub(crate) async fn watch_store(
    store: Arc<dyn Store>,
    health: Arc<StoreHealth>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        // Not bounded by a timeout: if it hangs, so do accepts, and `MAX_SILENCE` reports it. A
        // second probe would only wait behind the first.
        let result = store.submit_probe().await;
        health.record(result.map_err(|error| error.to_string()));
        let pause = tokio::time::timeout(PROBE_INTERVAL, stopped(&mut stop));
        if pause.await.is_ok() {
            return;
        }
    }
}
