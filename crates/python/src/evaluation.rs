//! The Python class `Evaluation`.

use std::sync::Arc;

use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use reflexarc::{DueEvaluation, Evaluation};
use reflexarc_delivery::DeliveryId;
use reflexarc_event::{Event, NativeEvent};
use reflexarc_reaction::MemoryState;

use crate::action::{PyAction, PyCancellation};
use crate::error::catch_panics;
use crate::evaluation_effects::{PyEffects, count, remove_cancelled};
use crate::evaluation_html::{self, EvaluationRows};
use crate::evaluation_origin::EvaluationOrigin;
use crate::evaluation_pickle::{self, EffectsRow};
use crate::event::{PyEvent, event_error};
use crate::explanation::PyExplanation;
use crate::failure::PyFailure;
use crate::rule_reaction::{Contents, RuleReaction};
use crate::state::PyState;
use crate::time_window::{PyDueEvaluation, PyMatchFiring};

/// The result of evaluating an event, or of firing deadlines: data; nothing is delivered.
#[pyclass(name = "Evaluation", module = "reflexarc", frozen)]
pub(crate) struct PyEvaluation {
    /// What the deadlines led to.
    fired: Vec<Py<PyDueEvaluation>>,
    /// What the event led to.
    effects: PyEffects,
    state: Py<PyState>,
    origin: EvaluationOrigin,
}

impl PyEvaluation {
    /// Converts what deadlines and then an event or answer led to; `state` is the state after them.
    pub(crate) fn new(
        py: Python<'_>,
        fired: Vec<DueEvaluation>,
        evaluation: Evaluation,
        origin: EvaluationOrigin,
        state: Arc<MemoryState>,
    ) -> PyResult<Self> {
        let fired = fired.into_iter();
        let fired = fired.map(|due| Py::new(py, PyDueEvaluation::new(py, due)?));
        Ok(Self {
            fired: fired.collect::<PyResult<_>>()?,
            effects: PyEffects::new(py, evaluation, origin.event.as_ref())?,
            state: Py::new(py, PyState { state })?,
            origin,
        })
    }

    /// What the answer to this call led to, for the ids of its actions.
    pub(crate) fn set_answered(&self, call: DeliveryId) {
        for action in &self.effects.actions {
            action.get().origin.set_answered(call);
        }
    }

    /// What the deadlines led to, in order, then what the event led to.
    fn all_effects(&self) -> impl Iterator<Item = &PyEffects> {
        let fired = self.fired.iter().map(|due| due.get().effects());
        fired.chain([&self.effects])
    }

    /// Each rule that reacted with the event that it saw and its match; a rule with a time window
    /// also without a match, where the event only became part of one.
    pub(crate) fn reactions(&self) -> impl Iterator<Item = &RuleReaction> {
        self.all_effects().flat_map(|effects| &effects.reactions)
    }

    /// The events that scripts gave to `emit`, in order.
    pub(crate) fn emitted_events(&self) -> impl Iterator<Item = &Event> {
        self.all_effects().flat_map(|effects| &effects.emitted)
    }

    /// What there is.
    pub(crate) fn contents(&self) -> Contents {
        let mut contents = Contents::default();
        for effects in self.all_effects() {
            effects.contents(&mut contents);
        }
        contents
    }

    /// Why a rule matches what was evaluated or not; `None` if there is no event, or no such rule.
    fn explain_rule(&self, rule: &str) -> Option<PyExplanation> {
        let other = self.effects.other_event(rule);
        // What fired before an event does not explain what rules did at the event.
        let mut fired = self.fired.iter().filter(|_| self.origin.event.is_none());
        let other = other.or_else(|| fired.find_map(|due| due.get().effects().other_event(rule)));
        self.origin.explain(rule, other)
    }
}

#[pymethods]
impl PyEvaluation {
    /// The rules that matched the event and did not fail, in the order of evaluation; one with a
    /// time window also where the event only continues or closes a match. Of an answer, the rule
    /// that called.
    #[getter]
    fn matched(&self) -> Vec<String> {
        self.effects.matched.clone()
    }

