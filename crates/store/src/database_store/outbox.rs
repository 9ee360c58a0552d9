//! The outbox: released claims, settled attempts, dead letters.
//!
//! A delivery in the outbox has a `due` time. A claim moves `due` to the end of a lease and sets
//! `claimed` to the number of the node that has it, so that a claimed delivery is simply one that is
//! not due: no second claim takes it, and a process that dies while sending loses nothing, because
//! `due` comes anyway. A store of one process has one node, with the number 1.
//!
//! ```text
//! accepted   due = 12:00:00  claimed = 0
//! claimed    due = 12:16:00  claimed = 1     by node 1 at 12:00:00 with a lease of 16 minutes
//! failed     due = 12:00:03  claimed = 0     attempt 2 in a second
//! delivered  status = 1
//! ```
//!
//! Deliveries that have an order wait for others besides; see `order.rs`. Claims are in `claim.rs`,
//! lists in `listing.rs`.

use jiff::Timestamp;
use reflexarc_delivery::{DeadLetterCause, Decision, Delivery, DeliveryId, EventRef};
use reflexarc_event::Json;

use super::order::{self, Place};
use super::write_clock::TOLERANCE;
use super::{attempts, calls, micros};
use crate::database;
use crate::database::{Connection, Optional};
use crate::{
    AttemptOutcome, DeadLetter, DeadLetterReport, DeliveryStatus, MAX_LISTED, Settled, StoreError,
};

/// Makes deliveries due whose `due` was written by a clock that was ahead: later than `since`, which
/// is not before `now`. Reads the whole outbox.
pub(super) fn release_future(
    connection: &Connection,
    since: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    let condition = written_after(since, connection.node());
    release_where(connection, &condition, None, now)?;
    Ok(())
}

/// Releases the claims of this node on one target: the deliveries are due at once, as far as their
/// order allows. So are those that an earlier process wrote by a clock that was ahead of this one,
/// see [`written_after`].
pub(super) fn release(
    connection: &Connection,
    target: &str,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let node = connection.node();
    let condition = format!("(claimed = {node} OR {})", written_after(now, node));
    release_where(connection, &condition, Some(target), now)
}

/// The condition on deliveries whose `due` was written later than `time`, which is now: the clock
/// has been set back since, and `due` means nothing by the new clock.
///
/// Not those that other nodes have claimed: they are being sent, whatever the clocks say. A claim
/// of a node that is gone is released for that reason.
fn written_after(time: Timestamp, node: i64) -> String {
    let time = micros(time).saturating_add(TOLERANCE);
    format!("(set_at > {time} AND claimed IN (0, {node}))")
}

/// A delivery whose delay ends later. It is left alone when the clock was set back: such delays
/// move with the clock (`delays.rs`), and what is sent too early cannot be taken back.
const DELAYED: &str = "delay IS NOT NULL AND claimed = 0 AND retry IS NULL AND since > ?1";

/// Releases the deliveries that meet this condition on `?1`, the time.
pub(super) fn release_where(
    connection: &Connection,
    condition: &str,
    target: Option<&str>,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let sql = format!(
        "UPDATE delivery
         SET due = ?1, claimed = 0, failed = min(failed, ?1), set_at = ?1,
             retry = CASE WHEN set_at - {TOLERANCE} > ?1 THEN NULL ELSE retry END
         WHERE status = 0 AND {condition} AND NOT ({DELAYED}) AND (CAST(?2 AS TEXT) IS NULL OR target = ?2)
         RETURNING target, order_key, seq, number, id, head"
    );
    let (mut released, mut heads) = (0, Vec::new());
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query((micros(now), target))?;
    while let Some(row) = rows.next()? {
        released += 1;
        // Those that are no heads go on waiting. Heads may have become that by their claims.
        if let (Some(place), true) = (order::read_place(&row, 1)?, row.get(5)?) {
            heads.push((row.get::<_, String>(0)?, place));
        }
    }
    for (target, place) in heads {
        order::update_one(connection, &target, place, now)?;
    }
    if released > 0 {
        calls::withdraw_released(connection, now)?;
    }
    Ok(released)
}

/// Releases the claims of this node on these deliveries. They are due at once, as far as their order
/// allows.
pub(super) fn release_own(
    connection: &Connection,
    ids: &[DeliveryId],
    now: Timestamp,
) -> Result<usize, StoreError> {
    let node = connection.node();
    release_some(connection, ids, &format!("claimed = {node}"), now)
}

