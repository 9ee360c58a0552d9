//! Timestamps and durations: conversion from and to Python's aware `datetime`, and to `timedelta`.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDateTime, PyDelta, PyTzInfo};

/// The time of an aware `datetime`, or the current time for `None`.
pub(crate) fn timestamp_or_now(now: Option<&Bound<'_, PyAny>>) -> PyResult<Timestamp> {
    let Some(now) = now else {
        return Ok(Timestamp::now());
    };
    let py = now.py();
    if !now.hasattr(intern!(py, "utcoffset"))? {
        let kind = now.get_type().name()?;
        return Err(PyTypeError::new_err(format!(
            "expected an aware datetime as now, found {kind}; write datetime.now(timezone.utc), or \
             datetime.fromisoformat(\"2024-05-14T08:00:00+00:00\")"
        )));
    }
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

/// A time as a `datetime` in UTC, to the microsecond.
pub(crate) fn to_datetime(py: Python<'_>, time: Timestamp) -> PyResult<Bound<'_, PyDateTime>> {
    let utc = PyTzInfo::utc(py)?;
    let parts = TimeZone::UTC.to_datetime(time);
    // Python has no years before 1, which the time of an event may have: 0000-01-01T00:00:00Z is
    // shown as the first time that there is.
    if parts.year() < 1 {
        return PyDateTime::new(py, 1, 1, 1, 0, 0, 0, 0, Some(&utc));
    }
    let part = |part: i8| u8::try_from(part).unwrap_or(0);
    PyDateTime::new(
        py,
        i32::from(parts.year()),
        part(parts.month()),
        part(parts.day()),
        part(parts.hour()),
        part(parts.minute()),
        part(parts.second()),
        u32::try_from(parts.subsec_nanosecond() / 1_000).unwrap_or(0),
        Some(&utc),
    )
}

/// A duration as a `timedelta`, to the microsecond.
pub(crate) fn to_timedelta(py: Python<'_>, time: SignedDuration) -> PyResult<Bound<'_, PyDelta>> {
    const DAY: i64 = 86_400;
    let (days, seconds) = (time.as_secs() / DAY, time.as_secs() % DAY);
    let part = |part: i64| i32::try_from(part).unwrap_or(i32::MAX);
    // Normalized: seconds and microseconds may be negative.
    PyDelta::new(py, part(days), part(seconds), time.subsec_micros(), true)
}
