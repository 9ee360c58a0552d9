//! The HTTP API: intake of events, and reading and operating the service.

mod audit;
mod body;
mod compression;
mod connections;
mod console;
mod elements;
mod events;
mod framing;
mod guard;
mod held_body;
mod incidents;
mod jobs;
mod lists;
mod live;
mod openapi;
mod operate;
mod peers;
mod pending;
mod query;
mod refusals;
mod routes;
mod rules;
mod server;
mod silences;
mod stream;
mod targets;
mod work_threads;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use reflexarc_event::Json;
use tokio::sync::{Notify, Semaphore, watch};

#[cfg(feature = "cluster")]
pub(crate) use self::body::BodyError;
pub(crate) use self::console::{CONSOLE_CONNECTIONS, console_router};
#[cfg(feature = "cluster")]
pub(crate) use self::elements::{ReadError, read_elements};
#[cfg(feature = "cluster")]
pub(crate) use self::events::RequestStart;
use self::guard::guard;
pub(crate) use self::guard::{Client, OpenStream, StreamedResponse, slow_down};
pub(crate) use self::lists::MAX_LIST_RESPONSES;
pub(crate) use self::peers::Peers;
pub(crate) use self::refusals::RefusalLog;
use self::refusals::RefusalReason;
pub(crate) use self::server::{EXTRA_CONNECTIONS, listen};
pub(crate) use self::work_threads::WorkThreads;
use crate::clock::ServiceClock;
use crate::dispatch::{TargetGates, Wake};
use crate::handle::ServiceHandle;
use crate::heartbeat::HeartbeatStatus;
use crate::intake::Intake;
use crate::limits::Limits;
use crate::live::LiveBroadcast;
use crate::live_config::LiveConfig;
use crate::nodes::Nodes;
use crate::operate::{Jobs, Operation, OperationError, OperationErrorKind, Performed, Via};
use crate::reload::Reloader;
use crate::security::{AccessDenied, Role};
use crate::sources::SourceStatus;
use crate::store::{Store, StoreError};
use crate::store_health::StoreHealth;
use crate::telemetry::{Metrics, ProblemKind, Redactor, Telemetry};
use crate::timeline::ServiceTimeline;

/// What the request handlers share.
pub(crate) struct AppState {
    pub(crate) intake: Intake,
    pub(crate) clock: ServiceClock,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) health: Arc<StoreHealth>,
    pub(crate) heartbeat: Arc<HeartbeatStatus>,
    pub(crate) live: Arc<LiveConfig>,
    /// What happens, for live streams.
    pub(crate) broadcast: LiveBroadcast,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: Limits,
    pub(crate) telemetry: Telemetry,
    pub(crate) refusals: RefusalLog,
    pub(crate) peers: Arc<Peers>,
    /// How many large bodies may be parsed, and lists written, at one time.
    pub(crate) large_work: Arc<Semaphore>,
    /// The threads that parse them.
    pub(crate) work_threads: WorkThreads,
    /// How many lists may be in memory.
    pub(crate) list_responses: Arc<Semaphore>,
    /// When calls of each target may begin.
    pub(crate) gates: TargetGates,
    /// The sources, in the order of the configuration.
    pub(crate) sources: Vec<Arc<SourceStatus>>,
    /// The nodes that share the store.
    pub(crate) nodes: Nodes,
    /// Wakes the targets' queues.
    pub(crate) wake: Wake,
    pub(crate) reloader: Arc<Reloader>,
    pub(crate) timeline: ServiceTimeline,
    /// Notified when a silence was added or ended.
    pub(crate) withholding_changed: Arc<Notify>,
    /// Changes of many deliveries.
    pub(crate) jobs: Arc<Jobs>,
    /// Removes secrets from what targets answer to tests.
    pub(crate) redactor: Redactor,
    /// True once the service is to stop.
    pub(crate) stop: watch::Receiver<bool>,
}

