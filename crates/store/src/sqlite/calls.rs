//! Calls that wait for their answer.
//!
//! A call is a delivery, which is claimed, attempted and attempted again like every other. What
//! only a call has is in a row of `waiting_call`, from when it is put into the outbox until it is
//! answered: the event and the hop, with which the answer goes back to the rule, and when it was
//! due at first, from which its expiry counts. Removing that row is answering the call, so that it
//! happens once, whoever comes first.
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

use std::cell::Cell;

use jiff::{SignedDuration, Timestamp};
use reflexarc_delivery::{DeadLetterCause, Decision, DeliveryId, EventRef};
use reflexarc_event::{Event, NativeEvent};
use reflexarc_reaction::{CallAnswer, OwnCode};
use rusqlite::{Connection, OptionalExtension, Row};

use super::compression::{pack, unpack};
use super::records::{COLUMNS, UnreadableRow, read_row};
use super::{attempts, changes, micros, order, outbox};
use crate::{
    AttemptOutcome, DeadLetter, DeadLetterReport, DeliveryRecord, DeliveryStatus, StoreError,
    WaitingCall, WithdrawnCall,
};

/// What version 8 added for calls.
// A table of its own, not columns of `delivery`: nothing of a store without calls becomes larger or
// slower, and an upgrade writes no row. The indexes:
//   waiting_call_due        what expires, of one target
//   waiting_call_rule       what waits for the rules that are gone
//   waiting_call_ending     those that get their code's answer unless an attempt gives one
//   waiting_call_withdrawn  whose answers are processed next, in order
pub(super) const CALLS: &str = "
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

/// The most that an event in native form may expand to when it is read back; only a damaged row
/// says more.
const EVENT_BYTES: i64 = 256 << 20;

