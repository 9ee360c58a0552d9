//! Filters given on the command line.

use reflexarc::FileDiagnostics;
use reflexarc_pattern::{Dialect, Pattern};

use crate::exit::Failure;
use crate::output::Output;

/// Reads a filter; its warnings go to stderr.
pub(crate) fn parse(text: &str, dialect: Dialect, output: &mut Output) -> Result<Pattern, Failure> {
    let found = |diagnostics| FileDiagnostics {
        name: "filter".to_owned(),
        text: text.to_owned(),
        diagnostics,
    };
    let pattern =
        Pattern::parse(text, dialect).map_err(|errors| Failure::Rules(vec![found(errors)]))?;
    if !pattern.warnings().is_empty() {
        output.diagnostics(&found(pattern.warnings().to_vec()));
    }
    Ok(pattern)
}
