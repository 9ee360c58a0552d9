//! Running the script `answered` of a rule.

use reflexarc_event::{Event, NativeEvent};
use reflexarc_reaction::{CallInput, Effects, Input, ScriptEvent, State};

use super::run_rule::{react_within_budget, rows};
use super::{Context, Failed, Outcome, RuleRun};
use crate::AnsweredCall;
use crate::reaction_failure::ReactionFailure;
use crate::rule::{Response, Rule};

/// Runs the script with the answer to a call. Gates do not apply: what was begun is finished.
pub(super) fn run_answered(
    rule: &Rule,
    call: &AnsweredCall,
    state: &dyn State,
    context: &Context<'_>,
) -> Outcome {
    let mut effects = react_within_budget(rule, context, || react(rule, call, state, context))?;
    let notes = std::mem::take(&mut effects.notes);
    let has_key = !effects.actions.is_empty() || !effects.cancelled.is_empty();
    Ok(RuleRun {
        effects,
        // What it does goes on where the call began: under the same key.
        key: call.key.clone().filter(|_| has_key),
        notes,
    })
}

fn react(
    rule: &Rule,
    call: &AnsweredCall,
    state: &dyn State,
    context: &Context<'_>,
) -> Result<Effects, Failed> {
    let Some(response @ Response::Script { reaction, source }) = &rule.answered else {
        return Ok(Effects::default());
    };
    let event: Option<&Event> = call.event.as_ref().map(NativeEvent::event);
    let rows = rows(rule, response, event);
    let event = event.map(ScriptEvent::new);
    let answered = CallInput {
        target: &call.target,
        operation: &call.operation,
        parameters: &call.parameters,
        answer: &call.answer,
    };
    let input = match &event {
        Some(event) => Input::new(event, &rule.info, context.now),
        None => Input::without_event(&rule.info, context.now),
    };
    let mut input = input.with_call(&answered);
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
            trace.answered.borrow_mut().extend(lines);
            result
        }
    };
    Ok(result.map_err(|error| rule.describe(ReactionFailure::new(&error, source)))?)
}
