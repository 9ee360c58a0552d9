//! Rows of the outbox: deliveries and attempts.

use reflexarc_delivery::{Delivery, DeliveryId, EventRef, Phase};
use reflexarc_event::Json;
use reflexarc_reaction::Action;

use super::instant;
use crate::database;
use crate::database::Row;
use crate::{DeliveryRecord, DeliveryStatus};

/// The columns that [`read_row`] reads, in its order.
pub(super) const COLUMNS: &str = "id, source, event, resource, rule, target, action, \
                                  created, replay, attempt, since, status, due, finished, \
                                  reason, seq, taken, head, scope, firing, digest, \
                                  incident";

/// A row that this version cannot read.
pub(super) struct UnreadableRow {
    pub(super) id: [u8; 16],
    pub(super) reason: &'static str,
}

/// The outer error is SQLite's. The inner one leaves the id readable, so that a claim can move an
/// unreadable delivery to the dead letters instead of failing at it for ever.
pub(super) fn read_row(row: &Row<'_>) -> database::Result<Result<DeliveryRecord, UnreadableRow>> {
    let id: [u8; 16] = row.get(0)?;
    let unreadable = |reason| Ok(Err(UnreadableRow { id, reason }));
    let action: String = row.get(6)?;
    let action = Json::parse(&action).ok();
    let Some(action) = action.as_ref().and_then(Action::from_json) else {
        return unreadable("its action is invalid");
    };
    let status: i64 = row.get(11)?;
    // A newer program, to which the file was migrated and from which someone has gone back, may
    // have written a status that does not exist here.
    let status = DeliveryStatus::ALL
        .into_iter()
        .find(|known| known.number() == status);
    let Some(status) = status else {
        return unreadable("its status is unknown to this version");
    };
    let phase = u8::try_from(row.get::<_, i64>(19)?).ok();
    let Some(phase) = phase.and_then(Phase::from_number) else {
        return unreadable("its phase is unknown to this version");
    };
    let delivery = Delivery {
        id: DeliveryId::from(id),
        event: EventRef {
            source: row.get(1)?,
            id: row.get(2)?,
        },
        resource: row.get(3)?,
        rule: row.get(4)?,
        key: row.get(18)?,
        phase,
        target: row.get(5)?,
        action,
        created: instant(row.get(7)?),
        replay: row.get(8)?,
        attempt: row.get(9)?,
        queued_at: instant(row.get(10)?),
        delivered_parts: delivered_parts(row.get(16)?),
        digest: row.get::<_, Option<[u8; 16]>>(20)?.map(DeliveryId::from),
    };
    let finished: Option<i64> = row.get(13)?;
    Ok(Ok(DeliveryRecord {
        delivery,
        status,
        due: instant(row.get(12)?),
        finished: finished.map(instant),
        reason: row.get(14)?,
        seq: row.get(15)?,
        waits: !row.get::<_, bool>(17)?,
        incident: row.get(21)?,
    }))
}

/// The parts as `settle` writes them. An invalid list counts as empty: then all parts are sent
/// again, under the same id.
fn delivered_parts(list: Option<String>) -> Vec<String> {
    // NULL is the common case: the target sends in one part, or nothing was delivered yet.
    let list = list.and_then(|text| Json::parse(text).ok());
    list.iter()
        .flat_map(Json::elements)
        .filter_map(|part| part.as_str().map(str::to_owned))
        .collect()
}
