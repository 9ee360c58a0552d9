//! `/pending`: the matches that wait, and closing them.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use reflexarc_event::Json;

use super::lists::{list_permit, list_response};
use super::operate::{HandlerResult, authorize, query_store};
use super::query::Parameters;
use super::{AppState, HttpError, Role, json_response, perform};
use crate::operate::{
    Operation, OperationLimits, PendingFilter, damaged_match_to_json, pending_match, pending_page,
};
use crate::store::{MatchCursor, PageLimits};

/// How much a list has at most. The rest is in further pages.
const PAGE: PageLimits = PageLimits {
    rows: 1_000,
    bytes: 1 << 20,
};

/// A page of the matches that wait; `?rule=`, `key=`, `due_before=` and `fired=true` select some of
/// them. The header `Link` has the address of the next page.
pub(super) async fn list(
    State(state): State<Arc<AppState>>,
    request: Request,
) -> Result<Response, HttpError> {
    let (path, query) = (
        request.uri().path().to_owned(),
        Parameters::of(request.uri()),
    );
    authorize(&state, request, Role::Read)?;
    let filter = PendingFilter {
        rule: query.text("rule")?.map(str::to_owned),
        key: query.text("key")?.map(str::to_owned),
        due_before: query.parsed("due_before", "a timestamp")?,
        fired: query.flag("fired")?,
    };
    let after: Option<MatchCursor> = query.cursor("after")?;
    let rows = query.limit(PAGE.rows)?;
    let limits = PageLimits { rows, ..PAGE };
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
    let kept = ["rule", "key", "due_before", "fired", "limit"];
    let next = page
        .next
        .map(|next| query.next_page(&path, &kept, ("after", &next.to_string())));
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
    let query = Parameters::of(request.uri());
    let client = authorize(&state, request, Role::Operate)?;
    let reason = query.remark("reason", OperationLimits::LIMITS.reason)?;
    let operation = Operation::ClosePending { rule, key, reason };
    let done = perform(&state, &client, operation).await?;
    Ok(json_response(StatusCode::OK, &done.body))
}

fn unknown() -> HttpError {
    let message = "the rule has no pending match at this key";
    HttpError::new(StatusCode::NOT_FOUND, message)
}
