//! The scalars of one event at used paths, and the array elements that contain them.

// Example. The patterns use `level` (slot 0) and `a.k` (slot 1), the event is
// {"level": "WARN", "a": [{"k": 1}, {"k": 2}, {}]}.
//
//     values     0: slot 0, string, bytes 11..15    no element    next NONE
//                1: slot 1, number, rewritten       element 0     next 2
//                2: slot 1, number, rewritten       element 1     next NONE
//     slots      0: head 0, tail 0                  1: head 1, tail 2
//     elements   0: array 0, first     1: array 0     2: array 0
//     arrays     0: no element around it
//
// The values of one slot are a linked list through `next`, because they come in the order of the
// text, mixed with those of other slots. The elements and arrays are the forest that `membership`
// and `conjunction` walk.

use std::cell::Cell;

use super::NONE;

/// The scalars at used paths, in the order of the text. The memory is kept from event to event.
#[derive(Debug, Default)]
pub(super) struct Observed {
    values: Vec<Value>,
    slots: Vec<Slot>,
    elements: Vec<Element>,
    /// By array, the element around it, or `NONE`.
    arrays: Vec<u32>,
    /// Texts that are not in the event as they are: decoded strings, and numbers as a sort key.
    text: Vec<u8>,
    /// The number of the event. A slot of another generation is empty, so that clearing does not
    /// touch the slots: there may be thousands, of which an event has a few.
    generation: u32,
    /// Whether any value lies in an array element.
    in_element: bool,
}

/// One scalar.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) slot: u32,
    pub(super) kind: Kind,
    /// Whether `start..end` is a range of `Observed::text` and not of the event.
    rewritten: bool,
    start: u32,
    end: u32,
    /// The innermost array element that contains it, or `NONE`.
    pub(super) element: u32,
    /// The next value of the same slot, or `NONE`.
    next: u32,
    /// The id of the exact value, once looked up: it is hashed once, however many rules
    /// need it.
    pub(super) key: Cell<Key>,
}

/// The kind of a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    String,
    Number,
    Null,
    True,
    False,
}

/// Which of the exact values in the patterns a scalar equals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// Not looked up yet.
    Unknown,
    /// None of them.
    Other,
    /// The one with this predicate id.
    Is(u32),
}

/// An element that is an object or array, in an array on a used path. Elements are numbered in the
/// order of the text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element {
    pub(super) array: u32,
    /// Whether it is the first such element of its array.
    pub(super) first: bool,
}

#[derive(Debug, Default, Clone, Copy)]
struct Slot {
    generation: u32,
    head: u32,
    tail: u32,
    in_element: bool,
}

impl Observed {
    /// Removes the values of the last event and makes room for the slots of a matcher.
    pub(super) fn clear(&mut self, slots: usize) {
        self.values.clear();
        self.elements.clear();
        self.arrays.clear();
        self.text.clear();
        self.in_element = false;
        if self.slots.len() < slots {
            self.slots.resize(slots, Slot::default());
        }
        self.generation = self.generation.wrapping_add(1);
        // After 2³² events the numbers start again, and old slots could look current.
        if self.generation == 0 {
            self.slots.fill(Slot::default());
            self.generation = 1;
        }
    }

    /// Adds a scalar whose text is the range `start..end` of the event (a string without its
    /// quotes).
    #[inline]
    pub(super) fn add(
        &mut self,
        slot: u32,
        kind: Kind,
        (start, end): (usize, usize),
        element: u32,
    ) {
        self.push(slot, kind, false, (start, end), element);
    }

    /// Adds a scalar whose text is appended by `write`.
    pub(super) fn add_rewritten(
        &mut self,
        slot: u32,
        kind: Kind,
        element: u32,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = self.text.len();
        write(&mut self.text);
        let end = self.text.len();
        self.push(slot, kind, true, (start, end), element);
    }

    /// Adds an array inside `element` and returns its number.
    pub(super) fn open_array(&mut self, element: u32) -> u32 {
        self.arrays.push(element);
        number(self.arrays.len() - 1)
    }

    /// Adds an element of an array and returns its number.
    pub(super) fn open_element(&mut self, array: u32, first: bool) -> u32 {
        self.elements.push(Element { array, first });
        number(self.elements.len() - 1)
    }

    /// Every scalar, in the order of the text.
    pub(super) fn values(&self) -> &[Value] {
        &self.values
    }

    /// The scalars of one slot, in the order of the text.
    #[inline]
    pub(super) fn at(&self, slot: u32) -> At<'_> {
        let slot = &self.slots[slot as usize];
        At {
            values: &self.values,
            next: if slot.generation == self.generation {
                slot.head
            } else {
                NONE
            },
        }
    }

    /// Whether the slot has no scalar.
    #[inline]
    pub(super) fn is_missing(&self, slot: u32) -> bool {
        self.slots[slot as usize].generation != self.generation
    }

    /// Whether `value` is the first of its slot, and whether it is the only one.
    #[inline]
    pub(super) fn first_and_only(&self, index: usize) -> (bool, bool) {
        let slot = &self.slots[self.values[index].slot as usize];
        (slot.head as usize == index, slot.head == slot.tail)
    }

    /// Whether any value of the slot lies in an array element.
    #[inline]
    pub(super) fn has_element_values(&self, slot: u32) -> bool {
        let slot = &self.slots[slot as usize];
        slot.generation == self.generation && slot.in_element
    }

    /// Whether any value lies in an array element.
    #[inline]
    pub(super) fn any_in_elements(&self) -> bool {
        self.in_element
    }

    /// The elements, in the order of the text.
    pub(super) fn elements(&self) -> &[Element] {
        &self.elements
    }

    /// By array, the element around it, or `NONE`.
    pub(super) fn arrays(&self) -> &[u32] {
        &self.arrays
    }

    /// The decoded text of a string, or the sort key of a number; empty for other values.
    #[inline]
    pub(super) fn bytes<'a>(&'a self, value: &Value, event: &'a [u8]) -> &'a [u8] {
        let source = if value.rewritten { &self.text } else { event };
        &source[value.start as usize..value.end as usize]
    }

    #[expect(
        clippy::inline_always,
        reason = "a step of the scan's loop, as `add` is"
    )]
    #[inline(always)]
    fn push(
        &mut self,
        slot: u32,
        kind: Kind,
        rewritten: bool,
        (start, end): (usize, usize),
        element: u32,
    ) {
        let index = number(self.values.len());
        let key = Cell::new(Key::Unknown);
        let (start, end) = (number(start), number(end));
        self.values.push(Value {
            slot,
            kind,
            rewritten,
            start,
            end,
            element,
            next: NONE,
            key,
        });
        let in_element = element != NONE;
        self.in_element |= in_element;
        let slot = &mut self.slots[slot as usize];
        if slot.generation == self.generation {
            self.values[slot.tail as usize].next = index;
            slot.tail = index;
            slot.in_element |= in_element;
        } else {
            *slot = Slot {
                generation: self.generation,
                head: index,
                tail: index,
                in_element,
            };
        }
    }
}

/// The scalars of one slot.
pub(super) struct At<'a> {
    values: &'a [Value],
    next: u32,
}

impl<'a> Iterator for At<'a> {
    type Item = &'a Value;

    #[inline]
    fn next(&mut self) -> Option<&'a Value> {
        let value = self.values.get(self.next as usize)?;
        self.next = value.next;
        Some(value)
    }
}

/// A count or position as `u32`. An event has less than 4 GiB, and whatever is counted here takes
/// at least one byte of it.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "longer events are rejected before the scan"
)]
fn number(count: usize) -> u32 {
    count as u32
}
