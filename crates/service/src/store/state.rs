//! What rules remember, read while an event is evaluated, and proof that what was read still holds.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use reflexarc_event::Json;
use reflexarc_reaction::{Entry, State, StateChange};
use rusqlite::{Connection, OptionalExtension};

use super::writer::lock;
use super::{StoreError, instant, micros};

/// Reads rules' state through one connection and remembers what it read.
///
/// Events are evaluated in parallel, each against the state as committed. When an event's turn to be recorded comes,
/// [`Reads::still_hold`] tells whether anything it read has changed since; if so it is evaluated again, in its turn. The
/// outcome is that of evaluating one after the other.
pub(crate) struct StoredState<'a> {
    connection: &'a Mutex<Connection>,
    seen: Mutex<(Reads, Option<StoreError>)>,
}

/// What one evaluation read.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    values: Vec<(String, String, Option<Entry>)>,
    lengths: Vec<(String, usize)>,
}

impl<'a> StoredState<'a> {
    pub(crate) fn new(connection: &'a Mutex<Connection>) -> Self {
        Self {
            connection,
            seen: Mutex::default(),
        }
    }

    /// What was read, or the fault that made an answer of this state worthless.
    pub(crate) fn into_reads(self) -> Result<Reads, StoreError> {
        let (reads, fault) = self
            .seen
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        fault.map_or(Ok(reads), Err)
    }

    /// Asks the store; a fault is remembered, because a reaction cannot be told of it.
    fn ask<T: Default>(&self, question: impl FnOnce(&Connection) -> Result<T, StoreError>) -> T {
        question(&lock(self.connection)).unwrap_or_else(|error| {
            self.seen().1.get_or_insert(error);
            T::default()
        })
    }

    fn seen(&self) -> MutexGuard<'_, (Reads, Option<StoreError>)> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State for StoredState<'_> {
    fn get(&self, rule: &str, key: &str, now: Timestamp) -> Option<Entry> {
        let value = self.ask(|connection| read(connection, rule, key, now));
        self.seen()
            .0
            .values
            .push((rule.to_owned(), key.to_owned(), value.clone()));
        value
    }

    fn len(&self, rule: &str, now: Timestamp) -> usize {
        let length = self.ask(|connection| count(connection, rule, now));
        self.seen().0.lengths.push((rule.to_owned(), length));
        length
    }
}

impl Reads {
    /// Whether reading again gives the same answers.
    pub(crate) fn still_hold(
        &self,
        connection: &Connection,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        for (rule, key, value) in &self.values {
            if read(connection, rule, key, now)? != *value {
                return Ok(false);
            }
        }
        for (rule, length) in &self.lengths {
            if count(connection, rule, now)? != *length {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Takes over what `rule` asked for.
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

fn read(
    connection: &Connection,
    rule: &str,
    key: &str,
    now: Timestamp,
) -> Result<Option<Entry>, StoreError> {
    let sql = "SELECT value, expires FROM state WHERE rule = ?1 AND key = ?2 AND (expires IS NULL OR expires > ?3)";
    let row = connection
        .prepare_cached(sql)?
        .query_row((rule, key, micros(now)), |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?))
        });
    let Some((text, expires)) = row.optional()? else {
        return Ok(None);
    };
    let value = Json::parse(text)
        .map_err(|error| StoreError::Failed(format!("state of {rule}: {error}")))?;
    Ok(Some(Entry {
        value,
        expires: expires.map(instant),
    }))
}

fn count(connection: &Connection, rule: &str, now: Timestamp) -> Result<usize, StoreError> {
    let sql = "SELECT count(*) FROM state WHERE rule = ?1 AND (expires IS NULL OR expires > ?2)";
    let count: i64 = connection
        .prepare_cached(sql)?
        .query_row((rule, micros(now)), |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or_default())
}
