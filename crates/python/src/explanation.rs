//! Why a pattern matches or does not, as Python sees it.

use pyo3::prelude::*;
use reflexarc_pattern::explain::{Explanation, Part, Test};

use crate::convert;

/// How a pattern fares with an event, part by part; true if it matches. `str()` shows the failing branch.
#[pyclass(name = "Explanation", module = "reflexarc", frozen)]
pub(crate) struct PyExplanation {
    explanation: Explanation,
}

impl From<Explanation> for PyExplanation {
    fn from(explanation: Explanation) -> Self {
        Self { explanation }
    }
}

#[pymethods]
impl PyExplanation {
    /// Whether the event meets the pattern.
    #[getter]
    fn matched(&self) -> bool {
        self.explanation.matched()
    }

    /// Every part of the pattern with its verdict, the values found and the nearest miss.
    #[getter]
    fn tree<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::to_python(py, &self.explanation.to_json())
    }

    /// What the author may have overlooked, each once.
    #[getter]
    fn hints(&self) -> Vec<String> {
        let mut hints = Vec::new();
        collect(&self.explanation.root, &mut hints);
        hints
    }

    /// The explanation as text: only the failing branch, or all parts.
    #[pyo3(signature = (*, all = false))]
    fn render(&self, all: bool) -> String {
        self.explanation.render(all)
    }

    fn __str__(&self) -> String {
        self.explanation.render(false)
    }

    fn __repr__(&self) -> String {
        let verdict = if self.explanation.matched() {
            "matched"
        } else {
            "not matched"
        };
        format!("<Explanation: {verdict}>")
    }

    fn __bool__(&self) -> bool {
        self.explanation.matched()
    }
}

/// The hints of the parts that fail, in the order of the pattern, each once.
fn collect(part: &Part, hints: &mut Vec<String>) {
    match &part.test {
        Test::All { parts, .. } | Test::Any { parts } => {
            parts.iter().for_each(|part| collect(part, hints))
        }
        Test::Not { part } => collect(part, hints),
        Test::Field(field) => {
            for hint in field.hints.iter().map(ToString::to_string) {
                if !hints.contains(&hint) {
                    hints.push(hint);
                }
            }
        }
    }
}
