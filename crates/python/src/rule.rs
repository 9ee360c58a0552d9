//! One rule, as Python sees it.

use pyo3::prelude::*;
use reflexarc::Rule;

use crate::pattern::PyPattern;

/// One rule of a rule set.
#[pyclass(name = "Rule", module = "reflexarc", frozen, get_all)]
pub(crate) struct PyRule {
    /// Its name: the stem of its file, or the key it was given under.
    id: String,
    /// What it is for; empty when nobody said.
    description: String,
    /// The level of what it sends.
    level: String,
    /// The path of its file; empty when it was made from a pattern.
    file: String,
    /// Which events it is for.
    pattern: Py<PyPattern>,
}

impl PyRule {
    pub(crate) fn new(py: Python<'_>, rule: &Rule) -> PyResult<Self> {
        Ok(Self {
            id: rule.name().to_owned(),
            description: rule.description().to_owned(),
            level: rule.level().lowercase().to_owned(),
            file: rule.file().to_owned(),
            pattern: Py::new(py, PyPattern::compile(py, rule.pattern().clone())?)?,
        })
    }
}

#[pymethods]
impl PyRule {
    fn __repr__(&self) -> String {
        format!("<Rule {:?}>", self.id)
    }
}
