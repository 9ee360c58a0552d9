//! Firing deadlines and evaluating an event or an answer, in that order, with the state that goes
//! through both.

use std::sync::Arc;

use jiff::Timestamp;
use pyo3::prelude::*;
use reflexarc::{
    AnsweredCall, DueEvaluation, Evaluation, Matched, MemoryState, PreparedEvaluation, RuleSet,
};
use reflexarc_event::NativeEvent;

use crate::error::ReactionError;
use crate::evaluation::PyEvaluation;
use crate::evaluation_origin::EvaluationOrigin;

/// What was done so far, and the state after it. Needs nothing of Python until it is finished.
pub(crate) struct EvaluationRun {
    state: Arc<MemoryState>,
    fired: Vec<DueEvaluation>,
    evaluation: Evaluation,
    /// The event, or that of the call.
    event: Option<NativeEvent>,
}

impl EvaluationRun {
    pub(crate) fn new(state: Arc<MemoryState>) -> Self {
        Self {
            state,
            fired: Vec::new(),
            evaluation: Evaluation::default(),
            event: None,
        }
    }

    /// Fires what is due by `now`. A state without matches, of rules without time windows, stays as
    /// it is: it has no clock either, so that these rules give equal states at any time.
    pub(crate) fn fire_due(&mut self, rules: &RuleSet, has_windows: bool, now: Timestamp) {
        if has_windows || self.state.has_matches() {
            self.fired = rules.fire_due(Arc::make_mut(&mut self.state), now);
        }
    }

    /// Evaluates an event.
    pub(crate) fn evaluate(&mut self, rules: &RuleSet, event: NativeEvent, now: Timestamp) {
        let matched = rules.matching(&event);
        if matched.is_nothing() {
            self.skip(event);
        } else {
            self.evaluate_matched(rules, event, &matched, now);
        }
    }

    /// Evaluates an event of which the matching rules are known.
    pub(crate) fn evaluate_matched(
        &mut self,
        rules: &RuleSet,
        event: NativeEvent,
        matched: &Matched,
        now: Timestamp,
    ) {
        self.evaluation = rules.evaluate_matched(&event, matched, &*self.state, now, None);
        self.event = Some(event);
        self.commit();
    }

    /// Evaluates an event that was prepared.
    pub(crate) fn evaluate_prepared(
        &mut self,
        rules: &RuleSet,
        event: NativeEvent,
        prepared: PreparedEvaluation,
    ) {
        self.evaluation = rules.evaluate_prepared(&event, prepared, &*self.state);
        self.event = Some(event);
        self.commit();
    }

    /// Takes an event that no rule matches.
    pub(crate) fn skip(&mut self, event: NativeEvent) {
        self.event = Some(event);
    }

    /// Processes the answer to a call.
    pub(crate) fn answer(&mut self, rules: &RuleSet, call: &AnsweredCall, now: Timestamp) {
        self.evaluation = rules.answer(call, &*self.state, now);
        self.event.clone_from(&call.event);
        self.commit();
    }

    fn commit(&mut self) {
        for (rule, changes) in self.evaluation.changes() {
            if !changes.is_empty() {
                // The caller's `State` stays as it is; the copy shares its entries.
                Arc::make_mut(&mut self.state).apply(rule, changes);
            }
        }
    }

    /// The first failure of a reaction.
    pub(crate) fn failure(&self) -> Option<String> {
        let evaluations = self.fired.iter().map(|due| &due.evaluation);
        let mut evaluations = evaluations.chain([&self.evaluation]);
        let failure = evaluations.find_map(|each| each.failures.first())?;
        Some(format!("rule {:?}: {}", failure.rule, failure.message))
    }

    /// The state after what was done.
    pub(crate) fn state(&self) -> Arc<MemoryState> {
        Arc::clone(&self.state)
    }

    /// The size of the effects, in bytes.
    pub(crate) fn effect_bytes(&self) -> usize {
        let fired = self.fired.iter().map(|due| due.evaluation.effect_bytes);
        fired.sum::<usize>() + self.evaluation.effect_bytes
    }

    /// The result; an exception if `strict` and a reaction failed.
    pub(crate) fn finish(
        self,
        py: Python<'_>,
        rules: &RuleSet,
        strict: bool,
    ) -> PyResult<PyEvaluation> {
        if let (true, Some(failure)) = (strict, self.failure()) {
            return Err(ReactionError::new_err(failure));
        }
        let origin = EvaluationOrigin {
            rules: Some(rules.clone()),
            event: self.event,
        };
        PyEvaluation::new(py, self.fired, self.evaluation, origin, self.state)
    }
}
