//! The archive: every accepted event as it was received, with its evaluation.
//!
//! A walk reads the positions of the next events first, and then each event by its position. So a
//! page of the file that cannot be read hides no more than what is on it: where positions cannot be
//! read, the walk looks for the next that can, and an event that cannot be read is reported alone.

use std::collections::VecDeque;

use jiff::Timestamp;
use reflexarc_event::Json;

use super::archived_event::read_event;
use super::damage::{is_local, is_of_row, out_of_order};
use super::{instant, micros, program_state};
use crate::database;
use crate::database::{Connection, Optional, Row};
use crate::{DamagedEvent, EntryKind, EventPage, PageLimits, Selection, StoreError};

/// Positions that one transaction looks at, of events that may all be left out.
// Reading a position costs a microsecond, so a transaction lasts for milliseconds.
const POSITIONS: i64 = 4_096;
/// Positions that are tried one by one behind a place that cannot be read; then every second one is
/// tried, every fourth, and so on.
// A page holds at most about 30 events, and the next page is found exactly.
const PROBES: u32 = 64;

/// Which events a walk visits, and how far it is.
pub(super) struct Walk {
    id: Option<String>,
    /// The number of the kind of entries.
    kind: Option<i64>,
    from: i64,
    to: i64,
    /// The last position that was looked at.
    after: i64,
    /// The last position that may be selected.
    last: i64,
    /// Whether the index of ids cannot be read, so that all events are looked at.
    without_index: bool,
}

/// Positions of events, or damage.
struct Positions {
    /// Each with its size in bytes before compression.
    events: VecDeque<Result<(i64, usize), DamagedEvent>>,
    /// The last position that was looked at; `None` if none follows.
    last: Option<i64>,
}

