//! The order of the deliveries to one target that have the same key.
//!
//! The key is a hash of the rule and of the key of its event or match, where the rule has `by`,
//! else of the event's resource; without either there is no key and no order. Of the deliveries of
//! one key, in the order in which they were committed, each waits for the one before it (its
//! predecessor among those that are pending):
//!
//! | predecessor | the delivery is |
//! |---|---|
//! | none is left | claimable (`head = 1`), from its own retry on or at once |
//! | has never failed | not claimable (`head = 0`), however long that takes |
//! | failed first at `t` | claimable from `t` + `order_wait` on |
//!
//! So a failing delivery holds up the next one for at most `order_wait`, while a pause, an open
//! circuit breaker or a long queue do not make anything overtake.
//!
//! `head` is stored, and changes with what precedes the delivery: at its insertion, when its
//! predecessor ends, and when that fails for the first time. The index of claims has only heads:
//! 100,000 deliveries of one key behind one that fails cost a claim nothing.
//!
//! ```text
//! accepted     A head   B   C
//! A fails      A retry at 00:01   B head, due at 01:00   C
//! A delivered                     B head, due now        C
//! ```

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::{delays, micros};
use crate::StoreError;
use crate::database;
use crate::database::{Connection, Optional, Row};

/// How long a failing delivery holds up the next one of its key, unless the target says otherwise;
/// in microseconds.
pub(crate) const DEFAULT_WAIT: i64 = 60_000_000;

/// Deliveries that lose their order in one transaction when it is switched off.
const STEP: usize = 1_000;

/// Where a delivery stands in the order of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) key: i64,
    /// Archive position of the event, number of the action in its evaluation, id. The last one
    /// decides only where a file of an earlier version has no numbers.
    pub(super) rank: (i64, i64, [u8; 16]),
}

/// A delivery whose predecessor has changed.
struct Waiting {
    id: [u8; 16],
    since: i64,
    due: i64,
    retry: Option<i64>,
    head: bool,
    claimed: bool,
    /// `order_wait` of its target.
    wait: i64,
    before: Predecessor,
}

impl Waiting {
    /// When it is due apart from its order: it keeps the age that it had before it waited.
    fn not_before(&self, now: i64) -> i64 {
        // Not later than now: the clock may have been set back since.
        self.retry.unwrap_or(self.since.min(now))
    }
}

/// The pending delivery before another one of its key.
#[derive(Debug, Clone, Copy)]
enum Predecessor {
    /// There is none.
    None,
    /// It has not failed.
    Waits,
    /// It failed first at this time.
    Failed(i64),
}

/// How a delivery enters the outbox.
pub(super) struct Entry {
    pub(super) key: Option<i64>,
    pub(super) head: bool,
    pub(super) due: i64,
    /// From when on it has an age.
    pub(super) since: i64,
    /// How much later it is due, in microseconds.
    pub(super) delay: Option<i64>,
}

impl Entry {
    /// Due at once, without an order.
    pub(super) fn unordered(now: Timestamp) -> Self {
        Self {
            key: None,
            head: true,
            due: micros(now),
            since: micros(now),
            delay: None,
        }
    }

    /// Due later, without an order: what comes meanwhile does not wait for it.
    pub(super) fn delayed(after: SignedDuration, now: Timestamp) -> Self {
        let delay = delays::delay_micros(after);
        let due = micros(now).saturating_add(delay);
        Self {
            due,
            since: due,
            delay: Some(delay),
            ..Self::unordered(now)
        }
    }
}

/// The time at which a delivery has failed that has not: before all times.
const NEVER: i64 = -4_611_686_018_427_387_904;

/// The columns of a [`Waiting`] delivery.
const WAITING: &str = "id, since, due, retry, head, claimed";

/// `order_wait` of a target, and when the last pending delivery of a key failed first: NULL if
/// there is none, [`NEVER`] if it has not failed.
pub(super) const LAST: &str = "SELECT
    (SELECT order_wait FROM target WHERE name = ?1),
    (SELECT coalesce(failed, -4611686018427387904) FROM delivery
     WHERE status = 0 AND target = ?1 AND order_key = ?2
     ORDER BY seq DESC, number DESC, id DESC LIMIT 1)";
/// The pending deliveries that have failed.
pub(super) const FAILED: &str = "SELECT target, order_key, seq, number, id FROM delivery
    WHERE status = 0 AND failed IS NOT NULL AND order_key IS NOT NULL
          AND (CAST(?1 AS TEXT) IS NULL OR target = ?1)";

