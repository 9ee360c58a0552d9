//! Filters that only a search can decide, and what they cost.

use std::cell::RefCell;

use reflexarc_pattern::{SearchBudget, Undecided};

use crate::{EffectSize, FailureCause, ReactionBudget, Rule};

/// A rule that could not be compared with an event: its position, and why.
pub(crate) type UndecidedRule = (u32, FailureCause, String);

/// The budget of reactions, for searches.
pub(crate) struct FilterBudget<'a> {
    /// Finds the rule of a filter.
    rule_of: &'a dyn Fn(u32) -> Option<&'a Rule>,
    budget: &'a dyn ReactionBudget,
    refused: RefCell<Vec<(u32, String)>>,
}

impl<'a> FilterBudget<'a> {
    /// For the filters of the rules that `rule_of` finds.
    pub(crate) fn new(
        rule_of: &'a dyn Fn(u32) -> Option<&'a Rule>,
        budget: &'a dyn ReactionBudget,
    ) -> Self {
        Self {
            rule_of,
            budget,
            refused: RefCell::default(),
        }
    }

    /// Why these rules are undecided.
    pub(crate) fn reasons(&self, undecided: &[u32]) -> Vec<UndecidedRule> {
        let mut refused = self.refused.borrow_mut();
        let reason = |id: &u32| match refused.iter().position(|(refused, _)| refused == id) {
            Some(at) => (*id, FailureCause::Budget, refused.swap_remove(at).1),
            None => too_long(*id),
        };
        undecided.iter().map(reason).collect()
    }
}

impl SearchBudget for FilterBudget<'_> {
    fn begin(&self, pattern: u32) -> bool {
        let Some(rule) = (self.rule_of)(pattern) else {
            return true;
        };
        let refused = self.budget.begin(rule).err();
        let is_permitted = refused.is_none();
        let refused = refused.map(|message| (pattern, message));
        self.refused.borrow_mut().extend(refused);
        is_permitted
    }

    fn end(&self, pattern: u32) {
        if let Some(rule) = (self.rule_of)(pattern) {
            self.budget.end(rule, EffectSize::default());
        }
    }
}

/// A search that took more than its limit of steps.
pub(crate) fn too_long(id: u32) -> UndecidedRule {
    (id, FailureCause::Reaction, Undecided.to_string())
}
