//! What a Python caller may hand over as an event.

use std::borrow::Cow;

use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMapping, PyMemoryView, PyString};
use reflexarc_event::{Event, JsonError, Limits, NativeEvent};

use crate::convert::{self, ValuePath};
use crate::error::EventError;
use crate::event::PyEvent;

/// An event as the caller holds it.
pub(crate) enum EventArgument<'a, 'py> {
    /// JSON text, or the text of an [`PyEvent`].
    Bytes(Cow<'a, [u8]>),
    /// A mapping, to be walked in place.
    Mapping(&'a Bound<'py, PyAny>),
}

impl<'a, 'py> EventArgument<'a, 'py> {
    /// Looks at what `value` is, without reading it.
    pub(crate) fn new(value: &'a Bound<'py, PyAny>) -> PyResult<Self> {
        if let Ok(text) = value.cast::<PyString>() {
            let text = text
                .to_cow()
                .map_err(|_| EventError::new_err("the text holds half of a surrogate pair"))?;
            return Ok(Self::Bytes(match text {
                Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                Cow::Owned(text) => Cow::Owned(text.into_bytes()),
            }));
        }
        if let Ok(bytes) = value.cast::<PyBytes>() {
            return Ok(Self::Bytes(Cow::Borrowed(bytes.as_bytes())));
        }
        if let Ok(event) = value.cast::<PyEvent>() {
            return Ok(Self::Bytes(Cow::Borrowed(event.get().event.bytes())));
        }
        if value.cast::<PyMapping>().is_ok() {
            return Ok(Self::Mapping(value));
        }
        if value.is_instance_of::<PyByteArray>() || value.is_instance_of::<PyMemoryView>() {
            let copy = value.py().get_type::<PyBytes>().call1((value,))?;
            return Ok(Self::Bytes(Cow::Owned(
                copy.cast::<PyBytes>()?.as_bytes().to_vec(),
            )));
        }
        let kind = value.get_type().name()?;
        Err(EventError::new_err(format!(
            "an event is JSON text (str or bytes), a dict or an Event, not {kind}"
        )))
    }
}

/// The event, read whole.
pub(crate) fn to_event(value: &Bound<'_, PyAny>) -> PyResult<Event> {
    if let Ok(event) = value.cast::<PyEvent>() {
        return Ok(event.get().event.clone());
    }
    let bytes = match EventArgument::new(value)? {
        EventArgument::Bytes(bytes) => bytes.into_owned(),
        EventArgument::Mapping(mapping) => convert::to_json(mapping, &ValuePath::Root)?
            .to_string()
            .into_bytes(),
    };
    Event::from_json(bytes).map_err(|error| EventError::new_err(error.to_string()))
}

/// The event, read whole and converted to the native form.
pub(crate) fn to_native_event(value: &Bound<'_, PyAny>) -> PyResult<NativeEvent> {
    NativeEvent::new(to_event(value)?).map_err(|error| EventError::new_err(error.to_string()))
}

/// Refuses text that no [`Event`] can be made of although the matcher reads it: more than 1 MiB, or no object.
pub(crate) fn check_limits(bytes: &[u8]) -> PyResult<()> {
    let object = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    if object && bytes.len() <= Limits::DEFAULT.bytes {
        return Ok(());
    }
    Event::from_json(bytes)
        .map(drop)
        .map_err(|error| EventError::new_err(error.to_string()))
}

/// What is wrong with JSON text, as Python's exception.
pub(crate) fn event_error(error: JsonError) -> PyErr {
    EventError::new_err(error.to_string())
}
