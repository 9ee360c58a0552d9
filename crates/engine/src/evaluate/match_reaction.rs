//! Running the reaction to a match that fires or is resolved.

use jiff::SignedDuration;
use reflexarc_event::{Event, Json, NativeEvent};
use reflexarc_reaction::{
    Effects, Input, ScriptEvent, State, StateChange, WindowInput, WindowReason,
};

use super::kept_state::timestamp;
use super::run_rule::react_within_budget;
use super::{Context, Failed};
use crate::event_key::EventKey;
use crate::gates::GateDecision;
use crate::reaction_failure::ReactionFailure;
use crate::rule::{Response, Rule};
use crate::rule_window::RuleWindow;
use crate::window::{Firing, FiringKind, Shape};
use crate::{FiringReason, MatchFiring};

/// A reaction that ran for a match.
pub(super) struct MatchReaction {
    pub(super) firing: Firing,
    pub(super) info: MatchFiring,
    /// The event of the reaction.
    pub(super) event: Option<NativeEvent>,
    pub(super) outcome: Result<Effects, Failed>,
    /// Whether a gate held it back.
    pub(super) suppressed: bool,
    pub(super) notes: Vec<String>,
}

/// Runs the reaction to a firing. `current` is the event that is applied, with its position.
pub(super) fn run_firing(
    rule: &Rule,
    window: &RuleWindow,
    key: &Json,
    firing: Firing,
    current: Option<(u64, &NativeEvent)>,
    state: &dyn State,
    context: &Context<'_>,
) -> MatchReaction {
    let find = |position: u64| match current {
        Some((current, event)) if current == position => Some(event.clone()),
        _ => state.matches().event(position),
    };
    let info = MatchFiring {
        reason: match firing.kind {
            FiringKind::Begin => FiringReason::Fired,
            FiringKind::Resolve => FiringReason::Resolved,
        },
        key: key.clone(),
        opened: timestamp(firing.opening.time),
        deadline: firing.deadline.map(timestamp),
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
    let shown = match key {
        Json::Array(_) | Json::String(_) => key.clone(),
        // A script puts it into texts and state keys, whatever the event has there.
        scalar => Json::from(scalar.to_string()),
    };
    let input = WindowInput {
        events: &events,
        count: reaction.info.count,
        opened: reaction.info.opened,
        deadline: reaction.info.deadline,
        key: &shown,
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

/// The key as scripts see it: without `by` an empty text.
pub(super) fn script_key(key: Json) -> Json {
    match key {
        Json::Array(values) if values.is_empty() => Json::from(""),
        key => key,
    }
}
