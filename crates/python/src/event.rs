//! The Python class `Event`, and the other forms in which callers pass an event.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};

use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMapping, PyMemoryView, PyString, PyTuple};
use reflexarc_diagnostic::truncate;
use reflexarc_event::{Document, EniNotification, Event, JsonError, Limits, NativeEvent, check};

use crate::convert::{self, ValuePath};
use crate::diagnostic::PyDiagnostic;
use crate::eni::PyEniNotification;
use crate::error::{EventError, catch_panics};
use crate::structure;

/// An event: a JSON object of at most 1 MiB and 128 levels, immutable.
///
/// Values inside a dict that have a JSON form are converted: dataclasses, named tuples, attrs
/// classes and pydantic models become objects of their fields (of a pydantic model under their
/// aliases), numpy scalars and arrays numbers and arrays, enums their values; dates and times,
/// UUIDs, IP addresses and networks their text. Other values, such as sets, bytes and `NaT`, are
/// errors.
///
/// Raises:
///     EventError: if it is not an event; the message has the byte offset, or the path to a value
///         in a dict.
///
/// >>> Event('{"content": {"result": "failed"}}').to_dict()
/// {'content': {'result': 'failed'}}
#[pyclass(name = "Event", module = "reflexarc", frozen)]
pub(crate) struct PyEvent {
    pub(crate) event: Event,
}

