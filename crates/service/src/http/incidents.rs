//! `/incidents`: the incidents of rules, acknowledging and closing them.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use reflexarc_event::Json;

use super::lists::{list_permit, list_response};
use super::operate::{HandlerResult, authorize, query_store};
use super::query::Parameters;
use super::{AppState, HttpError, Role, json_response, perform};
use crate::operate::{Operation, OperationLimits, incident_to_json, show_incident};
use crate::store::IncidentFilter;

/// How many incidents a list has at most. The rest is in further pages.
const PAGE: usize = 1_000;

/// A page of the incidents, the newest first; `?rule=` and `open=true` select some of them. The
/// header `Link` has the address of the next page.
pub(super) async fn list(
    State(state): State<Arc<AppState>>,
    request: Request,
) -> Result<Response, HttpError> {
    let (path, query) = (
        request.uri().path().to_owned(),
        Parameters::of(request.uri()),
    );
    authorize(&state, request, Role::Read)?;
    let filter = IncidentFilter {
        rule: query.text("rule")?.map(str::to_owned),
        open: query.flag("open")?,
    };
    let (before, limit) = (query.cursor("before")?, query.limit(PAGE)?);
    let permit = list_permit(&state)?;
    let turn = state.large_work.acquire().await;
    let found = query_store(&state, move |store| store.incidents(&filter, before, limit)).await?;
    let next = found.last().filter(|_| found.len() == limit);
    let kept = ["rule", "open", "limit"];
    let next = next.map(|last| query.next_page(&path, &kept, ("before", &last.id.to_string())));
    let body = Json::Array(found.iter().map(incident_to_json).collect());
    let response = list_response(&body, permit, next.as_deref());
    drop(turn);
    Ok(response)
}

/// An incident with its deliveries.
pub(super) async fn show(
    State(state): State<Arc<AppState>>,
    Path(id): Path<String>,
    request: Request,
) -> HandlerResult {
    authorize(&state, request, Role::Read)?;
    let body = show_incident(&state, parse_id(&id)?).await?;
    Ok(json_response(StatusCode::OK, &body))
}

/// Acknowledges an incident: what is delayed of it is cancelled. `?note=TEXT` is kept with it.
pub(super) async fn acknowledge(
    State(state): State<Arc<AppState>>,
    Path(id): Path<String>,
    request: Request,
) -> HandlerResult {
    let query = Parameters::of(request.uri());
    let client = authorize(&state, request, Role::Operate)?;
    let note = query.remark("note", OperationLimits::LIMITS.note)?;
    let id = parse_id(&id)?;
    let operation = Operation::AcknowledgeIncident { id, note };
    let done = perform(&state, &client, operation).await?;
    Ok(json_response(StatusCode::OK, &done.body))
}

/// Ends an incident: its match is closed, so that the next event of the key is a new one.
/// `?reason=TEXT` says why.
pub(super) async fn close(
    State(state): State<Arc<AppState>>,
    Path(id): Path<String>,
    request: Request,
) -> HandlerResult {
    let query = Parameters::of(request.uri());
    let client = authorize(&state, request, Role::Operate)?;
    let reason = query.remark("reason", OperationLimits::LIMITS.reason)?;
    let id = parse_id(&id)?;
    let operation = Operation::CloseIncident { id, reason };
    let done = perform(&state, &client, operation).await?;
    Ok(json_response(StatusCode::OK, &done.body))
}

fn parse_id(text: &str) -> Result<i64, HttpError> {
    let message = "invalid number of an incident";
    text.parse()
        .map_err(|_| HttpError::new(StatusCode::BAD_REQUEST, message))
}
