//! All numeric ranges of one path at once: sorted by their lower ends, with the farthest upper end of every stretch, so
//! that whole stretches which end too early are left out.

use super::predicates::{Bounds, Predicates};

/// The ranges of one path that rules are filed under.
#[derive(Debug)]
pub(super) struct Ranges {
    /// Ascending by lower bound, the unbounded ones first; as a search tree, the middle of a stretch is its root.
    sorted: Vec<u32>,
    /// For the root of each stretch, the range with the farthest upper bound in it.
    farthest: Vec<u32>,
}

impl Ranges {
    /// The index of these predicates, all of one path.
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
            farthest: sorted.clone(),
            sorted,
        };
        ranges.find_farthest(0, ranges.sorted.len(), predicates);
        ranges
    }

    /// Calls `met` with every predicate that the number (in sortable form) meets, until it breaks off.
    pub(super) fn visit<B>(
        &self,
        number: &[u8],
        predicates: &Predicates,
        met: &mut impl FnMut(u32) -> std::ops::ControlFlow<B>,
    ) -> std::ops::ControlFlow<B> {
        self.visit_stretch(0, self.sorted.len(), number, predicates, met)
    }

    /// The bytes this takes.
    pub(super) fn bytes(&self) -> usize {
        2 * size_of_val(&*self.sorted)
    }

    fn visit_stretch<B>(
        &self,
        start: usize,
        end: usize,
        number: &[u8],
        predicates: &Predicates,
        met: &mut impl FnMut(u32) -> std::ops::ControlFlow<B>,
    ) -> std::ops::ControlFlow<B> {
        let bounds = |id: u32| Bounds::read(predicates.text(predicates.get(id)));
        let middle = start.midpoint(end);
        if start == end
            || bounds(self.farthest[middle])
                .upper
                .is_some_and(|(upper, _)| upper < number)
        {
            return std::ops::ControlFlow::Continue(());
        }
        self.visit_stretch(start, middle, number, predicates, met)?;
        let here = bounds(self.sorted[middle]);
        if here.hold(number) {
            met(self.sorted[middle])?;
        }
        if here.lower.is_some_and(|(lower, _)| lower > number) {
            return std::ops::ControlFlow::Continue(());
        }
        self.visit_stretch(middle + 1, end, number, predicates, met)
    }

    /// Fills in the stretch and gives its farthest range.
    fn find_farthest(&mut self, start: usize, end: usize, predicates: &Predicates) -> Option<u32> {
        if start == end {
            return None;
        }
        let middle = start.midpoint(end);
        let parts = [
            self.find_farthest(start, middle, predicates),
            Some(self.sorted[middle]),
            self.find_farthest(middle + 1, end, predicates),
        ];
        let upper = |id: &u32| {
            Bounds::read(predicates.text(predicates.get(*id)))
                .upper
                .map(|upper| upper.0)
        };
        // No upper bound is the farthest.
        let farthest = parts
            .into_iter()
            .flatten()
            .max_by(|a, b| match (upper(a), upper(b)) {
                (Some(a), Some(b)) => a.cmp(b),
                (a, b) => a.is_none().cmp(&b.is_none()),
            });
        if let Some(farthest) = farthest {
            self.farthest[middle] = farthest;
        }
        farthest
    }
}
