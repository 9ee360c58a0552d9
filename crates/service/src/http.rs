//! The HTTP door: events in, and what operators ask and order.

mod auth;
mod body;
mod events;
mod operate;
mod server;
mod signature;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use jiff::Timestamp;
use reflexarc_event::Json;
use tokio::sync::watch;

use crate::dispatch::Wake;
use crate::intake::Intake;
use crate::limits::Limits;
use crate::metrics::{Metrics, StatusLabel};
use crate::record::object;
use crate::reload::{InForce, Reloader};
use crate::store::{Store, StoreError};
use crate::telemetry::Telemetry;

pub use auth::{Denied, Role, Token, Tokens};
pub use body::{BadRequest, Fault, posted, queried};
pub use server::{Identity, listen};
pub use signature::{Certificates, EventBridge, Fetching, OverHttps, SignatureError};

/// What requests are answered from.
pub struct Door {
    /// Takes events.
    pub intake: Intake,
    /// Knows everything else.
    pub store: Arc<Store>,
    /// Who may do what, and what else a reload replaces.
    pub in_force: Arc<InForce>,
    /// Figures.
    pub metrics: Arc<Metrics>,
    /// What strangers may cost.
    pub limits: Limits,
    /// Takes note of requests.
    pub telemetry: Telemetry,
    /// Wakes the targets' queues.
    pub wake: Wake,
    /// Puts new rules in force.
    pub reloader: Arc<Reloader>,
    /// True from the moment when everything is to end.
    pub stop: watch::Receiver<bool>,
}

/// A request that is answered with an error.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    body: Json,
    retry_after: Option<u32>,
}

/// Every path.
pub fn router(door: Arc<Door>) -> Router {
    Router::new()
        .route("/events", post(events::post).get(events::get))
        .route("/healthz", get(operate::healthz))
        .route("/readyz", get(operate::readyz))
        .route("/metrics", get(operate::metrics))
        .route("/status", get(operate::status))
        .route("/reload", post(operate::reload))
        .route("/trace/{event}", get(operate::trace_event))
        .route("/outbox", get(operate::outbox))
        .route("/outbox/{id}", get(operate::delivery))
        .route("/outbox/{id}/cancel", post(operate::cancel))
        .route("/dlq", get(operate::dead_letters))
        .route("/dlq/{id}", delete(operate::drop_dead))
        .route("/dlq/{id}/redrive", post(operate::redrive))
        .fallback(|| async { Refusal::new(StatusCode::NOT_FOUND, "there is nothing at this path") })
        .layer(axum::middleware::from_fn_with_state(
            door.clone(),
            count_refused,
        ))
        .with_state(door)
}

async fn count_refused(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let events = request.uri().path() == "/events";
    let response = next.run(request).await;
    if events && !response.status().is_success() {
        door.metrics
            .refused
            .get_or_create(&StatusLabel {
                status: response.status().as_u16(),
            })
            .inc();
    }
    response
}

impl Door {
    /// Who comes, if they may do what needs `role`.
    fn admit(&self, request: &axum::http::request::Parts, role: Role) -> Result<String, Refusal> {
        let query = request.uri.query().unwrap_or_default();
        let tokens = self.in_force.tokens.load();
        let who = tokens.check(&request.headers, query, role, Timestamp::now());
        Ok(who.map_err(Refusal::from)?.to_owned())
    }
}

impl Refusal {
    fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self {
            status,
            body: object([("error", error.into().into())]),
            retry_after: None,
        }
    }

    fn again_in(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    fn with(mut self, key: &str, value: Json) -> Self {
        if let Json::Object(members) = &mut self.body {
            members.push((key.to_owned(), value));
        }
        self
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        let status = match denied {
            Denied::Unknown => StatusCode::UNAUTHORIZED,
            Denied::Role => StatusCode::FORBIDDEN,
        };
        Self::new(status, denied.to_string())
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store failed");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()).again_in(10)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = json(self.status, &self.body);
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert("www-authenticate", HeaderValue::from_static("Bearer"));
        }
        response
    }
}

fn json(status: StatusCode, body: &Json) -> Response {
    (
        status,
        [(CONTENT_TYPE, "application/json")],
        format!("{body}\n"),
    )
        .into_response()
}
