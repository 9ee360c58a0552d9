//! The Python class `Explanation`.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use reflexarc::LookupExplanation;
use reflexarc_pattern::explain::{Explanation, Part, Test};

use crate::convert;

/// Why a pattern matches an event or does not, part by part; true if it matches. `str()`
/// shows only the parts that fail.
#[pyclass(name = "Explanation", module = "reflexarc", frozen)]
pub(crate) struct PyExplanation {
    explanation: Explanation,
    lookups: Vec<LookupExplanation>,
}

impl PyExplanation {
    /// The explanation of a rule with lookups.
    pub(crate) fn with_lookups(explanation: Explanation, lookups: Vec<LookupExplanation>) -> Self {
        Self {
            explanation,
            lookups,
        }
    }

    pub(crate) fn is_match(&self) -> bool {
        self.explanation.matched()
    }
}

impl From<Explanation> for PyExplanation {
    fn from(explanation: Explanation) -> Self {
        Self::with_lookups(explanation, Vec::new())
    }
}

#[pymethods]
impl PyExplanation {
    /// Whether the event matches the pattern; false too if that is undecided.
    #[getter]
    fn matched(&self) -> bool {
        self.explanation.matched()
    }

    /// Whether it is undecided if the event matches, because there are too many combinations of
    /// the elements of its arrays.
    #[getter]
    fn undecided(&self) -> bool {
        self.explanation.undecided()
    }

    /// Every part of the pattern with its result, the values found and the nearest miss.
    #[getter]
    fn tree<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::to_python(py, &self.explanation.to_json())
    }

    /// The row that each lookup of the rule finds for the event, by name; `None` if there is
    /// none. Empty for a pattern, and for a rule without lookups.
    #[getter]
    fn lookups<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let rows = PyDict::new(py);
        for lookup in &self.lookups {
            let row = lookup.row.as_ref().ok();
            let row = row.map(|row| convert::to_python(py, row)).transpose()?;
            rows.set_item(&lookup.name, row)?;
        }
        Ok(rows)
    }

    /// Likely mistakes in the pattern, each once.
    #[getter]
    fn hints(&self) -> Vec<String> {
        let mut hints = Vec::new();
        collect_hints(&self.explanation.root, &mut hints);
        hints
    }

    /// The explanation as text: only the parts that fail, or all parts.
    #[pyo3(signature = (*, all = false))]
    fn render(&self, all: bool) -> String {
        self.explanation.render(all)
    }

    fn __str__(&self) -> String {
        self.explanation.render(false)
    }

    fn __repr__(&self) -> String {
        let result = match (self.undecided(), self.matched()) {
            (true, _) => "undecided",
            (false, true) => "matched",
            (false, false) => "not matched",
        };
        format!("<Explanation: {result}>")
    }

    fn __bool__(&self) -> bool {
        self.explanation.matched()
    }
}

/// The hints of the parts that fail, in the order of the pattern, each once.
fn collect_hints(part: &Part, hints: &mut Vec<String>) {
    match &part.test {
        Test::All { parts, .. } | Test::Any { parts } => {
            for part in parts {
                collect_hints(part, hints);
            }
        }
        Test::Not { part } => collect_hints(part, hints),
        Test::Field(field) => {
            for hint in field.hints.iter().map(ToString::to_string) {
                if !hints.contains(&hint) {
                    hints.push(hint);
                }
            }
        }
    }
}
