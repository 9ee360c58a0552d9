//! The hierarchy of Python exceptions, and how Rust errors become exceptions.

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
    "Base class of all exceptions of reflexarc."
);
create_exception!(
    reflexarc,
    PatternError,
    Error,
    "An invalid pattern; the message shows all diagnostics, `diagnostics` holds them.\n\n\
     >>> try:\n\
     ...     Pattern('content.result = \"failed\"')\n\
     ... except PatternError as error:\n\
     ...     error.diagnostics[0].line\n\
     1"
);
create_exception!(
    reflexarc,
    RuleError,
    Error,
    "Invalid rule files; the message shows all diagnostics, `diagnostics` holds them."
);
create_exception!(
    reflexarc,
    ConfigError,
    Error,
    "An invalid configuration; the message shows all diagnostics, `diagnostics` holds them."
);
create_exception!(
    reflexarc,
    EventError,
    Error,
    "Not an event: not a JSON object, too large, too deep, or with a value without a JSON form."
);
create_exception!(
    reflexarc,
    UndecidedError,
    EventError,
    "An event that cannot be compared with a pattern: there are too many combinations of the\n\
     elements of its arrays. Derived from `EventError`, since most events of this kind are hostile."
);
create_exception!(
    reflexarc,
    ReactionError,
    Error,
    "A reaction failed, and `RuleSet.evaluate` was called with `strict=True`."
);
create_exception!(reflexarc, StateError, Error, "Invalid state entries.");
create_exception!(
    reflexarc,
    InternalError,
    Error,
    "A bug in reflexarc; please report it with the text of the exception."
);

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
