//! Claims: which deliveries a queue sends next.

use jiff::{SignedDuration, Timestamp};
use reflexarc_delivery::{DeadLetterCause, DeliveryId, EventRef};

use super::order::{self, Place};
use super::records::{COLUMNS, UnreadableRow, read_row};
use super::withheld::ClaimFilter;
use super::{calls, micros, outbox, senders};
use crate::database;
use crate::database::Connection;
use crate::{
    ClaimLimit, Claimed, DeadLetter, DeadLetterReport, DeliveryRecord, DeliveryStatus, Sender,
    StoreError, Withholding,
};

/// A delivery that a claim has taken.
struct Taken {
    record: DeliveryRecord,
    number: i64,
    place: Option<Place>,
    /// Its claim has expired.
    was_claimed: bool,
}

/// How much a claim may still take.
#[derive(Clone, Copy)]
struct Room {
    deliveries: usize,
    bytes: usize,
}

impl Room {
    fn within(limit: ClaimLimit) -> Self {
        Self {
            deliveries: limit.deliveries,
            // One delivery is taken whatever its size: else a large one would wait for ever.
            bytes: limit.bytes.max(1),
        }
    }

    fn is_none(self) -> bool {
        self.deliveries == 0 || self.bytes == 0
    }

    fn take(&mut self, taken: &Taken) {
        self.deliveries = self.deliveries.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(taken.record.delivery.bytes());
    }
}

/// Claims deliveries of `target` within `limit`; they are not claimed again before `now + lease`.
///
/// First those that are due and wait for no other, the soonest due first. Where the limit leaves
/// room, each takes along the deliveries that follow it in the order of its key, as a run. What
/// `withholding` keeps back leaves the outbox.
pub(super) fn claim(
    connection: &Connection,
    target: &str,
    now: Timestamp,
    lease: SignedDuration,
    limit: ClaimLimit,
    withholding: Option<&dyn Withholding>,
) -> Result<Claimed, StoreError> {
    // Its claims may be released at any time.
    if !connection.is_live() {
        return Ok(Claimed {
            sender: Sender::Other,
            ..Claimed::default()
        });
    }
    let sender = if limit.sends_alone {
        senders::take(connection, target)?
    } else {
        Sender::Own
    };
    if sender == Sender::Other {
        return Ok(Claimed {
            sender,
            ..Claimed::default()
        });
    }
    let mut filter = ClaimFilter::open(connection, withholding, now)?;
    let until = micros(now.saturating_add(lease).unwrap_or(Timestamp::MAX));
    // Selected and updated in one transaction of the one writer, so two queues can never claim the
    // same delivery.
    let (mut runs, mut unreadable) = (Vec::new(), Vec::new());
    let mut room = Room::within(limit);
    let first = limit.retries_first.then(retries);
    for sql in first.into_iter().chain([claimable()]) {
        loop {
            let mut rows = take(connection, &sql, target, now, room)?;
            let expired = |row: &Result<Taken, _>| row.as_ref().is_ok_and(|one| one.was_claimed);
            if rows.iter().any(expired) {
                // Runs whose claims have expired: what follows in them waits again.
                let expired = "claimed <> 0 AND due <= ?1";
                outbox::release_where(connection, expired, Some(target), now)?;
                rows = take(connection, &sql, target, now, room)?;
            }
            let found = unreadable.len() + kept_back(filter.as_ref());
            for row in rows {
                match row {
                    Ok(taken) => {
                        if !admits(filter.as_mut(), connection, &taken)? {
                            continue;
                        }
                        mark(connection, &taken, until, now)?;
                        room.take(&taken);
                        runs.push(vec![taken]);
                    }
                    // A row that cannot be read must not block those behind it.
                    Err(row) => {
                        unreadable.push(dead_letter_unreadable(connection, target, &row, now)?);
                    }
                }
            }
            // Those behind it may be claimable now.
            if unreadable.len() + kept_back(filter.as_ref()) == found || is_full(filter.as_ref()) {
                break;
            }
        }
    }
    // After all heads are marked, so that a run ends where another one begins.
    for run in &mut runs {
        let Some(place) = run.first().and_then(|taken| taken.place) else {
            continue;
        };
        let most = Room {
            deliveries: room.deliveries.min(limit.run.saturating_sub(1)),
            ..room
        };
        if most.is_none() || is_full(filter.as_ref()) {
            break;
        }
        for taken in followers(connection, target, place, now, most)? {
            if !admits(filter.as_mut(), connection, &taken)? {
                continue;
            }
            mark(connection, &taken, until, now)?;
            room.take(&taken);
            run.push(taken);
        }
    }
    // Selected by `due`, sent by event: after an outage all retries are due, in the order of their
    // waits, and receivers should still see older events first.
    runs.sort_by_key(|run| run.first().map(|taken| (taken.record.seq, taken.number)));
    let deliveries = |run: Vec<Taken>| run.into_iter().map(|taken| taken.record.delivery);
    Ok(Claimed {
        runs: runs
            .into_iter()
            .map(|run| deliveries(run).collect())
            .collect(),
        unreadable,
        kept_back: kept_back(filter.as_ref()),
        sender,
    })
}

/// Whether a delivery may be claimed; if not, it has left the outbox. One that was claimed before
/// is asked about again: its queue has not sent it.
fn admits(
    filter: Option<&mut ClaimFilter<'_>>,
    connection: &Connection,
    taken: &Taken,
) -> Result<bool, StoreError> {
    filter.map_or(Ok(true), |filter| {
        filter.admits(connection, &taken.record, taken.place)
    })
}

