//! Retention: removing old events, dead letters, expired state entries and old fingerprints.
//!
//! What is to be removed is looked for by a reader, and removed by the writer in small steps.
//! Between two steps the writer serves whatever else is waiting: removing a million events at once
//! would keep every accept waiting for minutes, and grow the write-ahead log by the size of what is
//! removed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::Connection;

use super::{SqliteStore, copies, micros};
use crate::{DeliveryStatus, Pruned, Retention, StoreError};

/// Rows that one transaction removes: events, deliveries and attempts.
const STEP_ROWS: u32 = 256;
/// A transaction ends with the row that makes what it has removed this large, in bytes.
// Each overflow page of a large value is moved to the free list by itself.
const STEP_BYTES: u64 = 256 << 10;
/// State entries, fingerprints or calls that one transaction removes. They are small.
const FORGOTTEN_STEP: u32 = 250;
/// Events that one query looks at, most of which may have to be kept.
const LOOK_STEP: i64 = 2_000;

/// A place in the order of age: time and position of an event.
type Place = (i64, i64);

impl SqliteStore {
    /// As [`crate::Store::prune`].
    pub(super) fn prune_in_steps(
        &self,
        retention: &Retention,
        now: Timestamp,
    ) -> Result<Pruned, StoreError> {
        self.forget_in_steps(now)?;
        let mut pruned = Pruned::default();
        // Before the events, which may be removed then.
        if let Some(age) = retention.dead_letters {
            let before = now.saturating_sub(age).unwrap_or(Timestamp::MIN);
            let dropped = self.drop_letters_in_steps(before, now)?;
            pruned.dead_letters = dropped.into_iter().collect();
        }
        let before = now.saturating_sub(retention.age).unwrap_or(Timestamp::MIN);
        pruned.events = self.remove_in_steps(before, now, || Ok(true))?;
        // By size: the oldest go first, whatever their age, until the pages in use fit. The file
        // itself keeps its size; its free pages are used for the next events.
        if let Some(bytes) = retention.bytes {
            let is_larger = || Ok(self.read(used_bytes)? > bytes);
            pruned.events += self.remove_in_steps(Timestamp::MAX, now, is_larger)?;
        }
        Ok(pruned)
    }

