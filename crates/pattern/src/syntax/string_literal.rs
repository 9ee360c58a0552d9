//! String literals: decodes escapes, and maps positions in the decoded string to the source.

use reflexarc_diagnostic::{Code, Diagnostic, Span};

/// Decodes the string literal at `span`, quotes included, which the grammar has found complete.
///
/// # Errors
/// One diagnostic for each escape sequence or control character that JSON does not allow.
pub(super) fn decode(source: &str, span: &Span) -> Result<String, Vec<Diagnostic>> {
    let mut string = String::new();
    let mut errors = Vec::new();
    for unit in Units::of(source, span) {
        match unit.character {
            Ok(character) => string.push(character),
            Err(message) => errors.push(
                Diagnostic::error(Code::INVALID_STRING, unit.span, message).with_help(ESCAPES),
            ),
        }
    }
    if errors.is_empty() {
        Ok(string)
    } else {
        Err(errors)
    }
}

/// The span in the source of the bytes `inner` of the decoded string; `span` if there is none.
// Needed because an error inside a wildcard or regular expression is found in the decoded string,
// but shown in the source. In `"a\\n**"` the decoded string is `a\n**`; its bytes 3..5 (the stars)
// are bytes 5..7 of the source, since `\\` takes two bytes there.
pub(super) fn locate(source: &str, span: &Span, inner: &Span) -> Span {
    let mut offset = 0;
    let mut located: Option<Span> = None;
    for unit in Units::of(source, span) {
        let length = unit.character.map_or(0, char::len_utf8);
        if offset < inner.end && offset + length > inner.start {
            located = Some(located.map_or(unit.span.start, |span| span.start)..unit.span.end);
        }
        offset += length;
    }
    located.unwrap_or_else(|| span.clone())
}

const ESCAPES: &str = "write a backslash as `\\\\`; the escape sequences are \
                       \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\uXXXX";

/// A character or an escape sequence of a string literal.
struct Unit {
    span: Span,
    /// The decoded character, or the message of an error.
    character: Result<char, &'static str>,
}

/// Iterates over the characters and escape sequences of a string literal.
struct Units<'s> {
    source: &'s str,
    at: usize,
    end: usize,
}

impl<'s> Units<'s> {
    fn of(source: &'s str, span: &Span) -> Self {
        Self {
            source,
            at: span.start + 1,
            end: span.end - 1,
        }
    }

    /// The length and the decoded character of the escape sequence that starts here.
    fn escape(&self) -> (usize, Result<char, &'static str>) {
        let simple = match self.source.as_bytes().get(self.at + 1) {
            Some(b'u') => return self.unicode_escape(),
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
                return (1 + length, Err("invalid escape sequence"));
            }
        };
        (2, Ok(simple))
    }

    /// `\uXXXX`, or two of them: JSON writes characters above U+FFFF as UTF-16 surrogate pairs,
    /// `"\uD83D\uDE00"` is U+1F600.
    fn unicode_escape(&self) -> (usize, Result<char, &'static str>) {
        let Some(first) = self.code_unit(self.at) else {
            return (
                2,
                Err("invalid `\\u` escape: expected four hexadecimal digits"),
            );
        };
        if let Some(character) = char::from_u32(first) {
            return (6, Ok(character));
        }
        let second = self
            .code_unit(self.at + 6)
            .filter(|second| first < 0xDC00 && (0xDC00..0xE000).contains(second));
        let Some(second) = second else {
            return (6, Err("unpaired surrogate"));
        };
        let scalar = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        (12, char::from_u32(scalar).ok_or("invalid character code"))
    }

    /// The UTF-16 code unit of the `\uXXXX` at `at`.
    fn code_unit(&self, at: usize) -> Option<u32> {
        let digits = self
            .source
            .get(at..(at + 6).min(self.end))?
            .strip_prefix("\\u")?;
        // `from_str_radix` alone would accept `+12F`.
        let well_formed =
            digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        if well_formed {
            u32::from_str_radix(digits, 16).ok()
        } else {
            None
        }
    }
}

impl Iterator for Units<'_> {
    type Item = Unit;

    fn next(&mut self) -> Option<Unit> {
        if self.at >= self.end {
            return None;
        }
        let start = self.at;
        let character = self.source[start..self.end].chars().next()?;
        let (length, character) = match character {
            '\\' => self.escape(),
            '\0'..='\u{1f}' => (1, Err("unescaped control character in string")),
            other => (other.len_utf8(), Ok(other)),
        };
        self.at = (start + length).min(self.end);
        Some(Unit {
            span: start..self.at,
            character,
        })
    }
}
