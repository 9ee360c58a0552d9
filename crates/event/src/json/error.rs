//! Where a text goes wrong.

use std::fmt;

use reflexarc_diagnostic::Code;

/// Where and why a text is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonError {
    /// What is wrong.
    pub kind: JsonErrorKind,
    /// The byte it is wrong at; the length of the text where it ends too early.
    pub offset: usize,
}

/// What can be wrong with a JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum JsonErrorKind {
    /// There is nothing but white space.
    Empty,
    /// The text begins with U+FEFF, as some editors have it.
    ByteOrderMark,
    /// The text ends inside a value.
    UnexpectedEnd,
    /// A value was expected: `NaN`, a stray comma, a single quote …
    ExpectedValue,
    /// A member needs a string as its key.
    ExpectedKey,
    /// A `:` was expected after a key.
    ExpectedColon,
    /// A `,` or the closing bracket was expected.
    ExpectedCommaOrEnd,
    /// A number is spelt in a way that JSON does not know: `01`, `+1`, `1.`, `.5`.
    InvalidNumber,
    /// A backslash is followed by something that is no escape.
    InvalidEscape,
    /// `\ud800`–`\udfff` without its other half.
    LoneSurrogate,
    /// A control character inside a string is not escaped.
    ControlCharacter,
    /// The bytes are not UTF-8.
    InvalidUtf8,
    /// More levels than allowed.
    TooDeep {
        /// How many are allowed.
        limit: usize,
    },
    /// Something follows the document.
    TrailingText,
}

impl fmt::Display for JsonErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "there is no JSON here, only white space",
            Self::ByteOrderMark => {
                "the text begins with a byte order mark, which JSON does not allow"
            }
            Self::UnexpectedEnd => "the JSON ends too early",
            Self::ExpectedValue => "a JSON value was expected",
            Self::ExpectedKey => "a key in double quotes was expected",
            Self::ExpectedColon => "a `:` was expected after the key",
            Self::ExpectedCommaOrEnd => "a `,` or the closing bracket was expected",
            Self::InvalidNumber => "this is not how JSON spells a number",
            Self::InvalidEscape => "this is not a JSON escape",
            Self::LoneSurrogate => "half of a surrogate pair stands alone",
            Self::ControlCharacter => "a control character inside a string must be escaped",
            Self::InvalidUtf8 => "the bytes are not UTF-8",
            Self::TooDeep { limit } => {
                return write!(f, "more than {limit} levels of arrays and objects");
            }
            Self::TrailingText => "something follows the JSON document",
        })
    }
}

impl JsonErrorKind {
    /// The diagnostic code of the fault in an event, and what to do about it.
    pub(crate) fn advice(self) -> (Code, &'static str) {
        match self {
            Self::InvalidUtf8 => (Code::EVENT_NOT_UTF8, "encode the event as UTF-8"),
            Self::TooDeep { .. } => (Code::EVENT_TOO_DEEP, "send a flatter document"),
            Self::Empty => (Code::EVENT_NOT_JSON, "an event is one JSON object"),
            Self::ByteOrderMark => (
                Code::EVENT_NOT_JSON,
                "save the text as UTF-8 without a byte order mark",
            ),
            Self::UnexpectedEnd => (Code::EVENT_NOT_JSON, "was the event cut off?"),
            Self::ExpectedValue => (
                Code::EVENT_NOT_JSON,
                "a value is an object, an array, a string in double quotes, a number, true, false or null; NaN, \
                 Infinity and a comma before a closing bracket are not JSON",
            ),
            Self::ExpectedKey => (
                Code::EVENT_NOT_JSON,
                "JSON has no comments, no trailing commas and no bare keys",
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
                "the escapes are \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\u with four hexadecimal digits",
            ),
            Self::LoneSurrogate => (
                Code::EVENT_NOT_JSON,
                "write both halves, \\ud83d\\ude00, or the character itself",
            ),
            Self::ControlCharacter => (Code::EVENT_NOT_JSON, "write \\n, \\t or \\u00XX"),
            Self::TrailingText => (
                Code::EVENT_NOT_JSON,
                "one document is one event; put events on lines of their own",
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

/// Line and column of a byte, both counted from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line, ended by a line feed.
    pub line: usize,
    /// The character within the line.
    pub column: usize,
}

impl Position {
    /// Where the byte at `offset` stands; an offset beyond the text counts as its end. The text need not be UTF-8.
    pub fn of(text: &[u8], offset: usize) -> Self {
        let before = &text[..offset.min(text.len())];
        let start = before
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1);
        let line = before.split(|&byte| byte == b'\n').count();
        // A byte 10xxxxxx goes on with the character before it.
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
    /// Line and column of the fault in the text that was read.
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
