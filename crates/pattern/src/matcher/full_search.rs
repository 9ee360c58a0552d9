//! The full search for a choice of array elements, for the few rules that `membership` cannot hold in one word.
//!
//! It tries every combination of the elements that the fields' values lie in, so it is exponential in the rule at worst;
//! the fields with the fewest elements go first. It allocates.

use super::NONE;
use super::predicates::{Predicates, Seen};
use super::program::{Alternatives, Op, Ops};

/// Whether one choice of array elements lets all of the operations hold.
pub(super) fn hold(predicates: &Predicates, ops: Ops, seen: Seen) -> bool {
    let goal = Goal::All(Goal::of_each(predicates, ops, seen));
    let chosen = vec![NONE; seen.observed.arrays().len()];
    Search { seen, chosen }.solve(
        Some(&Link {
            goal: &goal,
            next: None,
        }),
        None,
    )
}

/// An operation whose fields have been looked up.
enum Goal {
    All(Vec<Goal>),
    Any(Vec<Goal>),
    Not(Box<Goal>),
    /// One of these elements must be chosen, with those around it; `NONE` needs no choice.
    Element(Vec<u32>),
}

impl Goal {
    fn of_each(predicates: &Predicates, ops: Ops, seen: Seen) -> Vec<Self> {
        let mut goals: Vec<Self> = ops.map(|op| Self::of(predicates, op, seen)).collect();
        goals.sort_by_key(|goal| match goal {
            Self::Element(elements) => elements.len(),
            Self::All(_) | Self::Any(_) | Self::Not(_) => usize::MAX,
        });
        goals
    }

    fn of(predicates: &Predicates, op: Op, seen: Seen) -> Self {
        match op {
            Op::All(ops) => Self::All(Self::of_each(predicates, ops, seen)),
            Op::Any(ops) => Self::Any(Self::of_each(predicates, ops, seen)),
            Op::Not(ops) => Self::Not(Box::new(Self::All(Self::of_each(predicates, ops, seen)))),
            Op::Missing(slot) => {
                let present = Op::Field(slot, Alternatives::ANY_VALUE);
                Self::Not(Box::new(Self::field(predicates, slot, present, seen)))
            }
            Op::In(slot, _) | Op::Out(slot, _) | Op::Field(slot, _) => {
                Self::field(predicates, slot, op, seen)
            }
        }
    }

    fn field(predicates: &Predicates, slot: u32, op: Op, seen: Seen) -> Self {
        let values = seen
            .observed
            .at(slot)
            .filter(|value| predicates.meets_field(op, value, seen));
        let mut elements: Vec<u32> = values.map(|value| value.element).collect();
        elements.sort_unstable();
        elements.dedup();
        Self::Element(elements)
    }
}

/// Goals still ahead.
struct Link<'g> {
    goal: &'g Goal,
    next: Option<&'g Link<'g>>,
}

struct Search<'a> {
    seen: Seen<'a>,
    /// The element chosen of each array, or `NONE`.
    chosen: Vec<u32>,
}

impl Search<'_> {
    /// Whether some further choice reaches all goals and then none of `never`.
    fn solve(&mut self, goals: Option<&Link>, never: Option<&Link>) -> bool {
        let Some(Link { goal, next }) = goals else {
            let mut never = never;
            while let Some(Link { goal, next }) = never {
                if self.solve(Some(&Link { goal, next: None }), None) {
                    return false;
                }
                never = *next;
            }
            return true;
        };
        match goal {
            Goal::All(all) => self.solve_all(all, *next, never),
            Goal::Any(any) => any
                .iter()
                .any(|goal| self.solve(Some(&Link { goal, next: *next }), never)),
            Goal::Not(goal) => self.solve(*next, Some(&Link { goal, next: never })),
            Goal::Element(elements) => elements.iter().any(|&element| {
                let mut bound = Vec::new();
                let found = self.choose(element, &mut bound) && self.solve(*next, never);
                for array in bound {
                    self.chosen[array] = NONE;
                }
                found
            }),
        }
    }

    fn solve_all(&mut self, all: &[Goal], next: Option<&Link>, never: Option<&Link>) -> bool {
        match all.split_last() {
            None => self.solve(next, never),
            // The last goal goes to the back, so that the list is taken from its front.
            Some((last, rest)) => self.solve_all(rest, Some(&Link { goal: last, next }), never),
        }
    }

    /// Chooses an element and those around it; false where another one has been chosen. `bound` gets the arrays that
    /// had no choice before.
    fn choose(&mut self, mut element: u32, bound: &mut Vec<usize>) -> bool {
        while element != NONE {
            let array = self.seen.observed.elements()[element as usize].array as usize;
            match self.chosen[array] {
                NONE => {
                    self.chosen[array] = element;
                    bound.push(array);
                }
                other if other == element => {}
                _ => return false,
            }
            element = self.seen.observed.arrays()[array];
        }
        true
    }
}