/// Releases the claims of these deliveries that meet a condition, as [`release_own`] does.
pub(super) fn release_some(
    connection: &Connection,
    ids: &[DeliveryId],
    condition: &str,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let sql = format!(
        "UPDATE delivery SET due = ?1, set_at = ?1, claimed = 0
         WHERE id = ?2 AND status = 0 AND {condition}
         RETURNING target, order_key, seq, number, id"
    );
    let mut released = 0;
    for id in ids {
        if let Some((target, place)) = change(connection, &sql, (micros(now), id.as_bytes()))? {
            released += 1;
            if let Some(place) = place {
                order::update_one(connection, &target, place, now)?;
            }
        }
    }
    if released > 0 {
        calls::withdraw_released(connection, now)?;
    }
    Ok(released)
}

/// Runs an update of one delivery that returns `target, order_key, seq, number, id`; `None` if it
/// changes nothing.
fn change(
    connection: &Connection,
    sql: &str,
    parameters: impl database::Params,
) -> Result<Option<(String, Option<Place>)>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let changed = statement.query_row(parameters, |row| {
        Ok((row.get(0)?, order::read_place(row, 1)?))
    });
    Ok(changed.optional()?)
}

/// Records an attempt and applies the decision.
pub(super) fn settle(
    connection: &Connection,
    delivery: &Delivery,
    attempt: &AttemptOutcome,
    decision: &Decision,
    now: Timestamp,
) -> Result<Settled, StoreError> {
    let id = delivery.id.as_bytes();
    attempts::record(connection, delivery, attempt)?;
    if delivery.action.is_call()
        && calls::settle_without_answer(connection, delivery.id, decision, now)?
    {
        return Ok(Settled::default());
    }
    if !attempt.delivered_parts.is_empty() {
        let parts = delivery
            .delivered_parts
            .iter()
            .chain(&attempt.delivered_parts);
        connection
            .prepare_cached("UPDATE delivery SET taken = ?2 WHERE id = ?1")?
            .run((id, Json::strings(parts).to_string()))?;
    }
    let target = &delivery.target;
    let mut settled = Settled::default();
    // `status = 0`: a delivery that an operator cancelled while it was being sent stays cancelled.
    // Only a successful attempt overrides that, because then the receiver does have it.
    // `claimed`: another node has taken it over, and decides; this one was taken for dead.
    let node = connection.node();
    match decision {
        // A part was delivered: the next part is due at once, as a first attempt. The next delivery
        // of its key goes on waiting.
        Decision::NextPart => {
            let sql = "UPDATE delivery
                       SET due = ?2, set_at = ?2, claimed = 0, attempt = 1, retry = NULL
                       WHERE id = ?1 AND status = 0 AND claimed IN (0, ?3)
                       RETURNING target, order_key, seq, number, id";
            if let Some((_, Some(place))) = change(connection, sql, (id, micros(now), node))? {
                order::update_one(connection, target, place, now)?;
            }
        }
        Decision::Delivered => {
            // Read before: `RETURNING` writes a table of its own and reads it back, and this is by
            // far the most frequent update.
            let place = place_of(connection, delivery.id)?;
            let sql = "UPDATE delivery
                       SET status = 1, finished = ?2, attempt = attempt + 1, reason = NULL
                       WHERE id = ?1";
            connection.prepare_cached(sql)?.run((id, micros(now)))?;
            let ended = Some((target.clone(), place));
            settled.next_is_due = update_behind(connection, ended, now)?;
        }
        Decision::RetryAt(at) => {
            let started = micros(attempt.started.min(now));
            let sql = "UPDATE delivery
                       SET due = ?2, set_at = ?3, claimed = 0, attempt = attempt + 1,
                           retry = ?2, failed = coalesce(failed, ?4)
                       WHERE id = ?1 AND status = 0 AND claimed IN (0, ?5)
                       RETURNING target, order_key, seq, number, id";
            let parameters = (id, micros(*at), micros(now), started, node);
            let failed = change(connection, sql, parameters)?;
            let is_ours = failed.is_some();
            if let Some((_, Some(place))) = failed {
                // As a member of a digest it was sent although the one before was not delivered.
                order::update_one(connection, target, place, now)?;
                settled.next_is_due = order::update_next(connection, target, place, now)?;
            }
            if is_ours && delivery.action.is_call() {
                calls::settle_retry(connection, delivery.id, attempt.outcome, now)?;
            }
        }
        Decision::DeadLetter { cause, reason } => {
            let sql = "UPDATE delivery
                       SET status = 2, finished = ?2, attempt = attempt + 1, reason = ?3
                       WHERE id = ?1 AND status = 0 AND claimed IN (0, ?4)
                       RETURNING target, order_key, seq, number, id";
            let ended = change(connection, sql, (id, micros(now), reason, node))?;
            // None: it was cancelled or taken over meanwhile.
            if ended.is_some() {
                let letter = DeadLetter {
                    id: delivery.id,
                    rule: delivery.rule.clone(),
                    event: delivery.event.clone(),
                };
                let (target, reason) = (target.clone(), reason.clone());
                let report = DeadLetterReport::of_one(target, letter, *cause, reason);
                settled.dead_letter = Some(report);
            }
            settled.next_is_due = update_behind(connection, ended, now)?;
        }
    }
    Ok(settled)
}

