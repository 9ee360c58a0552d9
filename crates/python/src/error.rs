//! Rust's errors as Python's exceptions: one hierarchy, one place that maps.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use reflexarc_diagnostic::Diagnostic;

use crate::diagnostic::PyDiagnostic;

create_exception!(
    reflexarc,
    Error,
    PyException,
    "Everything that reflexarc raises."
);
create_exception!(
    reflexarc,
    PatternError,
    Error,
    "A pattern is refused; the message draws every finding, `diagnostics` holds them.\n\n>>> try:\n...     Pattern('content.result = \"failed\"')\n... except PatternError as error:\n...     error.diagnostics[0].line\n1"
);
create_exception!(
    reflexarc,
    RuleError,
    Error,
    "Rule files are refused; the message draws every finding of all files, `diagnostics` holds them."
);
create_exception!(
    reflexarc,
    EventError,
    Error,
    "Something is not an event: no JSON object, too large, too deep, or holding what JSON cannot."
);
create_exception!(
    reflexarc,
    ReactionError,
    Error,
    "A reaction went wrong and `RuleSet.evaluate` was asked to be strict."
);
create_exception!(
    reflexarc,
    StateError,
    Error,
    "A state cannot hold what it was given."
);
create_exception!(
    reflexarc,
    InternalError,
    Error,
    "A fault of reflexarc itself; please report it with the text of the exception."
);

/// An exception of type `E` that carries diagnostics into `text`.
pub(crate) fn refused<E: pyo3::PyTypeInfo>(
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
    carrying::<E>(py, rendered.join("\n"), items)
}

/// An exception of type `E` with that message and those diagnostics.
pub(crate) fn carrying<E: pyo3::PyTypeInfo>(
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

/// Runs `work`; a panic inside becomes [`InternalError`] with a hint to report it.
pub(crate) fn catch_panics<T>(work: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let what = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        Err(InternalError::new_err(format!(
            "reflexarc {} has a fault: {what}. Please report it together with the pattern or rule and the event.",
            env!("CARGO_PKG_VERSION")
        )))
    })
}
