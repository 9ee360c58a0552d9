//! One pass over the bytes of an event that collects the scalars at used paths.
//!
//! There are two variants of the same walk. For unknown bytes it also validates: every byte is
//! checked, including the parts that no pattern uses. It only detects *that* something is wrong;
//! the parser in the `event` crate then locates the error. For an event that was validated when it
//! was read it checks nothing again, and passes over objects and arrays that no pattern uses by
//! counting brackets.

// Example. The patterns use `level` and `content.eniId`, so the trie of paths is
//
//     ROOT ── level (slot 0)
//      └───── content ── eniId (slot 1)
//
// and the event is {"level": "INFO", "content": {"tags": [{"k": 1}], "eniId": "eni-1"}, "x": 3}.
// The walk follows event and trie together. `node` is the position in the trie, or NONE once a key
// is not in it:
//
//     "level"    ROOT → level     the string is added to slot 0, as a range of the event's bytes
//     "content"  ROOT → content   has no slot, but children: its members are compared with them
//     "tags"     content → NONE   nothing below can be used: validated, or skipped if validated
//     "eniId"    content → eniId  added to slot 1
//     "x"        ROOT → NONE      nothing to add

#![expect(
    clippy::inline_always,
    reason = "these are the steps of one loop; calls between them cost a third of the scan"
)]

use super::observed::{Kind, Observed};
use super::trie::{ROOT, Trie};
use super::{NONE, escape, string};
use crate::Decimal;

/// The bytes are not valid JSON in UTF-8, or nested too deeply.
#[derive(Debug)]
pub(super) struct Invalid;

/// Scans and validates a document with at most `depth` levels. `observed` must have been cleared;
/// its content is useless after an error.
pub(super) fn scan(
    event: &[u8],
    depth: usize,
    trie: &Trie,
    observed: &mut Observed,
    key: &mut Vec<u8>,
) -> Result<(), Invalid> {
    // Once for the whole text: a check per string would cost its setup dozens of times an event.
    // Most events are ASCII, and that check runs at the speed of memory.
    if !event.is_ascii() && std::str::from_utf8(event).is_err() {
        return Err(Invalid);
    }
    Scan::<true> {
        event,
        trie,
        observed,
        key,
        levels: depth,
        element: NONE,
    }
    .document()
}

/// Scans an event that has been validated, at any depth: its depth was limited when it was
/// validated.
pub(super) fn scan_validated(
    event: &[u8],
    trie: &Trie,
    observed: &mut Observed,
    key: &mut Vec<u8>,
) {
    let scanned = Scan::<false> {
        event,
        trie,
        observed,
        key,
        levels: usize::MAX,
        element: NONE,
    }
    .document();
    scanned.expect("the event was validated when it was read");
}

/// The position in the event is an argument and a result everywhere, so that it stays in a register
/// instead of being stored and loaded through `self`.
///
/// `VALIDATE` is a compile-time constant, so that each variant has only its own checks. The variant
/// without validation still returns errors where a check costs nothing and makes the loops end; a
/// validated event never causes one.
struct Scan<'a, const VALIDATE: bool> {
    event: &'a [u8],
    trie: &'a Trie,
    observed: &'a mut Observed,
    /// Buffer for a key with escapes.
    key: &'a mut Vec<u8>,
    /// Levels that may still be entered.
    levels: usize,
    /// The innermost array element around the position, or `NONE`.
    element: u32,
}

