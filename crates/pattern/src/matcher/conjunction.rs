//! Decides a plain conjunction of any number of fields that lie in arrays of objects.
//!
//! Within one scope (the event itself, or one element of an array) all values of a field lie in the
//! same array, or directly in the scope. So for each array in the scope it is known which fields
//! need it, and one of its elements must satisfy all of them together. Counting from the innermost
//! elements outward decides that, in time linear in values and elements.

// Example. Pattern: seven fields `a.k1 == 1 and … and a.k6 == 1 and name == "x"`, event
//
//     {"name": "x", "a": [{"k1": 1, "k2": 1}, {"k1": 1, …, "k6": 1}]}
//
// Entering the values gives, for the array of `a`: wanted = 6 (six fields have values in it), and
// for its elements: satisfied = 2 and satisfied = 6. The second one satisfies all that are wanted,
// so the array is complete and adds its 6 to the event, which has satisfied = 1 of its own
// (`name`). 7 of 7: the rule matches. Had the elements satisfied k1–k3 and k4–k6, no element would
// reach 6, the array would add nothing, and the event would stay at 1 of 7.
//
// Why an array counts for all of its fields or for none: a choice picks at most one element of an
// array, and a field whose values all lie in that array cannot be satisfied anywhere else. If no
// element satisfies all of them, the conjunction is false whatever the rest does.
//
// A duplicate key can put values of one field into two arrays of one scope, as in
// {"a": [{"k": 1}], "a": [{"k": 2}]}. Then an array need not satisfy all its fields, the count
// proves nothing, and the rule is left undecided.

use super::NONE;
use super::event_view::EventView;
use super::predicates::Predicates;
use super::program::{Op, Ops};

/// Working memory that is kept from event to event.
#[derive(Debug, Default)]
pub(super) struct ConjunctionBuffers {
    scopes: Vec<Scope>,
    arrays: Vec<Array>,
}

/// The event itself, or an element.
#[derive(Debug, Clone, Copy)]
struct Scope {
    /// How many fields one choice inside it satisfies.
    satisfied: u32,
    /// The last field that was counted, so that a second value does not count it again.
    last_satisfied: u32,
    /// The last field with a value inside it, and which of its arrays contains that value; `NONE`
    /// for a value directly in the scope.
    last: (u32, u32),
}

#[derive(Debug, Clone, Copy)]
struct Array {
    /// How many fields have values in it.
    wanted: u32,
    /// The last of these fields.
    last: u32,
    /// Whether one element satisfies all of them.
    complete: bool,
}

/// Whether one choice of array elements makes all operations hold. `None` if the operations are not
/// just fields, or if the values of a field are in several arrays of one scope.
pub(super) fn hold(
    predicates: &Predicates,
    ops: Ops,
    view: EventView,
    buffers: &mut ConjunctionBuffers,
) -> Option<bool> {
    buffers.scopes.clear();
    // Scope 0 is the event itself, the elements follow.
    let scope = Scope {
        satisfied: 0,
        last_satisfied: NONE,
        last: (NONE, NONE),
    };
    buffers
        .scopes
        .resize(view.observed.elements().len() + 1, scope);
    buffers.arrays.clear();
    buffers.arrays.resize(
        view.observed.arrays().len(),
        Array {
            wanted: 0,
            last: NONE,
            complete: false,
        },
    );
    let mut count = 0;
    let mut others_hold = true;
    for op in ops {
        match op {
            Op::In(slot, _) | Op::Out(slot, _) | Op::Field(slot, _)
                if view.observed.has_element_values(slot) =>
            {
                buffers.enter(predicates, slot, op, count, view)?;
                count += 1;
            }
            _ if view.ties_elements_of(op) => return None,
            // No field of it has a value in an element, so it holds or not whatever is chosen.
            _ => others_hold = others_hold && predicates.holds(op, view),
        }
    }
    Some(others_hold && buffers.all_satisfied(view) == count)
}

impl ConjunctionBuffers {
    /// Enters the values of a field, from each value outward through the arrays around it.
    fn enter(
        &mut self,
        predicates: &Predicates,
        slot: u32,
        op: Op,
        field: u32,
        view: EventView,
    ) -> Option<()> {
        for value in view.observed.at(slot) {
            let mut element = value.element;
            let scope = &mut self.scopes[scope_of(element)];
            if scope.last_satisfied != field && predicates.field_accepts(op, value, view) {
                scope.last_satisfied = field;
                scope.satisfied += 1;
            }
            scope.enter(field, NONE)?;
            while element != NONE {
                let number = view.observed.elements()[element as usize].array;
                let array = &mut self.arrays[number as usize];
                if array.last == field {
                    // An earlier value of the field has been here and has gone on outward, so the
                    // work is linear in values and elements, not in values × depth.
                    break;
                }
                array.last = field;
                array.wanted += 1;
                element = view.observed.arrays()[number as usize];
                self.scopes[scope_of(element)].enter(field, number)?;
            }
        }
        Some(())
    }

    /// How many fields one choice satisfies in the whole event.
    fn all_satisfied(&mut self, view: EventView) -> u32 {
        // Elements are numbered in the order of the text, so an element precedes those inside it:
        // going backwards, an element is complete before the one around it is looked at.
        for (number, element) in view.observed.elements().iter().enumerate().rev() {
            let array = &mut self.arrays[element.array as usize];
            array.complete |= self.scopes[number + 1].satisfied == array.wanted;
            // At its first element all others of the array have been seen.
            if element.first && array.complete {
                let outer = view.observed.arrays()[element.array as usize];
                self.scopes[scope_of(outer)].satisfied += array.wanted;
            }
        }
        self.scopes[0].satisfied
    }
}

impl Scope {
    /// Records that the field has a value in the array; `None` if the scope also has one elsewhere.
    fn enter(&mut self, field: u32, array: u32) -> Option<()> {
        if self.last.0 == field && self.last.1 != array {
            return None;
        }
        self.last = (field, array);
        Some(())
    }
}

/// The event itself is scope 0, so the number that stands for "no element" has to become 0.
fn scope_of(element: u32) -> usize {
    element.wrapping_add(1) as usize
}
