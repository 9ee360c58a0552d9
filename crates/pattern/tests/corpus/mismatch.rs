//! An expectation that is not met.

use std::fmt;

use libtest_mimic::Failed;

/// What one evaluator found instead of the expected result.
pub(crate) struct Mismatch {
    pub(crate) evaluator: String,
    pub(crate) pattern: String,
    /// None where the expectation is about the pattern alone.
    pub(crate) event: Option<String>,
    pub(crate) expected: String,
    pub(crate) found: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "evaluator  {}", self.evaluator)?;
        writeln!(f, "pattern    {}", self.pattern)?;
        if let Some(event) = &self.event {
            writeln!(f, "event      {event}")?;
        }
        writeln!(f, "expected   {}", self.expected)?;
        writeln!(f, "found      {}", self.found)
    }
}

/// Fails with all mismatches, if there are any.
pub(crate) fn fail_with(mismatches: &[Mismatch]) -> Result<(), Failed> {
    if mismatches.is_empty() {
        return Ok(());
    }
    let texts: Vec<String> = mismatches.iter().map(Mismatch::to_string).collect();
    Err(format!("\n{}", texts.join("\n")).into())
}