impl<const VALIDATE: bool> Scan<'_, VALIDATE> {
    fn document(&mut self) -> Result<(), Invalid> {
        let start = self.space(0);
        // Only the members of a top-level object are fields; any other document has none.
        let node = if self.byte(start) == b'{' && self.trie.has_children(ROOT) {
            ROOT
        } else {
            NONE
        };
        let end = self.value(start, node)?;
        if self.space(end) == self.event.len() {
            Ok(())
        } else {
            Err(Invalid)
        }
    }

    /// Scans the value at `at` and returns the position after it, as do all methods below.
    #[inline(always)]
    fn value(&mut self, at: usize, node: u32) -> Result<usize, Invalid> {
        // Strings first and inline: they are most of the values of an event.
        if self.byte(at) != b'"' {
            return self.other_value(at, node);
        }
        let (end, escaped) = self.string(at)?;
        if node != NONE {
            self.observe_string(node, at + 1, end, escaped);
        }
        Ok(end + 1)
    }

    fn other_value(&mut self, at: usize, node: u32) -> Result<usize, Invalid> {
        match self.byte(at) {
            b'{' => {
                let node = if node != NONE && self.trie.has_children(node) {
                    node
                } else {
                    NONE
                };
                if !VALIDATE && node == NONE {
                    return self.skip(at);
                }
                self.enter()?;
                let end = self.object(at, node)?;
                self.levels += 1;
                Ok(end)
            }
            b'[' => {
                if !VALIDATE && node == NONE {
                    return self.skip(at);
                }
                self.enter()?;
                let end = self.array(at, node)?;
                self.levels += 1;
                Ok(end)
            }
            b'-' | b'0'..=b'9' => self.number(at, node),
            b't' => self.word(at, b"true", Kind::True, node),
            b'f' => self.word(at, b"false", Kind::False, node),
            b'n' => self.word(at, b"null", Kind::Null, node),
            _ => Err(Invalid),
        }
    }

    fn enter(&mut self) -> Result<(), Invalid> {
        self.levels = self.levels.checked_sub(1).ok_or(Invalid)?;
        Ok(())
    }

    /// Passes over an object or array of a validated event. Outside of strings, brackets are the
    /// only bytes that matter, and those of the two kinds are known to pair up.
    fn skip(&self, start: usize) -> Result<usize, Invalid> {
        let (mut at, mut open) = (start, 0usize);
        loop {
            match self.event.get(at).ok_or(Invalid)? {
                b'"' => at = self.string(at)?.0,
                b'{' | b'[' => open += 1,
                b'}' | b']' => {
                    open -= 1;
                    if open == 0 {
                        return Ok(at + 1);
                    }
                }
                _ => {}
            }
            at += 1;
        }
    }

    #[inline]
    fn object(&mut self, start: usize, node: u32) -> Result<usize, Invalid> {
        let mut at = self.space(start + 1);
        if self.byte(at) == b'}' {
            return Ok(at + 1);
        }
        loop {
            if self.byte(at) != b'"' {
                return Err(Invalid);
            }
            let (end, escaped) = self.string(at)?;
            let child = if node == NONE {
                NONE
            } else {
                self.child(node, at + 1, end, escaped)
            };
            at = end + 1;
            // Compact JSON has no space before colons and commas, so it is only looked for when the
            // expected byte is not there.
            if self.byte(at) != b':' {
                at = self.space(at);
                if self.byte(at) != b':' {
                    return Err(Invalid);
                }
            }
            at = self.space(at + 1);
            at = self.value(at, child)?;
            if self.byte(at) != b',' {
                at = self.space(at);
                match self.byte(at) {
                    b',' => {}
                    b'}' => return Ok(at + 1),
                    _ => return Err(Invalid),
                }
            }
            at = self.space(at + 1);
        }
    }

    #[inline]
    fn array(&mut self, start: usize, node: u32) -> Result<usize, Invalid> {
        let mut at = self.space(start + 1);
        if self.byte(at) == b']' {
            return Ok(at + 1);
        }
        let outer = self.element;
        let mut array = NONE;
        loop {
            // Only elements that are objects or arrays tie their values together, and only those on
            // used paths are numbered: a long array of scalars costs nothing here.
            if node != NONE && matches!(self.byte(at), b'{' | b'[') {
                let first = array == NONE;
                if first {
                    array = self.observed.open_array(outer);
                }
                self.element = self.observed.open_element(array, first);
                at = self.other_value(at, node)?;
                self.element = outer;
            } else {
                at = self.value(at, node)?;
            }
            if self.byte(at) != b',' {
                at = self.space(at);
                match self.byte(at) {
                    b',' => {}
                    b']' => return Ok(at + 1),
                    _ => return Err(Invalid),
                }
            }
            at = self.space(at + 1);
        }
    }

    /// The position of the closing quote of the string that begins at `at`, and whether the string
    /// contains escapes.
    #[inline(always)]
    fn string(&self, at: usize) -> Result<(usize, bool), Invalid> {
        let end = string::stop::<VALIDATE>(self.event, at + 1).ok_or(Invalid)?;
        if self.event[end] == b'"' {
            Ok((end, false))
        } else {
            self.escaped_string(end)
        }
    }

    /// Continues a string from its first byte that is not plain text.
    #[cold]
    fn escaped_string(&self, mut end: usize) -> Result<(usize, bool), Invalid> {
        loop {
            match self.event[end] {
                b'"' => return Ok((end, true)),
                b'\\' if VALIDATE => end += escape::length(&self.event[end..]).ok_or(Invalid)?,
                // Two bytes are enough to get past a quote or backslash; the digits of a `\u`
                // escape that follow are plain text.
                b'\\' => end += 2,
                _ => return Err(Invalid),
            }
            end = string::stop::<VALIDATE>(self.event, end).ok_or(Invalid)?;
        }
    }

    #[inline(always)]
    fn child(&mut self, node: u32, start: usize, end: usize, escaped: bool) -> u32 {
        let key = &self.event[start..end];
        if !escaped {
            return self.trie.step(node, key);
        }
        self.key.clear();
        escape::decode(key, self.key);
        self.trie.step(node, self.key)
    }

    #[inline(always)]
    fn observe_string(&mut self, node: u32, start: usize, end: usize, escaped: bool) {
        let slot = self.trie.slot(node);
        if slot == NONE {
            return;
        }
        if escaped {
            let raw = &self.event[start..end];
            self.observed
                .add_rewritten(slot, Kind::String, self.element, |text| {
                    escape::decode(raw, text);
                });
        } else {
            self.observed
                .add(slot, Kind::String, (start, end), self.element);
        }
    }

    fn number(&mut self, start: usize, node: u32) -> Result<usize, Invalid> {
        let end = if VALIDATE {
            self.valid_number(start)?
        } else {
            let part = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
            start + self.event[start..].iter().take_while(part).count()
        };
        if node != NONE && self.trie.slot(node) != NONE {
            let text = &self.event[start..end];
            let slot = self.trie.slot(node);
            self.observed
                .add_rewritten(slot, Kind::Number, self.element, |out| {
                    Decimal::write_sort_key(text, out);
                });
        }
        Ok(end)
    }

    fn valid_number(&self, start: usize) -> Result<usize, Invalid> {
        let mut at = start + usize::from(self.byte(start) == b'-');
        at = match self.byte(at) {
            b'0' if self.byte(at + 1).is_ascii_digit() => return Err(Invalid),
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
    fn digits(&self, start: usize) -> Result<usize, Invalid> {
        let mut at = start;
        while self.byte(at).is_ascii_digit() {
            at += 1;
        }
        if at == start { Err(Invalid) } else { Ok(at) }
    }

    fn word(&mut self, at: usize, word: &[u8], kind: Kind, node: u32) -> Result<usize, Invalid> {
        if VALIDATE && !self.event[at..].starts_with(word) {
            return Err(Invalid);
        }
        if node != NONE && self.trie.slot(node) != NONE {
            self.observed
                .add(self.trie.slot(node), kind, (0, 0), self.element);
        }
        Ok(at + word.len())
    }

    /// The first position from `at` on that is not white space.
    #[inline(always)]
    fn space(&self, at: usize) -> usize {
        // Every byte that can follow is above the space character, so one comparison settles the
        // common case that there is none.
        if self.byte(at) > b' ' {
            at
        } else {
            self.some_space(at)
        }
    }

    fn some_space(&self, at: usize) -> usize {
        let rest = self.event.get(at..).unwrap_or_default();
        let length = rest
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
            .count();
        at + length
    }

    /// The byte at a position; after the end zero, which no rule of the grammar accepts.
    #[inline(always)]
    fn byte(&self, at: usize) -> u8 {
        self.event.get(at).copied().unwrap_or(0)
    }
}
