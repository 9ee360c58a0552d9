//! Boolean combinations of predicates on one value.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::budget::Budget;

/// The number of a predicate in [`Atoms`](super::atoms::Atoms).
pub(super) type AtomId = usize;

/// A condition on one value. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) enum Formula {
    /// All of them hold; empty: every value.
    All(Rc<[Formula]>),
    /// One of them holds; empty: no value.
    Any(Rc<[Formula]>),
    Not(Rc<Formula>),
    Atom(AtomId),
}

impl Formula {
    pub(super) fn all(parts: impl IntoIterator<Item = Formula>) -> Self {
        Self::All(parts.into_iter().collect())
    }

    pub(super) fn any(parts: impl IntoIterator<Item = Formula>) -> Self {
        Self::Any(parts.into_iter().collect())
    }

    pub(super) fn negated(&self) -> Self {
        match self {
            Self::Not(inner) => (**inner).clone(),
            other => Self::Not(Rc::new(other.clone())),
        }
    }

    /// This formula and none of the others.
    pub(super) fn but_none_of<'f>(&self, others: impl IntoIterator<Item = &'f Formula>) -> Self {
        let others = others.into_iter().map(Formula::negated);
        Self::all([self.clone()].into_iter().chain(others))
    }

    /// The predicates in it.
    pub(super) fn atoms(&self) -> BTreeSet<AtomId> {
        let mut atoms = BTreeSet::new();
        self.collect_atoms(&mut atoms);
        atoms
    }

    /// Its truth if each predicate has the truth that `truth` gives; `None` if that depends on
    /// predicates of unknown truth, or if the budget is spent.
    // Kleene's logic: one false part makes a conjunction false even if the others are unknown. That
    // is what lets a proof skip the expensive predicates: `== 5 and matches "…"` is false for every
    // string, whatever the expression matches.
    pub(super) fn evaluate(
        &self,
        truth: &dyn Fn(AtomId) -> Option<bool>,
        budget: &Budget,
    ) -> Option<bool> {
        match self {
            Self::All(parts) => connect(parts, false, truth, budget),
            Self::Any(parts) => connect(parts, true, truth, budget),
            Self::Not(inner) => inner.evaluate(truth, budget).map(|holds| !holds),
            Self::Atom(atom) => {
                if budget.spend(1) {
                    truth(*atom)
                } else {
                    None
                }
            }
        }
    }

    fn collect_atoms(&self, atoms: &mut BTreeSet<AtomId>) {
        match self {
            Self::All(parts) | Self::Any(parts) => {
                parts.iter().for_each(|part| part.collect_atoms(atoms));
            }
            Self::Not(inner) => inner.collect_atoms(atoms),
            Self::Atom(atom) => {
                atoms.insert(*atom);
            }
        }
    }
}

/// The truth of parts of which one that is `decisive` decides.
fn connect(
    parts: &[Formula],
    decisive: bool,
    truth: &dyn Fn(AtomId) -> Option<bool>,
    budget: &Budget,
) -> Option<bool> {
    let mut result = Some(!decisive);
    for part in parts {
        match part.evaluate(truth, budget) {
            Some(holds) if holds == decisive => return Some(decisive),
            Some(_) => {}
            None => result = None,
        }
    }
    result
}
