//! Cutting a stream into records: NDJSON, one JSON array, or whole documents that span lines.
//!
//! Records are cut before they are parsed: only brackets and strings are tracked, so that a broken
//! record costs itself and not the rest of the stream. At most one record is held in memory, and of
//! that one no more than the limit.
//!
//! The first non-blank line decides how a stream is cut:
//!
//! ```text
//! [{"id": 1}, {"id": 2}]     array: an element is a record
//! {"id": 1}                  lines: a line is a record
//! {                          documents: a record ends with the bracket that it began with
//! ```

use std::collections::VecDeque;
use std::io::{self, BufRead};

use super::nesting::Nesting;

/// One record of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The line on which it begins, from 1.
    pub(crate) line: u64,
    /// Its bytes, or why it could not be read.
    pub(crate) text: Result<Vec<u8>, String>,
}

/// The records of a stream, in order.
pub(crate) struct Records<R> {
    reader: R,
    /// Maximum length of a record in bytes.
    limit: usize,
    /// The line of the next byte, from 1.
    line: u64,
    layout: Layout,
    /// Lines that have been read but belong to later records.
    lookahead: VecDeque<Line>,
}

/// How the stream is cut into records; its beginning decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Unknown,
    /// One record per line. The first line is a whole record, or one that no next line completes.
    Lines,
    /// JSON documents one after the other, each of one or more lines.
    Documents,
    /// The elements of one array.
    Array,
    /// After the end of the array.
    AfterArray,
}

/// A line without its line break.
///
/// At most one byte more than the limit is kept; `len` counts all of them.
struct Line {
    number: u64,
    bytes: Vec<u8>,
    len: usize,
}

impl<R: BufRead> Records<R> {
    /// Cuts `reader` into records of at most `limit` bytes.
    pub(crate) fn new(reader: R, limit: usize) -> Self {
        Self {
            reader,
            limit,
            line: 1,
            layout: Layout::Unknown,
            lookahead: VecDeque::new(),
        }
    }

    /// The next record, `None` at the end.
    ///
    /// # Errors
    /// When the stream cannot be read further, for example because a compressed file is damaged.
    pub(crate) fn next(&mut self) -> io::Result<Option<Record>> {
        if self.layout == Layout::Unknown {
            self.layout = self.detect_layout()?;
        }
        match self.layout {
            Layout::Unknown | Layout::Lines => {
                Ok(self.next_non_blank_line()?.map(|line| self.record(line)))
            }
            Layout::Documents => self.document(),
            Layout::Array => self.element(),
            Layout::AfterArray => self.after_array(),
        }
    }

