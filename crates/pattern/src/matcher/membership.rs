//! Does a rule hold where its fields cross arrays of objects, so that several fields must be met in one element?
//!
//! The elements that hold used values form a forest: an array lies in an element of another array, or in none. A choice
//! takes at most one element of each array. From the innermost elements outward, each element gets the *family* of
//! outcomes that the choices inside it can reach. An outcome is a set of bits: which fields have found their value
//! there, and which of the tests that must *not* hold could still be met. Families of at most six bits fit into one
//! word, so the whole is linear in the values and elements. Rules beyond six such bits are left to `conjunction` where
//! they only want all of their fields; others, and those with a `not` around several fields of arrays, go to the full
//! search.

use super::NONE;
use super::conjunction;
use super::full_search;
use super::predicates::{Predicates, Seen};
use super::program::{Alternatives, Op, Ops};

/// Storage that is kept from event to event.
#[derive(Debug, Default)]
pub(super) struct Room {
    tokens: Vec<Token>,
    stack: Vec<Family>,
    places: Vec<Place>,
    arrays: Vec<Place>,
    conjunction: conjunction::Room,
}

/// A set of outcomes: bit `n` says that outcome `n`, itself a set of up to six bits, can be reached.
type Family = u64;

/// How many bits an outcome has.
const BITS: u32 = 6;

/// The family of the empty outcome alone.
const NOTHING: Family = 1;

/// What can be reached in an element or array.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    family: Family,
    /// The bits that some value in it meets.
    inside: u8,
}

/// The rule in postfix order, its fields replaced by bits.
#[derive(Debug, Clone, Copy)]
enum Token {
    /// It is known whether it holds, without any choice.
    Known(bool),
    /// Holds if this field is given a value.
    Chosen(u32),
    /// Holds if this test could still be met.
    Possible(u32),
    All(usize),
    Any(usize),
    Not,
}

/// The rule needs the full search.
struct TooMany;

/// Whether any field of the operations has a value inside an array element.
pub(super) fn is_concerned(ops: Ops, seen: Seen) -> bool {
    ops.into_iter().any(|op| is_op_concerned(op, seen))
}

/// Whether any field of the operation has a value inside an array element.
pub(super) fn is_op_concerned(op: Op, seen: Seen) -> bool {
    match op {
        Op::All(ops) | Op::Any(ops) | Op::Not(ops) => is_concerned(ops, seen),
        Op::Missing(slot) | Op::In(slot, _) | Op::Out(slot, _) | Op::Field(slot, _) => {
            seen.observed.is_chained(slot)
        }
    }
}

/// Whether one choice of array elements lets all of the operations hold.
pub(super) fn hold(predicates: &Predicates, ops: Ops, seen: Seen, room: &mut Room) -> bool {
    room.tokens.clear();
    room.places.clear();
    // Place 0 is the event itself, the elements follow.
    room.places
        .resize(seen.observed.elements().len() + 1, Place::default());
    let mut plan = Plan {
        predicates,
        seen,
        room,
        bits: 0,
        chosen: 0,
        possible: 0,
        met: 0,
    };
    match plan.all(ops, false) {
        Ok(_) => {
            let (chosen, possible, met) = (plan.chosen, plan.possible, plan.met);
            // A field that no value meets can be told without looking at the elements.
            if possible == 0 && !accepted(room, subsets(met), 0) {
                return false;
            }
            let reached = reach(seen, room, chosen, possible);
            (0..=possible)
                .filter(|held| held & !possible == 0)
                .any(|held| {
                    let outcomes = (reached >> held) & subsets(chosen);
                    accepted(
                        room,
                        if possible == 0 {
                            closed_downward(outcomes)
                        } else {
                            outcomes
                        },
                        held,
                    )
                })
        }
        Err(TooMany) => conjunction::hold(predicates, ops, seen, &mut room.conjunction)
            .unwrap_or_else(|| full_search::hold(predicates, ops, seen)),
    }
}

struct Plan<'a> {
    predicates: &'a Predicates,
    seen: Seen<'a>,
    room: &'a mut Room,
    bits: u32,
    /// The bits of fields that are given a value.
    chosen: u8,
    /// The bits of tests that must not be met.
    possible: u8,
    /// The bits of fields and tests that some value meets.
    met: u8,
}

