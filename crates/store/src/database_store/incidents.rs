//! Incidents: from the firing of a match to its end.
//!
//! An incident is open for as long as the match of its rule and key is remembered as fired. The row
//! of the match has its number, so that whatever changes or removes the match ends the incident in
//! the same transaction, and a match without one costs nothing more:
//!
//! ```text
//! fired       kept_match  stuck "eni-1"  incident 7      incident 7  count 1
//! fired again kept_match  stuck "eni-1"  incident 7      incident 7  count 2
//! resolved    kept_match  stuck "eni-1"  NULL, or gone   incident 7  ended: resolved
//! ```
//!
//! Windows that are closed as a whole (`deadlines.rs`) end their incidents by the window's number.

use jiff::Timestamp;
use reflexarc::{FiredMatch, FiringReason, RuleEffects};
use reflexarc_reaction::StateChange;

use super::{instant, micros};
use crate::database;
use crate::database::{Connection, Optional, Row};
use crate::{Incident, IncidentEnd, IncidentFilter, StoreError};

/// What version 9 added for incidents besides columns.
pub(crate) const INCIDENTS: &str = "
CREATE TABLE incident (
    id       INTEGER PRIMARY KEY AUTOINCREMENT, -- never of two incidents, also after pruning
    rule     TEXT NOT NULL,
    window   INTEGER NOT NULL,                  -- of `match_rule`
    key      TEXT NOT NULL,                     -- JSON, as in `kept_match`
    opened   INTEGER NOT NULL,                  -- when it fired first
    seq      INTEGER NOT NULL,                  -- position of the entry that fired first
    event    INTEGER,                           -- position of the event that the reaction saw
    last     INTEGER NOT NULL,                  -- when it fired last
    count    INTEGER NOT NULL DEFAULT 1,        -- how often it fired
    targets  TEXT NOT NULL DEFAULT '[]',        -- that got a delivery when it fired: JSON array
    acknowledged INTEGER,
    acknowledged_by TEXT,
    note     TEXT,
    ended    INTEGER,
    how      INTEGER,                           -- see `IncidentEnd`
    ended_by TEXT,
    reason   TEXT
);
CREATE INDEX incident_open ON incident (rule, window, key) WHERE ended IS NULL;
CREATE INDEX incident_ended ON incident (ended) WHERE ended IS NOT NULL;
CREATE INDEX delivery_by_incident ON delivery (incident) WHERE incident IS NOT NULL;
";

/// The columns that [`read_row`] reads, in its order.
const COLUMNS: &str = "id, rule, key, opened, seq, event, last, count, acknowledged, \
                       acknowledged_by, note, ended, how, ended_by, reason";

/// Removes incidents that ended before a time.
pub(super) const FORGET_INCIDENTS: &str = "DELETE FROM incident WHERE id IN
    (SELECT id FROM incident INDEXED BY incident_ended WHERE ended <= ?1 LIMIT ?2)";

/// How an incident ends whose match is not remembered as fired any more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ending<'a> {
    pub(super) how: IncidentEnd,
    pub(super) at: Timestamp,
    pub(super) by: Option<&'a str>,
    pub(super) reason: Option<&'a str>,
}

impl Ending<'_> {
    /// Without an operator.
    pub(super) fn new(how: IncidentEnd, at: Timestamp) -> Self {
        Self {
            how,
            at,
            by: None,
            reason: None,
        }
    }
}

/// The open incident of a rule's match at a key.
pub(super) fn of_match(
    connection: &Connection,
    rule: &str,
    key: &str,
) -> Result<Option<i64>, StoreError> {
    let mut statement = connection.prepare_cached(OF_MATCH)?;
    let found = statement.query_row((rule, key), |row| row.get(0));
    Ok(found.optional()?)
}

pub(super) const OF_MATCH: &str = "SELECT m.incident
    FROM match_rule AS r INDEXED BY match_rule_open CROSS JOIN kept_match AS m
    WHERE r.rule = ?1 AND r.closed = 0 AND m.rule = r.id AND m.key = ?2
      AND m.incident IS NOT NULL";

/// The key of the match that the effects of a rule are about.
pub(super) fn match_key(effects: &RuleEffects) -> Option<&str> {
    effects.firing.as_ref()?;
    effects.changes.iter().find_map(|change| match change {
        StateChange::SetMatch { key, .. } | StateChange::RemoveMatch { key } => Some(&**key),
        _ => None,
    })
}

