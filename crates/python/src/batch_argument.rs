//! The argument of `matching_many`: NDJSON, the path of an NDJSON file, or an iterable of events.

use std::borrow::Cow;
use std::fs::File;
use std::path::PathBuf;

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyIterator, PyMapping, PyMemoryView, PyString};
use reflexarc::RuleSet;

use crate::batch_matching::{self, BatchError, RuleIds};
use crate::error::{EventError, UndecidedError};
use crate::event::EventArgument;
use crate::event_source::EventSource;

/// Calls `add` with the ids of the matching rules of each event, in order.
///
/// `match_mapping` matches one mapping, which only this thread can do: it needs the interpreter.
pub(crate) fn matching(
    rules: &RuleSet,
    events: &Bound<'_, PyAny>,
    match_mapping: impl Fn(&Bound<'_, PyAny>) -> PyResult<RuleIds>,
    add: impl FnMut(RuleIds) -> PyResult<()>,
) -> PyResult<()> {
    let py = events.py();
    let source = match BatchArgument::new(events)? {
        BatchArgument::Lines(text) => {
            return match_lines(py, rules, EventSource::Lines(&text), add);
        }
        BatchArgument::Path(path) => EventSource::File(py.detach(|| File::open(path))?, Vec::new()),
        BatchArgument::Events => return match_items(rules, events, match_mapping, add),
    };
    match_lines(py, rules, source, add)
}

enum BatchArgument<'a> {
    /// NDJSON.
    Lines(Cow<'a, [u8]>),
    /// The path of an NDJSON file.
    Path(PathBuf),
    /// An iterable of events.
    Events,
}

impl<'a> BatchArgument<'a> {
    fn new(events: &'a Bound<'_, PyAny>) -> PyResult<Self> {
        let py = events.py();
        if let Ok(bytes) = events.cast::<PyBytes>() {
            return Ok(Self::Lines(Cow::Borrowed(bytes.as_bytes())));
        }
        if events.is_instance_of::<PyByteArray>() || events.is_instance_of::<PyMemoryView>() {
            // Another Python thread could change these while they are matched without the lock.
            let copy = py.get_type::<PyBytes>().call1((events,))?;
            return Ok(Self::Lines(Cow::Owned(
                copy.cast::<PyBytes>()?.as_bytes().to_vec(),
            )));
        }
        if events.is_instance_of::<PyString>() || events.hasattr(intern!(py, "__fspath__"))? {
            return events.extract().map(Self::Path);
        }
        // Iterating over a dict gives its keys, which would fail as events in a confusing way.
        if events.cast::<PyMapping>().is_ok() {
            return Err(PyTypeError::new_err(
                "expected many events, found one mapping; use matching for a single event",
            ));
        }
        Ok(Self::Events)
    }
}

fn match_lines(
    py: Python<'_>,
    rules: &RuleSet,
    source: EventSource<'_>,
    add: impl FnMut(RuleIds) -> PyResult<()>,
) -> PyResult<()> {
    batch_matching::matching(py, rules, source, add)
        .map_err(|error| error.into_exception("line", 1))
}

fn match_items(
    rules: &RuleSet,
    events: &Bound<'_, PyAny>,
    match_mapping: impl Fn(&Bound<'_, PyAny>) -> PyResult<RuleIds>,
    mut add: impl FnMut(RuleIds) -> PyResult<()>,
) -> PyResult<()> {
    let py = events.py();
    let mut pending = PendingEvents::default();
    let mut first = 0;
    for event in PyIterator::from_object(events)? {
        let event = event?;
        let numbered = |error| with_number(py, first + pending.matched.len(), error);
        match EventArgument::new(&event).map_err(numbered)? {
            EventArgument::Bytes(bytes) => pending.push_text(&bytes),
            EventArgument::Mapping(mapping) => {
                let ids = match_mapping(&mapping).map_err(numbered)?;
                pending.matched.push(Some(ids));
            }
        }
        if pending.matched.len() == PendingEvents::CAPACITY {
            pending.finish(py, rules, first, &mut add)?;
            first += pending.matched.len();
            pending = PendingEvents::default();
            py.check_signals()?;
        }
    }
    pending.finish(py, rules, first, &mut add)
}

/// Events of an iterable that have been read but not yet added to the result.
///
/// Mappings are matched at once. Texts are copied together and matched on all cores later, when
/// there are enough of them to be worth it:
///
/// ```text
/// events    '{"a": 1}'   {"a": 2}       '{"a": 3}'
/// matched   None         Some(ids)      None
/// text      {"a": 1}{"a": 3}            ends  8, 16
/// ```
#[derive(Default)]
struct PendingEvents {
    /// For each event its matching rules, or `None` if its text is in `text`.
    matched: Vec<Option<RuleIds>>,
    text: Vec<u8>,
    /// The end of each text.
    ends: Vec<usize>,
}

impl PendingEvents {
    /// Events that are matched together; 64 chunks of texts, so that all cores get some.
    const CAPACITY: usize = 4096;

    /// Adds an event given as text.
    fn push_text(&mut self, bytes: &[u8]) {
        self.matched.push(None);
        self.text.extend_from_slice(bytes);
        self.ends.push(self.text.len());
    }

    /// Matches the texts and adds all events; `first` is the number of the first event.
    fn finish(
        &self,
        py: Python<'_>,
        rules: &RuleSet,
        first: usize,
        add: &mut impl FnMut(RuleIds) -> PyResult<()>,
    ) -> PyResult<()> {
        let mut matched_texts = Vec::with_capacity(self.ends.len());
        let texts = self.texts();
        let collect = |ids| {
            matched_texts.push(ids);
            Ok(())
        };
        batch_matching::matching(py, rules, EventSource::from_texts(&texts), collect).map_err(
            |error| match error {
                BatchError::Event(text, error) => {
                    BatchError::Event(self.number_of_text(text), error)
                        .into_exception("event", first)
                }
                exception @ BatchError::Exception(_) => exception.into_exception("event", first),
            },
        )?;
        let mut matched_texts = matched_texts.into_iter();
        for matched in &self.matched {
            // `None` stands for a text, and each text was matched, or the batch has failed above.
            let matched = matched.clone().or_else(|| matched_texts.next());
            add(matched.unwrap_or_default())?;
        }
        Ok(())
    }

    /// The number of the event whose text is number `text` among the texts.
    fn number_of_text(&self, text: usize) -> usize {
        let texts = self
            .matched
            .iter()
            .enumerate()
            .filter(|(_, matched)| matched.is_none());
        texts
            .map(|(number, _)| number)
            .nth(text)
            .unwrap_or_default()
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

/// The error with the number of the event in its message.
fn with_number(py: Python<'_>, number: usize, error: PyErr) -> PyErr {
    let message = || format!("event {number}: {}", error.value(py));
    if error.is_instance_of::<UndecidedError>(py) {
        UndecidedError::new_err(message())
    } else if error.is_instance_of::<EventError>(py) {
        EventError::new_err(message())
    } else {
        error
    }
}
