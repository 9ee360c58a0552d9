//! The matches of rules with a time window, and which events of the archive they refer to.
//!
//! What is to be decided of all matches of a window at once is a column of one row of `match_rule`:
//! closing a million matches marks that row, and their own rows are removed later, in small steps.
//!
//! ```text
//! match_rule   7 stuck  window 8c1f…  closed = 1      kept_match   7 "eni-1" …   closed, invisible
//!              9 stuck  window 03aa…  closed = 0                   9 "eni-1" …
//! kept_event   4711  refs = 2                         archive      4711 …        kept by both
//! ```
//!
//! As long as the row of a match is there, the events that it refers to are kept, so that the
//! references are those of the rows, whatever is closed.

use std::sync::{Arc, LazyLock};

use jiff::{SignedDuration, Timestamp};
use reflexarc::FiredMatch;
use reflexarc_reaction::KeptMatch;

use super::incidents::{self, Ending};
use super::{instant, micros};
use crate::database;
use crate::database::{Connection, Optional, Row};
use crate::{IncidentEnd, StoreError};

/// What version 7 added besides columns.
// Not an index of kinds: building one reads the whole archive, for the minutes of an upgrade.
// The rows of `kept_match` are found by rule and key, and by their deadline in the order in which
// they fire; the index of deadlines ends with rule and key, as the table is WITHOUT ROWID.
pub(crate) const MATCHES: &str = "
CREATE TABLE newest_entry (                     -- of the entries that are no events
    entry INTEGER PRIMARY KEY,                  -- their kind
    seq   INTEGER NOT NULL                      -- position of the newest, also when it was removed
);

CREATE TABLE match_rule (                       -- a window of a rule
    id       INTEGER PRIMARY KEY,
    rule     TEXT NOT NULL,
    window   INTEGER NOT NULL,                  -- its fingerprint
    closed   INTEGER NOT NULL DEFAULT 0,        -- its matches are invisible, and will be removed
    pending  INTEGER NOT NULL DEFAULT 0,        -- number of its matches that wait
    kept     INTEGER NOT NULL DEFAULT 0,        -- number of the others
    settled  INTEGER                            -- see `deadlines.rs`
);
CREATE UNIQUE INDEX match_rule_open ON match_rule (rule, window) WHERE closed = 0;
CREATE INDEX match_rule_closed ON match_rule (id) WHERE closed = 1;

CREATE TABLE kept_match (
    rule       INTEGER NOT NULL,                -- of `match_rule`
    key        TEXT NOT NULL,                   -- JSON
    data       TEXT NOT NULL,
    due        INTEGER,
    not_before INTEGER,
    shift      INTEGER NOT NULL,
    expires    INTEGER,
    pending    INTEGER NOT NULL,
    positions  BLOB NOT NULL,                   -- see `pack_positions`
    incident   INTEGER,                         -- that is open, see `incidents.rs`
    PRIMARY KEY (rule, key)
) WITHOUT ROWID;
CREATE INDEX match_by_due ON kept_match (due) WHERE due IS NOT NULL;
CREATE INDEX match_by_expiry ON kept_match (expires, pending) WHERE expires IS NOT NULL;
CREATE TRIGGER match_added AFTER INSERT ON kept_match BEGIN
    UPDATE match_rule SET pending = pending + new.pending, kept = kept + 1 - new.pending
    WHERE id = new.rule;
END;
CREATE TRIGGER match_removed AFTER DELETE ON kept_match BEGIN
    UPDATE match_rule SET pending = pending - old.pending, kept = kept - 1 + old.pending
    WHERE id = old.rule;
END;
CREATE TRIGGER match_changed AFTER UPDATE OF pending ON kept_match
WHEN old.pending <> new.pending BEGIN
    UPDATE match_rule SET pending = pending - old.pending + new.pending,
                          kept = kept + old.pending - new.pending
    WHERE id = new.rule;
END;

CREATE TABLE kept_event (                       -- entries of the archive that matches refer to
    seq  INTEGER PRIMARY KEY,
    refs INTEGER NOT NULL                       -- number of matches that do
);
";