impl Walk {
    /// A walk over the selected events after position `after`.
    pub(super) fn new(
        connection: &Connection,
        selection: &Selection,
        after: i64,
    ) -> Result<Self, StoreError> {
        let mut walk = Self {
            id: selection.id.clone(),
            kind: selection.kind.map(EntryKind::number),
            from: selection.from.map_or(i64::MIN, micros),
            to: selection.to.map_or(i64::MAX, micros),
            after,
            last: i64::MAX,
            without_index: false,
        };
        if selection.id.is_none() && (selection.from.is_some() || selection.to.is_some()) {
            // The index of times, which is small, says between which positions they are: a walk
            // over the last hour does not read a month of events first.
            let sql = "SELECT min(seq), max(seq) FROM archive INDEXED BY archive_by_time
                       WHERE received >= ?1 AND received < ?2";
            let found = connection
                .prepare_cached(sql)?
                .query_row((walk.from, walk.to), |row| Ok((row.get(0)?, row.get(1)?)));
            match found {
                Ok((Some(first), Some(last))) => {
                    let first: i64 = first;
                    (walk.after, walk.last) = (after.max(first.saturating_sub(1)), last);
                }
                Ok(_) => walk.last = i64::MIN,
                // Then all positions are looked at.
                Err(error) if is_local(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(walk)
    }

    /// The next selected events, in order of acceptance. A page without events need not be the last
    /// one.
    pub(super) fn page(
        &mut self,
        connection: &Connection,
        limits: PageLimits,
    ) -> Result<EventPage, StoreError> {
        let mut page = EventPage::default();
        let Some(mut positions) = self.positions(connection, limits.rows)? else {
            return Ok(page);
        };
        let mut bytes = 0_usize;
        while let Some(found) = positions.events.pop_front() {
            if page.events.len() >= limits.rows {
                positions.events.push_front(found);
                break;
            }
            match found {
                Ok((seq, size)) => {
                    bytes = bytes.saturating_add(size);
                    if bytes > limits.bytes && !page.events.is_empty() {
                        positions.events.push_front(found);
                        break;
                    }
                    let found = read_event(connection, seq)?;
                    self.after = seq;
                    if let Some((event, evaluation)) = found {
                        page.events.push(event);
                        // How large it is is known only now; then this event is the last.
                        bytes = bytes.saturating_add(evaluation);
                    }
                }
                Err(damaged) => {
                    self.after = damaged.last;
                    page.events.push(Err(damaged));
                }
            }
        }
        if positions.events.is_empty() {
            // None of the positions behind the last event was selected.
            self.after = positions.last.unwrap_or(i64::MAX);
        }
        page.next = Some(self.after).filter(|after| *after < self.last);
        Ok(page)
    }

    /// The next positions; `None` at the end.
    fn positions(
        &mut self,
        connection: &Connection,
        limit: usize,
    ) -> Result<Option<Positions>, StoreError> {
        if self.after >= self.last {
            return Ok(None);
        }
        if self.id.is_some() && !self.without_index {
            match self.positions_of_id(connection, limit) {
                Ok(positions) => return Ok(Some(positions)),
                Err(error) if is_local(&error) => {
                    tracing::warn!(%error, "the index of ids is damaged; reading all events");
                    self.without_index = true;
                }
                Err(error) => return Err(error.into()),
            }
        }
        let mut positions = Positions {
            events: VecDeque::new(),
            last: None,
        };
        let mut looked_at = self.after;
        match self.read_positions(connection, limit, &mut positions, &mut looked_at) {
            Ok(is_full) => positions.last = is_full.then_some(looked_at),
            Err(error) if is_local(&error) => {
                if looked_at == self.after {
                    let damaged = skip(connection, self.after, &error)?;
                    looked_at = damaged.last;
                    positions.events.push_back(Err(damaged));
                }
                positions.last = Some(looked_at);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(Some(positions))
    }

    /// Whether the kind in a column is selected; also if it cannot be read.
    fn is_of_kind(&self, row: &Row<'_>, column: usize) -> bool {
        let is_other = |wanted: i64| row.get(column).is_ok_and(|entry: i64| entry != wanted);
        !self.kind.is_some_and(is_other)
    }

    /// Reads positions by the index of ids.
    fn positions_of_id(
        &self,
        connection: &Connection,
        limit: usize,
    ) -> database::Result<Positions> {
        let limit = i64::try_from(limit).unwrap_or(POSITIONS).min(POSITIONS);
        let sql = "SELECT seq FROM archive INDEXED BY archive_by_id
                   WHERE id = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
        let mut statement = connection.prepare_cached(sql)?;
        let found = statement.query_map((&self.id, self.after, limit), |row| row.get(0))?;
        let found: Vec<i64> = found.collect::<Result<_, _>>()?;
        let is_full = i64::try_from(found.len()) == Ok(limit);
        let last = found.last().copied().filter(|_| is_full);
        let mut events = VecDeque::new();
        let sql = "SELECT received, size, entry FROM archive WHERE seq = ?1";
        let mut statement = connection.prepare_cached(sql)?;
        for seq in found {
            let row = statement.query_row([seq], |row| {
                Ok((row.get(0)?, row.get(1)?, self.is_of_kind(row, 2)))
            });
            let (received, size, is_of_kind): (i64, i64, bool) = match row.optional() {
                Ok(Some(row)) => row,
                // Pruned by another connection meanwhile, or the index is damaged.
                Ok(None) => continue,
                // What cannot be read is reported when the event is read.
                Err(_) => (self.from, 0, true),
            };
            if is_of_kind && (self.from..self.to).contains(&received) {
                events.push_back(Ok((seq, usize::try_from(size).unwrap_or_default())));
            }
        }
        Ok(Positions { events, last })
    }

    /// Reads positions by the primary key. Returns whether there may be more.
    fn read_positions(
        &self,
        connection: &Connection,
        limit: usize,
        positions: &mut Positions,
        looked_at: &mut i64,
    ) -> database::Result<bool> {
        let sql = "SELECT seq, received, size, id, entry FROM archive
                   WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query((self.after, self.last, POSITIONS))?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            let seq: i64 = row.get(0)?;
            // The rows of a damaged page may be those of another one, and the walk must not go in a
            // circle.
            if seq <= *looked_at {
                return Err(out_of_order());
            }
            *looked_at = seq;
            count += 1;
            // Columns that cannot be read are those of an event that cannot be read.
            let received: i64 = row.get(1).unwrap_or(self.from);
            let size: i64 = row.get(2).unwrap_or_default();
            let id = row.get_ref(3)?;
            let has_id = |wanted: &String| {
                let text = id.as_bytes();
                text.is_some_and(|text| text == wanted.as_bytes())
            };
            if (self.from..self.to).contains(&received)
                && self.id.as_ref().is_none_or(has_id)
                && self.is_of_kind(&row, 4)
            {
                let size = usize::try_from(size).unwrap_or_default();
                positions.events.push_back(Ok((seq, size)));
                if positions.events.len() >= limit {
                    return Ok(true);
                }
            }
        }
        Ok(count == POSITIONS)
    }
}

/// When the newest event was accepted. `None` also if that cannot be read: a store starts although
/// its newest events are damaged.
pub(super) fn newest(connection: &Connection) -> Result<Option<Timestamp>, StoreError> {
    // Of the last position, not the latest time: an event that was accepted while the clock was
    // wrong must not be the newest for ever.
    // What came since because of deadlines is behind it, and is passed over.
    let sql = "SELECT received FROM archive WHERE entry = 0 ORDER BY seq DESC LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    match statement.query_row((), |row| row.get(0)).optional() {
        Ok(found) => Ok(found.map(instant)),
        Err(error) if is_local(&error) || is_of_row(&error) => {
            tracing::warn!(%error, "cannot read the newest event");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// The latest time of an entry at position `?1` or after it.
// Reads the entries from before the clock was set back that have later times, and no others. What
// operators do is recorded by the clock of their own process, which is not that of the entries.
pub(super) const CLOCK: &str = "SELECT received FROM archive INDEXED BY archive_by_time
    WHERE seq >= ?1 AND entry <> ?2 ORDER BY received DESC LIMIT 1";

/// The time and the description of the newest entry of a kind.
pub(super) fn newest_of(
    connection: &Connection,
    kind: EntryKind,
) -> Result<Option<(Timestamp, Json)>, StoreError> {
    let Some(seq) = newest_position(connection, kind)? else {
        return Ok(None);
    };
    match read_event(connection, seq)? {
        // Another one where that was removed, and positions were given again since.
        Some((Ok(entry), _)) if entry.entry != kind => Ok(None),
        Some((Ok(entry), _)) => Ok(Some((entry.received, entry.event.tree().clone()))),
        Some((Err(damaged), _)) => Err(StoreError::Failed(damaged.to_string())),
        None => Ok(None),
    }
}

/// The position of the newest entry of a kind; it may have been removed since.
pub(super) fn newest_position(
    connection: &Connection,
    kind: EntryKind,
) -> Result<Option<i64>, StoreError> {
    if kind == EntryKind::Event {
        let sql = "SELECT seq FROM archive WHERE entry = 0 ORDER BY seq DESC LIMIT 1";
        let mut statement = connection.prepare_cached(sql)?;
        return Ok(statement.query_row((), |row| row.get(0)).optional()?);
    }
    let sql = "SELECT seq FROM newest_entry WHERE entry = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let seq = statement.query_row([kind.number()], |row| row.get(0));
    Ok(seq.optional()?)
}

/// Records that the entry at this position is the newest of its kind.
pub(super) fn set_newest(
    connection: &Connection,
    kind: EntryKind,
    seq: i64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO newest_entry (entry, seq) VALUES (?1, ?2)
               ON CONFLICT (entry) DO UPDATE SET seq = ?2";
    connection.prepare_cached(sql)?.run((kind.number(), seq))?;
    Ok(())
}

/// The position of the next entry.
pub(super) fn next_position(connection: &Connection) -> Result<u64, StoreError> {
    let next = connection.next_position(|| {
        let mut statement = connection.prepare_cached("SELECT max(seq) FROM archive")?;
        let last: Option<i64> = statement.query_row((), |row| row.get(0))?;
        Ok::<_, StoreError>(last.unwrap_or_default().saturating_add(1))
    })?;
    Ok(next.cast_unsigned())
}

/// The latest time of an entry since the clock was set.
pub(super) fn clock(connection: &Connection) -> Result<Timestamp, StoreError> {
    // What was applied by the clock as it was then does not hold back what comes by this one.
    let set = newest_position(connection, EntryKind::Clock)?;
    // An archive of which all was removed counts from 1 again.
    let next = next_position(connection)?.cast_signed();
    let set = set.filter(|set| *set < next);
    // A program has written the clock that its state has reached.
    let marker = program_state::marker(connection)?;
    let marker = marker.filter(|(seq, _)| set.is_none_or(|set| set < *seq));
    let (set, reached) = match marker {
        Some((seq, marker)) => (Some(seq.saturating_add(1)), marker.clock),
        None => (set, Timestamp::MIN),
    };
    let mut statement = connection.prepare_cached(CLOCK)?;
    let parameters = (set.unwrap_or(i64::MIN), EntryKind::Closed.number());
    let latest = statement.query_row(parameters, |row| row.get(0));
    Ok(latest.optional()?.map_or(reached, instant).max(reached))
}

/// The positions after `after` that cannot be read.
fn skip(
    connection: &Connection,
    after: i64,
    error: &database::Error,
) -> Result<DamagedEvent, StoreError> {
    let sql = "SELECT seq FROM archive WHERE seq >= ?1 ORDER BY seq LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    let (mut at, mut stride, mut probes) = (after.saturating_add(1), 1_i64, 0_u32);
    let last = loop {
        probes += 1;
        if probes.is_multiple_of(PROBES) {
            stride = stride.saturating_mul(2);
        }
        at = at.saturating_add(stride);
        if at == i64::MAX {
            break at;
        }
        match statement
            .query_row([at], |row| row.get::<_, i64>(0))
            .optional()
        {
            // Nothing follows: the damage reaches to the end.
            Ok(None) => break i64::MAX,
            Ok(Some(seq)) if seq >= at => break seq.saturating_sub(1),
            Ok(Some(_)) => {}
            Err(error) if is_local(&error) => {}
            Err(error) => return Err(error.into()),
        }
    };
    Ok(DamagedEvent {
        seq: after.saturating_add(1),
        last,
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use reflexarc::{Evaluation, RuleEffects};
    use reflexarc_event::Event;

    use super::*;
    use crate::{Incoming, SqliteStore, Store, StoreOptions};

    /// Of a store with 20 events that carry, or whose evaluations carry, a megabyte each.
    fn two_pages(event: usize, evaluation: usize) -> [EventPage; 2] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let store = SqliteStore::open(&path, &StoreOptions::default()).unwrap();
        for id in 0..20 {
            let text = format!(r#"{{"id":"{id}","text":"{}"}}"#, "x".repeat(event));
            let incoming = Incoming::new(Event::from_json(text).unwrap()).unwrap();
            let mut effects = RuleEffects::new("r");
            effects.log = vec!["x".repeat(evaluation)];
            let mut evaluation = Evaluation::default();
            evaluation.rules.push(effects);
            let accepted = store.accept(incoming, evaluation, Timestamp::UNIX_EPOCH);
            assert!(!accepted.unwrap().duplicate);
        }
        let direct = Connection::sqlite(rusqlite::Connection::open(&path).unwrap());
        let mut walk = Walk::new(&direct, &Selection::default(), 0).unwrap();
        [(); 2].map(|()| walk.page(&direct, PageLimits::WALK).unwrap())
    }

    #[test]
    fn pages_of_a_walk_are_bounded_in_bytes() {
        for (event, evaluation, first_page) in [(1_000_000, 10, 16), (10, 1_000_000, 17)] {
            let [first, second] = two_pages(event, evaluation);
            assert_eq!(first.events.len(), first_page);
            assert_eq!(second.events.len(), 20 - first_page);
            let last = i64::try_from(first_page).unwrap();
            assert_eq!((first.next, second.next), (Some(last), None));
        }
    }
}
