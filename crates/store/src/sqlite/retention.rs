//! Retention: removing old events, expired state entries and old fingerprints.

use jiff::Timestamp;
use rusqlite::Connection;

use super::{SqliteStore, micros};
use crate::{Retention, StoreError};

impl SqliteStore {
    /// As [`crate::Store::prune`].
    pub(super) fn prune_in_steps(
        &self,
        retention: &Retention,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        // Events removed in one transaction. Removing a million at once would keep every accept
        // waiting for minutes and grow the write-ahead log by the size of what is removed; between
        // steps the writer serves whatever else is waiting.
        const STEP: usize = 500;
        let window = self.duplicate_window;
        let forgotten = self
            .writer
            .submit(move |connection| forget(connection, now, window));
        forgotten.wait()?;
        let step = |before: Timestamp| {
            let removed = self
                .writer
                .submit(move |connection| prune_step(connection, before, STEP));
            removed.wait()
        };
        let before = now.saturating_sub(retention.age).unwrap_or(Timestamp::MIN);
        let mut removed = 0;
        loop {
            let count = step(before)?;
            removed += count as u64;
            if count < STEP {
                break;
            }
        }
        // By size: the oldest go first, whatever their age, until the pages in use fit. The file
        // itself keeps its size; its free pages are used for the next events.
        while let Some(bytes) = retention.bytes
            && self.read(used_bytes)? > bytes
        {
            let count = step(Timestamp::MAX)?;
            if count == 0 {
                // All that is left belongs to pending deliveries or dead letters.
                break;
            }
            removed += count as u64;
        }
        Ok(removed)
    }
}

/// Removes up to `limit` events that were accepted before `before`, with their deliveries and
/// attempts. Returns how many there were.
///
/// An event with a pending delivery or a dead letter is kept, whatever its age: an operator who
/// redrives a dead letter must still find what it was about.
fn prune_step(
    connection: &Connection,
    before: Timestamp,
    limit: usize,
) -> Result<usize, StoreError> {
    let sql = "SELECT seq FROM archive AS a WHERE received < ?1
               AND NOT EXISTS
                   (SELECT 1 FROM delivery AS d WHERE d.seq = a.seq AND d.status IN (0, 2))
               ORDER BY seq LIMIT ?2";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(sql)?;
    // Collected before deleting: SQLite does not define what a SELECT returns while its table is
    // changed.
    let expired = statement
        .query_map((micros(before), limit), |row| row.get::<_, i64>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    for seq in &expired {
        let sql = "DELETE FROM attempt WHERE delivery IN (SELECT id FROM delivery WHERE seq = ?1)";
        connection.prepare_cached(sql)?.execute([seq])?;
        connection
            .prepare_cached("DELETE FROM delivery WHERE seq = ?1")?
            .execute([seq])?;
        connection
            .prepare_cached("DELETE FROM archive WHERE seq = ?1")?
            .execute([seq])?;
    }
    Ok(expired.len())
}

/// Removes expired state entries and fingerprints older than the duplicate window.
fn forget(connection: &Connection, now: Timestamp, window: i64) -> Result<(), StoreError> {
    // At most 5,000 rows of each in one transaction, for the reason given in `prune_in_steps`. What
    // is left stays until the next pruning; until then queries leave it out by its time.
    let sql = "DELETE FROM seen WHERE fingerprint IN
               (SELECT fingerprint FROM seen WHERE at <= ?1 LIMIT 5000)";
    connection
        .prepare_cached(sql)?
        .execute([micros(now).saturating_sub(window)])?;
    let sql = "DELETE FROM state WHERE (rule, key) IN
               (SELECT rule, key FROM state WHERE expires <= ?1 LIMIT 5000)";
    connection.prepare_cached(sql)?.execute([micros(now)])?;
    Ok(())
}

/// Bytes in use: the pages of the file that are not free.
pub(super) fn used_bytes(connection: &Connection) -> Result<u64, StoreError> {
    let read =
        |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    // Not the size of the file: that never shrinks, so pruning by it would never end.
    let pages = read("page_count")? - read("freelist_count")?;
    Ok((pages * read("page_size")?).unsigned_abs())
}
