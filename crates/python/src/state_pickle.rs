//! What a pickled `State` consists of.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use reflexarc_event::{Event, Json, NativeEvent};
use reflexarc_reaction::{Entry, KeptEvent, KeptMatch, MemoryState, State as _};

use crate::error::StateError;

/// Rule, key, value as JSON, and when it expires.
pub(crate) type EntryRow = (String, String, String, Option<String>);
/// Rule, key, window, data, deadline, the earliest one, microseconds by which the clock was set,
/// when it expires, whether it waits, and positions of events.
type MatchRow = (
    String,
    String,
    u64,
    String,
    Option<String>,
    Option<String>,
    i64,
    Option<String>,
    bool,
    Vec<u64>,
);
/// Matches, events with their positions, the next position, and the time that was reached.
pub(crate) type MatchRows = (Vec<MatchRow>, Vec<(u64, Vec<u8>)>, u64, Option<String>);

/// The arguments from which [`unpickled`] makes an equal state.
pub(crate) fn pickled<'py>(py: Python<'py>, state: &MemoryState) -> PyResult<Bound<'py, PyTuple>> {
    let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let entries = state.entries(Timestamp::MIN).map(|(rule, key, entry)| {
        let value = entry.value.to_string();
        (rule, key, value, text(entry.expires))
    });
    let entries = entries.collect::<Vec<_>>();
    let matches = state.rules_with_matches().flat_map(|rule| {
        let matches = state.matches_of(rule, Timestamp::MIN);
        matches.map(move |(key, kept)| {
            let (due, not_before) = (text(kept.due), text(kept.not_before));
            let shift = i64::try_from(kept.shift.as_micros()).unwrap_or(i64::MAX);
            let (expires, pending) = (text(kept.expires), kept.is_pending);
            let (data, positions) = (kept.data.to_string(), kept.positions.clone());
            (
                rule,
                key,
                kept.window,
                data,
                due,
                not_before,
                shift,
                expires,
                pending,
                positions,
            )
        })
    });
    let matches = matches.collect::<Vec<_>>();
    let (position, clock) = (state.matches().next_position(), state.matches().clock());
    let clock = (clock > Timestamp::MIN).then_some(clock);
    // As earlier versions wrote it, so that they can read the state of rules without time windows.
    if matches.is_empty() && position == 0 && clock.is_none() {
        return (entries,).into_pyobject(py);
    }
    let events = state.kept_events().map(|kept| {
        let bytes = PyBytes::new(py, kept.event.bytes());
        (kept.position, bytes)
    });
    let events = events.collect::<Vec<_>>();
    (entries, (matches, events, position, text(clock))).into_pyobject(py)
}

/// The state of a pickle; those of earlier versions have no matches.
pub(crate) fn unpickled(entries: Vec<EntryRow>, rows: Option<MatchRows>) -> PyResult<MemoryState> {
    let mut state = MemoryState::new();
    for (rule, key, value, expires) in entries {
        let value = Json::parse(value).map_err(invalid)?;
        let mut entry = Entry::new(value);
        entry.expires = time(expires)?;
        state.insert(rule, key, entry);
    }
    let Some((matches, events, position, clock)) = rows else {
        return Ok(state);
    };
    let event = |(position, bytes): (u64, Vec<u8>)| {
        // It was converted to the native form before it was kept.
        let event = NativeEvent::as_is(Event::from_json(bytes).map_err(invalid)?);
        Ok((position, KeptEvent::new(position, event)))
    };
    let events: PyResult<BTreeMap<u64, KeptEvent>> = events.into_iter().map(event).collect();
    let events = events?;
    for (rule, key, window, data, due, not_before, shift, expires, is_pending, positions) in matches
    {
        let mut kept = KeptMatch::new(data);
        (kept.window, kept.shift) = (window, SignedDuration::from_micros(shift));
        (kept.due, kept.not_before) = (time(due)?, time(not_before)?);
        kept.expires = time(expires)?;
        (kept.is_pending, kept.positions) = (is_pending, positions);
        let referred = kept.positions.iter().filter_map(|at| events.get(at));
        let referred: Vec<KeptEvent> = referred.cloned().collect();
        state.insert_match(&rule, &key, kept, &referred);
    }
    state.reserve_positions(position);
    state.advance(time(clock)?.unwrap_or(Timestamp::MIN));
    Ok(state)
}

fn time(text: Option<String>) -> PyResult<Option<Timestamp>> {
    text.map(|at| at.parse().map_err(invalid)).transpose()
}

fn invalid(error: impl std::error::Error) -> PyErr {
    StateError::new_err(error.to_string())
}
