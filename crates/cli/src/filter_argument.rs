//! A filter given on the command line.

use std::path::PathBuf;

use reflexarc::check_vocabulary;
use reflexarc_diagnostic::{FileDiagnostics, Severity};
use reflexarc_event::{FieldShape, field_shape};
use reflexarc_pattern::{Dialect, Path, Pattern};

use crate::exit::Failure;
use crate::output::Output;
use crate::usage_error::of_filter;

/// Parses a filter that the shell has passed, before these other arguments.
pub(crate) fn parse_argument(
    text: &str,
    others: &[PathBuf],
    dialect: Dialect,
    output: &mut Output,
) -> Result<Pattern, Failure> {
    parse(text, dialect, output).map_err(|mut failure| {
        let others: Vec<String> = others
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        if let (Some(help), Failure::Rules(files)) = (of_filter(text, &others), &mut failure)
            && let Some(first) = files
                .iter_mut()
                .find_map(|file| file.diagnostics.first_mut())
        {
            // What is wrong with the text is what the shell has made of it.
            first.help = Some(help);
            first.fix = None;
        }
        failure
    })
}

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
