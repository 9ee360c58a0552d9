//! Numbers that satisfy a formula.

use std::collections::BTreeSet;

use super::atoms::{Atoms, Kind};
use super::budget::Budget;
use super::formula::{AtomId, Formula};
use crate::{Decimal, Predicate};

/// Whether it is proven that no number satisfies the formula.
// The numbers of the predicates, sorted, divide the line into regions on which every predicate is
// constant. With the points 1 and 5:
//
//     region    0      1     2      3     4
//             < 1     = 1   1…5    = 5   > 5
//
// so `> 1 and < 5` holds in region 2 alone. Numbers are dense, so no gap is empty.
pub(super) fn none_satisfies(formula: &Formula, atoms: &Atoms, budget: &Budget) -> bool {
    let undecided = |atom: AtomId| (atoms.get(atom).kind() != Kind::Number).then_some(false);
    if let Some(holds) = formula.evaluate(&undecided, budget) {
        return !holds;
    }
    let used = formula.atoms();
    let mut points: BTreeSet<&Decimal> = BTreeSet::new();
    for &atom in &used {
        points.extend(numbers_of(&atoms.get(atom).predicate));
    }
    let points: Vec<&Decimal> = points.into_iter().collect();
    (0..=2 * points.len()).all(|region| {
        let truth = |atom: AtomId| Some(contains(&atoms.get(atom).predicate, region, &points));
        formula.evaluate(&truth, budget) == Some(false)
    })
}

/// Whether it is proven that every number satisfies the formula.
pub(super) fn all_satisfy(formula: &Formula, atoms: &Atoms, budget: &Budget) -> bool {
    none_satisfies(&formula.negated(), atoms, budget)
}

fn numbers_of(predicate: &Predicate) -> Vec<&Decimal> {
    match predicate {
        Predicate::Number(number) => vec![number],
        Predicate::Range { lower, upper } => [lower, upper]
            .into_iter()
            .flatten()
            .map(|bound| &bound.value)
            .collect(),
        _ => Vec::new(),
    }
}

/// Whether the predicate holds in a region.
fn contains(predicate: &Predicate, region: usize, points: &[&Decimal]) -> bool {
    // Every number of a predicate is among the points.
    let point = |number: &Decimal| 2 * points.partition_point(|point| *point < number) + 1;
    match predicate {
        Predicate::Number(number) => region == point(number),
        Predicate::Range { lower, upper } => {
            let above = lower.as_ref().is_none_or(|bound| {
                let at = point(&bound.value);
                region > at || region == at && bound.inclusive
            });
            let below = upper.as_ref().is_none_or(|bound| {
                let at = point(&bound.value);
                region < at || region == at && bound.inclusive
            });
            above && below
        }
        _ => false,
    }
}
