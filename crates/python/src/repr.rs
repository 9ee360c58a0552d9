//! Texts for `repr()`, in the syntax of Python.

use pyo3::prelude::*;
use pyo3::types::PyString;

/// The text as Python writes it: `'it\'s'`.
pub(crate) fn repr(py: Python<'_>, text: &str) -> PyResult<String> {
    Ok(PyString::new(py, text).repr()?.to_str()?.to_owned())
}
