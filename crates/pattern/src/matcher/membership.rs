//! Decides a rule whose fields lie in arrays of objects, so that several of them must be satisfied
//! within one element: for up to six such fields, in one pass over the elements.
//!
//! The elements that contain used values form a forest: an array lies in an element of another
//! array, or in none. A choice takes at most one element of each array. From the innermost elements
//! outward, each scope (an element, or the event itself) gets the set of *outcomes* that the
//! choices inside it can reach. An outcome is a set of fields, six bits; a set of outcomes has one
//! bit for each of the 64 outcomes and fits into one word. So the whole is linear in the values and
//! elements. More fields, and a `not` around several of them, are left undecided.

// Example. Pattern `a.b == 1 and a.c == 2`; bit 0 stands for the first field, bit 1 for the second.
// Outcomes are written as two bits, a set of outcomes in braces.
//
//     event {"a": [{"b": 1}, {"c": 2}]}
//
//     first element    b is satisfied                      {01}
//     second element   c is satisfied                      {10}
//     array            one element or the other            {01, 10}
//     event            nothing of its own, with the array
//                      chosen or not                       {00, 01, 10}
//
// The pattern needs the outcome 11, which is not reached: no match. With {"b": 1, "c": 2} as the
// second element the array would reach {01, 11}, and the event would match.
//
// Negation. A field inside a `not` (or `is missing`) is *negative*: its bit says that it could
// still be satisfied by some further choice. Pattern `a.c == 1 and not a.b == 1`; bit 0 is the
// positive field c, bit 1 the negative field b.
//
//     event {"a": [{"b": 1}, {"c": 1}]}
//
//     first element    b is possible, no positive field    {10}
//     second element   c is satisfied, or not used         {00, 01}
//     array            elements that satisfy no positive
//                      field are not chosen at all         {01}
//       not chosen     b could still be satisfied          {10}
//     event                                                {01, 10}
//
// The pattern needs the outcome 01: c satisfied, b no longer possible. It is reached by choosing
// the second element: match.
//
// Why six bits: 2⁶ outcomes are the 64 bits of a word. Seven would need a 128-bit word and
// `together` up to 128 × 128 steps for fields that hardly any pattern has under one array.

use super::NONE;
use super::event_view::EventView;
use super::predicates::Predicates;
use super::program::{Alternatives, Op, Ops};

/// Working memory that is kept from event to event.
#[derive(Debug, Default)]
pub(super) struct MembershipBuffers {
    tokens: Vec<Token>,
    stack: Vec<OutcomeSet>,
    scopes: Vec<Scope>,
    arrays: Vec<Scope>,
}

/// A set of outcomes: bit `n` says that outcome `n`, itself a set of up to six bits, can be
/// reached.
type OutcomeSet = u64;

/// How many bits an outcome has.
const BITS: u32 = 6;

/// The set with the empty outcome only.
const NOTHING: OutcomeSet = 1;

/// What can be reached in the event, an element or an array.
#[derive(Debug, Clone, Copy, Default)]
struct Scope {
    outcomes: OutcomeSet,
    /// The bits that some value inside satisfies.
    inside: u8,
}

/// The rule in postfix order, with bits in place of the fields in elements.
#[derive(Debug, Clone, Copy)]
enum Token {
    /// Decided without any choice.
    Known(bool),
    /// Holds if this positive field is satisfied.
    Positive(u32),
    /// Holds if this negative field could still be satisfied.
    Negative(u32),
    All(usize),
    Any(usize),
    Not,
}

/// The rule does not fit: too many fields, or a `not` around several.
struct Undecided;

