//! What the scan saw of one event: the scalars at used paths, and the array elements they lie in.

use std::cell::Cell;

use super::NONE;

/// The scalars at used paths, in the order of the text; the storage is kept from event to event.
#[derive(Debug, Default)]
pub(super) struct Observed {
    values: Vec<Value>,
    slots: Vec<Slot>,
    elements: Vec<Element>,
    /// Per array, the element around it, or `NONE`.
    arrays: Vec<u32>,
    /// Texts that do not stand in the event as they are: decoded strings, and numbers in sortable form.
    text: Vec<u8>,
    generation: u32,
    /// Whether any value lies in an array element.
    in_element: bool,
}

/// One scalar.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) slot: u32,
    pub(super) kind: Kind,
    /// Whether `start..end` is a part of `Observed::text` and not of the event.
    rewritten: bool,
    start: u32,
    end: u32,
    /// The innermost array element that ties it, or `NONE`.
    pub(super) element: u32,
    /// The next value of the same slot, or `NONE`.
    next: u32,
    /// The id of the exact value, once looked up.
    pub(super) key: Cell<Key>,
}

/// What kind of scalar it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    String,
    Number,
    Null,
    True,
    False,
}

/// Which exact value of the patterns a scalar is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// Not looked up yet.
    Unknown,
    /// None that any pattern names.
    Other,
    /// This one.
    Is(u32),
}

/// One element of one array that holds used values; elements are numbered in the order of the text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element {
    pub(super) array: u32,
    /// Whether it is the first one of its array that was entered.
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
    /// Forgets the last event.
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
        if self.generation == 0 {
            self.slots.fill(Slot::default());
            self.generation = 1;
        }
    }

    /// Adds a scalar that stands in the event at `start..end` (a string without its quotes).
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

    /// Adds a scalar whose text `write` appends.
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

    /// A new array inside `element`.
    pub(super) fn open_array(&mut self, element: u32) -> u32 {
        self.arrays.push(element);
        number(self.arrays.len() - 1)
    }

    /// A new element of an array.
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

    /// The array elements that hold used values.
    pub(super) fn elements(&self) -> &[Element] {
        &self.elements
    }

    /// Per array, the element around it, or `NONE`.
    pub(super) fn arrays(&self) -> &[u32] {
        &self.arrays
    }

    /// The text of a string, its escapes decoded, or the sortable form of a number; empty for anything else.
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

/// Events are bounded far below 4 GiB, and whatever is counted here takes at least a byte of one.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the scan refuses longer events"
)]
fn number(count: usize) -> u32 {
    count as u32
}
