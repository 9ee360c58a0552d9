//! Calls that wait for their answer.
//!
//! A call is a delivery, which is claimed, attempted and attempted again like every other. What
//! only a call has is in a row of `waiting_call`, from when it is put into the outbox until it is
//! answered: the event and the hop, with which the answer goes back to the rule, and when it was
//! due at first, from which its expiry counts. Removing that row is answering the call, so that it
//! happens once, whatever comes first.
//!
//! ```text
//! accepted            delivery pending      waiting_call
//! answered            delivery answered     -              status 5, final
//!
//! accepted            delivery pending      waiting_call
//! cancelled           delivery withdrawn    with a code    status 6, not attempted again
//! answer processed    delivery answered     -
//! ```
//!
//! An attempt that is in progress cannot be stopped, and may change something at its receiver. So a
//! call that is claimed only gets the code: if the attempt ends with an answer, that is the answer;
//! if it does not, the call is withdrawn then.

use jiff::{SignedDuration, Timestamp};
use reflexarc_delivery::{Decision, DeliveryId};
use reflexarc_event::Event;
use reflexarc_reaction::OwnCode;

use super::compression::pack;
use super::{changes, micros, outbox, withdrawn};
use crate::database;
use crate::database::{Connection, Optional};
use crate::{DeliveryStatus, StoreError, WithdrawnCall};

/// What version 8 added for calls.
// A table of its own, not columns of `delivery`: nothing of a store without calls becomes larger or
// slower, and an upgrade writes no row. The indexes:
//   waiting_call_due        what expires, of one target
//   waiting_call_rule       what waits for the rules that are gone
//   waiting_call_ending     those that get their code's answer unless an attempt gives one
//   waiting_call_withdrawn  whose answers are processed next, in order
pub(crate) const CALLS: &str = "
CREATE TABLE waiting_call (                     -- calls without an answer
    id        BLOB PRIMARY KEY,                 -- of the delivery
    target    TEXT NOT NULL,
    rule      TEXT NOT NULL,
    due       INTEGER NOT NULL,                 -- when it was due at first
    hop       INTEGER NOT NULL,
    size      INTEGER NOT NULL,                 -- bytes of the event before compression
    event     BLOB,                             -- in native form, zstd with checksum; NULL: none
    code      TEXT,                             -- see `OwnCode`; NULL: it is not to be withdrawn
    reason    TEXT,
    withdrawn INTEGER                           -- in which order; NULL: an attempt is in progress
) WITHOUT ROWID;
CREATE INDEX waiting_call_due ON waiting_call (target, due) WHERE code IS NULL;
CREATE INDEX waiting_call_rule ON waiting_call (rule) WHERE code IS NULL;
CREATE INDEX waiting_call_ending ON waiting_call (target)
    WHERE code IS NOT NULL AND withdrawn IS NULL;
CREATE INDEX waiting_call_withdrawn ON waiting_call (withdrawn) WHERE withdrawn IS NOT NULL;
";

/// Calls that one transaction lets expire. Accepting events waits for it.
pub(super) const EXPIRE_STEP: usize = 1_000;

/// An event in native form, as it is stored with each of the calls that it led to.
pub(super) struct PackedEvent {
    /// Before compression.
    size: usize,
    bytes: Vec<u8>,
}

impl PackedEvent {
    pub(super) fn new(event: &Event) -> Result<Self, StoreError> {
        Ok(Self {
            size: event.bytes().len(),
            bytes: pack(event.bytes())?,
        })
    }
}

/// A call that is put into the outbox.
pub(super) struct NewCall<'a> {
    pub(super) id: DeliveryId,
    pub(super) rule: &'a str,
    pub(super) target: &'a str,
    pub(super) hop: usize,
    /// The event that its rule saw, in native form.
    pub(super) event: Option<&'a PackedEvent>,
    /// In microseconds.
    pub(super) due: i64,
}

/// What became of a call that was to be withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Withdrawal {
    /// It is.
    Withdrawn,
    /// It will be, unless the attempt in progress gets an answer.
    InProgress,
    /// It was withdrawn before.
    Before,
}

impl Withdrawal {
    /// Whether it was waiting, and not to be withdrawn before.
    pub(super) fn is_new(self) -> bool {
        self != Self::Before
    }
}

