//! The bound on the work of one analysis.

use std::cell::Cell;

use crate::PatternLimits;

/// Steps that are left, and the memory that a search may use. A step is about the evaluation of one
/// predicate on one value.
#[derive(Debug)]
pub(super) struct Budget {
    steps: Cell<usize>,
    /// Most bytes of the automata of one search.
    pub(super) bytes: usize,
}

impl Budget {
    pub(super) fn new(limits: &PatternLimits) -> Self {
        Self {
            steps: Cell::new(limits.analysis_steps),
            bytes: limits.analysis_bytes,
        }
    }

    /// Takes steps; false once they are used up, and from then on.
    pub(super) fn spend(&self, steps: usize) -> bool {
        let left = self.left().saturating_sub(steps);
        self.steps.set(left);
        left > 0
    }

    /// The steps that are left.
    pub(super) fn left(&self) -> usize {
        self.steps.get()
    }
}
