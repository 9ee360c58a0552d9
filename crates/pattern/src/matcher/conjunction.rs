//! Does a rule that only wants all of its fields hold where they cross arrays of objects, however many they are?
//!
//! Within one element (or the event itself) the values of a field lie in one array, or in none. So an array has to give all
//! the fields that have values in it, or it gives none that is of use, and one of its elements has to give them all.
//! That is settled by counting from the innermost elements outward: linear in the values and elements.

use super::NONE;
use super::membership::is_op_concerned;
use super::predicates::{Predicates, Seen};
use super::program::{Op, Ops};

/// Storage that is kept from event to event.
#[derive(Debug, Default)]
pub(super) struct Room {
    places: Vec<Place>,
    arrays: Vec<Array>,
}

/// The event itself, or an element.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// How many fields one choice of what lies in it meets.
    met: u32,
    /// The last field that was counted as met in it.
    last_met: u32,
    /// The last field that has a value in it, and in which array in it, `NONE` for none.
    last: (u32, u32),
}

#[derive(Debug, Clone, Copy)]
struct Array {
    /// How many fields have values in it.
    wanted: u32,
    /// The last of these.
    last: u32,
    /// Whether one element meets all of them.
    given: bool,
}

/// Whether one choice of array elements lets all of the operations hold; `None` if they want more than fields, or if
/// the values of a field lie in an unforeseen way.
pub(super) fn hold(predicates: &Predicates, ops: Ops, seen: Seen, room: &mut Room) -> Option<bool> {
    room.places.clear();
    // Place 0 is the event itself, the elements follow.
    let place = Place {
        met: 0,
        last_met: NONE,
        last: (NONE, NONE),
    };
    room.places
        .resize(seen.observed.elements().len() + 1, place);
    room.arrays.clear();
    room.arrays.resize(
        seen.observed.arrays().len(),
        Array {
            wanted: 0,
            last: NONE,
            given: false,
        },
    );
    let mut count = 0;
    let mut others_hold = true;
    for op in ops {
        match op {
            Op::In(slot, _) | Op::Out(slot, _) | Op::Field(slot, _)
                if seen.observed.is_chained(slot) =>
            {
                room.enter(predicates, slot, op, count, seen)?;
                count += 1;
            }
            _ if is_op_concerned(op, seen) => return None,
            _ => others_hold = others_hold && predicates.holds(op, seen),
        }
    }
    Some(others_hold && room.all_met(seen) == count)
}

impl Room {
    /// Takes in the values of a field.
    fn enter(
        &mut self,
        predicates: &Predicates,
        slot: u32,
        op: Op,
        field: u32,
        seen: Seen,
    ) -> Option<()> {
        for value in seen.observed.at(slot) {
            let mut element = value.element;
            let place = &mut self.places[place_of(element)];
            if place.last_met != field && predicates.meets_field(op, value, seen) {
                place.last_met = field;
                place.met += 1;
            }
            place.see(field, NONE)?;
            while element != NONE {
                let number = seen.observed.elements()[element as usize].array;
                let array = &mut self.arrays[number as usize];
                if array.last == field {
                    break;
                }
                array.last = field;
                array.wanted += 1;
                element = seen.observed.arrays()[number as usize];
                self.places[place_of(element)].see(field, number)?;
            }
        }
        Some(())
    }

    /// How many fields the event meets.
    fn all_met(&mut self, seen: Seen) -> u32 {
        // Elements are numbered in the order of the text, so whatever lies inside one comes after it.
        for (number, element) in seen.observed.elements().iter().enumerate().rev() {
            let array = &mut self.arrays[element.array as usize];
            array.given |= self.places[number + 1].met == array.wanted;
            if element.first && array.given {
                self.places[place_of(seen.observed.arrays()[element.array as usize])].met +=
                    array.wanted;
            }
        }
        self.places[0].met
    }
}

impl Place {
    /// Notes that the field has a value in the array; `None` if it also has one elsewhere in this place.
    fn see(&mut self, field: u32, array: u32) -> Option<()> {
        if self.last.0 == field && self.last.1 != array {
            return None;
        }
        self.last = (field, array);
        Some(())
    }
}

fn place_of(element: u32) -> usize {
    element.wrapping_add(1) as usize
}