/// Keeps what the answer to a new call needs.
pub(super) fn add(connection: &Connection, call: &NewCall<'_>) -> Result<(), StoreError> {
    let sql = "INSERT INTO waiting_call (id, target, rule, due, hop, size, event)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    connection.prepare_cached(sql)?.run((
        call.id.as_bytes(),
        call.target,
        call.rule,
        call.due,
        i64::try_from(call.hop).unwrap_or(i64::MAX),
        i64::try_from(call.event.map_or(0, |event| event.size)).unwrap_or(i64::MAX),
        call.event.map(|event| &event.bytes),
    ))?;
    Ok(())
}

/// Withdraws a call, or lets it be withdrawn after the attempt that is in progress. `None` if there
/// is no call of this id without an answer.
pub(super) fn withdraw(
    connection: &Connection,
    id: DeliveryId,
    code: OwnCode,
    reason: &str,
    now: Timestamp,
) -> Result<Option<Withdrawal>, StoreError> {
    // An expired claim is of an attempt that has ended long ago.
    let sql = "SELECT c.code IS NOT NULL, d.claimed <> 0 AND d.due > ?2
               FROM waiting_call AS c JOIN delivery AS d ON d.id = c.id WHERE c.id = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_row((id.as_bytes(), micros(now)), |row| {
        Ok((row.get::<_, bool>(0)?, row.get::<_, bool>(1)?))
    });
    let Some((has_code, is_claimed)) = found.optional()? else {
        return Ok(None);
    };
    if has_code {
        return Ok(Some(Withdrawal::Before));
    }
    // The first one stays: a call that was cancelled by a rule and is then cancelled by an operator
    // was cancelled by the rule.
    let sql = "UPDATE waiting_call SET code = ?2, reason = ?3 WHERE id = ?1";
    let parameters = (id.as_bytes(), code.as_str(), reason);
    connection.prepare_cached(sql)?.run(parameters)?;
    if is_claimed {
        return Ok(Some(Withdrawal::InProgress));
    }
    end(connection, id, now)?;
    Ok(Some(Withdrawal::Withdrawn))
}

/// The outcome of an attempt that may have been executed.
const UNKNOWN: &str = "unknown";

/// An attempt is to be repeated: what had a code is withdrawn instead, and a change that was
/// certainly not executed is reserved anew.
pub(super) fn settle_retry(
    connection: &Connection,
    id: DeliveryId,
    outcome: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    // A refusal for now, or a connection that was never made: nothing was executed. Without a
    // response, the reservation stays open, and says so to whatever looks next.
    if outcome != UNKNOWN {
        changes::close(connection, id)?;
    }
    withdraw_released(connection, now)
}

/// Ends a call that something else than a queue of calls has settled as if it was a message: it has
/// an answer nevertheless. Returns whether that was done.
pub(super) fn settle_without_answer(
    connection: &Connection,
    id: DeliveryId,
    decision: &Decision,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let (code, reason) = match decision {
        Decision::RetryAt(_) | Decision::NextPart => return Ok(false),
        Decision::DeadLetter { reason, .. } => (OwnCode::Undelivered, reason.as_str()),
        Decision::Delivered => (OwnCode::OutcomeUnknown, "it was sent as a message"),
    };
    // Not claimed any more, so that it is withdrawn at once. That there is a row is checked by the
    // same statement: without one it was answered, or is damaged, and is settled as a message.
    let sql = "UPDATE delivery SET claimed = 0, attempt = attempt + 1
               WHERE id = ?1 AND status = 0 AND claimed IN (0, ?2)
                     AND id IN (SELECT id FROM waiting_call)";
    let parameters = (id.as_bytes(), connection.node());
    if connection.prepare_cached(sql)?.execute(parameters)? == 0 {
        return Ok(false);
    }
    withdraw(connection, id, code, reason, now)?;
    // It had a code before.
    withdraw_released(connection, now)?;
    Ok(true)
}

/// Removes what is kept of a call that has become a dead letter.
pub(super) fn forget(connection: &Connection, id: DeliveryId) -> Result<(), StoreError> {
    let sql = "DELETE FROM waiting_call WHERE id = ?1";
    connection.prepare_cached(sql)?.run([id.as_bytes()])?;
    changes::close(connection, id)
}

/// Withdraws the calls that have a code, and whose attempt has ended without an answer.
pub(super) fn withdraw_released(connection: &Connection, now: Timestamp) -> Result<(), StoreError> {
    let ended = ids(connection, RELEASED, [micros(now)])?;
    for id in ended {
        end(connection, id, now)?;
    }
    Ok(())
}