/// The pending delivery after a rank. The one before it is at that rank, or before that.
// One statement, as it runs for each settlement; the subqueries run only if there is a row.
pub(super) fn next() -> String {
    format!(
        "SELECT {WAITING},
             (SELECT order_wait FROM target WHERE name = ?1),
             (SELECT coalesce(failed, -4611686018427387904) FROM delivery
              WHERE status = 0 AND target = ?1 AND order_key = ?2
                    AND (seq, number, id) <= (?3, ?4, ?5)
              ORDER BY seq DESC, number DESC, id DESC LIMIT 1)
         FROM delivery
         WHERE status = 0 AND target = ?1 AND order_key = ?2 AND (seq, number, id) > (?3, ?4, ?5)
         ORDER BY seq, number, id LIMIT 1"
    )
}

/// The pending delivery at a rank.
pub(super) fn one() -> String {
    format!(
        "SELECT {WAITING},
             (SELECT order_wait FROM target WHERE name = ?1),
             (SELECT coalesce(failed, -4611686018427387904) FROM delivery
              WHERE status = 0 AND target = ?1 AND order_key = ?2
                    AND (seq, number, id) < (?3, ?4, ?5)
              ORDER BY seq DESC, number DESC, id DESC LIMIT 1)
         FROM delivery WHERE id = ?5 AND status = 0"
    )
}

/// The order key of a rule and the key of its event or match; without one, of the event's resource.
/// A collision only makes a delivery wait that need not.
pub(super) fn key(rule: &str, scope: Option<&str>, resource: &str) -> Option<i64> {
    let Some(scope) = scope else {
        return resource_key(resource);
    };
    let mut hash = Sha256::new();
    // The length keeps the two apart, and no resource begins with a zero byte.
    hash.update((rule.len() as u64).to_be_bytes());
    hash.update(rule);
    hash.update(scope);
    first_bytes(&hash.finalize())
}

/// The order key of a resource.
pub(crate) fn resource_key(resource: &str) -> Option<i64> {
    first_bytes(&Sha256::digest(resource)).filter(|_| !resource.is_empty())
}

/// How a new delivery, which is the last of its key, enters the outbox.
pub(super) fn entry(
    connection: &Connection,
    target: &str,
    key: Option<i64>,
    now: Timestamp,
) -> Result<Entry, StoreError> {
    let Some(key) = key else {
        return Ok(Entry::unordered(now));
    };
    let (wait, before) = connection
        .prepare_cached(LAST)?
        .query_row((target, key), |row| {
            Ok((read_wait(row, 0)?, read_before(row, 1)?))
        })?;
    if wait == 0 {
        return Ok(Entry::unordered(now));
    }
    let now = micros(now);
    let from = claimable_from(before, wait, now);
    Ok(Entry {
        key: Some(key),
        head: from.is_some(),
        due: from.map_or(now, |from| from.max(now)),
        since: now,
        delay: None,
    })
}

/// From when on the order of a delivery lets it be claimed, given its predecessor. `None`: not
/// before that has failed or ended.
fn claimable_from(before: Predecessor, wait: i64, now: i64) -> Option<i64> {
    match before {
        Predecessor::None => Some(i64::MIN),
        Predecessor::Waits => None,
        // Not later than now: the clock may have been set back since.
        Predecessor::Failed(at) => Some(at.min(now).saturating_add(wait)),
    }
}

/// Updates the delivery after `place`, whose predecessor has ended or failed. Returns whether that
/// delivery may be claimed now.
pub(super) fn update_next(
    connection: &Connection,
    target: &str,
    place: Place,
    now: Timestamp,
) -> Result<bool, StoreError> {
    update(connection, &next(), target, place, now)
}

/// Updates one delivery that is pending and has a key.
pub(super) fn update_one(
    connection: &Connection,
    target: &str,
    place: Place,
    now: Timestamp,
) -> Result<bool, StoreError> {
    update(connection, &one(), target, place, now)
}