/// The columns that [`read_row`] reads, of `match_rule AS r` and `kept_match AS m`.
pub(super) const COLUMNS: &str = "r.window, m.data, m.due, m.not_before, m.shift, m.expires, \
                                  m.pending, m.positions";

/// The statement of [`read`].
static FIND: LazyLock<String> = LazyLock::new(find);

/// The matches of a rule at a key: at most one, see [`set`].
// A rule has one open window; two for as long as events that were evaluated by the rules before a
// reload are being stored.
pub(super) fn find() -> String {
    format!(
        "SELECT {COLUMNS} FROM match_rule AS r INDEXED BY match_rule_open
         CROSS JOIN kept_match AS m
         WHERE r.rule = ?1 AND r.closed = 0 AND m.rule = r.id AND m.key = ?2
           AND (m.expires IS NULL OR m.expires > ?3)"
    )
}

/// The number of matches of a rule that wait, and of the others, those included that have expired.
pub(super) const COUNT: &str = "SELECT CAST(coalesce(sum(pending), 0) AS BIGINT),
        CAST(coalesce(sum(kept), 0) AS BIGINT)
    FROM match_rule INDEXED BY match_rule_open WHERE rule = ?1 AND closed = 0";
/// Whether more than a number of matches of a rule have expired.
pub(super) const EXPIRED: &str = "SELECT EXISTS
    (SELECT 1 FROM kept_match INDEXED BY match_by_expiry
     WHERE expires <= ?2 AND pending = ?3 AND rule IN
         (SELECT id FROM match_rule INDEXED BY match_rule_open WHERE rule = ?1 AND closed = 0)
     LIMIT 1 OFFSET ?4)";

/// The match of a rule at a key, unless it has expired.
pub(super) fn read(
    connection: &Connection,
    rule: &str,
    key: &str,
    now: Timestamp,
) -> Result<Option<KeptMatch>, StoreError> {
    let mut statement = connection.prepare_cached(&FIND)?;
    let found = statement.query_row((rule, key, micros(now)), |row| read_row(row, 0));
    found.optional()?.transpose().map_err(|reason| {
        // It fails the evaluation rather than counting as absent: what waits would be forgotten.
        StoreError::Failed(format!("match of rule {rule} at {key}: {reason}"))
    })
}

/// Whether a rule has fewer than `max` unexpired matches that wait, or that do not.
pub(super) fn has_room(
    connection: &Connection,
    rule: &str,
    pending: bool,
    max: usize,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let counts = connection
        .prepare_cached(COUNT)?
        .query_row([rule], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (waiting, others): (i64, i64) = counts;
    let count = if pending { waiting } else { others };
    let excess = count.saturating_sub(i64::try_from(max).unwrap_or(i64::MAX));
    if excess < 0 {
        return Ok(true);
    }
    // Only at the limit: whether more of them than the excess have expired and wait for pruning.
    Ok(connection
        .prepare_cached(EXPIRED)?
        .query_row((rule, micros(now), pending, excess), |row| row.get(0))?)
}

/// Sets the match of a rule at a key. If it is not remembered as fired any more, its incident ends.
pub(super) fn set(
    connection: &Connection,
    rule: &str,
    key: &str,
    kept: &KeptMatch,
    ending: &Ending<'_>,
) -> Result<(), StoreError> {
    let id = open_window(connection, rule, kept.window)?;
    // Of another window of the rule: a key has one match.
    remove_where(connection, OTHERS, (rule, key, id), ending)?;
    let sql = "SELECT positions, incident FROM kept_match WHERE rule = ?1 AND key = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let before = statement.query_row((id, key), |row| {
        Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Option<i64>>(1)?))
    });
    let (before, incident) = before.optional()?.unwrap_or_default();
    if let Some(incident) = incident
        && FiredMatch::of(kept).is_none()
    {
        incidents::end(connection, incident, ending)?;
        let sql = "UPDATE kept_match SET incident = NULL WHERE rule = ?1 AND key = ?2";
        connection.prepare_cached(sql)?.run((id, key))?;
    }
    let sql = "INSERT INTO kept_match
                   (rule, key, data, due, not_before, shift, expires, pending, positions)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
               ON CONFLICT (rule, key) DO UPDATE
               SET data = ?3, due = ?4, not_before = ?5, shift = ?6, expires = ?7, pending = ?8,
                   positions = ?9";
    let positions = pack_positions(&kept.positions);
    connection.prepare_cached(sql)?.run((
        id,
        key,
        &*kept.data,
        kept.due.map(micros),
        kept.not_before.map(micros),
        i64::try_from(kept.shift.as_micros()).unwrap_or(i64::MAX),
        kept.expires.map(micros),
        kept.is_pending,
        &positions,
    ))?;
    if before != positions {
        // First what is added: what both have is never without a reference.
        change_references(connection, &kept.positions, Reference::Add)?;
        change_references(connection, &unpack_positions(&before), Reference::Remove)?;
    }
    Ok(())
}

