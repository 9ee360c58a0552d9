//! The alternatives of one field: those that never hold, and those that cover every value.

use reflexarc_diagnostic::{Code, Diagnostic, Span};

use super::formula::Formula;
use super::goal::Goal;
use super::part::{AlternativePart, FieldPart};
use super::prover::Prover;
use super::reason;
use super::report::never;
use crate::Predicate;
use crate::spanned::SpannedPredicate;

/// The findings about one field.
pub(super) struct FieldFindings {
    pub(super) diagnostics: Vec<Diagnostic>,
    /// No alternative can hold.
    pub(super) is_never: bool,
    /// One of them holds in every event.
    pub(super) is_always: bool,
}

/// What a disjunction accepts completely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Covered {
    Values,
    Numbers,
}

/// Checks the alternatives of a field.
pub(super) fn check(part: &FieldPart, prover: &Prover) -> FieldFindings {
    let is_dead: Vec<bool> = part
        .alternatives
        .iter()
        .map(|one| never_holds(one, prover))
        .collect();
    let all = || part.alternatives.iter().zip(&is_dead);
    let live: Vec<&AlternativePart> = all()
        .filter(|(_, dead)| !**dead)
        .map(|(one, _)| one)
        .collect();
    let mut diagnostics: Vec<Diagnostic> = all()
        .filter(|(_, dead)| **dead)
        .filter(|(one, _)| {
            let others = live.iter().map(|one| one.alternative);
            one.own_text(others).is_some()
        })
        .map(|(one, _)| contradiction(one, prover))
        .collect();
    let values: Vec<&Formula> = live
        .iter()
        .filter_map(|one| match &one.goal {
            Goal::Field(field) => Some(&field.values),
            _ => None,
        })
        .collect();
    let union = Formula::any(values.iter().copied().cloned());
    let covered = (live.len() > 1)
        .then(|| covered(&union, &values, prover))
        .flatten();
    let may_be_missing = live.iter().any(|one| one.is_missing());
    let is_always = covered == Some(Covered::Values) && may_be_missing;
    let path = part.field.path.as_str();
    if let (Some(covered), [first, .., last]) = (covered, live.as_slice()) {
        let span = first.alternative.span.start..last.alternative.span.end;
        diagnostics.push(if is_always {
            every_event(span, path)
        } else {
            covers(covered, path, span)
        });
    }
    FieldFindings {
        diagnostics,
        is_never: live.is_empty(),
        is_always,
    }
}

/// Whether no value satisfies the alternative.
pub(super) fn never_holds(part: &AlternativePart, prover: &Prover) -> bool {
    match &part.goal {
        Goal::Field(field) => can_be_empty(part) && prover.is_empty(&field.values),
        _ => false,
    }
}

/// What the disjunction accepts that none of its parts accepts alone. Every value is reported also
/// if one part accepts it, because then the others make no difference.
pub(super) fn covered(union: &Formula, parts: &[&Formula], prover: &Prover) -> Option<Covered> {
    if prover.is_universal(union) {
        return Some(Covered::Values);
    }
    let covers_numbers = parts.len() > 1
        && prover.has_all_numbers(union)
        && !parts.iter().any(|part| prover.has_all_numbers(part));
    covers_numbers.then_some(Covered::Numbers)
}

/// The warning about a disjunction that accepts all values of a field.
pub(super) fn covers(covered: Covered, path: &str, span: Span) -> Diagnostic {
    let what = match covered {
        Covered::Values => "value",
        Covered::Numbers => "number",
    };
    let message =
        format!("always matches where `{path}` has a {what}: these conditions accept every {what}");
    let warning = Diagnostic::warning(Code::ALWAYS_MATCHES, span, message);
    match covered {
        Covered::Values => warning.with_help(format!(
            "write `{path} exists` if every value is meant, or `and` where `or` is not meant"
        )),
        Covered::Numbers => warning.with_help("write `and` where `or` is not meant"),
    }
}

fn every_event(span: Span, path: &str) -> Diagnostic {
    let message = format!("always matches: `{path}` has one of these values or is missing");
    Diagnostic::warning(Code::ALWAYS_MATCHES, span, message).with_help("remove the condition")
}

/// Whether an alternative is worth a proof that it never holds: one predicate alone is rarely
/// empty, and regular expressions are expensive.
fn can_be_empty(part: &AlternativePart) -> bool {
    match part.predicate() {
        Some(Predicate::Range { lower, upper }) => lower.is_some() && upper.is_some(),
        Some(Predicate::AnythingBut(excluded)) => excluded.len() > 1,
        Some(_) => false,
        None => true,
    }
}

/// The warning about an alternative that no value satisfies, at the first two predicates that
/// exclude each other.
fn contradiction(part: &AlternativePart, prover: &Prover) -> Diagnostic {
    let whole = &part.alternative.span;
    let tests = &part.alternative.predicates;
    // An empty range first, although it also conflicts with others.
    if let Some(empty) = tests.iter().find(|test| is_empty_range(&test.predicate)) {
        return never(empty.span.clone(), "no number is in this range");
    }
    // The predicates up to the first one that no common value of the others meets, found by
    // bisection: a proof for each pair would take a quadratic number of them.
    let excluding = |count: usize| {
        let predicates = tests[..count].iter().map(|test| &test.predicate);
        prover.exclude_each_other(&predicates.collect::<Vec<_>>())
    };
    let (mut consistent, mut count) = (1, tests.len());
    while consistent + 1 < count {
        let middle = usize::midpoint(consistent, count);
        if excluding(middle) {
            count = middle;
        } else {
            consistent = middle;
        }
    }
    if let Some((other, before)) = tests[..count].split_last() {
        let conflicts = |one: &&SpannedPredicate| {
            prover.exclude_each_other(&[&one.predicate, &other.predicate])
        };
        if let Some(one) = before.iter().find(conflicts) {
            // Both have one span where an operator stands for several predicates.
            let span = if one.span == other.span {
                whole.clone()
            } else {
                other.span.clone()
            };
            let reason = reason::of_predicates(&one.predicate, &other.predicate);
            return never(span, reason).with_label(one.span.clone(), "conflicts with this");
        }
    }
    never(whole.clone(), "no value meets all of these conditions")
}

fn is_empty_range(predicate: &Predicate) -> bool {
    match predicate {
        Predicate::Range {
            lower: Some(lower),
            upper: Some(upper),
        } => {
            lower.value > upper.value
                || lower.value == upper.value && !(lower.inclusive && upper.inclusive)
        }
        _ => false,
    }
}
