//! The bound on the work of one analysis.

use std::cell::Cell;

/// Steps that are left. A step is about the evaluation of one predicate on one value.
#[derive(Debug)]
pub(super) struct Budget(Cell<usize>);

impl Budget {
    pub(super) fn new(steps: usize) -> Self {
        Self(Cell::new(steps))
    }

    /// Takes steps; false once they are used up, and from then on.
    pub(super) fn spend(&self, steps: usize) -> bool {
        let left = self.0.get().saturating_sub(steps);
        self.0.set(left);
        left > 0
    }

    /// Whether the steps are used up.
    pub(super) fn is_spent(&self) -> bool {
        self.0.get() == 0
    }
}
