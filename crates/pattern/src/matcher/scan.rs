//! One pass over the bytes of an event that collects the scalars at used paths.
//!
//! The pass is [`walk`] of the event crate, which also validates unknown bytes; this is what it
//! visits. For an event of unknown form the same pass can detect the envelope.

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

use std::ops::Range;

use reflexarc_event::EnvelopeDetector;
use reflexarc_event::walk::{InvalidJson, Keyword, Visitor, decode, walk, walk_validated};

use super::NONE;
use super::observed::{Kind, Observed};
use super::trie::{ROOT, Trie};
use crate::Decimal;

/// Scans and validates a document with at most `depth` levels. `observed` must have been cleared;
/// its content is useless after an error.
pub(super) fn scan(
    event: &[u8],
    depth: usize,
    trie: &Trie,
    observed: &mut Observed,
    key: &mut Vec<u8>,
) -> Result<(), InvalidJson> {
    // Once for the whole text: a check per string would cost its setup dozens of times an event.
    // Most events are ASCII, and that check runs at the speed of memory.
    if !event.is_ascii() && std::str::from_utf8(event).is_err() {
        return Err(InvalidJson);
    }
    let mut scan = Scan::new(event, trie, observed, key);
    walk(event, depth, scan.root(), &mut scan)
}

/// Scans an event that has been validated, at any depth: its depth was limited when it was
/// validated.
pub(super) fn scan_validated(
    event: &[u8],
    trie: &Trie,
    observed: &mut Observed,
    key: &mut Vec<u8>,
) {
    let mut scan = Scan::new(event, trie, observed, key);
    let scanned = walk_validated(event, scan.root(), &mut scan);
    scanned.expect("the event was validated when it was read");
}

/// As [`scan`], and whether it is an event that needs no conversion to the native form.
pub(super) fn scan_native(
    event: &str,
    depth: usize,
    trie: &Trie,
    observed: &mut Observed,
    key: &mut Vec<u8>,
) -> Result<bool, InvalidJson> {
    let scan = Scan::new(event.as_bytes(), trie, observed, key);
    let root = (scan.root(), EnvelopeDetector::ROOT);
    let mut both = Both(scan, EnvelopeDetector::new(event));
    walk(event.as_bytes(), depth, root, &mut both)?;
    Ok(both.1.is_native())
}

/// Collects the scalars at used paths. A place is a node of the trie.
struct Scan<'a> {
    event: &'a [u8],
    trie: &'a Trie,
    observed: &'a mut Observed,
    /// Buffer for a key with escapes.
    key: &'a mut Vec<u8>,
    /// The innermost array element around the position, or `NONE`.
    element: u32,
}

/// An array on a used path.
struct Array {
    /// The innermost array element around the array, or `NONE`.
    outer: u32,
    /// Its number, or `NONE` before its first element that is an object or an array.
    number: u32,
}

impl<'a> Scan<'a> {
    fn new(
        event: &'a [u8],
        trie: &'a Trie,
        observed: &'a mut Observed,
        key: &'a mut Vec<u8>,
    ) -> Self {
        Self {
            event,
            trie,
            observed,
            key,
            element: NONE,
        }
    }

    /// The place of the outermost value: only the members of an object are fields.
    fn root(&self) -> u32 {
        let first = self.event.iter().find(|byte| !byte.is_ascii_whitespace());
        if first == Some(&b'{') { ROOT } else { NONE }
    }
}

impl Visitor for Scan<'_> {
    type Place = u32;
    type Array = Array;
    const OUTSIDE: u32 = NONE;

    #[inline(always)]
    fn is_outside(node: u32) -> bool {
        node == NONE
    }

    #[inline(always)]
    fn member(&mut self, node: u32, key: Range<usize>, escaped: bool) -> u32 {
        let key = &self.event[key];
        if !escaped {
            return self.trie.step(node, key);
        }
        self.key.clear();
        decode(key, self.key);
        self.trie.step(node, self.key)
    }

    #[inline(always)]
    fn string(&mut self, node: u32, text: Range<usize>, escaped: bool) {
        let slot = self.trie.slot(node);
        if slot == NONE {
            return;
        }
        if escaped {
            let raw = &self.event[text];
            self.observed
                .add_rewritten(slot, Kind::String, self.element, |text| decode(raw, text));
        } else {
            let span = (text.start, text.end);
            self.observed.add(slot, Kind::String, span, self.element);
        }
    }

    #[inline]
    fn number(&mut self, node: u32, text: Range<usize>) {
        let slot = self.trie.slot(node);
        if slot != NONE {
            let text = &self.event[text];
            self.observed
                .add_rewritten(slot, Kind::Number, self.element, |out| {
                    Decimal::write_sort_key(text, out);
                });
        }
    }

    #[inline]
    fn keyword(&mut self, node: u32, keyword: Keyword) {
        let slot = self.trie.slot(node);
        if slot != NONE {
            let kind = match keyword {
                Keyword::Null => Kind::Null,
                Keyword::True => Kind::True,
                Keyword::False => Kind::False,
            };
            self.observed.add(slot, kind, (0, 0), self.element);
        }
    }

    #[inline]
    fn begin_object(&mut self, node: u32) -> u32 {
        if self.trie.has_children(node) {
            node
        } else {
            NONE
        }
    }

    #[inline]
    fn begin_array(&mut self, node: u32) -> (u32, Array) {
        let array = Array {
            outer: self.element,
            number: NONE,
        };
        (node, array)
    }

    // Only elements that are objects or arrays tie their values together, and only those on used
    // paths are numbered: a long array of scalars costs nothing here.
    #[inline]
    fn begin_element(&mut self, array: &mut Array) {
        let first = array.number == NONE;
        if first {
            array.number = self.observed.open_array(array.outer);
        }
        self.element = self.observed.open_element(array.number, first);
    }

    #[inline]
    fn end_element(&mut self, array: &mut Array) {
        self.element = array.outer;
    }
}

