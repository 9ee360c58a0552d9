//! Diagnostics of whole files.

use std::error::Error;
use std::fmt;

use crate::{Diagnostic, Severity};

/// The diagnostics of one file, with its text, so that they can be drawn.
///
/// ```
/// use reflexarc_diagnostic::{Code, Diagnostic, FileDiagnostics};
///
/// let file = FileDiagnostics {
///     name: "when.txt".to_owned(),
///     text: "a = 1".to_owned(),
///     diagnostics: vec![Diagnostic::error(Code::SYNTAX, 2..3, "unexpected `=`")],
/// };
/// assert!(file.has_errors());
/// assert!(file.to_string().contains("--> when.txt:1:3"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDiagnostics {
    /// The file's path as it was given.
    pub name: String,
    /// The file's text; empty when it could not be read.
    pub text: String,
    /// The diagnostics, by location; never empty.
    pub diagnostics: Vec<Diagnostic>,
}

/// The error of loading files: the diagnostics of each, at least one of which is an error.
/// Displaying it draws all of them.
///
/// ```
/// use reflexarc_diagnostic::{Code, Diagnostic, FileDiagnostics, InvalidFiles};
///
/// let error = InvalidFiles::from(FileDiagnostics {
///     name: "rules/a.toml".to_owned(),
///     text: String::new(),
///     diagnostics: vec![Diagnostic::error(Code::RULE_FILE, 0..0, "cannot read the file")],
/// });
/// assert_eq!(error.files().len(), 1);
/// assert_eq!(error.diagnostics().next().map(|found| found.code), Some(Code::RULE_FILE));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidFiles {
    files: Vec<FileDiagnostics>,
}

impl FileDiagnostics {
    /// Whether any of them is an error.
    pub fn has_errors(&self) -> bool {
        self.diagnostics
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

impl InvalidFiles {
    /// The error with these diagnostics.
    pub fn new(files: Vec<FileDiagnostics>) -> Self {
        Self { files }
    }

    /// The files with their diagnostics, warnings included.
    pub fn files(&self) -> &[FileDiagnostics] {
        &self.files
    }

    /// The files with their diagnostics, warnings included.
    pub fn into_files(self) -> Vec<FileDiagnostics> {
        self.files
    }

    /// The diagnostics of all the files.
    pub fn diagnostics(&self) -> impl Iterator<Item = &Diagnostic> {
        self.files.iter().flat_map(|file| &file.diagnostics)
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

impl fmt::Display for InvalidFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, file) in self.files.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{file}")?;
        }
        Ok(())
    }
}

impl Error for InvalidFiles {}

impl From<FileDiagnostics> for InvalidFiles {
    fn from(file: FileDiagnostics) -> Self {
        Self { files: vec![file] }
    }
}
