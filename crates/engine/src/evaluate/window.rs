//! Evaluating rules with a time window: from an event or a deadline to the matches that it changes,
//! and to the reactions that run because of it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use reflexarc_event::{Event, Json, NativeEvent};
use reflexarc_reaction::{
    Effects, Input, KeptEvent, KeptMatch, ScriptEvent, State, StateChange, WindowInput,
    WindowReason,
};
use serde::{Deserialize, Serialize};

use super::{Context, Failed, react_within_budget};
use crate::event_key::EventKey;
use crate::event_time::event_time;
use crate::gates::GateDecision;
use crate::reaction_failure::ReactionFailure;
use crate::rule::{Response, Rule};
use crate::rule_window::RuleWindow;
use crate::window::{Arrival, Ending, Firing, FiringKind, KeyState, Micros, Roles, Seen, Shape};
use crate::window::{Step, Window};
use crate::{FiringReason, MatchFiring};

/// What an event or a deadline is to one key of a rule.
pub(super) struct MatchRun {
    /// The key as JSON.
    key: String,
    state: KeyState,
    /// The event that changed the state.
    event: Option<KeptEvent>,
    had_match: bool,
    pub(super) notes: Vec<String>,
    /// The reaction that ran, if any.
    pub(super) reaction: Option<MatchReaction>,
}

/// A reaction that ran for a match.
pub(super) struct MatchReaction {
    firing: Firing,
    pub(super) info: MatchFiring,
    /// The event of the reaction.
    pub(super) event: Option<NativeEvent>,
    pub(super) outcome: Result<Effects, Failed>,
    /// Whether a gate held it back.
    suppressed: bool,
    pub(super) notes: Vec<String>,
}

/// The result for one key: a run, or why the key is not followed.
pub(super) type KeyOutcome = Result<MatchRun, Failed>;

/// The data of a [`KeptMatch`].
#[derive(Serialize, Deserialize)]
struct MatchData<S> {
    /// The fingerprint of the window; one that was changed has other matches.
    #[serde(rename = "w")]
    window: u64,
    #[serde(rename = "s")]
    state: S,
}

/// An event as it is applied to the window of a rule.
pub(super) struct EventInTime<'a> {
    event: &'a NativeEvent,
    seen: Seen,
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

/// The state key of the time at which the newest late event of a rule was applied.
const NEWEST_LATE: &str = "$late";

