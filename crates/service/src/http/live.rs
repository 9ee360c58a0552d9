//! `GET /live`: what happens, as a stream of server-sent events.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::guard::Client;
use super::operate::HandlerResult;
use super::{AppState, HttpError, Role};
use crate::handle::{ConsoleClient, ServiceHandle};
use crate::live::{InvalidLiveFilter, LiveFilter, StreamRequest, TooManyStreams, live_response};

/// The header with the id of the last entry that a client has.
const LAST_EVENT_ID: &str = "last-event-id";
/// Longest such id that is looked at, in bytes.
const MAX_ID: usize = 64;

/// The stream of the entries that `rule`, `target`, `kinds` and `when` select.
pub(super) async fn live(State(state): State<Arc<AppState>>, request: Request) -> HandlerResult {
    let (parts, _) = request.into_parts();
    let name = state.authorize(&parts, Role::Read)?;
    let id = parts.headers.get(LAST_EVENT_ID);
    let id = id.map(|id| id.to_str().unwrap_or_default().to_owned());
    let client = parts.extensions.get::<Client>().cloned();
    let key = state.live.tokens.load().fingerprint_of(&name);
    let of_token = state.clone();
    let is_allowed = move || {
        let tokens = of_token.live.tokens.load();
        let Some(key) = key else {
            return tokens.is_open();
        };
        // Not by its name alone: the token behind it may be another one now.
        let token = tokens.current(&name, key, of_token.clock.now());
        token.is_some_and(|token| token.roles().contains(&Role::Read))
    };
    let query = parts.uri.query().unwrap_or_default();
    stream(&state, client.as_ref(), query, id, is_allowed)
}

impl ServiceHandle {
    /// The response with the live stream for a client of the console, which may read; `query` and
    /// `last_event_id` are those of its request. `is_allowed` is asked every second, and ends the
    /// stream when it says no: the login is over.
    pub fn live(
        &self,
        client: &ConsoleClient,
        query: &str,
        last_event_id: Option<&str>,
        is_allowed: impl Fn() -> bool + Send + 'static,
    ) -> Response {
        let id = last_event_id.map(str::to_owned);
        stream(&self.state, client.client(), query, id, is_allowed)
            .unwrap_or_else(IntoResponse::into_response)
    }
}

fn stream(
    state: &Arc<AppState>,
    client: Option<&Client>,
    query: &str,
    last_event_id: Option<String>,
    is_allowed: impl Fn() -> bool + Send + 'static,
) -> HandlerResult {
    let (rules, targets) = (state.intake.rules().load(), state.wake.names());
    let rules: Vec<&str> = rules.rules().map(reflexarc::Rule::name).collect();
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let request = StreamRequest {
        filter: LiveFilter::parse(query, &rules, &targets)?,
        last_event_id: last_event_id.filter(|id| id.len() <= MAX_ID),
        is_allowed,
        open: client.map(Client::open_stream).unwrap_or_default(),
        stop: state.stop.clone(),
    };
    Ok(live_response(&state.broadcast, request)?)
}

impl From<InvalidLiveFilter> for HttpError {
    fn from(error: InvalidLiveFilter) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error.to_string())
    }
}

impl From<TooManyStreams> for HttpError {
    fn from(error: TooManyStreams) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, error.to_string()).with_retry_after(10)
    }
}
