//! Running the reaction to a match that fires or is resolved.

use jiff::SignedDuration;
use reflexarc_event::{Event, Json, NativeEvent};
use reflexarc_reaction::{
    Effects, Input, ScriptEvent, State, StateChange, TemplateInput, WindowInput, WindowReason,
};

use super::kept_state::timestamp;
use super::run_rule::{react_within_budget, rows};
use super::{Context, Failed};
use crate::event_key::EventKey;
use crate::gates::GateDecision;
use crate::reaction_failure::ReactionFailure;
use crate::rule::{Response, Rule};
use crate::rule_window::RuleWindow;
use crate::window::{Firing, FiringKind, Micros, Shape};
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

/// What a reaction to a match has to do with, besides the firing.
#[derive(Clone, Copy)]
pub(super) struct MatchContext<'a, 'c> {
    pub(super) rule: &'a Rule,
    pub(super) window: &'a RuleWindow,
    /// The key as scripts see it.
    pub(super) key: &'a Json,
    /// The event that is applied, with its position.
    pub(super) current: Option<(u64, &'a NativeEvent)>,
    /// By how much the clock was set since the match began.
    pub(super) shift: Micros,
    pub(super) state: &'a dyn State,
    pub(super) context: &'a Context<'c>,
}

/// The events of a match.
struct MatchEvents {
    event: Option<NativeEvent>,
    closing: Option<NativeEvent>,
    /// None where the reaction does not read them.
    events: Vec<Event>,
}

/// What the gates of a rule decided about a match.
struct Allowed {
    suppressed: u64,
    /// Opens the windows of the gates.
    changes: Vec<StateChange>,
    notes: Vec<String>,
}

impl MatchContext<'_, '_> {
    /// Runs the reaction to a firing.
    pub(super) fn run(&self, firing: Firing) -> MatchReaction {
        let mut reaction = MatchReaction {
            event: None,
            info: self.info(&firing),
            outcome: Ok(Effects::default()),
            suppressed: false,
            notes: Vec::new(),
            firing,
        };
        let response = match reaction.firing.kind {
            FiringKind::Begin => Some(&self.rule.response),
            FiringKind::Resolve => self.window.resolved.as_ref(),
        };
        let Some(response) = response else {
            // Without `resolved`, as with `inhibits` alone, it ends in silence.
            if let Ok(effects) = &mut reaction.outcome {
                effects.changes.extend(self.end_of_once());
            }
            return reaction;
        };
        let events = match self.events(&reaction.firing, response) {
            Ok(events) => events,
            Err(failed) => {
                reaction.outcome = Err(failed);
                return reaction;
            }
        };
        reaction.event.clone_from(&events.event);
        let allowed = match reaction.firing.kind {
            FiringKind::Begin => self.decide(events.event.as_ref(), &mut reaction),
            // Not held back: what was reported must be taken back.
            FiringKind::Resolve => Some(Allowed {
                suppressed: 0,
                changes: Vec::new(),
                notes: Vec::new(),
            }),
        };
        let Some(mut allowed) = allowed else {
            return reaction;
        };
        reaction.notes.append(&mut allowed.notes);
        let outcome = react_within_budget(self.rule, self.context, || {
            self.react(response, &reaction, &events, allowed.suppressed)
        });
        reaction.outcome = outcome.map(|mut effects| {
            reaction.notes.append(&mut effects.notes);
            if reaction.firing.kind == FiringKind::Resolve {
                // What comes next of this key is a new problem, and is reported.
                effects.changes.extend(self.end_of_once());
            } else if !effects.actions.is_empty() || !effects.emitted.is_empty() {
                effects.changes.append(&mut allowed.changes);
            }
            effects
        });
        reaction
    }

    fn info(&self, firing: &Firing) -> MatchFiring {
        MatchFiring {
            reason: match firing.kind {
                FiringKind::Begin => FiringReason::Fired,
                FiringKind::Resolve => FiringReason::Resolved,
            },
            key: self.key.clone(),
            opened: timestamp(firing.opening.time),
            deadline: firing
                .deadline
                .map(|at| timestamp(at.saturating_add(self.shift))),
            count: firing.count,
            late: firing.late,
            to_opening: firing.kind == FiringKind::Resolve
                && matches!(self.window.resolved, Some(Response::Notification(_))),
        }
    }

