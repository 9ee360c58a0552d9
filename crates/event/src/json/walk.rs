//! One pass over the bytes of a JSON document that tells a visitor what it passes.
//!
//! There are two variants of the same walk. For unknown bytes it also validates: every byte is
//! checked, including the parts that the visitor does not look at. It only detects *that* something
//! is wrong; the parser (`read`) then locates the error. In a document that was validated before it
//! checks nothing again, and passes over objects and arrays outside of the visitor's places by
//! counting brackets.

// Example. A visitor looks for `level` and for the members of `content`, and the document is
// {"level": "INFO", "content": {"tags": [{"k": 1}], "eniId": "eni-1"}, "x": 3}. Places are the
// visitor's own positions, here written as paths:
//
//     begin_object(root)         → root
//     "level"    member(root)    → `level`             string(`level`, 11..15)
//     "content"  member(root)    → `content`           begin_object(`content`) → `content`
//     "tags"     member(content) → OUTSIDE             validated, or skipped if validated before
//     "eniId"    member(content) → `content.eniId`     string(`content.eniId`, …)
//                                                      end_object(`content`)
//     "x"        member(root)    → OUTSIDE             nothing is reported

#![expect(
    clippy::inline_always,
    reason = "these are the steps of one loop; calls between them cost a third of the walk"
)]

use std::ops::Range;

pub use super::escape::decode;
use super::{escape, string_end};

/// What a walk reports, in the order of the text.
///
/// Ranges are positions in the document; those of strings and keys are without the quotes.
pub trait Visitor {
    /// A position in what the visitor looks for: where a value belongs.
    type Place: Copy;
    /// What the visitor keeps of an array while the walk is in it.
    type Array;
    /// The place of all that the visitor does not look at.
    const OUTSIDE: Self::Place;

    /// Whether a place is [`Visitor::OUTSIDE`].
    fn is_outside(place: Self::Place) -> bool;

    /// The place of a member of the object at `object`.
    fn member(&mut self, object: Self::Place, key: Range<usize>, escaped: bool) -> Self::Place;

    /// A string at a place; whether it contains escape sequences.
    fn string(&mut self, place: Self::Place, text: Range<usize>, escaped: bool);

    /// A number at a place.
    fn number(&mut self, place: Self::Place, text: Range<usize>);

    /// A keyword at a place.
    fn keyword(&mut self, place: Self::Place, keyword: Keyword);

    /// An object begins at a place: the place that [`Visitor::member`] gets for its members.
    fn begin_object(&mut self, place: Self::Place) -> Self::Place;

    /// The object whose members are at `object` ends.
    fn end_object(&mut self, _object: Self::Place) {}

    /// An array begins at a place: the place of its elements, and what is kept of the array.
    fn begin_array(&mut self, place: Self::Place) -> (Self::Place, Self::Array);

    /// An element begins that is an object or an array.
    fn begin_element(&mut self, array: &mut Self::Array);

    /// Such an element ends.
    fn end_element(&mut self, _array: &mut Self::Array) {}

    /// The array at a place ends.
    fn end_array(&mut self, _place: Self::Place, _array: Self::Array) {}

    /// There is white space between two tokens, or around the document.
    fn space(&mut self) {}
}

/// A keyword of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keyword {
    /// `null`
    Null,
    /// `true`
    True,
    /// `false`
    False,
}

/// The bytes are not valid JSON, or nested too deeply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidJson;

/// Walks over a document and validates all of it but its UTF-8, which the caller has checked; it
/// has at most `depth` levels. `root` is the place of the outermost value.
///
/// # Errors
/// If [`crate::Json::parse_within`] would report an error. What the visitor got is useless then.
pub fn walk<V: Visitor>(
    document: &[u8],
    depth: usize,
    root: V::Place,
    visitor: &mut V,
) -> Result<(), InvalidJson> {
    Walk::<V, true> {
        document,
        visitor,
        levels: depth,
    }
    .document(root)
}

/// Walks over a document that was validated before, at any depth: it was limited then.
///
/// # Errors
/// In some cases if it was not validated.
pub fn walk_validated<V: Visitor>(
    document: &[u8],
    root: V::Place,
    visitor: &mut V,
) -> Result<(), InvalidJson> {
    Walk::<V, false> {
        document,
        visitor,
        levels: usize::MAX,
    }
    .document(root)
}

/// The position in the document is an argument and a result everywhere, so that it stays in a
/// register instead of being stored and loaded through `self`.
///
/// `VALIDATE` is a compile-time constant, so that each variant has only its own checks. The variant
/// without validation still returns errors where a check costs nothing and makes the loops end; a
/// validated document never causes one.
struct Walk<'a, V, const VALIDATE: bool> {
    document: &'a [u8],
    visitor: &'a mut V,
    /// Levels that may still be entered.
    levels: usize,
}

