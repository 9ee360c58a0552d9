//! Messages that are no events: published to a subject of their own, with the reason.

use async_nats::jetstream::Message;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::{HeaderMap, HeaderName};
use jiff::Timestamp;
use reflexarc_delivery::http::error_chain;
use reflexarc_diagnostic::truncate_to_line;

use super::Source;
use super::message::{MESSAGE_ID, Origin, Rejection};
use crate::telemetry::ProblemKind;

/// Headers of a rejected message, besides its own.
const REASON: &str = "Reflexarc-Reason";
const CODE: &str = "Reflexarc-Code";
const SOURCE: &str = "Reflexarc-Source";
const SUBJECT: &str = "Reflexarc-Subject";
const STREAM: &str = "Reflexarc-Stream";
const SEQUENCE: &str = "Reflexarc-Sequence";
const ORIGINAL_ID: &str = "Reflexarc-Original-Msg-Id";
/// The number of bytes that the payload had, if some of them are left out.
const TRUNCATED: &str = "Reflexarc-Truncated-From";
/// Headers that are directions to a stream; copied, they would apply to the rejected message.
const DIRECTIONS: &str = "nats-";

/// Characters of a reason: it quotes what the sender wrote.
const MAX_REASON_CHARS: usize = 1_000;
/// Bytes of the payload that are left to headers.
const HEADER_BYTES: usize = 8 << 10;

/// Publishes a message to `reject_subject`, if there is one, and waits until a stream has stored
/// it.
///
/// # Errors
/// If no stream has: the message must not be ended then.
pub(super) async fn publish_rejected(
    source: &Source,
    message: &Message,
    origin: &Origin,
    rejection: &Rejection,
) -> Result<(), String> {
    let Some(subject) = &source.settings.reject_subject else {
        return Ok(());
    };
    let describe = |error: &PublishError| match error.kind() {
        PublishErrorKind::StreamNotFound => format!("no stream listens on `{subject}`"),
        _ => error_chain(error),
    };
    let mut headers = headers(source, message, origin, rejection);
    let (payload, most) = (&message.payload, message.context.client().max_payload());
    let mut room = most.saturating_sub(HEADER_BYTES);
    // What the sender's own headers take, and their names.
    for (name, values) in message.headers.iter().flat_map(HeaderMap::iter) {
        let name: &str = name.as_ref();
        let sizes = values
            .iter()
            .map(|value| value.as_str().len() + name.len() + 4);
        room = room.saturating_sub(sizes.sum());
    }
    let kept = if payload.len() > room {
        headers.insert(TRUNCATED, payload.len().to_string());
        payload.slice(..room)
    } else {
        payload.clone()
    };
    let context = &message.context;
    let sent = context
        .publish_with_headers(subject.clone(), headers, kept)
        .await;
    let stored = sent.map_err(|error| describe(&error))?.await;
    stored.map(drop).map_err(|error| describe(&error))
}

/// Logs a message that is rejected, and counts it as a problem.
pub(super) fn log_rejection(
    source: &Source,
    message: &Message,
    origin: &Origin,
    rejection: &Rejection,
) {
    let state = &source.state;
    let (kind, reason) = (ProblemKind::MessagesRejected, &rejection.reason);
    state
        .metrics
        .problems
        .occurred(kind, &source.name, 1, reason);
    // As many lines as for refused requests: a broken sender must not fill the disk.
    if state.refusals.may_log(Timestamp::now().as_second()) {
        tracing::warn!(
            source = &*source.name,
            subject = message.subject.as_str(),
            stream = origin.stream,
            sequence = origin.sequence,
            code = rejection.code,
            reason = &*truncate_to_line(reason, MAX_REASON_CHARS),
            "rejected a message of a source"
        );
    }
}

impl Source {
    /// Reports that rejected messages cannot be published, or that they can again.
    pub(super) fn report_rejects(&self, failure: Option<&str>) {
        let problems = &self.state.metrics.problems;
        let subject = format!("{}: reject_subject", self.name);
        let Some(failure) = failure else {
            return problems.end(ProblemKind::SourceFailing, &subject);
        };
        if problems.holds(ProblemKind::SourceFailing, &subject, failure) {
            tracing::warn!(
                source = &*self.name,
                reason = failure,
                "cannot publish a rejected message; it stays in the stream and comes again"
            );
        }
    }
}

fn headers(
    source: &Source,
    message: &Message,
    origin: &Origin,
    rejection: &Rejection,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let own = message.headers.iter().flat_map(HeaderMap::iter);
    for (name, values) in own.filter(|(name, _)| !is_direction(name)) {
        for value in values {
            headers.append(name.clone(), value.clone());
        }
    }
    let original = message.headers.as_ref();
    if let Some(id) = original.and_then(|headers| headers.get_last(MESSAGE_ID)) {
        headers.insert(ORIGINAL_ID, id.as_str());
    }
    // The same for each attempt, so that the stream stores it once.
    headers.insert(MESSAGE_ID, format!("reject-{}", origin.id()));
    let reason = truncate_to_line(&rejection.reason, MAX_REASON_CHARS);
    headers.insert(REASON, &*reason);
    headers.insert(CODE, rejection.code.as_str());
    headers.insert(SOURCE, &*source.name);
    headers.insert(SUBJECT, message.subject.as_str());
    headers.insert(STREAM, origin.stream.as_str());
    headers.insert(SEQUENCE, origin.sequence.to_string());
    headers
}

fn is_direction(name: &HeaderName) -> bool {
    let name: &str = name.as_ref();
    name.to_ascii_lowercase().starts_with(DIRECTIONS)
}
