//! The attempts of deliveries, and the calls of targets with a rate limit.
//!
//! A delivery has at most [`MAX_ROWS`] rows. The first five attempts and the last four are kept as
//! they are; those between are folded into the sixth row, which has the number and the start of its
//! first attempt, how many it stands for, when the last of them started, and the duration, outcome
//! and answer of that one:
//!
//! ```text
//! attempts   1 2 3 4 5  6 7 8 … 172  173 174 175 176
//! rows       1 2 3 4 5  6 + 166      173 174 175 176
//! ```
//!
//! A receiver that is down for a day gets 177 attempts of each delivery: 399,446 rows were the end
//! of one evening. The first ones show how it began, the last ones how it is.

use jiff::{SignedDuration, Timestamp};
use reflexarc_delivery::{Delivery, DeliveryId};

use super::{instant, micros, senders};
use crate::database::Connection;
use crate::{Attempt, AttemptOutcome, FoldedAttempts, StoreError};

/// Rows of one delivery.
const MAX_ROWS: u32 = 10;
/// The number of the row into which others are folded.
const FOLDED: u32 = 6;
/// Rows after it.
const KEPT_LAST: u32 = MAX_ROWS - FOLDED;

/// Records an attempt.
pub(super) fn record(
    connection: &Connection,
    delivery: &Delivery,
    attempt: &AttemptOutcome,
) -> Result<(), StoreError> {
    let id = delivery.id.as_bytes();
    // The number counts over all series, while `delivery.attempt` starts again at 1 after a
    // redrive: a trace shows attempts 1 to 10, and the retry policy sees the first of a new series.
    if connection.is_shared() && delivery.attempt == 1 {
        // One statement, which is not waited for. The next attempt folds what this one may leave.
        let sql = "INSERT INTO attempt
                       (delivery, number, target, started, took, outcome, answer, digest)
                   VALUES (?1, (SELECT coalesce(max(number), 0) + 1 FROM attempt
                                WHERE delivery = ?1), ?2, ?3, ?4, ?5, ?6, ?7)";
        connection.prepare_cached(sql)?.run((
            id,
            &delivery.target,
            micros(attempt.started),
            duration_micros(attempt.took),
            attempt.outcome,
            &attempt.answer,
            delivery.digest.as_ref().map(DeliveryId::as_bytes),
        ))?;
        return Ok(());
    }
    // Two statements: a subquery and `RETURNING` in the insertion cost more.
    let sql = "SELECT coalesce(max(number), 0) + 1 FROM attempt WHERE delivery = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let number: u32 = statement.query_row([id], |row| row.get(0))?;
    let sql =
        "INSERT INTO attempt (delivery, number, target, started, took, outcome, answer, digest)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    connection.prepare_cached(sql)?.run((
        id,
        number,
        &delivery.target,
        micros(attempt.started),
        duration_micros(attempt.took),
        attempt.outcome,
        &attempt.answer,
        delivery.digest.as_ref().map(DeliveryId::as_bytes),
    ))?;
    if number > MAX_ROWS {
        fold(connection, delivery.id, number - KEPT_LAST)?;
    }
    Ok(())
}

/// Folds the rows after [`FOLDED`] up to number `last`: usually one, in a file of an earlier
/// version all that are there.
fn fold(connection: &Connection, id: DeliveryId, last: u32) -> Result<(), StoreError> {
    let sql = "UPDATE attempt SET
                   folded = ?3 - number,
                   (last, took, outcome, answer, digest) =
                       (SELECT started, took, outcome, answer, digest FROM attempt
                        WHERE delivery = ?1 AND number = ?3)
               WHERE delivery = ?1 AND number = ?2";
    let range = (id.as_bytes(), FOLDED, last);
    connection.prepare_cached(sql)?.run(range)?;
    let sql = "DELETE FROM attempt WHERE delivery = ?1 AND number > ?2 AND number <= ?3";
    connection.prepare_cached(sql)?.run(range)?;
    Ok(())
}

