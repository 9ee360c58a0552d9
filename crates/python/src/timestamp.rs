//! Moments: Python's aware `datetime` and Rust's timestamps.

use jiff::Timestamp;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;

/// The timestamp_or_now that a caller names; the current one for `None`.
pub(crate) fn timestamp_or_now(now: Option<&Bound<'_, PyAny>>) -> PyResult<Timestamp> {
    let Some(now) = now else {
        return Ok(Timestamp::now());
    };
    let py = now.py();
    let text: String = now.call_method0(intern!(py, "isoformat"))?.extract()?;
    if now.call_method0(intern!(py, "utcoffset"))?.is_none() {
        return Err(PyValueError::new_err(format!(
            "now={text} has no time zone; use an aware datetime"
        )));
    }
    text.parse()
        .map_err(|error| PyValueError::new_err(format!("now={text}: {error}")))
}