/// Opens an incident for a match that has fired, or counts the firing, after the changes of the
/// effects were applied. `None` where nothing is remembered: such a match does not end.
pub(super) fn record_firing(
    connection: &Connection,
    effects: &RuleEffects,
    seq: i64,
    at: Timestamp,
) -> Result<Option<i64>, StoreError> {
    let is_firing = effects
        .firing
        .as_ref()
        .is_some_and(|firing| firing.reason == FiringReason::Fired);
    if !is_firing {
        return Ok(None);
    }
    let set = effects.changes.iter().find_map(|change| match change {
        StateChange::SetMatch { key, kept, .. } => Some((key, kept)),
        _ => None,
    });
    let Some((key, fired)) = set.and_then(|(key, kept)| Some((key, FiredMatch::of(kept)?))) else {
        return Ok(None);
    };
    if let Some(id) = of_match(connection, &effects.rule, key)? {
        let sql = "UPDATE incident SET count = count + 1, last = max(last, ?2) WHERE id = ?1";
        connection.prepare_cached(sql)?.run((id, micros(at)))?;
        return Ok(Some(id));
    }
    let window = "SELECT r.id FROM match_rule AS r INDEXED BY match_rule_open
                  CROSS JOIN kept_match AS m
                  WHERE r.rule = ?1 AND r.closed = 0 AND m.rule = r.id AND m.key = ?2";
    let mut statement = connection.prepare_cached(window)?;
    let window = statement.query_row((&effects.rule, key), |row| row.get::<_, i64>(0));
    let Some(window) = window.optional()? else {
        return Ok(None);
    };
    let sql = "INSERT INTO incident (rule, window, key, opened, seq, event, last)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?4) RETURNING id";
    let event = fired.event.map(u64::cast_signed);
    let row = (&effects.rule, window, key, micros(at), seq, event);
    let id = connection.insert(sql, row)?;
    let sql = "UPDATE kept_match SET incident = ?3 WHERE rule = ?1 AND key = ?2";
    connection.prepare_cached(sql)?.run((window, key, id))?;
    Ok(Some(id))
}

/// Ends an incident, unless it has ended.
pub(super) fn end(
    connection: &Connection,
    id: i64,
    ending: &Ending<'_>,
) -> Result<bool, StoreError> {
    let sql = "UPDATE incident SET ended = ?2, how = ?3, ended_by = ?4, reason = ?5
               WHERE id = ?1 AND ended IS NULL";
    let Ending {
        how,
        at,
        by,
        reason,
    } = ending;
    let changed =
        connection
            .prepare_cached(sql)?
            .execute((id, micros(*at), how.number(), by, reason))?;
    Ok(changed > 0)
}

/// Ends all open incidents of a window of a rule.
pub(super) fn end_window(
    connection: &Connection,
    rule: &str,
    window: i64,
    ending: &Ending<'_>,
) -> Result<(), StoreError> {
    let (at, how) = (micros(ending.at), ending.how.number());
    connection
        .prepare_cached(END_WINDOW)?
        .run((rule, window, at, how))?;
    Ok(())
}

pub(super) const END_WINDOW: &str = "UPDATE incident INDEXED BY incident_open
    SET ended = ?3, how = ?4 WHERE ended IS NULL AND rule = ?1 AND window = ?2";

/// Reads one incident.
pub(super) fn find(connection: &Connection, id: i64) -> Result<Option<Incident>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM incident WHERE id = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row([id], read_row).optional()?)
}

/// Incidents before an id, the newest first.
pub(super) fn list(
    connection: &Connection,
    filter: &IncidentFilter,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<Incident>, StoreError> {
    let sql = if filter.open {
        format!(
            "SELECT {COLUMNS} FROM incident INDEXED BY incident_open
             WHERE ended IS NULL AND id < ?1 AND (CAST(?2 AS TEXT) IS NULL OR rule = ?2)
             ORDER BY id DESC LIMIT ?3"
        )
    } else {
        format!(
            "SELECT {COLUMNS} FROM incident WHERE id < ?1 AND (CAST(?2 AS TEXT) IS NULL OR rule = ?2)
             ORDER BY id DESC LIMIT ?3"
        )
    };
    let mut statement = connection.prepare_cached(&sql)?;
    let before = before.unwrap_or(i64::MAX);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map((before, filter.rule.as_deref(), limit), read_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The number of open incidents of each rule that has any.
pub(super) fn counts(connection: &Connection) -> Result<Vec<(String, u64)>, StoreError> {
    let sql = "SELECT rule, count(*) FROM incident INDEXED BY incident_open
               WHERE ended IS NULL GROUP BY rule ORDER BY rule";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map((), |row| {
        Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn read_row(row: &Row<'_>) -> database::Result<Incident> {
    let time = |column: usize| -> database::Result<Option<Timestamp>> {
        Ok(row.get::<_, Option<i64>>(column)?.map(instant))
    };
    Ok(Incident {
        id: row.get(0)?,
        rule: row.get(1)?,
        key: row.get(2)?,
        opened: instant(row.get(3)?),
        seq: row.get(4)?,
        event: row.get::<_, Option<i64>>(5)?.map(i64::cast_unsigned),
        last: instant(row.get(6)?),
        count: row.get::<_, i64>(7)?.unsigned_abs(),
        acknowledged: time(8)?,
        acknowledged_by: row.get(9)?,
        note: row.get(10)?,
        ended: time(11)?,
        how: row
            .get::<_, Option<i64>>(12)?
            .and_then(IncidentEnd::from_number),
        ended_by: row.get(13)?,
        reason: row.get(14)?,
    })
}
