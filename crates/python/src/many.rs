//! Many events as a Python caller may hand them over: text by lines, or an iterable of events in chunks.

use std::borrow::Cow;
use std::path::PathBuf;

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMapping, PyMemoryView, PyString};

use crate::batch::Ids;

/// Events of an iterable, some of them already matched.
#[derive(Default)]
pub(crate) struct Chunk {
    /// Per event its rules, or `None` where its text stands in `text`.
    pub(crate) known: Vec<Option<Ids>>,
    text: Vec<u8>,
    /// Where each text ends.
    ends: Vec<usize>,
}

impl Chunk {
    /// So many events are matched together.
    pub(crate) const FULL: usize = 4096;

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// One more event, as text.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.known.push(None);
        self.text.extend_from_slice(bytes);
        self.ends.push(self.text.len());
    }

    /// The texts, in order.
    pub(crate) fn texts(&self) -> Vec<&[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.text[start..*end]).collect()
    }
}

/// The NDJSON text that the argument of `matching_many` is or names; `None` for an iterable of events.
pub(crate) fn lines_of<'a>(events: &'a Bound<'_, PyAny>) -> PyResult<Option<Cow<'a, [u8]>>> {
    let py = events.py();
    if let Ok(bytes) = events.cast::<PyBytes>() {
        return Ok(Some(Cow::Borrowed(bytes.as_bytes())));
    }
    if events.is_instance_of::<PyByteArray>() || events.is_instance_of::<PyMemoryView>() {
        let copy = py.get_type::<PyBytes>().call1((events,))?;
        return Ok(Some(Cow::Owned(copy.cast::<PyBytes>()?.as_bytes().to_vec())));
    }
    if events.is_instance_of::<PyString>() || events.hasattr(intern!(py, "__fspath__"))? {
        let path: PathBuf = events.extract()?;
        return Ok(Some(Cow::Owned(py.detach(|| std::fs::read(path))?)));
    }
    if events.cast::<PyMapping>().is_ok() {
        return Err(PyTypeError::new_err("matching_many takes many events; for one dict use matching"));
    }
    Ok(None)
}
