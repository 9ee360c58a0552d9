//! Verifies a rule where no array of objects is involved: each field is independent.

use super::event_view::EventView;
use super::observed::{Key, Value};
use super::predicates::Predicates;
use super::program::{Alternatives, Op, Ops, literal};

impl Predicates {
    /// Whether all operations hold, each by itself.
    #[inline]
    pub(super) fn hold(&self, mut ops: Ops, view: EventView) -> bool {
        ops.all(|op| self.holds(op, view))
    }

    /// Whether the operation holds by itself.
    pub(super) fn holds(&self, op: Op, view: EventView) -> bool {
        match op {
            Op::All(ops) => self.hold(ops, view),
            Op::Any(mut ops) => ops.any(|op| self.holds(op, view)),
            Op::Not(ops) => !self.hold(ops, view),
            Op::Missing(slot) => view.observed.is_missing(slot),
            Op::In(slot, ids) => view
                .observed
                .at(slot)
                .any(|value| self.is_one_of(ids, value, view)),
            // One value that differs is enough: `anything-but` is about some value, `not` about
            // all of them. A path without a value does not satisfy it.
            Op::Out(slot, ids) => view
                .observed
                .at(slot)
                .any(|value| !self.is_one_of(ids, value, view)),
            Op::Field(slot, alternatives) if alternatives.is_any_value() => {
                !view.observed.is_missing(slot)
            }
            Op::Field(slot, alternatives) => view
                .observed
                .at(slot)
                .any(|value| self.satisfies_one(alternatives, value, view)),
        }
    }

    /// Whether a field (`In`, `Out` or `Field`) accepts one value.
    #[inline]
    pub(super) fn field_accepts(&self, op: Op, value: &Value, view: EventView) -> bool {
        match op {
            Op::In(_, ids) => self.is_one_of(ids, value, view),
            Op::Out(_, ids) => !self.is_one_of(ids, value, view),
            Op::Field(_, alternatives) => self.satisfies_one(alternatives, value, view),
            Op::All(_) | Op::Any(_) | Op::Not(_) | Op::Missing(_) => false,
        }
    }

    /// Whether the value is one of these exact values. It was hashed at most once and is now one
    /// id, so a list of fifty texts costs fifty integer comparisons, not fifty text comparisons.
    #[inline]
    fn is_one_of(&self, ids: &[u32], value: &Value, view: EventView) -> bool {
        match self.key(value, view) {
            Key::Is(id) => ids.contains(&id),
            Key::Other | Key::Unknown => false,
        }
    }

    #[inline]
    fn satisfies_one(
        &self,
        mut alternatives: Alternatives,
        value: &Value,
        view: EventView,
    ) -> bool {
        alternatives.is_any_value()
            || alternatives.any(|literals| {
                literals.iter().all(|&word| {
                    let (id, positive) = literal(word);
                    self.satisfied(id, value, view) == positive
                })
            })
    }
}