/// An event argument that has not been parsed yet.
pub(crate) enum EventArgument<'a, 'py> {
    /// JSON text, or the text of a [`PyEvent`].
    Bytes(Cow<'a, [u8]>),
    /// A mapping, to be walked in place; of a dataclass and the like, a dict of its fields.
    Mapping(Bound<'py, PyAny>),
}

#[pymethods]
impl PyEvent {
    #[new]
    fn new(event: &Bound<'_, PyAny>) -> PyResult<Self> {
        catch_panics(|| {
            Ok(Self {
                event: to_event(event)?,
            })
        })
    }

    /// The events that a document contains, in order: a notification (MNS, SNS, SQS), a list
    /// (event history, ActionTrail, CloudTrail), or else the event itself. Bytes may be a form of
    /// Cloud Monitor.
    ///
    /// Rules take a document that contains one event as that event; of several, `read_all` makes
    /// a list.
    ///
    /// Raises:
    ///     EventError: if the document or an event in it is invalid.
    ///
    /// >>> Event.read_all('{"Records": [{"a": 1}, {"a": 2}]}')
    /// [Event("{\"a\": 1}"), Event("{\"a\": 2}")]
    #[staticmethod]
    fn read_all(document: &Bound<'_, PyAny>) -> PyResult<Vec<Self>> {
        catch_panics(|| {
            let events = Document::read(to_bytes(document)?).map_err(event_error)?;
            let events = events.into_events().into_iter();
            events
                .map(|event| {
                    Ok(Self {
                        event: event.map_err(event_error)?,
                    })
                })
                .collect()
        })
    }

    /// The envelope: "native ECS", "CloudEvents", "Cloud Monitor webhook", "Cloud Monitor rule",
    /// "Cloud Monitor history", "AWS EventBridge" or "other JSON".
    #[getter]
    fn envelope(&self) -> &'static str {
        self.event.envelope().as_str()
    }

    /// The ENI operation notification in any envelope; `None` for other events.
    #[getter]
    fn eni(&self) -> PyResult<Option<PyEniNotification>> {
        catch_panics(|| {
            // Its errors mean that the event is no such notification, or has no content of which
            // anything could be read.
            Ok(EniNotification::read(&to_native(self.event.clone())?)
                .ok()
                .as_ref()
                .map(PyEniNotification::from))
        })
    }

    /// The event in the native ECS form, for which rules are written; events in unknown
    /// envelopes are returned unchanged.
    fn normalized(&self) -> PyResult<Self> {
        catch_panics(|| {
            let event = to_native(self.event.clone())?.event().clone();
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

    /// Diagnostics about the event: unknown names, contradictions, malformed or masked
    /// values.
    fn check(&self) -> PyResult<Vec<PyDiagnostic>> {
        catch_panics(|| {
            let text = self.text();
            Ok(check(&self.event)
                .iter()
                .map(|found| PyDiagnostic::new("<event>", text, found))
                .collect())
        })
    }

    /// The event as Python values. The last one of duplicate keys counts; a decimal that a float
    /// would round is a `decimal.Decimal`.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        catch_panics(|| convert::to_python(py, self.event.tree()))
    }

    /// The JSON text that the event was parsed from.
    fn to_json(&self) -> &str {
        self.text()
    }

    fn __bytes__<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.event.bytes())
    }

    fn __repr__(&self) -> String {
        const MAX_CHARS: usize = 60;
        format!("Event({:?})", truncate(self.text(), MAX_CHARS))
    }

    /// Events are equal if their JSON is: the same members in the same order.
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

impl PyEvent {
    fn text(&self) -> &str {
        std::str::from_utf8(self.event.bytes()).expect("an event is valid UTF-8")
    }
}

impl<'a, 'py> EventArgument<'a, 'py> {
    /// Classifies an argument by its type, without reading it.
    pub(crate) fn new(value: &'a Bound<'py, PyAny>) -> PyResult<Self> {
        if let Ok(text) = value.cast::<PyString>() {
            let text = text
                .to_str()
                .map_err(|_| EventError::new_err("the text has a lone surrogate"))?;
            return Ok(Self::Bytes(Cow::Borrowed(text.as_bytes())));
        }
        if let Ok(bytes) = value.cast::<PyBytes>() {
            return Ok(Self::Bytes(Cow::Borrowed(bytes.as_bytes())));
        }
        if let Ok(event) = value.cast::<PyEvent>() {
            return Ok(Self::Bytes(Cow::Borrowed(event.get().event.bytes())));
        }
        if value.cast::<PyMapping>().is_ok() {
            return Ok(Self::Mapping(value.clone()));
        }
        if value.is_instance_of::<PyByteArray>() || value.is_instance_of::<PyMemoryView>() {
            // Unlike bytes, these can change while they are read: another thread may write to them.
            let copy = value.py().get_type::<PyBytes>().call1((value,))?;
            return Ok(Self::Bytes(Cow::Owned(
                copy.cast::<PyBytes>()?.as_bytes().to_vec(),
            )));
        }
        if let Some(plain) = structure::plain(value, &ValuePath::Root)?
            && plain.cast::<PyMapping>().is_ok()
        {
            return Ok(Self::Mapping(plain));
        }
        let kind = value.get_type().name()?;
        Err(EventError::new_err(format!(
            "expected an event as JSON text (str or bytes), dict or Event, found {kind}"
        )))
    }
}

/// Parses an event argument.
pub(crate) fn to_event(value: &Bound<'_, PyAny>) -> PyResult<Event> {
    if let Ok(event) = value.cast::<PyEvent>() {
        return Ok(event.get().event.clone());
    }
    Event::from_json(to_bytes(value)?).map_err(event_error)
}

/// The JSON text of an event argument.
fn to_bytes(value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    Ok(match EventArgument::new(value)? {
        EventArgument::Bytes(bytes) => bytes.into_owned(),
        EventArgument::Mapping(mapping) => convert::to_json(&mapping, &ValuePath::Root)?
            .to_string()
            .into_bytes(),
    })
}

/// Parses an event argument and converts the event to the native form.
pub(crate) fn to_native_event(value: &Bound<'_, PyAny>) -> PyResult<NativeEvent> {
    to_native(to_event(value)?)
}

/// Refuses text that the matcher would accept but that is not an event: more than 1 MiB, or
/// not an object.
pub(crate) fn check_limits(bytes: &[u8]) -> PyResult<()> {
    let is_object = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    if is_object && bytes.len() <= Limits::DEFAULT.bytes {
        return Ok(());
    }
    Event::from_json(bytes).map(drop).map_err(event_error)
}

/// A JSON error as a Python exception.
pub(crate) fn json_error(error: JsonError) -> PyErr {
    EventError::new_err(error.to_string())
}

/// An event error as a Python exception.
pub(crate) fn event_error(error: reflexarc_event::EventError) -> PyErr {
    EventError::new_err(error.to_string())
}

fn to_native(event: Event) -> PyResult<NativeEvent> {
    NativeEvent::new(event).map_err(event_error)
}
