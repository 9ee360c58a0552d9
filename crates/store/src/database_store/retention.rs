//! Retention: removing old events, dead letters, expired state entries and old fingerprints.
//!
//! What is to be removed is looked for by a reader, and removed by the writer in small steps.
//! Between two steps the writer serves whatever else is waiting: removing a million events at once
//! would keep every accept waiting for minutes, and grow the write-ahead log by the size of what is
//! removed.

use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

use jiff::Timestamp;

use super::archived_event::read_fingerprint;
use super::audit::FORGET_AUDIT;
use super::changes::FORGET_CHANGES;
use super::incidents::FORGET_INCIDENTS;
use super::removal::{OldEvent, StepSize, remove};
use super::silences::FORGET_SILENCES;
use super::{DatabaseStore, deadlines, matches, micros};
use crate::database::Connection;
use crate::engine::Engine;
use crate::{ChangePeriod, DeliveryStatus, Pruned, Retention, StoreError};

/// Dead letters that one transaction drops.
const LETTERS_STEP: u32 = 256;
/// It ends with the one that makes them this large, in bytes.
const LETTERS_BYTES: u64 = 256 << 10;
/// State entries, fingerprints or calls that one transaction removes. They are small.
const FORGOTTEN_STEP: u32 = 250;
/// Events that one query looks at, most of which may have to be kept.
const LOOK_STEP: i64 = 2_000;

/// A place in the order of age: time and position of an event.
type Place = (i64, i64);

impl<E: Engine> DatabaseStore<E> {
    /// As [`crate::Store::prune`]; what was removed is in `self.pruned`.
    pub(super) fn prune_in_steps(
        &self,
        retention: &Retention,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let before = now.saturating_sub(retention.age).unwrap_or(Timestamp::MIN);
        // What operators have done with dead letters is known for as long as these.
        let audited = retention.dead_letters.map(|age| age.max(retention.age));
        let audited = audited.and_then(|age| now.saturating_sub(age).ok());
        self.forget_in_steps(before, audited.unwrap_or(Timestamp::MIN), now)?;
        // Before the events that they refer to.
        self.forget_matches_in_steps(now)?;
        // Before the events, which may be removed then.
        if let Some(age) = retention.dead_letters {
            let before = now.saturating_sub(age).unwrap_or(Timestamp::MIN);
            self.drop_letters_in_steps(before, now)?;
        }
        self.remove_in_steps(before, now, || Ok(true))?;
        // By size: the oldest go first, whatever their age, until the pages in use fit. The file
        // itself keeps its size; its free pages are used for the next events.
        if let Some(bytes) = retention.bytes {
            let is_larger =
                || Ok(self.read(|connection| self.engine.used_bytes(connection))? > bytes);
            self.remove_in_steps(Timestamp::MAX, now, is_larger)?;
        }
        Ok(())
    }

    /// What was removed since this was called last: if a pass fails after its first steps, the next
    /// one reports them too.
    pub(super) fn take_pruned(&self) -> Pruned {
        std::mem::take(&mut *self.pruned())
    }

    fn pruned(&self) -> MutexGuard<'_, Pruned> {
        self.pruned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes expired state entries, fingerprints older than the duplicate window, old calls, old
    /// changes, the incidents and silences that were over `before`, and what operators did before
    /// `audited`, all of them.
    fn forget_in_steps(
        &self,
        before: Timestamp,
        audited: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let since = micros(now).saturating_sub(self.duplicate_window);
        // A queue removes its old calls itself; these are of targets that are gone. The longest
        // rate limit looks back for a minute.
        let hour_ago = micros(now).saturating_sub(3_600_000_000);
        let day_ago = micros(now).saturating_sub(ChangePeriod::Day.micros());
        let mut left = vec![
            (FORGET_FINGERPRINTS, since),
            (FORGET_ENTRIES, micros(now)),
            (FORGET_CALLS, hour_ago),
            (FORGET_CHANGES, day_ago),
            (FORGET_INCIDENTS, micros(before)),
            (FORGET_SILENCES, micros(before)),
            (FORGET_AUDIT, micros(audited)),
        ];
        // Together, because each step waits for a commit, and mostly there is little to forget.
        while !left.is_empty() {
            let step = self.writer.submit(move |connection| {
                let mut statements = left.into_iter();
                let mut left = Vec::new();
                for (sql, time) in statements.by_ref() {
                    let mut statement = connection.prepare_cached(sql)?;
                    if statement.execute((time, FORGOTTEN_STEP))? == FORGOTTEN_STEP as usize {
                        left.push((sql, time));
                        break;
                    }
                }
                left.extend(statements);
                Ok(left)
            });
            left = step.wait()?;
        }
        Ok(())
    }

