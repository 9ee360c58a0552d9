//! Sending spans to a collector: OTLP over HTTP in its JSON encoding.

use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use reflexarc_delivery::http::{BoundedResponse, ClientError, EgressPolicy, request_error};
use reflexarc_event::Json;
use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::collector::Collector;
use super::otlp::request_json;

/// Largest number of spans in a request.
const MAX_BATCH: usize = 512;
/// How long the first span of a request waits for others.
const GATHER_TIME: Duration = Duration::from_secs(1);
/// Waits before retries.
// Few, as spans are worth less the older they are, and those that come meanwhile fill the channel.
const RETRY_WAITS: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];
/// Longest wait that the collector can request with `Retry-After`.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// A running exporter.
pub(crate) struct ExporterHandle {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

struct Exporter {
    client: Client,
    collector: Collector,
    dropped: Counter,
    /// Whether the last request failed: that is logged once, until a request succeeds again.
    failing: bool,
}

/// Why a request failed.
struct RequestError {
    message: String,
    /// Set if a retry may succeed: at least this long from now.
    retry_after: Option<Duration>,
}

/// Starts sending the spans of `spans`. Must be called within a tokio runtime.
pub(super) fn start(
    collector: Collector,
    spans: mpsc::Receiver<Json>,
    dropped: Counter,
) -> Result<ExporterHandle, ClientError> {
    let authorities = collector.authorities.as_deref();
    let exporter = Exporter {
        client: EgressPolicy::operator_hosts().client_of(&collector.endpoint, authorities)?,
        collector,
        dropped,
        failing: false,
    };
    let (end, ended) = oneshot::channel();
    let task = tokio::spawn(exporter.run(spans, ended));
    Ok(ExporterHandle { end, task })
}

impl ExporterHandle {
    /// Sends the spans that are waiting, for at most `timeout`.
    pub(crate) async fn finish(self, timeout: Duration) {
        // Dropping the sender is the signal.
        drop(self.end);
        drop(tokio::time::timeout(timeout, self.task).await);
    }
}

impl Exporter {
    async fn run(mut self, mut spans: mpsc::Receiver<Json>, mut ended: oneshot::Receiver<()>) {
        let mut open = true;
        while let Some(first) = next_span(&mut spans, &mut ended, &mut open).await {
            let mut batch = vec![first];
            // Spans come in bursts, one for each stage of each event of a batch; gathered, they
            // cost one request and not hundreds.
            let gather = async {
                while batch.len() < MAX_BATCH
                    && let Some(span) = next_span(&mut spans, &mut ended, &mut open).await
                {
                    batch.push(span);
                }
            };
            drop(tokio::time::timeout(GATHER_TIME, gather).await);
            self.export(batch).await;
        }
    }

    async fn export(&mut self, spans: Vec<Json>) {
        let count = spans.len() as u64;
        let body = request_json(spans).to_string();
        for wait in RETRY_WAITS.into_iter().map(Some).chain([None]) {
            let error = match self.post(body.clone()).await {
                Ok(()) => {
                    self.failing = false;
                    return;
                }
                Err(error) => error,
            };
            if let (Some(wait), Some(requested)) = (wait, error.retry_after) {
                tokio::time::sleep(wait.max(requested)).await;
                continue;
            }
            self.dropped.inc_by(count);
            // Once and not for every batch: a collector that is down for a night would fill the
            // log.
            if !std::mem::replace(&mut self.failing, true) {
                tracing::warn!(
                    error = error.message,
                    spans = count,
                    "cannot send traces; spans are dropped until the collector accepts them"
                );
            }
            return;
        }
    }

    async fn post(&self, body: String) -> Result<(), RequestError> {
        let mut url = self.collector.endpoint.clone();
        url.set_path(&format!("{}/v1/traces", url.path().trim_end_matches('/')));
        let mut request = self
            .client
            .post(url)
            .timeout(Duration::from_secs(10))
            .header(CONTENT_TYPE, "application/json");
        for (name, value) in &self.collector.headers {
            request = request.header(name, value);
        }
        let response = request.body(body).send().await;
        let response = response.map_err(|error| RequestError {
            message: request_error(error),
            retry_after: Some(Duration::ZERO),
        })?;
        let response = BoundedResponse::read(response).await;
        let retry_after = match response.status {
            200..=299 => return Ok(()),
            // The statuses that OTLP documents as retryable.
            429 | 502..=504 => {
                let requested = response.retry_after(Timestamp::now()).unwrap_or_default();
                Some(requested.unsigned_abs().min(MAX_WAIT))
            }
            // A retry would be refused again: the request or its headers are wrong.
            _ => None,
        };
        Err(RequestError {
            message: response.summary(),
            retry_after,
        })
    }
}

/// The next span. After the end: those that are waiting, then `None`.
async fn next_span(
    spans: &mut mpsc::Receiver<Json>,
    ended: &mut oneshot::Receiver<()>,
    open: &mut bool,
) -> Option<Json> {
    tokio::select! {
        span = spans.recv() => span,
        _ = ended, if *open => {
            *open = false;
            // A closed channel still returns what is in it.
            spans.close();
            spans.recv().await
        }
    }
}