thread_local! {
    /// Whether the open transaction has withdrawn a call. The writer is one thread, and its jobs
    /// get a connection and nothing else.
    static HAS_WITHDRAWN: Cell<bool> = const { Cell::new(false) };
}

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
    connection.prepare_cached(sql)?.execute((
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
    let sql = "SELECT c.code IS NOT NULL, d.claimed = 1 AND d.due > ?2
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
    let sql = "UPDATE waiting_call SET code = ?2, reason = ?3 WHERE id = ?1";
    let parameters = (id.as_bytes(), code.as_str(), reason);
    connection.prepare_cached(sql)?.execute(parameters)?;
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
    let sql = "UPDATE delivery SET claimed = 0, attempt = attempt + 1
               WHERE id = ?1 AND status = 0 AND id IN (SELECT id FROM waiting_call)";
    if connection.prepare_cached(sql)?.execute([id.as_bytes()])? == 0 {
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
    connection.prepare_cached(sql)?.execute([id.as_bytes()])?;
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
    WHERE c.code IS NOT NULL AND c.withdrawn IS NULL AND (d.claimed = 0 OR d.due <= ?1)";

/// Withdraws a call that has a code and is not being sent: its answer is processed next.
fn end(connection: &Connection, id: DeliveryId, now: Timestamp) -> Result<(), StoreError> {
    // That it was not sent would be untrue then.
    if changes::may_have_been_sent(connection, id)? {
        let sql = "UPDATE waiting_call SET code = ?2,
                       reason = 'an attempt has no known outcome; ' || code || ': ' || reason
                   WHERE id = ?1";
        let unknown = (id.as_bytes(), OwnCode::OutcomeUnknown.as_str());
        connection.prepare_cached(sql)?.execute(unknown)?;
    }
    let sql = "UPDATE waiting_call SET withdrawn =
                   (SELECT coalesce(max(withdrawn), 0) + 1 FROM waiting_call
                    WHERE withdrawn IS NOT NULL)
               WHERE id = ?1 RETURNING code || ': ' || reason";
    let mut statement = connection.prepare_cached(sql)?;
    let reason: String = statement.query_row([id.as_bytes()], |row| row.get(0))?;
    let (from, to) = (DeliveryStatus::Pending, DeliveryStatus::Withdrawn);
    outbox::transfer(connection, id, from, to, Some(&reason), now)?;
    HAS_WITHDRAWN.set(true);
    Ok(())
}

/// Whether a call was withdrawn on this thread since this was asked last.
pub(super) fn take_has_withdrawn() -> bool {
    HAS_WITHDRAWN.take()
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
    ORDER BY c.due LIMIT ?4";

/// Withdraws the calls of all rules but these. Returns how many.
pub(super) fn withdraw_of_other_rules(
    connection: &Connection,
    live: &[String],
    now: Timestamp,
) -> Result<usize, StoreError> {
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
    WHERE code IS NULL AND rule = ?1";
/// The calls of a target.
pub(super) const OF_TARGET: &str = "SELECT id FROM waiting_call INDEXED BY waiting_call_due
    WHERE code IS NULL AND target = ?1";

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
    Ok(())
}

/// The calls whose answers are processed next, in the order in which they were withdrawn.
pub(super) fn withdrawn(
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

/// The query of [`withdrawn`].
pub(super) const WITHDRAWN: &str = "SELECT id, code, reason FROM waiting_call
    WHERE withdrawn IS NOT NULL ORDER BY withdrawn LIMIT ?1";

/// Whether the answer of a withdrawn call is to be processed.
pub(super) fn has_withdrawn(connection: &Connection) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM waiting_call WHERE withdrawn IS NOT NULL)";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row((), |row| row.get(0))?)
}

/// What became of a call whose answer has come.
pub(super) enum Answered {
    /// It has this answer, and no other.
    Now(Box<WaitingCall>),
    /// It was answered before, or does not exist.
    Before,
    /// What its answer needs is damaged: it has become a dead letter.
    Damaged(DeadLetterReport),
}

/// Ends a call with its answer.
pub(super) fn settle(
    connection: &Connection,
    id: DeliveryId,
    attempt: Option<&AttemptOutcome>,
    answer: &CallAnswer,
    now: Timestamp,
) -> Result<Answered, StoreError> {
    let Some(call) = find(connection, id)? else {
        return before(connection, id, attempt, answer, now);
    };
    forget(connection, id)?;
    let (record, hop, event) = match call {
        Ok(call) => call,
        Err(reason) => return dead_letter(connection, id, reason, answer, now),
    };
    if let Some(attempt) = attempt {
        attempts::record(connection, &record.delivery, attempt)?;
    }
    let place = outbox::place_of(connection, id)?;
    let sql = "UPDATE delivery SET status = ?2, finished = ?3, reason = ?4, attempt = attempt + ?5,
                                   claimed = 0
               WHERE id = ?1";
    connection.prepare_cached(sql)?.execute((
        id.as_bytes(),
        DeliveryStatus::Answered.number(),
        micros(now),
        (!answer.ok).then(|| answer.summary()),
        attempt.is_some(),
    ))?;
    // What comes after a withdrawn one has been let go then.
    let next_is_due = match place.filter(|_| record.status == DeliveryStatus::Pending) {
        Some(place) => order::update_next(connection, &record.delivery.target, place, now)?,
        None => false,
    };
    Ok(Answered::Now(Box::new(WaitingCall {
        delivery: record.delivery,
        event,
        hop,
        next_is_due,
    })))
}

/// What is kept of a call.
type Kept = (DeliveryRecord, usize, Option<NativeEvent>);

/// A call without an answer; the inner error is why it cannot be read.
fn find(
    connection: &Connection,
    id: DeliveryId,
) -> Result<Option<Result<Kept, String>>, StoreError> {
    let sql = "SELECT hop, size, event FROM waiting_call WHERE id = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_row([id.as_bytes()], |row| {
        let hop: i64 = row.get(0)?;
        Ok((
            usize::try_from(hop).unwrap_or(usize::MAX),
            read_event(row, 1)?,
        ))
    });
    let Some((hop, event)) = found.optional()? else {
        return Ok(None);
    };
    let sql = format!("SELECT {COLUMNS} FROM delivery WHERE id = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let record = statement.query_row([id.as_bytes()], read_row).optional()?;
    Ok(Some(match (record, event) {
        (Some(Ok(record)), Ok(event)) => Ok((record, hop, event)),
        (_, Err(reason)) => Err(format!("its event is damaged: {reason}")),
        (Some(Err(UnreadableRow { reason, .. })), _) => Err(reason.to_owned()),
        (None, _) => Err("its delivery is missing".to_owned()),
    }))
}

/// The event in the columns `size, event` from this one on.
fn read_event(
    row: &Row<'_>,
    first: usize,
) -> rusqlite::Result<Result<Option<NativeEvent>, String>> {
    let size = row.get::<_, i64>(first)?.clamp(0, EVENT_BYTES);
    let packed: Option<Vec<u8>> = row.get(first + 1)?;
    let Some(packed) = packed else {
        return Ok(Ok(None));
    };
    let bytes = unpack(&packed, usize::try_from(size).unwrap_or_default());
    let event = bytes.and_then(|bytes| Event::from_json(bytes).map_err(|error| error.to_string()));
    // In native form already: it is the event as the rule saw it.
    Ok(event.map(|event| Some(NativeEvent::as_is(event))))
}

/// Checks the event in a row of `waiting_call`, with the columns of the table, and that there is a
/// delivery which waits.
pub(super) fn verify_row(connection: &Connection, row: &Row<'_>) -> Result<(), String> {
    let failed = |error: rusqlite::Error| error.to_string();
    let id: [u8; 16] = row.get("id").map_err(failed)?;
    let size = row.as_ref().column_index("size").map_err(failed)?;
    read_event(row, size).map_err(failed)??;
    let sql = "SELECT status IN (0, 6) FROM delivery WHERE id = ?1";
    let waits = connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_row([id], |row| row.get(0)).optional());
    match waits {
        // What cannot be read is found when that part is checked.
        Ok(Some(true)) | Err(_) => Ok(()),
        Ok(Some(false)) => Err("its delivery does not wait for an answer".to_owned()),
        Ok(None) => Err("it has no delivery".to_owned()),
    }
}

/// A call that has no row of its own: answered before, or damaged.
fn before(
    connection: &Connection,
    id: DeliveryId,
    attempt: Option<&AttemptOutcome>,
    answer: &CallAnswer,
    now: Timestamp,
) -> Result<Answered, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM delivery WHERE id = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let record = statement.query_row([id.as_bytes()], read_row).optional()?;
    let Some(Ok(record)) = record else {
        return Ok(Answered::Before);
    };
    if matches!(
        record.status,
        DeliveryStatus::Pending | DeliveryStatus::Withdrawn
    ) {
        let reason = "what its answer needs is missing".to_owned();
        return dead_letter(connection, id, reason, answer, now);
    }
    // Its claim had expired, and another attempt was answered first. The trace shows both.
    if let Some(attempt) = attempt {
        attempts::record(connection, &record.delivery, attempt)?;
    }
    Ok(Answered::Before)
}