/// Removes the match of a rule at a key. Returns whether there was one.
pub(super) fn remove(
    connection: &Connection,
    rule: &str,
    key: &str,
    ending: &Ending<'_>,
) -> Result<bool, StoreError> {
    // No window has the number of none.
    Ok(remove_where(connection, OTHERS, (rule, key, 0), ending)? > 0)
}

/// The matches of a rule at a key in open windows other than `?3`.
pub(super) const OTHERS: &str = "SELECT m.rule, m.key, m.positions, m.incident
    FROM match_rule AS r INDEXED BY match_rule_open CROSS JOIN kept_match AS m
    WHERE r.rule = ?1 AND r.closed = 0 AND r.id <> ?3 AND m.rule = r.id AND m.key = ?2";

/// Removes the matches that a query finds, with their references; their incidents end. Returns how
/// many there were.
pub(super) fn remove_where(
    connection: &Connection,
    query: &str,
    parameters: impl database::Params,
    ending: &Ending<'_>,
) -> Result<usize, StoreError> {
    let mut statement = connection.prepare_cached(query)?;
    let found = statement.query_map(parameters, |row| {
        Ok((
            row.get::<_, i64>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, Vec<u8>>(2)?,
            row.get::<_, Option<i64>>(3)?,
        ))
    })?;
    let found = found.collect::<Result<Vec<_>, _>>()?;
    for (rule, key, positions, incident) in &found {
        if let Some(incident) = incident {
            incidents::end(connection, *incident, ending)?;
        }
        let sql = "DELETE FROM kept_match WHERE rule = ?1 AND key = ?2";
        connection.prepare_cached(sql)?.run((rule, key))?;
        change_references(connection, &unpack_positions(positions), Reference::Remove)?;
    }
    Ok(found.len())
}

/// The matches that have expired.
const OLD: &str = "SELECT rule, key, positions, incident FROM kept_match INDEXED BY match_by_expiry
    WHERE expires <= ?1 LIMIT ?2";
/// The matches of closed windows.
const CLOSED: &str = "SELECT m.rule, m.key, m.positions, m.incident
    FROM match_rule AS r INDEXED BY match_rule_closed CROSS JOIN kept_match AS m
    WHERE r.closed = 1 AND m.rule = r.id LIMIT ?1";

/// Removes some of the matches that have expired, or whose windows are closed. Returns whether
/// there are no more.
pub(super) fn forget(
    connection: &Connection,
    now: Timestamp,
    step: u32,
) -> Result<bool, StoreError> {
    let ending = &Ending::new(IncidentEnd::Forgotten, now);
    let expired = remove_where(connection, OLD, (micros(now), step), ending)?;
    if expired >= step as usize {
        return Ok(false);
    }
    // Their incidents have ended when they were closed.
    if remove_where(connection, CLOSED, [step], ending)? > 0 {
        return Ok(false);
    }
    let sql = "DELETE FROM match_rule WHERE closed = 1";
    connection.prepare_cached(sql)?.run(())?;
    Ok(true)
}

