//! Where the text of many events comes from, cut into pieces of work.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::slice::Chunks;

use reflexarc_event::Limits;

/// Texts of events, a piece at a time; never more of a file is held than the pieces being worked on.
pub(crate) enum EventSource<'a> {
    /// What is left of texts, one an event.
    Texts(Chunks<'a, &'a [u8]>),
    /// What is left of NDJSON.
    Lines(&'a [u8]),
    /// An NDJSON file, and what was read of it beyond the last piece.
    File(File, Vec<u8>),
}

/// Some of the texts, in order.
pub(crate) enum Chunk<'a> {
    /// One an event.
    Texts(&'a [&'a [u8]]),
    /// Whole lines; blank ones are no events.
    Lines(Cow<'a, [u8]>),
}

/// Why there is no next piece.
pub(crate) enum SourceError {
    /// The file cannot be read on.
    Io(io::Error),
    /// The next line is longer than any event.
    LongLine,
}

/// About so many bytes of lines are a piece.
const BYTES: usize = 1 << 17;

/// So many texts are a piece.
const TEXTS: usize = 64;

impl<'a> EventSource<'a> {
    /// Of texts, one an event.
    pub(crate) fn of(texts: &'a [&'a [u8]]) -> Self {
        Self::Texts(texts.chunks(TEXTS))
    }

    /// The next piece; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Chunk<'a>>, SourceError> {
        match self {
            Self::Texts(chunks) => Ok(chunks.next().map(Chunk::Texts)),
            Self::Lines(text) => {
                let after =
                    |from: usize| memchr::memchr(b'\n', &text[from..]).map(|at| from + at + 1);
                let end = after(text.len().min(BYTES)).unwrap_or(text.len());
                let (piece, rest) = text.split_at(end);
                *text = rest;
                Ok((!piece.is_empty()).then_some(Chunk::Lines(Cow::Borrowed(piece))))
            }
            Self::File(file, rest) => {
                let mut piece = std::mem::take(rest);
                loop {
                    let known = piece.len();
                    if known > Limits::DEFAULT.bytes {
                        return Err(SourceError::LongLine);
                    }
                    // Reads until there is so much or the file ends.
                    let read = file
                        .take(BYTES as u64)
                        .read_to_end(&mut piece)
                        .map_err(SourceError::Io)?;
                    if read == 0 {
                        return Ok((!piece.is_empty()).then_some(Chunk::Lines(Cow::Owned(piece))));
                    }
                    if let Some(at) = memchr::memrchr(b'\n', &piece[known..]) {
                        *rest = piece.split_off(known + at + 1);
                        return Ok(Some(Chunk::Lines(Cow::Owned(piece))));
                    }
                }
            }
        }
    }
}

impl Chunk<'_> {
    /// The texts of the events, each with its number in the piece.
    pub(crate) fn events(&self) -> Box<dyn Iterator<Item = (usize, &[u8])> + '_> {
        match self {
            Self::Texts(texts) => Box::new(texts.iter().copied().enumerate()),
            Self::Lines(lines) => Box::new(
                split(lines)
                    .enumerate()
                    .filter(|(_, line)| !line.trim_ascii_start().is_empty()),
            ),
        }
    }

    /// How many numbers it takes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Lines(lines) => memchr::memchr_iter(b'\n', lines).count(),
        }
    }
}

fn split(lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    memchr::memchr_iter(b'\n', lines)
        .chain([lines.len()])
        .map(move |end| {
            let line = &lines[start..end];
            start = end + 1;
            line
        })
}
