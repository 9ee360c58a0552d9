//! Sources: where the service takes events from by itself, besides those that are posted to it.
//!
//! Each source is a task. Its messages go the way of HTTP requests: the same formats, limits and
//! identities. What a message is acknowledged by is the commit of its events.

mod settings;
mod status;

#[cfg(feature = "cluster")]
mod backoff;
#[cfg(feature = "cluster")]
mod jetstream;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

#[cfg(feature = "cluster")]
pub(crate) use self::settings::JetStreamSettings;
pub use self::settings::SourceConfig;
pub(crate) use self::status::SourceStatus;
use crate::http::AppState;

/// The states of these sources, before they start.
pub(crate) fn source_statuses(configured: &[SourceConfig]) -> Vec<Arc<SourceStatus>> {
    let names = configured.iter().map(|source| &source.name);
    names
        .map(|name| Arc::new(SourceStatus::new(name)))
        .collect()
}

/// Starts the sources, which end after `stop`: each stops taking messages, waits for the commit of
/// those it has taken, and acknowledges them.
pub(crate) fn start_sources(
    state: &Arc<AppState>,
    configured: Vec<SourceConfig>,
    shutdown_timeout: Duration,
    stop: &watch::Receiver<bool>,
) -> Vec<JoinHandle<()>> {
    let tasks = configured.into_iter().zip(&state.sources);
    let tasks = tasks.map(|(source, status)| {
        let (state, status, stop) = (state.clone(), status.clone(), stop.clone());
        #[cfg(feature = "cluster")]
        return tokio::spawn(jetstream::run(
            state,
            source,
            status,
            shutdown_timeout,
            stop,
        ));
        #[cfg(not(feature = "cluster"))]
        {
            // The configuration has none: their types are errors in such a build.
            drop((state, source, status, shutdown_timeout, stop));
            tokio::spawn(std::future::ready(()))
        }
    });
    tasks.collect()
}
