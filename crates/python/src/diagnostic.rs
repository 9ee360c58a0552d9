//! The Python class `Diagnostic`.

use std::fmt;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use reflexarc_diagnostic::{Diagnostic, Severity};

use crate::repr::repr;

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

/// The diagnostic drawn below its line.
impl fmt::Display for PyDiagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rendered)
    }
}

#[pymethods]
impl PyDiagnostic {
    /// The diagnostic as values of JSON: `code`, `severity`, `message`, `source`, `line`,
    /// `column`, `span`, `help`, and `fix` with `span` and `replacement`.
    ///
    /// >>> from json import dumps
    /// >>> dumps(Pattern("content.eniID exists").warnings[0].to_dict()["fix"])
    /// '{"span": [8, 13], "replacement": "eniId"}'
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let span = |(start, end): (usize, usize)| PyList::new(py, [start, end]);
        let members = PyDict::new(py);
        members.set_item("code", &self.code)?;
        members.set_item("severity", self.severity)?;
        members.set_item("message", &self.message)?;
        members.set_item("source", &self.source)?;
        members.set_item("line", self.line)?;
        members.set_item("column", self.column)?;
        members.set_item("span", span(self.span)?)?;
        members.set_item("help", &self.help)?;
        let fix = self.fix.as_ref().map(|(start, end, replacement)| {
            let fix = PyDict::new(py);
            fix.set_item("span", span((*start, *end))?)?;
            fix.set_item("replacement", replacement)?;
            PyResult::Ok(fix)
        });
        members.set_item("fix", fix.transpose()?)?;
        Ok(members)
    }

    fn __str__(&self) -> &str {
        &self.rendered
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let Self {
            code,
            source,
            line,
            column,
            ..
        } = self;
        let message = repr(py, &self.message)?;
        Ok(format!(
            "<Diagnostic {code} {source}:{line}:{column} {message}>"
        ))
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }

    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let (py, this) = (slf.py(), slf.get().clone());
        let texts = (this.code, this.severity, this.message, this.source);
        let position = (this.line, this.column, this.span);
        let arguments = (texts, position, this.help, this.fix, this.rendered);
        let rebuild = slf.get_type().getattr("_rebuild")?;
        Ok((rebuild, arguments.into_pyobject(py)?))
    }

    #[staticmethod]
    fn _rebuild(
        texts: (String, String, String, String),
        position: (usize, usize, (usize, usize)),
        help: Option<String>,
        fix: Option<(usize, usize, String)>,
        rendered: String,
    ) -> PyResult<Self> {
        let (code, severity, message, source) = texts;
        let (line, column, span) = position;
        let severities = [Severity::Error, Severity::Warning, Severity::Hint];
        let mut severities = severities.into_iter().map(Severity::as_str);
        let severity = severities.find(|known| *known == severity);
        Ok(Self {
            code,
            severity: severity.ok_or_else(|| PyValueError::new_err("not a pickled Diagnostic"))?,
            message,
            source,
            line,
            column,
            span,
            help,
            fix,
            rendered,
        })
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
