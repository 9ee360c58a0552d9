//! Sources of many events as text, cut into chunks that threads match.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::slice::Chunks;

use reflexarc_event::{Limits, ndjson_lines};

/// A source of event texts. At most one chunk of a file is held beyond those being matched.
pub(crate) enum EventSource<'a> {
    /// The remaining texts, one per event.
    Texts(Chunks<'a, &'a [u8]>),
    /// The remaining NDJSON text.
    Lines(&'a [u8]),
    /// An NDJSON file.
    File(LineReader),
}

/// Reads a file in chunks of whole lines.
pub(crate) struct LineReader {
    file: File,
    /// The bytes after the last chunk: the beginning of a line.
    rest: Vec<u8>,
    /// Whether the file continues within a line that is too long.
    is_in_long_line: bool,
}

/// Some texts of a source, in order.
pub(crate) enum Chunk<'a> {
    /// One text per event.
    Texts(&'a [&'a [u8]]),
    /// Whole lines; blank ones are not events.
    Lines(Cow<'a, [u8]>),
    /// One line of a file that is longer than an event may be.
    LongLine,
}

/// Size of a chunk of lines, in bytes: some hundred events, so that handing a chunk over
/// between threads costs little beside matching it, and little enough to spread a small file
/// over all cores.
pub(crate) const CHUNK_BYTES: usize = 1 << 17;

/// Size of a chunk of texts, in events.
const CHUNK_TEXTS: usize = 64;

/// The text of an event, with its number; `None` for one that is too long.
type NumberedText<'a> = (usize, Option<Cow<'a, [u8]>>);

impl<'a> EventSource<'a> {
    /// A source of texts, one per event.
    pub(crate) fn from_texts(texts: &'a [&'a [u8]]) -> Self {
        Self::Texts(texts.chunks(CHUNK_TEXTS))
    }

    /// The next chunk, of about `bytes` if it is one of lines; `None` at the end.
    ///
    /// # Errors
    /// If the file cannot be read further.
    pub(crate) fn next(&mut self, bytes: usize) -> io::Result<Option<Chunk<'a>>> {
        match self {
            Self::Texts(chunks) => Ok(chunks.next().map(Chunk::Texts)),
            Self::Lines(text) => {
                // A chunk ends after the first line break at or behind so many bytes.
                let from = text.len().min(bytes);
                let end = memchr::memchr(b'\n', &text[from..]).map(|at| from + at + 1);
                let (chunk, rest) = text.split_at(end.unwrap_or(text.len()));
                *text = rest;
                Ok((!chunk.is_empty()).then_some(Chunk::Lines(Cow::Borrowed(chunk))))
            }
            Self::File(reader) => reader.next(bytes),
        }
    }
}

impl Chunk<'_> {
    /// The texts of the events, each with its number in the chunk; `None` for one that is too
    /// long.
    pub(crate) fn events(&self) -> Box<dyn Iterator<Item = NumberedText<'_>> + '_> {
        match self {
            Self::Texts(texts) => {
                let texts = texts.iter().copied().map(Cow::Borrowed);
                Box::new(texts.map(Some).enumerate())
            }
            Self::Lines(lines) => Box::new(ndjson_lines(lines).map(|(line, event)| {
                // Numbers begin at 0, lines at 1.
                (usize::try_from(line - 1).unwrap_or(usize::MAX), Some(event))
            })),
            Self::LongLine => Box::new(std::iter::once((0, None))),
        }
    }

    /// How many numbers the chunk takes: texts, or lines including blank ones.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Lines(lines) => memchr::memchr_iter(b'\n', lines).count(),
            Self::LongLine => 1,
        }
    }
}

impl LineReader {
    /// Opens a file.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::open(path)?,
            rest: Vec::new(),
            is_in_long_line: false,
        })
    }

    /// The next chunk, of about `bytes`; `None` at the end.
    ///
    /// # Errors
    /// If the file cannot be read further.
    pub(crate) fn next<'a>(&mut self, bytes: usize) -> io::Result<Option<Chunk<'a>>> {
        let mut chunk = std::mem::take(&mut self.rest);
        loop {
            let searched = chunk.len();
            // Without this, a file without line breaks would be read into memory as a whole.
            if !self.is_in_long_line && searched > Limits::DEFAULT.bytes {
                self.is_in_long_line = true;
                return Ok(Some(Chunk::LongLine));
            }
            let mut part = (&self.file).take(bytes as u64);
            if part.read_to_end(&mut chunk)? == 0 {
                let lines = !chunk.is_empty() && !self.is_in_long_line;
                return Ok(lines.then_some(Chunk::Lines(Cow::Owned(chunk))));
            }
            if self.is_in_long_line {
                let end = memchr::memchr(b'\n', &chunk).map(|at| at + 1);
                self.is_in_long_line = end.is_none();
                // One part at a time, so that callers can stop: it may be a terabyte. Without lines
                // behind the long one, there are none in it.
                let mut lines = chunk.split_off(end.unwrap_or(chunk.len()));
                let complete = memchr::memrchr(b'\n', &lines).map_or(0, |at| at + 1);
                self.rest = lines.split_off(complete);
                return Ok(Some(Chunk::Lines(Cow::Owned(lines))));
            }
            if let Some(at) = memchr::memrchr(b'\n', &chunk[searched..]) {
                self.rest = chunk.split_off(searched + at + 1);
                return Ok(Some(Chunk::Lines(Cow::Owned(chunk))));
            }
        }
    }
}
