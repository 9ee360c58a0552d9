//! `/incidents`: the incidents of rules, acknowledging and closing them.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use reflexarc_event::Json;

use super::lists::{list_permit, list_response};
use super::operate::{HandlerResult, authorize, query_store, query_value};
use super::targets::reason_of;
use super::{AppState, HttpError, Role, json_response, perform};
use crate::operate::{Operation, OperationLimits, incident_to_json, show_incident};
use crate::store::{Incident, IncidentFilter};

/// How many incidents a list has at most. The rest is in further pages.
const PAGE: usize = 1_000;

/// A page of the incidents, the newest first; `?rule=` and `open=true` select some of them. The
/// header `Link` has the address of the next page.
pub(super) async fn list(
    State(state): State<Arc<AppState>>,
    request: Request,
) -> Result<Response, HttpError> {
    let uri = request.uri().clone();
    authorize(&state, request, Role::Read)?;
    let query = uri.query().unwrap_or_default();
    let (filter, before, limit) = list_query(query)?;
    let permit = list_permit(&state)?;
    let turn = state.large_work.acquire().await;
    let selected = filter.clone();
    let found = query_store(&state, move |store| {
        store.incidents(&selected, before, limit)
    })
    .await?;
    let next = found.last().filter(|_| found.len() == limit);
    let next = next.map(|last| next_address(uri.path(), &filter, limit, last));
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
    let note = query_value(&request, "note").filter(|note| !note.is_empty());
    let client = authorize(&state, request, Role::Operate)?;
    let most = OperationLimits::LIMITS.note;
    if note.as_ref().is_some_and(|note| note.len() > most) {
        let message = format!("`note` is longer than {most} bytes");
        return Err(HttpError::new(StatusCode::BAD_REQUEST, message));
    }
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
    let reason = reason_of(&request);
    let client = authorize(&state, request, Role::Operate)?;
    let reason = reason?;
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

fn list_query(query: &str) -> Result<(IncidentFilter, Option<i64>, usize), HttpError> {
    let (mut filter, mut before, mut limit) = (IncidentFilter::default(), None, PAGE);
    let invalid = |message: String| HttpError::new(StatusCode::BAD_REQUEST, message);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "rule" => filter.rule = Some(value.into_owned()),
            "open" => {
                let message = format!("invalid `open`: expected true or false, found `{value}`");
                filter.open = value.parse().map_err(|_| invalid(message))?;
            }
            "before" => {
                let message = format!("invalid `before`: expected a number, found `{value}`");
                before = Some(value.parse().map_err(|_| invalid(message))?);
            }
            "limit" => {
                let found = value.parse().ok().filter(|limit| *limit > 0);
                let found = found.ok_or_else(|| invalid(format!("invalid limit `{value}`")))?;
                limit = PAGE.min(found);
            }
            // `token`, and whatever a proxy adds.
            _ => {}
        }
    }
    Ok((filter, before, limit))
}

/// The same list after an incident.
fn next_address(path: &str, filter: &IncidentFilter, limit: usize, last: &Incident) -> String {
    let mut address = form_urlencoded::Serializer::new(String::new());
    if let Some(rule) = &filter.rule {
        address.append_pair("rule", rule);
    }
    if filter.open {
        address.append_pair("open", "true");
    }
    address.append_pair("limit", &limit.to_string());
    address.append_pair("before", &last.id.to_string());
    format!("{path}?{}", address.finish())
}