/// Whether one choice of array elements makes all operations hold; `None` if undecided.
pub(super) fn hold(
    predicates: &Predicates,
    ops: Ops,
    view: EventView,
    buffers: &mut MembershipBuffers,
) -> Option<bool> {
    buffers.tokens.clear();
    buffers.scopes.clear();
    // Scope 0 is the event itself, the elements follow.
    buffers
        .scopes
        .resize(view.observed.elements().len() + 1, Scope::default());
    let mut lowering = Lowering {
        predicates,
        view,
        buffers,
        bits: 0,
        positive: 0,
        negative: 0,
        satisfied: 0,
    };
    lowering.all(ops, false).ok()?;
    let (positive, negative, satisfied) =
        (lowering.positive, lowering.negative, lowering.satisfied);
    // Most rules fail because a field has no accepted value anywhere, which needs no elements.
    if negative == 0 && !accepted(buffers, subsets(satisfied), 0) {
        return Some(false);
    }
    let reached = reach(view, buffers, positive, negative);
    // For every set of negative fields that may remain possible: with these as given, the formula
    // speaks of positive fields only. At most 64 rounds, one where nothing is negated.
    let holds = (0..=negative)
        .filter(|possible| possible & !negative == 0)
        .any(|possible| {
            // The two kinds of bits are disjoint, so shifting by one kind leaves the other.
            let outcomes = (reached >> possible) & subsets(positive);
            let outcomes = if negative == 0 {
                closed_downward(outcomes)
            } else {
                outcomes
            };
            accepted(buffers, outcomes, possible)
        });
    Some(holds)
}

/// Lowers operations to tokens and enters the values of their fields into the scopes.
struct Lowering<'a> {
    predicates: &'a Predicates,
    view: EventView<'a>,
    buffers: &'a mut MembershipBuffers,
    /// How many bits are in use.
    bits: u32,
    /// The bits of fields outside of any `not`.
    positive: u8,
    /// The bits of fields inside a `not`.
    negative: u8,
    /// The bits of fields that some value satisfies.
    satisfied: u8,
}

impl Lowering<'_> {
    /// These three return the number of operands (for a field: one) that have bits.
    fn all(&mut self, ops: Ops, inside_not: bool) -> Result<usize, Undecided> {
        let (mut count, mut with_bits) = (0, 0);
        for op in ops {
            count += 1;
            with_bits += usize::from(self.op(op, inside_not)? > 0);
        }
        // Each negative bit says that its field is possible, but two fields inside one `not` must
        // be possible *together*, under one choice, which two bits cannot express.
        if inside_not && with_bits > 1 {
            return Err(Undecided);
        }
        self.buffers.tokens.push(Token::All(count));
        Ok(with_bits)
    }

    fn op(&mut self, op: Op, inside_not: bool) -> Result<usize, Undecided> {
        let observed = self.view.observed;
        match op {
            Op::All(ops) => self.all(ops, inside_not),
            Op::Any(ops) => {
                let (mut count, mut with_bits) = (0, 0);
                for op in ops {
                    count += 1;
                    with_bits += self.op(op, inside_not)?;
                }
                self.buffers.tokens.push(Token::Any(count));
                Ok(with_bits)
            }
            Op::Not(ops) => {
                let with_bits = self.all(ops, true)?;
                self.buffers.tokens.push(Token::Not);
                Ok(with_bits)
            }
            Op::Missing(slot) if observed.has_element_values(slot) => {
                let present = Op::Field(slot, Alternatives::ANY_VALUE);
                let with_bits = self.field(slot, present, true)?;
                self.buffers.tokens.push(Token::Not);
                Ok(with_bits)
            }
            Op::In(slot, _) | Op::Out(slot, _) | Op::Field(slot, _)
                if observed.has_element_values(slot) =>
            {
                self.field(slot, op, inside_not)
            }
            _ => {
                // All its values lie directly in the event, so no choice changes it, and it needs
                // no bit: six is the limit for fields inside elements only.
                let holds = self.predicates.holds(op, self.view);
                self.buffers.tokens.push(Token::Known(holds));
                Ok(0)
            }
        }
    }

    fn field(&mut self, slot: u32, op: Op, inside_not: bool) -> Result<usize, Undecided> {
        let bit = self.bits;
        if bit == BITS {
            return Err(Undecided);
        }
        self.bits += 1;
        let (token, bits) = if inside_not {
            (Token::Negative(bit), &mut self.negative)
        } else {
            (Token::Positive(bit), &mut self.positive)
        };
        *bits |= 1 << bit;
        self.buffers.tokens.push(token);
        for value in self.view.observed.at(slot) {
            if self.predicates.field_accepts(op, value, self.view) {
                self.satisfied |= 1 << bit;
                self.buffers.scopes[value.element.wrapping_add(1) as usize].inside |= 1 << bit;
            }
        }
        Ok(1)
    }
}

