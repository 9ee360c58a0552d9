//! Rule state in SQLite.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use reflexarc_event::Json;
use reflexarc_reaction::{Entry, StateChange};
use rusqlite::{Connection, OptionalExtension};

use super::files::StoreFiles;
use super::writer::lock;
use super::{instant, micros};
use crate::{StateReader, StoreError};

/// A connection for state reads.
pub(super) struct SqliteStateReader {
    connection: Mutex<Connection>,
    // After the connection, which it must outlive.
    _files: Arc<StoreFiles>,
}

impl SqliteStateReader {
    pub(super) fn new(connection: Connection, files: Arc<StoreFiles>) -> Self {
        Self {
            connection: Mutex::new(connection),
            _files: files,
        }
    }
}

impl StateReader for SqliteStateReader {
    fn read_entry(
        &self,
        rule: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<Entry>, StoreError> {
        self.connection.read_entry(rule, key, now)
    }

    fn count_entries(&self, rule: &str, now: Timestamp) -> Result<usize, StoreError> {
        self.connection.count_entries(rule, now)
    }
}

impl StateReader for Mutex<Connection> {
    fn read_entry(
        &self,
        rule: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<Entry>, StoreError> {
        read_entry(&lock(self), rule, key, now)
    }

    fn count_entries(&self, rule: &str, now: Timestamp) -> Result<usize, StoreError> {
        count_entries(&lock(self), rule, now)
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