impl<V: Visitor, const VALIDATE: bool> Walk<'_, V, VALIDATE> {
    fn document(&mut self, root: V::Place) -> Result<(), InvalidJson> {
        let start = self.space(0);
        let end = self.value(start, root)?;
        if self.space(end) == self.document.len() {
            Ok(())
        } else {
            Err(InvalidJson)
        }
    }

    /// Walks over the value at `at` and returns the position after it, as do all methods below.
    #[inline(always)]
    fn value(&mut self, at: usize, place: V::Place) -> Result<usize, InvalidJson> {
        // Strings first and inline: they are most of the values of an event.
        if self.byte(at) != b'"' {
            return self.other_value(at, place);
        }
        let (end, escaped) = self.string(at)?;
        if !V::is_outside(place) {
            self.visitor.string(place, at + 1..end, escaped);
        }
        Ok(end + 1)
    }

    fn other_value(&mut self, at: usize, place: V::Place) -> Result<usize, InvalidJson> {
        match self.byte(at) {
            b'{' => {
                let inside = if V::is_outside(place) {
                    V::OUTSIDE
                } else {
                    self.visitor.begin_object(place)
                };
                if !VALIDATE && V::is_outside(inside) {
                    return self.skip(at);
                }
                self.enter()?;
                let end = self.object(at, inside)?;
                self.levels += 1;
                if !V::is_outside(inside) {
                    self.visitor.end_object(inside);
                }
                Ok(end)
            }
            b'[' => {
                if !VALIDATE && V::is_outside(place) {
                    return self.skip(at);
                }
                self.enter()?;
                let end = if V::is_outside(place) {
                    self.array(at, place, &mut None)?
                } else {
                    let (element, array) = self.visitor.begin_array(place);
                    let mut array = Some(array);
                    let end = self.array(at, element, &mut array)?;
                    if let Some(array) = array {
                        self.visitor.end_array(place, array);
                    }
                    end
                };
                self.levels += 1;
                Ok(end)
            }
            b'-' | b'0'..=b'9' => self.number(at, place),
            b't' => self.keyword(at, b"true", Keyword::True, place),
            b'f' => self.keyword(at, b"false", Keyword::False, place),
            b'n' => self.keyword(at, b"null", Keyword::Null, place),
            _ => Err(InvalidJson),
        }
    }

    fn enter(&mut self) -> Result<(), InvalidJson> {
        self.levels = self.levels.checked_sub(1).ok_or(InvalidJson)?;
        Ok(())
    }

    /// Passes over an object or array of a validated document.
    fn skip(&self, start: usize) -> Result<usize, InvalidJson> {
        skip(self.document, start).ok_or(InvalidJson)
    }

    #[inline]
    fn object(&mut self, start: usize, place: V::Place) -> Result<usize, InvalidJson> {
        let mut at = self.space(start + 1);
        if self.byte(at) == b'}' {
            return Ok(at + 1);
        }
        loop {
            if self.byte(at) != b'"' {
                return Err(InvalidJson);
            }
            let (end, escaped) = self.string(at)?;
            let member = if V::is_outside(place) {
                V::OUTSIDE
            } else {
                self.visitor.member(place, at + 1..end, escaped)
            };
            at = end + 1;
            // Compact JSON has no space before colons and commas, so it is only looked for when the
            // expected byte is not there.
            if self.byte(at) != b':' {
                at = self.space(at);
                if self.byte(at) != b':' {
                    return Err(InvalidJson);
                }
            }
            at = self.space(at + 1);
            at = self.value(at, member)?;
            if self.byte(at) != b',' {
                at = self.space(at);
                match self.byte(at) {
                    b',' => {}
                    b'}' => return Ok(at + 1),
                    _ => return Err(InvalidJson),
                }
            }
            at = self.space(at + 1);
        }
    }

    #[inline]
    fn array(
        &mut self,
        start: usize,
        place: V::Place,
        array: &mut Option<V::Array>,
    ) -> Result<usize, InvalidJson> {
        let mut at = self.space(start + 1);
        if self.byte(at) == b']' {
            return Ok(at + 1);
        }
        loop {
            match array {
                // Scalars are most elements, and the visitor gets them as any other value.
                Some(array) if matches!(self.byte(at), b'{' | b'[') => {
                    self.visitor.begin_element(array);
                    at = self.other_value(at, place)?;
                    self.visitor.end_element(array);
                }
                _ => at = self.value(at, place)?,
            }
            if self.byte(at) != b',' {
                at = self.space(at);
                match self.byte(at) {
                    b',' => {}
                    b']' => return Ok(at + 1),
                    _ => return Err(InvalidJson),
                }
            }
            at = self.space(at + 1);
        }
    }

    /// The position of the closing quote of the string that begins at `at`, and whether the string
    /// contains escapes.
    #[inline(always)]
    fn string(&self, at: usize) -> Result<(usize, bool), InvalidJson> {
        let end = string_end::stop::<VALIDATE>(self.document, at + 1).ok_or(InvalidJson)?;
        if self.document[end] == b'"' {
            Ok((end, false))
        } else {
            self.escaped_string(end)
        }
    }

    /// Continues a string from its first byte that is not plain text.
    #[cold]
    fn escaped_string(&self, mut end: usize) -> Result<(usize, bool), InvalidJson> {
        loop {
            if self.document[end] == b'\\' {
                end = string_end::pass_escaped_quotes::<VALIDATE>(self.document, end);
                end = string_end::stop::<VALIDATE>(self.document, end).ok_or(InvalidJson)?;
            }
            match self.document[end] {
                b'"' => return Ok((end, true)),
                b'\\' if VALIDATE => {
                    end += escape::length(&self.document[end..]).ok_or(InvalidJson)?;
                }
                // Two bytes are enough to get past a quote or backslash; the digits of a `\u`
                // escape that follow are plain text.
                b'\\' => end += 2,
                _ => return Err(InvalidJson),
            }
            end = string_end::stop::<VALIDATE>(self.document, end).ok_or(InvalidJson)?;
        }
    }

    fn number(&mut self, start: usize, place: V::Place) -> Result<usize, InvalidJson> {
        let end = if VALIDATE {
            self.valid_number(start)?
        } else {
            number_end(self.document, start)
        };
        if !V::is_outside(place) {
            self.visitor.number(place, start..end);
        }
        Ok(end)
    }

    fn valid_number(&self, start: usize) -> Result<usize, InvalidJson> {
        let mut at = start + usize::from(self.byte(start) == b'-');
        at = match self.byte(at) {
            b'0' if self.byte(at + 1).is_ascii_digit() => return Err(InvalidJson),
            _ => self.digits(at)?,
        };
        if self.byte(at) == b'.' {
            at = self.digits(at + 1)?;
        }
        if matches!(self.byte(at), b'e' | b'E') {
            at = self.digits(at + 1 + usize::from(matches!(self.byte(at + 1), b'+' | b'-')))?;
        }
        Ok(at)
    }

    /// At least one digit.
    fn digits(&self, start: usize) -> Result<usize, InvalidJson> {
        let mut at = start;
        while self.byte(at).is_ascii_digit() {
            at += 1;
        }
        if at == start {
            Err(InvalidJson)
        } else {
            Ok(at)
        }
    }

    fn keyword(
        &mut self,
        at: usize,
        text: &[u8],
        keyword: Keyword,
        place: V::Place,
    ) -> Result<usize, InvalidJson> {
        if VALIDATE && !self.document[at..].starts_with(text) {
            return Err(InvalidJson);
        }
        if !V::is_outside(place) {
            self.visitor.keyword(place, keyword);
        }
        Ok(at + text.len())
    }

    /// The first position from `at` on that is not white space.
    #[inline(always)]
    fn space(&mut self, at: usize) -> usize {
        // Every byte that can follow is above the space character, so one comparison settles the
        // common case that there is none.
        if self.byte(at) > b' ' {
            return at;
        }
        let end = space_end(self.document, at);
        if end > at {
            self.visitor.space();
        }
        end
    }

    /// The byte at a position; after the end zero, which no rule of the grammar accepts.
    #[inline(always)]
    fn byte(&self, at: usize) -> u8 {
        self.document.get(at).copied().unwrap_or(0)
    }
}

