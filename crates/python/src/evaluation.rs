//! The Python classes `Evaluation`, `Action` and `Failure`.

use std::collections::BTreeMap;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use reflexarc::{Evaluation, Failure};
use reflexarc_event::Json;
use reflexarc_reaction::{Action, MemoryState};

use crate::convert;
use crate::state::PyState;

/// The result of evaluating an event: data; nothing has been delivered.
#[pyclass(name = "Evaluation", module = "reflexarc", frozen, get_all)]
pub(crate) struct PyEvaluation {
    /// The rules that matched and did not fail, in the order of evaluation.
    matched: Vec<String>,
    /// The actions to deliver, in order.
    actions: Vec<Py<PyAction>>,
    /// Failed reactions; their rules contribute neither actions nor changes of state.
    failures: Vec<PyFailure>,
    /// The lines that scripts logged, in order.
    log: Vec<String>,
    /// The reason for each rule that was skipped or suppressed.
    skipped: Py<PyDict>,
    /// What did not stop a rule but may not be as intended, such as a `once` whose key the event
    /// lacks; a list for each rule that has any.
    notes: Py<PyDict>,
    /// The state after the event; pass it to the next evaluation.
    state: Py<PyState>,
}

/// An action: something to deliver to a target.
#[pyclass(name = "Action", module = "reflexarc", frozen, eq)]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PyAction {
    /// The rule that returned the action.
    rule: String,
    /// The number of `emit` calls between the event and the derived event that the rule
    /// matched.
    hop: usize,
    /// The rules whose `emit` calls led to it, first to last.
    causes: Vec<String>,
    /// The labels of the rule.
    labels: BTreeMap<String, String>,
    action: Action,
}

/// A failed reaction.
#[pyclass(name = "Failure", module = "reflexarc", frozen, eq, hash, get_all)]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PyFailure {
    /// The name of the rule.
    rule: String,
    /// The number of `emit` calls between the event and the derived event that the rule
    /// matched.
    hop: usize,
    /// What failed, with line and column of the rule file if it is the script.
    message: String,
}

impl PyEvaluation {
    /// Converts an evaluation; `state` is the state before it.
    // Moves the texts of the evaluation: a copy of each costs as much as many scripts.
    pub(crate) fn new(
        py: Python<'_>,
        evaluation: Evaluation,
        state: &Arc<MemoryState>,
    ) -> PyResult<Self> {
        let mut after = Arc::clone(state);
        let (skipped, notes) = (PyDict::new(py), PyDict::new(py));
        let mut matched = Vec::with_capacity(evaluation.rules.len());
        let (mut actions, mut log) = (Vec::new(), Vec::new());
        for effects in evaluation.rules {
            if !effects.changes.is_empty() {
                // The caller's `State` stays as it is; the copy shares its entries.
                Arc::make_mut(&mut after).apply(&effects.rule, &effects.changes);
            }
            if let Some(reason) = &effects.skipped {
                skipped.set_item(&effects.rule, reason)?;
            }
            if !effects.notes.is_empty() {
                notes.set_item(&effects.rule, &effects.notes)?;
            }
            for action in effects.actions {
                let action = PyAction {
                    rule: effects.rule.clone(),
                    hop: effects.hop,
                    causes: effects.causes.clone(),
                    labels: effects.labels.clone(),
                    action,
                };
                actions.push(Py::new(py, action)?);
            }
            log.extend(effects.log);
            matched.push(effects.rule);
        }
        Ok(Self {
            matched,
            actions,
            failures: evaluation.failures.iter().map(PyFailure::from).collect(),
            log,
            skipped: skipped.unbind(),
            notes: notes.unbind(),
            state: Py::new(py, PyState { state: after })?,
        })
    }
}

#[pymethods]
impl PyEvaluation {
    fn __repr__(&self) -> String {
        let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        format!(
            "<Evaluation: {} matched, {}, {}>",
            self.matched.len(),
            count(self.actions.len(), "action"),
            count(self.failures.len(), "failure")
        )
    }
}

impl PyAction {
    fn message(&self) -> Option<&reflexarc_reaction::Message> {
        match &self.action {
            Action::Notify { message, .. } => Some(message),
            Action::Send { .. } => None,
        }
    }
}

#[pymethods]
impl PyAction {
    /// "notify" for a message to people, "send" for a JSON document.
    #[getter]
    fn kind(&self) -> &'static str {
        if self.message().is_some() {
            "notify"
        } else {
            "send"
        }
    }

    /// The rule that returned the action.
    #[getter]
    fn rule(&self) -> &str {
        &self.rule
    }

    /// The number of `emit` calls between the event and the derived event that the rule
    /// matched.
    #[getter]
    fn hop(&self) -> usize {
        self.hop
    }

    /// The rules whose `emit` calls led to it, first to last.
    #[getter]
    fn causes(&self) -> Vec<String> {
        self.causes.clone()
    }

    /// The labels of the rule.
    #[getter]
    fn labels(&self) -> BTreeMap<String, String> {
        self.labels.clone()
    }

    /// The name of the target.
    #[getter]
    fn target(&self) -> &str {
        self.action.target()
    }

    /// The title of a message; `None` for a document.
    #[getter]
    fn title(&self) -> Option<&str> {
        self.message().map(|message| message.title.as_str())
    }

    /// The text of a message; `None` for a document.
    #[getter]
    fn text(&self) -> Option<&str> {
        self.message().map(|message| message.text.as_str())
    }

    /// The severity level of a message; `None` for a document.
    #[getter]
    fn level(&self) -> Option<&'static str> {
        self.message().map(|message| message.level.lowercase())
    }

    /// The people that a message mentions.
    #[getter]
    fn at(&self) -> Vec<String> {
        self.message()
            .map_or_else(Vec::new, |message| message.at.clone())
    }

    /// The link of a message to further information.
    #[getter]
    fn link(&self) -> Option<&str> {
        self.message().and_then(|message| message.link.as_deref())
    }

    /// The document as Python values; `None` for a message.
    #[getter]
    fn payload<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.action {
            Action::Send { payload, .. } => convert::to_python(py, payload),
            Action::Notify { .. } => Ok(py.None().into_bound(py)),
        }
    }

    /// The action as a dict: `rule`, `labels` unless there are none, `target`, and the fields of
    /// its kind.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let mut json = self.action.to_flat_json();
        if let Json::Object(members) = &mut json {
            if !self.labels.is_empty() {
                members.insert(0, ("labels".to_owned(), Json::texts(&self.labels)));
            }
            members.insert(0, ("rule".to_owned(), Json::from(self.rule.as_str())));
        }
        convert::to_python(py, &json)
    }

    fn __repr__(&self) -> String {
        format!(
            "<Action {} to {:?} by rule {:?}>",
            self.kind(),
            self.target(),
            self.rule
        )
    }
}

impl From<&Failure> for PyFailure {
    fn from(failure: &Failure) -> Self {
        Self {
            rule: failure.rule.clone(),
            hop: failure.hop,
            message: failure.message.clone(),
        }
    }
}

#[pymethods]
impl PyFailure {
    fn __str__(&self) -> String {
        format!("{}: {}", self.rule, self.message)
    }

    fn __repr__(&self) -> String {
        format!("<Failure of rule {:?}: {}>", self.rule, self.message)
    }
}