/// Brings `head` and `due` of the delivery that the query finds up to date with the one before it.
/// Returns whether it may be claimed now.
fn update(
    connection: &Connection,
    sql: &str,
    target: &str,
    place: Place,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let (seq, number, id) = place.rank;
    let found = connection
        .prepare_cached(sql)?
        .query_row((target, place.key, seq, number, id), read_waiting)
        .optional()?;
    let now = micros(now);
    // Its queue has a claimed one, and decides: it is updated when it is released or settled.
    let Some(delivery) = found.filter(|delivery| !delivery.claimed) else {
        return Ok(false);
    };
    let from = claimable_from(delivery.before, delivery.wait, now);
    let head = from.is_some();
    let due = from.map_or(delivery.due, |from| from.max(delivery.not_before(now)));
    if delivery.head != head || delivery.due != due {
        let sql = "UPDATE delivery SET head = ?2, due = ?3, set_at = ?4 WHERE id = ?1";
        connection
            .prepare_cached(sql)?
            .run((delivery.id, head, due, now))?;
    }
    Ok(head && due <= now)
}

/// Updates all deliveries that wait for one that has failed, of one target or of all.
pub(super) fn update_behind_failed(
    connection: &Connection,
    target: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let failed = connection
        .prepare_cached(FAILED)?
        .query_map([target], |row| {
            let target: String = row.get(0)?;
            Ok((target, read_place(row, 1)?))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    for (target, place) in failed {
        if let Some(place) = place {
            update_next(connection, &target, place, now)?;
        }
    }
    Ok(())
}

/// Sets how long a failing delivery of this target holds up the next one; zero switches the order
/// off, also of what is pending. Returns whether there is more to do in another transaction.
pub(super) fn set_wait(
    connection: &Connection,
    target: &str,
    wait_for: SignedDuration,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let wait_for = i64::try_from(wait_for.as_micros())
        .unwrap_or(i64::MAX)
        .max(0);
    let sql = "SELECT order_wait FROM target WHERE name = ?1";
    let wait = connection
        .prepare_cached(sql)?
        .query_row([target], |row| read_wait(row, 0))
        .optional()?;
    if wait.unwrap_or(DEFAULT_WAIT) == wait_for {
        return Ok(false);
    }
    if wait_for == 0 {
        // In steps, as a target that is down may have a long queue, and others wait for the writer.
        let sql = "UPDATE delivery
                   SET order_key = NULL, head = 1,
                       due = CASE claimed WHEN 0 THEN max(coalesce(retry, ?2), min(due, ?2))
                                  ELSE due END
                   WHERE id IN (SELECT id FROM delivery
                                WHERE status = 0 AND target = ?1 AND order_key IS NOT NULL
                                LIMIT ?3)";
        let limit = i64::try_from(STEP).unwrap_or(i64::MAX);
        let changed = connection
            .prepare_cached(sql)?
            .execute((target, micros(now), limit))?;
        if changed == STEP {
            return Ok(true);
        }
    }
    // Last, so that an interrupted change is repeated.
    let sql = "INSERT INTO target (name, order_wait) VALUES (?1, ?2)
               ON CONFLICT (name) DO UPDATE SET order_wait = ?2";
    connection.prepare_cached(sql)?.run((target, wait_for))?;
    if wait_for > 0 {
        update_behind_failed(connection, Some(target), now)?;
    }
    Ok(false)
}

/// The place in the columns `order_key, seq, number, id` from this one on; `None` without a key.
pub(super) fn read_place(row: &Row<'_>, first: usize) -> database::Result<Option<Place>> {
    let key: Option<i64> = row.get(first)?;
    let Some(key) = key else { return Ok(None) };
    let rank = (
        row.get(first + 1)?,
        row.get(first + 2)?,
        row.get(first + 3)?,
    );
    Ok(Some(Place { key, rank }))
}

fn read_waiting(row: &Row<'_>) -> database::Result<Waiting> {
    Ok(Waiting {
        id: row.get(0)?,
        since: row.get(1)?,
        due: row.get(2)?,
        retry: row.get(3)?,
        head: row.get(4)?,
        claimed: row.get(5)?,
        wait: read_wait(row, 6)?,
        before: read_before(row, 7)?,
    })
}

fn read_wait(row: &Row<'_>, column: usize) -> database::Result<i64> {
    let wait: Option<i64> = row.get(column)?;
    Ok(wait.unwrap_or(DEFAULT_WAIT))
}

/// The delivery before, as in [`LAST`].
fn read_before(row: &Row<'_>, column: usize) -> database::Result<Predecessor> {
    Ok(match row.get(column)? {
        None => Predecessor::None,
        Some(NEVER) => Predecessor::Waits,
        Some(failed) => Predecessor::Failed(failed),
    })
}

fn first_bytes(digest: &[u8]) -> Option<i64> {
    digest.first_chunk::<8>().copied().map(i64::from_be_bytes)
}
