//! Transactions of what happens in time.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use reflexarc::Evaluation;
use reflexarc_delivery::DeliveryId;
use reflexarc_event::{Json, NativeEvent};
use reflexarc_reaction::{CallAnswer, Entry, KeptMatch};

use super::answers::Answered;
use super::entry_clock::EntryClock;
use super::writer::{SharedConnection, lock};
use super::{accept, answers, archive, calls, changes, deadlines, delays, instant};
use crate::dead_letters::Observed;
use crate::{
    Accepted, AfterCommit, AttemptOutcome, DueMatch, EntryKind, LiveWindow, NewEntry, StateReader,
    StoreError, TimeTransaction, Timeline, WaitingCall, WithdrawnCall,
};

/// The timeline of a store, once it has one.
pub(super) type SharedTimeline = Arc<Mutex<Option<Arc<dyn Timeline>>>>;

/// What a job leaves to be run after its commit. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Afterwards(Arc<Mutex<Vec<AfterCommit>>>);

/// The open transaction of the writer.
pub(super) struct OpenTransaction<'a> {
    pub(super) connection: &'a SharedConnection,
    pub(super) clock: &'a EntryClock,
    pub(super) afterwards: &'a Afterwards,
    pub(super) dead_letters: &'a Observed,
}

impl Afterwards {
    pub(super) fn add(&self, work: Option<AfterCommit>) {
        let mut works = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        works.extend(work);
    }

    pub(super) fn run(&self) {
        let mut works = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let works = std::mem::take(&mut *works);
        for work in works {
            work();
        }
    }
}

/// Applies what is due by `now`, before what is accepted then. Returns the time of that.
pub(super) fn advance(
    timeline: &SharedTimeline,
    transaction: &mut OpenTransaction<'_>,
    now: Timestamp,
    afterwards: &Afterwards,
) -> Result<Timestamp, StoreError> {
    let timeline = timeline.lock().unwrap_or_else(PoisonError::into_inner);
    // Not locked while it runs, for as long as thousands of deadlines take.
    let Some(timeline) = timeline.clone() else {
        return Ok(now);
    };
    let advanced = timeline.advance(transaction, now)?;
    afterwards.add(advanced.after_commit);
    Ok(advanced.now)
}

impl TimeTransaction for OpenTransaction<'_> {
    fn due(
        &self,
        to: Timestamp,
        limit: usize,
        live: LiveWindow<'_>,
    ) -> Result<Vec<DueMatch>, StoreError> {
        let connection = lock(self.connection);
        if connection.is_shared() {
            deadlines::due(&connection, to, limit, live)
        } else {
            deadlines::due(&connection, to, limit, &|_, _| true)
        }
    }

    fn has_other_rules(&self, hash: &str) -> Result<bool, StoreError> {
        let connection = lock(self.connection);
        if !connection.is_shared() {
            return Ok(false);
        }
        let sql = "SELECT EXISTS
                   (SELECT 1 FROM node
                    WHERE state = 0 AND number <> ?1 AND rules NOT IN (?2, ''))";
        let mut statement = connection.prepare_cached(sql)?;
        Ok(statement.query_row((connection.node(), hash), |row| row.get(0))?)
    }

    fn others_worked(&self) -> Result<Option<Timestamp>, StoreError> {
        let connection = lock(self.connection);
        if !connection.is_shared() {
            return Ok(None);
        }
        let sql = "SELECT max(seen) FROM node WHERE number <> ?1";
        let mut statement = connection.prepare_cached(sql)?;
        let seen: Option<i64> = statement.query_row([connection.node()], |row| row.get(0))?;
        Ok(seen.map(instant))
    }

    fn add(
        &mut self,
        entry: NewEntry,
        evaluation: &Evaluation,
        now: Timestamp,
    ) -> Result<Accepted, StoreError> {
        let accepted = accept::insert_entry(&lock(self.connection), &entry, evaluation, now)?;
        match entry.kind {
            EntryKind::Clock => self.clock.forget(),
            // As in the archive: by the clock of its own process.
            EntryKind::Closed => {}
            _ => self.clock.record(entry.at),
        }
        Ok(accepted)
    }

    fn postpone_due(
        &mut self,
        to: Timestamp,
        settled: &dyn Fn(&str) -> Option<Timestamp>,
    ) -> Result<u64, StoreError> {
        deadlines::postpone(&lock(self.connection), to, settled)
    }

    fn settle_call(
        &mut self,
        id: DeliveryId,
        attempt: Option<&AttemptOutcome>,
        answer: &CallAnswer,
        now: Timestamp,
    ) -> Result<Option<WaitingCall>, StoreError> {
        match answers::settle(&lock(self.connection), id, attempt, answer, now)? {
            Answered::Now(call) => Ok(Some(*call)),
            Answered::Before => Ok(None),
            Answered::Damaged(report) => {
                let observed = self.dead_letters.clone();
                let after = move || observed.report([&report]);
                self.afterwards.add(Some(Box::new(after)));
                Ok(None)
            }
        }
    }

    fn withdrawn_calls(&self, limit: usize) -> Result<Vec<WithdrawnCall>, StoreError> {
        calls::list_withdrawn(&lock(self.connection), limit)
    }

    fn shift_times(&mut self, offset: SignedDuration) -> Result<(u64, u64), StoreError> {
        let connection = &lock(self.connection);
        let matches = deadlines::shift(connection, offset)?;
        let deliveries = delays::shift(connection, offset)?;
        // After the delays, which calls have too.
        calls::shift(connection, offset)?;
        changes::shift(connection, offset)?;
        Ok((matches, deliveries))
    }

    fn close_matches(
        &mut self,
        keep: LiveWindow<'_>,
        now: Timestamp,
    ) -> Result<Vec<(String, u64)>, StoreError> {
        deadlines::close(&lock(self.connection), keep, now)
    }

    fn newest(&self, kind: EntryKind) -> Result<Option<(Timestamp, Json)>, StoreError> {
        archive::newest_of(&lock(self.connection), kind)
    }
}

impl StateReader for OpenTransaction<'_> {
    fn read_entry(
        &self,
        rule: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<Entry>, StoreError> {
        self.connection.read_entry(rule, key, now)
    }

    fn has_entry(&self, rule: &str, key: &str, now: Timestamp) -> Result<bool, StoreError> {
        self.connection.has_entry(rule, key, now)
    }

    fn has_room(
        &self,
        rule: &str,
        added: usize,
        max: usize,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.connection.has_room(rule, added, max, now)
    }

    fn read_match(
        &self,
        rule: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<KeptMatch>, StoreError> {
        self.connection.read_match(rule, key, now)
    }

    fn has_match_room(
        &self,
        rule: &str,
        pending: bool,
        max: usize,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.connection.has_match_room(rule, pending, max, now)
    }

    fn read_event(&self, position: u64) -> Result<Option<NativeEvent>, StoreError> {
        self.connection.read_event(position)
    }

    fn next_position(&self) -> Result<u64, StoreError> {
        self.connection.next_position()
    }

    fn clock(&self) -> Result<Timestamp, StoreError> {
        self.clock.read(&lock(self.connection))
    }
}
