//! Rule state.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use reflexarc_event::{Json, NativeEvent};
use reflexarc_reaction::{Entry, KeptMatch, StateChange};

use super::incidents::Ending;
use super::writer::lock;
use super::{archive, archived_event, instant, matches, micros};
use crate::database::{Connection, Optional, ValueRef};
use crate::engine::Engine;
use crate::recorded_change::StoredValue;
use crate::{StateReader, StoreError};

/// The number of entries of each rule, those included that have expired and are not pruned.
///
/// Kept by triggers, so that no statement that adds or removes entries can forget to count, an
/// operator's in the `sqlite3` shell included. Counting by a query made 40,000 events that set an
/// entry for each interface take 84 s instead of 2.6. An upsert of an entry that is there fires no
/// trigger of insertions.
pub(crate) const STATE_COUNTS: &str = "
CREATE TABLE state_count (
    rule    TEXT PRIMARY KEY,
    entries INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TRIGGER state_added AFTER INSERT ON state BEGIN
    INSERT INTO state_count (rule, entries) VALUES (new.rule, 1)
    ON CONFLICT (rule) DO UPDATE SET entries = entries + 1;
END;
CREATE TRIGGER state_removed AFTER DELETE ON state BEGIN
    UPDATE state_count SET entries = entries - 1 WHERE rule = old.rule;
END;
";

/// The number of entries of a rule.
pub(super) const COUNT: &str = "SELECT entries FROM state_count WHERE rule = ?1";
/// Whether more than a number of entries of a rule have expired.
pub(super) const EXPIRED: &str = "SELECT EXISTS
    (SELECT 1 FROM state INDEXED BY state_by_expiry
     WHERE expires <= ?2 AND rule = ?1 LIMIT 1 OFFSET ?3)";

/// A connection for state reads.
pub(super) struct DatabaseStateReader<E> {
    connection: Mutex<Connection>,
    // After the connection, which it must outlive.
    engine: Arc<E>,
}

impl<E> DatabaseStateReader<E> {
    pub(super) fn new(connection: Connection, engine: Arc<E>) -> Self {
        Self {
            connection: Mutex::new(connection),
            engine,
        }
    }
}

impl<E: Engine> DatabaseStateReader<E> {
    /// The connection; a new one if it was lost.
    fn connection(&self) -> Result<&Mutex<Connection>, StoreError> {
        let mut connection = lock(&self.connection);
        if connection.is_lost() {
            *connection = self.engine.open_reader()?;
        }
        Ok(&self.connection)
    }
}

impl<E: Engine> StateReader for DatabaseStateReader<E> {
    fn read_entry(
        &self,
        rule: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<Entry>, StoreError> {
        self.connection()?.read_entry(rule, key, now)
    }

    fn has_entry(&self, rule: &str, key: &str, now: Timestamp) -> Result<bool, StoreError> {
        self.connection()?.has_entry(rule, key, now)
    }

    fn has_room(
        &self,
        rule: &str,
        added: usize,
        max: usize,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.connection()?.has_room(rule, added, max, now)
    }

    fn read_match(
        &self,
        rule: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<KeptMatch>, StoreError> {
        self.connection()?.read_match(rule, key, now)
    }

    fn has_match_room(
        &self,
        rule: &str,
        pending: bool,
        max: usize,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.connection()?.has_match_room(rule, pending, max, now)
    }

    fn read_event(&self, position: u64) -> Result<Option<NativeEvent>, StoreError> {
        self.connection()?.read_event(position)
    }

    fn next_position(&self) -> Result<u64, StoreError> {
        self.connection()?.next_position()
    }

    fn clock(&self) -> Result<Timestamp, StoreError> {
        self.connection()?.clock()
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

    fn has_entry(&self, rule: &str, key: &str, now: Timestamp) -> Result<bool, StoreError> {
        has_entry(&lock(self), rule, key, now)
    }

    fn has_room(
        &self,
        rule: &str,
        added: usize,
        max: usize,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        has_room(&lock(self), rule, added, max, now)
    }

    fn read_match(
        &self,
        rule: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<KeptMatch>, StoreError> {
        matches::read(&lock(self), rule, key, now)
    }

    fn has_match_room(
        &self,
        rule: &str,
        pending: bool,
        max: usize,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        matches::has_room(&lock(self), rule, pending, max, now)
    }

    fn read_event(&self, position: u64) -> Result<Option<NativeEvent>, StoreError> {
        archived_event::read_native(&lock(self), position)
    }

    fn next_position(&self) -> Result<u64, StoreError> {
        archive::next_position(&lock(self))
    }

    fn clock(&self) -> Result<Timestamp, StoreError> {
        archive::clock(&lock(self))
    }
}

/// Writes the state changes of one rule. Incidents whose matches are not remembered as fired after
/// that end in this way.
pub(super) fn apply(
    connection: &Connection,
    rule: &str,
    changes: &[StateChange],
    ending: &Ending<'_>,
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
                    .run((rule, key, value.to_string(), expires))?;
            }
            StateChange::Remove { key } => {
                connection
                    .prepare_cached("DELETE FROM state WHERE rule = ?1 AND key = ?2")?
                    .run((rule, key))?;
            }
            StateChange::SetMatch { key, kept, .. } => {
                matches::set(connection, rule, key, kept, ending)?;
            }
            StateChange::RemoveMatch { key } => {
                matches::remove(connection, rule, key, ending)?;
            }
        }
    }
    Ok(())
}

/// The value of an entry as the record of an evaluation that changes it has it. One that is damaged
/// must not keep an evaluation from replacing it.
pub(super) fn recorded_value(
    connection: &Connection,
    rule: &str,
    key: &str,
    now: Timestamp,
) -> Result<Option<StoredValue>, StoreError> {
    let value = connection
        .prepare_cached(LIVE_ENTRY)?
        .query_row((rule, key, micros(now)), |row| {
            Ok(stored_value(row.get_ref(0)?))
        });
    Ok(value.optional()?)
}

// An expired entry stays in the table until the next pruning; every query leaves it out.

/// The value of an entry, and when it expires.
const LIVE_ENTRY: &str = "SELECT value, expires FROM state
    WHERE rule = ?1 AND key = ?2 AND (expires IS NULL OR expires > ?3)";

fn read_entry(
    connection: &Connection,
    rule: &str,
    key: &str,
    now: Timestamp,
) -> Result<Option<Entry>, StoreError> {
    let row = connection
        .prepare_cached(LIVE_ENTRY)?
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

/// The value of an entry, or what is in its place: only damage puts anything but JSON there.
fn stored_value(value: ValueRef<'_>) -> StoredValue {
    if let ValueRef::Text(bytes) = value
        && let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(json) = Json::parse(text)
    {
        return StoredValue::Json(json);
    }
    StoredValue::Damaged(match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into(),
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
    })
}

fn has_entry(
    connection: &Connection,
    rule: &str,
    key: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM state
               WHERE rule = ?1 AND key = ?2 AND (expires IS NULL OR expires > ?3))";
    let exists = connection
        .prepare_cached(sql)?
        .query_row((rule, key, micros(now)), |row| row.get(0))?;
    Ok(exists)
}

fn has_room(
    connection: &Connection,
    rule: &str,
    added: usize,
    max: usize,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let entries: Option<i64> = connection
        .prepare_cached(COUNT)?
        .query_row([rule], |row| row.get(0))
        .optional()?;
    let signed = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let after = entries.unwrap_or_default().saturating_add(signed(added));
    let excess = after - signed(max);
    if excess <= 0 {
        return Ok(true);
    }
    // Only at the limit: whether so many of the entries have expired and wait for pruning. What
    // waits of all rules is read, which pruning keeps small.
    Ok(connection
        .prepare_cached(EXPIRED)?
        .query_row((rule, micros(now), excess - 1), |row| row.get(0))?)
}
