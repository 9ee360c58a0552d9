//! Traces for an OpenTelemetry collector: OTLP over HTTP in its JSON encoding. Accepting, evaluating and each attempt to
//! deliver are spans; all of one event are one trace.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use prometheus_client::metrics::counter::Counter;
use reflexarc_event::Json;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Client, Url};
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::record::object;
use reflexarc_delivery::http::{BoundedResponse, EgressPolicy, request_error};
use reflexarc_delivery::{DeliveryId, EventRef};

/// Where spans go, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector {
    /// Its address; spans are posted to `v1/traces` below it.
    pub endpoint: Url,
    /// Sent with every request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// One event in so many is traced, at least 1; which ones depends on their ids alone.
    pub one_in: u32,
}

/// Takes note of spans. It never waits: when the collector is slower than the service, spans are dropped and counted.
#[derive(Clone, Default)]
pub struct Telemetry {
    noting: Option<Arc<Noting>>,
}

struct Noting {
    spans: mpsc::Sender<Json>,
    one_in: u32,
    dropped: Counter,
}

/// What happened in a span.
pub(crate) struct Span<'a> {
    pub(crate) event: &'a EventRef,
    pub(crate) stage: Stage,
    pub(crate) began: Timestamp,
    pub(crate) took: Duration,
    pub(crate) facts: Vec<(&'static str, Json)>,
    /// Why it failed.
    pub(crate) fault: Option<String>,
}

/// The stages of an event's way; each is the parent of the next.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stage {
    /// From the request to the commit.
    Accept,
    /// The same of another copy, which was recognised.
    AcceptCopy,
    /// All rules.
    Evaluate,
    /// One attempt.
    Deliver(DeliveryId),
}

/// Most spans that wait.
const WAITING: usize = 8_192;
/// Most spans in a request.
const BATCH: usize = 512;
/// How long the first span of a request waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// The waits after a request that may work later.
const WAITS: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

impl Collector {
    /// The collector at this address, for every event.
    ///
    /// # Errors
    /// When it is no http or https URL.
    pub fn at(url: &str) -> Result<Self, String> {
        let parsed = Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let endpoint = parsed.ok_or_else(|| format!("`{url}` is no http or https URL"))?;
        Ok(Self {
            endpoint,
            headers: Vec::new(),
            one_in: 1,
        })
    }
}

impl Telemetry {
    /// Starts posting to a collector. To be called within a tokio runtime.
    ///
    /// # Errors
    /// When no client can be made.
    pub(crate) fn start(
        collector: Collector,
        dropped: Counter,
    ) -> Result<(Self, Exporting), String> {
        let client = EgressPolicy::allow_all().client(None)?;
        let (spans, waiting) = mpsc::channel(WAITING);
        let one_in = collector.one_in.max(1);
        let exporter = Exporter {
            client,
            collector,
            dropped: dropped.clone(),
            failing: false,
        };
        let (end, ended) = oneshot::channel();
        let task = tokio::spawn(exporter.run(waiting, ended));
        Ok((
            Self {
                noting: Some(Arc::new(Noting {
                    spans,
                    one_in,
                    dropped,
                })),
            },
            Exporting { end, task },
        ))
    }

    /// Whether spans of this event are wanted.
    pub(crate) fn wants(&self, event: &EventRef) -> bool {
        self.noting.as_ref().is_some_and(|noting| {
            let [a, b, c, d, ..] = trace_id(event);
            u32::from_be_bytes([a, b, c, d]).is_multiple_of(noting.one_in)
        })
    }

    /// Takes note of a span, if it is wanted.
    pub(crate) fn note(&self, span: &Span<'_>) {
        if let Some(noting) = self.noting.as_ref().filter(|_| self.wants(span.event))
            && noting.spans.try_send(span.to_json()).is_err()
        {
            noting.dropped.inc();
        }
    }
}

impl Span<'_> {
    /// As OTLP's JSON encoding has it: ids in hexadecimal, 64-bit numbers as strings.
    fn to_json(&self) -> Json {
        let trace = trace_id(self.event);
        let (name, kind, parent) = match self.stage {
            // Kinds: 1 internal, 2 server, 3 client.
            Stage::Accept | Stage::AcceptCopy => ("accept", 2, None),
            Stage::Evaluate => ("evaluate", 1, Some(span_id(&trace, b"accept"))),
            Stage::Deliver(_) => ("deliver", 3, Some(span_id(&trace, b"evaluate"))),
        };
        let began = self.began.as_nanosecond().to_be_bytes();
        let own = match self.stage {
            Stage::Accept | Stage::Evaluate => span_id(&trace, name.as_bytes()),
            // Each attempt and each copy is a span of its own.
            Stage::AcceptCopy => span_id(&trace, &began),
            Stage::Deliver(id) => span_id(&trace, &[id.as_bytes(), began.as_slice()].concat()),
        };
        let ended = self
            .began
            .saturating_add(SignedDuration::try_from(self.took).unwrap_or_default());
        let nanos = |at: Timestamp| Json::from(at.as_nanosecond().to_string());
        let names = [
            ("event.id", &self.event.id),
            ("event.source", &self.event.source),
        ];
        let names = names.map(|(key, value)| (key, Json::from(value.as_str())));
        let attributes = names
            .iter()
            .chain(&self.facts)
            .map(|(key, value)| attribute(key, value));
        let status = match &self.fault {
            None => object([]),
            Some(fault) => object([("code", 2.into()), ("message", fault.as_str().into())]),
        };
        let mut span = object([
            ("traceId", hex(&trace).into()),
            ("spanId", own.into()),
            ("name", name.into()),
            ("kind", kind.into()),
            ("startTimeUnixNano", nanos(self.began)),
            ("endTimeUnixNano", nanos(ended.unwrap_or(self.began))),
            ("attributes", Json::Array(attributes.collect())),
            ("status", status),
        ]);
        if let (Json::Object(members), Some(parent)) = (&mut span, parent) {
            members.push(("parentSpanId".to_owned(), parent.into()));
        }
        span
    }
}