/// The number of the open window of a rule; it is opened if there is none.
fn open_window(connection: &Connection, rule: &str, window: u64) -> Result<i64, StoreError> {
    let sql = "SELECT id FROM match_rule INDEXED BY match_rule_open
               WHERE rule = ?1 AND window = ?2 AND closed = 0";
    let window = window.cast_signed();
    let mut statement = connection.prepare_cached(sql)?;
    let id = statement.query_row((rule, window), |row| row.get(0));
    if let Some(id) = id.optional()? {
        return Ok(id);
    }
    let sql = "INSERT INTO match_rule (rule, window) VALUES (?1, ?2) RETURNING id";
    Ok(connection.insert(sql, (rule, window))?)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reference {
    Add,
    Remove,
}

fn change_references(
    connection: &Connection,
    positions: &[u64],
    change: Reference,
) -> Result<(), StoreError> {
    for position in positions {
        let seq = position.cast_signed();
        if change == Reference::Add {
            let sql = "INSERT INTO kept_event (seq, refs) VALUES (?1, 1)
                       ON CONFLICT (seq) DO UPDATE SET refs = kept_event.refs + 1";
            connection.prepare_cached(sql)?.run([seq])?;
            continue;
        }
        // Nearly all events have one reference.
        let sql = "DELETE FROM kept_event WHERE seq = ?1 AND refs <= 1";
        if connection.prepare_cached(sql)?.execute([seq])? == 0 {
            let sql = "UPDATE kept_event SET refs = refs - 1 WHERE seq = ?1";
            connection.prepare_cached(sql)?.run([seq])?;
        }
    }
    Ok(())
}

/// A match in the columns [`COLUMNS`] from `first` on; the inner error is of its data.
pub(super) fn read_row(
    row: &Row<'_>,
    first: usize,
) -> database::Result<Result<KeptMatch, &'static str>> {
    let time = |column: usize| -> database::Result<Option<Timestamp>> {
        Ok(row.get::<_, Option<i64>>(first + column)?.map(instant))
    };
    let data: String = row.get(first + 1)?;
    let mut kept = KeptMatch::new(Arc::<str>::from(data));
    kept.window = row.get::<_, i64>(first)?.cast_unsigned();
    kept.due = time(2)?;
    kept.not_before = time(3)?;
    kept.shift = SignedDuration::from_micros(row.get(first + 4)?);
    kept.expires = time(5)?;
    kept.is_pending = row.get(first + 6)?;
    let positions: Vec<u8> = row.get(first + 7)?;
    kept.positions = unpack_positions(&positions);
    // Written by us, so that only damage makes another text of it.
    if pack_positions(&kept.positions) != positions {
        return Ok(Err("its positions are damaged"));
    }
    Ok(Ok(kept))
}

/// Positions, which are ascending, as the differences between them, each in groups of 7 bits, the
/// lowest first:
///
/// ```text
/// 300, 301    172 2 | 1
/// ```
pub(super) fn pack_positions(positions: &[u64]) -> Vec<u8> {
    let (mut packed, mut last) = (Vec::new(), 0_u64);
    for position in positions {
        let mut rest = position.wrapping_sub(last);
        last = *position;
        while rest >= 0x80 {
            packed.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        let [lowest, ..] = rest.to_le_bytes();
        packed.push(lowest);
    }
    packed
}

/// The inverse of [`pack_positions`], of any bytes.
pub(super) fn unpack_positions(packed: &[u8]) -> Vec<u64> {
    let (mut positions, mut last, mut rest, mut shift) = (Vec::new(), 0_u64, 0_u64, 0_u32);
    for byte in packed {
        rest |= u64::from(byte & 0x7f)
            .checked_shl(shift)
            .unwrap_or_default();
        shift += 7;
        if byte & 0x80 == 0 {
            last = last.wrapping_add(rest);
            positions.push(last);
            (rest, shift) = (0, 0);
        }
    }
    positions
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn positions_that_follow_each_other_take_a_byte_each() {
        assert_eq!(pack_positions(&[300, 301, 302]), [172, 2, 1, 1]);
        assert_eq!(pack_positions(&[]), [0_u8; 0]);
    }

    proptest! {
        #[test]
        fn unpacking_positions_is_the_inverse_of_packing(
            mut positions in prop::collection::vec(any::<u64>(), 0..20),
        ) {
            positions.sort_unstable();
            positions.dedup();
            prop_assert_eq!(unpack_positions(&pack_positions(&positions)), positions);
        }

        #[test]
        fn any_bytes_are_unpacked(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert!(unpack_positions(&bytes).len() <= bytes.len());
        }
    }
}
