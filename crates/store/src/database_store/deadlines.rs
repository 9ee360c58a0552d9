//! Which matches are due, and what changes the deadlines of many at once.
//!
//! Rows of closed windows are in the index of deadlines until retention removes them. What is due
//! of them is removed when it is met, and so is what has expired: neither ever fires.

use jiff::{SignedDuration, Timestamp};

use super::incidents::{self, Ending};
use super::matches::remove_where;
use super::{instant, micros};
use crate::database::Connection;
use crate::{DueMatch, IncidentEnd, LiveWindow, StoreError};

/// Matches by deadline, window and key: whether each can fire.
pub(super) const DUE: &str = "SELECT m.due, r.rule, m.key, m.rule, r.window,
           r.closed = 0 AND (m.expires IS NULL OR m.expires > ?1)
    FROM kept_match AS m INDEXED BY match_by_due
    CROSS JOIN match_rule AS r
    WHERE r.id = m.rule AND m.due <= ?1 ORDER BY m.due, m.rule, m.key LIMIT ?2";
/// The open windows that have a match with the deadline `?1`, by the name of their rule.
pub(super) const WINDOWS_AT: &str = "SELECT r.rule, r.id, r.window
    FROM match_rule AS r INDEXED BY match_rule_open
    WHERE r.closed = 0 AND EXISTS
        (SELECT 1 FROM kept_match AS m INDEXED BY match_by_due WHERE m.due = ?1 AND m.rule = r.id)
    ORDER BY r.rule, r.window";
/// The matches of a window with the deadline `?1`.
pub(super) const AT: &str = "SELECT key FROM kept_match INDEXED BY match_by_due
    WHERE due = ?1 AND rule = ?2 AND (expires IS NULL OR expires > ?3) ORDER BY key LIMIT ?4";
/// The earliest deadline.
pub(super) const NEXT: &str =
    "SELECT min(due) FROM kept_match INDEXED BY match_by_due WHERE due IS NOT NULL";
/// One match, as [`remove_where`] takes it.
const ONE: &str =
    "SELECT rule, key, positions, incident FROM kept_match WHERE rule = ?1 AND key = ?2";

/// The earliest deadline, or one before it that will not fire.
pub(super) fn next(connection: &Connection) -> Result<Option<Timestamp>, StoreError> {
    let mut statement = connection.prepare_cached(NEXT)?;
    let due: Option<i64> = statement.query_row((), |row| row.get(0))?;
    Ok(due.map(instant))
}

/// A match with a deadline that has passed.
struct Due {
    at: i64,
    rule: String,
    key: String,
    window: i64,
    fingerprint: u64,
    can_fire: bool,
}

/// The matches of live windows that are due by `to`, at most `limit`: by deadline, then rule, then
/// key.
///
/// The index has those with the same deadline in the order of the numbers of their windows and not
/// of the names of their rules. Where more than `limit` have the same deadline, as after a restart,
/// those are read rule by rule:
///
/// ```text
/// limit 3   index    12:00 1 b   12:00 2 a   12:00 2 c | 12:00 3 a …    rules 1 z  2 m  3 a
///           due      12:00 a a …                        the rest comes next
/// ```
pub(super) fn due(
    connection: &Connection,
    to: Timestamp,
    limit: usize,
    live: LiveWindow<'_>,
) -> Result<Vec<DueMatch>, StoreError> {
    let is_live = |due: &Due| live(&due.rule, due.fingerprint);
    let mut read = limit.saturating_add(1);
    let mut found = loop {
        let mut found = first_due(connection, to, read)?;
        let is_all = found.len() < read;
        // As long as there are any, so that nothing due is passed over.
        if found.iter().any(|due| !due.can_fire) {
            for due in found.iter().filter(|due| !due.can_fire) {
                let ending = &Ending::new(IncidentEnd::Forgotten, to);
                remove_where(connection, ONE, (due.window, &due.key), ending)?;
            }
            continue;
        }
        found.retain(is_live);
        if is_all || found.len() > limit {
            break found;
        }
        // Behind those of other nodes: few, as those fire them.
        read = read.saturating_mul(2);
    };
    found.truncate(limit.saturating_add(1));
    if found.len() > limit
        && let Some(last) = found.last().map(|due| due.at)
    {
        found.retain(|due| due.at < last);
        add_due_at(connection, last, to, limit, live, &mut found)?;
    }
    let mut due: Vec<DueMatch> = found.into_iter().map(DueMatch::from).collect();
    due.sort_unstable();
    Ok(due)
}

