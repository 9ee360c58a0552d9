//! Storing one event: archive, state and outbox in one transaction.

use jiff::Timestamp;
use reflexarc::Evaluation;
use reflexarc_delivery::{DeliveryId, number_actions};
use rusqlite::{Connection, OptionalExtension};

use super::compression::pack;
use super::{micros, state};
use crate::incoming::rule_actions;
use crate::{Accepted, Incoming, StoreError, evaluation_to_json};

/// The archive position of an earlier copy that was accepted less than `window` microseconds ago.
pub(super) fn find_duplicate(
    connection: &Connection,
    incoming: &Incoming,
    now: Timestamp,
    window: i64,
) -> Result<Option<i64>, StoreError> {
    let Some(fingerprint) = &incoming.fingerprint else {
        return Ok(None);
    };
    // Fingerprints beyond the window may still be in the table, because pruning removes them only
    // every ten minutes; `at` decides.
    let sql = "SELECT seq FROM seen WHERE fingerprint = ?1 AND at > ?2";
    let since = micros(now).saturating_sub(window);
    Ok(connection
        .prepare_cached(sql)?
        .query_row((fingerprint, since), |row| row.get(0))
        .optional()?)
}

/// Stores an event that is not a duplicate, with its state changes and deliveries.
pub(super) fn insert(
    connection: &Connection,
    incoming: &Incoming,
    evaluation: &Evaluation,
    now: Timestamp,
) -> Result<Accepted, StoreError> {
    // As received, byte for byte: what the sender meant can be argued about only with the original,
    // and a later version may convert an envelope better.
    let body = pack(incoming.native.original().bytes())?;
    // Most events match no rule; they cost no evaluation column at all.
    let matched_nothing = evaluation.rules.is_empty() && evaluation.failures.is_empty();
    let stored_evaluation = if matched_nothing {
        None
    } else {
        Some(pack(evaluation_to_json(evaluation).to_string().as_bytes())?)
    };
    // The size bounds decompression when the event is read back.
    let size = i64::try_from(incoming.native.original().bytes().len()).unwrap_or(i64::MAX);
    let sql = "INSERT INTO archive (source, id, kind, resource, received, size, body, evaluation)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let identity = &incoming.identity;
    connection.prepare_cached(sql)?.execute((
        &identity.source,
        &identity.id,
        &identity.name,
        &identity.resource,
        micros(now),
        size,
        body,
        stored_evaluation,
    ))?;
    let seq = connection.last_insert_rowid();
    if let Some(fingerprint) = &incoming.fingerprint {
        // REPLACE: an entry older than the window may still be there until the next pruning.
        let sql = "INSERT OR REPLACE INTO seen (fingerprint, seq, at) VALUES (?1, ?2, ?3)";
        connection
            .prepare_cached(sql)?
            .execute((fingerprint, seq, micros(now)))?;
    }
    // Before the deliveries, but in the same transaction: neither exists without the other. A
    // counter that was incremented without its notification, or the other way round, could not be
    // repaired later.
    for effects in &evaluation.rules {
        state::apply(connection, &effects.rule, &effects.changes)?;
    }
    let (deliveries, targets) = enqueue(connection, seq, incoming, evaluation, None, now)?;
    Ok(Accepted {
        seq,
        duplicate: false,
        matched: evaluation.rules.len(),
        failures: evaluation.failures.len(),
        deliveries,
        targets,
    })
}

/// Puts the actions of an evaluation into the outbox. Returns the new deliveries and their targets.
///
/// A delivery that exists already, in whatever status, is left alone: its id is derived from event,
/// rule, action number and replay, so an event that comes again after the duplicate window, or a
/// replay that is repeated under its name, leads to the same deliveries and sends nothing again.
pub(super) fn enqueue(
    connection: &Connection,
    seq: i64,
    incoming: &Incoming,
    evaluation: &Evaluation,
    replay: Option<&str>,
    now: Timestamp,
) -> Result<(Vec<DeliveryId>, Vec<String>), StoreError> {
    let (mut deliveries, mut targets) = (Vec::new(), Vec::new());
    let sql = "INSERT OR IGNORE INTO delivery (id, seq, source, event, resource, rule, target, \
               action, replay, created, since, due, set_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?10, ?10)";
    let mut statement = connection.prepare_cached(sql)?;
    for (rule, number, action) in number_actions(rule_actions(evaluation)) {
        let identity = &incoming.identity;
        let id = DeliveryId::derive(identity, rule, number, replay);
        let target = action.target();
        let inserted = statement.execute((
            id.as_bytes(),
            seq,
            &identity.source,
            &identity.id,
            &identity.resource,
            rule,
            target,
            action.to_json().to_string(),
            replay,
            micros(now),
        ))?;
        // 0: OR IGNORE found the id. Only targets with new deliveries need to be woken.
        if inserted == 1 {
            deliveries.push(id);
            if !targets.iter().any(|known| known == target) {
                targets.push(target.to_owned());
            }
        }
    }
    Ok((deliveries, targets))
}
