//! Cutting bytes into records: NDJSON, one JSON array, or whole documents that span lines.
//!
//! Records are cut before they are parsed: only line breaks, brackets and strings are tracked, so
//! that a broken record costs itself and not the rest. The first non-blank line decides the layout:
//!
//! ```text
//! [{"id": 1}, {"id": 2}]     array: an element is a record
//! {"id": 1}                  lines: a line is a record
//! {                          documents: a record ends with the bracket that it began with
//! <                          markup: one record up to the next line that begins with { or [
//! ```

mod line;
mod nesting;

use std::borrow::Cow;
use std::collections::VecDeque;

use self::line::{Line, Partial};
use self::nesting::Nesting;

/// Cuts bytes, which may come in pieces of any size, into records of at most a given length.
///
/// It does no I/O and holds at most two records, of each no more than the limit. A record that lies
/// within one piece of input is not copied.
///
/// ```
/// use reflexarc_event::RecordCutter;
///
/// let mut cutter = RecordCutter::new(1 << 20);
/// let mut records = Vec::new();
/// for mut piece in ["{\"a\": 1}\n{\"b\"", ": 2}\n"].map(str::as_bytes) {
///     while let Some(record) = cutter.next(&mut piece) {
///         records.push((record.line, record.bytes?.into_owned()));
///     }
/// }
/// while let Some(record) = cutter.finish() {
///     records.push((record.line, record.bytes?.into_owned()));
/// }
/// assert_eq!(records, [(1, b"{\"a\": 1}".to_vec()), (2, b"{\"b\": 2}".to_vec())]);
/// # Ok::<(), reflexarc_event::RecordError>(())
/// ```
#[derive(Debug)]
pub struct RecordCutter {
    /// Maximum length of a record in bytes.
    limit: usize,
    /// The line of the next byte, from 1.
    line: u64,
    state: State,
    /// The line or array element that the input so far ends in.
    partial: Partial,
    /// Complete lines that belong to later records.
    lookahead: VecDeque<Line<'static>>,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// The line on which it begins, from 1.
    pub line: u64,
    /// Its bytes, or why there are none.
    pub bytes: Result<Cow<'a, [u8]>, RecordError>,
}

/// Why a record could not be cut.
///
/// ```
/// use reflexarc_event::{RecordCutter, RecordError};
///
/// let mut cutter = RecordCutter::lines(8);
/// let mut input = &b"{\"a\": \"too long\"}\n"[..];
/// let record = cutter.next(&mut input).expect("a line");
/// assert_eq!(record.bytes, Err(RecordError::TooLong { limit: 8 }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// It is longer than the limit.
    #[error("the event has more than the {limit} bytes allowed")]
    TooLong {
        /// The maximum length in bytes.
        limit: usize,
    },
    /// Nothing between two commas of the array.
    #[error("missing array element")]
    MissingElement,
    /// The input ends before the `]` of the array.
    #[error("unexpected end of input inside the array")]
    UnclosedArray,
    /// Something other than white space after the `]` of the array.
    #[error("unexpected text after the end of the array")]
    TextAfterArray,
}

/// The lines of NDJSON that is in memory, without the blank ones, each with its number from 1.
/// There is no limit: an event made of a line has one.
///
/// ```
/// use reflexarc_event::ndjson_lines;
///
/// let lines: Vec<_> = ndjson_lines(b"{\"a\": 1}\n\n{\"a\": 2}\n").collect();
/// assert_eq!(lines[0].1.as_ref(), b"{\"a\": 1}");
/// assert_eq!(lines[1].0, 3);
/// ```
pub fn ndjson_lines(mut text: &[u8]) -> impl Iterator<Item = (u64, Cow<'_, [u8]>)> {
    let mut cutter = RecordCutter::lines(usize::MAX);
    std::iter::from_fn(move || {
        let record = cutter.next(&mut text).or_else(|| cutter.finish())?;
        // The only error is a line that is too long, and this cutter has no limit.
        Some((record.line, record.bytes.ok()?))
    })
}

/// Where in the layout the next byte is.
#[derive(Debug)]
enum State {
    /// At the beginning, after so many bytes of a byte order mark.
    ByteOrderMark(usize),
    /// Before the first byte that is not white space.
    Beginning,
    /// In the first line.
    FirstLine,
    /// After a first line that is not a whole JSON value: `{` alone begins a document, but `{"a":`
    /// may also be a broken line of NDJSON. The next line decides.
    SecondLine {
        first: Line<'static>,
        nesting: Nesting,
    },
    /// One record per line.
    Lines,
    /// Between documents, each of one or more lines.
    Documents,
    /// In a document.
    InDocument {
        document: Line<'static>,
        nesting: Nesting,
    },
    /// In XML or HTML, which is not read: one record, so that it is one error.
    InMarkup { markup: Line<'static> },
    /// After a broken document: looking for the next line that begins with `{`.
    SkippingToObject,
    /// Before an element of the array.
    BeforeElement,
    /// In an element that began on this line.
    InElement { line: u64, nesting: Nesting },
    /// After the array; the line on which there is other text.
    AfterArray { text: Option<u64> },
}

const BYTE_ORDER_MARK: [u8; 3] = *b"\xef\xbb\xbf";

impl RecordCutter {
    /// Finds out the layout; skips a byte order mark.
    pub fn new(limit: usize) -> Self {
        Self::in_state(limit, State::ByteOrderMark(0))
    }

