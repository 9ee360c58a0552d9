//! Events, as Python sees them.

use std::hash::{DefaultHasher, Hash, Hasher};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use reflexarc_diagnostic::truncate;
use reflexarc_event::{EniNotification, Event, NativeEvent, check};

use crate::convert;
use crate::diagnostic::PyDiagnostic;
use crate::eni::PyEniNotification;
use crate::error::{EventError, catch_panics};
use crate::event_argument;

/// One event: a JSON object of at most 1 MiB and 128 levels, immutable.
///
/// Raises:
///     EventError: if it is none; the message says at which byte, or at which key of a dict.
///
/// >>> Event('{"content": {"result": "failed"}}').to_dict()
/// {'content': {'result': 'failed'}}
#[pyclass(name = "Event", module = "reflexarc", frozen)]
pub(crate) struct PyEvent {
    pub(crate) event: Event,
}

#[pymethods]
impl PyEvent {
    #[new]
    fn new(event: &Bound<'_, PyAny>) -> PyResult<Self> {
        catch_panics(|| {
            Ok(Self {
                event: event_argument::to_event(event)?,
            })
        })
    }

    /// Who sent it: "native ECS", "CloudEvents", "Cloud Monitor webhook", "Cloud Monitor rule", "AWS EventBridge"
    /// or "other JSON".
    #[getter]
    fn envelope(&self) -> &'static str {
        self.event.envelope().as_str()
    }

    /// The completion of an ENI operation, in whichever envelope; `None` if it is something else.
    #[getter]
    fn eni(&self) -> PyResult<Option<PyEniNotification>> {
        catch_panics(|| {
            let native = native(&self.event)?;
            Ok(EniNotification::read(&native)
                .ok()
                .as_ref()
                .map(PyEniNotification::from))
        })
    }

    /// The event in the native ECS form that rules are written for; unknown envelopes come back as they are.
    fn normalized(&self) -> PyResult<Self> {
        catch_panics(|| {
            let event = native(&self.event)?.event().clone();
            Ok(Self { event })
        })
    }

    /// The event as CloudEvents 1.0.
    fn to_cloudevent(&self) -> PyResult<Self> {
        catch_panics(|| {
            Ok(Self {
                event: self.event.to_cloudevent(),
            })
        })
    }

    /// What is odd about it: unknown names, a level that disagrees with the result, masked values …
    fn check(&self) -> PyResult<Vec<PyDiagnostic>> {
        catch_panics(|| {
            let text = self.text();
            Ok(check(&self.event)
                .iter()
                .map(|found| PyDiagnostic::new("<event>", text, found))
                .collect())
        })
    }

    /// The event as Python values; of duplicate keys the last one counts. Decimals that a float would round are
    /// `decimal.Decimal`.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        catch_panics(|| convert::to_python(py, self.event.tree()))
    }

    /// The text it was read from.
    fn to_json(&self) -> &str {
        self.text()
    }

    fn __bytes__<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.event.bytes())
    }

    fn __repr__(&self) -> String {
        const SHOWN: usize = 60;
        format!("Event({:?})", truncate(self.text(), SHOWN))
    }

    /// Events are equal when their JSON is: the same members in the same order.
    fn __eq__(&self, other: &Self) -> bool {
        self.event.bytes() == other.event.bytes() || self.event.tree() == other.event.tree()
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.event.tree().hash(&mut hasher);
        hasher.finish()
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
        let py = slf.py();
        let bytes = PyBytes::new(py, slf.get().event.bytes());
        Ok((slf.get_type().into_any(), PyTuple::new(py, [bytes])?))
    }
}

fn native(event: &Event) -> PyResult<NativeEvent> {
    NativeEvent::new(event.clone()).map_err(|error| EventError::new_err(error.to_string()))
}

impl PyEvent {
    fn text(&self) -> &str {
        std::str::from_utf8(self.event.bytes()).expect("an event was checked to be UTF-8")
    }
}
