//! What a rule set makes of one event, as Python sees it.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use reflexarc::{Evaluation, Failure, RuleEffects};
use reflexarc_event::Json;
use reflexarc_reaction::{Action, MemoryState};

use crate::convert;
use crate::state::PyState;

/// Everything that follows from one event: data, nothing has happened yet.
#[pyclass(name = "Evaluation", module = "reflexarc", frozen, get_all)]
pub(crate) struct PyEvaluation {
    /// The rules that matched and did not fail, in the order in which they reacted.
    matched: Vec<String>,
    /// What to deliver, in order.
    actions: Vec<Py<PyAction>>,
    /// Reactions that went wrong; their rules contribute no actions and no changes of state.
    failures: Vec<PyFailure>,
    /// The lines of `log`, in order.
    log: Vec<String>,
    /// Per rule that ended without actions on purpose, why.
    skipped: Py<PyDict>,
    /// What the rules remember afterwards; give it to the next evaluation.
    state: Py<PyState>,
}

/// One thing to deliver to one target.
#[pyclass(name = "Action", module = "reflexarc", frozen, eq)]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PyAction {
    /// The rule that asked for it.
    rule: String,
    /// How many `emit`s lie between the event and the one the rule saw.
    hop: usize,
    /// The rules whose `emit`s led here, first to last.
    causes: Vec<String>,
    action: Action,
}

/// A reaction that went wrong.
#[pyclass(name = "Failure", module = "reflexarc", frozen, eq, hash, get_all)]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PyFailure {
    /// The rule's name.
    rule: String,
    /// How many `emit`s lie between the event and the one the rule saw.
    hop: usize,
    /// What went wrong, with line and column of the rule file where the script is to blame.
    message: String,
}

impl PyEvaluation {
    /// The evaluation, and the state after it.
    pub(crate) fn new(
        py: Python<'_>,
        evaluation: &Evaluation,
        state: &Arc<MemoryState>,
    ) -> PyResult<Self> {
        let mut after = Arc::clone(state);
        let skipped = PyDict::new(py);
        for effects in &evaluation.rules {
            if !effects.changes.is_empty() {
                Arc::make_mut(&mut after).apply(&effects.rule, &effects.changes);
            }
            if let Some(reason) = &effects.skipped {
                skipped.set_item(&effects.rule, reason)?;
            }
        }
        let actions = evaluation
            .actions()
            .map(|(effects, _, action)| Py::new(py, PyAction::new(effects, action)));
        Ok(Self {
            matched: evaluation.matched().map(str::to_owned).collect(),
            actions: actions.collect::<PyResult<_>>()?,
            failures: evaluation.failures.iter().map(PyFailure::from).collect(),
            log: evaluation
                .rules
                .iter()
                .flat_map(|effects| effects.log.iter().cloned())
                .collect(),
            skipped: skipped.unbind(),
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
    fn new(effects: &RuleEffects, action: &Action) -> Self {
        let (rule, causes) = (effects.rule.clone(), effects.causes.clone());
        Self {
            rule,
            hop: effects.hop,
            causes,
            action: action.clone(),
        }
    }

    fn message(&self) -> Option<&reflexarc_reaction::Message> {
        match &self.action {
            Action::Notify { message, .. } => Some(message),
            Action::Send { .. } => None,
        }
    }
}

#[pymethods]
impl PyAction {
    /// A message for people, or a JSON document for machines.
    #[getter]
    fn kind(&self) -> &'static str {
        if self.message().is_some() {
            "notify"
        } else {
            "send"
        }
    }

    /// The rule that asked for it.
    #[getter]
    fn rule(&self) -> &str {
        &self.rule
    }

    /// How many `emit`s lie between the event and the one the rule saw.
    #[getter]
    fn hop(&self) -> usize {
        self.hop
    }

    /// The rules whose `emit`s led here, first to last.
    #[getter]
    fn causes(&self) -> Vec<String> {
        self.causes.clone()
    }

    /// The target's name.
    #[getter]
    fn target(&self) -> &str {
        self.action.target()
    }

    /// One line, of a message.
    #[getter]
    fn title(&self) -> Option<&str> {
        self.message().map(|message| message.title.as_str())
    }

    /// The body, of a message.
    #[getter]
    fn text(&self) -> Option<&str> {
        self.message().map(|message| message.text.as_str())
    }

    /// How much a message weighs.
    #[getter]
    fn level(&self) -> Option<&'static str> {
        self.message().map(|message| message.level.lowercase())
    }

    /// Whom a message mentions.
    #[getter]
    fn at(&self) -> Vec<String> {
        self.message()
            .map_or_else(Vec::new, |message| message.at.clone())
    }

    /// Where a message says to read more.
    #[getter]
    fn link(&self) -> Option<&str> {
        self.message().and_then(|message| message.link.as_deref())
    }

    /// The document, as Python values; `None` for a message.
    #[getter]
    fn payload<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.action {
            Action::Send { payload, .. } => convert::to_python(py, payload),
            Action::Notify { .. } => Ok(py.None().into_bound(py)),
        }
    }

    /// The action as one dict: `rule`, `target`, and the fields of its kind.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let mut json = self.action.to_flat_json();
        if let Json::Object(members) = &mut json {
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
