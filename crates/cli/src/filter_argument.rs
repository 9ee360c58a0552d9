//! A filter given on the command line.

use reflexarc_diagnostic::FileDiagnostics;
use reflexarc_pattern::{Dialect, Pattern};

use crate::exit::Failure;
use crate::output::Output;

/// Parses a filter and draws its warnings to stderr.
pub(crate) fn parse(text: &str, dialect: Dialect, output: &mut Output) -> Result<Pattern, Failure> {
    let named = |diagnostics| FileDiagnostics {
        name: "filter".to_owned(),
        text: text.to_owned(),
        diagnostics,
    };
    let pattern = Pattern::parse(text, dialect)
        .map_err(|error| Failure::Rules(vec![named(error.into_diagnostics())]))?;
    if !pattern.warnings().is_empty() {
        output.diagnostics([&named(pattern.warnings().to_vec())]);
    }
    Ok(pattern)
}
