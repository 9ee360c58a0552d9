//! What a source does, for `/status` and the metrics.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use reflexarc_event::Json;

/// The state of a source.
pub(crate) struct SourceStatus {
    name: String,
    latest: Mutex<Latest>,
}

#[derive(Debug, Default)]
struct Latest {
    is_connected: bool,
    /// Why no messages come.
    error: Option<String>,
    /// In what the consumer differs from the configuration.
    differences: Vec<String>,
    /// Messages that the consumer has not sent yet.
    pending: Option<u64>,
    /// Messages that were sent to any node and are not acknowledged.
    ack_pending: Option<u64>,
    last_message: Option<Timestamp>,
}

impl SourceStatus {
    /// A source that has not connected yet.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            latest: Mutex::default(),
        }
    }

    /// `{"name", "type", "connected", "error", "pending", "ack_pending", "last_message",
    /// "differences"}`.
    pub(crate) fn to_json(&self) -> Json {
        let latest = self.lock();
        let count = |count: Option<u64>| {
            count.map_or(Json::Null, |count| {
                Json::count(usize::try_from(count).unwrap_or(usize::MAX))
            })
        };
        let last = latest.last_message.map(|last| last.to_string());
        let differences = latest.differences.iter().map(String::as_str);
        Json::object([
            ("name", self.name.as_str().into()),
            ("type", "jetstream".into()),
            ("connected", latest.is_connected.into()),
            ("error", Json::optional(latest.error.as_deref())),
            ("pending", count(latest.pending)),
            ("ack_pending", count(latest.ack_pending)),
            ("last_message", Json::optional(last.as_deref())),
            ("differences", Json::strings(differences)),
        ])
    }

    fn lock(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(feature = "cluster")]
impl SourceStatus {
    pub(super) fn set_connected(&self, is_connected: bool) {
        self.lock().is_connected = is_connected;
    }

    pub(super) fn set_error(&self, error: Option<String>) {
        self.lock().error = error;
    }

    /// Returns whether they have changed.
    pub(super) fn set_differences(&self, differences: Vec<String>) -> bool {
        let mut latest = self.lock();
        let has_changed = latest.differences != differences;
        latest.differences = differences;
        has_changed
    }

    pub(super) fn set_lag(&self, pending: u64, ack_pending: u64) {
        let mut latest = self.lock();
        (latest.pending, latest.ack_pending) = (Some(pending), Some(ack_pending));
    }

    pub(super) fn set_last_message(&self, at: Timestamp) {
        self.lock().last_message = Some(at);
    }
}