    /// The line of the next byte, from 1.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    fn detect_layout(&mut self) -> io::Result<Layout> {
        if self.reader.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
            self.reader.consume(3);
        }
        if self.skip_white_space()? == Some(b'[') {
            self.reader.consume(1);
            return Ok(Layout::Array);
        }
        let Some(first) = self.next_non_blank_line()? else {
            return Ok(Layout::Lines);
        };
        let mut nesting = Nesting::default();
        nesting.feed(&first.bytes);
        let mut layout = Layout::Lines;
        if nesting.is_open() && !nesting.in_string() {
            // `{` alone begins a document, but `{"a":` may also be a broken line of NDJSON: the
            // next line decides.
            let next = self.next_non_blank_line()?;
            if next
                .as_ref()
                .is_some_and(|next| nesting.can_continue_with(&next.bytes))
            {
                layout = Layout::Documents;
            }
            self.lookahead.extend(next);
        }
        self.lookahead.push_front(first);
        Ok(layout)
    }

    /// Reads a document of one or more lines.
    ///
    /// After a broken document, reading continues at the next line that begins with `{`.
    fn document(&mut self) -> io::Result<Option<Record>> {
        let Some(mut document) = self.next_non_blank_line()? else {
            return Ok(None);
        };
        let mut nesting = Nesting::default();
        nesting.feed(&document.bytes);
        while nesting.is_open() {
            let Some(next) = self.read_line()? else { break };
            if nesting.in_string() || !nesting.can_continue_with(&next.bytes) {
                self.lookahead.push_front(next);
                self.skip_to_object()?;
                break;
            }
            nesting.feed(&next.bytes);
            document.append(&next, self.limit);
        }
        Ok(Some(self.record(document)))
    }

    /// Skips lines until one begins with `{`.
    fn skip_to_object(&mut self) -> io::Result<()> {
        while let Some(line) = self.next_non_blank_line()? {
            if line.bytes.starts_with(b"{") {
                self.lookahead.push_front(line);
                break;
            }
        }
        Ok(())
    }

    /// Reads an element of the array: the bytes up to the next `,` or `]` outside nested brackets.
    fn element(&mut self) -> io::Result<Option<Record>> {
        let first = self.skip_white_space()?;
        let mut element = Line {
            number: self.line,
            bytes: Vec::new(),
            len: 0,
        };
        if first == Some(b']') {
            self.reader.consume(1);
            self.layout = Layout::AfterArray;
            return self.after_array();
        }
        let mut nesting = Nesting::default();
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                self.layout = Layout::AfterArray;
                let text = Err("unexpected end of input inside the array".to_owned());
                return Ok(Some(Record {
                    line: element.number,
                    text,
                }));
            }
            let mut used = 0;
            let mut end = None;
            for byte in buffer {
                if !nesting.is_open() && matches!(byte, b',' | b']') {
                    end = Some(*byte);
                    break;
                }
                self.line += u64::from(*byte == b'\n');
                // JSON strings contain no line breaks. An unclosed string ends here, so that it
                // does not swallow the elements after it.
                if *byte == b'\n' && nesting.in_string() {
                    nesting.close_string();
                }
                nesting.feed(&[*byte]);
                used += 1;
            }
            element.extend(&buffer[..used], self.limit);
            self.reader.consume(used + usize::from(end.is_some()));
            match end {
                Some(b']') => self.layout = Layout::AfterArray,
                Some(_) => {}
                None => continue,
            }
            let record = self.record(element);
            return match &record.text {
                Ok(text) if text.trim_ascii().is_empty() => Ok(Some(Record {
                    text: Err("missing array element".to_owned()),
                    ..record
                })),
                _ => Ok(Some(record)),
            };
        }
    }

    /// Reads what follows the array: nothing, or one broken record.
    fn after_array(&mut self) -> io::Result<Option<Record>> {
        let found = self.skip_white_space()?;
        let line = self.line;
        while found.is_some() {
            let len = self.reader.fill_buf()?.len();
            if len == 0 {
                return Ok(Some(Record {
                    line,
                    text: Err("unexpected text after the end of the array".to_owned()),
                }));
            }
            self.reader.consume(len);
        }
        Ok(None)
    }

    /// The record of a line, which is broken if the line exceeds the limit.
    fn record(&self, line: Line) -> Record {
        let text = if line.len > self.limit {
            Err(format!(
                "the event has more than the {} bytes allowed",
                self.limit
            ))
        } else {
            Ok(line.bytes)
        };
        Record {
            line: line.number,
            text,
        }
    }

    /// The next line that is not only white space.
    fn next_non_blank_line(&mut self) -> io::Result<Option<Line>> {
        while let Some(line) = self.read_line()? {
            if line.len > self.limit || !line.bytes.trim_ascii().is_empty() {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    fn read_line(&mut self) -> io::Result<Option<Line>> {
        if let Some(line) = self.lookahead.pop_front() {
            return Ok(Some(line));
        }
        let mut line = Line {
            number: self.line,
            bytes: Vec::new(),
            len: 0,
        };
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                return Ok((line.len > 0).then_some(line));
            }
            let end = memchr::memchr(b'\n', buffer);
            line.extend(&buffer[..end.unwrap_or(buffer.len())], self.limit);
            let used = end.map_or(buffer.len(), |end| end + 1);
            self.reader.consume(used);
            if end.is_some() {
                self.line += 1;
                if line.bytes.last() == Some(&b'\r') {
                    line.bytes.pop();
                    line.len -= 1;
                }
                return Ok(Some(line));
            }
        }
    }

    fn skip_white_space(&mut self) -> io::Result<Option<u8>> {
        loop {
            let buffer = self.reader.fill_buf()?;
            let Some(byte) = buffer.first().copied() else {
                return Ok(None);
            };
            if !byte.is_ascii_whitespace() {
                return Ok(Some(byte));
            }
            self.line += u64::from(byte == b'\n');
            self.reader.consume(1);
        }
    }
}

impl Line {
    /// Adds bytes of the same line.
    fn extend(&mut self, bytes: &[u8], limit: usize) {
        self.len += bytes.len();
        let remaining = (limit + 1).saturating_sub(self.bytes.len());
        self.bytes
            .extend_from_slice(&bytes[..bytes.len().min(remaining)]);
    }

