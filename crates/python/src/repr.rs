//! Texts for `repr()`, in the syntax of Python.

use pyo3::prelude::*;
use pyo3::types::PyString;
use reflexarc_diagnostic::truncate;

/// Characters of a text that `repr()` of a result shows.
const MAX_CHARS: usize = 120;

/// The text as Python writes it: `'it\'s'`.
pub(crate) fn repr(py: Python<'_>, text: &str) -> PyResult<String> {
    Ok(PyString::new(py, text).repr()?.to_str()?.to_owned())
}

/// The `repr()` of a value with fields: `Failure(rule='r', hop=0)`.
pub(crate) struct Fields<'py> {
    py: Python<'py>,
    text: String,
    is_first: bool,
}

impl<'py> Fields<'py> {
    /// Begins with the name of the class.
    pub(crate) fn new(py: Python<'py>, class: &str) -> Self {
        Self {
            py,
            text: format!("{class}("),
            is_first: true,
        }
    }

    /// Adds a text, of which the middle is left out if it is long.
    pub(crate) fn text(self, name: &str, text: &str) -> PyResult<Self> {
        let text = repr(self.py, &truncate(text, MAX_CHARS))?;
        Ok(self.written(name, &text))
    }

    /// Adds a text, unless there is none.
    pub(crate) fn optional(self, name: &str, text: Option<&str>) -> PyResult<Self> {
        match text {
            Some(text) => self.text(name, text),
            None => Ok(self),
        }
    }

    /// Adds any value.
    pub(crate) fn value(self, name: &str, value: &Bound<'py, PyAny>) -> PyResult<Self> {
        let text = value.repr()?;
        let text = truncate(text.to_str()?, MAX_CHARS).into_owned();
        Ok(self.written(name, &text))
    }

    /// Adds a number.
    pub(crate) fn number(self, name: &str, number: u64) -> Self {
        self.written(name, &number.to_string())
    }

    pub(crate) fn finish(mut self) -> String {
        self.text.push(')');
        self.text
    }

    fn written(mut self, name: &str, value: &str) -> Self {
        if !std::mem::take(&mut self.is_first) {
            self.text.push_str(", ");
        }
        self.text.push_str(name);
        self.text.push('=');
        self.text.push_str(value);
        self
    }
}
