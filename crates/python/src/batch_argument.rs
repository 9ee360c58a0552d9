//! The argument of `matching_many`: NDJSON, the path of an NDJSON file, or an iterable of events.

use std::path::{Path, PathBuf};

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyByteArray, PyBytes, PyIterator, PyMapping, PyMemoryView, PyString};
use reflexarc::RuleSet;

use crate::batch_matching::{self, MatchError, RuleIds, Sink};
use crate::convert::ValuePath;
use crate::error::{EventError, UndecidedError, os_error};
use crate::event::EventArgument;
use crate::event_source::{EventSource, LineReader};
use crate::on_error::OnError;

/// What is known of one event: the rules that match it, or why they are not known.
pub(crate) type Matched = Result<RuleIds, PyErr>;

/// Calls `add` with the ids of the matching rules of each event, in order; with an error only if
/// that is not raised.
///
/// `root` is where events are in messages. `match_mapping` matches one mapping, which only this
/// thread can do: it needs the interpreter.
pub(crate) fn matching(
    rules: &RuleSet,
    events: &Bound<'_, PyAny>,
    root: &ValuePath<'_>,
    on_error: OnError,
    match_mapping: impl Fn(&Bound<'_, PyAny>, &ValuePath<'_>) -> PyResult<RuleIds>,
    add: impl FnMut(Matched) -> PyResult<()>,
) -> PyResult<()> {
    let py = events.py();
    let mut lines = Items {
        on_error,
        exception: |line, error: MatchError| error.of_item("line", line + 1),
        add,
    };
    match BatchArgument::new(events)? {
        BatchArgument::Lines(text) => {
            batch_matching::matching(py, rules, EventSource::Lines(&text), &mut lines)
        }
        BatchArgument::Path(path) => {
            let source = EventSource::File(open_lines(py, &path)?);
            batch_matching::matching(py, rules, source, &mut lines)
        }
        BatchArgument::Events => {
            let pending = PendingEvents::new(rules, on_error);
            pending.match_all(events, root, match_mapping, lines.add)
        }
    }
}

/// Opens an NDJSON file.
pub(crate) fn open_lines(py: Python<'_>, path: &Path) -> PyResult<LineReader> {
    let reader = py.detach(|| LineReader::open(path));
    reader.map_err(|error| os_error(&error, path))
}

pub(crate) enum BatchArgument {
    /// NDJSON.
    Lines(PyBackedBytes),
    /// The path of an NDJSON file.
    Path(PathBuf),
    /// An iterable of events.
    Events,
}

impl BatchArgument {
    pub(crate) fn new(events: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = events.py();
        if let Ok(bytes) = events.cast::<PyBytes>() {
            return Ok(Self::Lines(bytes.clone().into()));
        }
        if events.is_instance_of::<PyByteArray>() || events.is_instance_of::<PyMemoryView>() {
            // Another Python thread could change these while they are matched without the lock.
            let copy = py.get_type::<PyBytes>().call1((events,))?;
            return Ok(Self::Lines(copy.cast_into::<PyBytes>()?.into()));
        }
        if events.is_instance_of::<PyString>() || events.hasattr(intern!(py, "__fspath__"))? {
            return events.extract().map(Self::Path);
        }
        // Iterating over a dict gives its keys, which would fail as events in a confusing way.
        if events.cast::<PyMapping>().is_ok() {
            return Err(PyTypeError::new_err(
                "expected many events, found one mapping; pass it to the method for one event",
            ));
        }
        Ok(Self::Events)
    }
}

/// The error with the number of the event in its message.
pub(crate) fn with_number(py: Python<'_>, number: usize, error: PyErr) -> PyErr {
    let message = || format!("event {number}: {}", error.value(py));
    if error.is_instance_of::<UndecidedError>(py) {
        UndecidedError::new_err(message())
    } else if error.is_instance_of::<EventError>(py) {
        EventError::new_err(message())
    } else {
        error
    }
}

/// Hands on the results of items, and errors as exceptions, or raises them.
struct Items<E, A> {
    on_error: OnError,
    exception: E,
    add: A,
}