    /// Removes expired state entries, fingerprints older than the duplicate window, and old calls,
    /// all of them.
    fn forget_in_steps(&self, now: Timestamp) -> Result<(), StoreError> {
        let since = micros(now).saturating_sub(self.duplicate_window);
        // A queue removes its old calls itself; these are of targets that are gone. The longest
        // rate limit looks back for a minute.
        let hour_ago = micros(now).saturating_sub(3_600_000_000);
        for (sql, time) in [
            (FORGET_FINGERPRINTS, since),
            (FORGET_ENTRIES, micros(now)),
            (FORGET_CALLS, hour_ago),
        ] {
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

    /// Drops dead letters that became one before `before`. Returns how many, by target.
    fn drop_letters_in_steps(
        &self,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<BTreeMap<String, u64>, StoreError> {
        let mut dropped = BTreeMap::new();
        loop {
            let letters = self.read(|connection| old_letters(connection, before))?;
            if letters.is_empty() {
                return Ok(dropped);
            }
            let step = self
                .writer
                .submit(move |connection| drop_letters(connection, &letters, now));
            let targets = step.wait()?;
            // An operator may have redriven them meanwhile; then the next look finds others.
            for target in targets {
                *dropped.entry(target).or_default() += 1;
            }
        }
    }

    /// As [`crate::Store::forget_rule`].
    pub(super) fn forget_rule_in_steps(&self, rule: &str) -> Result<u64, StoreError> {
        let sql = "DELETE FROM state WHERE rule = ?1 AND key IN
                   (SELECT key FROM state WHERE rule = ?1 LIMIT ?2)";
        let mut removed = 0;
        loop {
            let rule = rule.to_owned();
            let step = self.writer.submit(move |connection| {
                let mut statement = connection.prepare_cached(sql)?;
                Ok(statement.execute((rule, FORGOTTEN_STEP))?)
            });
            let step = step.wait()?;
            removed += step as u64;
            if step < FORGOTTEN_STEP as usize {
                return Ok(removed);
            }
        }
    }

    /// Removes events that were accepted before `before`, the oldest first, while `goes_on`.
    fn remove_in_steps(
        &self,
        before: Timestamp,
        now: Timestamp,
        goes_on: impl Fn() -> Result<bool, StoreError>,
    ) -> Result<u64, StoreError> {
        let window_began = micros(now).saturating_sub(self.duplicate_window);
        let (mut removed, mut after) = (0, (i64::MIN, i64::MIN));
        while goes_on()? {
            let found = self.read(|connection| removable(connection, after, before))?;
            let mut events = found.events;
            while !events.is_empty() {
                let step = self
                    .writer
                    .submit(move |connection| remove(connection, events, window_began));
                let (count, left) = step.wait()?;
                (removed, events) = (removed + count, left);
            }
            match found.next {
                Some(next) => after = next,
                // All that is left is young, or belongs to pending deliveries or dead letters.
                None => break,
            }
        }
        Ok(removed)
    }
}

pub(super) const FORGET_FINGERPRINTS: &str = "DELETE FROM seen WHERE fingerprint IN
    (SELECT fingerprint FROM seen WHERE at <= ?1 LIMIT ?2)";
pub(super) const FORGET_ENTRIES: &str = "DELETE FROM state WHERE (rule, key) IN
    (SELECT rule, key FROM state WHERE expires <= ?1 LIMIT ?2)";
pub(super) const FORGET_CALLS: &str = "DELETE FROM call WHERE (target, began) IN
    (SELECT target, began FROM call WHERE coalesce(ended, began) <= ?1 LIMIT ?2)";

/// What a look for removable events has found.
struct Removable {
    /// Their positions, the oldest first.
    events: Vec<i64>,
    /// Time and position of the last event that was looked at, if there may be more.
    next: Option<Place>,
}

/// Of the first events accepted before `before` and after `after`, those that nothing needs.
///
/// An event with a pending delivery or a dead letter is kept, whatever its age: an operator who
/// redrives a dead letter must still find what it was about.
fn removable(
    connection: &Connection,
    after: Place,
    before: Timestamp,
) -> Result<Removable, StoreError> {
    // By the index of times, and from where the look before ended: neither young events nor those
    // that are kept are looked at again and again.
    let sql = "SELECT received, seq,
                      EXISTS (SELECT 1 FROM delivery AS d
                              WHERE d.seq = a.seq AND d.status IN (0, 2))
               FROM archive AS a INDEXED BY archive_by_time
               WHERE (received, seq) > (?1, ?2) AND received < ?3
               ORDER BY received, seq LIMIT ?4";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query((after.0, after.1, micros(before), LOOK_STEP))?;
    let mut found = Removable {
        events: Vec::new(),
        next: None,
    };
    let (mut count, mut last) = (0, after);
    while let Some(row) = rows.next()? {
        last = (row.get(0)?, row.get(1)?);
        count += 1;
        if !row.get::<_, bool>(2)? {
            found.events.push(last.1);
        }
        // Few at a time: whether the store is small enough is looked at in between.
        if found.events.len() == STEP_ROWS as usize {
            found.next = Some(last);
            return Ok(found);
        }
    }
    found.next = Some(last).filter(|_| count == LOOK_STEP);
    Ok(found)
}

/// Removes the first of these events, with their deliveries and attempts, as far as a step goes.
/// Copies of those that came after `window_began` are recognised nevertheless. Returns how many,
/// and those that are left.
fn remove(
    connection: &Connection,
    mut events: Vec<i64>,
    window_began: i64,
) -> Result<(u64, Vec<i64>), StoreError> {
    let (mut rows, mut bytes, mut removed) = (0, 0, 0);
    let mut done = 0;
    for seq in &events {
        if rows >= STEP_ROWS as usize || bytes >= STEP_BYTES {
            break;
        }
        // It may have been replayed since it was looked at.
        let sql = "SELECT EXISTS (SELECT 1 FROM delivery WHERE seq = ?1 AND status IN (0, 2))";
        let mut statement = connection.prepare_cached(sql)?;
        if statement.query_row([seq], |row| row.get(0))? {
            done += 1;
            continue;
        }
        // An event that was replayed often has more deliveries than fit in a step. Then it is left
        // with the others, and the next step goes on.
        let is_last = remove_deliveries(connection, *seq, &mut rows, &mut bytes)?;
        if !is_last {
            break;
        }
        let sql = "DELETE FROM archive WHERE seq = ?1
                   RETURNING octet_length(body) + coalesce(octet_length(evaluation), 0),
                             received, fingerprint";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows_removed = statement.query([seq])?;
        while let Some(row) = rows_removed.next()? {
            bytes += row.get::<_, i64>(0)?.unsigned_abs();
            removed += 1;
            let received: i64 = row.get(1)?;
            // A damaged one must not keep its event for ever.
            let fingerprint: Option<[u8; 16]> = row.get(2).unwrap_or_default();
            if let Some(fingerprint) = fingerprint.filter(|_| received > window_began) {
                copies::keep(connection, &fingerprint, *seq, received)?;
            }
        }
        rows += 1;
        done += 1;
    }
    Ok((removed, events.split_off(done)))
}

/// Removes deliveries of an event until the step is full. Returns whether all are removed.
fn remove_deliveries(
    connection: &Connection,
    seq: i64,
    rows: &mut usize,
    bytes: &mut u64,
) -> Result<bool, StoreError> {
    let sql = "SELECT id, octet_length(action) FROM delivery INDEXED BY delivery_by_event
               WHERE seq = ?1 LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_map((seq, STEP_ROWS), |row| {
        Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, i64>(1)?))
    })?;
    // Collected before deleting: SQLite does not define what a SELECT returns while its table is
    // changed.
    let found: Vec<_> = found.collect::<Result<_, _>>()?;
    let is_all = found.len() < STEP_ROWS as usize;
    for (id, size) in found {
        if *rows >= STEP_ROWS as usize || *bytes >= STEP_BYTES {
            return Ok(false);
        }
        let sql = "DELETE FROM attempt WHERE delivery = ?1";
        *rows += connection.prepare_cached(sql)?.execute([id])?;
        let sql = "DELETE FROM delivery WHERE id = ?1";
        *rows += connection.prepare_cached(sql)?.execute([id])?;
        *bytes += size.unsigned_abs();
    }
    Ok(is_all)
}

/// The oldest dead letters that became one before `before`, as many as fit in a step.
fn old_letters(
    connection: &Connection,
    before: Timestamp,
) -> Result<Vec<([u8; 16], i64)>, StoreError> {
    let sql = "SELECT id, finished, octet_length(action) FROM delivery INDEXED BY delivery_dead
               WHERE status = 2 AND finished < ?1 ORDER BY finished LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query((micros(before), STEP_ROWS))?;
    let (mut letters, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        letters.push((row.get(0)?, row.get(1)?));
        bytes += row.get::<_, i64>(2)?.unsigned_abs();
        if bytes >= STEP_BYTES {
            break;
        }
    }
    Ok(letters)
}

/// Drops these dead letters, each with the time at which it became one. Returns their targets.
fn drop_letters(
    connection: &Connection,
    letters: &[([u8; 16], i64)],
    now: Timestamp,
) -> Result<Vec<String>, StoreError> {
    // Not one that was redriven, and has failed again, since it was looked at.
    let sql = "UPDATE delivery SET status = ?3, finished = ?4,
                      reason = 'dropped because of its age: ' || coalesce(reason, '')
               WHERE id = ?1 AND status = 2 AND finished = ?2 RETURNING target";
    let mut statement = connection.prepare_cached(sql)?;
    let status = DeliveryStatus::Dropped.number();
    let mut targets = Vec::new();
    for (id, finished) in letters {
        let mut rows = statement.query((id, finished, status, micros(now)))?;
        while let Some(row) = rows.next()? {
            targets.push(row.get(0)?);
        }
    }
    Ok(targets)
}

/// Bytes in use: the pages of the file that are not free.
pub(super) fn used_bytes(connection: &Connection) -> Result<u64, StoreError> {
    let read =
        |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    // Not the size of the file: that never shrinks, so pruning by it would never end.
    let pages = read("page_count")? - read("freelist_count")?;
    Ok((pages * read("page_size")?).unsigned_abs())
}
