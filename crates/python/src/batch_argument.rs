//! BatchArgument events as a Python caller may hand them over: text by lines, or an iterable of events in chunks.

use std::borrow::Cow;
use std::fs::File;
use std::path::PathBuf;

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyIterator, PyList, PyMapping, PyMemoryView, PyString};

use crate::batch_matching::{self, BatchError, Ids};
use crate::error::EventError;
use crate::event_argument::EventArgument;
use crate::event_source::EventSource;
use crate::rules::PyRuleSet;

/// The ids of the matching rules of each event.
pub(crate) fn matching<'py>(
    rules: &PyRuleSet,
    events: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyList>> {
    let py = events.py();
    let list = PyList::empty(py);
    let add = |ids: Ids| list.append(rules.named(py, &ids)?);
    let lines = |feed| {
        batch_matching::matching(py, &rules.rules, feed, add)
            .map_err(|broken| broken.into_exception("line", 1))
    };
    match BatchArgument::new(events)? {
        BatchArgument::Lines(text) => lines(EventSource::Lines(&text))?,
        BatchArgument::Path(path) => lines(EventSource::File(
            py.detach(|| File::open(path))?,
            Vec::new(),
        ))?,
        BatchArgument::Events => each(rules, events, &list)?,
    }
    Ok(list)
}

enum BatchArgument<'a> {
    /// NDJSON.
    Lines(Cow<'a, [u8]>),
    /// Of an NDJSON file.
    Path(PathBuf),
    /// An iterable.
    Events,
}

impl<'a> BatchArgument<'a> {
    fn new(events: &'a Bound<'_, PyAny>) -> PyResult<Self> {
        let py = events.py();
        if let Ok(bytes) = events.cast::<PyBytes>() {
            return Ok(Self::Lines(Cow::Borrowed(bytes.as_bytes())));
        }
        if events.is_instance_of::<PyByteArray>() || events.is_instance_of::<PyMemoryView>() {
            let copy = py.get_type::<PyBytes>().call1((events,))?;
            return Ok(Self::Lines(Cow::Owned(
                copy.cast::<PyBytes>()?.as_bytes().to_vec(),
            )));
        }
        if events.is_instance_of::<PyString>() || events.hasattr(intern!(py, "__fspath__"))? {
            return events.extract().map(Self::Path);
        }
        if events.cast::<PyMapping>().is_ok() {
            return Err(PyTypeError::new_err(
                "matching_many takes many events; for one dict use matching",
            ));
        }
        Ok(Self::Events)
    }
}

fn each(rules: &PyRuleSet, events: &Bound<'_, PyAny>, list: &Bound<'_, PyList>) -> PyResult<()> {
    let py = events.py();
    let mut chunk = PendingEvents::default();
    let mut first = 0;
    for event in PyIterator::from_object(events)? {
        let event = event?;
        match EventArgument::new(&event)
            .map_err(|error| at(py, first + chunk.known.len(), error))?
        {
            EventArgument::Bytes(bytes) => chunk.push(&bytes),
            EventArgument::Mapping(_) => {
                let ids = rules
                    .ids_of(&event)
                    .map_err(|error| at(py, first + chunk.known.len(), error))?;
                chunk.known.push(Some(ids));
            }
        }
        if chunk.known.len() == PendingEvents::FULL {
            chunk.matching(rules, first, list)?;
            first += chunk.known.len();
            chunk = PendingEvents::default();
            py.check_signals()?;
        }
    }
    chunk.matching(rules, first, list)
}

/// Events of an iterable, some of them already matched.
#[derive(Default)]
struct PendingEvents {
    /// Per event its rules, or `None` where its text stands in `text`.
    known: Vec<Option<Ids>>,
    text: Vec<u8>,
    /// Where each text ends.
    ends: Vec<usize>,
}

impl PendingEvents {
    /// So many events are matched together.
    const FULL: usize = 4096;

    /// One more event, as text.
    fn push(&mut self, bytes: &[u8]) {
        self.known.push(None);
        self.text.extend_from_slice(bytes);
        self.ends.push(self.text.len());
    }

    fn matching(&self, rules: &PyRuleSet, first: usize, list: &Bound<'_, PyList>) -> PyResult<()> {
        let py = list.py();
        let mut found = Vec::with_capacity(self.ends.len());
        let texts = self.texts();
        let add = |ids| {
            found.push(ids);
            Ok(())
        };
        batch_matching::matching(py, &rules.rules, EventSource::of(&texts), add).map_err(
            |broken| match broken {
                BatchError::Event(number, message) => {
                    let numbers = self
                        .known
                        .iter()
                        .enumerate()
                        .filter(|(_, ids)| ids.is_none());
                    let number = numbers
                        .map(|(number, _)| number)
                        .nth(number)
                        .unwrap_or_default();
                    BatchError::Event(number, message).into_exception("event", first)
                }
                raised @ BatchError::Raised(_) => raised.into_exception("event", first),
            },
        )?;
        let mut found = found.into_iter();
        for known in &self.known {
            let ids = known.clone().or_else(|| found.next()).unwrap_or_default();
            list.append(rules.named(py, &ids)?)?;
        }
        Ok(())
    }

    /// The texts, in order.
    fn texts(&self) -> Vec<&[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, end)| &self.text[start..*end])
            .collect()
    }
}

fn at(py: Python<'_>, number: usize, error: PyErr) -> PyErr {
    if error.is_instance_of::<EventError>(py) {
        EventError::new_err(format!("event {number}: {}", error.value(py)))
    } else {
        error
    }
}