impl<E, A> Sink for Items<E, A>
where
    E: FnMut(usize, MatchError) -> PyErr,
    A: FnMut(Matched) -> PyResult<()>,
{
    fn goes_on(&self) -> bool {
        self.on_error != OnError::Raise
    }

    fn add(&mut self, ids: RuleIds) -> PyResult<()> {
        (self.add)(Ok(ids))
    }

    fn add_error(&mut self, number: usize, error: MatchError) -> PyResult<()> {
        let exception = (self.exception)(number, error);
        if self.goes_on() {
            (self.add)(Err(exception))
        } else {
            Err(exception)
        }
    }
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
struct PendingEvents<'a> {
    rules: &'a RuleSet,
    on_error: OnError,
    /// The number of the first event.
    first: usize,
    /// For each event its matching rules, or `None` if its text is in `text`.
    matched: Vec<Option<Matched>>,
    text: Vec<u8>,
    /// The end of each text.
    ends: Vec<usize>,
}

impl<'a> PendingEvents<'a> {
    /// Events that are matched together; 64 chunks of texts, so that all cores get some.
    const CAPACITY: usize = 4096;

    fn new(rules: &'a RuleSet, on_error: OnError) -> Self {
        Self {
            rules,
            on_error,
            first: 0,
            matched: Vec::new(),
            text: Vec::new(),
            ends: Vec::new(),
        }
    }

    fn match_all(
        mut self,
        events: &Bound<'_, PyAny>,
        root: &ValuePath<'_>,
        match_mapping: impl Fn(&Bound<'_, PyAny>, &ValuePath<'_>) -> PyResult<RuleIds>,
        mut add: impl FnMut(Matched) -> PyResult<()>,
    ) -> PyResult<()> {
        let py = events.py();
        for event in PyIterator::from_object(events)? {
            let event = event?;
            match EventArgument::at(&event, root) {
                Ok(EventArgument::Bytes(bytes)) => self.push_text(&bytes),
                Ok(EventArgument::Mapping(mapping)) => {
                    self.push_matched(py, match_mapping(&mapping, root));
                }
                Err(error) => self.push_matched(py, Err(error)),
            }
            if self.has_exception(py) {
                break;
            }
            if self.matched.len() == Self::CAPACITY {
                self.finish(py, &mut add)?;
                py.check_signals()?;
            }
        }
        self.finish(py, &mut add)
    }

    /// Adds an event given as text.
    fn push_text(&mut self, bytes: &[u8]) {
        self.matched.push(None);
        self.text.extend_from_slice(bytes);
        self.ends.push(self.text.len());
    }

    /// Adds an event that was matched.
    fn push_matched(&mut self, py: Python<'_>, matched: Matched) {
        let number = self.first + self.matched.len();
        let matched = matched.map_err(|error| with_number(py, number, error));
        self.matched.push(Some(matched));
    }

    /// Whether the last event has an exception that is to be raised.
    fn has_exception(&self, py: Python<'_>) -> bool {
        let Some(Some(Err(error))) = self.matched.last() else {
            return false;
        };
        self.is_raised(py, error)
    }

    fn is_raised(&self, py: Python<'_>, error: &PyErr) -> bool {
        self.on_error == OnError::Raise || !OnError::is_item_error(py, error)
    }

    /// Matches the texts and adds all events.
    fn finish(
        &mut self,
        py: Python<'_>,
        add: &mut impl FnMut(Matched) -> PyResult<()>,
    ) -> PyResult<()> {
        let mut matched_texts = Vec::with_capacity(self.ends.len());
        let texts = self.texts();
        let mut sink = Items {
            on_error: self.on_error,
            exception: |text, error: MatchError| error.of_item("event", self.number_of_text(text)),
            add: |matched| {
                matched_texts.push(matched);
                Ok(())
            },
        };
        let source = EventSource::from_texts(&texts);
        batch_matching::matching(py, self.rules, source, &mut sink)?;
        let mut matched_texts = matched_texts.into_iter();
        self.first += self.matched.len();
        for matched in std::mem::take(&mut self.matched) {
            // `None` stands for a text, and each text was matched, or the batch has failed above.
            let matched = matched.or_else(|| matched_texts.next());
            match matched.unwrap_or_else(|| Ok(RuleIds::new())) {
                Err(error) if self.is_raised(py, &error) => return Err(error),
                matched => add(matched)?,
            }
        }
        self.text.clear();
        self.ends.clear();
        Ok(())
    }

    /// The number of the event whose text is number `text` among the texts.
    fn number_of_text(&self, text: usize) -> usize {
        let numbered = self.matched.iter().zip(self.first..);
        let mut texts = numbered.filter(|(matched, _)| matched.is_none());
        texts
            .nth(text)
            .map(|(_, number)| number)
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
