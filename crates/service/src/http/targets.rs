//! The states of targets, and pausing them.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use jiff::Timestamp;
use reflexarc_delivery::BreakerState;
use reflexarc_delivery::config::unknown_target_message;
use reflexarc_event::Json;

use super::operate::{HandlerResult, authorize};
use super::{AppState, HttpError, Role, json_response};
use crate::dispatch::{TargetGate, TargetPause, TargetStatus};
use crate::telemetry::{TargetLabel, TargetStateLabel};

/// The state of every target.
pub(super) async fn list(State(state): State<Arc<AppState>>, request: Request) -> HandlerResult {
    authorize(&state, request, Role::Read)?;
    let body = Json::object([("targets", target_states(&state))]);
    Ok(json_response(StatusCode::OK, &body))
}

/// Pauses a target: its deliveries wait in the outbox until it is resumed.
pub(super) async fn pause(
    State(state): State<Arc<AppState>>,
    Path(name): Path<String>,
    request: Request,
) -> HandlerResult {
    let client = authorize(&state, request, Role::Operate)?;
    let gate = gate(&state, &name)?;
    let pause = TargetPause {
        since: Timestamp::now(),
        by: client.clone(),
    };
    // Not an error the second time: what the operator wants is the case.
    if gate.pause(pause) {
        tracing::warn!(
            to = name,
            who = client,
            "an operator paused the target; its deliveries wait until it is resumed"
        );
    }
    Ok(json_response(StatusCode::OK, &status_json(gate.status())))
}

/// Ends the pause of a target. Where its circuit breaker is open, the next delivery is attempted
/// now.
pub(super) async fn resume(
    State(state): State<Arc<AppState>>,
    Path(name): Path<String>,
    request: Request,
) -> HandlerResult {
    let client = authorize(&state, request, Role::Operate)?;
    let gate = gate(&state, &name)?;
    gate.resume();
    tracing::info!(to = name, who = client, "an operator resumed the target");
    Ok(json_response(StatusCode::OK, &status_json(gate.status())))
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

fn gate(state: &AppState, name: &str) -> Result<Arc<TargetGate>, HttpError> {
    state.gates.get(name).ok_or_else(|| {
        let message = unknown_target_message(name, &state.wake.names());
        HttpError::new(StatusCode::NOT_FOUND, message)
    })
}

fn status_json(status: TargetStatus) -> Json {
    let time = |at: Option<Timestamp>| Json::optional(at.map(|at| at.to_string()).as_deref());
    Json::object([
        ("target", status.target.into()),
        ("state", status.state.as_str().into()),
        ("since", time(status.since)),
        ("reason", Json::optional(status.reason.as_deref())),
        ("failures_in_a_row", Json::count(status.failures)),
        ("next_call", time(status.next_call)),
        ("paused_by", Json::optional(status.paused_by.as_deref())),
    ])
}
