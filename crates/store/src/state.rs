//! Rule state: read while an event is evaluated, validated and written when it is committed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use reflexarc::Evaluation;
use reflexarc_reaction::{Entry, KeptMatches, NoState, State, sealed};

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
}

/// Reads rule state through one reader and records what it read.
///
/// This is the read phase of optimistic concurrency control: an event is evaluated against the
/// committed state, and [`ReadSet::is_current`] says when it is stored whether that still holds.
pub struct StoredState<'a> {
    reader: &'a dyn StateReader,
    recorded: Mutex<Recorded>,
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
        // `serve` refuses rules with a time window: nothing would fire their deadlines.
        &NoState
    }
}

impl ReadSet {
    /// Whether repeating every read gives the recorded results.
    ///
    /// Values are compared, not versions: an evaluation depends only on event, time and what it
    /// read, so equal values give an equal evaluation. A counter that went from 4 to 5 and back to
    /// 4 is no conflict.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn is_current(&self, reader: &dyn StateReader, now: Timestamp) -> Result<bool, StoreError> {
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