/// Where a delivery stands in the order of its key; `None` if it has none, or is gone.
pub(super) fn place_of(
    connection: &Connection,
    id: DeliveryId,
) -> Result<Option<Place>, StoreError> {
    let sql = "SELECT order_key, seq, number, id FROM delivery WHERE id = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let place = statement.query_row([id.as_bytes()], |row| order::read_place(row, 0));
    Ok(place.optional()?.flatten())
}

/// Updates the delivery after one that has ended. Returns whether that may be claimed now.
fn update_behind(
    connection: &Connection,
    ended: Option<(String, Option<Place>)>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    match ended {
        Some((target, Some(place))) => order::update_next(connection, &target, place, now),
        _ => Ok(false),
    }
}

/// Moves the pending deliveries of a target that does not exist to the dead letters, and withdraws
/// its calls. Returns a report if there were dead letters.
pub(super) fn dead_letter_target(
    connection: &Connection,
    target: &str,
    reason: &str,
    now: Timestamp,
) -> Result<Option<DeadLetterReport>, StoreError> {
    let sql = "UPDATE delivery SET status = 2, finished = ?2, reason = ?3
               WHERE status = 0 AND target = ?1
                     AND NOT EXISTS (SELECT 1 FROM waiting_call AS c WHERE c.id = delivery.id)
               RETURNING id, rule, source, event";
    // Before the others, which are those that are left. A call that is being sent is among neither.
    calls::withdraw_of_target(connection, target, reason, now)?;
    let mut report = DeadLetterReport {
        target: target.to_owned(),
        cause: DeadLetterCause::UnknownTarget,
        reason: reason.to_owned(),
        count: 0,
        letters: Vec::new(),
    };
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query((target, micros(now), reason))?;
    while let Some(row) = rows.next()? {
        report.count += 1;
        if report.letters.len() < MAX_LISTED {
            report.letters.push(DeadLetter {
                id: DeliveryId::from(row.get::<_, [u8; 16]>(0)?),
                rule: row.get(1)?,
                event: EventRef {
                    source: row.get(2)?,
                    id: row.get(3)?,
                },
            });
        }
    }
    Ok((report.count > 0).then_some(report))
}

/// Moves one delivery from status `from` to status `to`. Returns whether it was in `from`.
pub(super) fn transfer(
    connection: &Connection,
    id: DeliveryId,
    from: DeliveryStatus,
    to: DeliveryStatus,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let (id, from, at) = (id.as_bytes(), from.number(), micros(now));
    let changed = if to == DeliveryStatus::Pending {
        // A new series: attempts and their maximum age are counted from now. It has no place among
        // what has been sent meanwhile, so it has no order.
        let sql = "UPDATE delivery
                   SET status = 0, attempt = 1, since = ?3, due = ?3, set_at = ?3, claimed = 0,
                       finished = NULL, reason = NULL, delay = NULL,
                       order_key = NULL, head = 1, failed = NULL, retry = NULL, digest = NULL
                   WHERE id = ?1 AND status = ?2
                   RETURNING target, order_key, seq, number, id";
        change(connection, sql, (id, from, at))?
    } else {
        let sql = "UPDATE delivery SET status = ?3, finished = ?4, reason = ?5
                   WHERE id = ?1 AND status = ?2
                   RETURNING target, order_key, seq, number, id";
        change(connection, sql, (id, from, to.number(), at, reason))?
    };
    let is_changed = changed.is_some();
    update_behind(connection, changed, now)?;
    Ok(is_changed)
}
