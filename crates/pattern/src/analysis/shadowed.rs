//! Hints about conditions that others make superfluous.

use std::collections::HashMap;

use reflexarc_diagnostic::{Code, Diagnostic, Span};

use super::HoldsOneValue;
use super::alternatives::never_holds;
use super::goal::Goal;
use super::part::{AlternativePart, Part, PartKind};
use super::prover::Prover;
use crate::spanned::SpannedNode;
use crate::{PatternLimits, Predicate};

/// See [`super::hints`].
pub(super) fn hints(
    tree: &SpannedNode,
    holds_one_value: HoldsOneValue,
    limits: &PatternLimits,
) -> Vec<Diagnostic> {
    let (part, atoms) = Part::of_tree(tree, holds_one_value);
    let mut search = Search {
        prover: Prover::new(&atoms, limits),
        found: Vec::new(),
    };
    search.visit(&part, true);
    search.found
}

struct Search<'a> {
    prover: Prover<'a>,
    found: Vec<Diagnostic>,
}

impl Search<'_> {
    /// `is_exact`: whether removing an implied condition changes nothing. A conjunction with a
    /// negation is judged in the elements that its other conditions have picked, and a condition
    /// may be there to pick one.
    fn visit(&mut self, part: &Part, is_exact: bool) {
        match &part.kind {
            PartKind::Field(field) => {
                if !field.field.path.as_str().is_empty() {
                    self.alternatives(&field.alternatives.iter().collect::<Vec<_>>());
                }
            }
            PartKind::Not(inner) => self.visit(inner, true),
            PartKind::All(parts) => {
                let is_positive = parts.iter().all(|part| part.goal.is_positive());
                if is_exact && is_positive {
                    self.implied_parts(parts);
                }
                for part in parts {
                    self.visit(part, is_exact && is_positive);
                }
            }
            PartKind::Any(parts) => {
                let same_path = fields_by_path(parts);
                for parts in &same_path {
                    let alternatives = parts.iter().flat_map(|part| match &part.kind {
                        PartKind::Field(field) => field.alternatives.iter().collect(),
                        _ => Vec::new(),
                    });
                    self.alternatives(&alternatives.collect::<Vec<_>>());
                }
                if is_exact {
                    self.implied_branches(parts);
                }
                for part in parts {
                    // Those of several fields have just been compared, with each other too.
                    let is_compared = same_path
                        .iter()
                        .flatten()
                        .any(|other| std::ptr::eq(*other, part));
                    if !is_compared {
                        self.visit(part, is_exact);
                    }
                }
            }
        }
    }

    /// Alternatives of one path: each that another one includes.
    fn alternatives(&mut self, alternatives: &[&AlternativePart]) {
        let exists = |one: &&&AlternativePart| one.predicate() == Some(&Predicate::Exists);
        // That `exists` makes all others superfluous is a warning.
        if alternatives.len() < 2 || alternatives.iter().any(|one| exists(&one)) {
            return;
        }
        // Those that never hold have a warning.
        let alternatives: Vec<&AlternativePart> = alternatives
            .iter()
            .copied()
            .filter(|one| !never_holds(one, &self.prover))
            .collect();
        let mut first: HashMap<&Predicate, usize> = HashMap::new();
        let mut including: Vec<Option<usize>> = vec![None; alternatives.len()];
        for (at, one) in alternatives.iter().enumerate() {
            if let Some(predicate) = one.predicate() {
                let first = *first.entry(predicate).or_insert(at);
                including[at] = (first != at).then_some(first);
            }
        }
        // A list of plain values has nothing but duplicates, so only the others are compared with
        // all: 5,000 resource ids beside one prefix take 5,000 comparisons.
        let wide: Vec<usize> = (0..alternatives.len())
            .filter(|&at| including[at].is_none() && !is_plain_value(alternatives[at]))
            .collect();
        for at in 0..alternatives.len() {
            if including[at].is_some() || !self.prover.spend() {
                continue;
            }
            including[at] = wide.iter().copied().find(|&other| {
                // Of two that include each other the later one is superfluous.
                let is_later = other < at || including[other].is_none();
                other != at
                    && self.prover.spend()
                    && is_later
                    && is_included(alternatives[at], alternatives[other], &self.prover)
                    && (other < at
                        || !is_included(alternatives[other], alternatives[at], &self.prover))
            });
        }
        for (at, other) in including.iter().enumerate() {
            let Some(other) = *other else {
                continue;
            };
            let kept = alternatives.iter().zip(&including);
            let kept = kept.filter(|(_, other)| other.is_none());
            let own = alternatives[at].own_text(kept.map(|(one, _)| one.alternative));
            if let Some(span) = own {
                let including = alternatives[other].alternative.span.clone();
                self.found.push(superfluous_branch(span, including));
            }
        }
    }

    /// Branches of a disjunction that imply another branch.
    fn implied_branches(&mut self, parts: &[Part]) {
        for (at, one) in parts.iter().enumerate() {
            let including = parts.iter().enumerate().find(|(other_at, other)| {
                let are_fields =
                    matches!((&one.goal, &other.goal), (Goal::Field(_), Goal::Field(_)));
                *other_at != at
                    && self.prover.spend()
                    && !are_fields
                    && other.paths.is_subset(&one.paths)
                    && self.prover.implies(&one.goal, &other.goal)
                    && (*other_at < at || !self.prover.implies(&other.goal, &one.goal))
            });
            if let Some((_, other)) = including {
                self.found
                    .push(superfluous_branch(one.span.clone(), other.span.clone()));
            }
        }
    }

    /// Parts of a conjunction that another part implies. `a exists` beside another condition on
    /// `a` is common style, and not reported.
    fn implied_parts(&mut self, parts: &[Part]) {
        for (at, one) in parts.iter().enumerate() {
            let requires_any_value = matches!(&one.goal,
                Goal::Field(field) if self.prover.is_universal(&field.values));
            if requires_any_value {
                continue;
            }
            let implying = parts.iter().enumerate().find(|(other_at, other)| {
                *other_at != at
                    && self.prover.spend()
                    && !one.paths.is_disjoint(&other.paths)
                    && self.prover.implies(&other.goal, &one.goal)
                    && (*other_at < at || !self.prover.implies(&one.goal, &other.goal))
            });
            if let Some((_, other)) = implying {
                let message = "this condition makes no difference: another one implies it";
                let hint = Diagnostic::hint(Code::SUPERFLUOUS, one.span.clone(), message);
                self.found.push(
                    hint.with_label(other.span.clone(), "implies the other condition")
                        .with_help("remove the condition"),
                );
            }
        }
    }
}

