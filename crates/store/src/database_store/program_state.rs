//! The state of rules as one value, for a program that evaluates events itself.
//!
//! Such a program has the whole state in memory and replaces it after each event. It uses the tables of
//! the service, so that each of the two goes on with what the other has left. Of the archive it
//! writes two kinds of rows:
//!
//! ```text
//! seq  entry    kind
//! 100  event    Disk:Stalled   of the service
//! 101  emitted  state          an event that a match refers to
//! 102  state    state          the marker: the clock of the state, and that a program has written it
//! 103  event    Disk:Stalled   of the service again
//! ```
//!
//! The marker is moved behind new events, unless the service has stored something since.

use jiff::Timestamp;
use reflexarc::Evaluation;
use reflexarc_delivery::EventRef;
use reflexarc_event::{EventIdentity, Json};
use reflexarc_reaction::{Entry, KeptEvent, MemoryState, State as _, StateDifference};

use super::incidents::Ending;
use super::{DatabaseStore, accept, archive, archived_event, instant, matches, state};
use crate::database::{Connection, Optional};
use crate::engine::Engine;
use crate::{EntryKind, IncidentEnd, NewEntry, Reply, StoreError};

/// `kind` of the rows of events that a program has kept.
pub(super) const KEPT: &str = "state";

pub(super) const AT_POSITION: &str = "SELECT entry, kind FROM archive WHERE seq = ?1";

pub(super) const OWN: &str = "SELECT 1 FROM archive WHERE seq = ?1 AND entry = ?2 AND kind = ?3";

pub(super) const REFERRED_TO: &str = "SELECT EXISTS (SELECT 1 FROM kept_event WHERE seq = ?1)";

/// The newest entry that is not of a program.
pub(super) const LAST_OF_SERVICE: &str =
    "SELECT seq FROM archive WHERE entry <> ?1 AND NOT (entry = ?2 AND kind = ?3)
     ORDER BY seq DESC LIMIT 1";

pub(super) const LAST: &str = "SELECT max(seq) FROM archive";

/// Whether a service has stored something behind a marker.
pub(super) const PASSED: &str = "SELECT EXISTS (SELECT 1 FROM archive
     WHERE seq > ?1 AND NOT (entry = ?2 AND kind = ?3))";

const REMOVE: &str = "DELETE FROM archive WHERE seq = ?1";

/// What a state has reached that is neither an entry nor a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marker {
    pub(super) clock: Timestamp,
    next_position: u64,
}

impl<E: Engine> DatabaseStore<E> {
    /// The state of all rules, what has expired included, with the events that matches refer to.
    ///
    /// ```
    /// use jiff::Timestamp;
    /// use reflexarc_reaction::{Entry, Json, MemoryState};
    /// use reflexarc_store::{SqliteStore, StoreOptions};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let options = StoreOptions { duplicate_window: jiff::SignedDuration::ZERO, max_bytes: None };
    /// let store = SqliteStore::open(&folder.path().join("state.db"), &options)?;
    /// let before = store.memory_state()?;
    /// let mut state = before.clone();
    /// state.insert("failed", "count", Entry::new(Json::from(3)));
    ///
    /// store.commit_state(&before, &state, Timestamp::now()).wait()?;
    /// assert_eq!(store.memory_state()?.entries(Timestamp::MIN).count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the store cannot be read, or an entry or match is damaged.
    pub fn memory_state(&self) -> Result<MemoryState, StoreError> {
        self.read(|connection| connection.in_snapshot(read_state))
    }

    /// Replaces the state `before`, which the store has, by `after`. Costs as much as differs between
    /// them. Only for the process that holds the lock.
    pub fn commit_state(
        &self,
        before: &MemoryState,
        after: &MemoryState,
        now: Timestamp,
    ) -> Reply<()> {
        let difference = after.difference_from(before);
        let (entry_clock, marker) = (self.entry_clock.clone(), Marker::of(after));
        let job = move |connection: &Connection| apply(connection, &difference, &marker, now);
        self.writer
            .submit_observed(job, move |()| entry_clock.forget())
    }
}

