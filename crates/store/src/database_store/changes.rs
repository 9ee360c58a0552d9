//! How many changes the calls of a target make, and whether one may have been sent.
//!
//! A call that changes something is recorded before it is sent. While that record is open, the call
//! may have been executed, whatever becomes of the process:
//!
//! ```text
//! reserved            open      counts
//! refused for now     closed    counts once, also when it is reserved again
//! answered            closed
//! no response, crash  open      the next reservation says so
//! ```
//!
//! # The clock
//!
//! Times here are those of the service's clock, and move with it when it is set (`shift`): so
//! neither a jump forwards nor one back makes changes older than they are. What lies in the future,
//! because the clock was set back while nothing ran, counts as of now until its time has passed:
//! the limit is reached earlier then, and never later. A clock that was set forwards while nothing
//! ran looks like time that has passed; but a target that was stopped stays so until it is resumed,
//! whatever the clock says.

use jiff::{SignedDuration, Timestamp};
use reflexarc_delivery::{ChangeLimit, DeliveryId};

use super::{calls, instant, micros};
use crate::database;
use crate::database::{Connection, Optional};
use crate::{ChangePeriod, ChangeReservation, ChangeStop, StoreError};

/// What version 8 added for changes.
pub(crate) const CHANGES: &str = "
CREATE TABLE change (                           -- of a day, and those that may have been sent
    id      BLOB PRIMARY KEY,                   -- of the delivery
    target  TEXT NOT NULL,
    at      INTEGER NOT NULL,                   -- when it was reserved at first
    open    INTEGER NOT NULL,                   -- 1: it may have been sent, outcome unknown
    counted INTEGER NOT NULL DEFAULT 1          -- 0: before the target was resumed
) WITHOUT ROWID;
CREATE INDEX change_counted ON change (target, at) WHERE counted = 1;
CREATE INDEX change_by_time ON change (at) WHERE open = 0;

CREATE TABLE change_stop (                      -- targets that make no changes until resumed
    target TEXT PRIMARY KEY,
    since  INTEGER NOT NULL,
    per    TEXT NOT NULL,                       -- 'minute' or 'day'
    most   INTEGER NOT NULL                     -- the limit that was reached
) WITHOUT ROWID;
";

/// Removes closed records that count no more.
pub(super) const FORGET_CHANGES: &str = "DELETE FROM change WHERE id IN
    (SELECT id FROM change WHERE open = 0 AND at <= ?1 LIMIT ?2)";

/// The number of changes of a target since a time, those in the future included.
pub(super) const COUNT: &str =
    "SELECT count(*) FROM change WHERE counted = 1 AND target = ?1 AND at > ?2";

/// Reserves a change that is about to be sent, and stops the target if it has made as many as it
/// may.
pub(super) fn reserve(
    connection: &Connection,
    target: &str,
    id: DeliveryId,
    limit: ChangeLimit,
    now: Timestamp,
) -> Result<ChangeReservation, StoreError> {
    // First of all, because then nothing may be sent, whatever the others say.
    if !calls::may_be_sent(connection, id)? {
        return Ok(ChangeReservation::Withdrawn);
    }
    let sql = "SELECT open FROM change WHERE id = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let open: Option<bool> = statement
        .query_row([id.as_bytes()], |row| row.get(0))
        .optional()?;
    // Before the limit: that it was not sent would be untrue.
    if open == Some(true) {
        return Ok(ChangeReservation::SentBefore);
    }
    // Also for one that has been counted, and was refused for now: a stopped target sends nothing
    // that changes something.
    if let Some(ChangeStop { per, .. }) = stop(connection, target)? {
        return Ok(ChangeReservation::LimitReached { per });
    }
    // Counted when it was reserved first: ten changes that are throttled twice each are ten.
    if open == Some(false) {
        let sql = "UPDATE change SET open = 1 WHERE id = ?1";
        connection.prepare_cached(sql)?.run([id.as_bytes()])?;
        return Ok(ChangeReservation::Reserved);
    }
    let limits = [
        (ChangePeriod::Minute, limit.per_minute),
        (ChangePeriod::Day, limit.per_day),
    ];
    for (per, most) in limits {
        // Without an upper end: what lies in the future counts too.
        let since = micros(now).saturating_sub(per.micros());
        let mut statement = connection.prepare_cached(COUNT)?;
        let count: i64 = statement.query_row((target, since), |row| row.get(0))?;
        if count >= i64::from(most) {
            // In the transaction that refuses: after a crash, the target is still stopped.
            let sql = "INSERT INTO change_stop (target, since, per, most) VALUES (?1, ?2, ?3, ?4)";
            let stopped = (target, micros(now), per.as_str(), most);
            connection.prepare_cached(sql)?.run(stopped)?;
            return Ok(ChangeReservation::LimitReached { per });
        }
    }
    let sql = "INSERT INTO change (id, target, at, open) VALUES (?1, ?2, ?3, 1)";
    let reserved = (id.as_bytes(), target, micros(now));
    connection.prepare_cached(sql)?.run(reserved)?;
    Ok(ChangeReservation::Reserved)
}

