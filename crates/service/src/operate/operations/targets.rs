//! Pausing, resuming and testing targets.

use std::sync::Arc;
use std::time::Duration;

use jiff::{Timestamp, Unit};
use reflexarc_delivery::config::unknown_target_message;
use reflexarc_event::Json;

use super::{OperationError, OperationErrorKind, Performed, Result, query};
use crate::http::AppState;
use crate::operate::target_test::test_target;
use crate::operate::{paused_detail, target_state_to_json};
use crate::store::TargetPause;
use crate::telemetry::ProblemKind;

/// How long a test waits until the rate limit of the target allows a call.
const MAX_PACE: Duration = Duration::from_secs(10);

/// Pauses a target: its deliveries wait in the outbox until it is resumed, also by the next
/// process.
pub(super) async fn pause(
    state: &Arc<AppState>,
    by: &str,
    target: &str,
    reason: Option<String>,
) -> Result {
    let now = Timestamp::now();
    let pause = TargetPause {
        // As the store keeps it, so that a restart shows the same.
        since: now.round(Unit::Microsecond).unwrap_or(now),
        by: by.to_owned(),
        reason,
    };
    change(state, by, target, Some(pause)).await
}

/// Ends the pause of a target. Where its circuit breaker is open, the next delivery is attempted
/// now.
pub(super) async fn resume(state: &Arc<AppState>, by: &str, target: &str) -> Result {
    change(state, by, target, None).await
}

/// Sends a test message to a target, before all that waits in its outbox.
pub(super) async fn test(state: &Arc<AppState>, by: &str, target: &str) -> Result {
    check_is_known(state, target)?;
    // Also a test is a call, and a paused target gets none.
    let status = state.gates.status(target);
    if status.is_some_and(|status| status.paused_by.is_some()) {
        let message = "the target is paused; resume it to test it";
        return Err(OperationError::conflict(message));
    }
    let Some(tested) = state.gates.tested(target) else {
        return Err(unknown(state, target));
    };
    let Ok(_only) = tested.running.try_lock() else {
        let message = "a test of this target is running; wait for its result";
        return Err(OperationError::busy(message, 1));
    };
    if tested.is_paced() && !state.gates.await_pace(target, MAX_PACE).await {
        let message = "the rate limit of the target allows no call now; try again later";
        return Err(OperationError::busy(message, 10));
    }
    let (began, store) = (state.clock.now(), &state.store);
    if let Some(limit) = tested.queue.target.rate_limit() {
        // As of any other call, for the process after this one. If it fails, that may exceed the
        // rate limit by one call.
        let since = began.saturating_sub(limit.per).unwrap_or(Timestamp::MIN);
        drop(store.submit_call(target, began, since).await);
    }
    let result = test_target(&tested.queue, &state.redactor).await;
    if tested.is_paced() {
        drop(
            store
                .submit_call_end(target, began, state.clock.now())
                .await,
        );
    }
    let (to, who) = (target, by);
    match result {
        Ok(response) => {
            tracing::info!(to, who, "an operator tested a target; it was delivered");
            let body = Json::object([
                ("target", target.into()),
                ("result", response.as_str().into()),
            ]);
            let summary = format!("test of target {target}: {response}");
            Ok(Performed::new(summary, 1, body))
        }
        Err(reason) => {
            tracing::info!(to, who, reason, "an operator tested a target; it failed");
            let error = OperationError::new(OperationErrorKind::NotDelivered, reason);
            Err(error.with_member("target", target.into()))
        }
    }
}

pub(in crate::operate) fn check_is_known(state: &AppState, target: &str) -> Result<()> {
    match state.gates.status(target) {
        Some(_) => Ok(()),
        None => Err(unknown(state, target)),
    }
}

fn unknown(state: &AppState, target: &str) -> OperationError {
    OperationError::not_found(unknown_target_message(target, &state.wake.names()))
}

/// Pauses or resumes a target that exists, with the log line and the problem.
async fn change(state: &Arc<AppState>, by: &str, name: &str, pause: Option<TargetPause>) -> Result {
    check_is_known(state, name)?;
    let problems = &state.metrics.problems;
    if pause.is_none() {
        state.gates.resume(name);
    }
    // Not an error the second time: what the operator wants is the case.
    let pause = pause.map(|pause| state.gates.pause(name, pause));
    if let Some(pause) = &pause {
        let reason = pause.reason.as_deref().unwrap_or("no reason given");
        problems.holds(
            ProblemKind::TargetPaused,
            name,
            &paused_detail(&pause.by, reason),
        );
        tracing::warn!(
            to = name,
            who = by,
            reason,
            "an operator paused the target; its deliveries wait until it is resumed"
        );
    } else {
        problems.end(ProblemKind::TargetPaused, name);
        problems.end(ProblemKind::ChangesStopped, name);
        tracing::info!(to = name, who = by, "an operator resumed the target");
    }
    let done = if pause.is_some() { "paused" } else { "resumed" };
    // Last: a store that fails must not keep an operator from stopping calls.
    let target = name.to_owned();
    let kept = query(state, move |store| store.set_pause(&target, pause)).await;
    kept.map_err(|error| {
        let note = "done, but only until the service ends";
        OperationError::from(error).with_member("note", note.into())
    })?;
    let status = state.gates.status(name);
    let status = status.ok_or_else(|| unknown(state, name))?;
    let summary = format!("{done} target {name}");
    Ok(Performed::new(summary, 1, target_state_to_json(status)))
}