    /// Takes every line for a record; blank lines are skipped.
    pub fn lines(limit: usize) -> Self {
        Self::in_state(limit, State::Lines)
    }

    /// The next record that ends within `input`, which is advanced beyond it; `None` when the input
    /// is used up. Call it with the next piece of input then, or call [`RecordCutter::finish`] at
    /// the end.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Option<Record<'a>> {
        loop {
            match &mut self.state {
                State::Lines => {
                    let line = self.next_line(input)?;
                    if line.is_blank(self.limit) {
                        continue;
                    }
                    return Some(line.into_record(self.limit));
                }
                State::FirstLine
                | State::SecondLine { .. }
                | State::Documents
                | State::InDocument { .. }
                | State::InMarkup { .. }
                | State::SkippingToObject => {
                    let line = self.next_line(input)?.into_owned();
                    if let Some(record) = self.add_line(line) {
                        return Some(record);
                    }
                }
                State::ByteOrderMark(known) => {
                    let (first, rest) = input.split_first()?;
                    if BYTE_ORDER_MARK.get(*known) == Some(first) {
                        *known += 1;
                        *input = rest;
                        if *known < BYTE_ORDER_MARK.len() {
                            continue;
                        }
                    } else {
                        // The bytes so far were the beginning of something else.
                        let known = *known;
                        self.partial.extend(&BYTE_ORDER_MARK[..known], self.limit);
                        if known > 0 {
                            self.state = State::FirstLine;
                            continue;
                        }
                    }
                    self.state = State::Beginning;
                }
                State::Beginning => {
                    self.state = if self.skip_white_space(input)? == b'[' {
                        *input = &input[1..];
                        State::BeforeElement
                    } else {
                        State::FirstLine
                    };
                }
                State::BeforeElement => {
                    self.state = if self.skip_white_space(input)? == b']' {
                        *input = &input[1..];
                        State::AfterArray { text: None }
                    } else {
                        State::InElement {
                            line: self.line,
                            nesting: Nesting::default(),
                        }
                    };
                }
                State::InElement { .. } => return self.element(input),
                State::AfterArray { .. } => {
                    self.skip_white_space(input)?;
                    if let State::AfterArray { text } = &mut self.state {
                        text.get_or_insert(self.line);
                    }
                    *input = &[];
                    return None;
                }
            }
        }
    }

