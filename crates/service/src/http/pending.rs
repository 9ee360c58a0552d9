//! `/pending`: the matches that wait, and closing them.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use reflexarc_event::Json;

use super::lists::{list_permit, list_response};
use super::operate::{HandlerResult, authorize, query_store};
use super::targets::reason_of;
use super::{AppState, HttpError, Role, json_response, perform};
use crate::operate::{
    Operation, PendingFilter, damaged_match_to_json, pending_match, pending_page,
};
use crate::store::{InvalidPageCursor, MatchCursor, PageLimits};

/// How much a list has at most. The rest is in further pages.
const PAGE: PageLimits = PageLimits {
    rows: 1_000,
    bytes: 1 << 20,
};

/// What a query selects.
struct ListQuery {
    filter: PendingFilter,
    after: Option<MatchCursor>,
    limits: PageLimits,
}

/// A page of the matches that wait; `?rule=`, `key=`, `due_before=` and `fired=true` select some of
/// them. The header `Link` has the address of the next page.
pub(super) async fn list(
    State(state): State<Arc<AppState>>,
    request: Request,
) -> Result<Response, HttpError> {
    let uri = request.uri().clone();
    authorize(&state, request, Role::Read)?;
    let query = uri.query().unwrap_or_default().to_owned();
    let ListQuery {
        filter,
        after,
        limits,
    } = list_query(&query)?;
    let permit = list_permit(&state)?;
    let turn = state.large_work.acquire().await;
    let (rules, now) = (state.intake.rules().load_full(), state.clock.now());
    let page = query_store(&state, move |store| {
        pending_page(store, &rules, &filter, after.as_ref(), limits, now)
    })
    .await?;
    // What cannot be read has an element too, so that the list does not seem to be complete.
    let damaged = page.damaged.iter().map(damaged_match_to_json);
    let body = Json::Array(page.matches.into_iter().chain(damaged).collect());
    let next = page
        .next
        .map(|next| next_address(uri.path(), &query, &next));
    let response = list_response(&body, permit, next.as_deref());
    drop(turn);
    Ok(response)
}

/// The match of a rule at a key.
pub(super) async fn show(
    State(state): State<Arc<AppState>>,
    Path((rule, key)): Path<(String, String)>,
    request: Request,
) -> HandlerResult {
    authorize(&state, request, Role::Read)?;
    let (rules, now) = (state.intake.rules().load_full(), state.clock.now());
    let found = query_store(&state, move |store| {
        pending_match(store, &rules, (&rule, &key), now)
    })
    .await?;
    let found = found.ok_or_else(unknown)?;
    Ok(json_response(StatusCode::OK, &found))
}

/// Closes the match of a rule at a key: what it waits for is not reported, nor what it reported
/// resolved. `?reason=TEXT` says why.
pub(super) async fn close(
    State(state): State<Arc<AppState>>,
    Path((rule, key)): Path<(String, String)>,
    request: Request,
) -> HandlerResult {
    let reason = reason_of(&request);
    let client = authorize(&state, request, Role::Operate)?;
    let reason = reason?;
    let operation = Operation::ClosePending { rule, key, reason };
    let done = perform(&state, &client, operation).await?;
    Ok(json_response(StatusCode::OK, &done.body))
}

fn unknown() -> HttpError {
    let message = "the rule has no pending match at this key";
    HttpError::new(StatusCode::NOT_FOUND, message)
}

fn list_query(query: &str) -> Result<ListQuery, HttpError> {
    let (mut filter, mut after, mut limits) = (PendingFilter::default(), None, PAGE);
    let invalid = |message: String| HttpError::new(StatusCode::BAD_REQUEST, message);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "rule" => filter.rule = Some(value.into_owned()),
            "key" => filter.key = Some(value.into_owned()),
            "due_before" => {
                let message =
                    format!("invalid `due_before`: expected a timestamp, found `{value}`");
                let time: Timestamp = value.parse().map_err(|_| invalid(message))?;
                filter.due_before = Some(time);
            }
            "fired" => {
                let message = format!("invalid `fired`: expected true or false, found `{value}`");
                filter.fired = value.parse().map_err(|_| invalid(message))?;
            }
            "after" => {
                let cursor = value.parse();
                let cursor = cursor.map_err(|error: InvalidPageCursor| invalid(error.to_string()));
                after = Some(cursor?);
            }
            "limit" => {
                let limit = value.parse().ok().filter(|limit| *limit > 0);
                let limit = limit.ok_or_else(|| invalid(format!("invalid limit `{value}`")))?;
                limits.rows = PAGE.rows.min(limit);
            }
            // `token`, and whatever a proxy adds.
            _ => {}
        }
    }
    Ok(ListQuery {
        filter,
        after,
        limits,
    })
}

/// The same list after a match.
fn next_address(path: &str, query: &str, next: &MatchCursor) -> String {
    let mut address = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        // Not `token`: it would be in the header of the answer.
        if ["rule", "key", "due_before", "fired", "limit"].contains(&&*name) {
            address.append_pair(&name, &value);
        }
    }
    address.append_pair("after", &next.to_string());
    format!("{path}?{}", address.finish())
}
