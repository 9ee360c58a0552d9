//! Text in quotes: escapes, and where in the source a character of the decoded text stands.

use reflexarc_diagnostic::{Code, Diagnostic, Span};

/// Decodes the text in quotes at `span`, which the grammar has found whole.
///
/// # Errors
/// With every escape and control character that JSON does not allow.
pub(super) fn decode(source: &str, span: &Span) -> Result<String, Vec<Diagnostic>> {
    let mut text = String::new();
    let mut faults = Vec::new();
    for piece in Pieces::of(source, span) {
        match piece.character {
            Ok(character) => text.push(character),
            Err(message) => faults
                .push(Diagnostic::error(Code::BAD_STRING, piece.span, message).with_help(HELP)),
        }
    }
    if faults.is_empty() {
        Ok(text)
    } else {
        Err(faults)
    }
}

/// The place in the source of the bytes `inner` of the decoded text at `span`; the whole of it if they are not found.
pub(super) fn locate(source: &str, span: &Span, inner: &Span) -> Span {
    let mut offset = 0;
    let mut found: Option<Span> = None;
    for piece in Pieces::of(source, span) {
        let length = piece.character.map_or(0, char::len_utf8);
        if offset < inner.end && offset + length > inner.start {
            found = Some(found.map_or(piece.span.start, |span| span.start)..piece.span.end);
        }
        offset += length;
    }
    found.unwrap_or_else(|| span.clone())
}

const HELP: &str = "the escapes are \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\uXXXX";

struct Piece {
    span: Span,
    character: Result<char, &'static str>,
}

/// The characters of a text in quotes, each with its place.
struct Pieces<'s> {
    source: &'s str,
    at: usize,
    end: usize,
}

impl<'s> Pieces<'s> {
    fn of(source: &'s str, span: &Span) -> Self {
        Self {
            source,
            at: span.start + 1,
            end: span.end - 1,
        }
    }

    /// The code unit of a `\uXXXX` at `at`.
    fn unit(&self, at: usize) -> Option<u32> {
        let digits = self
            .source
            .get(at..(at + 6).min(self.end))?
            .strip_prefix("\\u")?;
        let well_formed =
            digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        if well_formed {
            u32::from_str_radix(digits, 16).ok()
        } else {
            None
        }
    }

    fn escape(&self) -> (usize, Result<char, &'static str>) {
        let simple = match self.source.as_bytes().get(self.at + 1) {
            Some(b'u') => return self.unicode(),
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            _ => {
                let length = self.source[self.at + 1..self.end]
                    .chars()
                    .next()
                    .map_or(0, char::len_utf8);
                return (
                    1 + length,
                    Err("this is no escape; a backslash itself is written `\\\\`"),
                );
            }
        };
        (2, Ok(simple))
    }

    fn unicode(&self) -> (usize, Result<char, &'static str>) {
        let Some(first) = self.unit(self.at) else {
            return (2, Err("`\\u` needs four hexadecimal digits"));
        };
        if let Some(character) = char::from_u32(first) {
            return (6, Ok(character));
        }
        let pair = self
            .unit(self.at + 6)
            .filter(|second| first < 0xDC00 && (0xDC00..0xE000).contains(second));
        let Some(second) = pair else {
            return (6, Err("half of a surrogate pair stands alone"));
        };
        let point = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        (12, char::from_u32(point).ok_or("this is no character"))
    }
}

impl Iterator for Pieces<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        if self.at >= self.end {
            return None;
        }
        let start = self.at;
        let character = self.source[start..self.end].chars().next()?;
        let (length, character) = match character {
            '\\' => self.escape(),
            '\0'..='\u{1f}' => (1, Err("a control character inside text must be escaped")),
            other => (other.len_utf8(), Ok(other)),
        };
        self.at = (start + length).min(self.end);
        Some(Piece {
            span: start..self.at,
            character,
        })
    }
}