    /// Removes the matches that have expired, or whose windows were closed.
    fn forget_matches_in_steps(&self, now: Timestamp) -> Result<(), StoreError> {
        loop {
            let step = self
                .writer
                .submit(move |connection| matches::forget(connection, now, FORGOTTEN_STEP));
            if step.wait()? {
                return Ok(());
            }
        }
    }

    /// Drops dead letters that became one before `before`.
    fn drop_letters_in_steps(&self, before: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        loop {
            let letters = self.read(|connection| old_letters(connection, before))?;
            if letters.is_empty() {
                return Ok(());
            }
            let step = self
                .writer
                .submit(move |connection| drop_letters(connection, &letters, now));
            let targets = step.wait()?;
            // An operator may have redriven them meanwhile; then the next look finds others.
            let mut pruned = self.pruned();
            for target in targets {
                pruned.dropped(target);
            }
        }
    }

    /// As [`crate::Store::forget_rule`].
    pub(super) fn forget_rule_in_steps(&self, rule: &str) -> Result<u64, StoreError> {
        let sql = "DELETE FROM state WHERE rule = ?1 AND key IN
                   (SELECT key FROM state WHERE rule = ?1 LIMIT ?2)";
        let closed = rule.to_owned();
        let clock = self.entry_clock.clone();
        let close = self.writer.submit(move |connection| {
            let at = clock.read(connection)?;
            deadlines::close_rule(connection, &closed, at)
        });
        let mut removed = close.wait()?;
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
    ) -> Result<(), StoreError> {
        let window_began = micros(now).saturating_sub(self.duplicate_window);
        let mut after = (i64::MIN, i64::MIN);
        while goes_on()? {
            let size = StepSize::beside(self.accepted.swap(0, Ordering::Relaxed));
            let found = self.read(|connection| removable(connection, after, before, size))?;
            let mut events = found.events;
            while !events.is_empty() {
                let step = self
                    .writer
                    .submit(move |connection| remove(connection, events, window_began, size));
                let step = step.wait()?;
                let mut pruned = self.pruned();
                pruned.events += step.removed;
                for event in step.damaged {
                    pruned.found(event);
                }
                events = step.left;
            }
            match found.next {
                Some(next) => after = next,
                // All that is left is young, or belongs to pending deliveries or dead letters.
                None => break,
            }
        }
        Ok(())
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
    /// The oldest first.
    events: Vec<OldEvent>,
    /// Time and position of the last event that was looked at, if there may be more.
    next: Option<Place>,
}

/// Of the first events accepted before `before` and after `after`, those that nothing needs.
///
/// An event with a pending or withheld delivery, a dead letter or a withdrawn call is kept, whatever its age:
/// an operator who redrives a dead letter must still find what it was about. So is what a match
/// refers to.
fn removable(
    connection: &Connection,
    after: Place,
    before: Timestamp,
    size: StepSize,
) -> Result<Removable, StoreError> {
    // By the index of times, and from where the look before ended: neither young events nor those
    // that are kept are looked at again and again. What a step needs to know of an event is read
    // here and not by the writer, for which others wait.
    let sql = "SELECT received, seq,
                      octet_length(body) + coalesce(octet_length(evaluation), 0),
                      fingerprint,
                      EXISTS (SELECT 1 FROM delivery AS d
                              WHERE d.seq = a.seq AND d.status IN (0, 2, 6, 7))
                      OR EXISTS (SELECT 1 FROM kept_event AS k WHERE k.seq = a.seq)
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
        if !row.get::<_, bool>(4)? {
            let fingerprint = read_fingerprint(row.get_ref(3)?);
            found.events.push(OldEvent {
                received: last.0,
                seq: last.1,
                // A damaged row may have no body.
                bytes: row
                    .get::<_, Option<i64>>(2)?
                    .unwrap_or_default()
                    .unsigned_abs(),
                is_damaged: fingerprint.is_err(),
                fingerprint: fingerprint.unwrap_or_default(),
            });
        }
        // As many as a step removes: whether the store is small enough is looked at in between.
        if found.events.len() == size.rows {
            found.next = Some(last);
            return Ok(found);
        }
    }
    found.next = Some(last).filter(|_| count == LOOK_STEP);
    Ok(found)
}

/// The oldest dead letters that became one before `before`, as many as fit in a step.
fn old_letters(
    connection: &Connection,
    before: Timestamp,
) -> Result<Vec<([u8; 16], i64)>, StoreError> {
    let sql = "SELECT id, finished, octet_length(action) FROM delivery INDEXED BY delivery_dead
               WHERE status = 2 AND finished < ?1 ORDER BY finished, seq, id LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query((micros(before), LETTERS_STEP))?;
    let (mut letters, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        letters.push((row.get(0)?, row.get(1)?));
        bytes += row.get::<_, i64>(2)?.unsigned_abs();
        if bytes >= LETTERS_BYTES {
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