/// The outcomes that the whole event can reach.
fn reach(
    view: EventView,
    buffers: &mut MembershipBuffers,
    positive: u8,
    negative: u8,
) -> OutcomeSet {
    let MembershipBuffers { scopes, arrays, .. } = buffers;
    arrays.clear();
    arrays.resize(view.observed.arrays().len(), Scope::default());
    for scope in scopes.iter_mut() {
        let (found, possible) = (scope.inside & positive, scope.inside & negative);
        // Without negation more is never worse, so the fullest outcome stands for all its subsets,
        // and sets of outcomes stay small. With negation, satisfying a field elsewhere may be the
        // only way to keep a negative field impossible, so each subset counts on its own.
        scope.outcomes = if negative == 0 {
            1 << found
        } else {
            subsets(found) << possible
        };
        scope.inside = possible;
    }
    // Elements are numbered in the order of the text, so an element precedes those inside it: going
    // backwards, an element is complete before the one around it is looked at.
    for (number, element) in view.observed.elements().iter().enumerate().rev() {
        let scope = scopes[number + 1];
        let array = &mut arrays[element.array as usize];
        // Choosing an element that satisfies no positive field is not choosing it: negations are
        // judged within the choice that the positive fields made, which has no reason to be there.
        let chosen = if negative == 0 {
            !0
        } else {
            !subsets(negative)
        };
        array.outcomes |= scope.outcomes & chosen;
        array.inside |= scope.inside;
        // At its first element all others of the array have been seen.
        if element.first {
            let around = view.observed.arrays()[element.array as usize].wrapping_add(1);
            let around = &mut scopes[around as usize];
            // Exact outcomes satisfy each positive field once; fullest ones may satisfy it twice.
            let once = if negative == 0 { 0 } else { positive };
            // If no element is chosen, any could still be: all that is possible inside stays so.
            let not_chosen = NOTHING << array.inside;
            around.outcomes = together(around.outcomes, array.outcomes | not_chosen, once);
            around.inside |= array.inside;
        }
    }
    scopes[0].outcomes
}

/// The outcomes of two independent scopes together; no bit of `once` may be in both.
/// Example: `{01, 10}` and `{00, 01}` give `{01, 10, 11}`.
fn together(one: OutcomeSet, other: OutcomeSet, once: u8) -> OutcomeSet {
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

/// Whether one of the outcomes satisfies exactly the positive fields of some way to make the rule
/// hold, given the negative fields that are still possible.
///
/// The formula is evaluated over sets of outcomes: a positive field needs its own bit, `all` needs
/// the union of what its operands need, `any` what one of them needs.
fn accepted(buffers: &mut MembershipBuffers, outcomes: OutcomeSet, possible: u8) -> bool {
    let stack = &mut buffers.stack;
    stack.clear();
    // What holds needs no field; what does not hold cannot be satisfied by any set of fields.
    let truth = |holds: bool| if holds { NOTHING } else { 0 };
    for token in &buffers.tokens {
        let needed = match *token {
            Token::Known(holds) => truth(holds),
            Token::Positive(bit) => 1 << (1u32 << bit),
            Token::Negative(bit) => truth(possible >> bit & 1 != 0),
            Token::Not => truth(stack.pop() == Some(0)),
            Token::All(count) => stack
                .drain(stack.len() - count..)
                .fold(NOTHING, |one, other| together(one, other, 0)),
            Token::Any(count) => stack
                .drain(stack.len() - count..)
                .fold(0, |one, other| one | other),
        };
        stack.push(needed);
    }
    stack.pop().is_some_and(|needed| needed & outcomes != 0)
}

/// All subsets of a set of bits. Each bit doubles the set: the outcomes so far, and the same with
/// the bit, which are `1 << bit` places further up. Example: bits 101 give {000, 001, 100, 101}.
fn subsets(bits: u8) -> OutcomeSet {
    (0..BITS)
        .filter(|bit| bits >> bit & 1 != 0)
        .fold(NOTHING, |set, bit| set | set << (1u32 << bit))
}

/// The set with every subset of every outcome.
fn closed_downward(outcomes: OutcomeSet) -> OutcomeSet {
    (0..BITS).fold(outcomes, |outcomes, bit| {
        // The outcomes with this bit, moved to the place they have without it. The mask is a
        // constant once the loop is unrolled.
        let with = (0..64u32)
            .filter(|outcome| outcome >> bit & 1 != 0)
            .fold(0u64, |set, outcome| set | 1 << outcome);
        outcomes | (outcomes & with) >> (1u32 << bit)
    })
}

const _: () = assert!(NONE.wrapping_add(1) == 0, "the event itself is scope 0");
