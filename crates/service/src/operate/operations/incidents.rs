//! Acknowledging and closing incidents, and closing matches.

use std::sync::Arc;

use reflexarc_event::Json;

use super::{OperationError, Performed, Result, query};
use crate::http::AppState;
use crate::operate::{close_pending, incident_with_deliveries};
use crate::store::{Acknowledgement, ClosedBy};

pub(super) async fn acknowledge(
    state: &Arc<AppState>,
    by: &str,
    id: i64,
    note: Option<String>,
) -> Result {
    let now = state.clock.now();
    let acknowledgement = Acknowledgement {
        by: by.to_owned(),
        note,
        informed: state.gates.acknowledging(),
    };
    let targets = acknowledgement.informed.clone();
    let done = query(state, move |store| {
        store.acknowledge_incident(id, &acknowledgement, now)
    });
    let done = done.await?.ok_or_else(unknown)?;
    if !done.is_new {
        let message = format!("the incident is not open: it is {}", done.incident.status());
        return Err(OperationError::conflict(message));
    }
    if !done.deliveries.is_empty() {
        state.wake.wake(&targets, &*state.store, now);
    }
    let cancelled = done.cancelled;
    tracing::info!(
        incident = id,
        cancelled,
        who = by,
        "an operator acknowledged an incident"
    );
    let summary = format!("incident {id} acknowledged; {cancelled} delayed actions cancelled");
    Ok(Performed::new(summary, 1, show(state, id).await?))
}

pub(super) async fn close(
    state: &Arc<AppState>,
    by: &str,
    id: i64,
    reason: Option<String>,
) -> Result {
    let now = state.clock.now();
    let closed = ClosedBy {
        by: by.to_owned(),
        reason,
    };
    let (known, was_open) = query(state, move |store| {
        let known = store.incident(id)?.is_some();
        Ok((known, store.close_incident(id, &closed, now)?))
    })
    .await?;
    if !known {
        return Err(unknown());
    }
    if !was_open {
        return Err(OperationError::conflict("the incident has ended"));
    }
    tracing::info!(incident = id, who = by, "an operator closed an incident");
    let summary = format!("incident {id} closed");
    Ok(Performed::new(summary, 1, show(state, id).await?))
}

pub(super) async fn close_match(
    state: &Arc<AppState>,
    by: &str,
    rule: String,
    key: String,
    reason: Option<String>,
) -> Result {
    let closed = ClosedBy {
        by: by.to_owned(),
        reason,
    };
    let (rules, now) = (state.intake.rules().load_full(), state.clock.now());
    let (of_rule, at_key) = (rule.clone(), key.clone());
    let found = query(state, move |store| {
        close_pending(store, &rules, (&of_rule, &at_key), &closed, now)
    })
    .await?;
    let found = found.ok_or_else(no_match)?;
    tracing::info!(rule, key, who = by, "an operator closed a match");
    let summary = format!("closed the match of rule {rule} at the key {key}");
    Ok(Performed::new(summary, 1, found))
}

/// An incident with its deliveries, as JSON.
pub(crate) async fn show(state: &Arc<AppState>, id: i64) -> Result<Json> {
    let found = query(state, move |store| incident_with_deliveries(store, id)).await?;
    found.ok_or_else(unknown)
}

pub(in crate::operate) fn unknown() -> OperationError {
    OperationError::not_found("no incident has this number")
}

pub(in crate::operate) fn no_match() -> OperationError {
    OperationError::not_found("the rule has no pending match at this key")
}