/// The calls of [`withdraw_released`]: a handful of those that are being sent.
pub(super) const RELEASED: &str = "SELECT c.id
    FROM waiting_call AS c INDEXED BY waiting_call_ending JOIN delivery AS d ON d.id = c.id
    WHERE c.code IS NOT NULL AND c.withdrawn IS NULL AND (d.claimed = 0 OR d.due <= ?1)
    ORDER BY c.target, c.id";

/// Withdraws a call that has a code and is not being sent: its answer is processed next.
fn end(connection: &Connection, id: DeliveryId, now: Timestamp) -> Result<(), StoreError> {
    let sql = "SELECT code, reason FROM waiting_call WHERE id = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let (mut code, mut reason) = statement.query_row([id.as_bytes()], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    })?;
    // That it was not sent would be untrue then.
    if changes::may_have_been_sent(connection, id)? {
        reason = changes::unknown_message(&format!("{code}: {reason}"));
        OwnCode::OutcomeUnknown.as_str().clone_into(&mut code);
    }
    // Numbers in the order of withdrawals, not times, of which many are equal. They begin again
    // when all have been answered.
    let sql = "UPDATE waiting_call SET code = ?2, reason = ?3, withdrawn =
                   (SELECT coalesce(max(withdrawn), 0) + 1 FROM waiting_call
                    WHERE withdrawn IS NOT NULL)
               WHERE id = ?1";
    let withdrawn = (id.as_bytes(), &code, &reason);
    connection.prepare_cached(sql)?.run(withdrawn)?;
    // It leaves the outbox now, not when its answer is processed: the next one of its key goes.
    let reason = format!("{code}: {reason}");
    let (from, to) = (DeliveryStatus::Pending, DeliveryStatus::Withdrawn);
    outbox::transfer(connection, id, from, to, Some(&reason), now)?;
    withdrawn::record();
    Ok(())
}

/// Whether a call waits for an answer and was not cancelled since it was claimed.
pub(super) fn may_be_sent(connection: &Connection, id: DeliveryId) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM waiting_call WHERE id = ?1 AND code IS NULL)";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row([id.as_bytes()], |row| row.get(0))?)
}

/// Lets the calls of a target expire that were due before `due_before`, at most [`EXPIRE_STEP`].
/// Those that are being sent are left alone. Returns how many expired.
pub(super) fn expire(
    connection: &Connection,
    target: &str,
    due_before: Timestamp,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let limit = i64::try_from(EXPIRE_STEP).unwrap_or(i64::MAX);
    let parameters = (target, micros(due_before), micros(now), limit);
    let mut statement = connection.prepare_cached(EXPIRED)?;
    let expired = statement.query_map(parameters, |row| {
        let id = DeliveryId::from(row.get::<_, [u8; 16]>(0)?);
        Ok((id, row.get::<_, Option<String>>(1)?))
    })?;
    // Collected, because each changes the index that is read.
    let expired = expired.collect::<Result<Vec<_>, _>>()?;
    for (id, last) in &expired {
        let reason = match last {
            Some(last) => format!("it could not be sent in time; the last attempt: {last}"),
            None => "it was not sent in time".to_owned(),
        };
        withdraw(connection, *id, OwnCode::Expired, &reason, now)?;
    }
    Ok(expired.len())
}

/// The calls of [`expire`], each with the answer to its last attempt.
pub(super) const EXPIRED: &str = "SELECT c.id,
        (SELECT answer FROM attempt WHERE delivery = c.id ORDER BY number DESC LIMIT 1)
    FROM waiting_call AS c INDEXED BY waiting_call_due JOIN delivery AS d ON d.id = c.id
    WHERE c.code IS NULL AND c.target = ?1 AND c.due < ?2 AND (d.claimed = 0 OR d.due <= ?3)
    ORDER BY c.due, c.id LIMIT ?4";

/// Withdraws the calls of all rules but these. Returns how many.
pub(super) fn withdraw_of_other_rules(
    connection: &Connection,
    live: &[String],
    now: Timestamp,
) -> Result<usize, StoreError> {
    // From rule to rule by the index: that reads a row for each live rule, however much waits for
    // it.
    let (mut withdrawn, mut rule) = (0, next_rule(connection, "")?);
    while let Some(name) = rule {
        if !live.contains(&name) {
            let of_rule = ids(connection, OF_RULE, [&name])?;
            let reason = format!("rule {name} was removed or disabled");
            for id in &of_rule {
                withdraw(connection, *id, OwnCode::RuleGone, &reason, now)?;
            }
            withdrawn += of_rule.len();
        }
        rule = next_rule(connection, &name)?;
    }
    Ok(withdrawn)
}