/// A collector being posted to.
pub(crate) struct Exporting {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Exporting {
    /// Posts what waits, and no more.
    pub(crate) async fn end(self, patience: Duration) {
        drop(self.end);
        drop(tokio::time::timeout(patience, self.task).await);
    }
}

struct Exporter {
    client: Client,
    collector: Collector,
    dropped: Counter,
    /// The last request failed: said once, until one works again.
    failing: bool,
}

impl Exporter {
    async fn run(mut self, mut waiting: mpsc::Receiver<Json>, mut ended: oneshot::Receiver<()>) {
        let mut open = true;
        while let Some(first) = next(&mut waiting, &mut ended, &mut open).await {
            let mut batch = vec![first];
            let gathering = async {
                while batch.len() < BATCH
                    && let Some(next) = next(&mut waiting, &mut ended, &mut open).await
                {
                    batch.push(next);
                }
            };
            drop(tokio::time::timeout(GATHER, gathering).await);
            self.post(batch).await;
        }
    }

    async fn post(&mut self, spans: Vec<Json>) {
        let count = spans.len() as u64;
        let body = request(spans).to_string();
        for wait in WAITS.into_iter().map(Some).chain([None]) {
            let (words, later) = match self.call(body.clone()).await {
                Ok(()) => {
                    self.failing = false;
                    return;
                }
                Err(failure) => failure,
            };
            if let (Some(wait), Some(asked)) = (wait, later) {
                tokio::time::sleep(wait.max(asked)).await;
                continue;
            }
            self.dropped.inc_by(count);
            if !std::mem::replace(&mut self.failing, true) {
                tracing::warn!(
                    error = words,
                    spans = count,
                    "cannot send traces; they are dropped until it works"
                );
            }
            return;
        }
    }

    /// Posts; what went wrong otherwise, and after which time to try again where that makes sense.
    async fn call(&self, body: String) -> Result<(), (String, Option<Duration>)> {
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
        let response = request
            .body(body)
            .send()
            .await
            .map_err(|error| (request_error(error), Some(Duration::ZERO)))?;
        let answer = BoundedResponse::read(response).await;
        match answer.status {
            200..=299 => Ok(()),
            429 | 502..=504 => {
                let asked = answer
                    .retry_after(Timestamp::now())
                    .unwrap_or_default()
                    .unsigned_abs();
                Err((answer.summary(), Some(asked.min(Duration::from_secs(30)))))
            }
            _ => Err((answer.summary(), None)),
        }
    }
}

/// The next span; after the end those that wait, then none.
async fn next(
    waiting: &mut mpsc::Receiver<Json>,
    ended: &mut oneshot::Receiver<()>,
    open: &mut bool,
) -> Option<Json> {
    tokio::select! {
        span = waiting.recv() => span,
        _ = ended, if *open => {
            *open = false;
            waiting.close();
            waiting.recv().await
        }
    }
}

fn request(spans: Vec<Json>) -> Json {
    let version = env!("CARGO_PKG_VERSION");
    let resource = [("service.name", "reflexarc"), ("service.version", version)];
    let resource = resource
        .iter()
        .map(|(key, value)| attribute(key, &Json::from(*value)));
    let scope = object([("name", "reflexarc".into()), ("version", version.into())]);
    let scoped = object([("scope", scope), ("spans", Json::Array(spans))]);
    let all = object([
        (
            "resource",
            object([("attributes", Json::Array(resource.collect()))]),
        ),
        ("scopeSpans", Json::Array(vec![scoped])),
    ]);
    object([("resourceSpans", Json::Array(vec![all]))])
}

fn attribute(key: &str, value: &Json) -> Json {
    let value = match value {
        Json::Bool(_) => object([("boolValue", value.clone())]),
        Json::Number(_) => object([("intValue", value.to_string().into())]),
        other => object([(
            "stringValue",
            other
                .as_str()
                .map_or_else(|| other.to_string(), str::to_owned)
                .into(),
        )]),
    };
    object([("key", key.into()), ("value", value)])
}

/// Made from the event's name, so that a delivery finds its trace also after a restart.
fn trace_id(event: &EventRef) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update((event.source.len() as u64).to_be_bytes());
    hash.update(&event.source);
    hash.update(&event.id);
    hash.finalize().first_chunk().copied().unwrap_or_default()
}

fn span_id(trace: &[u8; 16], what: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(trace);
    hash.update(what);
    hex(&hash.finalize()[..8])
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}
