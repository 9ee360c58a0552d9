//! Programs: patterns as words in one array.
//!
//! A hundred thousand trees of boxes would be scattered over the heap; words lie in the order in
//! which they are read. An operation is a head word, `opcode | length << 3`, and `length` words:
//!
//! | operation | words | holds if |
//! |---|---|---|
//! | `ALL`, `ANY` | operations | all of them hold; one does |
//! | `NOT` | one operation | it does not hold |
//! | `MISSING` | slot | there is no value |
//! | `IN`, `OUT` | slot, predicate … | some value is one of these exact values; is none of them |
//! | `FIELD` | slot, (count, literal …) … | some value satisfies all literals of one alternative |
//!
//! A literal is `predicate << 1`, plus one if the predicate must not be satisfied.

// Example. `level == "WARN" or not host exists`, with the slots 0 and 1 and the predicate 0:
//
//     ANY, 7 words │ IN, 2 words │ 0 │ 0 │ NOT, 3 words │ FIELD, 2 words │ 1 │ no literals
//
// Nesting is length only: skipping an operation is one addition, and there are no pointers to
// follow. A head has 29 bits of length, so one operation has up to 2 GiB.

const ALL: u32 = 0;
const ANY: u32 = 1;
const NOT: u32 = 2;
const MISSING: u32 = 3;
const IN: u32 = 4;
const OUT: u32 = 5;
const FIELD: u32 = 6;

/// The longest operation, in words, that fits into a head word.
const LONGEST: usize = (1 << 29) - 1;

/// One operation.
#[derive(Debug, Clone, Copy)]
pub(super) enum Op<'a> {
    All(Ops<'a>),
    Any(Ops<'a>),
    /// Exactly one operation.
    Not(Ops<'a>),
    Missing(u32),
    /// Any of these predicates, all of them exact values.
    In(u32, &'a [u32]),
    /// None of these predicates, all of them exact values.
    Out(u32, &'a [u32]),
    Field(u32, Alternatives<'a>),
}

/// A sequence of operations.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ops<'a>(pub(super) &'a [u32]);

#[expect(
    clippy::copy_iterator,
    reason = "a view of words; copies advance independently on purpose"
)]
impl<'a> Iterator for Ops<'a> {
    type Item = Op<'a>;

    #[inline]
    fn next(&mut self) -> Option<Op<'a>> {
        let (&head, rest) = self.0.split_first()?;
        let (body, rest) = rest.split_at((head >> 3) as usize);
        self.0 = rest;
        Some(match head & 7 {
            ALL => Op::All(Ops(body)),
            ANY => Op::Any(Ops(body)),
            NOT => Op::Not(Ops(body)),
            MISSING => Op::Missing(body[0]),
            IN => Op::In(body[0], &body[1..]),
            OUT => Op::Out(body[0], &body[1..]),
            _ => Op::Field(body[0], Alternatives(&body[1..])),
        })
    }
}

/// The alternatives of a field, each a list of literals.
#[derive(Debug, Clone, Copy)]
pub(super) struct Alternatives<'a>(&'a [u32]);

impl Alternatives<'_> {
    /// One alternative that every value satisfies.
    pub(super) const ANY_VALUE: Alternatives<'static> = Alternatives(&[0]);

    /// Whether every value satisfies it.
    #[inline]
    pub(super) fn is_any_value(self) -> bool {
        matches!(self.0, [0])
    }
}

#[expect(
    clippy::copy_iterator,
    reason = "a view of words; copies advance independently on purpose"
)]
impl<'a> Iterator for Alternatives<'a> {
    type Item = &'a [u32];

    fn next(&mut self) -> Option<&'a [u32]> {
        let (&count, rest) = self.0.split_first()?;
        let (literals, rest) = rest.split_at(count as usize);
        self.0 = rest;
        Some(literals)
    }
}

/// The literal of a predicate that must be satisfied.
pub(super) fn positive(predicate: u32) -> u32 {
    predicate << 1
}

/// The literal of a predicate that must not be satisfied.
pub(super) fn negative(predicate: u32) -> u32 {
    predicate << 1 | 1
}

/// The predicate of a literal, and whether it must be satisfied.
#[inline]
pub(super) fn literal(literal: u32) -> (u32, bool) {
    (literal >> 1, literal & 1 == 0)
}

/// The kind of an operation.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
pub(super) enum Opcode {
    All = ALL,
    Any = ANY,
    Not = NOT,
    Missing = MISSING,
    In = IN,
    Out = OUT,
    Field = FIELD,
}

/// Begins an operation at the end of `words` and returns the position of its head. The words of the
/// operation follow, then [`close`].
pub(super) fn open(words: &mut Vec<u32>) -> usize {
    words.push(0);
    words.len() - 1
}

/// Ends the operation that began at `head`, now that its length is known.
pub(super) fn close(words: &mut [u32], head: usize, opcode: Opcode) {
    let length = words.len() - head - 1;
    assert!(length <= LONGEST, "the limits keep operations short");
    words[head] = opcode as u32 | u32::try_from(length).unwrap_or(0) << 3;
}
