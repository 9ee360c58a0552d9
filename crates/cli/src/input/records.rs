//! Cutting a stream into records: NDJSON, one JSON array, or whole documents that span lines.
//!
//! Nothing is parsed here; a record is only told from its neighbours, so that one broken record leaves the rest whole.
//! Never more than one record is held in memory, and of that no more than the limit.

use std::collections::VecDeque;
use std::io::{self, BufRead};

use super::scan::Scan;

/// One record of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The line it begins on, from 1.
    pub(crate) line: u64,
    /// Its bytes, or why there are none.
    pub(crate) text: Result<Vec<u8>, String>,
}

/// The records of a stream, in order.
pub(crate) struct Records<R> {
    reader: R,
    /// Longest record in bytes.
    limit: usize,
    /// The line that the next byte stands on, from 1.
    line: u64,
    shape: Shape,
    /// Lines that have been read ahead.
    ahead: VecDeque<Line>,
}

/// What the stream is made of; its beginning decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Unknown,
    /// A record a line: the first one is complete within its line, or broken in a way that no further line mends.
    Lines,
    /// JSON documents one after the other, each over one or more lines.
    Documents,
    /// The elements of one array.
    Array,
    /// After the array's end.
    Over,
}

/// A line without its break; of bytes past the limit one is kept, the rest only counted.
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
            shape: Shape::Unknown,
            ahead: VecDeque::new(),
        }
    }

    /// The next record, `None` at the end.
    ///
    /// # Errors
    /// When the stream cannot be read on, as when a packed file is damaged.
    pub(crate) fn next(&mut self) -> io::Result<Option<Record>> {
        if self.shape == Shape::Unknown {
            self.shape = self.begin()?;
        }
        match self.shape {
            Shape::Unknown | Shape::Lines => Ok(self.filled_line()?.map(|line| self.record(line))),
            Shape::Documents => self.document(),
            Shape::Array => self.element(),
            Shape::Over => self.after_array(),
        }
    }

    /// The line that the next byte stands on.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    fn begin(&mut self) -> io::Result<Shape> {
        if self.reader.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
            self.reader.consume(3);
        }
        if self.skip_white_space()? == Some(b'[') {
            self.reader.consume(1);
            return Ok(Shape::Array);
        }
        let Some(first) = self.filled_line()? else {
            return Ok(Shape::Lines);
        };
        let mut scan = Scan::default();
        scan.feed(&first.bytes);
        let mut shape = Shape::Lines;
        if scan.is_open() && !scan.in_string() {
            // Whether the next line can go on with this one tells a document from a broken first line.
            let next = self.filled_line()?;
            if next
                .as_ref()
                .is_some_and(|next| scan.may_go_on_with(&next.bytes))
            {
                shape = Shape::Documents;
            }
            self.ahead.extend(next);
        }
        self.ahead.push_front(first);
        Ok(shape)
    }

    /// A document over one or more lines. After a broken one, reading goes on at the next line that begins with `{`.
    fn document(&mut self) -> io::Result<Option<Record>> {
        let Some(mut document) = self.filled_line()? else {
            return Ok(None);
        };
        let mut scan = Scan::default();
        scan.feed(&document.bytes);
        while scan.is_open() {
            let Some(next) = self.read_line()? else { break };
            if scan.in_string() || !scan.may_go_on_with(&next.bytes) {
                self.ahead.push_front(next);
                self.skip_to_object()?;
                break;
            }
            scan.feed(&next.bytes);
            document.append(&next, self.limit);
        }
        Ok(Some(self.record(document)))
    }

    fn skip_to_object(&mut self) -> io::Result<()> {
        while let Some(line) = self.filled_line()? {
            if line.bytes.starts_with(b"{") {
                self.ahead.push_front(line);
                break;
            }
        }
        Ok(())
    }

    /// The bytes up to the next comma or bracket of the array itself.
    fn element(&mut self) -> io::Result<Option<Record>> {
        let first = self.skip_white_space()?;
        let mut element = Line {
            number: self.line,
            bytes: Vec::new(),
            len: 0,
        };
        if first == Some(b']') {
            self.reader.consume(1);
            self.shape = Shape::Over;
            return self.after_array();
        }
        let mut scan = Scan::default();
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                self.shape = Shape::Over;
                let text = Err("the input ends inside the array".to_owned());
                return Ok(Some(Record {
                    line: element.number,
                    text,
                }));
            }
            let mut used = 0;
            let mut end = None;
            for byte in buffer {
                if !scan.is_open() && matches!(byte, b',' | b']') {
                    end = Some(*byte);
                    break;
                }
                self.line += u64::from(*byte == b'\n');
                // A string does not run over a line break; ending it there keeps a broken element from eating the rest.
                if *byte == b'\n' && scan.in_string() {
                    scan.end_string();
                }
                scan.feed(&[*byte]);
                used += 1;
            }
            element.extend(&buffer[..used], self.limit);
            self.reader.consume(used + usize::from(end.is_some()));
            match end {
                Some(b']') => self.shape = Shape::Over,
                Some(_) => {}
                None => continue,
            }
            let record = self.record(element);
            return match &record.text {
                Ok(text) if text.trim_ascii().is_empty() => Ok(Some(Record {
                    text: Err("an element is missing here".to_owned()),
                    ..record
                })),
                _ => Ok(Some(record)),
            };
        }
    }

    fn after_array(&mut self) -> io::Result<Option<Record>> {
        let found = self.skip_white_space()?;
        let line = self.line;
        while found.is_some() {
            let len = self.reader.fill_buf()?.len();
            if len == 0 {
                return Ok(Some(Record {
                    line,
                    text: Err("something follows the end of the array".to_owned()),
                }));
            }
            self.reader.consume(len);
        }
        Ok(None)
    }

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

    /// The next line that holds more than white space.
    fn filled_line(&mut self) -> io::Result<Option<Line>> {
        while let Some(line) = self.read_line()? {
            if line.len > self.limit || !line.bytes.trim_ascii().is_empty() {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    fn read_line(&mut self) -> io::Result<Option<Line>> {
        if let Some(line) = self.ahead.pop_front() {
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
    fn extend(&mut self, bytes: &[u8], limit: usize) {
        self.len += bytes.len();
        let room = (limit + 1).saturating_sub(self.bytes.len());
        self.bytes
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn append(&mut self, next: &Line, limit: usize) {
        self.extend(b"\n", limit);
        self.extend(&next.bytes, limit);
        self.len += next.len - next.bytes.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The records of a text, each as its line and its bytes or the word `broken`; with every size of buffer.
    fn cut(text: &str) -> Vec<(u64, String)> {
        let read = |size: usize| {
            let mut records = Records::new(io::BufReader::with_capacity(size, text.as_bytes()), 40);
            let mut found = Vec::new();
            while let Some(record) = records.next().unwrap() {
                let text = record.text.map_or_else(
                    |why| format!("broken: {why}"),
                    |b| String::from_utf8(b).unwrap(),
                );
                found.push((record.line, text.trim().to_owned()));
            }
            found
        };
        let found = read(1 << 10);
        for size in [1, 2, 3, 7] {
            // A BOM is looked for in the buffer, so that three bytes are the least.
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
    fn a_broken_line_is_one_record_and_the_rest_goes_on() {
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
    fn a_document_spans_lines() {
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
    fn the_elements_of_an_array_are_records() {
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
            records(&[
                (1, "{}"),
                (1, "broken: an element is missing here"),
                (1, "{}")
            ])
        );
        assert_eq!(
            cut("[{}"),
            records(&[(1, "broken: the input ends inside the array")])
        );
        assert_eq!(
            cut("[{}]\n{}"),
            records(&[
                (1, "{}"),
                (2, "broken: something follows the end of the array")
            ])
        );
    }

    #[test]
    fn a_record_above_the_limit_is_reported_and_skipped() {
        let long = "x".repeat(60);
        let why = "broken: the event has more than the 40 bytes allowed";
        assert_eq!(
            cut(&format!("{{}}\n\"{long}\"\n{{}}")),
            records(&[(1, "{}"), (2, why), (3, "{}")])
        );
        assert_eq!(
            cut(&format!("[{{}},\"{long}\",{{}}]")),
            records(&[(1, "{}"), (1, why), (1, "{}")])
        );
        let document = format!("{{\n\"{long}\": 1\n}}\n{{}}");
        assert_eq!(cut(&document), records(&[(1, why), (4, "{}")]));
    }
}
