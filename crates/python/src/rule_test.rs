//! The Python class `RuleTest`.

use pyo3::prelude::*;
use reflexarc::{Mismatch, RuleReport};

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
    /// Differences between the expected and the actual results.
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

    fn __repr__(&self) -> String {
        let verdict = if self.passed() { "passed" } else { "failed" };
        format!(
            "<RuleTest {:?} of rule {:?}: {verdict}>",
            self.name, self.rule
        )
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
    format!(
        "{step}line {}: `{}` differs (- expected, + actual){expected}{actual}",
        mismatch.line, mismatch.key
    )
}
