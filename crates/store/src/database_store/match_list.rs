//! Lists of matches, for operators, and what operators do with them.

use jiff::Timestamp;
use reflexarc::{Evaluation, RuleEffects};
use reflexarc_delivery::EventRef;
use reflexarc_event::{EventIdentity, Json};
use reflexarc_reaction::{KeptMatch, StateChange};

use super::deadlines::{OpenWindow, open_windows};
use super::incidents::{self, Ending};
use super::matches::{COLUMNS, read, read_row};
use super::{accept, micros};
use crate::database::{Connection, Optional};
use crate::{
    ClosedBy, DamagedMatch, EntryKind, IncidentEnd, MatchCount, MatchCursor, MatchFilter,
    MatchPage, NewEntry, PageLimits, PendingMatch, StoreError,
};

/// Matches that one page looks at, most of which may wait for nothing.
const LOOK_STEP: i64 = 4_096;

/// How many matches each rule has.
pub(super) fn counts(connection: &Connection) -> Result<Vec<MatchCount>, StoreError> {
    let sql = "SELECT rule, CAST(sum(pending) AS BIGINT), CAST(sum(kept) AS BIGINT)
               FROM match_rule INDEXED BY match_rule_open WHERE closed = 0
               GROUP BY rule HAVING sum(pending) + sum(kept) > 0 ORDER BY rule";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map((), |row| {
        Ok(MatchCount {
            rule: row.get(0)?,
            pending: row.get::<_, i64>(1)?.unsigned_abs(),
            kept: row.get::<_, i64>(2)?.unsigned_abs(),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The matches that a filter selects, after a place of the list.
pub(super) fn page(
    connection: &Connection,
    filter: &MatchFilter,
    after: Option<&MatchCursor>,
    limits: PageLimits,
    now: Timestamp,
) -> Result<MatchPage, StoreError> {
    let (mut page, mut left) = (MatchPage::default(), (limits, LOOK_STEP));
    let place = |window: &OpenWindow| (window.rule.clone(), window.fingerprint);
    let begin = after.map(|after| (after.rule.clone(), after.window));
    for window in open_windows(connection)? {
        if filter
            .rule
            .as_ref()
            .is_some_and(|rule| *rule != window.rule)
            || begin.as_ref().is_some_and(|begin| place(&window) < *begin)
        {
            continue;
        }
        let after = after.filter(|_| begin.as_ref() == Some(&place(&window)));
        let after = after.map_or("", |after| &after.key);
        page.next = part(
            connection, &window, filter, after, now, &mut left, &mut page,
        )?;
        if page.next.is_some() {
            break;
        }
    }
    Ok(page)
}

/// The matches of a window at a key, or after a key.
pub(super) fn of_window(of_key: bool) -> String {
    let condition = if of_key { "m.key = ?2" } else { "m.key > ?2" };
    format!(
        "SELECT m.key, m.expires > ?3, {COLUMNS}
         FROM match_rule AS r CROSS JOIN kept_match AS m
         WHERE m.rule = r.id AND r.id = ?1 AND {condition} ORDER BY m.key LIMIT ?4"
    )
}

/// Adds the matches of a window. Returns where the page ends, if it does there.
fn part(
    connection: &Connection,
    window: &OpenWindow,
    filter: &MatchFilter,
    after: &str,
    now: Timestamp,
    left: &mut (PageLimits, i64),
    page: &mut MatchPage,
) -> Result<Option<MatchCursor>, StoreError> {
    if filter.keys.is_empty() {
        let range = (after, false);
        return rows(connection, window, filter.kept, range, now, left, page);
    }
    for key in filter.keys.iter().filter(|key| key.as_str() > after) {
        let range = (key.as_str(), true);
        let end = rows(connection, window, filter.kept, range, now, left, page)?;
        if end.is_some() {
            return Ok(end);
        }
    }
    Ok(None)
}

/// Adds the matches of a window at a key, or after it.
fn rows(
    connection: &Connection,
    window: &OpenWindow,
    kept: bool,
    (key, is_exact): (&str, bool),
    now: Timestamp,
    (limits, look): &mut (PageLimits, i64),
    page: &mut MatchPage,
) -> Result<Option<MatchCursor>, StoreError> {
    let is_wanted = |found: &KeptMatch| found.is_pending || kept;
    let mut statement = connection.prepare_cached(&of_window(is_exact))?;
    let mut rows = statement.query((window.id, key, micros(now), *look))?;
    let mut last = None;
    while let Some(row) = rows.next()? {
        let found: String = row.get(0)?;
        let is_live = row.get::<_, Option<bool>>(1)?.unwrap_or(true);
        *look -= 1;
        match read_row(&row, 2)? {
            Ok(kept) if is_wanted(&kept) && is_live => {
                limits.rows = limits.rows.saturating_sub(1);
                limits.bytes = limits.bytes.saturating_sub(found.len() + kept.data.len());
                page.matches.push(PendingMatch {
                    rule: window.rule.clone(),
                    key: found.clone(),
                    kept,
                });
            }
            Ok(_) => {}
            Err(reason) => page.damaged.push(DamagedMatch {
                rule: window.rule.clone(),
                key: found.clone(),
                reason: reason.to_owned(),
            }),
        }
        last = Some(found);
        if limits.rows == 0 || limits.bytes == 0 || *look <= 0 {
            break;
        }
    }
    let is_full = limits.rows == 0 || limits.bytes == 0 || *look <= 0;
    let last = last.filter(|_| is_full);
    Ok(last.map(|key| MatchCursor {
        rule: window.rule.clone(),
        window: window.fingerprint,
        key,
    }))
}

/// Removes a match because an operator closes it, and records that. Returns whether there was one.
pub(super) fn close(
    connection: &Connection,
    rule: &str,
    key: &str,
    closed: &ClosedBy,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Some(kept) = read(connection, rule, key, now)? else {
        return Ok(false);
    };
    let (event, resource) = opening_event(connection, &kept)?;
    let mut effects = RuleEffects::new(rule);
    let key = key.to_owned();
    let detail = Json::object([
        ("rule", rule.into()),
        ("key", key.as_str().into()),
        ("by", closed.by.as_str().into()),
        ("reason", Json::optional(closed.reason.as_deref())),
    ]);
    effects.changes.push(StateChange::RemoveMatch { key });
    let mut evaluation = Evaluation::default();
    evaluation.rules.push(effects);
    let entry = NewEntry {
        kind: EntryKind::Closed,
        at: now,
        // It has no deliveries that it would have to distinguish.
        identity: EventIdentity {
            source: event.source.clone(),
            id: event.id.clone(),
            name: String::new(),
            resource: resource.clone(),
            time: String::new(),
        },
        event,
        resource,
        detail,
    };
    accept::insert_entry(connection, &entry, &evaluation, now)?;
    Ok(true)
}

/// Ends an open incident by closing its match. Returns whether it was open.
pub(super) fn close_incident(
    connection: &Connection,
    id: i64,
    closed: &ClosedBy,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Some(incident) = incidents::find(connection, id)?.filter(|one| one.ended.is_none()) else {
        return Ok(false);
    };
    close(connection, &incident.rule, &incident.key, closed, now)?;
    // Its match may have expired, which `close` does not see.
    let ending = Ending {
        how: IncidentEnd::Closed,
        at: now,
        by: Some(&closed.by),
        reason: closed.reason.as_deref(),
    };
    incidents::end(connection, id, &ending)?;
    Ok(true)
}

/// Name and resource of the event that opened a match; empty if it keeps none.
fn opening_event(
    connection: &Connection,
    kept: &KeptMatch,
) -> Result<(EventRef, String), StoreError> {
    let none = (EventRef::default(), String::new());
    let Some(first) = kept.positions.first() else {
        return Ok(none);
    };
    Ok(event_at(connection, *first)?.unwrap_or(none))
}

/// Name and resource of the event at a position.
pub(super) fn event_at(
    connection: &Connection,
    position: u64,
) -> Result<Option<(EventRef, String)>, StoreError> {
    let sql = "SELECT source, id, resource FROM archive WHERE seq = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_row([position.cast_signed()], |row| {
        let (source, id) = (row.get(0)?, row.get(1)?);
        Ok((EventRef { source, id }, row.get(2)?))
    });
    Ok(found.optional()?)
}
