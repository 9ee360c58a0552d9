//! Changes of many deliveries, and the list of them.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use reflexarc_event::Json;

use super::operate::{HandlerResult, authorize};
use super::{AppState, HttpError, Role, json_response, perform};
use crate::handle::ServiceHandle;
use crate::operate::{JobStatus, Operation};

/// Moves the dead letters that `?target=`, `rule=`, `event=`, `reason=`, `since=` and `until=`
/// select back to the outbox, in the background.
pub(super) async fn redrive(state: State<Arc<AppState>>, request: Request) -> HandlerResult {
    start(state, request, "redrive_matching").await
}

/// Drops the dead letters that a query selects, in the background.
pub(super) async fn drop_dead_letters(
    state: State<Arc<AppState>>,
    request: Request,
) -> HandlerResult {
    start(state, request, "drop_matching").await
}

/// Cancels the pending deliveries that a query selects, or with `?status=withheld` the withheld
/// ones, in the background.
pub(super) async fn cancel(state: State<Arc<AppState>>, request: Request) -> HandlerResult {
    start(state, request, "cancel_matching").await
}

/// What runs in the background, and what has ended since the start, the newest first.
pub(super) async fn list(
    State(state): State<Arc<AppState>>,
    request: Request,
) -> Result<Response, HttpError> {
    authorize(&state, request, Role::Read)?;
    let jobs = ServiceHandle::new(state).jobs();
    let jobs = Json::Array(jobs.iter().map(JobStatus::to_json).collect());
    let body = Json::object([("jobs", jobs)]);
    Ok(json_response(StatusCode::OK, &body))
}

/// Starts the operation with the parameters of the query.
async fn start(
    State(state): State<Arc<AppState>>,
    request: Request,
    operation: &str,
) -> HandlerResult {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let client = authorize(&state, request, Role::Operate)?;
    let mut fields = vec![("operation".to_owned(), operation.to_owned())];
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        // The client's, not the operation's.
        if name != "token" {
            fields.push((name.into_owned(), value.into_owned()));
        }
    }
    let operation = Operation::from_fields(&fields);
    let operation =
        operation.map_err(|error| HttpError::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    let done = perform(&state, &client, operation).await?;
    Ok(json_response(StatusCode::ACCEPTED, &done.body))
}
