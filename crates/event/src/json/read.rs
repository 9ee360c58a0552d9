//! The JSON parser: recursive descent, with the byte offset of the first error. The type that it
//! builds is a [`Value`]: a tree, an outline, or only what detects an envelope.

use std::ops::Range;

use super::{Json, JsonError, JsonErrorKind, escape};

/// A type that the parser builds.
pub(crate) trait Value<'a>: Sized {
    /// The members of an object so far.
    type Members: Default;
    /// The elements of an array so far.
    type Elements: Default;
    fn null() -> Self;
    fn bool(value: bool) -> Self;
    fn number(text: &'a str) -> Self;
    /// `raw` is the text between the quotes; its escape sequences are valid.
    fn string(raw: &'a str) -> Self;
    /// `raw_key` is the text between the quotes of the key; the opening quote is at `key_at`.
    fn member(members: &mut Self::Members, raw_key: &'a str, key_at: usize, value: Self);
    fn element(elements: &mut Self::Elements, value: Self);
    fn object(members: Self::Members) -> Self;
    fn array(elements: Self::Elements) -> Self;
    /// Called for every value with its span.
    #[must_use]
    fn with_span(self, _: Range<usize>) -> Self {
        self
    }
}

/// Parses one document with at most `depth` levels. The parser recurses once per level, so `depth`
/// must not exceed some thousands.
pub(crate) fn read<'a, V: Value<'a>>(bytes: &'a [u8], depth: usize) -> Result<V, JsonError> {
    // Checking UTF-8 first lets the parser slice strings without checking character boundaries.
    let text = std::str::from_utf8(bytes).map_err(|e| JsonError {
        kind: JsonErrorKind::InvalidUtf8,
        offset: e.valid_up_to(),
    })?;
    let mut parser = Parser {
        text,
        bytes,
        at: 0,
        limit: depth,
        left: depth,
    };
    if text.starts_with('\u{feff}') {
        return Err(parser.error(JsonErrorKind::ByteOrderMark));
    }
    parser.skip_space();
    if parser.at == bytes.len() {
        return Err(parser.error(JsonErrorKind::Empty));
    }
    let value = parser.value()?;
    parser.skip_space();
    if parser.at < bytes.len() {
        Err(parser.error(JsonErrorKind::TrailingText))
    } else {
        Ok(value)
    }
}

struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    limit: usize,
    left: usize,
}

impl<'a> Parser<'a> {
    fn value<V: Value<'a>>(&mut self) -> Result<V, JsonError> {
        let start = self.at;
        let value: V = match self.peek() {
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'"') => self.string().map(V::string),
            Some(b'-' | b'0'..=b'9') => self.number().map(V::number),
            Some(b't') => self.keyword("true").map(|()| V::bool(true)),
            Some(b'f') => self.keyword("false").map(|()| V::bool(false)),
            Some(b'n') => self.keyword("null").map(|()| V::null()),
            Some(b'+' | b'.') => Err(self.error(JsonErrorKind::InvalidNumber)),
            _ => Err(self.error(JsonErrorKind::ExpectedValue)),
        }?;
        Ok(value.with_span(start..self.at))
    }

    fn object<V: Value<'a>>(&mut self) -> Result<V, JsonError> {
        self.descend()?;
        let mut members = V::Members::default();
        if self.closes(b'}') {
            return Ok(V::object(members));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.error(JsonErrorKind::ExpectedKey));
            }
            let key_at = self.at;
            let key = self.string()?;
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(self.error(JsonErrorKind::ExpectedColon));
            }
            self.at += 1;
            self.skip_space();
            let value = self.value()?;
            V::member(&mut members, key, key_at, value);
            if self.ends(b'}')? {
                return Ok(V::object(members));
            }
        }
    }

    fn array<V: Value<'a>>(&mut self) -> Result<V, JsonError> {
        self.descend()?;
        let mut elements = V::Elements::default();
        if self.closes(b']') {
            return Ok(V::array(elements));
        }
        loop {
            self.skip_space();
            let value = self.value()?;
            V::element(&mut elements, value);
            if self.ends(b']')? {
                return Ok(V::array(elements));
            }
        }
    }

    /// Consumes the opening bracket.
    fn descend(&mut self) -> Result<(), JsonError> {
        if self.left == 0 {
            return Err(self.error(JsonErrorKind::TooDeep { limit: self.limit }));
        }
        self.left -= 1;
        self.at += 1;
        Ok(())
    }

    /// Consumes the closing bracket, if it is next.
    fn closes(&mut self, bracket: u8) -> bool {
        self.skip_space();
        let closes = self.peek() == Some(bracket);
        if closes {
            self.at += 1;
            self.left += 1;
        }
        closes
    }

    /// Consumes what follows a member or element: true for the closing bracket, false for a comma.
    fn ends(&mut self, bracket: u8) -> Result<bool, JsonError> {
        if self.closes(bracket) {
            return Ok(true);
        }
        if self.peek() != Some(b',') {
            return Err(self.error(JsonErrorKind::ExpectedCommaOrEnd));
        }
        self.at += 1;
        Ok(false)
    }

    /// The text between the quotes; validates every escape sequence.
    fn string(&mut self) -> Result<&'a str, JsonError> {
        self.at += 1;
        let start = self.at;
        loop {
            self.at += plain_length(&self.bytes[self.at..]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(&self.text[start..self.at - 1]);
                }
                Some(b'\\') => self.escape()?,
                Some(0..0x20) => return Err(self.error(JsonErrorKind::ControlCharacter)),
                Some(_) => self.at += 1,
                None => return Err(self.error(JsonErrorKind::UnexpectedEnd)),
            }
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        let lone = JsonError {
            kind: JsonErrorKind::LoneSurrogate,
            offset: start,
        };
        match self.bytes.get(start + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => {
                self.at += 2;
                match self.four_hex(start)? {
                    // Characters beyond U+FFFF are a high and a low surrogate: 😀 is \ud83d\ude00.
                    0xD800..=0xDBFF if self.bytes[self.at..].starts_with(b"\\u") => {
                        let second = self.at;
                        self.at += 2;
                        if (0xDC00..=0xDFFF).contains(&self.four_hex(second)?) {
                            Ok(())
                        } else {
                            Err(lone)
                        }
                    }
                    0xD800..=0xDFFF => Err(lone),
                    _ => Ok(()),
                }
            }
            Some(_) => Err(self.error(JsonErrorKind::InvalidEscape)),
            None => Err(JsonError {
                kind: JsonErrorKind::UnexpectedEnd,
                offset: self.bytes.len(),
            }),
        }
    }

    fn four_hex(&mut self, escape: usize) -> Result<u32, JsonError> {
        let Some(digits) = self.bytes.get(self.at..self.at + 4) else {
            return Err(JsonError {
                kind: JsonErrorKind::UnexpectedEnd,
                offset: self.bytes.len(),
            });
        };
        let mut unit = 0;
        for &digit in digits {
            let Some(value) = char::from(digit).to_digit(16) else {
                return Err(JsonError {
                    kind: JsonErrorKind::InvalidEscape,
                    offset: escape,
                });
            };
            unit = unit * 16 + value;
        }
        self.at += 4;
        Ok(unit)
    }

    fn number(&mut self) -> Result<&'a str, JsonError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        // JSON allows `0` and `0.5`, but not `01`.
        let leading_zero = self.peek() == Some(b'0');
        let whole = self.digits()?;
        if leading_zero && whole > 1 {
            return Err(JsonError {
                kind: JsonErrorKind::InvalidNumber,
                offset: start,
            });
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    /// Consumes at least one digit.
    fn digits(&mut self) -> Result<usize, JsonError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        match (self.at - start, self.peek()) {
            (0, None) => Err(self.error(JsonErrorKind::UnexpectedEnd)),
            (0, Some(_)) => Err(self.error(JsonErrorKind::InvalidNumber)),
            (count, _) => Ok(count),
        }
    }

    fn keyword(&mut self, word: &str) -> Result<(), JsonError> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.error(JsonErrorKind::ExpectedValue));
        }
        self.at += word.len();
        Ok(())
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// An error at the current byte; at the end of the text, any error is "unexpected end".
    fn error(&self, kind: JsonErrorKind) -> JsonError {
        let kind = if self.at >= self.bytes.len() && kind != JsonErrorKind::Empty {
            JsonErrorKind::UnexpectedEnd
        } else {
            kind
        };
        JsonError {
            kind,
            offset: self.at,
        }
    }
}

