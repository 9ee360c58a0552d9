//! Changing many deliveries, in steps: others wait for one of them at most.

use jiff::Timestamp;
use reflexarc_delivery::DeliveryId;
use reflexarc_reaction::OwnCode;

use super::calls::Withdrawal;
use super::{calls, filtered, outbox, pages, withheld};
use crate::database::{Connection, Value, params_from_iter};
use crate::{
    BulkChange, BulkStep, DeliveryFilter, DeliveryStatus, PageCursor, SelectedChange, StoreError,
};

/// The most deliveries that one transaction changes, whatever was asked for.
pub(super) const MAX_STEP: usize = 1_000;

/// Deliveries that one step looks at where no index has those that are selected.
const LOOK: usize = 4_096;

/// Why a delivery was cancelled.
const CANCELLED: &str = "cancelled by an operator";

/// Changes the next deliveries that are selected.
pub(super) fn step(
    connection: &Connection,
    change: BulkChange,
    filter: &DeliveryFilter,
    after: Option<PageCursor>,
    step: usize,
    now: Timestamp,
) -> Result<BulkStep, StoreError> {
    let mut done = BulkStep::default();
    if !change.changes(filter.status) {
        return Ok(done);
    }
    let limit = step.clamp(1, MAX_STEP);
    let found = if filter.status == DeliveryStatus::Dead {
        dead_letters(connection, filter, after, limit)?
    } else {
        by_table(connection, filter, after, limit)?
    };
    for id in found.ids {
        let is_changed = one(connection, change, id, now)?;
        done.changed += u64::from(is_changed);
        done.unchanged += u64::from(!is_changed);
    }
    done.next = found.next;
    Ok(done)
}

/// Changes these deliveries.
pub(super) fn selected(
    connection: &Connection,
    change: BulkChange,
    ids: &[DeliveryId],
    now: Timestamp,
) -> Result<SelectedChange, StoreError> {
    let mut done = SelectedChange::default();
    let sql = "SELECT EXISTS (SELECT 1 FROM delivery WHERE id = ?1)";
    let mut statement = connection.prepare_cached(sql)?;
    for id in ids {
        if one(connection, change, *id, now)? {
            done.changed += 1;
        } else if statement.query_row([id.as_bytes()], |row| row.get(0))? {
            done.unchanged += 1;
        } else {
            done.missing += 1;
        }
    }
    Ok(done)
}

/// Changes a delivery. Returns whether its status allowed it.
fn one(
    connection: &Connection,
    change: BulkChange,
    id: DeliveryId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    match change {
        BulkChange::Redrive => redrive(connection, id, now),
        BulkChange::Drop => drop_dead_letter(connection, id, now),
        BulkChange::Cancel => cancel(connection, id, now),
    }
}

/// Cancels a pending or withheld delivery, or withdraws a call.
pub(super) fn cancel(
    connection: &Connection,
    id: DeliveryId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    // A delivery that is being sent is pending too and can be cancelled: it is then not retried,
    // but the attempt that runs is not interrupted (see `outbox::settle`).
    let withdrawal = calls::withdraw(connection, id, OwnCode::Cancelled, CANCELLED, now)?;
    if let Some(withdrawal) = withdrawal {
        return Ok(Withdrawal::is_new(withdrawal));
    }
    let (from, to) = (DeliveryStatus::Pending, DeliveryStatus::Cancelled);
    Ok(
        outbox::transfer(connection, id, from, to, Some(CANCELLED), now)?
            || withheld::cancel(connection, id, CANCELLED, now)?,
    )
}

/// Puts a dead letter back into the outbox, unless it is a call.
pub(super) fn redrive(
    connection: &Connection,
    id: DeliveryId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    // One whose answer could not be processed may have been executed.
    let record = pages::get(connection, id)?;
    if let Some(Ok(record)) = record
        && record.delivery.action.is_call()
    {
        return Ok(false);
    }
    let (from, to) = (DeliveryStatus::Dead, DeliveryStatus::Pending);
    outbox::transfer(connection, id, from, to, None, now)
}

/// Drops a dead letter.
pub(super) fn drop_dead_letter(
    connection: &Connection,
    id: DeliveryId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let reason = Some("dropped by an operator");
    let (from, to) = (DeliveryStatus::Dead, DeliveryStatus::Dropped);
    outbox::transfer(connection, id, from, to, reason, now)
}

/// Deliveries of a step.
struct Found {
    ids: Vec<DeliveryId>,
    next: Option<PageCursor>,
}

/// The next dead letters, the longest dead first.
fn dead_letters(
    connection: &Connection,
    filter: &DeliveryFilter,
    after: Option<PageCursor>,
    limit: usize,
) -> Result<Found, StoreError> {
    let keys = filtered::keys(connection, filter, false, after, limit)?;
    let has_more = keys.found.len() > limit;
    let found = keys.found.into_iter().take(limit);
    let found: Vec<_> = found.collect();
    let last = found.last().copied().filter(|_| has_more);
    Ok(Found {
        ids: found.into_iter().map(|cursor| cursor.id).collect(),
        next: last.or(keys.looked_until),
    })
}

/// The next deliveries by their ids, from the table.
// Not in the order of a list: for that, each step would read and sort all that is pending.
fn by_table(
    connection: &Connection,
    filter: &DeliveryFilter,
    after: Option<PageCursor>,
    limit: usize,
) -> Result<Found, StoreError> {
    // The first one; those before it are not looked at.
    let begin = match after {
        Some(after) => Some(*after.id.as_bytes()),
        None => first(connection, filter.status)?,
    };
    let Some(begin) = begin else {
        return Ok(Found {
            ids: Vec::new(),
            next: None,
        });
    };
    let comparison = if after.is_none() { ">=" } else { ">" };
    let mut parameters = vec![Value::Blob(begin.into())];
    let conditions = filtered::conditions(filter, &mut parameters);
    let sql = format!(
        "SELECT id, CASE WHEN {conditions} THEN 1 ELSE 0 END FROM delivery NOT INDEXED
         WHERE id {comparison} ?1 ORDER BY id LIMIT {LOOK}"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(parameters))?;
    let (mut ids, mut looked_at, mut last) = (Vec::new(), 0, None);
    while let Some(row) = rows.next()? {
        let id = DeliveryId::from(row.get::<_, [u8; 16]>(0)?);
        looked_at += 1;
        last = Some(id);
        if row.get(1)? {
            ids.push(id);
            if ids.len() == limit {
                break;
            }
        }
    }
    let is_full = ids.len() == limit || looked_at == LOOK;
    // Of the place, only the id is compared.
    let next = last.filter(|_| is_full).map(|id| PageCursor {
        micros: 0,
        seq: 0,
        id,
    });
    Ok(Found { ids, next })
}

/// The first pending or withheld delivery.
fn first(connection: &Connection, status: DeliveryStatus) -> Result<Option<[u8; 16]>, StoreError> {
    let sql = match status {
        DeliveryStatus::Withheld => {
            "SELECT min(delivery) FROM withheld INDEXED BY withheld_until WHERE ended IS NULL"
        }
        _ => "SELECT min(id) FROM delivery INDEXED BY delivery_order WHERE status = 0",
    };
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row((), |row| row.get(0))?)
}
