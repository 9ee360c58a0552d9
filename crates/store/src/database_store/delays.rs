//! Delayed deliveries, and those that have a name under which a later evaluation finds them.
//!
//! A delayed delivery is due later and has no order: what comes meanwhile goes first.
//!
//! ```text
//! accepted at 12:00:00, after 15m    due = since = 12:15:00   delay = 15m   head = 1
//! cancelled by an event at 12:10:00  status = 3, and no attempt was made
//! ```
//!
//! A name belongs to a rule and to the key of its event or match, the scope. At most one delivery
//! of a name is pending, except where one was redriven or replayed.

use jiff::{SignedDuration, Timestamp};
use reflexarc_delivery::DeliveryId;
use reflexarc_reaction::OwnCode;

use super::{calls, micros, outbox, withheld};
use crate::database::{Connection, Row};
use crate::{DeliveryStatus, StoreError};

/// Under which name deliveries wait.
#[derive(Clone, Copy)]
pub(super) struct Name<'a> {
    pub(super) rule: &'a str,
    /// The key of the event or match, as JSON.
    pub(super) scope: Option<&'a str>,
    pub(super) key: &'a str,
}

/// Which of the deliveries of a name an evaluation cancels.
#[derive(Clone, Copy)]
pub(super) enum Reach<'a> {
    /// All: also what a replay has put there.
    All,
    /// Those of the same replay before this archive position and number.
    Replay { name: &'a str, before: (i64, i64) },
}

/// A delivery that was cancelled while an attempt may be in progress.
pub(super) struct InProgress {
    pub(super) id: DeliveryId,
    pub(super) target: String,
}

/// Those that wait under a name. With `IS`, as the scope may be NULL; the condition on `delay_key`
/// is written out, as the partial index needs it.
pub(super) const NAMED: &str = "SELECT id, target, claimed <> 0 AND due > ?4,
        EXISTS (SELECT 1 FROM waiting_call AS c WHERE c.id = delivery.id) FROM delivery
    WHERE status = 0 AND delay_key IS NOT NULL
          AND rule = ?1 AND scope IS ?2 AND delay_key = ?3
          AND (CAST(?5 AS TEXT) IS NULL OR replay = ?5 AND (seq, number) < (?6, ?7))
    ORDER BY id";

/// Cancels what waits under a name. Returns what cannot be stopped: it is not tried again.
pub(super) fn cancel(
    connection: &Connection,
    name: Name<'_>,
    reach: Reach<'_>,
    reason: &str,
    now: Timestamp,
) -> Result<Vec<InProgress>, StoreError> {
    let (replay, seq, number) = match reach {
        Reach::All => (None, 0, 0),
        Reach::Replay { name, before } => (Some(name), before.0, before.1),
    };
    let mut statement = connection.prepare_cached(NAMED)?;
    let parameters = (
        name.rule,
        name.scope,
        name.key,
        micros(now),
        replay,
        seq,
        number,
    );
    let read = |row: &Row<'_>| {
        let id = DeliveryId::from(row.get::<_, [u8; 16]>(0)?);
        let (is_claimed, is_call) = (row.get::<_, bool>(2)?, row.get::<_, bool>(3)?);
        Ok((id, row.get::<_, String>(1)?, is_claimed, is_call))
    };
    let named = statement.query_map(parameters, read)?;
    // Collected before anything is changed: SQLite does not define what a SELECT returns else.
    let named = named.collect::<Result<Vec<_>, _>>()?;
    let mut in_progress = Vec::new();
    for (id, target, is_claimed, is_call) in named {
        if is_call {
            // It is not cancelled in silence: its answer says so.
            calls::withdraw(connection, id, OwnCode::Cancelled, reason, now)?;
        } else {
            let (from, to) = (DeliveryStatus::Pending, DeliveryStatus::Cancelled);
            outbox::transfer(connection, id, from, to, Some(reason), now)?;
        }
        // An expired claim is of an attempt that has ended long ago.
        if is_claimed {
            in_progress.push(InProgress { id, target });
        }
    }
    let mut statement = connection.prepare_cached(withheld::NAMED)?;
    let parameters = (name.rule, name.scope, name.key, replay, seq, number);
    let named = statement.query_map(parameters, |row| row.get::<_, [u8; 16]>(0))?;
    for id in named.collect::<Result<Vec<_>, _>>()? {
        withheld::cancel(connection, DeliveryId::from(id), reason, now)?;
    }
    Ok(in_progress)
}

/// Moves what waits for its delay to end by `offset`, because the clock was set by as much. Returns
/// how many there were.
pub(super) fn shift(connection: &Connection, offset: SignedDuration) -> Result<u64, StoreError> {
    let offset = i64::try_from(offset.as_micros()).unwrap_or(i64::MAX);
    let shifted = connection.prepare_cached(SHIFT)?.execute([offset])?;
    Ok(shifted as u64)
}

/// The statement of [`shift`]. A delivery that has been attempted waits for a retry, and not for
/// its delay.
pub(super) const SHIFT: &str = "UPDATE delivery
    SET due = due + ?1, since = since + ?1, set_at = set_at + ?1
    WHERE status = 0 AND delay IS NOT NULL AND claimed = 0 AND since = due AND attempt = 1";

/// A delay in microseconds, which is what is stored, and not less than it is.
pub(super) fn delay_micros(after: SignedDuration) -> i64 {
    let nanos = after.as_nanos().max(0);
    let micros = nanos / 1_000 + i128::from(nanos % 1_000 > 0);
    i64::try_from(micros).unwrap_or(i64::MAX)
}
