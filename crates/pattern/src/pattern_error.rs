//! The error for a text that is not a pattern.

use std::error::Error;
use std::fmt;

use reflexarc_diagnostic::{Diagnostic, Severity};

/// The error for a text that is not a pattern, or that a dialect does not support.
///
/// `Display` writes each error in one line: code, line and column, and message. For annotated
/// lines, help and fixes, draw the diagnostics with [`Diagnostic::render`].
///
/// ```
/// use reflexarc_diagnostic::Code;
/// use reflexarc_pattern::{Dialect, Pattern};
///
/// let text = r#"{"name": [{"prefxi": "Disk:"}]}"#;
/// let error = Pattern::parse(text, Dialect::Reflexarc).expect_err("a misspelt operator");
/// assert_eq!(error.to_string(), "RA0201 at 1:12: unknown operator `prefxi`");
/// assert_eq!(error.diagnostics()[0].code, Code::UNKNOWN_OPERATOR);
/// assert!(error.diagnostics()[0].fix.is_some());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternError {
    source: Box<str>,
    diagnostics: Vec<Diagnostic>,
}

impl PatternError {
    pub(crate) fn new(source: &str, diagnostics: Vec<Diagnostic>) -> Self {
        Self {
            source: source.into(),
            diagnostics,
        }
    }

    /// All diagnostics about the text in text order, warnings included; at least one is an error.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// As [`PatternError::diagnostics`].
    pub fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.diagnostics
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without warnings: the text says why the pattern was rejected. Those of a valid pattern
        // are in `Pattern::warnings`.
        let errors = self
            .diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity == Severity::Error);
        for (i, error) in errors.enumerate() {
            // Between the errors and not after each: the text ends without a line break, so that
            // callers can put it into a sentence of their own.
            if i > 0 {
                writeln!(f)?;
            }
            f.write_str(&error.summary(&self.source))?;
        }
        Ok(())
    }
}

impl Error for PatternError {}
