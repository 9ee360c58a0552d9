//! Does a rule hold where no array of objects is involved? Then each field stands for itself.

use super::observed::{Key, Value};
use super::predicates::{Predicates, Seen};
use super::program::{Alternatives, Op, Ops, literal};

impl Predicates {
    /// Whether all of the operations hold, each by itself.
    #[inline]
    pub(super) fn hold(&self, mut ops: Ops, seen: Seen) -> bool {
        ops.all(|op| self.holds(op, seen))
    }

    /// Whether the operation holds by itself.
    pub(super) fn holds(&self, op: Op, seen: Seen) -> bool {
        match op {
            Op::All(ops) => self.hold(ops, seen),
            Op::Any(mut ops) => ops.any(|op| self.holds(op, seen)),
            Op::Not(ops) => !self.hold(ops, seen),
            Op::Missing(slot) => seen.observed.is_missing(slot),
            Op::In(slot, ids) => seen
                .observed
                .at(slot)
                .any(|value| self.is_one_of(ids, value, seen)),
            Op::Out(slot, ids) => seen
                .observed
                .at(slot)
                .any(|value| !self.is_one_of(ids, value, seen)),
            Op::Field(slot, alternatives) if alternatives.is_any_value() => {
                !seen.observed.is_missing(slot)
            }
            Op::Field(slot, alternatives) => seen
                .observed
                .at(slot)
                .any(|value| self.meets_one(alternatives, value, seen)),
        }
    }

    /// Whether one value is what a field (`In`, `Out` or `Field`) asks for.
    #[inline]
    pub(super) fn meets_field(&self, op: Op, value: &Value, seen: Seen) -> bool {
        match op {
            Op::In(_, ids) => self.is_one_of(ids, value, seen),
            Op::Out(_, ids) => !self.is_one_of(ids, value, seen),
            Op::Field(_, alternatives) => self.meets_one(alternatives, value, seen),
            Op::All(_) | Op::Any(_) | Op::Not(_) | Op::Missing(_) => false,
        }
    }

    #[inline]
    fn is_one_of(&self, ids: &[u32], value: &Value, seen: Seen) -> bool {
        match self.key(value, seen) {
            Key::Is(id) => ids.contains(&id),
            Key::Other | Key::Unknown => false,
        }
    }

    #[inline]
    fn meets_one(&self, mut alternatives: Alternatives, value: &Value, seen: Seen) -> bool {
        alternatives.is_any_value()
            || alternatives.any(|literals| {
                literals.iter().all(|&word| {
                    let (id, met) = literal(word);
                    self.meets(id, value, seen) == met
                })
            })
    }
}
