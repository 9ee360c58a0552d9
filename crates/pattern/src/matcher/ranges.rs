//! All numeric ranges of one path at once: an interval tree. The ranges are sorted by lower bound,
//! and each part of the tree records the highest upper bound in it, so that a part whose ranges all
//! end below a number is skipped as a whole.

// Example. The ranges 1–2, 1–9, 4–5, 6–7 and 8–9, sorted by lower bound, are a search tree with the
// middle of each part as its root; the highest upper bound of the part is in brackets:
//
//                 4–5 [9]
//             1–9 [9]     8–9 [9]
//         1–2 [2]     6–7 [7]
//
// Looking up 6.5: the root reaches up to 9, so its left part is visited. There 1–9 contains 6.5,
// and 1–2 is skipped because its part ends at 2. The root does not contain 6.5; its lower bound 4
// is not above, so the right part is visited: 6–7 contains it. 8–9 does not, and its lower bound is
// above 6.5, so nothing to the right of it could. The time is logarithmic for each range found.

use super::predicates::{Bounds, Predicates};

/// The ranges of one path that rules are indexed under.
#[derive(Debug)]
pub(super) struct Ranges {
    /// Ascending by lower bound, ranges without one first. The tree is implicit: the middle of each
    /// part is its root.
    sorted: Vec<u32>,
    /// For the root of each part, the range with the highest upper bound in the part.
    highest: Vec<u32>,
}

impl Ranges {
    /// Indexes these predicates, all of one path.
    pub(super) fn build(ids: &[u32], predicates: &Predicates) -> Self {
        let bounds = |id: u32| Bounds::read(predicates.text(predicates.get(id)));
        let mut sorted = ids.to_vec();
        sorted.sort_by(|&a, &b| {
            bounds(a)
                .lower
                .map(|lower| lower.0)
                .cmp(&bounds(b).lower.map(|lower| lower.0))
        });
        let mut ranges = Self {
            highest: sorted.clone(),
            sorted,
        };
        ranges.fill_highest(0, ranges.sorted.len(), predicates);
        ranges
    }

    /// Calls `satisfied` with every predicate that the number (as a sort key) satisfies, until
    /// it breaks.
    pub(super) fn visit<B>(
        &self,
        number: &[u8],
        predicates: &Predicates,
        satisfied: &mut impl FnMut(u32) -> std::ops::ControlFlow<B>,
    ) -> std::ops::ControlFlow<B> {
        self.visit_part(0, self.sorted.len(), number, predicates, satisfied)
    }

    /// The bytes this takes.
    pub(super) fn bytes(&self) -> usize {
        2 * size_of_val(&*self.sorted)
    }

    fn visit_part<B>(
        &self,
        start: usize,
        end: usize,
        number: &[u8],
        predicates: &Predicates,
        satisfied: &mut impl FnMut(u32) -> std::ops::ControlFlow<B>,
    ) -> std::ops::ControlFlow<B> {
        let bounds = |id: u32| Bounds::read(predicates.text(predicates.get(id)));
        let middle = start.midpoint(end);
        if start == end
            || bounds(self.highest[middle])
                .upper
                .is_some_and(|(upper, _)| upper < number)
        {
            return std::ops::ControlFlow::Continue(());
        }
        self.visit_part(start, middle, number, predicates, satisfied)?;
        let here = bounds(self.sorted[middle]);
        if here.contain(number) {
            satisfied(self.sorted[middle])?;
        }
        if here.lower.is_some_and(|(lower, _)| lower > number) {
            return std::ops::ControlFlow::Continue(());
        }
        self.visit_part(middle + 1, end, number, predicates, satisfied)
    }

    /// Fills in `highest` for a part and returns the range with its highest upper bound.
    fn fill_highest(&mut self, start: usize, end: usize, predicates: &Predicates) -> Option<u32> {
        if start == end {
            return None;
        }
        let middle = start.midpoint(end);
        let parts = [
            self.fill_highest(start, middle, predicates),
            Some(self.sorted[middle]),
            self.fill_highest(middle + 1, end, predicates),
        ];
        let upper = |id: &u32| {
            Bounds::read(predicates.text(predicates.get(*id)))
                .upper
                .map(|upper| upper.0)
        };
        // A range without an upper bound is the highest of all.
        let highest = parts
            .into_iter()
            .flatten()
            .max_by(|a, b| match (upper(a), upper(b)) {
                (Some(a), Some(b)) => a.cmp(b),
                (a, b) => a.is_none().cmp(&b.is_none()),
            });
        if let Some(highest) = highest {
            self.highest[middle] = highest;
        }
        highest
    }
}