/// Records that the outcome of a change is known: it was answered, or was not executed and may be
/// reserved again.
pub(super) fn close(connection: &Connection, id: DeliveryId) -> Result<(), StoreError> {
    let sql = "UPDATE change SET open = 0 WHERE id = ?1";
    connection.prepare_cached(sql)?.run([id.as_bytes()])?;
    Ok(())
}

/// Whether a change may have been sent, with an outcome that is not known.
pub(super) fn may_have_been_sent(
    connection: &Connection,
    id: DeliveryId,
) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM change WHERE id = ?1 AND open = 1)";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row([id.as_bytes()], |row| row.get(0))?)
}

/// The message of the answer to such a change, in place of one that says it was not sent.
pub(super) fn unknown_message(summary: &str) -> String {
    format!("an attempt has no known outcome; {summary}")
}

/// Lets a target make changes again. Those it has made count no more: else the next one would stop
/// it at once. Returns whether it was stopped.
pub(super) fn resume(connection: &Connection, target: &str) -> Result<bool, StoreError> {
    let sql = "DELETE FROM change_stop WHERE target = ?1";
    if connection.prepare_cached(sql)?.execute([target])? == 0 {
        return Ok(false);
    }
    // Not deleted: those that are open may have been sent.
    let sql = "UPDATE change SET counted = 0 WHERE counted = 1 AND target = ?1";
    connection.prepare_cached(sql)?.run([target])?;
    Ok(true)
}

/// The targets that make no changes until they are resumed, by name.
pub(super) fn stops(connection: &Connection) -> Result<Vec<(String, ChangeStop)>, StoreError> {
    let sql = "SELECT since, per, most, target FROM change_stop ORDER BY target";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map((), |row| Ok((row.get(3)?, read_stop(row)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn stop(connection: &Connection, target: &str) -> Result<Option<ChangeStop>, StoreError> {
    let sql = "SELECT since, per, most FROM change_stop WHERE target = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row([target], read_stop).optional()?)
}

fn read_stop(row: &database::Row<'_>) -> database::Result<ChangeStop> {
    let per: String = row.get(1)?;
    Ok(ChangeStop {
        since: instant(row.get(0)?),
        // Whatever else a damaged row has: the target is stopped.
        per: if per == ChangePeriod::Minute.as_str() {
            ChangePeriod::Minute
        } else {
            ChangePeriod::Day
        },
        limit: row.get(2)?,
    })
}

/// Moves the times of changes by `offset`, because the clock was set by as much.
pub(super) fn shift(connection: &Connection, offset: SignedDuration) -> Result<(), StoreError> {
    let offset = i64::try_from(offset.as_micros()).unwrap_or(i64::MAX);
    connection.prepare_cached(SHIFT)?.run([offset])?;
    Ok(())
}

/// The statement of [`shift`].
pub(super) const SHIFT: &str = "UPDATE change SET at = at + ?1";
