//! `/events`: admit, read, convert, store; 2xx only after the commit.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::ALLOW;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use reflexarc_delivery::EventRef;
use reflexarc_event::Json;

use super::body::{self, BodyError, ElementError, Elements};
use super::elements::{ReadError, read_elements};
use super::{AppState, Client, HttpError, Role, json_response};
use crate::intake::{AdmissionPermit, Overloaded, Source};
use crate::security::{EventBridge, SignatureError};
use crate::store::{Accepted, Incoming};
use crate::telemetry::{ProblemKind, Span, Stage};

/// Largest number of invalid elements that a response lists.
// A batch may have 10,000 elements, all of them invalid, and the response would be larger than the
// request. The response states the number of all.
const MAX_LISTED_ERRORS: usize = 100;

/// Chunks of a body that may be smaller than [`SMALL_CHUNK`] on average.
// Each chunk costs as much as a thousand bytes in a large one: 8 MiB of chunks of one byte would
// keep a thread busy for the whole time limit. A sender that writes each event on its own stays far
// above.
const MAX_SMALL_CHUNKS: usize = 10_000;
/// The smallest average size of many chunks, in bytes.
const SMALL_CHUNK: usize = 16;

/// When a request began, by the wall clock and by the monotonic clock.
#[derive(Clone, Copy)]
pub(crate) struct RequestStart {
    wall: Timestamp,
    clock: Instant,
}

pub(super) async fn post(
    State(state): State<Arc<AppState>>,
    request: Request,
) -> Result<Response, HttpError> {
    // Before anything else: the metric and the span cover reading the body too.
    let start = RequestStart::now();
    let (parts, body) = request.into_parts();
    // Before the body is read: a client without access cannot make us hold 8 MiB.
    let (signed, source) = authorize(&state, &parts)?;
    let limit = state.limits.body_bytes;
    let announced = content_length(&parts.headers).unwrap_or_default();
    if announced > limit {
        return Err(too_large(limit));
    }
    let mut permit = state.intake.admit(source, announced)?;
    let client = parts.extensions.get::<Client>();
    let bytes = read_body(&state, client, body, &mut permit).await?;
    if let Some(eventbridge) = signed {
        let target = parts.uri.path_and_query();
        let target = target.map_or("/", |target| target.as_str());
        // The signature is over the body, so it is verified only now; nothing has been parsed yet.
        eventbridge.verify(&parts.headers, target, &bytes).await?;
        if let Some(client) = client {
            client.set_authenticated();
        }
    }
    let is_partial = is_partial(&parts);
    let (elements, permit) = read_elements(&state, parts.headers, bytes, permit).await?;
    let response = accept(&state, elements, is_partial, permit, start).await?;
    state
        .metrics
        .accepting
        .observe(start.clock.elapsed().as_secs_f64());
    Ok(response)
}

/// Cloud Monitor's GET, with the event in the query.
pub(super) async fn get(
    State(state): State<Arc<AppState>>,
    request: Request,
) -> Result<Response, HttpError> {
    let (parts, _) = request.into_parts();
    // The router gives a HEAD to the handler of GET, and what only looks must not store.
    if parts.method == Method::HEAD {
        let message = "HEAD is not allowed for this path";
        let refusal = HttpError::new(StatusCode::METHOD_NOT_ALLOWED, message);
        return Ok(([(ALLOW, "POST,GET")], refusal).into_response());
    }
    let source = token_source(&state, &parts)?;
    let query = parts.uri.query().unwrap_or_default();
    if query.is_empty() {
        let message = "a GET has the event in the query parameter `data`; post events otherwise";
        return Err(HttpError::new(StatusCode::BAD_REQUEST, message));
    }
    let mut permit = state.intake.admit(source, query.len())?;
    state.intake.reserve_bytes(&mut permit, query.len())?;
    let elements = body::read_query(query);
    accept(&state, elements, false, permit, RequestStart::now()).await
}

/// Checks the token, or the head of an EventBridge signature; that signature must be verified when
/// the body has been read. Returns also who sends.
fn authorize(
    state: &AppState,
    parts: &Parts,
) -> Result<(Option<Arc<EventBridge>>, Source), HttpError> {
    match state.live.eventbridge.load_full() {
        Some(eventbridge) if EventBridge::is_signed(&parts.headers) => {
            eventbridge.check_head(&parts.headers, Timestamp::now())?;
            // Not one source for all that claim to be EventBridge: what claims it is not known to
            // be it before the body has been read.
            Ok((Some(eventbridge), client_source(parts)))
        }
        _ => Ok((None, token_source(state, parts)?)),
    }
}

