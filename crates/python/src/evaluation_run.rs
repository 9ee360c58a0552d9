//! Firing deadlines and evaluating an event or an answer, in that order, with the state that goes
//! through both.

use std::sync::Arc;

use jiff::Timestamp;
use pyo3::prelude::*;
use reflexarc::{AnsweredCall, DueEvaluation, Evaluation, MemoryState, RuleSet};
use reflexarc_event::NativeEvent;

use crate::error::ReactionError;
use crate::evaluation::PyEvaluation;

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
    pub(crate) fn evaluate(&mut self, rules: &RuleSet, event: &NativeEvent, now: Timestamp) {
        self.evaluation = rules.evaluate(event, &*self.state, now);
        self.event = Some(event.clone());
        self.commit();
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

    /// The result; an exception if `strict` and a reaction failed.
    pub(crate) fn finish(self, py: Python<'_>, strict: bool) -> PyResult<PyEvaluation> {
        let evaluations = self.fired.iter().map(|due| &due.evaluation);
        let evaluations = evaluations.chain([&self.evaluation]);
        let failure = evaluations.flat_map(|each| &each.failures).next();
        if let (true, Some(failure)) = (strict, failure) {
            return Err(ReactionError::new_err(format!(
                "rule {:?}: {}",
                failure.rule, failure.message
            )));
        }
        PyEvaluation::new(
            py,
            self.fired,
            self.evaluation,
            self.event.as_ref(),
            self.state,
        )
    }
}
