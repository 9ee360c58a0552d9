//! Evaluating rules with a time window: from an event or a deadline to the matches that it changes,
//! and to the reactions that run because of it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reflexarc_event::{Event, Json, NativeEvent};
use reflexarc_reaction::{KeptEvent, State, StateChange};

use super::kept_state::{
    self, are_expected_armed, micros, read, read_newest_late, set_expected_armed, write,
};
use super::match_reaction::{MatchContext, MatchReaction, script_key};
use super::{Context, Failed};
use crate::event_key::{EventKey, MAX_KEY_BYTES};
use crate::event_time::event_time;
use crate::rule::Rule;
use crate::rule_window::RuleWindow;
use crate::window::{Arrival, Ending, KeyState, Micros, Roles, Seen, Shape, Step};

/// What an event or a deadline is to one key of a rule.
pub(super) struct MatchRun {
    /// The key as JSON.
    key: String,
    state: KeyState,
    /// The event that changed the state.
    event: Option<KeptEvent>,
    /// Whether there was a match that waited; `None` if there was none.
    was_pending: Option<bool>,
    /// What became of the match.
    pub(super) steps: Vec<String>,
    pub(super) notes: Vec<String>,
    /// The reaction that ran, if any.
    pub(super) reaction: Option<MatchReaction>,
}

/// The result for one key: a run, or why the key is not followed.
pub(super) type KeyOutcome = Result<MatchRun, Failed>;

/// An event as it is applied to the window of a rule.
pub(super) struct EventInTime<'a> {
    event: &'a NativeEvent,
    seen: Seen,
    own_time: Option<Micros>,
    hop: usize,
}

/// A key of an event.
pub(super) struct MatchKey {
    /// As JSON.
    pub(super) key: String,
    /// As scripts see it.
    pub(super) value: Json,
    pub(super) roles: Roles,
}

/// Applies an event to one key of a rule.
pub(super) fn apply(
    rule: &Rule,
    window: &RuleWindow,
    key: MatchKey,
    arrival: &EventInTime<'_>,
    state: &dyn State,
    context: &Context<'_>,
) -> KeyOutcome {
    let MatchKey { key, value, roles } = key;
    let name = window.kind().key();
    let (mut steps, mut notes) = (Vec::new(), Vec::new());
    let distinct = window.distinct.as_ref();
    let distinct = match distinct.map(|distinct| distinct.of(arrival.event.event())) {
        None => None,
        Some(Ok(value)) => Some(value.to_string()).filter(|text| text.len() <= MAX_KEY_BYTES),
        Some(Err(reason)) => {
            notes.push(format!("{name}: not counted: {reason}"));
            None
        }
    };
    let kept = read(rule, window, &key, state, context.now)?;
    let was_pending = kept.as_ref().map(|kept| window.window.is_pending(kept));
    let mut key_state = kept.unwrap_or_default();
    let mut firing = None;
    if window.distinct.is_none() || distinct.is_some() {
        let applied = window.window.apply(
            &mut key_state,
            &Arrival {
                seen: arrival.seen,
                own_time: arrival.own_time,
                roles,
                value: distinct.as_deref(),
                bytes: arrival.event.bytes().len(),
                hop: u64::try_from(arrival.hop).unwrap_or(u64::MAX),
            },
        );
        // Before anything runs: nothing does for a key that is not followed.
        if window.window.is_pending(&key_state) && was_pending != Some(true) {
            check_room(rule, window, state, context)?;
        }
        // What an event completes is released, so that a full memory loses no alert.
        if applied.firing.is_none() && window.window.keeps(roles, was_pending.is_some()) {
            check_bytes(window, arrival, state, context)?;
        }
        let newest_late = read_newest_late(rule, state, context.now);
        let due = window.window.due(&key_state, newest_late);
        steps.push(step_note(window, &value, applied.step, due));
        firing = applied.firing;
    } else if notes.is_empty() {
        notes.push(format!(
            "{name}: not counted: the value has more than {MAX_KEY_BYTES} bytes"
        ));
    }
    let match_context = MatchContext {
        rule,
        window,
        key: &value,
        current: Some((arrival.seen.position, arrival.event)),
        shift: key_state.shift,
        state,
        context,
    };
    let reaction = firing.map(|firing| match_context.run(firing));
    Ok(MatchRun {
        key,
        state: key_state,
        event: Some(KeptEvent::new(
            arrival.seen.position,
            arrival.event.clone().without_trees(),
        )),
        was_pending,
        steps,
        notes,
        reaction,
    })
}

