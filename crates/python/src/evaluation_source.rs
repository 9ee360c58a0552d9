//! Events to evaluate, read in batches.

use std::io;

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyIterator};
use reflexarc_event::Event;

use crate::batch_argument::{BatchArgument, open_lines, with_number};
use crate::convert::{self, ValuePath};
use crate::event::{EventArgument, PyEvent};
use crate::event_source::{CHUNK_BYTES, Chunk, EventSource, LineReader};
use crate::on_error::OnError;

/// Events that have not been read yet.
pub(crate) enum EvaluationSource {
    /// NDJSON from an offset on.
    Lines { text: PyBackedBytes, from: usize },
    /// An NDJSON file.
    File(LineReader),
    /// Events of Python.
    Events {
        events: Py<PyIterator>,
        /// The number of the next one.
        number: usize,
        /// The function that replaces values without a JSON form.
        default: Option<Py<PyAny>>,
    },
}

/// Events that are evaluated together.
pub(crate) struct Batch<'a> {
    /// In order; threads take one at a time.
    pub(crate) parts: Vec<Part<'a>>,
    /// Why nothing comes after them, if that is an error.
    pub(crate) end: Option<PyErr>,
}

/// Some events of a batch, in order.
pub(crate) enum Part<'a> {
    /// Events of Python, the first with this number.
    Items(usize, Vec<Item>),
    /// Text.
    Chunk(Chunk<'a>),
}

/// An event of Python, without anything that needs the interpreter.
pub(crate) enum Item {
    Text(Vec<u8>),
    Event(Event),
    /// Its error, with its number.
    Invalid(PyErr),
}

/// How much is read before it is evaluated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchSize {
    /// Chunks of text.
    chunks: usize,
    /// Bytes of a chunk.
    chunk_bytes: usize,
    /// Events of an iterable.
    items: usize,
}

/// Bytes of the events of an iterable in a batch.
const BATCH_BYTES: usize = 2 << 20;

/// Events of an iterable in a part.
const PART_ITEMS: usize = 32;

impl BatchSize {
    /// The size of batches on one thread: their evaluations stay in the processor's cache until
    /// they are given out. With hundreds of them, short scripts took a fifth longer.
    pub(crate) const SMALL: Self = Self {
        chunks: 1,
        chunk_bytes: 1 << 14,
        items: 16,
    };

    /// The size of batches for threads, of 512 KiB or some hundred events: much beside what it
    /// costs to start threads.
    pub(crate) const LARGE: Self = Self {
        chunks: 4,
        chunk_bytes: CHUNK_BYTES,
        items: 512,
    };
}

impl EvaluationSource {
    pub(crate) fn new(events: &Bound<'_, PyAny>, default: Option<Py<PyAny>>) -> PyResult<Self> {
        let py = events.py();
        Ok(match BatchArgument::new(events)? {
            BatchArgument::Lines(text) => Self::Lines { text, from: 0 },
            BatchArgument::Path(path) => Self::File(open_lines(py, &path)?),
            BatchArgument::Events => {
                let events = PyIterator::from_object(events)?.unbind();
                Self::Events {
                    events,
                    number: 0,
                    default,
                }
            }
        })
    }

    /// The next batch; without parts, there are no more events.
    pub(crate) fn next(&mut self, py: Python<'_>, size: BatchSize) -> Batch<'_> {
        match self {
            Self::Lines { text, from } => {
                let rest = &text[*from..];
                let mut source = EventSource::Lines(rest);
                let batch = next_chunks(size.chunks, || source.next(size.chunk_bytes));
                if let EventSource::Lines(unread) = source {
                    *from += rest.len() - unread.len();
                }
                batch
            }
            Self::File(reader) => {
                py.detach(|| next_chunks(size.chunks, || reader.next(size.chunk_bytes)))
            }
            Self::Events {
                events,
                number,
                default,
            } => {
                let default = default.as_ref().map(|default| default.bind(py));
                let root = ValuePath::event(default);
                let batch = next_items(events.bind(py), &root, *number, size.items);
                *number += batch.parts.iter().map(Part::len).sum::<usize>();
                batch
            }
        }
    }
}

impl Part<'_> {
    /// How many numbers the part takes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Items(_, items) => items.len(),
            Self::Chunk(chunk) => chunk.len(),
        }
    }
}

fn next_chunks<'a>(
    max: usize,
    mut next: impl FnMut() -> io::Result<Option<Chunk<'a>>>,
) -> Batch<'a> {
    let mut parts = Vec::new();
    let mut end = None;
    while parts.len() < max {
        match next() {
            Ok(Some(chunk)) => {
                // Without an event behind it, its error need not wait for what is read after it.
                let is_long = matches!(chunk, Chunk::LongLine);
                parts.push(Part::Chunk(chunk));
                if is_long {
                    break;
                }
            }
            Ok(None) => break,
            Err(error) => {
                end = Some(PyErr::from(error));
                break;
            }
        }
    }
    Batch { parts, end }
}

/// Reads up to `max` items, the first of which has the number `first`.
fn next_items(
    events: &Bound<'_, PyIterator>,
    root: &ValuePath<'_>,
    first: usize,
    max: usize,
) -> Batch<'static> {
    let py = events.py();
    let (mut parts, mut items) = (Vec::new(), Vec::new());
    let (mut number, mut bytes, mut end) = (first, 0, None);
    while number - first < max && bytes < BATCH_BYTES {
        let item = match events.clone().next() {
            None => break,
            Some(event) => event.and_then(|event| read_item(&event, root, number)),
        };
        match item {
            Ok(item) => {
                bytes += item.bytes();
                items.push(item);
            }
            Err(error) => {
                end = Some(error);
                break;
            }
        }
        number += 1;
        if items.len() == PART_ITEMS {
            let items = std::mem::take(&mut items);
            parts.push(Part::Items(number - PART_ITEMS, items));
        }
    }
    // Reading in Python handles signals itself, but not where the iterator is one of C.
    end = end.or_else(|| py.check_signals().err());
    if !items.is_empty() {
        parts.push(Part::Items(number - items.len(), items));
    }
    Batch { parts, end }
}

fn read_item(event: &Bound<'_, PyAny>, root: &ValuePath<'_>, number: usize) -> PyResult<Item> {
    let py = event.py();
    if let Ok(event) = event.cast::<PyEvent>() {
        return Ok(Item::Event(event.get().event.clone()));
    }
    if let Ok(bytes) = event.cast::<PyBytes>() {
        return Ok(Item::Text(bytes.as_bytes().to_vec()));
    }
    let text = EventArgument::at(event, root).and_then(|event| match event {
        EventArgument::Bytes(bytes) => Ok(bytes.into_owned()),
        EventArgument::Mapping(mapping) => {
            let json = convert::to_json(&mapping, root)?;
            Ok(json.to_string().into_bytes())
        }
    });
    match text {
        Ok(text) => Ok(Item::Text(text)),
        Err(error) if OnError::is_item_error(py, &error) => {
            Ok(Item::Invalid(with_number(py, number, error)))
        }
        Err(error) => Err(error),
    }
}

impl Item {
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Event(event) => event.bytes().len(),
            Self::Invalid(_) => 0,
        }
    }
}