/// Two visitors in one walk.
struct Both<A, B>(A, B);

impl<A: Visitor, B: Visitor> Visitor for Both<A, B> {
    type Place = (A::Place, B::Place);
    type Array = (Option<A::Array>, Option<B::Array>);
    const OUTSIDE: Self::Place = (A::OUTSIDE, B::OUTSIDE);

    #[inline(always)]
    fn is_outside((a, b): Self::Place) -> bool {
        A::is_outside(a) && B::is_outside(b)
    }

    #[inline(always)]
    fn member(&mut self, (a, b): Self::Place, key: Range<usize>, escaped: bool) -> Self::Place {
        let a = if A::is_outside(a) {
            a
        } else {
            self.0.member(a, key.clone(), escaped)
        };
        let b = if B::is_outside(b) {
            b
        } else {
            self.1.member(b, key, escaped)
        };
        (a, b)
    }

    #[inline(always)]
    fn string(&mut self, (a, b): Self::Place, text: Range<usize>, escaped: bool) {
        if !A::is_outside(a) {
            self.0.string(a, text.clone(), escaped);
        }
        if !B::is_outside(b) {
            self.1.string(b, text, escaped);
        }
    }

    fn number(&mut self, (a, b): Self::Place, text: Range<usize>) {
        if !A::is_outside(a) {
            self.0.number(a, text.clone());
        }
        if !B::is_outside(b) {
            self.1.number(b, text);
        }
    }

    fn keyword(&mut self, (a, b): Self::Place, keyword: Keyword) {
        if !A::is_outside(a) {
            self.0.keyword(a, keyword);
        }
        if !B::is_outside(b) {
            self.1.keyword(b, keyword);
        }
    }

    fn begin_object(&mut self, (a, b): Self::Place) -> Self::Place {
        let a = if A::is_outside(a) {
            a
        } else {
            self.0.begin_object(a)
        };
        let b = if B::is_outside(b) {
            b
        } else {
            self.1.begin_object(b)
        };
        (a, b)
    }

    fn end_object(&mut self, (a, b): Self::Place) {
        if !A::is_outside(a) {
            self.0.end_object(a);
        }
        if !B::is_outside(b) {
            self.1.end_object(b);
        }
    }

    fn begin_array(&mut self, (a, b): Self::Place) -> (Self::Place, Self::Array) {
        let (a, of_a) = if A::is_outside(a) {
            (a, None)
        } else {
            let (element, array) = self.0.begin_array(a);
            (element, Some(array))
        };
        let (b, of_b) = if B::is_outside(b) {
            (b, None)
        } else {
            let (element, array) = self.1.begin_array(b);
            (element, Some(array))
        };
        ((a, b), (of_a, of_b))
    }

    fn begin_element(&mut self, (a, b): &mut Self::Array) {
        if let Some(array) = a {
            self.0.begin_element(array);
        }
        if let Some(array) = b {
            self.1.begin_element(array);
        }
    }

    fn end_element(&mut self, (a, b): &mut Self::Array) {
        if let Some(array) = a {
            self.0.end_element(array);
        }
        if let Some(array) = b {
            self.1.end_element(array);
        }
    }

    fn end_array(&mut self, (a, b): Self::Place, (of_a, of_b): Self::Array) {
        if let Some(array) = of_a {
            self.0.end_array(a, array);
        }
        if let Some(array) = of_b {
            self.1.end_array(b, array);
        }
    }

    #[inline(always)]
    fn space(&mut self) {
        self.0.space();
        self.1.space();
    }
}
