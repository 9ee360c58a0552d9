//! The silences.

use jiff::Timestamp;

use super::{instant, micros};
use crate::database;
use crate::database::{Connection, Optional, Row};
use crate::{ActiveSilence, NewSilence, Silence, SilenceEnd, StoreError};

/// What version 9 added for silences and withheld deliveries. The indexes:
//   silence_open       those that may withhold a delivery, or whose deliveries are to be released
//   withheld_until     what is released next
//   withheld_silence   what a silence withholds
//   withheld_incident  what an incident withholds
//   withheld_named     what waits under a name that a later event cancels or replaces
pub(crate) const SILENCES: &str = "
CREATE TABLE silence (
    id          INTEGER PRIMARY KEY,
    pattern     TEXT NOT NULL,
    begins      INTEGER NOT NULL,
    until       INTEGER NOT NULL,
    owner       TEXT NOT NULL,
    reason      TEXT NOT NULL,
    drops       INTEGER NOT NULL,               -- 1: deliveries are ended, not withheld
    created     INTEGER NOT NULL,
    ended       INTEGER,                        -- by an operator, before `until`
    ended_by    TEXT,
    ended_drops INTEGER,                        -- 1: what it withholds is ended, not released
    withheld    INTEGER NOT NULL DEFAULT 0,     -- how often it has withheld a delivery
    dropped     INTEGER NOT NULL DEFAULT 0,
    settled     INTEGER NOT NULL DEFAULT 0      -- 1: it is over, and withholds nothing any more
);
CREATE INDEX silence_open ON silence (until) WHERE settled = 0;

CREATE TABLE withheld (                         -- each time that a delivery was withheld
    delivery BLOB NOT NULL,
    number   INTEGER NOT NULL,                  -- counted for each delivery
    target   TEXT NOT NULL,
    rule     TEXT NOT NULL,
    scope    TEXT,                              -- as in `delivery`
    name     TEXT,                              -- `delay_key` of the delivery
    silence  INTEGER,
    incident INTEGER,
    since    INTEGER NOT NULL,
    until    INTEGER NOT NULL,                  -- when it is released at the latest
    ended    INTEGER,
    PRIMARY KEY (delivery, number)
) WITHOUT ROWID;
CREATE INDEX withheld_until ON withheld (until) WHERE ended IS NULL;
CREATE INDEX withheld_silence ON withheld (silence) WHERE ended IS NULL AND silence IS NOT NULL;
CREATE INDEX withheld_incident ON withheld (incident)
    WHERE ended IS NULL AND incident IS NOT NULL;
CREATE INDEX withheld_named ON withheld (rule, scope, name)
    WHERE ended IS NULL AND name IS NOT NULL;
";

/// Removes silences that are over since `?1`, at most `?2`. The newest stays, so that its number is
/// not given again.
pub(super) const FORGET_SILENCES: &str = "DELETE FROM silence WHERE id IN
    (SELECT id FROM silence
     WHERE settled = 1 AND min(until, ifnull(ended, until)) < ?1
           AND id < (SELECT max(id) FROM silence) LIMIT ?2)";

/// The columns that [`read`] reads.
const COLUMNS: &str = "id, pattern, begins, until, owner, reason, drops, created, ended, ended_by,
    ended_drops, withheld, dropped,
    (SELECT count(*) FROM withheld AS w INDEXED BY withheld_silence
     WHERE w.silence = s.id AND w.ended IS NULL)";

/// The silences that may withhold deliveries now.
pub(super) const ACTIVE: &str = "SELECT id, pattern, until, drops
    FROM silence INDEXED BY silence_open
    WHERE settled = 0 AND until > ?1 AND begins <= ?1 AND ended IS NULL ORDER BY id";

