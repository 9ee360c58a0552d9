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
        self.forget_in_steps(now)?;
        let before = now.saturating_sub(retention.age).unwrap_or(Timestamp::MIN);
        let mut removed = self.remove_in_steps(before, || Ok(true))?;
        // By size: the oldest go first, whatever their age, until the pages in use fit. The file
        // itself keeps its size; its free pages are used for the next events.
        if let Some(bytes) = retention.bytes {
            let is_larger = || Ok(self.read(used_bytes)? > bytes);
            removed += self.remove_in_steps(Timestamp::MAX, is_larger)?;
        }
        Ok(removed)
    }

    /// Removes expired state entries and fingerprints older than the duplicate window, all of them.
    fn forget_in_steps(&self, now: Timestamp) -> Result<(), StoreError> {
        let since = micros(now).saturating_sub(self.duplicate_window);
        let fingerprints = "DELETE FROM seen WHERE fingerprint IN
                            (SELECT fingerprint FROM seen WHERE at <= ?1 LIMIT ?2)";
        let entries = "DELETE FROM state WHERE (rule, key) IN
                       (SELECT rule, key FROM state WHERE expires <= ?1 LIMIT ?2)";
        // A queue removes its old calls itself; these are of targets that are gone. The longest
        // rate limit looks back for a minute.
        let calls = "DELETE FROM call WHERE (target, began) IN
                     (SELECT target, began FROM call WHERE coalesce(ended, began) <= ?1 LIMIT ?2)";
        let hour_ago = micros(now).saturating_sub(3_600_000_000);
        let times = [
            (fingerprints, since),
            (entries, micros(now)),
            (calls, hour_ago),
        ];
        for (sql, time) in times {
            loop {
                let step = self.writer.submit(move |connection| {
                    let mut statement = connection.prepare_cached(sql)?;
                    Ok(statement.execute((time, FORGOTTEN_STEP))?)
                });
                if step.wait()? < FORGOTTEN_STEP as usize {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Removes events that were accepted before `before`, the oldest first, while `goes_on`.
    fn remove_in_steps(
        &self,
        before: Timestamp,
        goes_on: impl Fn() -> Result<bool, StoreError>,
    ) -> Result<u64, StoreError> {
        let (mut removed, mut after) = (0, (i64::MIN, i64::MIN));
        while goes_on()? {
            let step = self
                .writer
                .submit(move |connection| prune_step(connection, after, before));
            let step = step.wait()?;
            removed += step.removed;
            match step.next {
                Some(next) => after = next,
                // All that is left is young, or belongs to pending deliveries or dead letters.
                None => break,
            }
        }
        Ok(removed)
    }
}

/// Events that one transaction looks at.
// Removing a million at once would keep every accept waiting for minutes and grow the write-ahead
// log by the size of what is removed; between steps the writer serves whatever else is waiting.
const STEP: u32 = 100;
/// State entries or fingerprints that one transaction removes. They are small.
const FORGOTTEN_STEP: u32 = 1_000;

/// The result of one step.
struct Step {
    removed: u64,
    /// Time and position of the last event that was looked at, if there may be more.
    next: Option<(i64, i64)>,
}

/// Removes, of the first events accepted before `before` and after `after`, those that nothing
/// needs, with their deliveries and attempts.
///
/// An event with a pending delivery or a dead letter is kept, whatever its age: an operator who
/// redrives a dead letter must still find what it was about.
fn prune_step(
    connection: &Connection,
    after: (i64, i64),
    before: Timestamp,
) -> Result<Step, StoreError> {
    // By the index of times, and from where the step before ended: neither young events nor those
    // that are kept are looked at again and again.
    let sql = "SELECT received, seq,
                      EXISTS (SELECT 1 FROM delivery AS d
                              WHERE d.seq = a.seq AND d.status IN (0, 2))
               FROM archive AS a INDEXED BY archive_by_time
               WHERE (received, seq) > (?1, ?2) AND received < ?3
               ORDER BY received, seq LIMIT ?4";
    let mut statement = connection.prepare_cached(sql)?;
    // Collected before deleting: SQLite does not define what a SELECT returns while its table is
    // changed.
    let events = statement
        .query_map((after.0, after.1, micros(before), STEP), |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, bool>(2)?,
            ))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    let mut removed = 0;
    for (_, seq, is_needed) in &events {
        if *is_needed {
            continue;
        }
        let sql = "DELETE FROM attempt WHERE delivery IN (SELECT id FROM delivery WHERE seq = ?1)";
        connection.prepare_cached(sql)?.execute([seq])?;
        connection
            .prepare_cached("DELETE FROM delivery WHERE seq = ?1")?
            .execute([seq])?;
        connection
            .prepare_cached("DELETE FROM archive WHERE seq = ?1")?
            .execute([seq])?;
        removed += 1;
    }
    let last = events.last().filter(|_| events.len() == STEP as usize);
    Ok(Step {
        removed,
        next: last.map(|(received, seq, _)| (*received, *seq)),
    })
}

/// Bytes in use: the pages of the file that are not free.
pub(super) fn used_bytes(connection: &Connection) -> Result<u64, StoreError> {
    let read =
        |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    // Not the size of the file: that never shrinks, so pruning by it would never end.
    let pages = read("page_count")? - read("freelist_count")?;
    Ok((pages * read("page_size")?).unsigned_abs())
}
