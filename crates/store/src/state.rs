//! Rule state: read while an event is evaluated, validated and written when it is committed.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use jiff::Timestamp;
use reflexarc::Evaluation;
use reflexarc_event::NativeEvent;
use reflexarc_reaction::{Entry, KeptMatch, KeptMatches, State, sealed};

use crate::{Incoming, StoreError};

/// Evaluates an event inside the transaction that stores it, reading state through it, at the time
/// that the transaction has.
pub type EvaluateInTransaction = Box<
    dyn FnOnce(&dyn StateReader, &Incoming, Timestamp) -> Result<Evaluation, StoreError> + Send,
>;

/// A view of the state of all rules: of what is committed, or of an open transaction.
pub trait StateReader: Send + Sync {
    /// The entry of `rule` at `key`, unless it has expired by `now`.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn read_entry(
        &self,
        rule: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<Entry>, StoreError>;

    /// Whether `rule` has an entry at `key` that has not expired by `now`.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn has_entry(&self, rule: &str, key: &str, now: Timestamp) -> Result<bool, StoreError>;

    /// Whether `rule` has at most `max` unexpired entries after `added` more. Its cost does not
    /// depend on the number of entries.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn has_room(
        &self,
        rule: &str,
        added: usize,
        max: usize,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// The match of `rule` at `key`, unless it has expired by `now`.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn read_match(
        &self,
        rule: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<KeptMatch>, StoreError>;

    /// Whether `rule` has fewer than `max` unexpired matches that wait, or, if not `pending`, that
    /// do not. Its cost does not depend on the number of matches.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn has_match_room(
        &self,
        rule: &str,
        pending: bool,
        max: usize,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// The event at an archive position in native form: as it was received, or as a rule emitted
    /// it. `None` if there is none, or if it is damaged.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn read_event(&self, position: u64) -> Result<Option<NativeEvent>, StoreError>;

    /// The archive position of the next entry.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn next_position(&self) -> Result<u64, StoreError>;

    /// The latest time of an entry since the clock was set, [`Timestamp::MIN`] if there is none.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn clock(&self) -> Result<Timestamp, StoreError>;
}

/// Reads rule state through one reader and records what it read.
///
/// This is the read phase of optimistic concurrency control: an event is evaluated against the
/// committed state, and [`ReadSet::is_current`] says when it is stored whether that still holds.
pub struct StoredState<'a> {
    reader: &'a dyn StateReader,
    recorded: Mutex<Recorded>,
    clock: OnceLock<Timestamp>,
}

/// Every state read of one evaluation, with its result.
#[derive(Debug, Default)]
pub struct ReadSet {
    /// Rule, key, and the entry found.
    entries: Vec<(String, String, Option<Arc<Entry>>)>,
    /// Rule, key, and whether there was an entry: what overwrites an entry depends on no more, so
    /// that events that overwrite the same one do not make each other stale.
    existences: Vec<(String, String, bool)>,
    /// Whether there was room for entries of a rule: other events may have taken it since. Of the
    /// number of entries nothing else is known to an evaluation, so that it stays current when the
    /// number changes.
    rooms: Vec<Room>,
    /// Whether matches were read. What an evaluation does to them depends on the position of its
    /// event, which is known only when that is stored.
    uses_matches: bool,
}

/// A question of [`StateReader::has_room`] with its answer.
#[derive(Debug)]
struct Room {
    rule: String,
    added: usize,
    max: usize,
    answer: bool,
}

#[derive(Default)]
struct Recorded {
    reads: ReadSet,
    error: Option<StoreError>,
}

impl<'a> StoredState<'a> {
    /// Reads through `reader`.
    pub fn new(reader: &'a dyn StateReader) -> Self {
        Self {
            reader,
            recorded: Mutex::default(),
            clock: OnceLock::new(),
        }
    }

    /// The read set, or the first read error: an evaluation that continued with a default value
    /// must not be committed.
    ///
    /// # Errors
    /// If a read failed.
    pub fn into_reads(self) -> Result<ReadSet, StoreError> {
        let recorded = self.recorded.into_inner();
        let Recorded { reads, error } = recorded.unwrap_or_else(PoisonError::into_inner);
        error.map_or(Ok(reads), Err)
    }