/// Runs what is due of a match at the time of the context. A match that cannot be read, or of
/// another window, is closed.
pub(super) fn fire(
    rule: &Rule,
    window: &RuleWindow,
    key: &str,
    state: &dyn State,
    context: &Context<'_>,
) -> (MatchRun, Option<Failed>) {
    let mut run = MatchRun {
        key: key.to_owned(),
        state: KeyState::default(),
        event: None,
        was_pending: Some(true),
        steps: Vec::new(),
        notes: Vec::new(),
        reaction: None,
    };
    match read(rule, window, key, state, context.now) {
        Ok(Some(kept)) => run.state = kept,
        Ok(None) => {
            let name = window.kind().key();
            run.steps
                .push(format!("{name}: closed: its window has changed"));
            return (run, None);
        }
        Err(failed) => return (run, Some(failed)),
    }
    let newest_late = read_newest_late(rule, state, context.now);
    let now = micros(context.now);
    if let Some(firing) = window.window.fire(&mut run.state, now, newest_late) {
        // The key was written by `keys_of_event`.
        let value = Json::parse(key).unwrap_or_else(|_| Json::from(key));
        let value = script_key(value);
        let match_context = MatchContext {
            rule,
            window,
            key: &value,
            current: None,
            shift: run.state.shift,
            state,
            context,
        };
        run.reaction = Some(match_context.run(firing));
    }
    (run, None)
}

/// The deadline of a match, if it is before what comes at `now`.
pub(super) fn overdue(
    rule: &Rule,
    window: &RuleWindow,
    key: &str,
    state: &dyn State,
    now: Timestamp,
) -> Option<Timestamp> {
    let kept = state.matches().get(rule.name(), key, now)?;
    let due = kept.due.filter(|due| *due <= now);
    due.filter(|_| kept.window == window.fingerprint())
}

/// Whether there is a match of the window at a key.
pub(super) fn has_match(
    rule: &Rule,
    window: &RuleWindow,
    key: &str,
    state: &dyn State,
    now: Timestamp,
) -> bool {
    matches!(read(rule, window, key, state, now), Ok(Some(_)))
}

/// The change that lets a match wait for `settle` from now on.
pub(super) fn postpone(
    rule: &Rule,
    window: &RuleWindow,
    key: &str,
    state: &dyn State,
    now: Timestamp,
) -> Option<StateChange> {
    let mut key_state = read(rule, window, key, state, now).ok()??;
    let settled = micros(now).saturating_add(window.window.settle);
    key_state.not_before = key_state.not_before.max(Some(settled));
    let newest_late = read_newest_late(rule, state, now);
    write(window, key.to_owned(), &key_state, None, true, newest_late)
}

/// The matches that a rule has although no event has come for them.
pub(super) fn arm(
    rule: &Rule,
    window: &RuleWindow,
    state: &dyn State,
    now: Timestamp,
) -> Vec<StateChange> {
    if !matches!(window.window.shape, Shape::Silence(_)) {
        return Vec::new();
    }
    let begin = |key: String| {
        if !matches!(read(rule, window, &key, state, now), Ok(None)) {
            return None;
        }
        let mut key_state = KeyState::default();
        window.window.arm(&mut key_state, micros(now));
        write(window, key, &key_state, None, false, None)
    };
    if window.by.paths().is_empty() {
        return begin(Json::Array(Vec::new()).to_string())
            .into_iter()
            .collect();
    }
    if are_expected_armed(rule, window, state, now) {
        return Vec::new();
    }
    let changes = window.expected.iter().cloned().filter_map(begin);
    changes.chain([set_expected_armed(window)]).collect()
}

impl<'a> EventInTime<'a> {
    pub(super) fn new(event: &'a NativeEvent, position: u64, hop: usize, now: Timestamp) -> Self {
        let at = micros(now);
        // A time after now is a clock that is wrong: such an event would hold others back.
        let own_time = event_time(event).map(micros);
        let time = own_time.map_or(at, |time| time.min(at));
        Self {
            event,
            seen: Seen { time, position, at },
            own_time,
            hop,
        }
    }
}

impl MatchRun {
    /// The number of `emit`s that led to the match.
    pub(super) fn hop(&self) -> usize {
        usize::try_from(self.state.hop).unwrap_or(usize::MAX)
    }

    /// The change that keeps the match as it is after a reaction that has failed or not, and why it
    /// is not kept.
    pub(super) fn finish(
        mut self,
        rule: &Rule,
        window: &RuleWindow,
        has_failed: bool,
        state: &dyn State,
        now: Timestamp,
    ) -> (Option<StateChange>, Option<Failed>) {
        if let Some(reaction) = &self.reaction {
            let ending = match (has_failed, reaction.suppressed) {
                (true, _) => Ending::Failed,
                (false, true) => Ending::Suppressed,
                (false, false) => Ending::Completed,
            };
            let at = micros(now);
            window
                .window
                .end(&mut self.state, &reaction.firing, ending, at);
        }
        // What waits no more has a bound of its own: a match that has fired is kept for a month.
        // That it closed or fired counts all the same.
        let mut failed = None;
        let is_remembered = self.state.has_times() && !window.window.is_pending(&self.state);
        if is_remembered && self.was_pending != Some(false) {
            let max = window.max_pending;
            if !state.matches().has_room(rule.name(), false, max, now) {
                let (name, key) = (window.kind().key(), &self.key);
                failed = Some(Failed::from(format!(
                    "{name}: {key} is not remembered: the rule has {max} remembered keys; \
                     see `max_pending`"
                )));
                self.state = KeyState::default();
            }
        }
        let newest_late = read_newest_late(rule, state, now);
        let Self {
            key,
            state,
            event,
            was_pending,
            ..
        } = self;
        let change = write(
            window,
            key,
            &state,
            event,
            was_pending.is_some(),
            newest_late,
        );
        (change, failed)
    }
}

