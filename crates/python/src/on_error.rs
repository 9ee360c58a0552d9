//! The argument `on_error` of functions over many events.

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;

use crate::error::EventError;

/// What to do with an item that is not an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnError {
    /// Raise its error.
    Raise,
    /// Give its error in place of its result.
    Collect,
    /// Leave it out.
    Skip,
}

/// The items that were left out.
#[derive(Default)]
pub(crate) struct SkippedItems {
    count: usize,
    first: Option<PyErr>,
}

impl OnError {
    pub(crate) fn read(text: &str) -> PyResult<Self> {
        match text {
            "raise" => Ok(Self::Raise),
            "collect" => Ok(Self::Collect),
            "skip" => Ok(Self::Skip),
            _ => Err(PyValueError::new_err(format!(
                "invalid on_error={text:?}: expected \"raise\", \"collect\" or \"skip\""
            ))),
        }
    }

    /// Whether an exception is about one item, and so a matter of `on_error`.
    pub(crate) fn is_item_error(py: Python<'_>, error: &PyErr) -> bool {
        error.is_instance_of::<EventError>(py)
    }
}

impl SkippedItems {
    pub(crate) fn add(&mut self, error: PyErr) {
        self.count += 1;
        self.first.get_or_insert(error);
    }

    /// Logs how many items were left out, and why the first one was: without a log
    /// line, a caller would not notice missing items.
    pub(crate) fn log(&mut self, py: Python<'_>) -> PyResult<()> {
        let Self { count, first } = std::mem::take(self);
        let Some(first) = first else {
            return Ok(());
        };
        let logger = py
            .import(intern!(py, "logging"))?
            .call_method1(intern!(py, "getLogger"), (intern!(py, "reflexarc"),))?;
        let message = "skipped %d item%s; the first: %s";
        let plural = if count == 1 { "" } else { "s" };
        let arguments = (message, count, plural, first.value(py).to_string());
        logger.call_method1(intern!(py, "warning"), arguments)?;
        Ok(())
    }
}
