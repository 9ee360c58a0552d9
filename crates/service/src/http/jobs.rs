//! Changes of many deliveries: those that are named, or in the background those that match; and the
//! list of what goes on in the background.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use reflexarc_event::Json;

use super::operate::{HandlerResult, authorize};
use super::{AppState, HttpError, Role, json_response, perform};
use crate::handle::ServiceHandle;
use crate::operate::{JobStatus, Operation};

/// Moves the dead letters that `?id=` names, which may be repeated, back to the outbox; or those
/// that `?target=`, `rule=`, `event=`, `reason=`, `since=` and `until=`
/// select, in the background.
pub(super) async fn redrive(state: State<Arc<AppState>>, request: Request) -> HandlerResult {
    start(state, request, ["redrive_selected", "redrive_matching"]).await
}

/// Drops the dead letters that a query names or selects.
pub(super) async fn drop_dead_letters(
    state: State<Arc<AppState>>,
    request: Request,
) -> HandlerResult {
    start(state, request, ["drop_selected", "drop_matching"]).await
}

/// Cancels the pending or withheld deliveries that a query names; or the pending ones that it
/// selects, or with `?status=withheld` the withheld ones.
pub(super) async fn cancel(state: State<Arc<AppState>>, request: Request) -> HandlerResult {
    start(state, request, ["cancel_selected", "cancel_matching"]).await
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

/// Performs one operation if the query has ids, and starts the other otherwise, with the parameters
/// of the query.
async fn start(
    State(state): State<Arc<AppState>>,
    request: Request,
    [selected, matching]: [&str; 2],
) -> HandlerResult {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let client = authorize(&state, request, Role::Operate)?;
    let parameters = form_urlencoded::parse(query.as_bytes()).into_owned();
    // `token` is the client's, not the operation's.
    let mut fields: Vec<_> = parameters.filter(|(name, _)| name != "token").collect();
    let operation = if fields.iter().any(|(name, _)| name == "id") {
        selected
    } else {
        matching
    };
    fields.push(("operation".to_owned(), operation.to_owned()));
    let operation = Operation::from_fields(&fields);
    let operation =
        operation.map_err(|error| HttpError::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    let done = perform(&state, &client, operation).await?;
    let status = match done.job {
        Some(_) => StatusCode::ACCEPTED,
        None => StatusCode::OK,
    };
    Ok(json_response(status, &done.body))
}