/// The first matches with a deadline up to `to`, in the order of the index.
fn first_due(connection: &Connection, to: Timestamp, limit: usize) -> Result<Vec<Due>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(DUE)?;
    let rows = statement.query_map((micros(to), limit), |row| {
        Ok(Due {
            at: row.get(0)?,
            rule: row.get(1)?,
            key: row.get(2)?,
            window: row.get(3)?,
            fingerprint: row.get::<_, i64>(4)?.cast_unsigned(),
            can_fire: row.get(5)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Adds the first matches with this deadline by rule and key, until there are `limit`.
fn add_due_at(
    connection: &Connection,
    at: i64,
    to: Timestamp,
    limit: usize,
    live: LiveWindow<'_>,
    found: &mut Vec<Due>,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(WINDOWS_AT)?;
    let windows = statement.query_map([at], |row| {
        let fingerprint = row.get::<_, i64>(2)?.cast_unsigned();
        Ok((row.get(0)?, row.get(1)?, fingerprint))
    })?;
    let windows: Vec<(String, i64, u64)> = windows.collect::<Result<_, _>>()?;
    let mut statement = connection.prepare_cached(AT)?;
    for (rule, window, fingerprint) in windows {
        if !live(&rule, fingerprint) {
            continue;
        }
        let left = i64::try_from(limit.saturating_sub(found.len())).unwrap_or(i64::MAX);
        let keys = statement.query_map((at, window, micros(to), left), |row| row.get(0))?;
        for key in keys {
            found.push(Due {
                at,
                rule: rule.clone(),
                key: key?,
                window,
                fingerprint,
                can_fire: true,
            });
        }
    }
    Ok(())
}

/// Lets the matches that are due by `to` wait until the time that `settled` has for their rule.
/// Returns how many there were.
pub(super) fn postpone(
    connection: &Connection,
    to: Timestamp,
    settled: &dyn Fn(&str) -> Option<Timestamp>,
) -> Result<u64, StoreError> {
    // In a column, so that one walk over what is due serves all rules.
    let sql = "UPDATE match_rule SET settled = ?2 WHERE id = ?1";
    let mut update = connection.prepare_cached(sql)?;
    let mut is_any = false;
    for window in open_windows(connection)? {
        let settled = settled(&window.rule).map(micros);
        is_any |= settled.is_some();
        update.run((window.id, settled))?;
    }
    if !is_any {
        return Ok(0);
    }
    let changed = connection.prepare_cached(POSTPONE)?.execute([micros(to)])?;
    Ok(changed as u64)
}

/// What is due waits until `settled`.
pub(super) const POSTPONE: &str = "UPDATE kept_match AS m INDEXED BY match_by_due
    SET not_before = max(ifnull(m.not_before, r.settled), r.settled), due = max(m.due, r.settled)
    FROM match_rule AS r
    WHERE m.due <= ?1 AND (m.expires IS NULL OR m.expires > ?1)
      AND r.id = m.rule AND r.closed = 0 AND r.settled IS NOT NULL";

/// Moves all times of matches by `offset`. Returns how many had a deadline.
pub(super) fn shift(connection: &Connection, offset: SignedDuration) -> Result<u64, StoreError> {
    // From one end of the calendar to the other at most, so that no time overflows.
    let span = micros(Timestamp::MAX) - micros(Timestamp::MIN);
    let offset = i64::try_from(offset.as_micros()).unwrap_or(span);
    let offset = offset.clamp(-span, span);
    let with_deadline = connection.prepare_cached(SHIFT_DUE)?.execute([offset])?;
    connection.prepare_cached(SHIFT_OTHERS)?.run([offset])?;
    Ok(with_deadline as u64)
}

const SHIFT_DUE: &str = "UPDATE kept_match
    SET due = due + ?1, not_before = not_before + ?1, expires = expires + ?1, shift = shift + ?1
    WHERE due IS NOT NULL AND rule IN (SELECT id FROM match_rule WHERE closed = 0)";
const SHIFT_OTHERS: &str = "UPDATE kept_match
    SET not_before = not_before + ?1, expires = expires + ?1, shift = shift + ?1
    WHERE due IS NULL AND rule IN (SELECT id FROM match_rule WHERE closed = 0)";

/// Closes the matches of the windows that `keep` does not know. Returns how many of each rule were
/// pending, of those that had any.
pub(super) fn close(
    connection: &Connection,
    keep: LiveWindow<'_>,
    at: Timestamp,
) -> Result<Vec<(String, u64)>, StoreError> {
    let mut closed: Vec<(String, u64)> = Vec::new();
    for window in open_windows(connection)? {
        if keep(&window.rule, window.fingerprint) {
            continue;
        }
        // Marked, whatever there is of it: a million matches are closed as fast as one.
        let sql = "UPDATE match_rule SET closed = 1 WHERE id = ?1";
        connection.prepare_cached(sql)?.run([window.id])?;
        let ending = &Ending::new(IncidentEnd::RuleChanged, at);
        incidents::end_window(connection, &window.rule, window.id, ending)?;
        if window.pending == 0 {
            continue;
        }
        match closed.last_mut() {
            Some((rule, count)) if *rule == window.rule => *count += window.pending,
            _ => closed.push((window.rule, window.pending)),
        }
    }
    Ok(closed)
}

/// Closes all matches of a rule. Returns how many there were.
pub(super) fn close_rule(
    connection: &Connection,
    rule: &str,
    at: Timestamp,
) -> Result<u64, StoreError> {
    let ending = &Ending::new(IncidentEnd::RuleChanged, at);
    let mut closed = 0;
    for window in open_windows(connection)? {
        if window.rule == rule {
            let sql = "UPDATE match_rule SET closed = 1 WHERE id = ?1 RETURNING pending + kept";
            let mut statement = connection.prepare_cached(sql)?;
            let count: i64 = statement.query_row([window.id], |row| row.get(0))?;
            closed += count.unsigned_abs();
            incidents::end_window(connection, rule, window.id, ending)?;
        }
    }
    Ok(closed)
}

/// A window whose matches are visible.
pub(super) struct OpenWindow {
    pub(super) id: i64,
    pub(super) rule: String,
    pub(super) fingerprint: u64,
    pending: u64,
}

/// All open windows, by rule.
pub(super) fn open_windows(connection: &Connection) -> Result<Vec<OpenWindow>, StoreError> {
    let sql = "SELECT id, rule, window, pending FROM match_rule INDEXED BY match_rule_open
               WHERE closed = 0 ORDER BY rule, window";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map((), |row| {
        Ok(OpenWindow {
            id: row.get(0)?,
            rule: row.get(1)?,
            fingerprint: row.get::<_, i64>(2)?.cast_unsigned(),
            pending: row.get::<_, i64>(3)?.unsigned_abs(),
        })
    })?;
    let mut windows: Vec<OpenWindow> = rows.collect::<Result<_, _>>()?;
    // Not by the index, in which half of the fingerprints are negative.
    windows.sort_by(|left, right| {
        (&left.rule, left.fingerprint).cmp(&(&right.rule, right.fingerprint))
    });
    Ok(windows)
}

impl From<Due> for DueMatch {
    fn from(due: Due) -> Self {
        Self {
            at: instant(due.at),
            rule: due.rule,
            key: due.key,
        }
    }
}
