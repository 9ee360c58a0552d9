//! Deliveries of incidents: where the message about the end goes, and what an acknowledgement
//! cancels and sends.

use std::borrow::Cow;
use std::collections::BTreeSet;

use jiff::Timestamp;
use reflexarc::{Evaluation, RuleEffects};
use reflexarc_delivery::{ArchivePosition, DeliveryId, Phase};
use reflexarc_event::{EventIdentity, Json};
use reflexarc_reaction::{Action, OwnCode};

use super::order;
use super::records::{COLUMNS, read_row};
use super::{calls, incidents, micros, outbox, withheld};
use crate::database::{Connection, Optional, params};
use crate::{Acknowledged, Acknowledgement, DeliveryRecord, DeliveryStatus, StoreError};

/// The largest number of targets that an incident remembers. A reaction has fewer actions.
const MAX_TARGETS: usize = 256;

/// Why a delivery about the end of an incident is not sent.
pub(super) const NOT_OPENED: &str =
    "not sent: this target did not get the message about the beginning of the incident";

/// Remembers that these targets get a delivery of the firing.
pub(super) fn remember_targets(
    connection: &Connection,
    incident: i64,
    effects: &RuleEffects,
) -> Result<(), StoreError> {
    let known = targets(connection, incident)?;
    let of_actions = effects.actions.iter().filter(|action| !action.is_call());
    let mut all = known.clone();
    for action in of_actions {
        if all.len() < MAX_TARGETS {
            all.insert(action.target().to_owned());
        }
    }
    if all != known {
        let text = Json::strings(all).to_string();
        let sql = "UPDATE incident SET targets = ?2 WHERE id = ?1";
        connection.prepare_cached(sql)?.run((incident, text))?;
    }
    Ok(())
}

/// The targets that got a delivery when the incident fired, or will: it is delivered, pending or a
/// dead letter, or so old that retention has removed it.
pub(super) fn opening_targets(
    connection: &Connection,
    incident: i64,
) -> Result<BTreeSet<String>, StoreError> {
    let sql = "SELECT target, max(CASE WHEN status IN (?3, ?4) THEN 0 ELSE 1 END)
               FROM delivery INDEXED BY delivery_by_incident
               WHERE incident = ?1 AND firing = ?2 GROUP BY target";
    let mut statement = connection.prepare_cached(sql)?;
    let (cancelled, dropped) = (DeliveryStatus::Cancelled, DeliveryStatus::Dropped);
    let fired = Phase::Fired.number();
    let rows = statement.query_map(
        (incident, fired, cancelled.number(), dropped.number()),
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let mut targets = targets(connection, incident)?;
    for row in rows {
        let (target, has_any): (String, bool) = row?;
        if !has_any {
            targets.remove(&target);
        }
    }
    Ok(targets)
}

/// The evaluation with a message about the end of each incident for the targets that got the one
/// about its beginning and that `resolved` does not name any more.
pub(super) fn with_opening_targets<'e>(
    evaluation: &'e Evaluation,
    opening: &[Option<BTreeSet<String>>],
) -> Cow<'e, Evaluation> {
    let mut extended = Cow::Borrowed(evaluation);
    for (number, targets) in opening.iter().enumerate() {
        let Some(targets) = targets else { continue };
        let actions = &evaluation.rules[number].actions;
        let Some(Action::Notify { .. }) = actions.first() else {
            continue;
        };
        let named = |target: &str| actions.iter().any(|action| action.target() == target);
        for target in targets.iter().filter(|target| !named(target)) {
            let mut action = actions[0].clone();
            if let Action::Notify { target: other, .. } = &mut action {
                other.clone_from(target);
            }
            extended.to_mut().rules[number].actions.push(action);
        }
    }
    extended
}

/// The deliveries of an incident, in the order of their events.
pub(super) fn list(
    connection: &Connection,
    incident: i64,
    limit: usize,
) -> Result<Vec<DeliveryRecord>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM delivery INDEXED BY delivery_by_incident
         WHERE incident = ?1 ORDER BY seq, number, id LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map((incident, limit), read_row)?;
    // What cannot be read is reported by the lists of deliveries.
    let rows = rows.filter_map(|row| row.map(Result::ok).transpose());
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Acknowledges an incident: cancels what is delayed of it, and lets the targets `informed` that
/// got its firing know. `None` if there is no such incident.
pub(super) fn acknowledge(
    connection: &Connection,
    id: i64,
    acknowledgement: &Acknowledgement,
    now: Timestamp,
) -> Result<Option<Acknowledged>, StoreError> {
    let Some(incident) = incidents::find(connection, id)? else {
        return Ok(None);
    };
    if incident.ended.is_some() || incident.acknowledged.is_some() {
        return Ok(Some(Acknowledged {
            incident,
            is_new: false,
            cancelled: 0,
            deliveries: Vec::new(),
        }));
    }
    let by = &acknowledgement.by;
    let reason = format!("cancelled: {by} has acknowledged incident {id}");
    let cancelled = cancel_delayed(connection, id, &reason, now)?;
    let sql = "UPDATE incident SET acknowledged = ?2, acknowledged_by = ?3, note = ?4
               WHERE id = ?1";
    let row = (id, micros(now), by, acknowledgement.note.as_deref());
    connection.prepare_cached(sql)?.run(row)?;
    let mut deliveries = Vec::new();
    for target in &acknowledgement.informed {
        deliveries.extend(inform(connection, id, target, now)?);
    }
    let incident = incidents::find(connection, id)?;
    Ok(incident.map(|incident| Acknowledged {
        incident,
        is_new: true,
        cancelled,
        deliveries,
    }))
}

