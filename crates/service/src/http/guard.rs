//! What every request passes before its handler, and what becomes of refused ones.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::connections::Connection;
use super::peers::{RequestSlot, client_address};
use super::refusals::RefusalReason;
use super::{AppState, ErrorProblem, HttpError};
use crate::security::{AccessRules, EventBridge, RequestDenied};
use crate::telemetry::{ProblemKind, StatusLabel};

/// The client of a request.
#[derive(Clone)]
pub(crate) struct Client {
    /// Its address, which a trusted proxy may have forwarded.
    pub(super) address: IpAddr,
    connection: Option<Arc<Connection>>,
    /// Its place among the requests without a valid token.
    slot: Arc<Mutex<Option<RequestSlot>>>,
}

impl Client {
    /// The client has a valid token or signature: it no longer counts as an unknown one.
    pub(crate) fn set_authenticated(&self) {
        if let Some(connection) = &self.connection {
            connection.set_authenticated();
        }
        self.slot
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    /// The connection that the request came over.
    pub(super) fn connection_id(&self) -> Option<u64> {
        self.connection.as_ref().map(|connection| connection.id)
    }

    /// Begins a response that goes on.
    pub(crate) fn open_stream(&self) -> OpenStream {
        OpenStream(self.connection.clone())
    }

    /// We wait for more of the body.
    pub(crate) fn set_waiting(&self) {
        if let Some(connection) = &self.connection {
            connection.set_waiting();
        }
    }

    /// The body is complete.
    pub(crate) fn set_working(&self) {
        if let Some(connection) = &self.connection {
            connection.set_working();
        }
    }
}

/// Marks a response whose body goes on: its request ends with its [`OpenStream`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamedResponse;

/// A request whose response goes on, until this is dropped: its connection is being worked on, and
/// is not closed for another one.
#[derive(Debug, Default)]
pub(crate) struct OpenStream(Option<Arc<Connection>>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        if let Some(connection) = &self.0 {
            connection.end_request();
        }
    }
}

/// Checks a request, passes it on, and counts and logs it if it is refused.
pub(super) async fn guard(
    State(state): State<Arc<AppState>>,
    request: Request,
    next: Next,
) -> Response {
    let connection = request.extensions().get::<Arc<Connection>>().cloned();
    if let Some(connection) = &connection {
        connection.set_working();
    }
    let response = guarded(&state, connection.clone(), request, next).await;
    end_request(connection.as_deref(), &response);
    response
}

/// The request ends with the response, unless its body goes on.
pub(super) fn end_request(connection: Option<&Connection>, response: &Response) {
    if let Some(connection) = connection
        && response.extensions().get::<StreamedResponse>().is_none()
    {
        connection.end_request();
    }
}

async fn guarded(
    state: &Arc<AppState>,
    connection: Option<Arc<Connection>>,
    request: Request,
    next: Next,
) -> Response {
    // Only intake: a refused event may be lost to its sender, a refused operator sees it.
    let is_event = request.uri().path() == "/events";
    let (mut parts, body) = request.into_parts();
    let client = match admit(state, connection, &parts, None) {
        Ok(client) => client,
        Err(error) => {
            let response = error.into_response();
            count_refused(state, is_event, &response);
            return response;
        }
    };
    let gave_proof = gives_proof(&parts);
    parts.extensions.insert(client.clone());
    let response = next.run(Request::from_parts(parts, body)).await;
    let response = as_json(response);
    count_refused(state, is_event, &response);
    if response.status() == StatusCode::UNAUTHORIZED && gave_proof {
        slow_down(state, &client).await;
    }
    response
}

