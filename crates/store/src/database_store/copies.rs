//! Recognising copies of events within the duplicate window.
//!
//! The fingerprint of an event is in one place:
//!
//! | the event is | its fingerprint is in |
//! |---|---|
//! | the first of its id in the archive | its row of the archive, found by the index of ids |
//! | another one of an id that the archive has | the table `seen` |
//! | removed by retention within the window | the table `seen` |
//!
//! Nearly all events are of the first kind, and cost no write but their row. A sender that uses one
//! id for all of its events makes the others: of an id at most one row is looked at, the first,
//! because only that one can have a fingerprint. It was accepted when there was none of its id, so
//! all that are there now came later.
//!
//! ```text
//! accepted  id 7 at 12:00    archive: row 1 has its fingerprint
//! accepted  id 7 at 12:01    archive: row 2 has none             seen: that of row 2
//! removed   row 1            archive: row 2                      seen: those of rows 1 and 2
//! ```

use std::collections::HashSet;

use jiff::Timestamp;

use super::micros;
use crate::database;
use crate::database::{Connection, Row};
use crate::{Incoming, StoreError};

/// What is known of an event that comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It is a copy of the event at this archive position.
    Copy(i64),
    /// It is new.
    New {
        /// The archive has an event of its id.
        is_known_id: bool,
    },
}

/// Each place where the fingerprint `?1` of an event with the id `?2` may be: position, time,
/// whether it is there, and whether the place is the archive.
//
// One statement for both: half of what a look costs is beginning it.
pub(super) const FIND: &str = "SELECT seq, at, 1, 0 FROM seen WHERE fingerprint = ?1
    UNION ALL
    SELECT seq, received, CASE WHEN fingerprint IS ?1 THEN 1 ELSE 0 END, 1
    FROM archive
    WHERE seq = (SELECT min(seq) FROM archive INDEXED BY archive_by_id WHERE id = ?2)";

/// Keeps a fingerprint in `seen`. An entry beyond the window may be there until the next pruning;
/// the newer one takes its place.
const KEEP: &str = "INSERT INTO seen (fingerprint, seq, at) VALUES (?1, ?2, ?3)
    ON CONFLICT (fingerprint) DO UPDATE SET seq = ?2, at = ?3 WHERE seen.at <= ?3";

/// As [`find`] for events that arrive together. `None` for one of which that is not known yet: an event
/// before it has its id, or is the same.
pub(super) fn find_together(
    connection: &Connection,
    events: &[&Incoming],
    now: Timestamp,
    window: i64,
) -> Result<Vec<Option<Arrival>>, StoreError> {
    let mut ids = HashSet::new();
    let events_ids = events.iter().map(|event| event.identity.id.as_str());
    let firsts: Vec<bool> = events_ids.map(|id| ids.insert(id)).collect();
    let asked = |event: &&Incoming, is_first: bool| {
        let fingerprint = event.fingerprint.as_ref().filter(|_| is_first)?;
        Some((*fingerprint, event.identity.id.clone()))
    };
    let known = events.iter().zip(&firsts);
    let parameters = known.filter_map(|(event, is_first)| asked(event, *is_first));
    let mut statement = connection.prepare_cached(FIND)?;
    let mut found = statement.query_each(parameters, read)?.into_iter();
    let since = micros(now).saturating_sub(window);
    let arrivals =
        events
            .iter()
            .zip(firsts)
            .map(|(event, is_first)| match (&event.fingerprint, is_first) {
                (_, false) => None,
                (None, true) => Some(Arrival::New { is_known_id: false }),
                (Some(_), true) => found.next().map(|places| arrival(&places, since)),
            });
    Ok(arrivals.collect())
}

/// Looks for an event of which this one is a copy, accepted less than `window` microseconds ago.
pub(super) fn find(
    connection: &Connection,
    incoming: &Incoming,
    now: Timestamp,
    window: i64,
) -> Result<Arrival, StoreError> {
    let Some(fingerprint) = &incoming.fingerprint else {
        return Ok(Arrival::New { is_known_id: false });
    };
    // Fingerprints beyond the window may still be there, because pruning removes them only every
    // ten minutes, and archived events stay longer; the time decides.
    let since = micros(now).saturating_sub(window);
    let mut statement = connection.prepare_cached(FIND)?;
    let places = statement.query_map((fingerprint, &incoming.identity.id), read)?;
    let places: Vec<_> = places.collect::<Result<_, _>>()?;
    Ok(arrival(&places, since))
}

/// A row of [`FIND`].
struct Place {
    seq: i64,
    at: i64,
    is_same: bool,
    is_archived: bool,
}

fn read(row: &Row<'_>) -> database::Result<Place> {
    Ok(Place {
        seq: row.get(0)?,
        at: row.get(1)?,
        is_same: row.get(2)?,
        is_archived: row.get(3)?,
    })
}

/// What an event is of which these places are known.
fn arrival(places: &[Place], since: i64) -> Arrival {
    let copied = places
        .iter()
        .find(|place| place.is_same && place.at > since);
    match copied {
        Some(place) => Arrival::Copy(place.seq),
        None => Arrival::New {
            is_known_id: places.iter().any(|place| place.is_archived),
        },
    }
}

/// Keeps the fingerprint of an event whose row in the archive does not have it (any more).
pub(super) fn keep(
    connection: &Connection,
    fingerprint: &[u8; 16],
    seq: i64,
    at: i64,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(KEEP)?
        .run((fingerprint, seq, at))?;
    Ok(())
}
