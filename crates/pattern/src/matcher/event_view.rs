//! One event as rules see it: its bytes and the values that the scan collected.

use super::observed::{Observed, Value};
use super::program::{Op, Ops};

/// The event and its observed values.
#[derive(Clone, Copy)]
pub(super) struct EventView<'a> {
    /// The JSON text; empty for an event that was visited value by value.
    pub(super) event: &'a [u8],
    pub(super) observed: &'a Observed,
}

impl<'a> EventView<'a> {
    /// The text of a string with its escapes decoded, or the sort key of a number; empty for
    /// other values.
    #[inline]
    pub(super) fn bytes(self, value: &Value) -> &'a [u8] {
        self.observed.bytes(value, self.event)
    }

    /// Whether any field of the operations has a value inside an array element, so that the fields
    /// cannot be evaluated independently of each other.
    pub(super) fn ties_elements(self, mut ops: Ops) -> bool {
        ops.any(|op| self.ties_elements_of(op))
    }

    /// Whether any field of the operation has a value inside an array element.
    pub(super) fn ties_elements_of(self, op: Op) -> bool {
        match op {
            Op::All(ops) | Op::Any(ops) | Op::Not(ops) => self.ties_elements(ops),
            Op::Missing(slot) | Op::In(slot, _) | Op::Out(slot, _) | Op::Field(slot, _) => {
                self.observed.has_element_values(slot)
            }
        }
    }
}

/// The text of a string value.
///
/// The bytes are valid UTF-8, because the whole event was validated and a value is cut at ASCII
/// quotes. Checking again is the price of no `unsafe`; it is paid only by predicates that need
/// characters (ignoring case, regular expressions, IPv6), once a value and predicate.
pub(super) fn as_str(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}