/// The silences that withhold deliveries at this time, by number.
pub(super) fn active(
    connection: &Connection,
    now: Timestamp,
) -> Result<Vec<ActiveSilence>, StoreError> {
    let mut statement = connection.prepare_cached(ACTIVE)?;
    let rows = statement.query_map([micros(now)], |row| {
        Ok(ActiveSilence {
            id: row.get(0)?,
            pattern: row.get(1)?,
            until: instant(row.get(2)?),
            drops: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Adds a silence; `None` if there are `most` that are not over.
pub(super) fn add(
    connection: &Connection,
    new: &NewSilence,
    most: usize,
    now: Timestamp,
) -> Result<Option<Silence>, StoreError> {
    let sql = "SELECT count(*) FROM silence INDEXED BY silence_open
               WHERE settled = 0 AND ended IS NULL AND until > ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let open: i64 = statement.query_row([micros(now)], |row| row.get(0))?;
    if usize::try_from(open).unwrap_or(usize::MAX) >= most {
        return Ok(None);
    }
    let sql = "INSERT INTO silence (pattern, begins, until, owner, reason, drops, created)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING id";
    let row = (
        &new.pattern,
        micros(new.from),
        micros(new.until),
        &new.owner,
        &new.reason,
        new.drops,
        micros(now),
    );
    let id = connection.insert(sql, row)?;
    get(connection, id)
}

/// One silence; `None` if there is none with this number.
pub(super) fn get(connection: &Connection, id: i64) -> Result<Option<Silence>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM silence AS s WHERE id = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row([id], read).optional()?)
}

/// The silences that are not over, by number; or those that are, the newest first.
pub(super) fn list(
    connection: &Connection,
    is_over: bool,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Silence>, StoreError> {
    let sql = if is_over {
        format!(
            "SELECT {COLUMNS} FROM silence AS s WHERE ended IS NOT NULL OR until <= ?1
             ORDER BY id DESC LIMIT ?2"
        )
    } else {
        format!(
            "SELECT {COLUMNS} FROM silence AS s INDEXED BY silence_open
             WHERE settled = 0 AND ended IS NULL AND until > ?1 ORDER BY id LIMIT ?2"
        )
    };
    let mut statement = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map((micros(now), limit), read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Ends a silence that is not over; `None` if there is none with this number. What it withholds is
/// released, or ended, by [`super::withheld::release`].
pub(super) fn end(
    connection: &Connection,
    id: i64,
    end: &SilenceEnd,
) -> Result<Option<Silence>, StoreError> {
    let sql = "UPDATE silence SET ended = ?2, ended_by = ?3, ended_drops = ?4
               WHERE id = ?1 AND settled = 0 AND ended IS NULL AND until > ?2";
    let mut statement = connection.prepare_cached(sql)?;
    match statement.execute((id, micros(end.at), &end.by, end.drops))? {
        0 => Ok(None),
        _ => get(connection, id),
    }
}

/// Counts a delivery that a silence has withheld or dropped.
pub(super) fn count(connection: &Connection, id: i64, is_drop: bool) -> Result<(), StoreError> {
    let sql = if is_drop {
        "UPDATE silence SET dropped = dropped + 1 WHERE id = ?1"
    } else {
        "UPDATE silence SET withheld = withheld + 1 WHERE id = ?1"
    };
    connection.prepare_cached(sql)?.run([id])?;
    Ok(())
}

/// The owner and the reason of a silence, for the record of what it ends.
pub(super) fn describe(connection: &Connection, id: i64) -> Result<String, StoreError> {
    let sql = "SELECT owner, reason FROM silence WHERE id = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let found: Option<(String, String)> = statement
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(match found {
        Some((owner, reason)) => format!("silence {id} ({owner}: {reason})"),
        None => format!("silence {id}"),
    })
}

fn read(row: &Row<'_>) -> database::Result<Silence> {
    let ended: Option<i64> = row.get(8)?;
    let (by, drops): (Option<String>, Option<bool>) = (row.get(9)?, row.get(10)?);
    let count = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
    Ok(Silence {
        id: row.get(0)?,
        settings: NewSilence {
            pattern: row.get(1)?,
            from: instant(row.get(2)?),
            until: instant(row.get(3)?),
            owner: row.get(4)?,
            reason: row.get(5)?,
            drops: row.get(6)?,
        },
        created: instant(row.get(7)?),
        ended: ended.map(|at| SilenceEnd {
            at: instant(at),
            by: by.unwrap_or_default(),
            drops: drops.unwrap_or_default(),
        }),
        withheld: count(11)?,
        dropped: count(12)?,
        open: count(13)?,
    })
}