/// The attempts of one delivery, in order. Rows of an earlier version are folded here.
pub(super) fn of_delivery(
    connection: &Connection,
    id: DeliveryId,
) -> Result<Vec<Attempt>, StoreError> {
    let sql = "SELECT number, started, took, outcome, answer, folded, last, digest FROM attempt
               WHERE delivery = ?1 ORDER BY number";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([id.as_bytes()], |row| {
        let (later, last): (u32, Option<i64>) = (row.get(5)?, row.get(6)?);
        Ok(Attempt {
            number: row.get(0)?,
            started: instant(row.get(1)?),
            took: SignedDuration::from_micros(row.get(2)?),
            outcome: row.get(3)?,
            answer: row.get(4)?,
            digest: row.get::<_, Option<[u8; 16]>>(7)?.map(DeliveryId::from),
            folded: last.map(|last| FoldedAttempts {
                count: later + 1,
                last: instant(last),
            }),
        })
    })?;
    Ok(folded(rows.collect::<Result<_, _>>()?))
}

/// At most [`MAX_ROWS`] attempts, as [`record`] would have stored them.
fn folded(mut attempts: Vec<Attempt>) -> Vec<Attempt> {
    let (first, kept) = (FOLDED as usize - 1, KEPT_LAST as usize);
    if attempts.len() <= MAX_ROWS as usize {
        return attempts;
    }
    let middle: Vec<Attempt> = attempts.drain(first..attempts.len() - kept).collect();
    let last = middle.last().cloned();
    let merged = middle
        .into_iter()
        .zip(last)
        .next()
        .map(|(first, last)| Attempt {
            number: first.number,
            started: first.started,
            folded: Some(FoldedAttempts {
                count: last.number - first.number + 1,
                last: last.started,
            }),
            ..last
        });
    attempts.splice(first..first, merged);
    attempts
}

/// Records that a call of a rate-limited target begins, and forgets those that ended before
/// `since`. Fails if another node sends to the target.
pub(super) fn begin_call(
    connection: &Connection,
    target: &str,
    began: Timestamp,
    since: Timestamp,
) -> Result<(), StoreError> {
    if !senders::may_call(connection, target)? {
        return Err(StoreError::TakenOver {
            target: target.to_owned(),
        });
    }
    let sql = "DELETE FROM call WHERE target = ?1 AND began < ?2 AND coalesce(ended, began) < ?2";
    connection
        .prepare_cached(sql)?
        .run((target, micros(since)))?;
    // Two calls of one microsecond are impossible for a target that makes one after another, except
    // after the clock was set back; they count as one then.
    let sql = "INSERT INTO call (target, began) VALUES (?1, ?2)
               ON CONFLICT (target, began) DO UPDATE SET ended = NULL";
    connection
        .prepare_cached(sql)?
        .run((target, micros(began)))?;
    Ok(())
}

/// Records when a call ended.
pub(super) fn end_call(
    connection: &Connection,
    target: &str,
    began: Timestamp,
    ended: Timestamp,
) -> Result<(), StoreError> {
    let sql = "UPDATE call SET ended = ?3 WHERE target = ?1 AND began = ?2";
    connection
        .prepare_cached(sql)?
        .run((target, micros(began), micros(ended)))?;
    Ok(())
}

/// When the calls of `target` ended that did not end before `since`. A call without an end was
/// interrupted with its process, before `now`.
pub(super) fn recent_calls(
    connection: &Connection,
    target: &str,
    since: Timestamp,
    now: Timestamp,
) -> Result<Vec<Timestamp>, StoreError> {
    let sql = "UPDATE call SET ended = ?2 WHERE target = ?1 AND ended IS NULL";
    connection.prepare_cached(sql)?.run((target, micros(now)))?;
    let sql = "SELECT ended FROM call WHERE target = ?1 AND ended >= ?2 ORDER BY ended";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map((target, micros(since)), |row| row.get(0).map(instant))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn duration_micros(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