/// Whether each value of the first alternative satisfies the second.
fn is_included(one: &AlternativePart, other: &AlternativePart, prover: &Prover) -> bool {
    match (&one.goal, &other.goal) {
        (Goal::Field(one), Goal::Field(other)) => prover.is_subset(&one.values, &other.values),
        _ => false,
    }
}

/// Whether it is a single value: two different ones do not include each other. A string that is an
/// address has several spellings.
fn is_plain_value(part: &AlternativePart) -> bool {
    match part.predicate() {
        Some(Predicate::Text(crate::TextOp::Equals, text)) => {
            super::atoms::address_of(text).is_none()
        }
        Some(Predicate::Number(_) | Predicate::Bool(_) | Predicate::Null | Predicate::Missing) => {
            true
        }
        _ => false,
    }
}

/// The parts that are fields, by their path, where several are.
fn fields_by_path<'p, 't>(parts: &'p [Part<'t>]) -> Vec<Vec<&'p Part<'t>>> {
    let mut by_path: HashMap<&crate::Path, Vec<&Part>> = HashMap::new();
    for part in parts {
        if let PartKind::Field(field) = &part.kind {
            by_path.entry(&field.field.path).or_default().push(part);
        }
    }
    by_path.retain(|_, parts| parts.len() > 1);
    by_path.into_values().collect()
}

fn superfluous_branch(span: Span, including: Span) -> Diagnostic {
    let message = "this alternative makes no difference: another one includes it";
    Diagnostic::hint(Code::SUPERFLUOUS, span, message)
        .with_label(including, "accepts everything that the other accepts")
        .with_help("remove the alternative")
}
