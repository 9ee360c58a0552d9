//! One pass over the bytes of an event: is it JSON, and which scalars stand at used paths?
//!
//! Every byte is checked, also where no pattern looks. The scan only says *that* something is wrong; the precise fault is
//! then named by `Json::parse_within`, so that there is one authority on it.

#![expect(
    clippy::inline_always,
    reason = "these are the steps of one loop; calls between them cost a third of the scan"
)]

use super::observed::{Kind, Observed};
use super::trie::{ROOT, Trie};
use super::{NONE, escape, sortable, string};

/// The event is not valid JSON, or nested too deeply.
pub(super) struct Fault;

/// Scans a whole event. `observed` has been cleared; it is worthless after a fault.
pub(super) fn scan(
    event: &[u8],
    depth: usize,
    trie: &Trie,
    observed: &mut Observed,
    key: &mut Vec<u8>,
) -> Result<(), Fault> {
    if !event.is_ascii() && std::str::from_utf8(event).is_err() {
        return Err(Fault);
    }
    let mut scan = Scan {
        event,
        trie,
        observed,
        key,
        left: depth,
        element: NONE,
    };
    let start = scan.space(0);
    // Only the members of a top-level object are fields; anything else is checked and has none.
    let node = if scan.byte(start) == b'{' && trie.leads_on(ROOT) {
        ROOT
    } else {
        NONE
    };
    let end = scan.value(start, node)?;
    if scan.space(end) == event.len() {
        Ok(())
    } else {
        Err(Fault)
    }
}

/// The place in the event is an argument and a result everywhere, so that it stays in a register.
struct Scan<'a> {
    event: &'a [u8],
    trie: &'a Trie,
    observed: &'a mut Observed,
    /// Room for a key with escapes.
    key: &'a mut Vec<u8>,
    /// Levels that may still be entered.
    left: usize,
    /// The innermost array element around, or `NONE`.
    element: u32,
}

