//! One step of retention: removing events with their deliveries and attempts.
//!
//! Events at consecutive positions are removed by one statement, not by one for each of them:
//!
//! ```text
//! old events   1 2 3 4   6 7 8        5 has a dead letter
//! removed      1 … 4     6 … 8
//! ```

use std::collections::BTreeSet;

use super::copies;
use crate::database::Connection;
use crate::{DamagedEvent, StoreError};

/// Rows that one transaction removes, unless many events are accepted beside it.
const STEP_ROWS: usize = 256;
/// Rows that one transaction removes at most: as many events as share a transaction, see
/// `writer.rs`.
const MAX_STEP_ROWS: usize = 2_000;
/// A step of `n` rows ends with the row that makes what it has removed `n` times this large.
// Each overflow page of a large value is moved to the free list by itself.
const ROW_BYTES: u64 = 1 << 10;

/// The deliveries of a range of events, each with whether its event is needed.
const LISTED: &str = "SELECT seq, id, octet_length(action), status IN (0, 2, 6, 7)
    FROM delivery INDEXED BY delivery_by_event
    WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq LIMIT ?3";

/// How much one transaction removes, or may still remove.
#[derive(Debug, Clone, Copy)]
pub(super) struct StepSize {
    /// Events, deliveries and attempts.
    pub(super) rows: usize,
    /// It ends with the row that uses them up.
    bytes: u64,
}

/// An event that can be removed.
#[derive(Debug, Clone)]
pub(super) struct OldEvent {
    pub(super) seq: i64,
    pub(super) received: i64,
    pub(super) bytes: u64,
    /// Its fingerprint, if it has one.
    pub(super) fingerprint: Option<[u8; 16]>,
    /// It has one that cannot be read.
    pub(super) is_damaged: bool,
}

/// What a step has done.
pub(super) struct Step {
    /// Number of events.
    pub(super) removed: u64,
    /// Those of them whose fingerprints are lost.
    pub(super) damaged: Vec<DamagedEvent>,
    /// What the next step goes on with.
    pub(super) left: Vec<OldEvent>,
}

/// A delivery of an old event.
struct OldDelivery {
    seq: i64,
    id: [u8; 16],
    bytes: u64,
    is_needed: bool,
}

impl StepSize {
    /// The size of a step while so many events are accepted: as many.
    ///
    /// What is accepted in large transactions has to be removed in large ones, or the archive
    /// grows: beside transactions of 2,000 events, steps of 256 rows remove an eighth of what
    /// comes. And what waits for a step does not wait longer than for others that are accepted.
    pub(super) fn beside(accepted: usize) -> Self {
        let rows = accepted.clamp(STEP_ROWS, MAX_STEP_ROWS);
        Self {
            rows,
            bytes: rows as u64 * ROW_BYTES,
        }
    }

    fn is_used_up(self) -> bool {
        self.rows == 0 || self.bytes == 0
    }

    fn use_up(&mut self, rows: usize, bytes: u64) {
        self.rows = self.rows.saturating_sub(rows);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// Removes the first of these events, with their deliveries and attempts, as far as a step goes.
/// Copies of those that came after `window_began` are recognised nevertheless.
pub(super) fn remove(
    connection: &Connection,
    mut events: Vec<OldEvent>,
    window_began: i64,
    mut size: StepSize,
) -> Result<Step, StoreError> {
    let (mut done, mut removed, mut damaged) = (0, 0, Vec::new());
    while !size.is_used_up() && done < events.len() {
        let row = consecutive(&events[done..], size.rows);
        let (ranges, count) = removable_ranges(connection, row, &mut size)?;
        for range in ranges {
            removed += remove_range(connection, range, window_began)?;
            let lost = range.iter().filter(|event| event.is_damaged);
            damaged.extend(lost.map(|event| {
                let reason = "it was removed, and its fingerprint cannot be read: copies of it are \
                              accepted as new events";
                DamagedEvent::one(event.seq, reason.to_owned())
            }));
        }
        done += count;
        // An event that was replayed often has more deliveries than fit in a step. Then it is left
        // with the others, and the next step goes on.
        if count < row.len() {
            break;
        }
    }
    Ok(Step {
        removed,
        damaged,
        left: events.split_off(done),
    })
}

/// The first events as long as their positions follow each other, at most `limit`.
fn consecutive(events: &[OldEvent], limit: usize) -> &[OldEvent] {
    let follows = |pair: &&[OldEvent]| pair[0].seq.checked_add(1) == Some(pair[1].seq);
    let pairs = events.windows(2).take_while(follows).count();
    &events[..(pairs + 1).min(limit).min(events.len())]
}

/// Removes the deliveries of these events, which are at consecutive positions, as far as the step
/// goes. Returns the ranges of events that nothing refers to any more, and how many events have
/// been dealt with.
fn removable_ranges<'a>(
    connection: &Connection,
    events: &'a [OldEvent],
    size: &mut StepSize,
) -> Result<(Vec<&'a [OldEvent]>, usize), StoreError> {
    let listed = deliveries(connection, events, size.rows)?;
    // If the list is full, that of its last event may not be whole.
    let is_full = listed.len() == size.rows;
    let unfinished = listed.last().map(|last| last.seq).filter(|_| is_full);
    // They may have been replayed since they were looked at.
    let needed = listed.iter().filter(|delivery| delivery.is_needed);
    let mut needed: BTreeSet<i64> = needed.map(|delivery| delivery.seq).collect();
    if let Some(seq) = unfinished
        && is_needed(connection, seq)?
    {
        needed.insert(seq);
    }
    needed.extend(referred(connection, events)?);
    let mut listed = listed.into_iter().peekable();
    let (mut ranges, mut begun, mut count) = (Vec::new(), 0, 0);
    'events: for event in events {
        if size.is_used_up() {
            break;
        }
        let is_needed = needed.contains(&event.seq);
        while let Some(delivery) = listed.next_if(|delivery| delivery.seq == event.seq) {
            if is_needed {
                continue;
            }
            if size.is_used_up() {
                break 'events;
            }
            size.use_up(remove_delivery(connection, delivery.id)?, delivery.bytes);
        }
        if is_needed {
            ranges.push(&events[begun..count]);
            begun = count + 1;
        } else if unfinished == Some(event.seq) {
            break;
        } else {
            size.use_up(1, event.bytes);
        }
        count += 1;
    }
    ranges.push(&events[begun.min(count)..count]);
    ranges.retain(|range| !range.is_empty());
    Ok((ranges, count))
}

