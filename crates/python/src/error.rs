//! How Rust errors become Python exceptions.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use pyo3::exceptions::PyOSError;
use pyo3::import_exception;
use pyo3::prelude::*;
use reflexarc_diagnostic::Diagnostic;

use crate::diagnostic::PyDiagnostic;

// Defined in Python, because most have two base classes.
import_exception!(reflexarc._errors, PatternError);
import_exception!(reflexarc._errors, RuleError);
import_exception!(reflexarc._errors, ConfigError);
import_exception!(reflexarc._errors, EventError);
import_exception!(reflexarc._errors, UndecidedError);
import_exception!(reflexarc._errors, ReactionError);
import_exception!(reflexarc._errors, StateError);
import_exception!(reflexarc._errors, InternalError);

/// An exception of type `E` with diagnostics about `text`, drawn in its message.
pub(crate) fn exception_from_diagnostics<E: pyo3::PyTypeInfo>(
    py: Python<'_>,
    source: &str,
    text: &str,
    found: &[Diagnostic],
) -> PyErr {
    let rendered: Vec<String> = found
        .iter()
        .map(|diagnostic| diagnostic.render(source, text, false))
        .collect();
    let items = found
        .iter()
        .map(|diagnostic| PyDiagnostic::new(source, text, diagnostic))
        .collect();
    exception_with::<E>(py, rendered.join("\n"), items)
}

/// An exception of type `E` with a message and the attribute `diagnostics`.
pub(crate) fn exception_with<E: pyo3::PyTypeInfo>(
    py: Python<'_>,
    message: String,
    diagnostics: Vec<PyDiagnostic>,
) -> PyErr {
    let raise = || -> PyResult<PyErr> {
        let exception = py.get_type::<E>().call1((message,))?;
        exception.setattr("diagnostics", diagnostics.into_pyobject(py)?)?;
        Ok(PyErr::from_value(exception))
    };
    raise().unwrap_or_else(|error| error)
}

/// The exception of Python for a path that cannot be read: `FileNotFoundError`, `PermissionError`
/// …, with the path as its `filename`.
pub(crate) fn os_error(error: &io::Error, path: &Path) -> PyErr {
    let Some(code) = error.raw_os_error() else {
        return PyOSError::new_err(format!("{}: {error}", path.display()));
    };
    // "No such file or directory (os error 2)": Python shows the code itself.
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    PyOSError::new_err((code, text.to_owned(), path.as_os_str().to_owned()))
}

/// Runs `work` and turns a panic into an [`InternalError`].
///
/// PyO3 would raise `PanicException`, which derives from `BaseException` and so passes through
/// `except Exception`: one bad event could end a worker that handles all other errors.
pub(crate) fn catch_panics<T>(work: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    // All classes are immutable, so a panic leaves none of them half changed.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        Err(InternalError::new_err(format!(
            "bug in reflexarc {}: {message}. Please report it with the rule and the event.",
            env!("CARGO_PKG_VERSION")
        )))
    })
}