    /// The actions to deliver, in order: those of deadlines, then those of the event. One with
    /// `after` is to be delivered so much later, unless a later evaluation cancels or replaces it;
    /// without what this one cancels or replaces itself.
    #[getter]
    pub(crate) fn actions(&self, py: Python<'_>) -> Vec<Py<PyAction>> {
        let mut actions = Vec::new();
        for effects in self.all_effects() {
            for cancellation in &effects.cancelled {
                remove_cancelled(&mut actions, cancellation);
            }
            for action in &effects.actions {
                if let Some(replaced) = action.get().name() {
                    remove_cancelled(&mut actions, &replaced);
                }
                actions.push(action.clone_ref(py));
            }
        }
        actions
    }

    /// What scripts gave to `cancel`, in order: what waits under these names is not to be
    /// delivered. To be applied before `actions` are added to what waits.
    #[getter]
    fn cancelled(&self) -> Vec<PyCancellation> {
        let cancelled = self.all_effects().map(|effects| &effects.cancelled);
        cancelled.flatten().cloned().collect()
    }

    /// Failed reactions, in order, which contribute neither actions nor changes of state.
    #[getter]
    fn failures(&self) -> Vec<PyFailure> {
        let failures = self.all_effects().map(|effects| &effects.failures);
        failures.flatten().cloned().collect()
    }

    /// The events that scripts gave to `emit`, in order. The rules that match them have reacted
    /// to them in this evaluation.
    #[getter]
    fn emitted(&self) -> Vec<PyEvent> {
        self.all_effects().flat_map(PyEffects::emitted).collect()
    }

    /// The lines that scripts logged, in order.
    #[getter]
    fn log(&self) -> Vec<String> {
        let lines = self.all_effects().map(|effects| &effects.log);
        lines.flatten().cloned().collect()
    }

    /// The matches of time windows that fired or were resolved, in order: those of deadlines,
    /// then those of the event.
    #[getter]
    fn firings(&self) -> Vec<PyMatchFiring> {
        let firings = self.all_effects().map(|effects| &effects.firings);
        firings.flatten().cloned().collect()
    }

    /// The deadlines up to `now`, in their order, each with what rules did because of it.
    #[getter]
    fn fired(&self, py: Python<'_>) -> Vec<Py<PyDueEvaluation>> {
        let fired = self.fired.iter();
        fired.map(|due| due.clone_ref(py)).collect()
    }

    /// The reason for each rule that was skipped or suppressed at the event.
    #[getter]
    fn skipped(&self, py: Python<'_>) -> Py<PyDict> {
        self.effects.skipped.clone_ref(py)
    }

    /// What did not stop a rule at the event but may not be as intended, such as a `once` whose
    /// key the event lacks, and what the event is to the time window of a rule; a list for each
    /// rule that has any.
    #[getter]
    fn notes(&self, py: Python<'_>) -> Py<PyDict> {
        self.effects.notes.clone_ref(py)
    }

    /// The state after the event; pass it to the next evaluation.
    #[getter]
    pub(crate) fn state(&self, py: Python<'_>) -> Py<PyState> {
        self.state.clone_ref(py)
    }

    /// The event as it was received; `None` if only deadlines fired.
    #[getter]
    fn _received(&self) -> Option<PyEvent> {
        let event = self.origin.event.as_ref()?;
        let event = event.original().clone();
        Some(PyEvent { event })
    }

    /// What there is, as bits: actions 1, failures 2, logged lines 4, reactions 8.
    #[getter]
    fn _contents(&self) -> u8 {
        self.contents().0
    }