impl Value<'_> for Json {
    type Members = Vec<(String, Json)>;
    type Elements = Vec<Json>;
    fn null() -> Self {
        Json::Null
    }
    fn bool(value: bool) -> Self {
        Json::Bool(value)
    }
    fn number(text: &str) -> Self {
        Json::Number(text.into())
    }
    fn string(raw: &str) -> Self {
        Json::String(unescape(raw))
    }
    fn member(members: &mut Self::Members, raw_key: &str, _: usize, value: Self) {
        members.push((unescape(raw_key), value));
    }
    fn element(elements: &mut Self::Elements, value: Self) {
        elements.push(value);
    }
    fn object(members: Self::Members) -> Self {
        Json::Object(members)
    }
    fn array(elements: Self::Elements) -> Self {
        Json::Array(elements)
    }
}

/// The number of bytes before the first one that a string cannot have as it is, up to seven too
/// few: a quote, a backslash or a control character.
// Most of an event is the inside of strings: eight bytes at a time, it is validated in half the
// time. For each byte `b` of a word, `b - 1` borrows into its highest bit only if `b` is 0, which
// `b` XOR a byte is where they are equal, and `b - 0x20` only if `b` is below 0x20. Bytes from 0x80
// on, which have that bit themselves, are masked out. A borrow can reach the byte above one that
// was found, but never one below: the first is exact.
pub(super) fn plain_length(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGH: u64 = ONES << 7;
    let is_zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let mut length = 0;
    let (words, _) = bytes.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word);
        let quote = is_zero(word ^ (ONES * u64::from(b'"')));
        let backslash = is_zero(word ^ (ONES * u64::from(b'\\')));
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let found = quote | backslash | control;
        if found != 0 {
            return length + found.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    length
}

/// Decodes a string whose escape sequences are valid.
pub(crate) fn unescape(raw: &str) -> String {
    if !raw.contains('\\') {
        return raw.to_owned();
    }
    let mut bytes = Vec::new();
    escape::decode(raw.as_bytes(), &mut bytes);
    String::from_utf8(bytes).expect("decoded text is text")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::plain_length;

    /// The bytes that are looked for, and their neighbours.
    const SPECIAL: &[u8; 13] = b"\"\\\n\x1f\x20\x21\x23\x5b\x5d\x00\x7f\x80\xff";

    proptest! {
        #[test]
        fn the_length_of_plain_text_equals_the_naive_twin(
            bytes in prop::collection::vec(prop_oneof![
                4 => b'a'..=b'z',
                1 => any::<u8>(),
                1 => prop::sample::select(SPECIAL.as_slice()),
            ], 0..40),
        ) {
            let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
            let naive = bytes.iter().position(special).unwrap_or(bytes.len());
            // Bytes that do not fill a word are left to the loop over single ones.
            let expected = naive.min(bytes.len() / 8 * 8);
            prop_assert_eq!(plain_length(&bytes), expected);
        }
    }
}
