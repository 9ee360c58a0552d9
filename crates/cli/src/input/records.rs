//! The records of a stream.

use std::io::{self, BufRead};

use reflexarc_event::{RecordCutter, RecordError};

/// One record of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The line on which it begins, from 1.
    pub(crate) line: u64,
    /// Its bytes, or why it could not be read.
    pub(crate) text: Result<Vec<u8>, RecordError>,
}

/// The records of a stream, in order.
pub(crate) struct Records<R> {
    reader: R,
    cutter: RecordCutter,
}

impl<R: BufRead> Records<R> {
    /// Cuts `reader` into records of at most `limit` bytes.
    pub(crate) fn new(reader: R, limit: usize) -> Self {
        Self {
            reader,
            cutter: RecordCutter::new(limit),
        }
    }

    /// The next record, `None` at the end.
    ///
    /// # Errors
    /// When the stream cannot be read further, for example because a compressed file is damaged.
    pub(crate) fn next(&mut self) -> io::Result<Option<Record>> {
        loop {
            let buffer = self.reader.fill_buf()?;
            let mut input = buffer;
            let record = if buffer.is_empty() {
                self.cutter.finish()
            } else {
                self.cutter.next(&mut input)
            };
            let record = record.map(|record| Record {
                line: record.line,
                text: record.bytes.map(std::borrow::Cow::into_owned),
            });
            let (len, used) = (buffer.len(), buffer.len() - input.len());
            self.reader.consume(used);
            if record.is_some() || len == 0 {
                return Ok(record);
            }
        }
    }

    /// The line of the next byte, from 1.
    pub(crate) fn line(&self) -> u64 {
        self.cutter.line()
    }
}
