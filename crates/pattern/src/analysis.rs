//! What holds for every event: conditions that never match, that always match, and conditions that
//! others make superfluous.
//!
//! The claims are proofs. "Not proven" is the answer where a pattern is too large to decide within
//! [`PatternLimits::analysis_steps`], so every caller may only act on `true`.
//!
//! # Theory
//!
//! *Values.* A field has a set of values, and holds if one of them satisfies its formula, a boolean
//! combination of predicates (`formula`). Whether any value can satisfy a formula is decided for
//! each type of JSON values on its own (`values`):
//!
//! - null, true and false: by evaluating the formula;
//! - numbers: the numbers of the predicates divide the line into points and gaps, and a predicate
//!   is constant on each of them (`numbers`);
//! - strings: every predicate is a regular language, so a breadth-first search through the product
//!   of their automata finds a string that satisfies the formula, or there is none (`automaton`).
//!   Predicates about addresses divide the addresses into regions, and strings that are addresses
//!   of a region are a regular language too (`addresses`).
//!
//! *Events.* A pattern is taken apart into conjunctions of fields that hold, and goals that do not
//! hold (`prover`). What refutes a conjunction:
//!
//! ```text
//! a == "x" and not (a starts with "x")     no value satisfies == "x" and not starts with "x"
//! a == "x" and a == "y"                    nothing: the array ["x", "y"] satisfies both
//! a (== "x" and == "y")                    no value satisfies both
//! a == 1 and b == 2 and not (a == 1 and b == 2)
//!                                          the fields that hold imply the goal that does not
//! ```
//!
//! Of some fields it is known that they have one value (`level`, `content.result`): on those,
//! `== "x" and == "y"` is a contradiction as it is on one value.
//!
//! That a goal does not hold is judged under the array elements that the fields have chosen (see
//! [`Node`](crate::Node)), which makes `not` weaker than in logic: `not (a.b == 1 and a.c == 2)` is
//! not the same as `not (a.b == 1) or not (a.c == 2)`, because `b` and `c` may lie in different
//! elements. `prover` says which conclusions are valid there.
//!
//! The naive twin is [`crate::naive`]: property tests compare every claim with it on many events
//! near the pattern.

mod addresses;
mod alternatives;
mod atoms;
mod automaton;
#[cfg(test)]
mod bounds;
mod budget;
mod formula;
mod goal;
mod languages;
mod numbers;
mod part;
mod prover;
mod reason;
mod report;
mod samples;
mod shadowed;
#[cfg(test)]
mod soundness;
mod values;

use reflexarc_diagnostic::Diagnostic;

use crate::spanned::SpannedNode;
use crate::{Node, Path, PatternLimits};

/// Of which fields it is known that they have at most one value, in no event in an array.
pub(crate) type HoldsOneValue<'k> = &'k dyn Fn(&Path) -> bool;

/// Warnings: parts of the pattern that never match, and parts that always match.
pub(crate) fn warnings(
    tree: &SpannedNode,
    holds_one_value: HoldsOneValue,
    limits: &PatternLimits,
) -> Vec<Diagnostic> {
    report::warnings(tree, holds_one_value, limits)
}

/// Hints: alternatives that make no difference.
pub(crate) fn hints(
    tree: &SpannedNode,
    holds_one_value: HoldsOneValue,
    limits: &PatternLimits,
) -> Vec<Diagnostic> {
    shadowed::hints(tree, holds_one_value, limits)
}

/// Whether it is proven that every event that matches `one` also matches `other`.
pub(crate) fn implies(one: &Node, other: &Node, limits: &PatternLimits) -> bool {
    let mut builder = goal::GoalBuilder::new(&|_| false);
    let goals = [builder.goal_of_node(one), builder.goal_of_node(other)];
    let atoms = builder.into_atoms();
    let [one, other] = goals;
    prover::Prover::new(&atoms, limits).implies(&one, &other)
}