    /// Adds a line break and the next line.
    fn append(&mut self, next: &Line, limit: usize) {
        self.extend(b"\n", limit);
        self.extend(&next.bytes, limit);
        self.len += next.len - next.bytes.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The records of a text, each with its line; the same for every size of the buffer.
    fn cut(text: &str) -> Vec<(u64, String)> {
        let read = |size: usize| {
            let mut records = Records::new(io::BufReader::with_capacity(size, text.as_bytes()), 40);
            let mut found = Vec::new();
            while let Some(record) = records.next().unwrap() {
                let text = record.text.map_or_else(
                    |reason| format!("broken: {reason}"),
                    |b| String::from_utf8(b).unwrap(),
                );
                found.push((record.line, text.trim().to_owned()));
            }
            found
        };
        let found = read(1 << 10);
        for size in [1, 2, 3, 7] {
            // The byte order mark is looked for in the buffer, which must hold its three bytes.
            if size >= 3 || !text.starts_with('\u{feff}') {
                assert_eq!(read(size), found, "with a buffer of {size}");
            }
        }
        found
    }

    fn records(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
        expected
            .iter()
            .map(|(line, text)| (*line, (*text).to_owned()))
            .collect()
    }

    #[test]
    fn a_line_is_a_record() {
        assert_eq!(cut(""), records(&[]));
        assert_eq!(cut(" \n\n"), records(&[]));
        assert_eq!(
            cut("{\"a\":1}\n{\"b\":2}"),
            records(&[(1, "{\"a\":1}"), (2, "{\"b\":2}")])
        );
        assert_eq!(
            cut("\u{feff}{}\r\n\r\n{}\r\n"),
            records(&[(1, "{}"), (3, "{}")])
        );
    }

    #[test]
    fn a_broken_line_is_one_record() {
        assert_eq!(
            cut("{\"a\":\n{\"b\":2}\n{}"),
            records(&[(1, "{\"a\":\n{\"b\":2}"), (3, "{}")])
        );
        assert_eq!(
            cut("{\"a\":1,\n{\"b\":2}\n{}"),
            records(&[(1, "{\"a\":1,"), (2, "{\"b\":2}"), (3, "{}")])
        );
        assert_eq!(
            cut("{}\n{\"a\":\n{}"),
            records(&[(1, "{}"), (2, "{\"a\":"), (3, "{}")])
        );
        assert_eq!(cut("nonsense\n{}"), records(&[(1, "nonsense"), (2, "{}")]));
        assert_eq!(
            cut("{\"a\":\"x\n{}"),
            records(&[(1, "{\"a\":\"x"), (2, "{}")])
        );
    }

    #[test]
    fn a_document_may_span_lines() {
        assert_eq!(
            cut("{\n \"a\": [\n{}\n]\n}\n"),
            records(&[(1, "{\n \"a\": [\n{}\n]\n}")])
        );
        assert_eq!(cut("{\n}\n\n{\n}"), records(&[(1, "{\n}"), (4, "{\n}")]));
        let broken = "{\n \"a\": \"x\n}\n]\n{\n}\n{}";
        assert_eq!(
            cut(broken),
            records(&[(1, "{\n \"a\": \"x"), (5, "{\n}"), (7, "{}")])
        );
    }

    #[test]
    fn array_elements_are_records() {
        assert_eq!(cut("[]"), records(&[]));
        assert_eq!(
            cut("\n[ {\"a\":[1,2]},\n{\"b\":\"],\"}\n]\n"),
            records(&[(2, "{\"a\":[1,2]}"), (3, "{\"b\":\"],\"}")])
        );
        assert_eq!(
            cut("[1, {} {},{\"a\":\"x\n},\n{}]"),
            records(&[(1, "1"), (1, "{} {}"), (1, "{\"a\":\"x\n}"), (3, "{}")])
        );
        assert_eq!(
            cut("[{},,{}]"),
            records(&[(1, "{}"), (1, "broken: missing array element"), (1, "{}")])
        );
        assert_eq!(
            cut("[{}"),
            records(&[(1, "broken: unexpected end of input inside the array")])
        );
        assert_eq!(
            cut("[{}]\n{}"),
            records(&[
                (1, "{}"),
                (2, "broken: unexpected text after the end of the array")
            ])
        );
    }

    #[test]
    fn records_above_the_limit_are_reported_and_skipped() {
        let long = "x".repeat(60);
        let reason = "broken: the event has more than the 40 bytes allowed";
        assert_eq!(
            cut(&format!("{{}}\n\"{long}\"\n{{}}")),
            records(&[(1, "{}"), (2, reason), (3, "{}")])
        );
        assert_eq!(
            cut(&format!("[{{}},\"{long}\",{{}}]")),
            records(&[(1, "{}"), (1, reason), (1, "{}")])
        );
        let document = format!("{{\n\"{long}\": 1\n}}\n{{}}");
        assert_eq!(cut(&document), records(&[(1, reason), (4, "{}")]));
    }
}
