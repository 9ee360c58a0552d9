//! The states of targets, and pausing them.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use reflexarc_delivery::BreakerState;
use reflexarc_event::Json;

use super::operate::{HandlerResult, authorize};
use super::query::Parameters;
use super::{AppState, Role, json_response, perform};
use crate::operate::{Operation, OperationLimits, target_state_to_json};
use crate::telemetry::{TargetLabel, TargetStateLabel};

/// The state of every target.
pub(super) async fn list(State(state): State<Arc<AppState>>, request: Request) -> HandlerResult {
    authorize(&state, request, Role::Read)?;
    let body = Json::object([("targets", target_states(&state))]);
    Ok(json_response(StatusCode::OK, &body))
}

/// Pauses a target: its deliveries wait in the outbox until it is resumed, also by the next
/// process. `?reason=TEXT` says why.
pub(super) async fn pause(
    State(state): State<Arc<AppState>>,
    Path(target): Path<String>,
    request: Request,
) -> HandlerResult {
    let query = Parameters::of(request.uri());
    let client = authorize(&state, request, Role::Operate)?;
    let reason = query.remark("reason", OperationLimits::LIMITS.reason)?;
    let operation = Operation::PauseTarget { target, reason };
    let done = perform(&state, &client, operation).await?;
    Ok(json_response(StatusCode::OK, &done.body))
}

/// Ends the pause of a target. Where its circuit breaker is open, the next delivery is attempted
/// now.
pub(super) async fn resume(
    state: State<Arc<AppState>>,
    target: Path<String>,
    request: Request,
) -> HandlerResult {
    change(state, target, request, |target| Operation::ResumeTarget {
        target,
    })
    .await
}

/// Sends a test message to a target, and answers with the result.
pub(super) async fn test(
    state: State<Arc<AppState>>,
    target: Path<String>,
    request: Request,
) -> HandlerResult {
    change(state, target, request, |target| Operation::TestTarget {
        target,
    })
    .await
}

async fn change(
    State(state): State<Arc<AppState>>,
    Path(target): Path<String>,
    request: Request,
    operation: impl FnOnce(String) -> Operation,
) -> HandlerResult {
    let client = authorize(&state, request, Role::Operate)?;
    let done = perform(&state, &client, operation(target)).await?;
    Ok(json_response(StatusCode::OK, &done.body))
}

/// The states of all targets, as JSON.
pub(super) fn target_states(state: &AppState) -> Json {
    let statuses = state.gates.statuses().into_iter();
    Json::Array(statuses.map(target_state_to_json).collect())
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
