//! What operators do with rules that do not exist any more.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use reflexarc_event::Json;

use super::operate::{HandlerResult, authorize, query_store};
use super::{AppState, HttpError, Role, json_response};
use crate::telemetry::ProblemKind;

/// Removes the state of a rule that does not exist.
pub(super) async fn forget(
    State(state): State<Arc<AppState>>,
    Path(name): Path<String>,
    request: Request,
) -> HandlerResult {
    let client = authorize(&state, request, Role::Operate)?;
    // The state of a rule that runs is what it has counted and sent.
    if state.intake.rules().load().get(&name).is_some() {
        let message = "the rule exists; remove its file and reload first";
        return Err(HttpError::new(StatusCode::CONFLICT, message));
    }
    let rule = name.clone();
    let entries = query_store(&state, move |store| store.forget_rule(&rule)).await?;
    if entries == 0 {
        let message = "no rule with this name has state";
        return Err(HttpError::new(StatusCode::NOT_FOUND, message));
    }
    tracing::info!(
        rule = name,
        who = client,
        entries,
        "an operator removed the state of a rule"
    );
    // If deliveries of the rule are pending, the next check lists it again.
    let problems = &state.metrics.problems;
    problems.end(ProblemKind::RuleGone, &name);
    let body = Json::object([("entries", Json::count(entries))]);
    Ok(json_response(StatusCode::OK, &body))
}
