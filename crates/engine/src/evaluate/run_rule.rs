//! Running one rule on one event.

use reflexarc_event::{Event, Json, NativeEvent};
use reflexarc_reaction::{Effects, Input, ScriptEvent, State, TemplateInput};

use super::match_reaction::script_key;
use super::{Context, Failed, Outcome, RuleRun};
use crate::event_key::EventKey;
use crate::gates::GateDecision;
use crate::reaction_failure::ReactionFailure;
use crate::rule::{Response, Rule};
use crate::{EffectSize, FailureCause};

/// Runs one rule on one event: its gates, then its reaction.
pub(super) fn run_rule(
    rule: &Rule,
    event: &NativeEvent,
    script_event: &mut Option<ScriptEvent>,
    state: &dyn State,
    context: &Context<'_>,
) -> Outcome {
    let max_entries = rule.max_entries;
    let key_of = |key: &EventKey| key.of(event.event());
    let decision = rule
        .gates
        .decide(rule.name(), &key_of, state, context.now, max_entries);
    let (suppressed, changes, mut notes) = match decision {
        GateDecision::Allow {
            suppressed,
            changes,
            notes,
        } => (suppressed, changes, notes),
        GateDecision::Suppress {
            reason,
            changes,
            notes,
        } => {
            let mut effects = Effects::default();
            effects.changes = changes;
            effects.skipped = Some(reason);
            return Ok(RuleRun {
                effects,
                key: None,
                notes,
            });
        }
    };
    // Not measured as a part of the first reaction that needs it: all of them share it, and for an
    // event of 1 MB it takes milliseconds.
    if let Response::Script { .. } = &rule.response {
        script_event.get_or_insert_with(|| ScriptEvent::new(event.event()));
    }
    let mut effects = react_within_budget(rule, context, || {
        react(rule, event, script_event, suppressed, state, context)
    })?;
    notes.append(&mut effects.notes);
    // A window limits what leaves the rule, so only that opens one. Example of `once` within 24h: a
    // script that notifies from the third failure on runs to its end on the first two without an
    // action. If the first of them opened the window, the third would be suppressed. Ending with
    // `skip` is the same case with a reason.
    if !effects.actions.is_empty() || !effects.emitted.is_empty() {
        effects.changes.extend(changes);
    }
    let key = key_of_effects(rule, event, &effects, &mut notes);
    Ok(RuleRun {
        effects,
        key,
        notes,
    })
}

/// The key under which the actions of a rule belong together, where it has any.
fn key_of_effects(
    rule: &Rule,
    event: &NativeEvent,
    effects: &Effects,
    notes: &mut Vec<String>,
) -> Option<Json> {
    // Most rules have no `by`, and most runs no actions: they cost nothing here.
    let by = rule.by.as_ref().filter(|by| !by.paths().is_empty())?;
    if effects.actions.is_empty() && effects.cancelled.is_empty() {
        return None;
    }
    match by.of(event.event()) {
        Ok(value) => Some(script_key(value)),
        Err(reason) => {
            let is_named = effects.actions.iter().any(|action| action.key().is_some());
            // Two events without the value need not be about the same thing.
            if is_named || !effects.cancelled.is_empty() {
                let note = format!("key: shared by all events without a value of `by`: {reason}");
                notes.push(note);
            }
            None
        }
    }
}

/// The rows that the lookups of a rule find for an event, as far as the response reads them; `None`
/// for a rule without lookups.
pub(super) fn rows(rule: &Rule, response: &Response, event: Option<&Event>) -> Option<Json> {
    if rule.lookups.is_empty() {
        return None;
    }
    let is_read = |name: &str| response.reads_lookup(name);
    Some(rule.lookups.rows(event, &is_read))
}

/// Runs a reaction of a rule within what it may consume.
pub(super) fn react_within_budget(
    rule: &Rule,
    context: &Context<'_>,
    react: impl FnOnce() -> Result<Effects, Failed>,
) -> Result<Effects, Failed> {
    let Some(budget) = context.budget else {
        return react();
    };
    budget.begin(rule).map_err(|message| Failed {
        cause: FailureCause::Budget,
        message,
    })?;
    let effects = react();
    let size = effects.as_ref().map(EffectSize::of);
    budget.end(rule, size.unwrap_or_default());
    effects
}

/// Runs the reaction of a rule whose gates allow it.
fn react(
    rule: &Rule,
    event: &NativeEvent,
    script_event: &mut Option<ScriptEvent>,
    suppressed: u64,
    state: &dyn State,
    context: &Context<'_>,
) -> Result<Effects, Failed> {
    match &rule.response {
        Response::None => Ok(Effects::default()),
        Response::Notification(notification) => {
            let limits = context.reaction_limits;
            let rows = rows(rule, &rule.response, Some(event.event()));
            let input = TemplateInput {
                event: Some(event.event()),
                rule: &rule.info,
                now: context.now,
                suppressed,
                window: None,
                lookup: rows.as_ref(),
            };
            let actions = notification.actions(event.event(), &input, limits);
            let (actions, bytes) = actions.map_err(|failure| rule.describe(failure))?;
            let mut effects = Effects::default();
            (effects.actions, effects.bytes) = (actions, bytes);
            Ok(effects)
        }
        Response::Script { reaction, source } => {
            let rows = rows(rule, &rule.response, Some(event.event()));
            let event = script_event.get_or_insert_with(|| ScriptEvent::new(event.event()));
            let mut input = Input::new(event, &rule.info, context.now);
            if let Some(rows) = &rows {
                input = input.with_lookup(rows);
            }
            if let Some(stopwatch) = context.stopwatch {
                input = input.with_stopwatch(stopwatch);
            }
            let result = match context.trace {
                None => reaction.run(&input, state),
                Some(trace) => {
                    let (result, lines) = reaction.run_traced(&input, state);
                    trace.then.borrow_mut().extend(lines);
                    result
                }
            };
            let described = |error| rule.describe(ReactionFailure::new(&error, source));
            Ok(result.map_err(described)?)
        }
    }
}