    /// The next record that the end of the input completes; `None` when there are no more.
    pub fn finish(&mut self) -> Option<Record<'static>> {
        loop {
            if let Some(record) = self.next(&mut &[][..]) {
                return Some(record);
            }
            // The last line needs no line break.
            if self.is_cut_by_lines()
                && let Some(line) = self.partial.take(self.line)
            {
                self.lookahead.push_back(line);
                continue;
            }
            let limit = self.limit;
            return match std::mem::replace(&mut self.state, State::Lines) {
                State::ByteOrderMark(known) if known > 0 => {
                    self.partial.extend(&BYTE_ORDER_MARK[..known], limit);
                    continue;
                }
                State::SecondLine { first, .. } => Some(first.into_record(limit)),
                State::InDocument { document, .. } => Some(document.into_record(limit)),
                State::InMarkup { markup } => Some(markup.into_record(limit)),
                State::BeforeElement => Some(Record {
                    line: self.line,
                    bytes: Err(RecordError::UnclosedArray),
                }),
                State::InElement { line, .. } => {
                    self.partial = Partial::default();
                    Some(Record {
                        line,
                        bytes: Err(RecordError::UnclosedArray),
                    })
                }
                State::AfterArray { text: Some(line) } => Some(Record {
                    line,
                    bytes: Err(RecordError::TextAfterArray),
                }),
                _ => None,
            };
        }
    }

    /// The line of the next byte, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    fn in_state(limit: usize, state: State) -> Self {
        Self {
            limit,
            line: 1,
            state,
            partial: Partial::default(),
            lookahead: VecDeque::new(),
        }
    }

    fn is_cut_by_lines(&self) -> bool {
        !matches!(
            self.state,
            State::ByteOrderMark(_)
                | State::BeforeElement
                | State::InElement { .. }
                | State::AfterArray { .. }
        )
    }

    /// Takes a line where what came before decides what it is.
    fn add_line(&mut self, line: Line<'static>) -> Option<Record<'static>> {
        let limit = self.limit;
        let blank = line.is_blank(limit);
        match std::mem::replace(&mut self.state, State::Lines) {
            State::InDocument { document, nesting }
                if nesting.in_string() || !nesting.can_continue_with(&line.bytes) =>
            {
                self.lookahead.push_front(line);
                self.state = State::SkippingToObject;
                Some(document.into_record(limit))
            }
            State::InDocument {
                mut document,
                mut nesting,
            } => {
                nesting.feed(&line.bytes);
                document.append(&line, limit);
                self.document(document, nesting)
            }
            State::InMarkup { mut markup } => {
                if line.bytes.starts_with(b"{") || line.bytes.starts_with(b"[") {
                    self.lookahead.push_front(line);
                    self.state = State::FirstLine;
                    return Some(markup.into_record(limit));
                }
                markup.append(&line, limit);
                self.state = State::InMarkup { markup };
                None
            }
            // All others skip blank lines.
            state if blank => {
                self.state = state;
                None
            }
            State::FirstLine if line.bytes.trim_ascii_start().starts_with(b"<") => {
                self.state = State::InMarkup { markup: line };
                None
            }
            State::FirstLine => {
                let nesting = Nesting::of(&line.bytes);
                if nesting.is_open() && !nesting.in_string() {
                    self.state = State::SecondLine {
                        first: line,
                        nesting,
                    };
                    return None;
                }
                Some(line.into_record(limit))
            }
            State::SecondLine { first, nesting } => {
                if nesting.can_continue_with(&line.bytes) {
                    self.state = State::Documents;
                }
                self.lookahead.extend([first, line]);
                None
            }
            State::SkippingToObject => {
                if line.bytes.starts_with(b"{") {
                    self.lookahead.push_front(line);
                    self.state = State::Documents;
                } else {
                    self.state = State::SkippingToObject;
                }
                None
            }
            State::Documents => {
                let nesting = Nesting::of(&line.bytes);
                self.document(line, nesting)
            }
            _ => Some(line.into_record(limit)),
        }
    }

    /// The document, if it is complete.
    fn document(&mut self, document: Line<'static>, nesting: Nesting) -> Option<Record<'static>> {
        if nesting.is_open() {
            self.state = State::InDocument { document, nesting };
            return None;
        }
        self.state = State::Documents;
        Some(document.into_record(self.limit))
    }

    /// An element of the array: the bytes up to the next `,` or `]` outside nested brackets.
    fn element<'a>(&mut self, input: &mut &'a [u8]) -> Option<Record<'a>> {
        let State::InElement { line, nesting } = &mut self.state else {
            return None;
        };
        let mut end = None;
        for (at, byte) in input.iter().enumerate() {
            if !nesting.is_open() && matches!(byte, b',' | b']') {
                end = Some(at);
                break;
            }
            self.line += u64::from(*byte == b'\n');
            // JSON strings contain no line breaks. An unclosed string ends here, so that it does
            // not swallow the elements after it.
            if *byte == b'\n' && nesting.in_string() {
                nesting.close_string();
            }
            nesting.feed(&[*byte]);
        }
        let number = *line;
        let Some(end) = end else {
            self.partial.extend(input, self.limit);
            *input = &[];
            return None;
        };
        let element = self.partial.complete(number, &input[..end], self.limit);
        self.state = if input[end] == b']' {
            State::AfterArray { text: None }
        } else {
            State::BeforeElement
        };
        *input = &input[end + 1..];
        let record = element.into_record(self.limit);
        Some(match &record.bytes {
            Ok(bytes) if bytes.trim_ascii().is_empty() => Record {
                bytes: Err(RecordError::MissingElement),
                ..record
            },
            _ => record,
        })
    }

    /// The next line; `None` when the input is used up before its end.
    fn next_line<'a>(&mut self, input: &mut &'a [u8]) -> Option<Line<'a>> {
        if let Some(line) = self.lookahead.pop_front() {
            return Some(line);
        }
        let Some(end) = memchr::memchr(b'\n', input) else {
            self.partial.extend(input, self.limit);
            *input = &[];
            return None;
        };
        let mut line = self.partial.complete(self.line, &input[..end], self.limit);
        line.drop_carriage_return();
        *input = &input[end + 1..];
        self.line += 1;
        Some(line)
    }

    /// The next byte that is not white space, which stays in the input.
    fn skip_white_space(&mut self, input: &mut &[u8]) -> Option<u8> {
        while let Some((byte, rest)) = input.split_first() {
            if !byte.is_ascii_whitespace() {
                return Some(*byte);
            }
            self.line += u64::from(*byte == b'\n');
            *input = rest;
        }
        None
    }
}

#[cfg(test)]
mod tests;
