//! The state of a key as a [`KeptMatch`], and back.

use jiff::{SignedDuration, Timestamp};
use reflexarc_event::Json;
use reflexarc_reaction::{KeptEvent, KeptMatch, State, StateChange};

use super::Failed;
use crate::rule::Rule;
use crate::rule_window::RuleWindow;
use crate::window::{KeyState, Micros, Shape, Window};

/// The state key of the time at which the newest late event of a rule was applied.
const NEWEST_LATE: &str = "$late";

/// The state key of the mark of the keys that were armed. Without it, each of up to 100,000
/// expected keys would be looked up before each event.
const EXPECTED: &str = "$expected";

/// The state of a key; `None` if there is none, or of a window that the rule has no more.
pub(super) fn read(
    rule: &Rule,
    window: &RuleWindow,
    key: &str,
    state: &dyn State,
    now: Timestamp,
) -> Result<Option<KeyState>, Failed> {
    let Some(kept) = state.matches().get(rule.name(), key, now) else {
        return Ok(None);
    };
    if kept.window != window.fingerprint() {
        return Ok(None);
    }
    let data: Result<KeyState, _> = serde_json::from_str(&kept.data);
    let mut state =
        data.map_err(|error| Failed::from(format!("invalid match of the key {key}: {error}")))?;
    state.not_before = kept.not_before.map(micros);
    state.shift = i64::try_from(kept.shift.as_micros()).unwrap_or(i64::MAX);
    Ok(Some(state))
}

pub(super) fn write(
    window: &RuleWindow,
    key: String,
    key_state: &KeyState,
    event: Option<KeptEvent>,
    had_match: bool,
    newest_late: Option<Micros>,
) -> Option<StateChange> {
    if !key_state.has_times() {
        return had_match.then_some(StateChange::RemoveMatch { key });
    }
    let data = serde_json::to_string(key_state);
    let mut kept = KeptMatch::new(data.expect("numbers and texts can be written as JSON"));
    kept.window = window.fingerprint();
    kept.not_before = key_state.not_before.map(timestamp);
    kept.shift = SignedDuration::from_micros(key_state.shift);
    // A deadline after the year 9999 never comes.
    let due = window.window.due(key_state, newest_late);
    kept.due = due.and_then(|due| Timestamp::from_microsecond(due).ok());
    kept.expires = expires(window, &key, key_state).map(timestamp);
    kept.is_pending = window.window.is_pending(key_state);
    kept.positions = Window::positions(key_state);
    Some(StateChange::SetMatch { key, kept, event })
}

fn expires(window: &RuleWindow, key: &str, state: &KeyState) -> Option<Micros> {
    // A key that is expected, or the only one, is never forgotten: it would be armed again, and
    // fire a second time without an event in between.
    let waits = matches!(window.window.shape, Shape::Silence(_));
    if waits && (window.expected.contains(key) || window.by.paths().is_empty()) {
        return None;
    }
    window.window.expires(state)
}

pub(super) fn read_newest_late(rule: &Rule, state: &dyn State, now: Timestamp) -> Option<Micros> {
    state.get(rule.name(), NEWEST_LATE, now)?.value.as_i64()
}

pub(super) fn set_newest_late(at: Micros, settle: Micros) -> StateChange {
    // Nothing waits for a late event longer than `settle`.
    let expires = at.saturating_add(settle);
    StateChange::Set {
        key: NEWEST_LATE.to_owned(),
        value: Json::from(at),
        expires: Timestamp::from_microsecond(expires).ok(),
    }
}

/// Whether the keys that the rule expects were armed, as they are now.
pub(super) fn are_expected_armed(
    rule: &Rule,
    window: &RuleWindow,
    state: &dyn State,
    now: Timestamp,
) -> bool {
    let Some(last) = window.expected.last() else {
        return true;
    };
    let mark = state.get(rule.name(), EXPECTED, now);
    // The mark alone is not enough: matches are closed where a rule is disabled for a while.
    mark.is_some_and(|mark| mark.value == window.expected_mark())
        && state.matches().get(rule.name(), last, now).is_some()
}

pub(super) fn set_expected_armed(window: &RuleWindow) -> StateChange {
    StateChange::Set {
        key: EXPECTED.to_owned(),
        value: window.expected_mark(),
        expires: None,
    }
}

pub(super) fn micros(time: Timestamp) -> Micros {
    time.as_microsecond()
}

/// The time of so many microseconds, at most the end of the year 9999.
pub(super) fn timestamp(at: Micros) -> Timestamp {
    Timestamp::from_microsecond(at).unwrap_or(Timestamp::MAX)
}
