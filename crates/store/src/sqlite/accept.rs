//! Storing one event: archive, state and outbox in one transaction.

use jiff::Timestamp;
use reflexarc::Evaluation;
use reflexarc_delivery::{ArchivePosition, DeliveryId, number_actions};
use reflexarc_event::Json;
use reflexarc_reaction::Action;
use rusqlite::{Connection, params};

use super::compression::pack;
use super::order::{self, Entry};
use super::{copies, micros, state};
use crate::{Accepted, Incoming, ReplayAccepted, StoreError, evaluation_to_json};

/// A new delivery. Fails if its id is taken.
const INSERT: &str = "INSERT INTO delivery (id, seq, source, event, resource, rule, target, \
                      action, replay, created, since, set_at, due, number, order_key, head, \
                      scope, firing)
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?10, ?11, ?12, ?13, \
                      ?14, ?15, ?16)";
/// The same, which inserts nothing if the id is taken.
const INSERT_IF_NEW: &str = "INSERT INTO delivery (id, seq, source, event, resource, rule, \
                             target, action, replay, created, since, set_at, due, number, \
                             order_key, head, scope, firing)
                             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?10, ?11, \
                             ?12, ?13, ?14, ?15, ?16)
                             ON CONFLICT (id) DO NOTHING";

/// Stores an event that is no copy, with its state changes and deliveries. `is_known_id`: the
/// archive has an event of its id, see [`copies`].
pub(super) fn insert(
    connection: &Connection,
    incoming: &Incoming,
    evaluation: &Evaluation,
    is_known_id: bool,
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
    let own_fingerprint = incoming.fingerprint.as_ref().filter(|_| !is_known_id);
    let sql = "INSERT INTO archive
                   (source, id, kind, resource, received, size, body, evaluation, fingerprint)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
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
        own_fingerprint,
    ))?;
    let seq = connection.last_insert_rowid();
    if let Some(fingerprint) = incoming.fingerprint.as_ref().filter(|_| is_known_id) {
        copies::keep(connection, fingerprint, seq, micros(now))?;
    }
    // Before the deliveries, but in the same transaction: neither exists without the other. A
    // counter that was incremented without its notification, or the other way round, could not be
    // repaired later.
    for effects in &evaluation.rules {
        state::apply(connection, &effects.rule, &effects.changes)?;
    }
    let position = ArchivePosition { seq, received: now };
    let (deliveries, targets) = enqueue(connection, position, incoming, evaluation, now)?;
    Ok(Accepted {
        seq,
        duplicate: false,
        matched: evaluation.rules.len(),
        failures: evaluation.failures.len(),
        deliveries,
        targets,
    })
}

/// Puts the actions of a new event into the outbox. Returns the new deliveries and their targets,
/// each target once.
///
/// An id that is in the outbox already is an error, and the event is not accepted: an accepted
/// event whose delivery is dropped in silence is the worst that a store can do.
fn enqueue(
    connection: &Connection,
    position: ArchivePosition,
    incoming: &Incoming,
    evaluation: &Evaluation,
    now: Timestamp,
) -> Result<(Vec<DeliveryId>, Vec<String>), StoreError> {
    let (mut deliveries, mut targets) = (Vec::new(), Vec::new());
    for action in numbered_actions(evaluation) {
        let NumberedAction { rule, number, .. } = action;
        let id = DeliveryId::derive(&incoming.identity, position, rule, number, None);
        let row = Row {
            id,
            seq: position.seq,
            replay: None,
            action: &action,
        };
        let (target, resource) = (action.action.target(), &incoming.identity.resource);
        let key = order::key(rule, action.scope.as_deref(), resource);
        let entry = order::entry(connection, target, key, now)?;
        insert_delivery(connection, INSERT, incoming, &row, &entry, now)?;
        deliveries.push(id);
        if !targets.iter().any(|known| known == target) {
            targets.push(target.to_owned());
        }
    }
    Ok((deliveries, targets))
}

/// Puts the actions of a replayed event into the outbox. One that was put there before, by a replay
/// of this name, is counted and left alone, whatever its status: so a replay that was interrupted
/// can be repeated.
pub(super) fn enqueue_replay(
    connection: &Connection,
    position: ArchivePosition,
    incoming: &Incoming,
    evaluation: &Evaluation,
    replay: &str,
    now: Timestamp,
) -> Result<ReplayAccepted, StoreError> {
    let mut accepted = ReplayAccepted::default();
    for action in numbered_actions(evaluation) {
        let NumberedAction { rule, number, .. } = action;
        let id = DeliveryId::derive(&incoming.identity, position, rule, number, Some(replay));
        let row = Row {
            id,
            seq: position.seq,
            replay: Some(replay),
            action: &action,
        };
        // What is replayed has been in order once; what is sent meanwhile does not wait for it.
        let entry = Entry::unordered(now);
        if insert_delivery(connection, INSERT_IF_NEW, incoming, &row, &entry, now)? == 1 {
            accepted.deliveries.push(id);
        } else {
            accepted.repeated += 1;
        }
    }
    Ok(accepted)
}

/// An action of an evaluation.
struct NumberedAction<'a> {
    rule: &'a str,
    /// Among the actions of its rule.
    number: usize,
    /// Among all actions of the evaluation.
    place: i64,
    action: &'a Action,
    /// The key of the event or match, as JSON text.
    scope: Option<String>,
    firing: bool,
}

/// The actions of an evaluation, in order.
fn numbered_actions(evaluation: &Evaluation) -> impl Iterator<Item = NumberedAction<'_>> {
    let rule_actions = evaluation
        .actions()
        .map(|(effects, _, action)| (effects.rule.as_str(), action));
    let all = evaluation.actions().zip(number_actions(rule_actions));
    (0..).zip(all).map(
        |(place, ((effects, ..), (rule, number, action)))| NumberedAction {
            rule,
            number,
            place,
            action,
            scope: effects.key.as_ref().map(Json::to_string),
            firing: effects.firing.is_some(),
        },
    )
}

/// What distinguishes the deliveries of one event.
struct Row<'a> {
    id: DeliveryId,
    seq: i64,
    replay: Option<&'a str>,
    action: &'a NumberedAction<'a>,
}

/// Runs [`INSERT`] or [`INSERT_IF_NEW`]. Returns the number of inserted rows.
fn insert_delivery(
    connection: &Connection,
    sql: &str,
    incoming: &Incoming,
    row: &Row<'_>,
    entry: &Entry,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let identity = &incoming.identity;
    let numbered = row.action;
    Ok(connection.prepare_cached(sql)?.execute(params![
        row.id.as_bytes(),
        row.seq,
        identity.source,
        identity.id,
        identity.resource,
        numbered.rule,
        numbered.action.target(),
        numbered.action.to_json().to_string(),
        row.replay,
        micros(now),
        entry.due,
        numbered.place,
        entry.key,
        entry.head,
        numbered.scope,
        numbered.firing,
    ])?)
}
