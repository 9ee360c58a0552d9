//! Timestamps: conversion of Python's aware `datetime`.

use jiff::Timestamp;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;

/// The time of an aware `datetime`, or the current time for `None`.
pub(crate) fn timestamp_or_now(now: Option<&Bound<'_, PyAny>>) -> PyResult<Timestamp> {
    let Some(now) = now else {
        return Ok(Timestamp::now());
    };
    let py = now.py();
    // ISO 8601 text is exact to the microsecond; `timestamp()` returns a float, which is not.
    let text: String = now.call_method0(intern!(py, "isoformat"))?.extract()?;
    if now.call_method0(intern!(py, "utcoffset"))?.is_none() {
        return Err(PyValueError::new_err(format!(
            "invalid now={text}: missing time zone; use an aware datetime"
        )));
    }
    text.parse()
        .map_err(|error| PyValueError::new_err(format!("invalid now={text}: {error}")))
}