fn read_state(connection: &Connection) -> Result<MemoryState, StoreError> {
    let mut read = MemoryState::new();
    let mut statement = connection.prepare_cached("SELECT rule, key, value, expires FROM state")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let (rule, key): (String, String) = (row.get(0)?, row.get(1)?);
        let value = Json::parse(row.get::<_, String>(2)?)
            .map_err(|error| StoreError::Failed(format!("state of rule {rule}: {error}")))?;
        let mut entry = Entry::new(value);
        entry.expires = row.get::<_, Option<i64>>(3)?.map(instant);
        read.insert(rule, key, entry);
    }
    let sql = format!(
        "SELECT r.rule, m.key, {} FROM match_rule AS r CROSS JOIN kept_match AS m
         WHERE r.closed = 0 AND m.rule = r.id ORDER BY r.id, m.key",
        matches::COLUMNS
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let (rule, key): (String, String) = (row.get(0)?, row.get(1)?);
        let kept = matches::read_row(&row, 2)?.map_err(|reason| {
            StoreError::Failed(format!("match of rule {rule} at {key}: {reason}"))
        })?;
        let mut events = Vec::new();
        for position in &kept.positions {
            // Without an event that is damaged the rule fails, and the others go on.
            let event = archived_event::read_native(connection, *position)?;
            events.extend(event.map(|event| KeptEvent::new(*position, event)));
        }
        read.insert_match(&rule, &key, kept, &events);
    }
    read.reserve_positions(next_position(connection)?);
    if let Some((_, marker)) = marker(connection)? {
        read.reserve_positions(marker.next_position);
    }
    read.advance(archive::clock(connection)?);
    Ok(read)
}

/// The position after all entries of a service. Those of programs are in the way of nothing: what
/// is in use has its position from a match, and the marker is moved.
fn next_position(connection: &Connection) -> Result<u64, StoreError> {
    let parameters = (EntryKind::State.number(), EntryKind::Emitted.number(), KEPT);
    let mut statement = connection.prepare_cached(LAST_OF_SERVICE)?;
    let last = statement.query_row(parameters, |row| row.get::<_, i64>(0));
    let last = last.optional()?;
    Ok(last.map_or(0, |last| last.cast_unsigned().saturating_add(1)))
}

fn apply(
    connection: &Connection,
    difference: &StateDifference,
    marker: &Marker,
    now: Timestamp,
) -> Result<(), StoreError> {
    // Before the matches that refer to them.
    for event in &difference.events {
        keep_event(connection, event, now)?;
    }
    // A program has no incidents; those of a service that used the file before end.
    let ending = &Ending::new(IncidentEnd::Forgotten, now);
    for (rule, changes) in &difference.changes {
        state::apply(connection, rule, changes, ending)?;
    }
    for position in &difference.released {
        release_event(connection, *position)?;
    }
    set_marker(connection, marker, now)
}

/// Stores an event that a match refers to, unless it is in the archive.
fn keep_event(connection: &Connection, kept: &KeptEvent, now: Timestamp) -> Result<(), StoreError> {
    let seq = kept.position.cast_signed();
    let mut statement = connection.prepare_cached(AT_POSITION)?;
    let found = statement.query_row([seq], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
    });
    if let Some((entry, kind)) = found.optional()? {
        let archived = archived_event::read_native(connection, kept.position)?;
        if archived.is_some_and(|archived| archived.bytes() == kept.event.bytes()) {
            return Ok(());
        }
        let is_own = kind == KEPT && !is_referred_to(connection, seq)?;
        if entry != EntryKind::State.number() && !is_own {
            return Err(StoreError::Failed(format!(
                "position {seq} of the archive has another event: the state does not come from \
                 this file"
            )));
        }
        remove(connection, seq)?;
    }
    accept::insert_kept_event(connection, seq, &kept.event, now)
}