/// Those of these events that a match refers to.
fn referred(connection: &Connection, events: &[OldEvent]) -> Result<Vec<i64>, StoreError> {
    let (Some(first), Some(last)) = (events.first(), events.last()) else {
        return Ok(Vec::new());
    };
    let sql = "SELECT seq FROM kept_event WHERE seq BETWEEN ?1 AND ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map((first.seq, last.seq), |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The first deliveries of these events, in the order of the events.
// Collected before deleting: SQLite does not define what a SELECT returns while its table is
// changed.
fn deliveries(
    connection: &Connection,
    events: &[OldEvent],
    limit: usize,
) -> Result<Vec<OldDelivery>, StoreError> {
    let (Some(first), Some(last)) = (events.first(), events.last()) else {
        return Ok(Vec::new());
    };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(LISTED)?;
    let rows = statement.query_map((first.seq, last.seq, limit), |row| {
        let bytes: Option<i64> = row.get(2)?;
        Ok(OldDelivery {
            seq: row.get(0)?,
            id: row.get(1)?,
            bytes: bytes.unwrap_or_default().unsigned_abs(),
            is_needed: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether an event has a pending or withheld delivery, a dead letter or a withdrawn call.
fn is_needed(connection: &Connection, seq: i64) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM delivery WHERE seq = ?1 AND status IN (0, 2, 6, 7))";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row([seq], |row| row.get(0))?)
}

/// Removes a delivery with its attempts. Returns the number of rows.
fn remove_delivery(connection: &Connection, id: [u8; 16]) -> Result<usize, StoreError> {
    let sql = "DELETE FROM attempt WHERE delivery = ?1";
    let attempts = connection.prepare_cached(sql)?.execute([id])?;
    let sql = "DELETE FROM withheld WHERE delivery = ?1";
    let periods = connection.prepare_cached(sql)?.execute([id])?;
    let sql = "DELETE FROM delivery WHERE id = ?1";
    Ok(attempts + periods + connection.prepare_cached(sql)?.execute([id])?)
}

/// Removes events without deliveries at consecutive positions. Returns how many.
fn remove_range(
    connection: &Connection,
    events: &[OldEvent],
    window_began: i64,
) -> Result<u64, StoreError> {
    let (Some(first), Some(last)) = (events.first(), events.last()) else {
        return Ok(0);
    };
    let newest = events.iter().map(|event| event.received).max();
    // Not one that came since: an archive of which all was removed counts from 1 again.
    connection.forget_position();
    let sql = "DELETE FROM archive WHERE seq BETWEEN ?1 AND ?2 AND +received <= ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let removed = statement.execute((first.seq, last.seq, newest))?;
    // After the events, whose pages they may need: the store may be as large as it may be.
    for event in events.iter().filter(|event| event.received > window_began) {
        if let Some(fingerprint) = &event.fingerprint {
            copies::keep(connection, fingerprint, event.seq, event.received)?;
        }
    }
    Ok(removed as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seq: i64) -> OldEvent {
        OldEvent {
            seq,
            received: 0,
            bytes: 0,
            fingerprint: None,
            is_damaged: false,
        }
    }

    #[test]
    fn steps_are_as_large_as_what_is_accepted_beside_them() {
        for (accepted, rows) in [(0, 256), (256, 256), (700, 700), (1_000_000, 2_000)] {
            let size = StepSize::beside(accepted);
            assert_eq!((size.rows, size.bytes), (rows, rows as u64 * ROW_BYTES));
        }
    }

    #[test]
    fn ranges_end_where_a_position_is_missing() {
        let events: Vec<_> = [1, 2, 3, 5, 6, 4].map(event).into();
        let lengths = |limit| {
            let (mut rest, mut lengths) = (&events[..], Vec::new());
            while !rest.is_empty() {
                let first = consecutive(rest, limit).len();
                lengths.push(first);
                rest = &rest[first..];
            }
            lengths
        };
        assert_eq!(lengths(9), [3, 2, 1]);
        assert_eq!(lengths(2), [2, 1, 2, 1]);
    }
}
