//! The Python class `RuleTest`.

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use reflexarc::{Mismatch, RuleReport};

use crate::repr::repr;

/// The result of a `[[test]]` of a rule file.
#[pyclass(name = "RuleTest", module = "reflexarc", frozen, get_all)]
pub(crate) struct PyRuleTest {
    /// The name of the rule.
    rule: String,
    /// The path of the rule file.
    file: String,
    /// The name of the test.
    name: String,
    /// The line on which the test begins, from 1.
    line: usize,
    /// Differences between the expected and the actual results, and why the rule does not match
    /// an event that should match.
    mismatches: Vec<String>,
}

impl PyRuleTest {
    /// The results of the tests of a rule.
    pub(crate) fn of(report: &RuleReport) -> impl Iterator<Item = Self> {
        report.tests.iter().map(|test| Self {
            rule: report.rule.clone(),
            file: report.file.clone(),
            name: test.name.clone(),
            line: test.line,
            mismatches: test.mismatches.iter().map(describe).collect(),
        })
    }
}

#[pymethods]
impl PyRuleTest {
    /// Whether there are no mismatches.
    #[getter]
    fn passed(&self) -> bool {
        self.mismatches.is_empty()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let verdict = if self.passed() { "passed" } else { "failed" };
        let (name, rule) = (repr(py, &self.name)?, repr(py, &self.rule)?);
        Ok(format!("<RuleTest {name} of rule {rule}: {verdict}>"))
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
        let this = slf.get();
        let arguments = (
            &this.rule,
            &this.file,
            &this.name,
            this.line,
            &this.mismatches,
        );
        let rebuild = slf.get_type().getattr("_rebuild")?;
        Ok((rebuild, arguments.into_pyobject(slf.py())?))
    }

    #[staticmethod]
    fn _rebuild(
        rule: String,
        file: String,
        name: String,
        line: usize,
        mismatches: Vec<String>,
    ) -> Self {
        Self {
            rule,
            file,
            name,
            line,
            mismatches,
        }
    }
}

fn describe(mismatch: &Mismatch) -> String {
    let step = mismatch
        .step
        .map_or_else(String::new, |step| format!("step {}, ", step + 1));
    let lines = |lines: &[String], sign: &str| -> String {
        if lines.is_empty() {
            return format!("\n  {sign} (nothing)");
        }
        lines.iter().fold(String::new(), |text, line| {
            text + "\n  " + sign + " " + line.as_str()
        })
    };
    let (expected, actual) = (lines(&mismatch.expected, "-"), lines(&mismatch.actual, "+"));
    let explained = mismatch
        .near_misses
        .iter()
        .fold(String::new(), |text, why| {
            let why = why.trim_end().replace('\n', "\n    ");
            text + "\n  the rule does not match the event:\n    " + why.as_str()
        });
    format!(
        "{step}line {}: `{}` differs (- expected, + actual){expected}{actual}{explained}",
        mismatch.line, mismatch.key
    )
}