/// An error response.
#[derive(Debug)]
pub(crate) struct HttpError {
    status: StatusCode,
    /// What is wrong.
    message: String,
    /// Further members of the body.
    members: Vec<(&'static str, Json)>,
    /// Seconds after which the client may try again.
    retry_after: Option<u32>,
    /// Whether the connection ends with it.
    is_last: bool,
    /// The problem of which it is a sign, and its subject.
    problem: Option<ErrorProblem>,
}

/// A problem that an error response is a sign of; carried to where it is recorded.
#[derive(Debug, Clone)]
struct ErrorProblem {
    kind: ProblemKind,
    subject: &'static str,
    detail: String,
}

/// All routes.
pub(crate) fn router(state: Arc<AppState>) -> Router {
    routes::router()
        // JSON like all other errors, where axum would answer with an empty body.
        .fallback(unknown_path)
        .method_not_allowed_fallback(|request: Request| async move {
            let message = format!("{} is not allowed for this path", request.method());
            HttpError::new(StatusCode::METHOD_NOT_ALLOWED, message)
        })
        .layer(axum::middleware::from_fn_with_state(state.clone(), guard))
        .with_state(state)
}

async fn unknown_path(request: Request) -> HttpError {
    // Senders are often configured with the address of the service alone.
    let message = match *request.method() {
        Method::POST => "unknown path; post events to /events",
        _ => "unknown path",
    };
    HttpError::new(StatusCode::NOT_FOUND, message)
}

impl AppState {
    /// The name of the client, if its token has `role`.
    pub(crate) fn authorize(
        &self,
        request: &axum::http::request::Parts,
        role: Role,
    ) -> Result<String, HttpError> {
        let query = request.uri.query().unwrap_or_default();
        let tokens = self.live.tokens.load();
        let name = tokens.check(&request.headers, query, role, self.clock.now())?;
        if let Some(client) = request.extensions.get::<Client>()
            && !tokens.is_open()
        {
            client.set_authenticated();
        }
        Ok(name.to_owned())
    }
}

/// Performs what a client of the API requests, and records it.
async fn perform(
    state: &Arc<AppState>,
    client: &str,
    operation: Operation,
) -> Result<Performed, HttpError> {
    let handle = ServiceHandle::new(state.clone());
    Ok(handle.perform(client, Via::Api, operation).await?)
}

impl HttpError {
    fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self {
            status,
            message: error.into(),
            members: Vec::new(),
            retry_after: None,
            is_last: false,
            problem: None,
        }
    }

    /// `{"error"}` and the further members.
    fn body(&self) -> Json {
        let error = ("error", Json::from(self.message.as_str()));
        Json::object([error].into_iter().chain(self.members.iter().cloned()))
    }

    /// The same, as a sign of this problem.
    fn with_problem(mut self, kind: ProblemKind, subject: &'static str) -> Self {
        self.problem = Some(ErrorProblem {
            kind,
            subject,
            detail: self.message.clone(),
        });
        self
    }

    fn with_retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    fn with_member(mut self, key: &'static str, value: Json) -> Self {
        self.members.push((key, value));
        self
    }
}

impl From<AccessDenied> for HttpError {
    fn from(denied: AccessDenied) -> Self {
        let status = match denied {
            AccessDenied::Unauthenticated => StatusCode::UNAUTHORIZED,
            AccessDenied::Forbidden => StatusCode::FORBIDDEN,
        };
        Self::new(status, denied.to_string())
    }
}

impl From<StoreError> for HttpError {
    fn from(error: StoreError) -> Self {
        // 503, not 500: a full disk or a locked store is over when someone has acted, and senders
        // that see 503 keep the event and try again.
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
            .with_retry_after(10)
            .with_problem(ProblemKind::StoreOperationFailed, "request")
    }
}

impl From<OperationError> for HttpError {
    fn from(error: OperationError) -> Self {
        let status = match error.kind {
            OperationErrorKind::Invalid => StatusCode::BAD_REQUEST,
            OperationErrorKind::NotFound => StatusCode::NOT_FOUND,
            // The thing may exist in another status.
            OperationErrorKind::Conflict => StatusCode::CONFLICT,
            OperationErrorKind::Rejected => StatusCode::UNPROCESSABLE_ENTITY,
            OperationErrorKind::Busy => StatusCode::TOO_MANY_REQUESTS,
            OperationErrorKind::NotDelivered => StatusCode::BAD_GATEWAY,
            OperationErrorKind::StoreFailed => StatusCode::SERVICE_UNAVAILABLE,
            OperationErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let mut answer = Self::new(status, error.message);
        answer.retry_after = error.retry_after;
        answer.members = error.members;
        if error.kind == OperationErrorKind::StoreFailed {
            answer = answer.with_problem(ProblemKind::StoreOperationFailed, "request");
        }
        answer
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let body = self.body();
        let mut response = json_response(self.status, &body);
        response.extensions_mut().insert(RefusalReason::of(&body));
        if let Some(problem) = self.problem {
            response.extensions_mut().insert(problem);
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        if self.is_last {
            Self::close(&mut response);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                // RFC 9110 requires it in a 401.
                .insert("www-authenticate", HeaderValue::from_static("Bearer"));
        }
        response
    }
}

fn json_response(status: StatusCode, body: &Json) -> Response {
    (
        status,
        [(CONTENT_TYPE, "application/json")],
        // The newline is for people with curl.
        format!("{body}\n"),
    )
        .into_response()
}