    /// The keys that wait for something after the event, by rule: those of `State.pending`.
    #[getter]
    fn pending<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        catch_panics(|| self.state.get().pending(py, None, None))
    }

    /// The event in the native form, which rules see; of an answer, that of the call. `None` if
    /// only deadlines fired.
    #[getter]
    fn event(&self) -> Option<PyEvent> {
        let event = self.origin.event.as_ref()?;
        let event = event.event().clone();
        Some(PyEvent { event })
    }

    /// Explain why rules match the event or do not: the rule with this name, or all rules, by
    /// name.
    ///
    /// A rule that does not match the event but reacted to one that was emitted, or to the passing
    /// of a deadline, is explained by the event that it reacted to.
    ///
    /// Raises:
    ///     KeyError: if the rule is unknown.
    ///     ValueError: if only deadlines fired, and none of the rule, or the evaluation was
    ///         pickled, which leaves its rules out.
    ///
    /// >>> rules = RuleSet({"failed": 'result == "failed"', "any": "result exists"})
    /// >>> evaluation = rules.evaluate({"result": "Failed"})
    /// >>> {rule: bool(explanation) for rule, explanation in evaluation.explain().items()}
    /// {'any': True, 'failed': False}
    /// >>> print(evaluation.explain("failed"), end="")
    /// ✗ result == "failed"
    ///     result is "Failed"
    ///     hint: the value differs only in case; add `ignoring case`
    #[pyo3(signature = (rule = None))]
    fn explain<'py>(&self, py: Python<'py>, rule: Option<&str>) -> PyResult<Bound<'py, PyAny>> {
        catch_panics(|| {
            let rules = self.origin.rules.as_ref().ok_or_else(|| {
                PyValueError::new_err(
                    "an evaluation that was pickled has no rules; use RuleSet.explain with \
                     Evaluation.event",
                )
            })?;
            if let Some(rule) = rule {
                if rules.get(rule).is_none() {
                    return Err(PyKeyError::new_err(rule.to_owned()));
                }
                let explanation = self.explain_rule(rule).ok_or_else(|| {
                    PyValueError::new_err(format!(
                        "no event to explain: only deadlines fired, and none of rule {rule:?}"
                    ))
                })?;
                return Ok(Bound::new(py, explanation)?.into_any());
            }
            let explanations = PyDict::new(py);
            for rule in self.origin.names() {
                if let Some(explanation) = self.explain_rule(rule) {
                    explanations.set_item(rule, explanation)?;
                }
            }
            Ok(explanations.into_any())
        })
    }

    fn __repr__(&self) -> String {
        let (mut actions, mut failures) = (0, 0);
        for effects in self.all_effects() {
            actions += effects.actions.len();
            failures += effects.failures.len();
        }
        format!(
            "<Evaluation: {} matched, {}>",
            self.effects.matched.len(),
            count(actions, failures)
        )
    }

    fn _repr_html_(&self, py: Python<'_>) -> String {
        let matched = self.all_effects().flat_map(|effects| &effects.matched);
        evaluation_html::page(&EvaluationRows {
            matched: matched.cloned().collect(),
            actions: &self.actions(py),
            failures: &self.failures(),
            log: self.log(),
            firings: &self.firings(),
        })
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }

    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let (py, this) = (slf.py(), slf.get());
        let effects = evaluation_pickle::pickled(py, &this.effects)?;
        let event = this.origin.event.as_ref();
        let event = event.map(|event| PyBytes::new(py, event.original().bytes()));
        let arguments = (this.fired(py), effects, this.state(py), event);
        let rebuild = slf.get_type().getattr("_rebuild")?;
        Ok((rebuild, arguments.into_pyobject(py)?))
    }

    #[staticmethod]
    fn _rebuild(
        fired: Vec<Py<PyDueEvaluation>>,
        effects: EffectsRow,
        state: Py<PyState>,
        event: Option<Vec<u8>>,
    ) -> PyResult<Self> {
        let event = event.map(NativeEvent::from_json);
        let event = event.transpose().map_err(event_error)?;
        Ok(Self {
            fired,
            effects: evaluation_pickle::unpickled(effects),
            state,
            origin: EvaluationOrigin { rules: None, event },
        })
    }
}
