//! The Python class `Rule`.

use std::collections::{BTreeMap, BTreeSet};

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use reflexarc::Rule;

use crate::pattern::PyPattern;
use crate::repr::Fields;

/// A rule of a rule set.
#[pyclass(name = "Rule", module = "reflexarc", frozen, get_all)]
pub(crate) struct PyRule {
    /// The name of the rule: the stem of its file, or its key in the mapping.
    id: String,
    /// The description; empty if there is none.
    description: String,
    /// The severity level of its actions.
    level: String,
    /// Whether it is evaluated; a disabled rule matches no event.
    enabled: bool,
    /// The labels, such as `{"team": "network"}`.
    labels: BTreeMap<String, String>,
    /// The path of its file; empty for a rule made from a pattern.
    file: String,
    /// The pattern that selects its events.
    pattern: Py<PyPattern>,
    /// What its time window waits for, in words; `None` without one.
    window: Option<String>,
    /// The operations that its scripts call, each as target and operation.
    calls: Vec<(String, String)>,
}

/// What a pickle has besides texts and the pattern: whether the rule is enabled, labels, window and
/// calls.
type RuleRest = (
    bool,
    BTreeMap<String, String>,
    Option<String>,
    Vec<(String, String)>,
);

impl PyRule {
    pub(crate) fn new(py: Python<'_>, rule: &Rule) -> PyResult<Self> {
        Ok(Self {
            id: rule.name().to_owned(),
            description: rule.description().to_owned(),
            level: rule.level().lowercase().to_owned(),
            enabled: rule.enabled(),
            labels: rule.labels().clone(),
            file: rule.file().to_owned(),
            pattern: Py::new(py, PyPattern::compile(py, rule.pattern().clone())?)?,
            window: rule.window_description(),
            calls: calls(rule),
        })
    }
}

/// Each operation once, in order.
fn calls(rule: &Rule) -> Vec<(String, String)> {
    let calls = rule.calls().into_iter();
    let calls: BTreeSet<_> = calls.map(|call| (call.target, call.operation)).collect();
    calls.into_iter().collect()
}

#[pymethods]
impl PyRule {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let pattern = self.pattern.bind(py).get().pattern.to_expression();
        let fields = Fields::new(py, "Rule").text("id", &self.id)?;
        let fields = fields.text("level", &self.level)?.text("when", &pattern)?;
        Ok(fields.optional("window", self.window.as_deref())?.finish())
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
        let texts = (&this.id, &this.description, &this.level, &this.file);
        let rest = (this.enabled, &this.labels, &this.window, &this.calls);
        let arguments = (texts, this.pattern.clone_ref(py), rest);
        let rebuild = slf.get_type().getattr("_rebuild")?;
        Ok((rebuild, arguments.into_pyobject(py)?))
    }

    #[staticmethod]
    fn _rebuild(
        texts: (String, String, String, String),
        pattern: Py<PyPattern>,
        rest: RuleRest,
    ) -> Self {
        let (id, description, level, file) = texts;
        let (enabled, labels, window, calls) = rest;
        Self {
            id,
            description,
            level,
            enabled,
            labels,
            file,
            pattern,
            window,
            calls,
        }
    }
}