/// The name of the window of a rule, as it is written in its file.
pub(crate) fn window_name(window: &RuleWindow) -> &'static str {
    match window.window.shape {
        Shape::Count(_) => "count",
        Shape::Sequence(_) => "followed_by",
        Shape::Absence(_) => "not_followed_by",
        Shape::Silence(_) => "absent_for",
        Shape::Batch(_) => "batch",
    }
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
    let name = window_name(window);
    let mut notes = Vec::new();
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
    let had_match = kept.is_some();
    let was_pending = kept.as_ref().map(|kept| window.window.is_pending(kept));
    let mut key_state = kept.unwrap_or_default();
    let mut firing = None;
    if window.distinct.is_none() || distinct.is_some() {
        let applied = window.window.apply(
            &mut key_state,
            &Arrival {
                seen: arrival.seen,
                roles,
                value: distinct.as_deref(),
                bytes: arrival.event.bytes().len(),
                hop: u64::try_from(arrival.hop).unwrap_or(u64::MAX),
            },
        );
        let is_pending = window.window.is_pending(&key_state);
        if !is_empty(&key_state) && was_pending != Some(is_pending) {
            check_room(rule, window, is_pending, arrival, state, context)?;
        }
        let newest_late = read_newest_late(rule, state, context.now);
        let due = window.window.due(&key_state, newest_late);
        notes.push(step_note(window, &value, applied.step, due));
        firing = applied.firing;
    } else if notes.is_empty() {
        notes.push(format!(
            "{name}: not counted: the value has more than {MAX_KEY_BYTES} bytes"
        ));
    }
    let reaction = firing
        .map(|firing| run_firing(rule, window, &value, firing, Some(arrival), state, context));
    Ok(MatchRun {
        key,
        state: key_state,
        event: Some(KeptEvent::new(
            arrival.seen.position,
            arrival.event.clone().without_trees(),
        )),
        had_match,
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
        had_match: true,
        notes: Vec::new(),
        reaction: None,
    };
    match read(rule, window, key, state, context.now) {
        Ok(Some(kept)) => run.state = kept,
        Ok(None) => {
            let name = window_name(window);
            run.notes
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
        run.reaction = Some(run_firing(
            rule, window, &value, firing, None, state, context,
        ));
    }
    (run, None)
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
    let all = window
        .by
        .paths()
        .is_empty()
        .then(|| Json::Array(Vec::new()));
    let keys = all.into_iter().chain(window.expected.iter().cloned());
    let new = keys.filter_map(|key| {
        let key = key.to_string();
        let known = read(rule, window, &key, state, now);
        if !matches!(known, Ok(None)) {
            return None;
        }
        let mut key_state = KeyState::default();
        window.window.arm(&mut key_state, micros(now));
        Some(write(window, key, key_state, None, false, None))
    });
    new.flatten().collect()
}

impl<'a> EventInTime<'a> {
    pub(super) fn new(event: &'a NativeEvent, position: u64, hop: usize, now: Timestamp) -> Self {
        let at = micros(now);
        // A time after now is a clock that is wrong: such an event would hold others back.
        let time = event_time(event).map_or(at, |time| micros(time).min(at));
        let seen = Seen { time, position, at };
        Self { event, seen, hop }
    }
}

impl MatchRun {
    /// The number of `emit`s that led to the match.
    pub(super) fn hop(&self) -> usize {
        usize::try_from(self.state.hop).unwrap_or(usize::MAX)
    }

    /// The change that keeps the match as it is after a reaction that ended so.
    pub(super) fn finish(
        mut self,
        rule: &Rule,
        window: &RuleWindow,
        failed: bool,
        state: &dyn State,
        now: Timestamp,
    ) -> Option<StateChange> {
        if let Some(reaction) = &self.reaction {
            let ending = match (failed, reaction.suppressed) {
                (true, _) => Ending::Failed,
                (false, true) => Ending::Suppressed,
                (false, false) => Ending::Completed,
            };
            let at = micros(now);
            window
                .window
                .end(&mut self.state, &reaction.firing, ending, at);
        }
        let newest_late = read_newest_late(rule, state, now);
        write(
            window,
            self.key,
            self.state,
            self.event,
            self.had_match,
            newest_late,
        )
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
    let mut add = |key: &EventKey, roles: Roles| {
        let refused = match key.of(event) {
            Ok(value) => {
                let text = value.to_string();
                if text.len() <= MAX_KEY_BYTES {
                    let entry = keys.entry(text);
                    let found = entry.or_insert_with(|| (script_key(value), Roles::default()));
                    found.1 = found.1.and(roles);
                    return;
                }
                format!("the key has more than {MAX_KEY_BYTES} bytes")
            }
            Err(reason) => reason,
        };
        notes.push(format!("{}: not followed: {refused}", window_name(window)));
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

/// The change that records a late event.
pub(super) fn late_change(window: &RuleWindow, arrival: &EventInTime<'_>) -> Option<StateChange> {
    let waits = matches!(window.window.shape, Shape::Absence(_));
    let is_late = arrival.seen.is_late(window.window.grace);
    (waits && is_late).then(|| set_newest_late(arrival.seen.at, window.window.settle))
}

/// Bytes of a key as JSON.
pub(crate) const MAX_KEY_BYTES: usize = 1024;

/// The key as scripts see it: without `by` an empty text.
fn script_key(key: Json) -> Json {
    match key {
        Json::Array(values) if values.is_empty() => Json::from(""),
        key => key,
    }
}

/// The state of a key; `None` if there is none, or of a window that the rule has no more.
fn read(
    rule: &Rule,
    window: &RuleWindow,
    key: &str,
    state: &dyn State,
    now: Timestamp,
) -> Result<Option<KeyState>, Failed> {
    let Some(kept) = state.matches().get(rule.name(), key, now) else {
        return Ok(None);
    };
    let data: Result<MatchData<KeyState>, _> = serde_json::from_str(&kept.data);
    match data {
        Ok(data) if data.window == window.fingerprint() => Ok(Some(data.state)),
        Ok(_) => Ok(None),
        Err(error) => Err(Failed::from(format!(
            "invalid match of the key {key}: {error}"
        ))),
    }
}

fn write(
    window: &RuleWindow,
    key: String,
    key_state: KeyState,
    event: Option<KeptEvent>,
    had_match: bool,
    newest_late: Option<Micros>,
) -> Option<StateChange> {
    if is_empty(&key_state) {
        return had_match.then_some(StateChange::RemoveMatch { key });
    }
    let time = |at: Micros| Timestamp::from_microsecond(at).unwrap_or(Timestamp::MAX);
    // What cannot be written could not be read either: there is no such state.
    let data = serde_json::to_string(&MatchData {
        window: window.fingerprint(),
        state: &key_state,
    });
    let mut kept = KeptMatch::new(data.unwrap_or_default());
    kept.due = window.window.due(&key_state, newest_late).map(time);
    kept.expires = expires(window, &key, &key_state).map(time);
    kept.is_pending = window.window.is_pending(&key_state);
    kept.positions = Window::positions(&key_state);
    Some(StateChange::SetMatch { key, kept, event })
}

fn expires(window: &RuleWindow, key: &str, state: &KeyState) -> Option<Micros> {
    // A key that is expected, or the only one, is never forgotten: it would be armed again, and
    // fire a second time without an event in between.
    if matches!(window.window.shape, Shape::Silence(_)) {
        let expected = window.expected.iter().any(|other| other.to_string() == key);
        if expected || window.by.paths().is_empty() {
            return None;
        }
    }
    window.window.expires(state)
}

fn is_empty(state: &KeyState) -> bool {
    let KeyState {
        progress,
        fired,
        retry,
        ..
    } = state;
    *progress == crate::window::Progress::Idle && fired.is_none() && retry.is_none()
}

/// Whether the rule may keep one match more.
fn check_room(
    rule: &Rule,
    window: &RuleWindow,
    is_pending: bool,
    arrival: &EventInTime<'_>,
    state: &dyn State,
    context: &Context<'_>,
) -> Result<(), Failed> {
    let (matches, max) = (state.matches(), window.max_pending);
    if !matches.has_room(rule.name(), is_pending, max, context.now) {
        let kept = if is_pending { "pending" } else { "remembered" };
        return Err(Failed::from(format!(
            "{}: not followed: the rule has {max} {kept} keys; see `max_pending`",
            window_name(window),
        )));
    }
    let bytes = matches
        .event_bytes()
        .saturating_add(arrival.event.bytes().len());
    let max = context.limits.kept_event_bytes;
    if bytes > max {
        return Err(Failed::from(format!(
            "{}: not followed: the events of pending matches have more than {max} bytes",
            window_name(window),
        )));
    }
    Ok(())
}

/// Runs the reaction to a firing. `current` is the event that is applied.
fn run_firing(
    rule: &Rule,
    window: &RuleWindow,
    key: &Json,
    firing: Firing,
    current: Option<&EventInTime<'_>>,
    state: &dyn State,
    context: &Context<'_>,
) -> MatchReaction {
    let find = |position: u64| match current {
        Some(current) if current.seen.position == position => Some(current.event.clone()),
        _ => state.matches().event(position),
    };
    let time = |at: Micros| Timestamp::from_microsecond(at).unwrap_or(Timestamp::MAX);
    let info = MatchFiring {
        reason: match firing.kind {
            FiringKind::Begin => FiringReason::Fired,
            FiringKind::Resolve => FiringReason::Resolved,
        },
        key: key.clone(),
        opened: time(firing.opening.time),
        deadline: firing.deadline.map(time),
        count: firing.count,
        late: firing.late,
    };
    let mut reaction = MatchReaction {
        event: None,
        info,
        outcome: Ok(Effects::default()),
        suppressed: false,
        notes: Vec::new(),
        firing,
    };
    let mut missing = None;
    let mut event_at = |position: Option<u64>| {
        let event = position.map(|position| (position, find(position)));
        if let Some((position, None)) = event {
            missing.get_or_insert(position);
        }
        event.and_then(|(_, event)| event)
    };
    let event = event_at(reaction.firing.event);
    let closing = event_at(reaction.firing.closing);
    let response = match reaction.firing.kind {
        FiringKind::Begin => Some(&rule.response),
        FiringKind::Resolve => window.resolved.as_ref(),
    };
    let Some(response) = response else {
        return reaction;
    };
    let mut events = Vec::new();
    if response.reads_events() {
        for position in &reaction.firing.events {
            events.extend(event_at(Some(*position)).map(|event| event.event().clone()));
        }
    }
    reaction.event.clone_from(&event);
    if let Some(position) = missing {
        let message = format!("the event at position {position} of the match is not kept");
        reaction.outcome = Err(Failed::from(message));
        return reaction;
    }
    // `resolved` is not held back: what was reported must be taken back.
    let mut suppressed = 0;
    let mut opened = Vec::new();
    if reaction.firing.kind == FiringKind::Begin {
        let key_of = |of: &EventKey| match &event {
            _ if *of == window.by => match key {
                Json::String(text) if text.is_empty() && of.paths().is_empty() => {
                    Ok(Json::Array(Vec::new()))
                }
                key => Ok(key.clone()),
            },
            Some(event) => of.of(event.event()),
            None if of.paths().is_empty() => Ok(Json::Array(Vec::new())),
            None => Err("no event has come".to_owned()),
        };
        let max_entries = rule.max_entries;
        let decision = rule
            .gates
            .decide(rule.name(), &key_of, state, context.now, max_entries);
        match decision {
            GateDecision::Allow {
                suppressed: count,
                changes,
                notes,
            } => {
                suppressed = count;
                opened = changes;
                reaction.notes = notes;
            }
            GateDecision::Suppress {
                reason,
                changes,
                notes,
            } => {
                let mut effects = Effects::default();
                effects.changes = changes;
                effects.skipped = Some(reason);
                reaction.outcome = Ok(effects);
                reaction.notes = notes;
                reaction.suppressed = true;
                return reaction;
            }
        }
    }
    let input = WindowInput {
        events: &events,
        count: reaction.info.count,
        opened: reaction.info.opened,
        deadline: reaction.info.deadline,
        key,
        late: reaction.info.late,
        closing: closing.as_ref().map(NativeEvent::event),
    };
    let outcome = react_within_budget(rule, context, || {
        react(
            rule,
            response,
            event.as_ref().map(NativeEvent::event),
            (
                reaction.firing.kind,
                window_reason(window, &reaction.firing),
            ),
            &input,
            suppressed,
            state,
            context,
        )
    });
    reaction.outcome = outcome.map(|mut effects| {
        reaction.notes.append(&mut effects.notes);
        if reaction.firing.kind == FiringKind::Resolve {
            // What comes next of this key is a new problem, and is reported.
            effects.changes.extend(end_of_once(rule, window, key));
        } else if !effects.actions.is_empty() || !effects.emitted.is_empty() {
            effects.changes.append(&mut opened);
        }
        effects
    });
    reaction
}

/// Ends the window of `once` of a key.
fn end_of_once(rule: &Rule, window: &RuleWindow, key: &Json) -> Option<StateChange> {
    let once = rule.gates.once.as_ref()?;
    let is_same = once.key == window.by;
    let key = match key {
        Json::String(text) if text.is_empty() && window.by.paths().is_empty() => {
            Json::Array(Vec::new())
        }
        key => key.clone(),
    };
    is_same.then(|| once.gate.close(&key))
}

fn react(
    rule: &Rule,
    response: &Response,
    event: Option<&Event>,
    (kind, reason): (FiringKind, WindowReason<'_>),
    window: &WindowInput<'_>,
    suppressed: u64,
    state: &dyn State,
    context: &Context<'_>,
) -> Result<Effects, Failed> {
    match response {
        Response::None => Ok(Effects::default()),
        Response::Notification(notification) => {
            let limits = context.reaction_limits;
            let at = (context.now, suppressed);
            let actions =
                notification.window_actions(event, reason, window, &rule.info, at, limits);
            let (actions, bytes) = actions.map_err(|failure| rule.describe(failure))?;
            let mut effects = Effects::default();
            (effects.actions, effects.bytes) = (actions, bytes);
            Ok(effects)
        }
        Response::Script { reaction, source } => {
            let event = event.map(ScriptEvent::new);
            let input = match &event {
                Some(event) => Input::new(event, &rule.info, context.now),
                None => Input::without_event(&rule.info, context.now),
            };
            let mut input = input.with_window(window);
            if let Some(stopwatch) = context.stopwatch {
                input = input.with_stopwatch(stopwatch);
            }
            let result = match context.trace {
                None => reaction.run(&input, state),
                Some(trace) => {
                    let (result, lines) = reaction.run_traced(&input, state);
                    let executed = match kind {
                        FiringKind::Begin => &trace.then,
                        FiringKind::Resolve => &trace.resolved,
                    };
                    executed.borrow_mut().extend(lines);
                    result
                }
            };
            let described = |error| rule.describe(ReactionFailure::new(&error, source));
            Ok(result.map_err(described)?)
        }
    }
}

/// What the default message says.
fn window_reason<'w>(window: &'w RuleWindow, firing: &Firing) -> WindowReason<'w> {
    let awaited = window.steps.first().map(|step| step.filter.source.text());
    match &window.window.shape {
        _ if firing.kind == FiringKind::Resolve => WindowReason::Resolved,
        Shape::Absence(absence) => WindowReason::Absence {
            awaited,
            within: SignedDuration::from_micros(absence.within),
        },
        Shape::Silence(silence) => WindowReason::Absence {
            awaited: None,
            within: SignedDuration::from_micros(silence.duration),
        },
        Shape::Count(_) | Shape::Sequence(_) | Shape::Batch(_) => WindowReason::Events,
    }
}

fn read_newest_late(rule: &Rule, state: &dyn State, now: Timestamp) -> Option<Micros> {
    state.get(rule.name(), NEWEST_LATE, now)?.value.as_i64()
}

fn set_newest_late(at: Micros, settle: Micros) -> StateChange {
    // Nothing waits for a late event longer than `settle`.
    let expires = at.saturating_add(settle);
    StateChange::Set {
        key: NEWEST_LATE.to_owned(),
        value: Json::from(at),
        expires: Timestamp::from_microsecond(expires).ok(),
    }
}

fn step_note(window: &RuleWindow, key: &Json, step: Step, due: Option<Micros>) -> String {
    let name = window_name(window);
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

fn micros(time: Timestamp) -> Micros {
    time.as_microsecond()
}
