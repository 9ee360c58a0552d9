//! `/events`: read, judged, stored, and only then answered 2xx.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use reflexarc_event::Json;

use super::body::{self, BadRequest, Fault};
use super::signature::{EventBridge, SignatureError};
use super::{Door, Refusal, Role, json};
use crate::incoming::Incoming;
use crate::intake::{Overloaded, Room};
use crate::record::{number, object, optional};
use crate::store::{Accepted, StoreError};
use crate::telemetry::{Span, Stage};

/// Faults that are listed; the rest are counted.
const LISTED: usize = 100;

pub(super) async fn post(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Refusal> {
    let begun = (Timestamp::now(), Instant::now());
    let (parts, body) = request.into_parts();
    let signed = admit(&door, &parts)?;
    let limit = door.limits.body_bytes;
    let announced = length(&parts.headers).unwrap_or(limit);
    if announced > limit {
        return Err(too_large(limit));
    }
    let room = door.intake.room(announced)?;
    let reading = tokio::time::timeout(door.limits.body, axum::body::to_bytes(body, announced));
    let bytes = match reading.await {
        Err(_) => {
            return Err(Refusal::new(
                StatusCode::REQUEST_TIMEOUT,
                "the body took too long",
            ));
        }
        Ok(Err(error)) if error.to_string().contains("length limit") => {
            return Err(too_large(limit));
        }
        Ok(Err(_)) => return Err(Refusal::new(StatusCode::BAD_REQUEST, "the body broke off")),
        Ok(Ok(bytes)) => bytes,
    };
    if let Some(eventbridge) = signed {
        let target = parts
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str());
        eventbridge.verify(&parts.headers, target, &bytes).await?;
    }
    let elements = body::posted(&parts.headers, &bytes, door.limits.batch_events)?;
    let answer = accept(&door, elements, partial(&parts), room, begun).await?;
    door.metrics
        .accepting
        .observe(begun.1.elapsed().as_secs_f64());
    Ok(answer)
}

/// Cloud Monitor's GET, with the event in the query.
pub(super) async fn get(
    State(door): State<Arc<Door>>,
    request: Request,
) -> Result<Response, Refusal> {
    let (parts, _) = request.into_parts();
    door.admit(&parts, Role::Ingest)?;
    let query = parts.uri.query().unwrap_or_default();
    let room = door.intake.room(query.len())?;
    accept(
        &door,
        body::queried(query),
        false,
        room,
        (Timestamp::now(), Instant::now()),
    )
    .await
}

/// A token, or a signature of EventBridge that is verified when the body is there.
fn admit(door: &Door, parts: &Parts) -> Result<Option<Arc<EventBridge>>, Refusal> {
    match door.in_force.eventbridge.load_full() {
        Some(eventbridge) if EventBridge::claims(&parts.headers) => {
            eventbridge.check_head(&parts.headers, Timestamp::now())?;
            Ok(Some(eventbridge))
        }
        _ => door.admit(parts, Role::Ingest).map(|_| None),
    }
}

/// All or nothing, unless `partial`: then the good ones are stored and the bad ones named.
async fn accept(
    door: &Door,
    elements: Vec<Result<Incoming, Fault>>,
    partial: bool,
    mut room: Room,
    (began, clock): (Timestamp, Instant),
) -> Result<Response, Refusal> {
    let (mut good, mut faults) = (Vec::new(), Vec::new());
    for element in elements {
        match element {
            Ok(incoming) => good.push(incoming),
            Err(fault) => faults.push(fault),
        }
    }
    if !faults.is_empty() && (!partial || good.is_empty()) {
        let words = match faults.as_slice() {
            [fault] => format!(
                "element {} is not an event: {}; nothing was stored",
                fault.element, fault.message
            ),
            _ => format!(
                "{} elements are not events; nothing was stored",
                faults.len()
            ),
        };
        return Err(Refusal::new(StatusCode::BAD_REQUEST, words).with("faults", told(&faults)));
    }
    door.intake.widen(&mut room, good.len())?;
    let now = Timestamp::now();
    let ids: Vec<Json> = good
        .iter()
        .map(|incoming| incoming.name.id.as_str().into())
        .collect();
    let traced = |incoming: &Incoming| {
        door.telemetry
            .wants(&incoming.name)
            .then(|| incoming.name.clone())
    };
    let traced: Vec<_> = good.iter().map(traced).collect();
    let stored = door
        .intake
        .submit(good, now, room)
        .await
        .unwrap_or(Err(StoreError::Closed))?;
    for (one, traced) in stored.iter().zip(traced) {
        door.note(one, now);
        if let Some(event) = traced {
            let stage = if one.duplicate {
                Stage::AcceptCopy
            } else {
                Stage::Accept
            };
            let facts = vec![("seq", one.seq.into()), ("duplicate", one.duplicate.into())];
            let took = clock.elapsed();
            door.telemetry.note(&Span {
                event: &event,
                stage,
                began,
                took,
                facts,
                fault: None,
            });
        }
    }
    let duplicates = stored.iter().filter(|one| one.duplicate).count();
    let accepted = stored.len() - duplicates;
    let mut body = object([
        ("accepted", number(accepted)),
        ("duplicates", number(duplicates)),
        ("ids", Json::Array(ids)),
    ]);
    if let (Json::Object(members), false) = (&mut body, faults.is_empty()) {
        members.push(("refused".into(), number(faults.len())));
        members.push(("faults".into(), told(&faults)));
    }
    Ok(json(StatusCode::OK, &body))
}

impl Door {
    /// Counts an event and wakes whom it concerns.
    fn note(&self, stored: &Accepted, now: Timestamp) {
        if stored.duplicate {
            self.metrics.duplicates.inc();
            return;
        }
        self.metrics.accepted.inc();
        self.metrics.matched.inc_by(stored.matched as u64);
        self.metrics.failures.inc_by(stored.failures as u64);
        self.wake.wake(&stored.targets, &self.store, now);
    }
}

impl From<BadRequest> for Refusal {
    fn from(bad: BadRequest) -> Self {
        let status = match bad {
            BadRequest::ContentType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            BadRequest::TooMany(_) => StatusCode::PAYLOAD_TOO_LARGE,
            BadRequest::Body(_) => StatusCode::BAD_REQUEST,
        };
        Self::new(status, bad.to_string())
    }
}

impl From<SignatureError> for Refusal {
    fn from(error: SignatureError) -> Self {
        tracing::warn!(%error, "refused a request of EventBridge");
        match error {
            SignatureError::Invalid(_) => Self::new(StatusCode::UNAUTHORIZED, error.to_string()),
            SignatureError::Unavailable(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()).again_in(10)
            }
        }
    }
}

impl From<Overloaded> for Refusal {
    fn from(overloaded: Overloaded) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, overloaded.to_string()).again_in(1)
    }
}

fn too_large(limit: usize) -> Refusal {
    Refusal::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("a request may have {limit} bytes"),
    )
}

fn length(headers: &HeaderMap) -> Option<usize> {
    headers
        .get(axum::http::header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

fn partial(parts: &Parts) -> bool {
    parts
        .uri
        .query()
        .is_some_and(|query| query.split('&').any(|pair| pair == "partial=true"))
}

fn told(faults: &[Fault]) -> Json {
    let one = |fault: &Fault| {
        object([
            ("element", number(fault.element)),
            ("line", fault.line.map_or(Json::Null, number)),
            ("code", fault.code.to_string().into()),
            ("message", fault.message.as_str().into()),
            ("help", optional(fault.help.as_deref())),
        ])
    };
    Json::Array(faults.iter().take(LISTED).map(one).collect())
}