impl Plan<'_> {
    /// Each of these gives the number of bits that take part; `inside_not` says whether they are tests only.
    fn all(&mut self, ops: Ops, inside_not: bool) -> Result<usize, TooMany> {
        let (mut count, mut taking_part) = (0, 0);
        for op in ops {
            count += 1;
            taking_part += usize::from(self.op(op, inside_not)? > 0);
        }
        // Two tests inside a `not` must be met by one choice; bits of their own cannot tell that.
        if inside_not && taking_part > 1 {
            return Err(TooMany);
        }
        self.room.tokens.push(Token::All(count));
        Ok(taking_part)
    }

    fn op(&mut self, op: Op, inside_not: bool) -> Result<usize, TooMany> {
        let observed = self.seen.observed;
        match op {
            Op::All(ops) => self.all(ops, inside_not),
            Op::Any(ops) => {
                let (mut count, mut taking_part) = (0, 0);
                for op in ops {
                    count += 1;
                    taking_part += self.op(op, inside_not)?;
                }
                self.room.tokens.push(Token::Any(count));
                Ok(taking_part)
            }
            Op::Not(ops) => {
                let taking_part = self.all(ops, true)?;
                self.room.tokens.push(Token::Not);
                Ok(taking_part)
            }
            Op::Missing(slot) if observed.is_chained(slot) => {
                let taking_part =
                    self.field(slot, Op::Field(slot, Alternatives::ANY_VALUE), true)?;
                self.room.tokens.push(Token::Not);
                Ok(taking_part)
            }
            Op::In(slot, _) | Op::Out(slot, _) | Op::Field(slot, _)
                if observed.is_chained(slot) =>
            {
                self.field(slot, op, inside_not)
            }
            _ => {
                self.room
                    .tokens
                    .push(Token::Known(self.predicates.holds(op, self.seen)));
                Ok(0)
            }
        }
    }

    fn field(&mut self, slot: u32, op: Op, inside_not: bool) -> Result<usize, TooMany> {
        let bit = self.bits;
        if bit == BITS {
            return Err(TooMany);
        }
        self.bits += 1;
        let (token, bits) = if inside_not {
            (Token::Possible(bit), &mut self.possible)
        } else {
            (Token::Chosen(bit), &mut self.chosen)
        };
        *bits |= 1 << bit;
        self.room.tokens.push(token);
        for value in self.seen.observed.at(slot) {
            if self.predicates.meets_field(op, value, self.seen) {
                self.met |= 1 << bit;
                self.room.places[value.element.wrapping_add(1) as usize].inside |= 1 << bit;
            }
        }
        Ok(1)
    }
}

/// What the whole event can reach.
fn reach(seen: Seen, room: &mut Room, chosen: u8, possible: u8) -> Family {
    let Room { places, arrays, .. } = room;
    arrays.clear();
    arrays.resize(seen.observed.arrays().len(), Place::default());
    for place in places.iter_mut() {
        let (found, could) = (place.inside & chosen, place.inside & possible);
        // Where nothing must *not* hold, more is never worse, so the fullest outcome stands for all.
        place.family = if possible == 0 {
            1 << found
        } else {
            subsets(found) << could
        };
        place.inside = could;
    }
    // Elements are numbered in the order of the text, so whatever lies inside one comes after it.
    for (number, element) in seen.observed.elements().iter().enumerate().rev() {
        let place = places[number + 1];
        let array = &mut arrays[element.array as usize];
        // To choose an element without giving a value to any field is not to choose it.
        array.family |= place.family
            & if possible == 0 {
                !0
            } else {
                !subsets(possible)
            };
        array.inside |= place.inside;
        if element.first {
            let around = &mut places
                [seen.observed.arrays()[element.array as usize].wrapping_add(1) as usize];
            // The fullest outcomes of two places may both hold a field; of exact ones each gives it a value once.
            let once = if possible == 0 { 0 } else { chosen };
            around.family = together(around.family, array.family | NOTHING << array.inside, once);
            around.inside |= array.inside;
        }
    }
    places[0].family
}

/// The outcomes of two independent places; no bit of `once` may be in both.
fn together(one: Family, other: Family, once: u8) -> Family {
    if other == NOTHING {
        return one;
    }
    let mut both = 0;
    let mut left = one;
    while left != 0 {
        let a = left.trailing_zeros();
        left &= left - 1;
        let mut right = other;
        while right != 0 {
            let b = right.trailing_zeros();
            right &= right - 1;
            if a & b & u32::from(once) == 0 {
                both |= 1 << (a | b);
            }
        }
    }
    both
}

/// Whether one of the outcomes gives a value to exactly the fields of some way to meet the rule, where `held` are the
/// tests that could still be met.
fn accepted(room: &mut Room, outcomes: Family, held: u8) -> bool {
    let stack = &mut room.stack;
    stack.clear();
    let truth = |holds: bool| if holds { NOTHING } else { 0 };
    for token in &room.tokens {
        let family = match *token {
            Token::Known(holds) => truth(holds),
            Token::Chosen(bit) => 1 << (1u32 << bit),
            Token::Possible(bit) => truth(held >> bit & 1 != 0),
            Token::Not => truth(stack.pop() == Some(0)),
            Token::All(count) => stack
                .drain(stack.len() - count..)
                .fold(NOTHING, |one, other| together(one, other, 0)),
            Token::Any(count) => stack
                .drain(stack.len() - count..)
                .fold(0, |one, other| one | other),
        };
        stack.push(family);
    }
    stack.pop().is_some_and(|ways| ways & outcomes != 0)
}

/// The family of all subsets of a set of bits.
fn subsets(bits: u8) -> Family {
    (0..BITS)
        .filter(|bit| bits >> bit & 1 != 0)
        .fold(NOTHING, |family, bit| family | family << (1u32 << bit))
}

/// The family with every subset of every outcome.
fn closed_downward(family: Family) -> Family {
    (0..BITS).fold(family, |family, bit| {
        // The outcomes that hold this bit, moved to where they lack it.
        let with = (0..64u32)
            .filter(|outcome| outcome >> bit & 1 != 0)
            .fold(0u64, |set, outcome| set | 1 << outcome);
        family | (family & with) >> (1u32 << bit)
    })
}

const _: () = assert!(NONE.wrapping_add(1) == 0, "the event itself is place 0");