/// The client of a request that may go on.
pub(super) fn admit(
    state: &AppState,
    connection: Option<Arc<Connection>>,
    request: &Parts,
    console_hosts: Option<&[String]>,
) -> Result<Client, HttpError> {
    let path = request.uri.path();
    let is_health = matches!(path, "/healthz" | "/readyz");
    if let Some(connection) = &connection {
        if connection.has_framing_fault() {
            let message = "invalid Content-Length or Transfer-Encoding";
            return Err(HttpError::new(StatusCode::BAD_REQUEST, message).closing());
        }
        if connection.is_reserve && !is_health {
            let message = "too many connections; try again later";
            let error = HttpError::new(StatusCode::SERVICE_UNAVAILABLE, message);
            let error = error.with_problem(ProblemKind::ClientsLimited, "connections");
            return Err(error.with_retry_after(1).closing());
        }
    }
    let access = state.live.access.load();
    let has_tokens = !state.live.tokens.load().is_open();
    match console_hosts {
        None => access.check(request, has_tokens)?,
        // A browser is at the other end, with whatever pages are open in it: always.
        Some(hosts) => {
            let rules = AccessRules {
                hosts: hosts.to_vec(),
                ..AccessRules::default()
            };
            rules
                .check_page(request)
                .map_err(|denied| denied_page(&denied))?;
        }
    }
    // Without a connection there is a test that calls the router.
    let peer = connection.as_ref().map(|connection| connection.peer);
    let peer = peer.unwrap_or(Ipv4Addr::LOCALHOST.into());
    let address = client_address(peer, &request.headers, &access);
    // Without tokens all clients are programs of this machine, and none is better than the others.
    let slot = if has_tokens && !is_health {
        let slot = state.peers.begin(address).ok_or_else(|| {
            let message = "too many requests of this client in progress; try again later";
            HttpError::new(StatusCode::TOO_MANY_REQUESTS, message)
                .with_retry_after(1)
                .with_problem(ProblemKind::ClientsLimited, "peer_requests")
        })?;
        Some(slot)
    } else {
        None
    };
    Ok(Client {
        address,
        connection,
        slot: Arc::new(Mutex::new(slot)),
    })
}

/// Counts and logs refused requests to `/events`, whichever handler or extractor refused them, and
/// the problems of which any response is a sign.
fn count_refused(state: &AppState, is_event: bool, response: &Response) {
    if let Some(problem) = response.extensions().get::<ErrorProblem>() {
        let problems = &state.metrics.problems;
        problems.report(problem.kind, problem.subject, 1, &problem.detail);
    }
    if is_event && !response.status().is_success() {
        let status = response.status().as_u16();
        let reason: Option<&RefusalReason> = response.extensions().get();
        state.refusals.log(status, reason);
        // 429 and 503 mean "later", and senders repeat the request; all others are final.
        if !matches!(status, 429 | 503) {
            let detail = reason.map_or("", RefusalReason::as_str);
            let kind = ProblemKind::RequestsRefused;
            let subject = status.to_string();
            state.metrics.problems.occurred(kind, &subject, 1, detail);
        }
        state
            .metrics
            .refused
            .get_or_create(&StatusLabel { status })
            .inc();
    }
}

/// An error of the framework as all others are: it answers a path that is no UTF-8 as plain text.
fn as_json(response: Response) -> Response {
    let kind = response.headers().get(CONTENT_TYPE);
    let is_text = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if response.status() == StatusCode::BAD_REQUEST && is_text {
        let message = "invalid path: expected UTF-8 in percent-encoding";
        return HttpError::new(StatusCode::BAD_REQUEST, message).into_response();
    }
    response
}

/// Whether a request has a token or a signature, right or wrong.
fn gives_proof(request: &Parts) -> bool {
    let query = request.uri.query().unwrap_or_default();
    request.headers.contains_key(AUTHORIZATION)
        || EventBridge::is_signed(&request.headers)
        || query.split('&').any(|pair| pair.starts_with("token="))
}

/// Reports a wrong token, without any of it, and waits longer after each.
pub(crate) async fn slow_down(state: &AppState, client: &Client) {
    let delay = state.peers.fail(client.address, Instant::now());
    let detail = format!("wrong token or signature; its answer is delayed by {delay:?}");
    let address = client.address.to_string();
    let problems = &state.metrics.problems;
    problems.report(ProblemKind::WrongTokens, &address, 1, &detail);
    // The connection may be closed for another one meanwhile.
    client.set_waiting();
    tokio::time::sleep(delay).await;
}

impl HttpError {
    /// With this response the connection ends.
    pub(super) fn closing(mut self) -> Self {
        self.is_last = true;
        self
    }

    pub(super) fn close(response: &mut Response) {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
}

/// The error of the console, whose names are in `[console]` of the configuration.
fn denied_page(denied: &RequestDenied) -> HttpError {
    let message = match denied {
        RequestDenied::ForeignHost(name) => format!(
            "the host `{name}` is not this console's; open it as localhost, or add the name to \
             `hosts` in [console]"
        ),
        RequestDenied::ForeignOrigin => "a page of another site has sent this request; open the \
                                         console by its own address"
            .to_owned(),
        other => other.to_string(),
    };
    HttpError::new(denied.status(), message).closing()
}

impl RequestDenied {
    fn status(&self) -> StatusCode {
        match self {
            Self::HostCount(_) | Self::InvalidHost => StatusCode::BAD_REQUEST,
            Self::ForeignHost(_) | Self::ForeignOrigin => StatusCode::FORBIDDEN,
        }
    }
}

impl From<RequestDenied> for HttpError {
    fn from(denied: RequestDenied) -> Self {
        Self::new(denied.status(), denied.to_string()).closing()
    }
}