/// The holder of the request's token. Without tokens each connection is a source: all clients have
/// the same address then.
fn token_source(state: &AppState, parts: &Parts) -> Result<Source, HttpError> {
    let name = state.authorize(parts, Role::Ingest)?;
    if !state.live.tokens.load().is_open() {
        return Ok(Source::Token(name.into()));
    }
    let connection = parts.extensions.get().and_then(Client::connection_id);
    Ok(connection.map_or_else(|| client_source(parts), Source::Connection))
}

fn client_source(parts: &Parts) -> Source {
    let client: Option<&Client> = parts.extensions.get();
    // Without a client there is a test that calls the handler.
    Source::Address(client.map_or(Ipv4Addr::LOCALHOST.into(), |client| client.address))
}

/// Reads a body, and reserves its bytes as they come: a client that announces much, or an unknown
/// length, and sends nothing holds nothing.
async fn read_body(
    state: &AppState,
    client: Option<&Client>,
    body: Body,
    permit: &mut AdmissionPermit,
) -> Result<Vec<u8>, HttpError> {
    if let Some(client) = client {
        client.set_waiting();
    }
    // One timeout over the whole body, not between two reads: a client that sends a byte every
    // second would never be idle and never be done.
    let reading = tokio::time::timeout(state.limits.body, read_frames(state, body, permit));
    let timeout = || {
        let message = "timeout while reading the body";
        HttpError::new(StatusCode::REQUEST_TIMEOUT, message).closing()
    };
    let bytes = reading.await.unwrap_or_else(|_| Err(timeout()))?;
    if let Some(client) = client {
        client.set_working();
    }
    Ok(bytes)
}