/// Removes an event that a program has kept, if no match refers to it.
fn release_event(connection: &Connection, position: u64) -> Result<(), StoreError> {
    let seq = position.cast_signed();
    let mut statement = connection.prepare_cached(OWN)?;
    let parameters = (seq, EntryKind::Emitted.number(), KEPT);
    let is_own = statement.query_row(parameters, |_| Ok(())).optional()?;
    if is_own.is_some() && !is_referred_to(connection, seq)? {
        remove(connection, seq)?;
    }
    Ok(())
}

fn is_referred_to(connection: &Connection, seq: i64) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(REFERRED_TO)?;
    Ok(statement.query_row([seq], |row| row.get(0))?)
}

fn remove(connection: &Connection, seq: i64) -> Result<(), StoreError> {
    connection.forget_position();
    connection.prepare_cached(REMOVE)?.run([seq])?;
    Ok(())
}

/// Records what the state has reached, behind all entries that it does not depend on.
fn set_marker(connection: &Connection, new: &Marker, now: Timestamp) -> Result<(), StoreError> {
    if let Some((seq, before)) = marker(connection)? {
        let mut statement = connection.prepare_cached(LAST)?;
        let last: i64 = statement.query_row((), |row| row.get(0))?;
        if seq == last && before == *new {
            return Ok(());
        }
        // Entries of the service stay behind the marker of what they did not see.
        let mut statement = connection.prepare_cached(PASSED)?;
        let parameters = (seq, EntryKind::Emitted.number(), KEPT);
        let is_passed: bool = statement.query_row(parameters, |row| row.get(0))?;
        if !is_passed {
            remove(connection, seq)?;
        }
    }
    let identity = EventIdentity {
        source: "reflexarc".to_owned(),
        name: EntryKind::State.as_str().to_owned(),
        time: now.to_string(),
        ..EventIdentity::default()
    };
    let entry = NewEntry {
        kind: EntryKind::State,
        at: now,
        event: EventRef::from(&identity),
        identity,
        resource: String::new(),
        detail: new.to_json(),
    };
    accept::insert_entry(connection, &entry, &Evaluation::default(), now)?;
    Ok(())
}

/// The newest marker with its position, if it is there.
pub(super) fn marker(connection: &Connection) -> Result<Option<(i64, Marker)>, StoreError> {
    let Some(seq) = archive::newest_position(connection, EntryKind::State)? else {
        return Ok(None);
    };
    let Some((archived, _)) = archived_event::read_event(connection, seq)? else {
        return Ok(None);
    };
    Ok(match archived {
        // Another one where that was removed, and positions were given again since.
        Ok(archived) if archived.entry != EntryKind::State => None,
        Ok(archived) => Some((seq, Marker::from_json(archived.event.tree()))),
        // As if it had been removed: events must go on being accepted.
        Err(damaged) => {
            tracing::warn!(%damaged, "the time that the state has reached is damaged");
            None
        }
    })
}

impl Marker {
    fn of(state: &MemoryState) -> Self {
        let matches = state.matches();
        Self {
            clock: matches.clock(),
            next_position: matches.next_position(),
        }
    }

    fn to_json(self) -> Json {
        let clock = (self.clock > Timestamp::MIN).then(|| self.clock.to_string());
        Json::object([
            ("clock", Json::optional(clock.as_deref())),
            ("next_position", Json::count(self.next_position)),
        ])
    }

    fn from_json(json: &Json) -> Self {
        let clock = json.get("clock").and_then(Json::as_str);
        let clock = clock.and_then(|text| text.parse().ok());
        let next_position = json.get("next_position").and_then(Json::as_i64);
        Self {
            clock: clock.unwrap_or(Timestamp::MIN),
            next_position: next_position.unwrap_or_default().unsigned_abs(),
        }
    }
}
