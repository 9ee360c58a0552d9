//! Deliveries that are kept back at the claim, and their release.
//!
//! For each delivery that it would take, a claim asks whether a silence or an incident withholds it.
//! If one does, the delivery leaves the outbox, so that it blocks neither its queue nor those behind it in its
//! order, and comes back as a new series of attempts at its former place:
//!
//! ```text
//! claim       pending  → withheld    row of `withheld` without an end
//! release     withheld → pending     the row gets its end; the next claim asks again
//! dropped     pending  → silenced    final; also from withheld, if its silence is ended so
//! ```

use jiff::Timestamp;
use reflexarc_delivery::{Delivery, DeliveryId, Phase};
use reflexarc_event::NativeEvent;

use super::archived_event::read_native;
use super::order::{self, Place};
use super::{instant, micros, outbox, silences};
use crate::database::{Connection, Optional};
use crate::{
    ActiveWithholding, Candidate, DeliveryRecord, DeliveryStatus, EntryKind, InhibitingIncident,
    MAX_INHIBITING_INCIDENTS, ReleaseStep, StoreError, WithheldBy, WithheldPeriod, Withholding,
    WithholdingDecision,
};

/// Deliveries that one transaction withholds or releases. Accepting events waits for it.
pub(super) const STEP: usize = 1_000;

/// Asks about the deliveries of one claim.
pub(super) struct ClaimFilter<'a> {
    withholding: &'a dyn Withholding,
    active: ActiveWithholding,
    now: Timestamp,
    /// How many deliveries it has kept back.
    pub(super) kept_back: usize,
}

impl<'a> ClaimFilter<'a> {
    /// `None` if nothing can withhold a delivery now, and nothing is withheld: some looks at
    /// indexes.
    pub(super) fn open(
        connection: &Connection,
        withholding: Option<&'a dyn Withholding>,
        now: Timestamp,
    ) -> Result<Option<Self>, StoreError> {
        let Some(withholding) = withholding else {
            return Ok(None);
        };
        let active = active(connection, Some(withholding), now)?;
        // What is over and not released yet decides about what resolves it.
        let is_needed = !active.is_empty() || first_until(connection)?.is_some();
        Ok(is_needed.then_some(Self {
            withholding,
            active,
            now,
            kept_back: 0,
        }))
    }

    /// Whether it keeps nothing more back in this transaction.
    pub(super) fn is_full(&self) -> bool {
        self.kept_back >= STEP
    }

    /// Whether a delivery may be claimed; if not, it has left the outbox.
    pub(super) fn admits(
        &mut self,
        connection: &Connection,
        record: &DeliveryRecord,
        place: Option<Place>,
    ) -> Result<bool, StoreError> {
        let delivery = &record.delivery;
        // A call is about to change or to read something; its rule gets an answer in time. What a
        // receiver has got a part of is completed.
        if delivery.action.is_call() || !delivery.delivered_parts.is_empty() {
            return Ok(true);
        }
        if delivery.phase == Phase::Acknowledged {
            return Ok(true);
        }
        if delivery.phase == Phase::Resolved
            && let Some(incident) = record.incident
        {
            match opening_of(connection, incident, delivery)? {
                // What says that something began is followed by what says that it ended.
                Opening::Sent => return Ok(true),
                Opening::Withheld => {
                    end_unsent(connection, incident, delivery, self.now)?;
                    self.kept_back += 1;
                    if let Some(place) = place {
                        order::update_next(connection, &delivery.target, place, self.now)?;
                    }
                    return Ok(false);
                }
                Opening::None => {}
            }
        }
        if self.active.is_empty() {
            return Ok(true);
        }
        let event = event_of(connection, record.seq, delivery)?;
        // An event that cannot be read inhibits nothing: an alert too many is better than none. The
        // check of the store reports it.
        let read = |position| read_native(connection, position).ok().flatten();
        let candidate = Candidate::new(delivery, event.as_ref(), &read);
        match self.withholding.decide(&self.active, &candidate, self.now) {
            WithholdingDecision::Deliver => return Ok(true),
            WithholdingDecision::Withhold { by, until } => {
                withhold(connection, delivery, by, until, self.now)?;
            }
            WithholdingDecision::Drop { by } => {
                drop_pending(connection, delivery.id, by, self.now)?;
            }
        }
        self.kept_back += 1;
        if let Some(place) = place {
            order::update_next(connection, &delivery.target, place, self.now)?;
        }
        Ok(false)
    }
}

