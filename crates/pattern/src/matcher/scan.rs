//! One pass over the bytes of an event: is it JSON, and which scalars stand at used paths?
//!
//! Every byte is checked, also where no pattern looks. The scan only says *that* something is wrong; the precise fault is
//! then named by `Json::parse_within`, so that there is one authority on it.

use super::marks::{Marks, Quotes};
use super::observed::{Kind, Observed};
use super::trie::{ROOT, Trie};
use super::{NONE, escape, sortable};

/// The event is not valid JSON, or nested too deeply.
pub(super) struct Fault;

/// Scans a whole event. `observed` has been cleared; it is worthless after a fault.
pub(super) fn scan(
    event: &[u8],
    depth: usize,
    trie: &Trie,
    marks: &mut Marks,
    observed: &mut Observed,
    key: &mut Vec<u8>,
) -> Result<(), Fault> {
    marks.read(event);
    if !marks.ascii && std::str::from_utf8(event).is_err() {
        return Err(Fault);
    }
    let quotes = marks.quotes();
    let plain = !marks.any_backslash && !marks.any_control;
    let mut scan = Scan { event, at: 0, quotes, marks, plain, trie, observed, key, left: depth, element: NONE };
    scan.skip_space();
    // Only the members of a top-level object are fields; anything else is checked and has none.
    let node = if scan.peek() == Some(b'{') && trie.leads_on(ROOT) { ROOT } else { NONE };
    scan.value(node)?;
    scan.skip_space();
    if scan.at == event.len() { Ok(()) } else { Err(Fault) }
}

struct Scan<'a> {
    event: &'a [u8],
    at: usize,
    quotes: Quotes<'a>,
    marks: &'a Marks,
    /// No string needs a second look: there is neither a backslash nor a control character anywhere.
    plain: bool,
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
    #[inline]
    fn value(&mut self, node: u32) -> Result<(), Fault> {
        match self.peek() {
            Some(b'"') => {
                let span = self.string()?;
                if node != NONE {
                    self.observe_string(node, span);
                }
                Ok(())
            }
            Some(b'{') => self.object(node),
            Some(b'[') => self.array(node),
            Some(b'-' | b'0'..=b'9') => self.number(node),
            Some(b't') => self.word(b"true", Kind::True, node),
            Some(b'f') => self.word(b"false", Kind::False, node),
            Some(b'n') => self.word(b"null", Kind::Null, node),
            _ => Err(Fault),
        }
    }

    fn object(&mut self, node: u32) -> Result<(), Fault> {
        let node = if node != NONE && self.trie.leads_on(node) { node } else { NONE };
        self.enter()?;
        if self.peek() == Some(b'}') {
            return Ok(self.leave());
        }
        loop {
            let (start, end) = self.string()?;
            let child = if node == NONE { NONE } else { self.child(node, start, end) };
            if self.peek() != Some(b':') {
                self.skip_space();
                if self.peek() != Some(b':') {
                    return Err(Fault);
                }
            }
            self.at += 1;
            self.skip_space();
            self.value(child)?;
            if !self.goes_on(b'}')? {
                return Ok(self.leave());
            }
        }
    }

    fn array(&mut self, node: u32) -> Result<(), Fault> {
        self.enter()?;
        if self.peek() == Some(b']') {
            return Ok(self.leave());
        }
        let around = self.element;
        let mut array = NONE;
        loop {
            if node != NONE && matches!(self.peek(), Some(b'{' | b'[')) {
                let first = array == NONE;
                if first {
                    array = self.observed.open_array(around);
                }
                self.element = self.observed.open_element(array, first);
                self.value(node)?;
                self.element = around;
            } else {
                self.value(node)?;
            }
            if !self.goes_on(b']')? {
                return Ok(self.leave());
            }
        }
    }

    /// Steps over an opening bracket and the space after it.
    #[inline]
    fn enter(&mut self) -> Result<(), Fault> {
        self.left = self.left.checked_sub(1).ok_or(Fault)?;
        self.at += 1;
        self.skip_space();
        Ok(())
    }

    /// Steps over a closing bracket.
    #[inline]
    fn leave(&mut self) {
        self.left += 1;
        self.at += 1;
    }

    /// Steps over the comma after a member or element and the space around it; false at the closing bracket.
    #[inline]
    fn goes_on(&mut self, bracket: u8) -> Result<bool, Fault> {
        if self.peek() != Some(b',') {
            self.skip_space();
            if self.peek() == Some(bracket) {
                return Ok(false);
            }
            if self.peek() != Some(b',') {
                return Err(Fault);
            }
        }
        self.at += 1;
        self.skip_space();
        Ok(true)
    }

    /// Steps over a string and gives the span between its quotes.
    #[inline]
    fn string(&mut self) -> Result<(usize, usize), Fault> {
        // The quotes come in order, so the next one must be this string's; anything else is no string.
        if self.quotes.next() != Some(self.at) {
            return Err(Fault);
        }
        let start = self.at + 1;
        let end = self.quotes.next().ok_or(Fault)?;
        self.at = end + 1;
        if !self.plain {
            self.check_string(start, end)?;
        }
        Ok((start, end))
    }

    fn check_string(&self, start: usize, end: usize) -> Result<(), Fault> {
        let sound = !(self.marks.any_control && self.marks.control_in(start, end))
            && (!self.has_escape(start, end) || escape::check(&self.event[start..end]));
        if sound { Ok(()) } else { Err(Fault) }
    }

    #[inline]
    fn has_escape(&self, start: usize, end: usize) -> bool {
        self.marks.any_backslash && self.marks.backslash_in(start, end)
    }

    #[inline]
    fn child(&mut self, node: u32, start: usize, end: usize) -> u32 {
        let key = &self.event[start..end];
        if self.plain || !self.has_escape(start, end) {
            return self.trie.step(node, key);
        }
        self.key.clear();
        escape::decode(key, self.key);
        self.trie.step(node, self.key)
    }

    #[inline]
    fn observe_string(&mut self, node: u32, (start, end): (usize, usize)) {
        let slot = self.trie.slot(node);
        if slot == NONE {
            return;
        }
        if self.plain || !self.has_escape(start, end) {
            self.observed.add(slot, Kind::String, (start, end), self.element);
        } else {
            let raw = &self.event[start..end];
            self.observed.add_rewritten(slot, Kind::String, self.element, |text| escape::decode(raw, text));
        }
    }

    fn number(&mut self, node: u32) -> Result<(), Fault> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
            if matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err(Fault);
            }
        } else {
            self.digits()?;
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
        if node != NONE && self.trie.slot(node) != NONE {
            let text = &self.event[start..self.at];
            let slot = self.trie.slot(node);
            self.observed.add_rewritten(slot, Kind::Number, self.element, |out| sortable::encode(text, out));
        }
        Ok(())
    }

    /// Steps over at least one digit.
    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(Fault) } else { Ok(()) }
    }

    fn word(&mut self, word: &[u8], kind: Kind, node: u32) -> Result<(), Fault> {
        if !self.event[self.at..].starts_with(word) {
            return Err(Fault);
        }
        self.at += word.len();
        if node != NONE && self.trie.slot(node) != NONE {
            self.observed.add(self.trie.slot(node), kind, (0, 0), self.element);
        }
        Ok(())
    }

    #[inline(always)]
    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    #[inline(always)]
    fn peek(&self) -> Option<u8> {
        self.event.get(self.at).copied()
    }
}