    /// The result of a read. [`State`] has no way to report an error to a script, so the first one
    /// is recorded and the script goes on with the default.
    fn read<T: Default>(&self, result: Result<T, StoreError>) -> T {
        // The default is harmless, because the evaluation is discarded: `into_reads` returns the
        // error.
        result.unwrap_or_else(|error| {
            self.recorded().error.get_or_insert(error);
            T::default()
        })
    }

    /// As [`StoredState::read`] of what belongs to matches.
    fn read_matches<T: Default>(&self, result: Result<T, StoreError>) -> T {
        self.recorded().reads.uses_matches = true;
        self.read(result)
    }

    fn recorded(&self) -> MutexGuard<'_, Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl sealed::Sealed for StoredState<'_> {}

impl State for StoredState<'_> {
    fn get(&self, rule: &str, key: &str, now: Timestamp) -> Option<Arc<Entry>> {
        let entry = self.read(self.reader.read_entry(rule, key, now));
        let entry = entry.map(Arc::new);
        let read = (rule.to_owned(), key.to_owned(), entry.clone());
        // A key that is read twice is recorded twice; scripts read few keys, and a set would cost
        // more than it saves.
        self.recorded().reads.entries.push(read);
        entry
    }

    fn contains(&self, rule: &str, key: &str, now: Timestamp) -> bool {
        let exists = self.read(self.reader.has_entry(rule, key, now));
        let read = (rule.to_owned(), key.to_owned(), exists);
        self.recorded().reads.existences.push(read);
        exists
    }

    fn has_room(&self, rule: &str, added: usize, max: usize, now: Timestamp) -> bool {
        let has_room = self.read(self.reader.has_room(rule, added, max, now));
        self.recorded().reads.rooms.push(Room {
            rule: rule.to_owned(),
            added,
            max,
            answer: has_room,
        });
        has_room
    }

    fn matches(&self) -> &dyn KeptMatches {
        self
    }
}

impl KeptMatches for StoredState<'_> {
    fn get(&self, rule: &str, key: &str, now: Timestamp) -> Option<Arc<KeptMatch>> {
        let kept = self.read_matches(self.reader.read_match(rule, key, now));
        kept.map(Arc::new)
    }

    fn has_room(&self, rule: &str, pending: bool, max: usize, now: Timestamp) -> bool {
        self.read_matches(self.reader.has_match_room(rule, pending, max, now))
    }

    fn event(&self, position: u64) -> Option<NativeEvent> {
        self.read_matches(self.reader.read_event(position))
    }

    fn event_bytes(&self) -> usize {
        // None are kept for matches alone: they are in the archive.
        0
    }

    fn next_position(&self) -> u64 {
        self.read_matches(self.reader.next_position())
    }

    fn clock(&self) -> Timestamp {
        // Each rule that the event matches asks, and nothing is stored meanwhile.
        *self
            .clock
            .get_or_init(|| self.read_matches(self.reader.clock()))
    }
}

impl ReadSet {
    /// Whether repeating every read gives the recorded results; never so where matches were read.
    ///
    /// Values are compared, not versions: an evaluation depends only on event, time and what it
    /// read, so equal values give an equal evaluation. A counter that went from 4 to 5 and back to
    /// 4 is no conflict.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn is_current(&self, reader: &dyn StateReader, now: Timestamp) -> Result<bool, StoreError> {
        if self.uses_matches {
            return Ok(false);
        }
        for (rule, key, entry) in &self.entries {
            if reader.read_entry(rule, key, now)?.as_ref() != entry.as_deref() {
                return Ok(false);
            }
        }
        for (rule, key, exists) in &self.existences {
            if reader.has_entry(rule, key, now)? != *exists {
                return Ok(false);
            }
        }
        for room in &self.rooms {
            if reader.has_room(&room.rule, room.added, room.max, now)? != room.answer {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