/// What became of the deliveries of an incident that a resolving one follows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opening {
    /// At least one was sent, or is going to be.
    Sent,
    /// All are withheld, or were ended by a silence.
    Withheld,
    /// There is none.
    None,
}

/// What became of the deliveries to the same target with which an incident began.
fn opening_of(
    connection: &Connection,
    incident: i64,
    delivery: &Delivery,
) -> Result<Opening, StoreError> {
    let mut statement = connection.prepare_cached(OPENING)?;
    let (sent, others): (i64, i64) = statement.query_row((incident, &delivery.target), |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    Ok(match (sent, others) {
        (1.., _) => Opening::Sent,
        (_, 1..) => Opening::Withheld,
        _ => Opening::None,
    })
}

/// How many deliveries of an incident were sent or wait to be, and how many are withheld or were
/// ended by a silence. `firing` is the number of the phase.
pub(super) const OPENING: &str = "SELECT
        count(*) FILTER (WHERE status IN (0, 1, 2)), count(*) FILTER (WHERE status IN (7, 8))
    FROM delivery INDEXED BY delivery_by_incident
    WHERE incident = ?1 AND target = ?2 AND firing = 1";

/// Ends a resolving delivery, and the withheld ones that it resolves: the target got neither.
fn end_unsent(
    connection: &Connection,
    incident: i64,
    delivery: &Delivery,
    now: Timestamp,
) -> Result<(), StoreError> {
    const REASON: &str = "silenced: resolved before it was sent";
    let sql = "SELECT d.id FROM delivery AS d INDEXED BY delivery_by_incident
               WHERE d.incident = ?1 AND d.target = ?2 AND d.firing = 1 AND d.status = 7
               ORDER BY d.id";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map((incident, &delivery.target), |row| row.get(0))?;
    let rows: Vec<[u8; 16]> = rows.collect::<Result<_, _>>()?;
    for id in rows {
        let sql = "UPDATE withheld SET ended = ?2 WHERE delivery = ?1 AND ended IS NULL";
        connection.prepare_cached(sql)?.run((id, micros(now)))?;
        let (from, to) = (DeliveryStatus::Withheld, DeliveryStatus::Silenced);
        let id = DeliveryId::from(id);
        outbox::transfer(connection, id, from, to, Some(REASON), now)?;
    }
    let (from, to) = (DeliveryStatus::Pending, DeliveryStatus::Silenced);
    outbox::transfer(connection, delivery.id, from, to, Some(REASON), now)?;
    Ok(())
}

/// What may withhold deliveries at this time.
pub(super) fn active(
    connection: &Connection,
    withholding: Option<&dyn Withholding>,
    now: Timestamp,
) -> Result<ActiveWithholding, StoreError> {
    let mut active = ActiveWithholding {
        silences: silences::active(connection, now)?,
        incidents: Vec::new(),
    };
    let rules = withholding.map(Withholding::inhibiting_rules);
    for rule in rules.unwrap_or_default() {
        let left = MAX_INHIBITING_INCIDENTS.saturating_sub(active.incidents.len());
        let left = i64::try_from(left).unwrap_or(i64::MAX);
        let mut statement = connection.prepare_cached(INHIBITING)?;
        let rows = statement.query_map((&rule, left), |row| {
            Ok(InhibitingIncident {
                id: row.get(0)?,
                rule: rule.clone(),
                event: row.get::<_, Option<i64>>(1)?.map(i64::cast_unsigned),
            })
        })?;
        for incident in rows {
            active.incidents.push(incident?);
        }
    }
    Ok(active)
}

/// The open incidents of a rule, by number.
pub(super) const INHIBITING: &str = "SELECT id, event FROM incident INDEXED BY incident_open
    WHERE ended IS NULL AND rule = ?1 ORDER BY id LIMIT ?2";

/// The event of a delivery in native form: that at its archive position; if something else is
/// there, such as a firing, the last one before it that has the name of its event.
pub(super) fn event_of(
    connection: &Connection,
    seq: i64,
    delivery: &Delivery,
) -> Result<Option<NativeEvent>, StoreError> {
    let sql = "SELECT entry FROM archive WHERE seq = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let entry: Option<i64> = statement.query_row([seq], |row| row.get(0)).optional()?;
    let is_event = entry.and_then(EntryKind::from_number).is_some_and(is_event);
    let position = if is_event {
        Some(seq)
    } else {
        let name = &delivery.event;
        let mut statement = connection.prepare_cached(NAMED_EVENT)?;
        statement
            .query_row((&name.id, &name.source, seq), |row| row.get(0))
            .optional()?
    };
    let Some(position) = position else {
        return Ok(None);
    };
    read_native(connection, i64::cast_unsigned(position))
}

/// The last event of a name before a position.
pub(super) const NAMED_EVENT: &str = "SELECT seq FROM archive INDEXED BY archive_by_id
    WHERE id = ?1 AND source = ?2 AND entry IN (0, 1) AND seq <= ?3 ORDER BY seq DESC LIMIT 1";

fn is_event(kind: EntryKind) -> bool {
    matches!(kind, EntryKind::Event | EntryKind::Emitted)
}

/// Takes a pending delivery out of the outbox.
fn withhold(
    connection: &Connection,
    delivery: &Delivery,
    by: WithheldBy,
    until: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    // Not as a member of the digest that it may have been in: that is sent without it.
    let sql = "UPDATE delivery SET status = ?2, set_at = ?3, claimed = 0, digest = NULL
               WHERE id = ?1 AND status = 0";
    let (id, status) = (delivery.id.as_bytes(), DeliveryStatus::Withheld.number());
    connection
        .prepare_cached(sql)?
        .run((id, status, micros(now)))?;
    let (silence, incident) = columns(by);
    let sql = "INSERT INTO withheld
                   (delivery, number, target, rule, scope, name, silence, incident, since, until)
               VALUES (?1, (SELECT ifnull(max(number), 0) + 1 FROM withheld WHERE delivery = ?1),
                       ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    connection.prepare_cached(sql)?.run((
        id,
        &delivery.target,
        &delivery.rule,
        &delivery.key,
        delivery.action.key(),
        silence,
        incident,
        micros(now),
        micros(until),
    ))?;
    match by {
        WithheldBy::Silence(id) => silences::count(connection, id, false),
        WithheldBy::Incident(_) => Ok(()),
    }
}

/// Ends a pending delivery that is not to be sent at all.
fn drop_pending(
    connection: &Connection,
    id: DeliveryId,
    by: WithheldBy,
    now: Timestamp,
) -> Result<(), StoreError> {
    let reason = format!("silenced: {}", describe(connection, by)?);
    let sql = "UPDATE delivery SET status = ?2, finished = ?3, reason = ?4
               WHERE id = ?1 AND status = 0";
    let status = DeliveryStatus::Silenced.number();
    connection
        .prepare_cached(sql)?
        .run((id.as_bytes(), status, micros(now), reason))?;
    match by {
        WithheldBy::Silence(id) => silences::count(connection, id, true),
        WithheldBy::Incident(_) => Ok(()),
    }
}

/// Releases what nothing withholds any more, and ends what was withheld by a silence that was ended
/// so; at most [`STEP`] deliveries.
pub(super) fn release(connection: &Connection, now: Timestamp) -> Result<ReleaseStep, StoreError> {
    let mut step = ReleaseStep::default();
    let mut left = STEP;
    let mut statement = connection.prepare_cached(OVER)?;
    let over = statement.query_map([micros(now)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let over: Vec<(i64, bool)> = over.collect::<Result<_, _>>()?;
    for (silence, drops) in over {
        let rows = open_rows(connection, OF_SILENCE, silence, left)?;
        let is_rest = rows.len() < left;
        left -= rows.len();
        let reason = format!("silenced: {}", silences::describe(connection, silence)?);
        for row in rows {
            if drops {
                step.dropped += u64::from(end(connection, &row, &reason, now)?);
                silences::count(connection, silence, true)?;
            } else {
                release_one(connection, row, now, &mut step)?;
            }
        }
        if !is_rest {
            step.is_more = true;
            return Ok(step);
        }
        let sql = "UPDATE silence SET settled = 1 WHERE id = ?1";
        connection.prepare_cached(sql)?.run([silence])?;
    }
    let mut statement = connection.prepare_cached(ENDED_INCIDENTS)?;
    let ended = statement.query_map((), |row| row.get(0))?;
    let ended: Vec<i64> = ended.collect::<Result<_, _>>()?;
    for incident in ended {
        let rows = open_rows(connection, OF_INCIDENT, incident, left)?;
        left -= rows.len();
        for row in rows {
            release_one(connection, row, now, &mut step)?;
        }
        if left == 0 {
            step.is_more = true;
            return Ok(step);
        }
    }
    let rows = open_rows(connection, UP_TO, micros(now), left)?;
    step.is_more = rows.len() == left;
    for row in rows {
        release_one(connection, row, now, &mut step)?;
    }
    Ok(step)
}

/// The silences that are over and not settled, and whether their deliveries are ended.
pub(super) const OVER: &str = "SELECT id, ifnull(ended_drops, 0)
    FROM silence INDEXED BY silence_open
    WHERE settled = 0 AND (ended IS NOT NULL OR until <= ?1) ORDER BY id";
/// What a silence withholds.
pub(super) const OF_SILENCE: &str = "SELECT delivery, number, target
    FROM withheld INDEXED BY withheld_silence WHERE silence = ?1 AND ended IS NULL
    ORDER BY delivery, number LIMIT ?2";
/// What an incident withholds.
pub(super) const OF_INCIDENT: &str = "SELECT delivery, number, target
    FROM withheld INDEXED BY withheld_incident WHERE incident = ?1 AND ended IS NULL
    ORDER BY delivery, number LIMIT ?2";
/// The incidents that have ended, or are gone, and withhold something: one look at the index for
/// each incident that withholds something, however much that is.
pub(super) const ENDED_INCIDENTS: &str = "WITH RECURSIVE withholding (id) AS (
        SELECT min(incident) FROM withheld INDEXED BY withheld_incident
        WHERE ended IS NULL AND incident IS NOT NULL
        UNION ALL
        SELECT (SELECT min(w.incident) FROM withheld AS w INDEXED BY withheld_incident
                WHERE w.ended IS NULL AND w.incident > withholding.id)
        FROM withholding WHERE withholding.id IS NOT NULL)
    SELECT withholding.id FROM withholding
    WHERE withholding.id IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM incident AS i
                      WHERE i.id = withholding.id AND i.ended IS NULL)";
/// What is withheld until `?1` or before.
pub(super) const UP_TO: &str = "SELECT delivery, number, target
    FROM withheld INDEXED BY withheld_until WHERE until <= ?1 AND ended IS NULL
    ORDER BY until, delivery, number LIMIT ?2";

/// A delivery that is withheld.
struct OpenRow {
    id: [u8; 16],
    number: i64,
    target: String,
}

fn open_rows(
    connection: &Connection,
    sql: &str,
    parameter: i64,
    limit: usize,
) -> Result<Vec<OpenRow>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map((parameter, limit), |row| {
        Ok(OpenRow {
            id: row.get(0)?,
            number: row.get(1)?,
            target: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Makes a withheld delivery pending again, at its place.
fn release_one(
    connection: &Connection,
    row: OpenRow,
    now: Timestamp,
    step: &mut ReleaseStep,
) -> Result<(), StoreError> {
    close_period(connection, &row, now)?;
    // A new series: neither attempts before nor the wait count.
    let sql = "UPDATE delivery
               SET status = 0, attempt = 1, since = ?2, due = ?2, set_at = ?2, claimed = 0,
                   head = 1, failed = NULL, retry = NULL
               WHERE id = ?1 AND status = ?3
               RETURNING order_key, seq, number, id";
    let status = DeliveryStatus::Withheld.number();
    let mut statement = connection.prepare_cached(sql)?;
    let released = statement
        .query_row((row.id, micros(now), status), |row| {
            order::read_place(row, 0)
        })
        .optional()?;
    let Some(place) = released else {
        return Ok(());
    };
    if let Some(place) = place {
        order::update_one(connection, &row.target, place, now)?;
        order::update_next(connection, &row.target, place, now)?;
    }
    step.released += 1;
    if let Err(index) = step.targets.binary_search(&row.target) {
        step.targets.insert(index, row.target);
    }
    Ok(())
}

/// Ends a withheld delivery as silenced. Returns whether it was withheld.
fn end(
    connection: &Connection,
    row: &OpenRow,
    reason: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    close_period(connection, row, now)?;
    let (from, to) = (DeliveryStatus::Withheld, DeliveryStatus::Silenced);
    let id = DeliveryId::from(row.id);
    outbox::transfer(connection, id, from, to, Some(reason), now)
}

fn close_period(connection: &Connection, row: &OpenRow, now: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE withheld SET ended = ?3 WHERE delivery = ?1 AND number = ?2";
    connection
        .prepare_cached(sql)?
        .run((row.id, row.number, micros(now)))?;
    Ok(())
}

/// Cancels a withheld delivery. Returns whether it was withheld.
pub(super) fn cancel(
    connection: &Connection,
    id: DeliveryId,
    reason: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let (from, to) = (DeliveryStatus::Withheld, DeliveryStatus::Cancelled);
    if !outbox::transfer(connection, id, from, to, Some(reason), now)? {
        return Ok(false);
    }
    let sql = "UPDATE withheld SET ended = ?2 WHERE delivery = ?1 AND ended IS NULL";
    connection
        .prepare_cached(sql)?
        .run((id.as_bytes(), micros(now)))?;
    Ok(true)
}

/// What is withheld under a name, as `delays::NAMED` finds what is pending.
pub(super) const NAMED: &str = "SELECT d.id FROM withheld AS w INDEXED BY withheld_named
    CROSS JOIN delivery AS d
    WHERE d.id = w.delivery AND w.ended IS NULL AND w.name IS NOT NULL
          AND w.rule = ?1 AND w.scope IS ?2 AND w.name = ?3
          AND (CAST(?4 AS TEXT) IS NULL OR d.replay = ?4 AND (d.seq, d.number) < (?5, ?6))
    ORDER BY w.delivery, w.number";

/// When something is to be released next.
pub(super) fn next_release(connection: &Connection) -> Result<Option<Timestamp>, StoreError> {
    let mut statement = connection.prepare_cached(ENDED_INCIDENTS)?;
    if statement.exists(())? {
        return Ok(Some(Timestamp::MIN));
    }
    let mut statement = connection.prepare_cached(NEXT_SILENCE)?;
    let silence = statement.query_row((), |row| row.get(0))?;
    let next: [Option<i64>; 2] = [first_until(connection)?, silence];
    Ok(next.into_iter().flatten().min().map(instant))
}

/// Until when the first delivery is withheld; `None` if none is.
fn first_until(connection: &Connection) -> Result<Option<i64>, StoreError> {
    let mut statement = connection.prepare_cached(NEXT_UNTIL)?;
    Ok(statement.query_row((), |row| row.get(0))?)
}

/// When the first delivery is to be released.
pub(super) const NEXT_UNTIL: &str =
    "SELECT min(until) FROM withheld INDEXED BY withheld_until WHERE ended IS NULL";
/// When the first silence is over.
pub(super) const NEXT_SILENCE: &str = "SELECT min(ifnull(ended, until))
    FROM silence INDEXED BY silence_open WHERE settled = 0";

/// For each target with withheld deliveries: how many.
pub(super) fn counts(connection: &Connection) -> Result<Vec<(String, u64)>, StoreError> {
    let sql = "SELECT target, count(*) FROM withheld INDEXED BY withheld_until
               WHERE ended IS NULL GROUP BY target ORDER BY target";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map((), |row| {
        let count: i64 = row.get(1)?;
        Ok((row.get(0)?, count.unsigned_abs()))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The last times in which a delivery was withheld, the earliest first.
pub(super) fn periods(
    connection: &Connection,
    id: DeliveryId,
    limit: usize,
) -> Result<Vec<WithheldPeriod>, StoreError> {
    let sql = "SELECT silence, incident, since, until, ended FROM withheld
               WHERE delivery = ?1 ORDER BY number DESC LIMIT ?2";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map((id.as_bytes(), limit), |row| {
        let (silence, incident): (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
        let ended: Option<i64> = row.get(4)?;
        Ok(WithheldPeriod {
            by: match (silence, incident) {
                (Some(silence), _) => WithheldBy::Silence(silence),
                (None, incident) => WithheldBy::Incident(incident.unwrap_or_default()),
            },
            since: instant(row.get(2)?),
            until: instant(row.get(3)?),
            ended: ended.map(instant),
        })
    })?;
    let mut periods: Vec<_> = rows.collect::<Result<_, _>>()?;
    periods.reverse();
    Ok(periods)
}

fn columns(by: WithheldBy) -> (Option<i64>, Option<i64>) {
    match by {
        WithheldBy::Silence(id) => (Some(id), None),
        WithheldBy::Incident(id) => (None, Some(id)),
    }
}

fn describe(connection: &Connection, by: WithheldBy) -> Result<String, StoreError> {
    match by {
        WithheldBy::Silence(id) => silences::describe(connection, id),
        WithheldBy::Incident(id) => Ok(format!("incident {id}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreOptions;
    use crate::sqlite::schema;

    /// Nothing inhibits anything.
    struct None;

    impl Withholding for None {
        fn decide(
            &self,
            _: &ActiveWithholding,
            _: &Candidate<'_>,
            _: Timestamp,
        ) -> WithholdingDecision {
            WithholdingDecision::Deliver
        }

        fn inhibiting_rules(&self) -> Vec<String> {
            vec!["a".into(), "b".into()]
        }
    }

    #[test]
    fn a_claim_reads_a_limited_number_of_incidents() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let connection = schema::open_writer(&path, &StoreOptions::default()).unwrap();
        let connection = Connection::sqlite(connection);
        let insert = "INSERT INTO incident (rule, window, key, opened, seq, last)
                      VALUES (?1, 1, ?2, 0, 1, 0)";
        for (rule, count) in [("a", 600), ("b", 401), ("c", 5)] {
            for key in 0..count {
                let mut insert = connection.prepare_cached(insert).unwrap();
                insert.execute((rule, key)).unwrap();
            }
        }
        let found = active(&connection, Some(&None), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(found.incidents.len(), MAX_INHIBITING_INCIDENTS);
        assert!(found.incidents.iter().all(|incident| incident.rule != "c"));
    }
}
