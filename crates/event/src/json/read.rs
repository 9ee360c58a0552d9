//! Reading: one recursive descent over the bytes that names the byte where a text goes wrong. What it makes of the
//! values is for a [`Value`]: a tree, an outline, or hardly anything.

use std::ops::Range;

use super::{Json, JsonError, JsonErrorKind};

/// What a reading makes of a value.
pub(crate) trait Value<'a>: Sized {
    /// The members of an object so far.
    type Members: Default;
    /// The elements of an array so far.
    type Elements: Default;
    fn null() -> Self;
    fn bool(value: bool) -> Self;
    fn number(text: &'a str) -> Self;
    /// `raw` is the text between the quotes, its escapes already checked.
    fn string(raw: &'a str) -> Self;
    /// `raw_key` is the text between the quotes of the key, which start at `key_at`.
    fn member(members: &mut Self::Members, raw_key: &'a str, key_at: usize, value: Self);
    fn element(elements: &mut Self::Elements, value: Self);
    fn object(members: Self::Members) -> Self;
    fn array(elements: Self::Elements) -> Self;
    /// Told for every value where it stands in the text.
    #[must_use]
    fn at(self, _: Range<usize>) -> Self {
        self
    }
}

/// Reads one document with at most `depth` levels. The stack grows with the depth that is allowed, so `depth` is to
/// stay in the thousands.
pub(crate) fn read<'a, V: Value<'a>>(bytes: &'a [u8], depth: usize) -> Result<V, JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|e| JsonError {
        kind: JsonErrorKind::InvalidUtf8,
        offset: e.valid_up_to(),
    })?;
    let mut reader = Reader {
        text,
        bytes,
        at: 0,
        limit: depth,
        left: depth,
    };
    if text.starts_with('\u{feff}') {
        return Err(reader.fault(JsonErrorKind::ByteOrderMark));
    }
    reader.skip_space();
    if reader.at == bytes.len() {
        return Err(reader.fault(JsonErrorKind::Empty));
    }
    let value = reader.value()?;
    reader.skip_space();
    if reader.at < bytes.len() {
        Err(reader.fault(JsonErrorKind::TrailingText))
    } else {
        Ok(value)
    }
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    limit: usize,
    left: usize,
}

impl<'a> Reader<'a> {
    fn value<V: Value<'a>>(&mut self) -> Result<V, JsonError> {
        let start = self.at;
        let value: V = match self.peek() {
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'"') => self.string().map(V::string),
            Some(b'-' | b'0'..=b'9') => self.number().map(V::number),
            Some(b't') => self.word("true").map(|()| V::bool(true)),
            Some(b'f') => self.word("false").map(|()| V::bool(false)),
            Some(b'n') => self.word("null").map(|()| V::null()),
            Some(b'+' | b'.') => Err(self.fault(JsonErrorKind::InvalidNumber)),
            _ => Err(self.fault(JsonErrorKind::ExpectedValue)),
        }?;
        Ok(value.at(start..self.at))
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
                return Err(self.fault(JsonErrorKind::ExpectedKey));
            }
            let key_at = self.at;
            let key = self.string()?;
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(self.fault(JsonErrorKind::ExpectedColon));
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

    /// Steps over the opening bracket.
    fn descend(&mut self) -> Result<(), JsonError> {
        if self.left == 0 {
            return Err(self.fault(JsonErrorKind::TooDeep { limit: self.limit }));
        }
        self.left -= 1;
        self.at += 1;
        Ok(())
    }

    /// Steps over the closing bracket of an empty array or object, if it is there.
    fn closes(&mut self, bracket: u8) -> bool {
        self.skip_space();
        let closes = self.peek() == Some(bracket);
        if closes {
            self.at += 1;
            self.left += 1;
        }
        closes
    }

    /// Steps over what follows a member or element: true for the closing bracket, false for a comma.
    fn ends(&mut self, bracket: u8) -> Result<bool, JsonError> {
        if self.closes(bracket) {
            return Ok(true);
        }
        if self.peek() != Some(b',') {
            return Err(self.fault(JsonErrorKind::ExpectedCommaOrEnd));
        }
        self.at += 1;
        Ok(false)
    }

    /// The text between the quotes, with every escape checked.
    fn string(&mut self) -> Result<&'a str, JsonError> {
        self.at += 1;
        let start = self.at;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(&self.text[start..self.at - 1]);
                }
                Some(b'\\') => self.escape()?,
                Some(0..0x20) => return Err(self.fault(JsonErrorKind::ControlCharacter)),
                Some(_) => self.at += 1,
                None => return Err(self.fault(JsonErrorKind::UnexpectedEnd)),
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
            Some(_) => Err(self.fault(JsonErrorKind::InvalidEscape)),
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

    /// Steps over at least one digit.
    fn digits(&mut self) -> Result<usize, JsonError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        match (self.at - start, self.peek()) {
            (0, None) => Err(self.fault(JsonErrorKind::UnexpectedEnd)),
            (0, Some(_)) => Err(self.fault(JsonErrorKind::InvalidNumber)),
            (count, _) => Ok(count),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), JsonError> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.fault(JsonErrorKind::ExpectedValue));
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

    /// A fault here; at the end of the text every expectation becomes "ends too early".
    fn fault(&self, kind: JsonErrorKind) -> JsonError {
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

/// Decodes a string whose escapes have been checked.
pub(crate) fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let (unit, used) = match rest.as_bytes()[at + 1] {
            b'b' => ('\u{8}', 2),
            b'f' => ('\u{c}', 2),
            b'n' => ('\n', 2),
            b'r' => ('\r', 2),
            b't' => ('\t', 2),
            b'u' => unicode(&rest[at..]),
            other => (char::from(other), 2),
        };
        text.push(unit);
        rest = &rest[at + used..];
    }
    text.push_str(rest);
    text
}

/// The character of a checked `\uXXXX` or surrogate pair, and how many bytes spell it.
fn unicode(escape: &str) -> (char, usize) {
    let unit = |at: usize| u32::from_str_radix(&escape[at..at + 4], 16).unwrap_or(0);
    let first = unit(2);
    if (0xD800..=0xDBFF).contains(&first) {
        let point = 0x10000 + ((first - 0xD800) << 10) + (unit(8) - 0xDC00);
        (
            char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER),
            12,
        )
    } else {
        (
            char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER),
            6,
        )
    }
}