/// The position after the white space that may begin at a position.
pub(crate) fn space_end(document: &[u8], at: usize) -> usize {
    let rest = document.get(at..).unwrap_or_default();
    let length = rest
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
        .count();
    at + length
}

/// The position after the object or array that begins at a position of a validated document.
/// Outside of strings, brackets are the only bytes that matter, and those of the two kinds are
/// known to pair up.
pub(crate) fn skip(document: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut open) = (start, 0usize);
    loop {
        match document.get(at)? {
            b'"' => at = closing_quote(document, at)?.0,
            b'{' | b'[' => open += 1,
            b'}' | b']' => {
                open -= 1;
                if open == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
}

/// The position of the quote that closes the string at a position of a validated document, and
/// whether the string contains escape sequences.
#[inline(always)]
pub(crate) fn closing_quote(document: &[u8], start: usize) -> Option<(usize, bool)> {
    let end = string_end::stop::<false>(document, start + 1)?;
    if document[end] == b'"' {
        Some((end, false))
    } else {
        Some((escaped_closing_quote(document, end)?, true))
    }
}

/// Continues from the first backslash of the string.
fn escaped_closing_quote(document: &[u8], mut end: usize) -> Option<usize> {
    while document[end] != b'"' {
        let passed = string_end::pass_escaped_quotes::<false>(document, end);
        // Two bytes are enough to get past an escape sequence, see `Walk::escaped_string`.
        let from = if passed == end { end + 2 } else { passed };
        end = string_end::stop::<false>(document, from)?;
    }
    Some(end)
}

/// The position after the number at a position of a validated document.
pub(crate) fn number_end(document: &[u8], start: usize) -> usize {
    let part = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    start + document[start..].iter().take_while(part).count()
}
