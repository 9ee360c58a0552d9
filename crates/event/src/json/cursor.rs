//! Moving along a text that is known to be valid JSON, without validating it again.

use super::read::unescape;
use super::walk::{closing_quote, number_end, skip, space_end};

/// A place in a text that is valid JSON.
pub(super) struct Cursor<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
}

/// Where a key is, without its quotes.
pub(super) struct Key {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) has_escapes: bool,
}

impl Cursor<'_> {
    /// The key of the next member of an object, if there is one, and goes to its value; otherwise
    /// behind the object.
    pub(super) fn next_key(&mut self) -> Option<Key> {
        self.skip_space();
        if self.peek() == b',' {
            self.at += 1;
            self.skip_space();
        }
        let start = self.at + 1;
        if self.peek() != b'"' {
            // The closing brace.
            self.at += 1;
            return None;
        }
        let (end, has_escapes) = closing_quote(self.text.as_bytes(), self.at)?;
        self.at = end + 1;
        self.skip_space();
        // The colon.
        self.at += 1;
        self.skip_space();
        Some(Key {
            start,
            end,
            has_escapes,
        })
    }

    /// Skips a value. Whether it is a string without escapes.
    pub(super) fn skip_value(&mut self) -> bool {
        let bytes = self.text.as_bytes();
        let (end, is_plain_string) = match self.peek() {
            b'"' => match closing_quote(bytes, self.at) {
                Some((end, has_escapes)) => (Some(end + 1), !has_escapes),
                None => (None, false),
            },
            b'{' | b'[' => (skip(bytes, self.at), false),
            b't' | b'n' => (Some(self.at + 4), false),
            b'f' => (Some(self.at + 5), false),
            _ => (Some(number_end(bytes, self.at)), false),
        };
        // A valid text has an end of each value.
        self.at = end.unwrap_or(bytes.len());
        is_plain_string
    }

    pub(super) fn skip_space(&mut self) {
        // A text that is not printed for people has none.
        if self.peek() <= b' ' {
            self.at = space_end(self.text.as_bytes(), self.at);
        }
    }

    /// The byte at this place; 0 at the end, which is no byte of a valid document.
    pub(super) fn peek(&self) -> u8 {
        self.text
            .as_bytes()
            .get(self.at)
            .copied()
            .unwrap_or_default()
    }
}

/// The result of a function of a key or the inside of a string, without its escapes.
pub(super) fn with_unescaped<T>(raw: &str, has_escapes: bool, of: impl FnOnce(&str) -> T) -> T {
    if has_escapes {
        of(&unescape(raw))
    } else {
        of(raw)
    }
}
