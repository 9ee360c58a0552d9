//! What is wrong with rule files, file by file.

use std::fmt;

use reflexarc_diagnostic::{Diagnostic, Severity};

/// The diagnostics of one file, with its text, so that they can be drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDiagnostics {
    /// The file's path as it was given.
    pub name: String,
    /// The file's text; empty when it could not be read.
    pub text: String,
    /// What is wrong, by place; never empty.
    pub diagnostics: Vec<Diagnostic>,
}

impl FileDiagnostics {
    /// Whether any of them is an error.
    pub fn has_errors(&self) -> bool {
        self.diagnostics
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

/// The diagnostics drawn without colour.
impl fmt::Display for FileDiagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, diagnostic) in self.diagnostics.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            f.write_str(&diagnostic.render(&self.name, &self.text, false))?;
        }
        Ok(())
    }
}