/// The keys under which an event is applied, as JSON, each with its value and the roles there, and
/// why it is not applied.
pub(super) fn keys_of_event(
    window: &RuleWindow,
    roles: Roles,
    event: &Event,
) -> (BTreeMap<String, (Json, Roles)>, Vec<String>) {
    let mut notes = Vec::new();
    let mut keys: BTreeMap<String, (Json, Roles)> = BTreeMap::new();
    let mut add = |key: &EventKey, roles: Roles| match key_of_event(key, event) {
        Ok((text, value)) => {
            let entry = keys.entry(text);
            let found = entry.or_insert_with(|| (value, Roles::default()));
            found.1 = found.1.and(roles);
        }
        Err(refused) => {
            notes.push(format!("{}: not followed: {refused}", window.kind().key()));
        }
    };
    let mut of_rule = Roles::default();
    for role in [Roles::OPENING, Roles::UNTIL] {
        if roles.has(role) {
            of_rule = of_rule.and(role);
        }
    }
    for (number, step) in window.steps.iter().enumerate() {
        let role = Roles::step(number);
        if roles.has(role) {
            match &step.by {
                None => of_rule = of_rule.and(role),
                Some(by) => add(by, role),
            }
        }
    }
    if !of_rule.is_empty() {
        add(&window.by, of_rule);
    }
    (keys, notes)
}

/// The key of an event as JSON and as scripts see it, or why the event is not followed.
pub(crate) fn key_of_event(key: &EventKey, event: &Event) -> Result<(String, Json), String> {
    let value = key.of(event)?;
    let text = value.to_string();
    if text.len() > MAX_KEY_BYTES {
        return Err(format!("the key has more than {MAX_KEY_BYTES} bytes"));
    }
    Ok((text, script_key(value)))
}

/// The change that records a late event.
pub(super) fn late_change(window: &RuleWindow, arrival: &EventInTime<'_>) -> Option<StateChange> {
    let waits = matches!(window.window.shape, Shape::Absence(_));
    let is_late = arrival.seen.is_late(window.window.grace);
    (waits && is_late).then(|| kept_state::set_newest_late(arrival.seen.at, window.window.settle))
}

/// Whether the rule may have one pending match more.
fn check_room(
    rule: &Rule,
    window: &RuleWindow,
    state: &dyn State,
    context: &Context<'_>,
) -> Result<(), Failed> {
    let (matches, max) = (state.matches(), window.max_pending);
    let name = window.kind().key();
    if !matches.has_room(rule.name(), true, max, context.now) {
        return Err(Failed::from(format!(
            "{name}: not followed: the rule has {max} pending keys; see `max_pending`"
        )));
    }
    Ok(())
}

/// Whether one event more may be kept. A count keeps up to 10,000 for one key.
fn check_bytes(
    window: &RuleWindow,
    arrival: &EventInTime<'_>,
    state: &dyn State,
    context: &Context<'_>,
) -> Result<(), Failed> {
    let bytes = arrival.event.bytes().len();
    let bytes = state.matches().event_bytes().saturating_add(bytes);
    let (name, max) = (window.kind().key(), context.limits.kept_event_bytes);
    if bytes > max {
        return Err(Failed::from(format!(
            "{name}: not followed: the events of pending matches have more than {max} bytes"
        )));
    }
    Ok(())
}

fn step_note(window: &RuleWindow, key: &Json, step: Step, due: Option<Micros>) -> String {
    let name = window.kind().key();
    let key = match key {
        Json::String(text) => text.clone(),
        key => key.to_string(),
    };
    let of_key = if key.is_empty() {
        String::new()
    } else {
        format!(" {key}")
    };
    let due = due.and_then(|due| Timestamp::from_microsecond(due).ok());
    let due = due.map_or_else(String::new, |due| format!(", due {due}"));
    match step {
        Step::Opened => format!("{name}:{of_key} opened{due}"),
        Step::Added => format!("{name}:{of_key} continued{due}"),
        Step::Closed => format!("{name}:{of_key} closed{due}"),
        Step::Remembered => format!("{name}:{of_key} remembered for late events"),
        Step::Ignored => format!("{name}:{of_key} not used again"),
    }
}