impl Scan<'_> {
    /// Checks the value at `at` and gives the place behind it, as all of these do.
    #[inline(always)]
    fn value(&mut self, at: usize, node: u32) -> Result<usize, Fault> {
        if self.byte(at) != b'"' {
            return self.other_value(at, node);
        }
        let (end, escaped) = self.string(at)?;
        if node != NONE {
            self.observe_string(node, at + 1, end, escaped);
        }
        Ok(end + 1)
    }

    fn other_value(&mut self, at: usize, node: u32) -> Result<usize, Fault> {
        match self.byte(at) {
            b'{' => {
                self.left = self.left.checked_sub(1).ok_or(Fault)?;
                let node = if node != NONE && self.trie.leads_on(node) {
                    node
                } else {
                    NONE
                };
                let end = self.object(at, node)?;
                self.left += 1;
                Ok(end)
            }
            b'[' => {
                self.left = self.left.checked_sub(1).ok_or(Fault)?;
                let end = self.array(at, node)?;
                self.left += 1;
                Ok(end)
            }
            b'-' | b'0'..=b'9' => self.number(at, node),
            b't' => self.word(at, b"true", Kind::True, node),
            b'f' => self.word(at, b"false", Kind::False, node),
            b'n' => self.word(at, b"null", Kind::Null, node),
            _ => Err(Fault),
        }
    }

    #[inline]
    fn object(&mut self, start: usize, node: u32) -> Result<usize, Fault> {
        let mut at = self.space(start + 1);
        if self.byte(at) == b'}' {
            return Ok(at + 1);
        }
        loop {
            if self.byte(at) != b'"' {
                return Err(Fault);
            }
            let (end, escaped) = self.string(at)?;
            let child = if node == NONE {
                NONE
            } else {
                self.child(node, at + 1, end, escaped)
            };
            at = end + 1;
            if self.byte(at) != b':' {
                at = self.space(at);
                if self.byte(at) != b':' {
                    return Err(Fault);
                }
            }
            at = self.space(at + 1);
            at = self.value(at, child)?;
            if self.byte(at) != b',' {
                at = self.space(at);
                match self.byte(at) {
                    b',' => {}
                    b'}' => return Ok(at + 1),
                    _ => return Err(Fault),
                }
            }
            at = self.space(at + 1);
        }
    }

    #[inline]
    fn array(&mut self, start: usize, node: u32) -> Result<usize, Fault> {
        let mut at = self.space(start + 1);
        if self.byte(at) == b']' {
            return Ok(at + 1);
        }
        let around = self.element;
        let mut array = NONE;
        loop {
            if node != NONE && matches!(self.byte(at), b'{' | b'[') {
                let first = array == NONE;
                if first {
                    array = self.observed.open_array(around);
                }
                self.element = self.observed.open_element(array, first);
                at = self.other_value(at, node)?;
                self.element = around;
            } else {
                at = self.value(at, node)?;
            }
            if self.byte(at) != b',' {
                at = self.space(at);
                match self.byte(at) {
                    b',' => {}
                    b']' => return Ok(at + 1),
                    _ => return Err(Fault),
                }
            }
            at = self.space(at + 1);
        }
    }

    /// Where the string that begins at `at` has its closing quote, and whether there are escapes before it.
    #[inline(always)]
    fn string(&self, at: usize) -> Result<(usize, bool), Fault> {
        let end = string::stop(self.event, at + 1).ok_or(Fault)?;
        if self.event[end] == b'"' {
            Ok((end, false))
        } else {
            self.escaped_string(end)
        }
    }

    /// Goes on with a string from the first byte that it cannot run over.
    #[cold]
    fn escaped_string(&self, mut end: usize) -> Result<(usize, bool), Fault> {
        loop {
            match self.event[end] {
                b'"' => return Ok((end, true)),
                b'\\' => end += escape::length(&self.event[end..]).ok_or(Fault)?,
                _ => return Err(Fault),
            }
            end = string::stop(self.event, end).ok_or(Fault)?;
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
                    escape::decode(raw, text)
                });
        } else {
            self.observed
                .add(slot, Kind::String, (start, end), self.element);
        }
    }

    fn number(&mut self, start: usize, node: u32) -> Result<usize, Fault> {
        let mut at = start + usize::from(self.byte(start) == b'-');
        at = match self.byte(at) {
            b'0' if self.byte(at + 1).is_ascii_digit() => return Err(Fault),
            _ => self.digits(at)?,
        };
        if self.byte(at) == b'.' {
            at = self.digits(at + 1)?;
        }
        if matches!(self.byte(at), b'e' | b'E') {
            at = self.digits(at + 1 + usize::from(matches!(self.byte(at + 1), b'+' | b'-')))?;
        }
        if node != NONE && self.trie.slot(node) != NONE {
            let text = &self.event[start..at];
            let slot = self.trie.slot(node);
            self.observed
                .add_rewritten(slot, Kind::Number, self.element, |out| {
                    sortable::encode(text, out)
                });
        }
        Ok(at)
    }

    /// At least one digit.
    fn digits(&self, start: usize) -> Result<usize, Fault> {
        let mut at = start;
        while self.byte(at).is_ascii_digit() {
            at += 1;
        }
        if at == start { Err(Fault) } else { Ok(at) }
    }

    fn word(&mut self, at: usize, word: &[u8], kind: Kind, node: u32) -> Result<usize, Fault> {
        if !self.event[at..].starts_with(word) {
            return Err(Fault);
        }
        if node != NONE && self.trie.slot(node) != NONE {
            self.observed
                .add(self.trie.slot(node), kind, (0, 0), self.element);
        }
        Ok(at + word.len())
    }

    /// The first place from `at` on that holds no white space.
    #[inline(always)]
    fn space(&self, at: usize) -> usize {
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

    /// The byte at a place; a zero, which nothing accepts, behind the end.
    #[inline(always)]
    fn byte(&self, at: usize) -> u8 {
        self.event.get(at).copied().unwrap_or(0)
    }
}
