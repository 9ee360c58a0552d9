//! The calls that a rule makes in a test, until the test answers them.

use std::collections::VecDeque;

use jiff::Timestamp;
use reflexarc_event::NativeEvent;
use reflexarc_reaction::{Action, OwnCode};

use crate::delayed_actions::single;
use crate::test_answer::TestAnswer;
use crate::{AnsweredCall, DelayedAction, DelayedActions, Evaluation, RuleEffects};

/// The calls of a test that have no answer. The oldest are first: by the time at which they were
/// made, and of one time in the order of their evaluations.
#[derive(Debug)]
pub(crate) struct TestCalls {
    made: VecDeque<RuleEffects>,
    /// Delayed calls that were cancelled or replaced before they were due.
    cancelled: VecDeque<RuleEffects>,
    /// Delayed actions, also those that are no calls.
    delayed: DelayedActions,
}

impl TestCalls {
    pub(crate) fn new() -> Self {
        Self {
            made: VecDeque::new(),
            cancelled: VecDeque::new(),
            // The text of the test is what bounds them.
            delayed: DelayedActions::within(usize::MAX),
        }
    }

    /// Adds the calls of an evaluation at `now` on `event`, after those that were due by then.
    pub(crate) fn add(
        &mut self,
        evaluation: &mut Evaluation,
        event: Option<&NativeEvent>,
        now: Timestamp,
    ) {
        // What is due at the very time at which it is cancelled has been sent.
        self.advance(now);
        for effects in &mut evaluation.rules {
            // Effects have only events other than the evaluated one, which an answer needs too.
            if effects.event.is_none() && effects.actions.iter().any(Action::is_call) {
                effects.event = event.map(|event| event.event().clone());
            }
        }
        let cancelled = self.delayed.hold(evaluation, now).into_iter();
        self.cancelled.extend(calls(cancelled));
        for effects in &evaluation.rules {
            let made = effects.actions.iter();
            let made = made.filter(|action| action.is_call() && action.after().is_none());
            self.made.extend(made.map(|call| single(effects, call)));
        }
    }

    /// Makes the delayed calls that are due at `now`.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        while let Some(due) = self.delayed.take_due(now) {
            self.made.extend(calls([due]));
        }
    }

    /// Takes the oldest call that has this target and operation.
    ///
    /// # Errors
    /// With the calls that have no answer, one text each, if this is none of them.
    pub(crate) fn answer(&mut self, answer: &TestAnswer) -> Result<AnsweredCall, Vec<String>> {
        let position = |calls: &VecDeque<RuleEffects>| {
            let mut calls = calls.iter();
            calls.position(|effects| {
                effects
                    .actions
                    .first()
                    .is_some_and(|action| is_call_of(action, &answer.target, &answer.operation))
            })
        };
        // A call that the rule cancelled gets no other answer. One that was made, or waits, may
        // also be cancelled by an operator.
        let is_cancelled = answer.answer.own_code() == Some(OwnCode::Cancelled);
        let cancelled = is_cancelled.then(|| position(&self.cancelled)).flatten();
        let effects = match (cancelled, position(&self.made)) {
            (Some(index), _) => self.cancelled.remove(index),
            (None, Some(index)) => self.made.remove(index),
            (None, None) if is_cancelled => self
                .delayed
                .remove_first(|action| is_call_of(action, &answer.target, &answer.operation))
                .map(|delayed| delayed.effects),
            (None, None) => None,
        };
        let answered = effects.and_then(|effects| {
            let action = effects.actions.first()?;
            AnsweredCall::of(&effects, action, None, answer.answer.clone())
        });
        answered.ok_or_else(|| self.list())
    }

    /// The calls without an answer.
    fn list(&self) -> Vec<String> {
        let made = self.made.iter().map(|effects| (effects, String::new()));
        let waiting = self.delayed.iter().map(|delayed| {
            let note = format!(", due at {}", delayed.at);
            (&delayed.effects, note)
        });
        let cancelled = self.cancelled.iter();
        let cancelled = cancelled.map(|effects| (effects, ", cancelled".to_owned()));
        let all = made.chain(waiting).chain(cancelled);
        let texts = all.filter_map(|(effects, note)| match effects.actions.first()? {
            Action::Call {
                target, operation, ..
            } => Some(format!("a call of {target} {operation}{note}")),
            Action::Notify { .. } | Action::Send { .. } => None,
        });
        texts.collect()
    }
}

fn calls(delayed: impl IntoIterator<Item = DelayedAction>) -> impl Iterator<Item = RuleEffects> {
    let effects = delayed.into_iter().map(|delayed| delayed.effects);
    effects.filter(|effects| effects.actions.iter().all(Action::is_call))
}

fn is_call_of(action: &Action, of_target: &str, of_operation: &str) -> bool {
    match action {
        Action::Call {
            target, operation, ..
        } => target == of_target && operation == of_operation,
        Action::Notify { .. } | Action::Send { .. } => false,
    }
}
