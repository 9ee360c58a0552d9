//! A filter given on the command line.

use reflexarc::check_vocabulary;
use reflexarc_diagnostic::{FileDiagnostics, Severity};
use reflexarc_event::{FieldShape, field_shape};
use reflexarc_pattern::{Dialect, Path, Pattern};

use crate::exit::Failure;
use crate::output::Output;

/// Parses a filter and draws its warnings to stderr.
pub(crate) fn parse(text: &str, dialect: Dialect, output: &mut Output) -> Result<Pattern, Failure> {
    let named = |diagnostics| FileDiagnostics {
        name: "filter".to_owned(),
        text: text.to_owned(),
        diagnostics,
    };
    let is_documented = |path: &Path| field_shape(path.as_str()) == Some(FieldShape::One);
    let pattern = Pattern::parse(text, dialect)
        .map_err(|error| Failure::Rules(vec![named(error.into_diagnostics())]))?;
    let misspelt = check_vocabulary(&pattern).into_iter();
    let misspelt = misspelt.filter(|one| one.severity == Severity::Warning);
    let spanned = pattern.spanned();
    let warnings = spanned.map(|spanned| spanned.warnings(&is_documented));
    let warnings: Vec<_> = warnings.into_iter().flatten().chain(misspelt).collect();
    if !warnings.is_empty() {
        output.diagnostics([&named(warnings)]);
    }
    Ok(pattern)
}
