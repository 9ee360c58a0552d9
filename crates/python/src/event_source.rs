//! Sources of many events as text, cut into chunks that threads match.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::slice::Chunks;

use reflexarc_event::{Limits, ndjson_lines};

/// A source of event texts. At most one chunk of a file is held beyond those being matched.
pub(crate) enum EventSource<'a> {
    /// The remaining texts, one per event.
    Texts(Chunks<'a, &'a [u8]>),
    /// The remaining NDJSON text.
    Lines(&'a [u8]),
    /// An NDJSON file, and the bytes read from it after the last chunk.
    File(File, Vec<u8>),
}

/// Some texts of a source, in order.
pub(crate) enum Chunk<'a> {
    /// One text per event.
    Texts(&'a [&'a [u8]]),
    /// Whole lines; blank ones are not events.
    Lines(Cow<'a, [u8]>),
}

/// Why there is no next chunk.
pub(crate) enum SourceError {
    /// The file cannot be read further.
    Io(io::Error),
    /// The next line is longer than an event may be.
    LineTooLong,
}

/// Size of a chunk of lines, in bytes: some hundred events, so that handing a chunk over
/// between threads costs little beside matching it, and little enough to spread a small file
/// over all cores.
const CHUNK_BYTES: usize = 1 << 17;

/// Size of a chunk of texts, in events.
const CHUNK_TEXTS: usize = 64;

impl<'a> EventSource<'a> {
    /// A source of texts, one per event.
    pub(crate) fn from_texts(texts: &'a [&'a [u8]]) -> Self {
        Self::Texts(texts.chunks(CHUNK_TEXTS))
    }

    /// The next chunk; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Chunk<'a>>, SourceError> {
        match self {
            Self::Texts(chunks) => Ok(chunks.next().map(Chunk::Texts)),
            Self::Lines(text) => {
                // A chunk ends after the first line break at or behind CHUNK_BYTES.
                let from = text.len().min(CHUNK_BYTES);
                let end = memchr::memchr(b'\n', &text[from..]).map(|at| from + at + 1);
                let (chunk, rest) = text.split_at(end.unwrap_or(text.len()));
                *text = rest;
                Ok((!chunk.is_empty()).then_some(Chunk::Lines(Cow::Borrowed(chunk))))
            }
            Self::File(file, rest) => next_lines(file, rest),
        }
    }
}

impl Chunk<'_> {
    /// The texts of the events, each with its number in the chunk.
    pub(crate) fn events(&self) -> Box<dyn Iterator<Item = (usize, Cow<'_, [u8]>)> + '_> {
        match self {
            Self::Texts(texts) => Box::new(texts.iter().copied().map(Cow::Borrowed).enumerate()),
            Self::Lines(lines) => Box::new(ndjson_lines(lines).map(|(line, event)| {
                // Numbers begin at 0, lines at 1.
                (usize::try_from(line - 1).unwrap_or(usize::MAX), event)
            })),
        }
    }

    /// How many numbers the chunk takes: texts, or lines including blank ones.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Lines(lines) => memchr::memchr_iter(b'\n', lines).count(),
        }
    }
}

/// Reads whole lines of a file; `rest` holds the beginning of the line after them.
fn next_lines<'a>(file: &mut File, rest: &mut Vec<u8>) -> Result<Option<Chunk<'a>>, SourceError> {
    let mut chunk = std::mem::take(rest);
    loop {
        let searched = chunk.len();
        // Without this, a file without line breaks would be read into memory as a whole.
        if searched > Limits::DEFAULT.bytes {
            return Err(SourceError::LineTooLong);
        }
        let read = file
            .take(CHUNK_BYTES as u64)
            .read_to_end(&mut chunk)
            .map_err(SourceError::Io)?;
        if read == 0 {
            return Ok((!chunk.is_empty()).then_some(Chunk::Lines(Cow::Owned(chunk))));
        }
        if let Some(at) = memchr::memrchr(b'\n', &chunk[searched..]) {
            *rest = chunk.split_off(searched + at + 1);
            return Ok(Some(Chunk::Lines(Cow::Owned(chunk))));
        }
    }
}
