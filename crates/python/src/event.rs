//! The Python class `Event`, and the other forms in which callers pass an event.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};

use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{
    PyByteArray, PyBytes, PyDateTime, PyDict, PyMapping, PyMemoryView, PyString, PyTuple,
};
use reflexarc::event_time;
use reflexarc_diagnostic::truncate;
use reflexarc_event::{Document, EniNotification, Event, JsonError, Limits, NativeEvent, check};

use crate::convert::{self, ValuePath};
use crate::diagnostic::PyDiagnostic;
use crate::eni::PyEniNotification;
use crate::error::{EventError, catch_panics};
use crate::event_path::Found;
use crate::repr::repr;
use crate::structure::{self, Structure};
use crate::timestamp::to_datetime;

/// An event: a JSON object of at most 1 MiB and 128 levels, immutable.
///
/// Values inside a dict that have a JSON form are converted: dataclasses, named tuples, attrs
/// classes and pydantic models become objects of their fields (of a pydantic model under their
/// aliases), numpy scalars and arrays numbers and arrays, enums their values; dates and times,
/// UUIDs, IP addresses and networks and paths their text. Other values, such as sets, bytes and
/// `NaT`, are errors.
///
/// Args:
///     event: the event, as JSON text, a mapping, or an object with fields.
///     default: a function that gets each value of another type and returns one with a JSON form,
///         as for `json.dumps`.
///
/// Raises:
///     EventError: if it is not an event; the message has the byte offset, or the path to a value
///         in a dict.
///
/// `event[path]` is the value at a path, keys joined by dots. In an array of objects it is a list
/// of what each of them has there.
///
/// >>> event = Event('{"content": {"eniId": "eni-1"}, "nics": [{"id": 1}, {"id": 2}]}')
/// >>> event["content.eniId"], event["content"], event["nics.id"]
/// ('eni-1', {'eniId': 'eni-1'}, [1, 2])
/// >>> "content.eniId" in event, "content.error" in event
/// (True, False)
#[pyclass(name = "Event", module = "reflexarc", frozen, mapping)]
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
    #[pyo3(signature = (event, *, default = None))]
    fn new(event: &Bound<'_, PyAny>, default: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        catch_panics(|| {
            Ok(Self {
                event: to_event(event, &ValuePath::event(default))?,
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
    /// [Event('{"a": 1}'), Event('{"a": 2}')]
    #[staticmethod]
    #[pyo3(signature = (document, *, default = None))]
    fn read_all(
        document: &Bound<'_, PyAny>,
        default: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Vec<Self>> {
        catch_panics(|| {
            let events = Document::read(to_bytes(document, &ValuePath::event(default))?)
                .map_err(event_error)?;
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

    /// The time that the event carries, in UTC: `eventTime` of the native form, else the `time`
    /// of CloudEvents and AWS; `None` without a readable one.
    ///
    /// >>> Event({"eventTime": "20190409T121826.922+0800"}).time.isoformat()
    /// '2019-04-09T04:18:26.922000+00:00'
    #[getter]
    fn time<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDateTime>>> {
        catch_panics(|| {
            let time = event_time(&to_native(self.event.clone())?);
            time.map(|time| to_datetime(py, time)).transpose()
        })
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

    fn __getitem__<'py>(&self, py: Python<'py>, path: &str) -> PyResult<Bound<'py, PyAny>> {
        catch_panics(|| match Found::at(self.event.tree(), path) {
            Some(found) => found.to_python(py),
            None => Err(PyKeyError::new_err(path.to_owned())),
        })
    }

    fn __contains__(&self, path: &str) -> bool {
        Found::at(self.event.tree(), path).is_some()
    }

    /// The value at a path as Python has it, or `default` if there is none; `event[path]` raises
    /// a `KeyError` then.
    ///
    /// The path is that of the event as it is: its envelope is not converted.
    ///
    /// >>> event = Event({"content": {"eniId": "eni-1"}})
    /// >>> event.get("content.eniId"), event.get("content.error"), event.get("level", "INFO")
    /// ('eni-1', None, 'INFO')
    #[pyo3(signature = (path, default = None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        path: &str,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        catch_panics(|| match Found::at(self.event.tree(), path) {
            Some(found) => found.to_python(py),
            None => Ok(default.unwrap_or_else(|| py.None().into_bound(py))),
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

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        const MAX_CHARS: usize = 60;
        Ok(format!(
            "Event({})",
            repr(py, &truncate(self.text(), MAX_CHARS))?
        ))
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
        Self::at(value, &ValuePath::Root)
    }

    /// The same for an event with the argument `default`.
    pub(crate) fn at(value: &'a Bound<'py, PyAny>, root: &ValuePath<'_>) -> PyResult<Self> {
        // The usual type first: each check below costs some calls of the interpreter.
        if value.is_exact_instance_of::<PyDict>() {
            return Ok(Self::Mapping(value.clone()));
        }
        if !value.is_exact_instance_of::<PyBytes>()
            && let Ok(text) = value.cast::<PyString>()
        {
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
        if let Structure::Plain(plain) = structure::plain(value, root)?
            && plain.cast::<PyMapping>().is_ok()
        {
            return Ok(Self::Mapping(plain));
        }
        if let Some(default) = root.default() {
            let replaced = default.bind(value.py()).call1((value,))?;
            return Ok(match EventArgument::new(&replaced)? {
                EventArgument::Bytes(bytes) => Self::Bytes(Cow::Owned(bytes.into_owned())),
                EventArgument::Mapping(mapping) => Self::Mapping(mapping),
            });
        }
        let kind = value.get_type().name()?;
        Err(EventError::new_err(format!(
            "expected an event as JSON text (str or bytes), dict or Event, found {kind}"
        )))
    }
}

/// Parses an event argument; `root` has the argument `default`.
pub(crate) fn to_event(value: &Bound<'_, PyAny>, root: &ValuePath<'_>) -> PyResult<Event> {
    if let Ok(event) = value.cast::<PyEvent>() {
        return Ok(event.get().event.clone());
    }
    Event::from_json(to_bytes(value, root)?).map_err(event_error)
}

/// Reads a document that contains exactly one valid event, in the native form; `None` for another
/// one, of which `Event.read_all` says what it is.
pub(crate) fn read_single(document: &Bound<'_, PyAny>) -> PyResult<Option<NativeEvent>> {
    if let Ok(event) = document.cast::<PyEvent>() {
        return to_native(event.get().event.clone()).map(Some);
    }
    let bytes = to_bytes(document, &ValuePath::event(None))?;
    let event = match Document::read(bytes).map_err(event_error)? {
        Document::Event(event) => event,
        Document::Events(mut events) => match events.pop() {
            Some(Ok(event)) if events.is_empty() => event,
            _ => return Ok(None),
        },
    };
    to_native(event).map(Some)
}

/// The JSON text of an event argument.
fn to_bytes(value: &Bound<'_, PyAny>, root: &ValuePath<'_>) -> PyResult<Vec<u8>> {
    Ok(match EventArgument::at(value, root)? {
        EventArgument::Bytes(bytes) => bytes.into_owned(),
        EventArgument::Mapping(mapping) => {
            convert::to_json(&mapping, root)?.to_string().into_bytes()
        }
    })
}

/// Parses an event argument and converts the event to the native form.
pub(crate) fn to_native_event(
    value: &Bound<'_, PyAny>,
    root: &ValuePath<'_>,
) -> PyResult<NativeEvent> {
    to_native(to_event(value, root)?)
}

/// Refuses text that the matcher would accept but that is not an event: more than 1 MiB, or
/// not an object.
pub(crate) fn check_limits(bytes: &[u8]) -> Result<(), reflexarc_event::EventError> {
    let is_object = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    if is_object && bytes.len() <= Limits::DEFAULT.bytes {
        return Ok(());
    }
    Event::from_json(bytes).map(drop)
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
