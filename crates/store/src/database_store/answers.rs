//! The answers to calls: each call has one.
//!
//! What an answer needs is read and removed in the transaction that processes it. Where it cannot
//! be read, the call becomes a dead letter, which is reported: an answer is never lost in silence,
//! and no rule gets one without the event that it belongs to.

use jiff::Timestamp;
use reflexarc_delivery::{DeadLetterCause, DeliveryId, EventRef, shorten};
use reflexarc_event::NativeEvent;
use reflexarc_reaction::{CallAnswer, OwnCode};

use super::archived_event::read_own;
use super::compression::unpack;
use super::damage::is_of_row;
use super::records::{COLUMNS, UnreadableRow, read_row};
use super::{attempts, calls, changes, micros, order, outbox};
use crate::database;
use crate::database::{Connection, Optional, Row};
use crate::{
    AttemptOutcome, DeadLetter, DeadLetterReport, DeliveryRecord, DeliveryStatus, StoreError,
    WaitingCall,
};

/// The longest summary of an answer with its delivery, in bytes. A message of an API may be large.
const SUMMARY_BYTES: usize = 4_096;

/// The most that an event in native form may expand to when it is read back; only a damaged row
/// says more.
const EVENT_BYTES: i64 = 256 << 20;

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
    // Before the reservation is closed, which says whether the call may have been sent.
    let answer = known_answer(connection, id, attempt, answer)?;
    calls::forget(connection, id)?;
    let (record, hop, event) = match call {
        Ok(call) => call,
        Err(reason) => return dead_letter(connection, id, &reason, &answer, now),
    };
    if let Some(attempt) = attempt {
        attempts::record(connection, &record.delivery, attempt)?;
    }
    // Read before the update, after which it is not pending.
    let place = outbox::place_of(connection, id)?;
    let sql = "UPDATE delivery SET status = ?2, finished = ?3, reason = ?4, attempt = attempt + ?5,
                                   claimed = 0
               WHERE id = ?1";
    connection.prepare_cached(sql)?.run((
        id.as_bytes(),
        DeliveryStatus::Answered.number(),
        micros(now),
        (!answer.ok).then(|| summary(&answer)),
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
        answer,
        next_is_due,
    })))
}

/// The answer that a call has: that it was not sent is not said where it may have been.
fn known_answer(
    connection: &Connection,
    id: DeliveryId,
    attempt: Option<&AttemptOutcome>,
    answer: &CallAnswer,
) -> Result<CallAnswer, StoreError> {
    let says_not_sent = match answer.own_code() {
        None | Some(OwnCode::OutcomeUnknown | OwnCode::InvalidAnswer) => false,
        // With an attempt, it is the answer of that attempt.
        Some(_) => attempt.is_none(),
    };
    if says_not_sent && changes::may_have_been_sent(connection, id)? {
        let message = changes::unknown_message(&answer.summary());
        return Ok(CallAnswer::own(OwnCode::OutcomeUnknown, message));
    }
    Ok(answer.clone())
}

/// Code and message, as far as a list shows them; the entry of the archive has all of it.
fn summary(answer: &CallAnswer) -> String {
    shorten(&answer.summary(), SUMMARY_BYTES)
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
    // A column of another type is damage of this row. A page that cannot be read is an error of the
    // store: then nothing is settled, and the answer is not lost.
    let (hop, event) = match found.optional() {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(None),
        Err(error) if is_of_row(&error) => (0, Err(error.to_string())),
        Err(error) => return Err(error.into()),
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
) -> database::Result<Result<Option<NativeEvent>, String>> {
    let size = row.get::<_, i64>(first)?.clamp(0, EVENT_BYTES);
    let packed: Option<Vec<u8>> = row.get(first + 1)?;
    let Some(packed) = packed else {
        return Ok(Ok(None));
    };
    let bytes = unpack(&packed, usize::try_from(size).unwrap_or_default());
    let event = bytes.and_then(|bytes| read_own(bytes).map_err(|error| error.to_string()));
    // In native form already: it is the event as the rule saw it.
    Ok(event.map(|event| Some(NativeEvent::as_is(event))))
}

/// Checks the event in a row of `waiting_call`, with the columns of the table, and that there is a
/// delivery which waits.
pub(super) fn verify_row(connection: &Connection, row: &Row<'_>) -> Result<(), String> {
    let failed = |error: database::Error| error.to_string();
    let id: [u8; 16] = row.get("id").map_err(failed)?;
    let size = row.column_index("size").map_err(failed)?;
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

/// A call that has no row of its own: answered before, or damaged. Or no call.
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
    if !record.delivery.action.is_call() {
        return Ok(Answered::Before);
    }
    let (pending, withdrawn) = (DeliveryStatus::Pending, DeliveryStatus::Withdrawn);
    if [pending, withdrawn].contains(&record.status) {
        let reason = "what its answer needs is missing";
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
    reason: &str,
    answer: &CallAnswer,
    now: Timestamp,
) -> Result<Answered, StoreError> {
    // With what the API said: that is all that is left of the answer.
    let reason = format!(
        "its answer cannot be processed: {reason}; it was {}",
        summary(answer)
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
    // Also of a delivery that is gone, which has nothing left to say.
    let none = || {
        let (rule, event) = (String::new(), EventRef::default());
        ("unknown".to_owned(), DeadLetter { id, rule, event })
    };
    let (target, letter) = ended.optional()?.unwrap_or_else(none);
    if let Some(place) = place {
        order::update_next(connection, &target, place, now)?;
    }
    let report = DeadLetterReport::of_one(target, letter, DeadLetterCause::Unreadable, reason);
    Ok(Answered::Damaged(report))
}