/// Ends a call whose answer cannot be processed: with a reason, and reported, and not in silence.
fn dead_letter(
    connection: &Connection,
    id: DeliveryId,
    reason: String,
    answer: &CallAnswer,
    now: Timestamp,
) -> Result<Answered, StoreError> {
    let reason = format!(
        "its answer cannot be processed: {reason}; it was {}",
        answer.summary()
    );
    let place = outbox::place_of(connection, id)?;
    let sql = "UPDATE delivery SET status = 2, finished = ?2, reason = ?3 WHERE id = ?1
               RETURNING target, rule, source, event";
    let mut statement = connection.prepare_cached(sql)?;
    let ended = statement.query_row((id.as_bytes(), micros(now), &reason), |row| {
        let event = EventRef {
            source: row.get(2)?,
            id: row.get(3)?,
        };
        let rule = row.get(1)?;
        Ok((row.get::<_, String>(0)?, DeadLetter { id, rule, event }))
    });
    let Some((target, letter)) = ended.optional()? else {
        return Err(StoreError::Failed(format!("call {id}: {reason}")));
    };
    if let Some(place) = place {
        order::update_next(connection, &target, place, now)?;
    }
    let report = DeadLetterReport::of_one(target, letter, DeadLetterCause::Unreadable, reason);
    Ok(Answered::Damaged(report))
}

/// Moves the times from which calls expire by `offset`, because the clock was set by as much.
pub(super) fn shift(connection: &Connection, offset: SignedDuration) -> Result<(), StoreError> {
    let offset = i64::try_from(offset.as_micros()).unwrap_or(i64::MAX);
    connection.prepare_cached(SHIFT)?.execute([offset])?;
    connection.prepare_cached(SHIFT_SERIES)?.execute(())?;
    Ok(())
}

/// Moves what has not been withdrawn.
pub(super) const SHIFT: &str = "UPDATE waiting_call SET due = due + ?1 WHERE withdrawn IS NULL";
/// Retry policies count from the same time.
pub(super) const SHIFT_SERIES: &str = "UPDATE delivery
    SET since = (SELECT due FROM waiting_call AS c WHERE c.id = delivery.id)
    WHERE id IN (SELECT id FROM waiting_call WHERE withdrawn IS NULL)";

fn ids(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> Result<Vec<DeliveryId>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let ids = statement.query_map(parameters, |row| {
        row.get::<_, [u8; 16]>(0).map(DeliveryId::from)
    })?;
    Ok(ids.collect::<Result<_, _>>()?)
}
