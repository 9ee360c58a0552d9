//! Errors in JSON text and their positions.

use std::fmt;

use reflexarc_diagnostic::Code;

/// Why a text is not JSON, and where.
///
/// ```
/// use reflexarc_event::{Json, JsonErrorKind};
///
/// let error = Json::parse("[1, 02]").expect_err("a leading zero");
/// assert_eq!((error.kind, error.offset), (JsonErrorKind::InvalidNumber, 4));
/// assert_eq!(error.position(b"[1, 02]").column, 5);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonError {
    /// What is wrong.
    pub kind: JsonErrorKind,
    /// The offset in bytes; the length of the text if it ends too early.
    pub offset: usize,
}

/// The kinds of errors in JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum JsonErrorKind {
    /// There is only white space.
    Empty,
    /// The text begins with U+FEFF, as some editors write it.
    ByteOrderMark,
    /// The text ends inside a value.
    UnexpectedEnd,
    /// Something that is not a value: `NaN`, a stray comma, a single quote …
    ExpectedValue,
    /// The key of a member is not a string.
    ExpectedKey,
    /// No `:` after a key.
    ExpectedColon,
    /// Neither a `,` nor the closing bracket after a value.
    ExpectedCommaOrEnd,
    /// A number such as `01`, `+1`, `1.` or `.5`.
    InvalidNumber,
    /// A backslash that does not begin an escape sequence.
    InvalidEscape,
    /// `\ud800`–`\udfff` without the other half of the pair.
    LoneSurrogate,
    /// An unescaped control character in a string.
    ControlCharacter,
    /// The bytes are not UTF-8.
    InvalidUtf8,
    /// More levels than allowed.
    TooDeep {
        /// The maximum depth.
        limit: usize,
    },
    /// Text after the document.
    TrailingText,
}

impl fmt::Display for JsonErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "expected a JSON document, found only white space",
            Self::ByteOrderMark => "unexpected byte order mark",
            Self::UnexpectedEnd => "unexpected end of JSON",
            Self::ExpectedValue => "expected a JSON value",
            Self::ExpectedKey => "expected a key in double quotes",
            Self::ExpectedColon => "expected `:` after the key",
            Self::ExpectedCommaOrEnd => "expected `,` or a closing bracket",
            Self::InvalidNumber => "invalid number",
            Self::InvalidEscape => "invalid escape sequence",
            Self::LoneSurrogate => "unpaired surrogate in an escape sequence",
            Self::ControlCharacter => "unescaped control character in a string",
            Self::InvalidUtf8 => "invalid UTF-8",
            Self::TooDeep { limit } => {
                return write!(f, "more than {limit} levels of arrays and objects");
            }
            Self::TrailingText => "unexpected text after the JSON document",
        })
    }
}

impl JsonErrorKind {
    /// The diagnostic code of the error in an event, and how to fix it.
    pub(crate) fn advice(self) -> (Code, &'static str) {
        match self {
            Self::InvalidUtf8 => (Code::EVENT_NOT_UTF8, "encode the event as UTF-8"),
            Self::TooDeep { .. } => (Code::EVENT_TOO_DEEP, "send a flatter document"),
            Self::Empty => (Code::EVENT_NOT_JSON, "send one JSON object"),
            Self::ByteOrderMark => (
                Code::EVENT_NOT_JSON,
                "save the text as UTF-8 without a byte order mark",
            ),
            Self::UnexpectedEnd => (Code::EVENT_NOT_JSON, "was the event cut off?"),
            Self::ExpectedValue => (
                Code::EVENT_NOT_JSON,
                "write an object, an array, a string in double quotes, a number, true, false or \
                 null; NaN, Infinity and a comma before a closing bracket are not JSON",
            ),
            Self::ExpectedKey => (
                Code::EVENT_NOT_JSON,
                "quote the key; JSON has no comments and no trailing commas",
            ),
            Self::ExpectedColon => (Code::EVENT_NOT_JSON, "write \"key\": value"),
            Self::ExpectedCommaOrEnd => (
                Code::EVENT_NOT_JSON,
                "separate values by commas, close every bracket",
            ),
            Self::InvalidNumber => (
                Code::EVENT_NOT_JSON,
                "write 1, -1, 0.5 or 1e3: no leading zeros, plus or bare dot",
            ),
            Self::InvalidEscape => (
                Code::EVENT_NOT_JSON,
                "use \\\" \\\\ \\/ \\b \\f \\n \\r \\t or \\u with four hexadecimal digits",
            ),
            Self::LoneSurrogate => (
                Code::EVENT_NOT_JSON,
                "write both halves, \\ud83d\\ude00, or the character itself",
            ),
            Self::ControlCharacter => (Code::EVENT_NOT_JSON, "write \\n, \\t or \\u00XX"),
            Self::TrailingText => (
                Code::EVENT_NOT_JSON,
                "send one document per event; with NDJSON, one per line",
            ),
        }
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (byte {})", self.kind, self.offset)
    }
}

impl std::error::Error for JsonError {}

/// Line and column of a byte, both from 1; columns count characters.
///
/// ```
/// use reflexarc_event::Position;
///
/// let position = Position::of("{\n \"é\": x".as_bytes(), 8);
/// assert_eq!(position, Position { line: 2, column: 6 });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line; lines end with a line feed.
    pub line: usize,
    /// The character within the line.
    pub column: usize,
}

impl Position {
    /// The position of the byte at `offset`; an offset beyond the text counts as its end. The text
    /// need not be UTF-8.
    pub fn of(text: &[u8], offset: usize) -> Self {
        let before = &text[..offset.min(text.len())];
        let start = before
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1);
        let line = before.split(|&byte| byte == b'\n').count();
        // In UTF-8, bytes 10xxxxxx continue the character before them and are not counted.
        let column = before[start..]
            .iter()
            .filter(|&&byte| byte & 0xC0 != 0x80)
            .count()
            + 1;
        Self { line, column }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

impl JsonError {
    /// Line and column of the error in the text that was read.
    pub fn position(&self, text: &[u8]) -> Position {
        Position::of(text, self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::Position;

    #[test]
    fn columns_count_characters_and_lines_end_with_a_line_feed() {
        let text = "{\r\n \"é\": x".as_bytes();
        let at = |offset| Position::of(text, offset).to_string();
        assert_eq!(at(0), "line 1, column 1");
        assert_eq!(at(3), "line 2, column 1");
        assert_eq!(at(text.len() - 1), "line 2, column 7");
        assert_eq!(at(4_000), "line 2, column 8");
    }
}
