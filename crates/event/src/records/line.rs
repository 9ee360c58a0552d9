//! Lines and array elements while they are assembled from pieces of input.

use std::borrow::Cow;

use super::{Record, RecordError};

/// A line without its line break. At most one byte more than the limit is kept; `len` counts all of
/// them.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) number: u64,
    pub(super) bytes: Cow<'a, [u8]>,
    pub(super) len: usize,
}

/// The beginning of a line or array element whose end has not been read yet.
#[derive(Debug, Default)]
pub(super) struct Partial {
    bytes: Vec<u8>,
    len: usize,
}

impl<'a> Line<'a> {
    /// Whether there is only white space. A line above the limit is not blank: not all of it is
    /// here.
    pub(super) fn is_blank(&self, limit: usize) -> bool {
        self.len <= limit && self.bytes.trim_ascii().is_empty()
    }

    pub(super) fn into_record(self, limit: usize) -> Record<'a> {
        Record {
            line: self.number,
            bytes: if self.len > limit {
                Err(RecordError::TooLong { limit })
            } else {
                Ok(self.bytes)
            },
        }
    }

    pub(super) fn into_owned(self) -> Line<'static> {
        Line {
            number: self.number,
            bytes: Cow::Owned(self.bytes.into_owned()),
            len: self.len,
        }
    }

    pub(super) fn drop_carriage_return(&mut self) {
        if self.bytes.last() != Some(&b'\r') {
            return;
        }
        match &mut self.bytes {
            Cow::Borrowed(bytes) => *bytes = &bytes[..bytes.len() - 1],
            Cow::Owned(bytes) => {
                bytes.pop();
            }
        }
        self.len -= 1;
    }
}

impl Line<'static> {
    /// Adds a line break and the next line.
    pub(super) fn append(&mut self, next: &Line<'_>, limit: usize) {
        let bytes = self.bytes.to_mut();
        extend(bytes, b"\n", limit);
        extend(bytes, &next.bytes, limit);
        self.len += 1 + next.len;
    }
}

impl Partial {
    pub(super) fn extend(&mut self, bytes: &[u8], limit: usize) {
        extend(&mut self.bytes, bytes, limit);
        self.len += bytes.len();
    }

    /// The whole of which `end` is the end; borrowed if `end` is all of it.
    pub(super) fn complete<'a>(&mut self, number: u64, end: &'a [u8], limit: usize) -> Line<'a> {
        if self.len == 0 {
            // Cut as in `extend`, so that records do not depend on the pieces of the input.
            let kept = &end[..end.len().min(limit.saturating_add(1))];
            return Line {
                number,
                bytes: Cow::Borrowed(kept),
                len: end.len(),
            };
        }
        self.extend(end, limit);
        let Self { bytes, len } = std::mem::take(self);
        Line {
            number,
            bytes: Cow::Owned(bytes),
            len,
        }
    }

    /// What there is, if anything.
    pub(super) fn take(&mut self, number: u64) -> Option<Line<'static>> {
        let Self { bytes, len } = std::mem::take(self);
        (len > 0).then_some(Line {
            number,
            bytes: Cow::Owned(bytes),
            len,
        })
    }
}

/// Appends `bytes` until one byte more than the limit is there: enough to see that it is exceeded.
fn extend(kept: &mut Vec<u8>, bytes: &[u8], limit: usize) {
    let remaining = limit.saturating_add(1).saturating_sub(kept.len());
    kept.extend_from_slice(&bytes[..bytes.len().min(remaining)]);
}