fn kept_back(filter: Option<&ClaimFilter<'_>>) -> usize {
    filter.map_or(0, |filter| filter.kept_back)
}

fn is_full(filter: Option<&ClaimFilter<'_>>) -> bool {
    filter.is_some_and(ClaimFilter::is_full)
}

/// The deliveries that [`claimable`] or [`retries`] finds, as far as there is room.
fn take(
    connection: &Connection,
    sql: &str,
    target: &str,
    now: Timestamp,
    mut room: Room,
) -> Result<Vec<Result<Taken, UnreadableRow>>, StoreError> {
    let mut found = Vec::new();
    if room.is_none() {
        return Ok(found);
    }
    let limit = i64::try_from(room.deliveries).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query((target, micros(now), limit))?;
    // Row by row: what is beyond the bytes is never read.
    while !room.is_none()
        && let Some(row) = rows.next()?
    {
        let row = read_taken(&row)?;
        if let Ok(taken) = &row {
            room.take(taken);
        }
        found.push(row);
    }
    Ok(found)
}

/// Moves a delivery that cannot be read to the dead letters.
fn dead_letter_unreadable(
    connection: &Connection,
    target: &str,
    row: &UnreadableRow,
    now: Timestamp,
) -> Result<DeadLetterReport, StoreError> {
    let id = DeliveryId::from(row.id);
    let (from, to) = (DeliveryStatus::Pending, DeliveryStatus::Dead);
    outbox::transfer(connection, id, from, to, Some(row.reason), now)?;
    // No rule could process the answer to a call that cannot be read: the report is the answer.
    calls::forget(connection, id)?;
    let (rule, event) = rule_and_event(connection, id)?;
    Ok(DeadLetterReport::of_one(
        target.to_owned(),
        DeadLetter { id, rule, event },
        DeadLetterCause::Unreadable,
        row.reason.to_owned(),
    ))
}

/// The deliveries that are due and wait for no other, the soonest due first. It reads as many rows
/// of the index as it returns.
pub(super) fn claimable() -> String {
    format!(
        "SELECT {COLUMNS}, order_key, seq, number, id, claimed FROM delivery
         WHERE status = 0 AND head = 1 AND target = ?1 AND due <= ?2
         ORDER BY due, seq, number, id LIMIT ?3"
    )
}

/// Those of them that have failed before.
pub(super) fn retries() -> String {
    // `+head`: the other index would find them too, among all others.
    format!(
        "SELECT {COLUMNS}, order_key, seq, number, id, claimed FROM delivery
         WHERE status = 0 AND failed IS NOT NULL AND +head = 1 AND target = ?1 AND due <= ?2
         ORDER BY due, seq, number, id LIMIT ?3"
    )
}

/// The deliveries after `place` in the order of its key, up to one that is claimed, whose retry is
/// not due, or that cannot be read.
fn followers(
    connection: &Connection,
    target: &str,
    place: Place,
    now: Timestamp,
    mut room: Room,
) -> Result<Vec<Taken>, StoreError> {
    let sql = following();
    let mut statement = connection.prepare_cached(&sql)?;
    let (seq, number, id) = place.rank;
    let mut rows = statement.query((target, place.key, seq, number, id))?;
    let mut followers = Vec::new();
    while !room.is_none()
        && let Some(row) = rows.next()?
    {
        let (claimed, due): (bool, i64) = (row.get("claimed")?, row.get("due")?);
        let retry: Option<i64> = row.get("retry")?;
        let now = micros(now);
        if claimed && due > now || retry.is_some_and(|retry| retry > now) {
            break;
        }
        match read_taken(&row)? {
            Ok(taken) => {
                room.take(&taken);
                followers.push(taken);
            }
            Err(_) => break,
        }
    }
    Ok(followers)
}

/// The query of [`followers`], which reads row by row.
pub(super) fn following() -> String {
    format!(
        "SELECT {COLUMNS}, order_key, seq, number, id, claimed, retry FROM delivery
         WHERE status = 0 AND target = ?1 AND order_key = ?2 AND (seq, number, id) > (?3, ?4, ?5)
         ORDER BY seq, number, id"
    )
}

/// A row of [`claimable`] or [`following`].
fn read_taken(row: &database::Row<'_>) -> database::Result<Result<Taken, UnreadableRow>> {
    let (number, was_claimed) = (row.get("number")?, row.get("claimed")?);
    let place = order::read_place(row, PLACE_COLUMN)?;
    let record = read_row(row)?;
    Ok(record.map(|record| Taken {
        record,
        number,
        place,
        was_claimed,
    }))
}

/// The first column after [`COLUMNS`].
const PLACE_COLUMN: usize = 22;

/// Marks a delivery as claimed until then.
fn mark(
    connection: &Connection,
    taken: &Taken,
    until: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    // As heads, so that the end of each need not update the next one of the run. Those that are not
    // sent are updated when they are released.
    let sql = "UPDATE delivery SET due = ?2, set_at = ?3, claimed = ?4, head = 1 WHERE id = ?1";
    let id = taken.record.delivery.id;
    let parameters = (id.as_bytes(), until, micros(now), connection.node());
    connection.prepare_cached(sql)?.run(parameters)?;
    Ok(())
}

/// The columns of an unreadable row that logs need; they are text in every version.
fn rule_and_event(
    connection: &Connection,
    id: DeliveryId,
) -> Result<(String, EventRef), StoreError> {
    let sql = "SELECT rule, source, event FROM delivery WHERE id = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row([id.as_bytes()], |row| {
        let event = EventRef {
            source: row.get(1)?,
            id: row.get(2)?,
        };
        Ok((row.get(0)?, event))
    })?)
}
