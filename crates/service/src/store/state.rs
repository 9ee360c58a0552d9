//! Rule state: read while an event is evaluated, validated and written when it is committed.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use reflexarc_event::Json;
use reflexarc_reaction::{Entry, State, StateChange, sealed};
use rusqlite::{Connection, OptionalExtension};

use super::writer::lock;
use super::{StoreError, instant, micros};

/// Reads rule state through one connection and records what it read.
///
/// This is the read phase of the optimistic concurrency control that `crate::intake` describes.
pub(crate) struct StoredState<'a> {
    connection: &'a Mutex<Connection>,
    recorded: Mutex<Recorded>,
}

/// Every state read of one evaluation, with its result.
#[derive(Debug, Default)]
pub(crate) struct ReadSet {
    /// Rule, key, and the entry found.
    entries: Vec<(String, String, Option<Entry>)>,
    /// Rule and its number of entries. This catches an entry that another event adds or removes:
    /// no read of a single key would notice it.
    lengths: Vec<(String, usize)>,
}

#[derive(Default)]
struct Recorded {
    reads: ReadSet,
    error: Option<StoreError>,
}

impl<'a> StoredState<'a> {
    pub(crate) fn new(connection: &'a Mutex<Connection>) -> Self {
        Self {
            connection,
            recorded: Mutex::default(),
        }
    }

    /// The read set, or the first read error: an evaluation that continued with a default value
    /// must not be committed.
    pub(crate) fn into_reads(self) -> Result<ReadSet, StoreError> {
        let recorded = self.recorded.into_inner();
        let Recorded { reads, error } = recorded.unwrap_or_else(PoisonError::into_inner);
        error.map_or(Ok(reads), Err)
    }

    /// Queries the store. [`State`] has no way to report an error to a script, so the first one is
    /// recorded and the script goes on with the default.
    fn query<T: Default>(&self, query: impl FnOnce(&Connection) -> Result<T, StoreError>) -> T {
        // The default is harmless, because the evaluation is discarded: `into_reads` returns the
        // error.
        query(&lock(self.connection)).unwrap_or_else(|error| {
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
    fn get(&self, rule: &str, key: &str, now: Timestamp) -> Option<Entry> {
        let entry = self.query(|connection| read_entry(connection, rule, key, now));
        let read = (rule.to_owned(), key.to_owned(), entry.clone());
        // A key that is read twice is recorded twice; scripts read few keys, and a set would cost
        // more than it saves.
        self.recorded().reads.entries.push(read);
        entry
    }

    fn len(&self, rule: &str, now: Timestamp) -> usize {
        let length = self.query(|connection| count_entries(connection, rule, now));
        let read = (rule.to_owned(), length);
        self.recorded().reads.lengths.push(read);
        length
    }
}

impl ReadSet {
    /// Whether repeating every read gives the recorded results.
    ///
    /// Values are compared, not versions: an evaluation depends only on event, time and what it
    /// read, so equal values give an equal evaluation. A counter that went from 4 to 5 and back to
    /// 4 is no conflict.
    pub(crate) fn is_current(
        &self,
        connection: &Connection,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        for (rule, key, entry) in &self.entries {
            if read_entry(connection, rule, key, now)? != *entry {
                return Ok(false);
            }
        }
        // Counting is O(entries of the rule), so it comes last: most conflicts are found by then.
        for (rule, length) in &self.lengths {
            if count_entries(connection, rule, now)? != *length {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Writes the state changes of one rule.
pub(super) fn apply(
    connection: &Connection,
    rule: &str,
    changes: &[StateChange],
) -> Result<(), StoreError> {
    for change in changes {
        match change {
            StateChange::Set {
                key,
                value,
                expires,
            } => {
                // An upsert: whether the key exists need not be known, and a removed and set key is
                // one statement.
                let sql = "INSERT INTO state (rule, key, value, expires) VALUES (?1, ?2, ?3, ?4)
                           ON CONFLICT (rule, key) DO UPDATE SET value = ?3, expires = ?4";
                let expires = expires.map(micros);
                connection
                    .prepare_cached(sql)?
                    .execute((rule, key, value.to_string(), expires))?;
            }
            StateChange::Remove { key } => {
                connection
                    .prepare_cached("DELETE FROM state WHERE rule = ?1 AND key = ?2")?
                    .execute((rule, key))?;
            }
        }
    }
    Ok(())
}

// An expired entry stays in the table until the next pruning; every query leaves it out.

fn read_entry(
    connection: &Connection,
    rule: &str,
    key: &str,
    now: Timestamp,
) -> Result<Option<Entry>, StoreError> {
    let sql = "SELECT value, expires FROM state
               WHERE rule = ?1 AND key = ?2 AND (expires IS NULL OR expires > ?3)";
    let row = connection
        .prepare_cached(sql)?
        .query_row((rule, key, micros(now)), |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?))
        });
    let Some((text, expires)) = row.optional()? else {
        return Ok(None);
    };
    // Written by us, so only damage makes this fail. It fails the evaluation rather than counting
    // as absent: a throttle that forgets its last run would send again.
    let value = Json::parse(text)
        .map_err(|error| StoreError::Failed(format!("state of rule {rule}: {error}")))?;
    let mut entry = Entry::new(value);
    entry.expires = expires.map(instant);
    Ok(Some(entry))
}

fn count_entries(connection: &Connection, rule: &str, now: Timestamp) -> Result<usize, StoreError> {
    let sql = "SELECT count(*) FROM state WHERE rule = ?1 AND (expires IS NULL OR expires > ?2)";
    let count: i64 = connection
        .prepare_cached(sql)?
        .query_row((rule, micros(now)), |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or_default())
}