    /// The events that the reaction reads. A match refers to what is kept, so that none is missing
    /// unless the state was changed from outside.
    fn events(&self, firing: &Firing, response: &Response) -> Result<MatchEvents, Failed> {
        let find = |position: u64| {
            let found = match self.current {
                Some((current, event)) if current == position => Some(event.clone()),
                _ => self.state.matches().event(position),
            };
            found.ok_or_else(|| {
                Failed::from(format!(
                    "the event at position {position} of the match is not kept"
                ))
            })
        };
        let positions = firing.events.iter().filter(|_| response.reads_events());
        let events = positions.map(|position| find(*position).map(|event| event.event().clone()));
        Ok(MatchEvents {
            events: events.collect::<Result<_, _>>()?,
            event: firing.event.map(find).transpose()?,
            closing: firing.closing.map(find).transpose()?,
        })
    }

    /// What the gates decide; `None` if they hold the reaction back.
    fn decide(&self, event: Option<&NativeEvent>, reaction: &mut MatchReaction) -> Option<Allowed> {
        let key_of = |of: &EventKey| match event {
            _ if *of == self.window.by => Ok(self.event_key()),
            Some(event) => of.of(event.event()),
            None if of.paths().is_empty() => Ok(Json::Array(Vec::new())),
            None => Err("no event has come".to_owned()),
        };
        let (rule, now) = (self.rule, self.context.now);
        let gates = &rule.gates;
        match gates.decide(rule.name(), &key_of, self.state, now, rule.max_entries) {
            GateDecision::Allow {
                suppressed,
                changes,
                notes,
            } => Some(Allowed {
                suppressed,
                changes,
                notes,
            }),
            GateDecision::Suppress {
                reason,
                changes,
                mut notes,
            } => {
                let mut effects = Effects::default();
                effects.changes = changes;
                effects.skipped = Some(reason);
                reaction.outcome = Ok(effects);
                reaction.notes.append(&mut notes);
                reaction.suppressed = true;
                None
            }
        }
    }

    /// The key as [`EventKey::of`] makes it.
    fn event_key(&self) -> Json {
        if self.window.by.paths().is_empty() {
            Json::Array(Vec::new())
        } else {
            self.key.clone()
        }
    }

    /// Ends the window of `once` of the key.
    fn end_of_once(&self) -> Option<StateChange> {
        let once = self.rule.gates.once.as_ref()?;
        let is_same = once.key == self.window.by;
        is_same.then(|| once.gate.close(&self.event_key()))
    }

    fn react(
        &self,
        response: &Response,
        reaction: &MatchReaction,
        events: &MatchEvents,
        suppressed: u64,
    ) -> Result<Effects, Failed> {
        let (rule, context) = (self.rule, self.context);
        let shown = match self.key {
            Json::Array(_) | Json::String(_) => self.key.clone(),
            // A script puts it into texts and state keys, whatever the event has there.
            scalar => Json::from(scalar.to_string()),
        };
        let input = WindowInput {
            events: &events.events,
            count: reaction.info.count,
            opened: reaction.info.opened,
            deadline: reaction.info.deadline,
            key: &shown,
            late: reaction.info.late,
            closing: events.closing.as_ref().map(NativeEvent::event),
        };
        let event = events.event.as_ref().map(NativeEvent::event);
        let rows = rows(rule, response, event);
        match response {
            Response::None => Ok(Effects::default()),
            Response::Notification(notification) => {
                let reason = window_reason(self.window, &reaction.firing);
                let limits = context.reaction_limits;
                let of_template = TemplateInput {
                    event,
                    rule: &rule.info,
                    now: context.now,
                    suppressed,
                    window: Some(&input),
                    lookup: rows.as_ref(),
                };
                let actions = notification.window_actions(reason, &input, &of_template, limits);
                let (actions, bytes) = actions.map_err(|failure| rule.describe(failure))?;
                let mut effects = Effects::default();
                (effects.actions, effects.bytes) = (actions, bytes);
                Ok(effects)
            }
            Response::Script {
                reaction: script,
                source,
            } => {
                let event = event.map(ScriptEvent::new);
                let run = match &event {
                    Some(event) => Input::new(event, &rule.info, context.now),
                    None => Input::without_event(&rule.info, context.now),
                };
                let mut run = run.with_window(&input);
                if let Some(rows) = &rows {
                    run = run.with_lookup(rows);
                }
                if let Some(stopwatch) = context.stopwatch {
                    run = run.with_stopwatch(stopwatch);
                }
                let result = match context.trace {
                    None => script.run(&run, self.state),
                    Some(trace) => {
                        let (result, lines) = script.run_traced(&run, self.state);
                        let executed = match reaction.firing.kind {
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
