//! The states of targets, and pausing them.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use jiff::{Timestamp, Unit};
use reflexarc_delivery::BreakerState;
use reflexarc_delivery::config::unknown_target_message;
use reflexarc_event::Json;

use super::operate::{HandlerResult, authorize, query_store, query_value};
use super::{AppState, HttpError, Role, json_response};
use crate::dispatch::TargetStatus;
use crate::operate::paused_detail;
use crate::store::TargetPause;
use crate::telemetry::{ProblemKind, TargetLabel, TargetStateLabel};

/// Longest reason of an operator's action, in bytes; it is shown in lists.
const MAX_REASON_BYTES: usize = 500;

/// The state of every target.
pub(super) async fn list(State(state): State<Arc<AppState>>, request: Request) -> HandlerResult {
    authorize(&state, request, Role::Read)?;
    let body = Json::object([("targets", target_states(&state))]);
    Ok(json_response(StatusCode::OK, &body))
}

/// Pauses a target: its deliveries wait in the outbox until it is resumed, also by the next
/// process. `?reason=TEXT` says why.
pub(super) async fn pause(
    state: State<Arc<AppState>>,
    name: Path<String>,
    request: Request,
) -> HandlerResult {
    let reason = reason_of(&request)?;
    change(state, name, request, |state, name, client| {
        let now = Timestamp::now();
        let pause = TargetPause {
            // As the store keeps it, so that a restart shows the same.
            since: now.round(Unit::Microsecond).unwrap_or(now),
            by: client.to_owned(),
            reason,
        };
        // Not an error the second time: what the operator wants is the case.
        Some(state.gates.pause(name, pause))
    })
    .await
}

/// Ends the pause of a target. Where its circuit breaker is open, the next delivery is attempted
/// now.
pub(super) async fn resume(
    state: State<Arc<AppState>>,
    name: Path<String>,
    request: Request,
) -> HandlerResult {
    change(state, name, request, |state, name, _| {
        state.gates.resume(name);
        None
    })
    .await
}

/// The operator's reason in a query.
pub(super) fn reason_of(request: &Request) -> Result<Option<String>, HttpError> {
    let reason = query_value(request, "reason").filter(|reason| !reason.is_empty());
    let is_long = |reason: &String| reason.len() > MAX_REASON_BYTES;
    if reason.as_ref().is_some_and(is_long) {
        let message = format!("`reason` is longer than {MAX_REASON_BYTES} bytes");
        return Err(HttpError::new(StatusCode::BAD_REQUEST, message));
    }
    Ok(reason)
}

/// Pauses or resumes a target that exists, with the log line and the problem. `apply` returns the
/// pause that is in effect afterwards.
async fn change(
    State(state): State<Arc<AppState>>,
    Path(name): Path<String>,
    request: Request,
    apply: impl FnOnce(&AppState, &str, &str) -> Option<TargetPause>,
) -> HandlerResult {
    let client = authorize(&state, request, Role::Operate)?;
    let unknown = || {
        let message = unknown_target_message(&name, &state.wake.names());
        HttpError::new(StatusCode::NOT_FOUND, message)
    };
    state.gates.status(&name).ok_or_else(unknown)?;
    let problems = &state.metrics.problems;
    let pause = apply(&state, &name, &client);
    if let Some(pause) = &pause {
        let reason = pause.reason.as_deref().unwrap_or("no reason given");
        problems.holds(
            ProblemKind::TargetPaused,
            &name,
            &paused_detail(&pause.by, reason),
        );
        tracing::warn!(
            to = name,
            who = client,
            reason,
            "an operator paused the target; its deliveries wait until it is resumed"
        );
    } else {
        problems.end(ProblemKind::TargetPaused, &name);
        problems.end(ProblemKind::ChangesStopped, &name);
        tracing::info!(to = name, who = client, "an operator resumed the target");
    }
    // Last: a store that fails must not keep an operator from stopping calls.
    let target = name.clone();
    let kept = query_store(&state, move |store| store.set_pause(&target, pause)).await;
    kept.map_err(|error| {
        error.with_member("note", "done, but only until the service ends".into())
    })?;
    let status = state.gates.status(&name).ok_or_else(unknown)?;
    Ok(json_response(StatusCode::OK, &status_json(status)))
}

/// The states of all targets, as JSON.
pub(super) fn target_states(state: &AppState) -> Json {
    let statuses = state.gates.statuses().into_iter();
    Json::Array(statuses.map(status_json).collect())
}

/// Sets the gauges of targets; a removed target leaves no series behind.
pub(super) fn set_target_metrics(state: &AppState) {
    let metrics = &state.metrics;
    metrics.target_state.clear();
    metrics.target_failures.clear();
    for status in state.gates.statuses() {
        for possible in BreakerState::ALL {
            let label = TargetStateLabel {
                target: status.target.clone(),
                state: possible.as_str(),
            };
            let is = i64::from(possible == status.state);
            metrics.target_state.get_or_create(&label).set(is);
        }
        let label = TargetLabel {
            target: status.target,
        };
        let gauge = metrics.target_failures.get_or_create(&label);
        gauge.set(status.failures.into());
    }
}

fn status_json(status: TargetStatus) -> Json {
    let time = |at: Option<Timestamp>| Json::optional(at.map(|at| at.to_string()).as_deref());
    let mut json = Json::object([
        ("target", status.target.into()),
        ("state", status.state.as_str().into()),
        ("since", time(status.since)),
        ("reason", Json::optional(status.reason.as_deref())),
        ("failures_in_a_row", Json::count(status.failures)),
        ("next_call", time(status.next_call)),
        ("paused_by", Json::optional(status.paused_by.as_deref())),
    ]);
    // Only while there are some.
    if let (Json::Object(members), Some(stopped)) = (&mut json, status.changes_stopped) {
        members.push(("changes_stopped".into(), stopped.into()));
    }
    if let (Json::Object(members), false) = (&mut json, status.flooding.is_empty()) {
        members.push(("flooding".into(), Json::strings(&status.flooding)));
    }
    json
}