/// Cancels what is delayed of an incident and is not being sent, also if a silence withholds it now.
/// Calls get the answer that says so.
fn cancel_delayed(
    connection: &Connection,
    incident: i64,
    reason: &str,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let sql = "SELECT id, EXISTS (SELECT 1 FROM waiting_call AS c WHERE c.id = delivery.id),
                      status = ?2
               FROM delivery INDEXED BY delivery_by_incident
               WHERE incident = ?1 AND status IN (0, ?2) AND delay IS NOT NULL AND claimed = 0
                     AND attempt = 1";
    let mut statement = connection.prepare_cached(sql)?;
    let withheld = DeliveryStatus::Withheld.number();
    let delayed = statement.query_map((incident, withheld), |row| {
        Ok((row.get::<_, [u8; 16]>(0)?, row.get(1)?, row.get(2)?))
    })?;
    // Collected before anything is changed: SQLite does not define what a SELECT returns else.
    let delayed = delayed.collect::<Result<Vec<([u8; 16], bool, bool)>, _>>()?;
    let count = delayed.len() as u64;
    for (id, is_call, is_withheld) in delayed {
        let id = DeliveryId::from(id);
        if is_withheld {
            withheld::cancel(connection, id, reason, now)?;
        } else if is_call {
            calls::withdraw(connection, id, OwnCode::Cancelled, reason, now)?;
        } else {
            let (from, to) = (DeliveryStatus::Pending, DeliveryStatus::Cancelled);
            outbox::transfer(connection, id, from, to, Some(reason), now)?;
        }
    }
    Ok(count)
}

/// Puts a copy of the newest delivery of the firing to a target into the outbox, in the phase
/// [`Phase::Acknowledged`]; none for a target that has not got one.
fn inform(
    connection: &Connection,
    incident: i64,
    target: &str,
    now: Timestamp,
) -> Result<Option<DeliveryId>, StoreError> {
    let sql = "SELECT id, seq, source, event, resource, rule, scope
               FROM delivery INDEXED BY delivery_by_incident
               WHERE incident = ?1 AND firing = ?2 AND target = ?3
                     AND status NOT IN (?4, ?5, ?6, ?7) AND delay IS NULL
               ORDER BY seq DESC, number DESC, id DESC LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    let parameters = (
        incident,
        Phase::Fired.number(),
        target,
        DeliveryStatus::Cancelled.number(),
        DeliveryStatus::Dropped.number(),
        DeliveryStatus::Silenced.number(),
        DeliveryStatus::Withheld.number(),
    );
    let found = statement.query_row(parameters, |row| {
        Ok((
            row.get::<_, [u8; 16]>(0)?,
            row.get::<_, i64>(1)?,
            [2, 3, 4, 5].map(|column| row.get::<_, String>(column)),
            row.get::<_, Option<String>>(6)?,
        ))
    });
    let Some((fired, seq, texts, scope)) = found.optional()? else {
        return Ok(None);
    };
    let [source, event, resource, rule] = texts;
    let (source, event, resource, rule) = (source?, event?, resource?, rule?);
    let identity = EventIdentity {
        source,
        id: event,
        resource: resource.clone(),
        ..EventIdentity::default()
    };
    let position = ArchivePosition { seq, received: now };
    let name = format!("acknowledged {incident} {target}");
    let id = DeliveryId::derive(&identity, position, &rule, 0, Some(&name));
    let key = order::key(&rule, scope.as_deref(), &resource);
    let entry = order::entry(connection, target, key, now)?;
    // After the firing, whose number is that of its action.
    let sql = "INSERT INTO delivery (id, seq, source, event, resource, rule, target, action,
                   created, since, set_at, due, number, order_key, head, scope, firing, incident)
               SELECT ?2, seq, source, event, resource, rule, target, action,
                   ?3, ?4, ?3, ?5, number, ?6, ?7, scope, ?8, incident
               FROM delivery WHERE id = ?1";
    connection.prepare_cached(sql)?.run(params![
        fired,
        id.as_bytes(),
        micros(now),
        entry.since,
        entry.due,
        entry.key,
        entry.head,
        Phase::Acknowledged.number(),
    ])?;
    Ok(Some(id))
}

/// The targets that an incident remembers.
fn targets(connection: &Connection, incident: i64) -> Result<BTreeSet<String>, StoreError> {
    let sql = "SELECT targets FROM incident WHERE id = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let text = statement.query_row([incident], |row| row.get::<_, String>(0));
    let text = text.optional()?.unwrap_or_default();
    let json = Json::parse(&text).unwrap_or_else(|error| {
        tracing::warn!(incident, %error, "the targets of an incident are damaged");
        Json::Null
    });
    let names = json.elements().iter().filter_map(Json::as_str);
    Ok(names.map(str::to_owned).collect())
}