/// The next rule, by name, that has calls without a code.
fn next_rule(connection: &Connection, after: &str) -> Result<Option<String>, StoreError> {
    let mut statement = connection.prepare_cached(NEXT_RULE)?;
    Ok(statement.query_row([after], |row| row.get(0))?)
}

/// The query of [`next_rule`].
pub(super) const NEXT_RULE: &str = "SELECT min(rule) FROM waiting_call
    INDEXED BY waiting_call_rule WHERE code IS NULL AND rule > ?1";
/// The calls of a rule.
pub(super) const OF_RULE: &str = "SELECT id FROM waiting_call INDEXED BY waiting_call_rule
    WHERE code IS NULL AND rule = ?1 ORDER BY id";
/// The calls of a target.
pub(super) const OF_TARGET: &str = "SELECT id FROM waiting_call INDEXED BY waiting_call_due
    WHERE code IS NULL AND target = ?1 ORDER BY due, id";

/// Withdraws the calls of a target that does not exist.
pub(super) fn withdraw_of_target(
    connection: &Connection,
    target: &str,
    reason: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    for id in ids(connection, OF_TARGET, [target])? {
        withdraw(connection, id, OwnCode::Undelivered, reason, now)?;
    }
    // No queue looks at those whose claims have expired.
    withdraw_released(connection, now)
}

/// The calls whose answers are processed next, in the order in which they were withdrawn.
pub(super) fn list_withdrawn(
    connection: &Connection,
    limit: usize,
) -> Result<Vec<WithdrawnCall>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(WITHDRAWN)?;
    let rows = statement.query_map([limit], |row| {
        let (text, reason): (String, String) = (row.get(1)?, row.get(2)?);
        let code = OwnCode::ALL.into_iter().find(|code| code.as_str() == text);
        Ok(WithdrawnCall {
            id: DeliveryId::from(row.get::<_, [u8; 16]>(0)?),
            rule: row.get(3)?,
            // A row that is damaged: its answer must not be missing for that.
            reason: match code {
                Some(_) => reason,
                None => format!("unknown code {text}: {reason}"),
            },
            code: code.unwrap_or(OwnCode::OutcomeUnknown),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The query of [`list_withdrawn`].
pub(super) const WITHDRAWN: &str = "SELECT id, code, reason, rule FROM waiting_call
    WHERE withdrawn IS NOT NULL ORDER BY withdrawn LIMIT ?1";

/// Whether the answer of a withdrawn call is to be processed.
pub(super) fn has_withdrawn(connection: &Connection) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM waiting_call WHERE withdrawn IS NOT NULL)";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row((), |row| row.get(0))?)
}

/// Moves all times of waiting calls by `offset`, because the clock was set by as much: when they
/// expire, are due, and until when they are claimed. Else one that is being sent would seem to have
/// been left behind by a process that was killed. The ends of delays were moved before.
pub(super) fn shift(connection: &Connection, offset: SignedDuration) -> Result<(), StoreError> {
    let offset = i64::try_from(offset.as_micros()).unwrap_or(i64::MAX);
    connection.prepare_cached(SHIFT)?.run([offset])?;
    connection.prepare_cached(SHIFT_DELIVERIES)?.run([offset])?;
    Ok(())
}

/// Moves what has not been withdrawn.
pub(super) const SHIFT: &str = "UPDATE waiting_call SET due = due + ?1 WHERE withdrawn IS NULL";
/// And the deliveries of the same, but those that waited for the end of a delay: they have moved,
/// and `since` with them, which is when a call was due at first.
pub(super) const SHIFT_DELIVERIES: &str = "UPDATE delivery
    SET since = since + ?1, due = due + ?1, set_at = set_at + ?1,
        retry = retry + ?1, failed = failed + ?1
    WHERE id IN (SELECT id FROM waiting_call WHERE withdrawn IS NULL)
          AND since <> (SELECT due FROM waiting_call AS c WHERE c.id = delivery.id)";

fn ids(
    connection: &Connection,
    sql: &str,
    parameters: impl database::Params,
) -> Result<Vec<DeliveryId>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let ids = statement.query_map(parameters, |row| {
        row.get::<_, [u8; 16]>(0).map(DeliveryId::from)
    })?;
    Ok(ids.collect::<Result<_, _>>()?)
}
