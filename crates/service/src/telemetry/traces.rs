//! Traces for an OpenTelemetry collector.
//!
//! Accepting, evaluating and each attempt to deliver are spans; all spans of one event are one
//! trace. Ids are not random but derived from the event's name (source and id), so that a delivery
//! after a restart, or on the tenth retry, belongs to the trace that began with the request:
//!
//! ```text
//! trace id   first 16 bytes of SHA-256(length of source, source, id)
//! accept     first  8 bytes of SHA-256(trace id, "accept")
//! evaluate   first  8 bytes of SHA-256(trace id, "evaluate")      parent: accept
//! deliver    first  8 bytes of SHA-256(trace id, delivery id, start)   parent: evaluate
//! ```
//!
//! A parent's id is computed, not passed along: nothing about traces is stored in the outbox.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use prometheus_client::metrics::counter::Counter;
use reflexarc_delivery::http::ClientError;
use reflexarc_delivery::{DeliveryId, EventRef};
use reflexarc_event::Json;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::collector::Collector;
use super::exporter::{self, ExporterHandle};
use super::otlp::attribute;

/// Records spans. Never waits: when the collector is slower than the service, spans are dropped and
/// counted. The default records nothing.
#[derive(Clone, Default)]
pub struct Telemetry {
    recorder: Option<Arc<Recorder>>,
}

struct Recorder {
    spans: mpsc::Sender<Json>,
    one_in: u32,
    dropped: Counter,
}

/// A finished span.
pub(crate) struct Span<'a> {
    pub(crate) event: &'a EventRef,
    pub(crate) stage: Stage,
    pub(crate) started: Timestamp,
    pub(crate) duration: Duration,
    pub(crate) attributes: Vec<(&'static str, Json)>,
    /// Why it failed.
    pub(crate) error: Option<String>,
}

/// What a span covers; each stage is the parent of the next.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stage {
    /// From the request to the commit.
    Accept,
    /// The same for a duplicate.
    AcceptDuplicate,
    /// The evaluation of all rules.
    Evaluate,
    /// One attempt to deliver.
    Deliver(DeliveryId),
}

/// Largest number of spans waiting to be sent.
const MAX_WAITING: usize = 8_192;

impl Telemetry {
    /// Starts sending spans to a collector. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If the HTTP client cannot be created.
    pub(crate) fn start(
        collector: Collector,
        dropped: Counter,
    ) -> Result<(Self, ExporterHandle), ClientError> {
        let (spans, receiver) = mpsc::channel(MAX_WAITING);
        let one_in = collector.one_in.max(1);
        let exporter = exporter::start(collector, receiver, dropped.clone())?;
        let recorder = Some(Arc::new(Recorder {
            spans,
            one_in,
            dropped,
        }));
        Ok((Self { recorder }, exporter))
    }

    /// Whether spans of this event are recorded. An event is traced as a whole or not at all,
    /// because the decision depends only on its name.
    pub(crate) fn is_sampled(&self, event: &EventRef) -> bool {
        self.recorder.as_ref().is_some_and(|recorder| {
            let [a, b, c, d, ..] = trace_id(event);
            // The trace id is a hash, so its first bytes are as good as random, and equal for equal
            // events: `accept`, `evaluate` and `deliver` decide alike without passing anything
            // along.
            u32::from_be_bytes([a, b, c, d]).is_multiple_of(recorder.one_in)
        })
    }

    /// Records a span if its event is sampled.
    pub(crate) fn record(&self, span: &Span<'_>) {
        if let Some(recorder) = self
            .recorder
            .as_ref()
            .filter(|_| self.is_sampled(span.event))
            // Full: the collector is slower than the service. Waiting here would slow down intake
            // for the sake of its traces.
            && recorder.spans.try_send(span.to_json()).is_err()
        {
            recorder.dropped.inc();
        }
    }
}

impl Span<'_> {
    /// As OTLP's JSON encoding has it: ids in hexadecimal, 64-bit numbers as strings.
    fn to_json(&self) -> Json {
        let trace = trace_id(self.event);
        let (name, kind, parent) = match self.stage {
            // Kinds: 1 internal, 2 server, 3 client.
            Stage::Accept | Stage::AcceptDuplicate => ("accept", 2, None),
            Stage::Evaluate => ("evaluate", 1, Some(span_id(&trace, b"accept"))),
            Stage::Deliver(_) => ("deliver", 3, Some(span_id(&trace, b"evaluate"))),
        };
        let started = self.started.as_nanosecond().to_be_bytes();
        let id = match self.stage {
            Stage::Accept | Stage::Evaluate => span_id(&trace, name.as_bytes()),
            // There can be many of these, so the start is part of the id.
            Stage::AcceptDuplicate => span_id(&trace, &started),
            Stage::Deliver(id) => span_id(&trace, &[id.as_bytes(), started.as_slice()].concat()),
        };
        let duration = SignedDuration::try_from(self.duration).unwrap_or_default();
        let ended = self
            .started
            .saturating_add(duration)
            .unwrap_or(self.started);
        let nanos = |at: Timestamp| Json::from(at.as_nanosecond().to_string());
        let names = [
            ("event.id", Json::from(self.event.id.as_str())),
            ("event.source", Json::from(self.event.source.as_str())),
        ];
        let attributes = names
            .iter()
            .chain(&self.attributes)
            .map(|(key, value)| attribute(key, value));
        let status = match &self.error {
            None => Json::Object(Vec::new()),
            // Code 2: error.
            Some(error) => Json::object([("code", 2.into()), ("message", error.as_str().into())]),
        };
        let mut span = Json::object([
            ("traceId", hex::encode(trace).into()),
            ("spanId", id.into()),
            ("name", name.into()),
            ("kind", kind.into()),
            ("startTimeUnixNano", nanos(self.started)),
            ("endTimeUnixNano", nanos(ended)),
            ("attributes", Json::Array(attributes.collect())),
            ("status", status),
        ]);
        if let (Json::Object(members), Some(parent)) = (&mut span, parent) {
            members.push(("parentSpanId".to_owned(), parent.into()));
        }
        span
    }
}

fn trace_id(event: &EventRef) -> [u8; 16] {
    let mut hash = Sha256::new();
    // The length keeps ("ab", "c") and ("a", "bc") apart.
    hash.update((event.source.len() as u64).to_be_bytes());
    hash.update(&event.source);
    hash.update(&event.id);
    hash.finalize().first_chunk().copied().unwrap_or_default()
}

fn span_id(trace: &[u8; 16], name: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(trace);
    hash.update(name);
    hex::encode(&hash.finalize()[..8])
}
