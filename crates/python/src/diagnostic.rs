//! The Python class `Diagnostic`.

use pyo3::prelude::*;
use reflexarc_diagnostic::Diagnostic;

/// A diagnostic about a pattern, a rule file or an event: message, location, help and fix.
#[pyclass(name = "Diagnostic", module = "reflexarc", frozen, eq, hash)]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PyDiagnostic {
    /// The stable code, such as "RA0101".
    #[pyo3(get)]
    code: String,
    /// The severity.
    #[pyo3(get)]
    severity: &'static str,
    /// What is wrong.
    #[pyo3(get)]
    message: String,
    /// The file, or "<pattern>", or "<event>", or the id of a pattern in a rule set.
    #[pyo3(get)]
    source: String,
    /// The line, from 1.
    #[pyo3(get)]
    line: usize,
    /// The column in characters, from 1.
    #[pyo3(get)]
    column: usize,
    /// Start and end in characters, half open: `text[start:end]` is the location.
    #[pyo3(get)]
    span: (usize, usize),
    /// How to fix it.
    #[pyo3(get)]
    help: Option<String>,
    /// An edit that fixes it: start and end in characters, and the replacement.
    #[pyo3(get)]
    fix: Option<(usize, usize, String)>,
    rendered: String,
}

impl PyDiagnostic {
    /// A diagnostic about `text`, which is called `source`.
    pub(crate) fn new(source: &str, text: &str, diagnostic: &Diagnostic) -> Self {
        // Diagnostics count bytes, Python strings count characters.
        let characters = |byte: usize| {
            text.get(..byte.min(text.len()))
                .map_or(byte, |before| before.chars().count())
        };
        let (line, column) = position(text, diagnostic.span.start);
        Self {
            code: diagnostic.code.to_string(),
            severity: diagnostic.severity.as_str(),
            message: diagnostic.message.clone(),
            source: source.to_owned(),
            line,
            column,
            span: (
                characters(diagnostic.span.start),
                characters(diagnostic.span.end),
            ),
            help: diagnostic.help.clone(),
            fix: diagnostic.fix.as_ref().map(|fix| {
                (
                    characters(fix.span.start),
                    characters(fix.span.end),
                    fix.replacement.clone(),
                )
            }),
            rendered: diagnostic.render(source, text, false),
        }
    }
}

#[pymethods]
impl PyDiagnostic {
    fn __str__(&self) -> &str {
        &self.rendered
    }

    fn __repr__(&self) -> String {
        format!(
            "<Diagnostic {} {}:{}:{} {:?}>",
            self.code, self.source, self.line, self.column, self.message
        )
    }
}

/// Line and column in characters, both from 1, of a byte offset.
fn position(text: &str, byte: usize) -> (usize, usize) {
    // Spans begin and end between characters; any other offset counts as the end.
    let before = text.get(..byte.min(text.len())).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}