async fn read_frames(
    state: &AppState,
    mut body: Body,
    permit: &mut AdmissionPermit,
) -> Result<Vec<u8>, HttpError> {
    let limit = state.limits.body_bytes;
    let (mut bytes, mut chunks) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        // Trailers say nothing about events.
        let Ok(data) = frame.map_err(|_| incomplete())?.into_data() else {
            continue;
        };
        chunks += 1;
        if chunks > MAX_SMALL_CHUNKS && bytes.len() < chunks * SMALL_CHUNK {
            let message = format!("the chunks of the body are smaller than {SMALL_CHUNK} bytes");
            return Err(HttpError::new(StatusCode::BAD_REQUEST, message).closing());
        }
        if bytes.len() + data.len() > limit {
            return Err(too_large(limit));
        }
        state.intake.reserve_bytes(permit, data.len())?;
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// Stores the events of a request: all of them or, if `partial`, those that are valid.
async fn accept(
    state: &AppState,
    elements: Elements,
    partial: bool,
    mut permit: AdmissionPermit,
    start: RequestStart,
) -> Result<Response, HttpError> {
    let (mut events, mut errors) = (Vec::new(), Vec::new());
    for element in elements {
        match element {
            Ok(incoming) => events.push(incoming),
            Err(error) => errors.push(error),
        }
    }
    // By default all or nothing: a sender that gets a 400 can correct and send the whole batch
    // again, without duplicates of a part of it.
    if !errors.is_empty() && (!partial || events.is_empty()) {
        let message = match errors.as_slice() {
            [error] => format!(
                "element {} is not an event: {}; nothing was stored",
                error.element, error.message
            ),
            _ => format!(
                "{} elements are not events; nothing was stored",
                errors.len()
            ),
        };
        let error = HttpError::new(StatusCode::BAD_REQUEST, message);
        return Err(error.with_member("faults", errors_json(&errors)));
    }
    state.intake.reserve_events(&mut permit, events.len())?;
    let ids = events
        .iter()
        .map(|incoming| incoming.name.id.as_str().into());
    let ids = Json::Array(ids.collect());
    let sampled = state.sampled(&events);
    let accepted = state.intake.submit(events, permit).await?;
    state.record_accepted(&accepted, sampled, start);
    let duplicates = accepted.iter().filter(|event| event.duplicate).count();
    let mut body = Json::object([
        ("accepted", Json::count(accepted.len() - duplicates)),
        ("duplicates", Json::count(duplicates)),
        ("ids", ids),
    ]);
    if let Some(first) = errors.first() {
        state.refusals.log_partial(errors.len(), &first.message);
        let (kind, count) = (ProblemKind::RequestsRefused, errors.len() as u64);
        let problems = &state.metrics.problems;
        problems.occurred(kind, "elements", count, &first.message);
    }
    if let (Json::Object(members), false) = (&mut body, errors.is_empty()) {
        members.push(("refused".into(), Json::count(errors.len())));
        members.push(("faults".into(), errors_json(&errors)));
    }
    Ok(json_response(StatusCode::OK, &body))
}

impl RequestStart {
    pub(crate) fn now() -> Self {
        Self {
            wall: Timestamp::now(),
            clock: Instant::now(),
        }
    }
}

impl AppState {
    /// The names of the events that have spans: the events are moved into the store.
    pub(crate) fn sampled(&self, events: &[Incoming]) -> Vec<Option<EventRef>> {
        let sampled = events.iter().map(|incoming| {
            let wanted = self.telemetry.is_sampled(&incoming.name);
            wanted.then(|| incoming.name.clone())
        });
        sampled.collect()
    }

    /// Counts the accepted events of a request or message, wakes the queues of their deliveries,
    /// and exports the spans of those that are `sampled`.
    pub(crate) fn record_accepted(
        &self,
        accepted: &[Accepted],
        sampled: Vec<Option<EventRef>>,
        start: RequestStart,
    ) {
        let now = self.clock.now();
        for (accepted, event) in accepted.iter().zip(sampled) {
            self.count(accepted, now);
            let Some(event) = event else { continue };
            self.telemetry.record(&Span {
                event: &event,
                stage: if accepted.duplicate {
                    Stage::AcceptDuplicate
                } else {
                    Stage::Accept
                },
                started: start.wall,
                duration: start.clock.elapsed(),
                attributes: vec![
                    ("seq", accepted.seq.into()),
                    ("duplicate", accepted.duplicate.into()),
                ],
                error: None,
            });
        }
    }

    /// Counts an accepted event and wakes the queues of its deliveries.
    fn count(&self, accepted: &Accepted, now: Timestamp) {
        if accepted.duplicate {
            self.metrics.duplicates.inc();
            return;
        }
        self.metrics.accepted.inc();
        self.metrics.matched.inc_by(accepted.matched as u64);
        self.metrics.failures.inc_by(accepted.failures as u64);
        // Without this the queues would find the deliveries at their next poll, up to a second
        // later.
        self.wake.wake(&accepted.targets, &*self.store, now);
    }
}

impl From<BodyError> for HttpError {
    fn from(error: BodyError) -> Self {
        let status = match error {
            BodyError::ContentType(_) | BodyError::Format(_) | BodyError::ContentEncoding(_) => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            BodyError::TooManyEvents(_) | BodyError::TooLong(_) => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::Invalid(_) | BodyError::Empty => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.to_string())
    }
}

impl From<ReadError> for HttpError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Body(error) => error.into(),
            ReadError::Overloaded(overloaded) => overloaded.into(),
            ReadError::Failed(error) => error.into(),
        }
    }
}

impl From<SignatureError> for HttpError {
    fn from(error: SignatureError) -> Self {
        match error {
            SignatureError::Invalid(_) => Self::new(StatusCode::UNAUTHORIZED, error.to_string()),
            // The request may be genuine: 503 asks the sender to try again, 401 would not.
            SignatureError::Unavailable(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()).with_retry_after(10)
            }
        }
    }
}

impl From<Overloaded> for HttpError {
    fn from(overloaded: Overloaded) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, overloaded.to_string())
            .with_retry_after(1)
            .with_problem(ProblemKind::IntakeFull, "queue")
    }
}

pub(super) fn incomplete() -> HttpError {
    HttpError::new(StatusCode::BAD_REQUEST, "the body is incomplete")
}

pub(super) fn too_large(limit: usize) -> HttpError {
    let message = format!("the body is larger than {limit} bytes");
    // The rest of the body is not read.
    HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, message).closing()
}

/// The announced length; hyper has checked it.
fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers
        .get(axum::http::header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

fn is_partial(parts: &Parts) -> bool {
    let query = parts.uri.query().unwrap_or_default();
    // Only this literal: `partial=1` or `partial=True` would be guesses.
    query.split('&').any(|pair| pair == "partial=true")
}

fn errors_json(errors: &[ElementError]) -> Json {
    let listed = errors.iter().take(MAX_LISTED_ERRORS).map(|error| {
        Json::object([
            ("element", Json::count(error.element)),
            ("line", error.line.map_or(Json::Null, Json::count)),
            ("code", error.code.to_string().into()),
            ("message", error.message.as_str().into()),
            ("help", Json::optional(error.help.as_deref())),
        ])
    });
    Json::Array(listed.collect())
}
