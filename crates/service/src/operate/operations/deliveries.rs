//! Changing one delivery, or those that an operator has selected.

use std::sync::Arc;

use jiff::Timestamp;
use reflexarc_delivery::DeliveryId;
use reflexarc_event::Json;

use super::{OperationError, Performed, Result, query};
use crate::http::AppState;
use crate::operate::{delivery_to_json, with_withheld_periods};
use crate::store::{BulkChange, DeliveryRecord, Store, StoreError};

/// A change of a delivery; false if its status does not allow it.
type Change = fn(&dyn Store, DeliveryId, Timestamp) -> std::result::Result<bool, StoreError>;

pub(super) async fn redrive(state: &Arc<AppState>, by: &str, id: DeliveryId) -> Result {
    let operation: Change = |store, id, now| store.redrive(id, now);
    let conflict = "the delivery is not a dead letter, or it is a call, which is not redriven: it may \
                    have been executed";
    let (record, body) = change(state, by, id, operation, conflict).await?;
    let target = &record.delivery.target;
    let summary = format!("moved back to the outbox of {target}");
    Ok(Performed::new(summary, 1, body))
}

pub(super) async fn drop_dead_letter(state: &Arc<AppState>, by: &str, id: DeliveryId) -> Result {
    let operation: Change = |store, id, now| store.drop_dead_letter(id, now);
    let conflict = "the delivery is not a dead letter";
    let (record, body) = change(state, by, id, operation, conflict).await?;
    let summary = format!("dropped the dead letter to {}", record.delivery.target);
    Ok(Performed::new(summary, 1, body))
}

pub(super) async fn cancel(state: &Arc<AppState>, by: &str, id: DeliveryId) -> Result {
    let operation: Change = |store, id, now| store.cancel(id, now);
    let conflict = "the delivery is not in the outbox";
    let (record, body) = change(state, by, id, operation, conflict).await?;
    let summary = format!("cancelled the delivery to {}", record.delivery.target);
    Ok(Performed::new(summary, 1, body))
}

/// Changes these deliveries. What has another status by now, or was removed, is counted.
pub(super) async fn selected(
    state: &Arc<AppState>,
    by: &str,
    change: BulkChange,
    ids: Vec<DeliveryId>,
) -> Result {
    let now = state.clock.now();
    let done = query(state, move |store| store.change_selected(change, &ids, now)).await?;
    let body = Json::object([
        ("changed", Json::count(done.changed)),
        ("unchanged", Json::count(done.unchanged)),
        ("missing", Json::count(done.missing)),
    ]);
    let left = left(done.unchanged, done.missing);
    if done.changed == 0 {
        let message = format!("nothing was changed{left}");
        return Err(OperationError::conflict(message).with_member("result", body));
    }
    tracing::info!(
        changed = done.changed,
        who = by,
        "an operator changed selected deliveries"
    );
    if change == BulkChange::Redrive {
        let wake = &state.wake;
        wake.wake(&wake.names(), &*state.store, now);
    }
    let (noun, participle) = match change {
        BulkChange::Redrive => ("dead letter", "moved back to the outbox"),
        BulkChange::Drop => ("dead letter", "dropped"),
        _ => ("waiting delivery", "cancelled"),
    };
    let summary = format!("{} {participle}{left}", counted(done.changed, noun));
    Ok(Performed::new(summary, done.changed, body))
}

/// `1 dead letter`, `2 dead letters`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    match (count, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        (_, None) => format!("{count} {noun}s"),
    }
}

/// How many selected deliveries were not changed, as the end of a sentence; empty if all were.
pub(crate) fn left(unchanged: u64, missing: u64) -> String {
    let mut text = String::new();
    if unchanged > 0 {
        text.push_str(&format!("; {unchanged} left unchanged"));
    }
    if missing > 0 {
        text.push_str(&format!("; {missing} not found"));
    }
    text
}

/// A delivery as JSON, with its attempts and the times in which it was withheld.
pub(crate) async fn show(state: &Arc<AppState>, id: DeliveryId) -> Result<(DeliveryRecord, Json)> {
    let found = query(state, move |store| {
        let Some((record, attempts)) = store.delivery(id)? else {
            return Ok(None);
        };
        let json = delivery_to_json(&record, Some(&attempts));
        Ok(Some((record, with_withheld_periods(store, json, id)?)))
    });
    let found = found.await?;
    found.ok_or_else(|| OperationError::not_found("no delivery has this id"))
}

/// Applies an operator's change to a delivery. `conflict` is the error if its status does not allow
/// it.
async fn change(
    state: &Arc<AppState>,
    by: &str,
    id: DeliveryId,
    change: Change,
    conflict: &str,
) -> Result<(DeliveryRecord, Json)> {
    let now = state.clock.now();
    if !query(state, move |store| change(store, id, now)).await? {
        // The delivery may exist in another status. The check and the change are one statement in
        // the store, so two operators cannot both succeed.
        return Err(OperationError::conflict(conflict));
    }
    tracing::info!(delivery = %id, who = by, "an operator changed a delivery");
    let (record, json) = show(state, id).await?;
    // A redriven delivery is due now; if its target is gone, it becomes a dead letter again.
    let targets = std::slice::from_ref(&record.delivery.target);
    state.wake.wake(targets, &*state.store, now);
    Ok((record, json))
}
