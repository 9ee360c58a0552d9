//! Warnings about parts of a pattern that never match or always match.

use std::collections::BTreeMap;

use reflexarc_diagnostic::{Code, Diagnostic, Span};

use super::HoldsOneValue;
use super::alternatives;
use super::formula::Formula;
use super::goal::Goal;
use super::part::{FieldPart, Part, PartKind};
use super::prover::{Prover, unions};
use crate::PatternLimits;
use crate::spanned::SpannedNode;

/// What a part is without looking at the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Depends,
    Never,
    Always,
}

/// See [`super::warnings`].
pub(super) fn warnings(
    tree: &SpannedNode,
    holds_one_value: HoldsOneValue,
    limits: &PatternLimits,
) -> Vec<Diagnostic> {
    let (part, atoms) = Part::of_tree(tree, holds_one_value);
    let mut reporter = Reporter {
        prover: Prover::new(&atoms, limits),
        found: Vec::new(),
    };
    reporter.visit(&part);
    reporter.found
}

struct Reporter<'a> {
    prover: Prover<'a>,
    found: Vec<Diagnostic>,
}

impl Reporter<'_> {
    /// Reports the smallest parts that are constant, and says what that makes of this one. A part
    /// that is constant because of a smaller one is not reported again.
    fn visit(&mut self, part: &Part) -> Verdict {
        match &part.kind {
            PartKind::Field(field) => self.field(field),
            PartKind::Not(inner) => {
                let verdict = match self.visit(inner) {
                    Verdict::Depends => return Verdict::Depends,
                    Verdict::Never => Verdict::Always,
                    Verdict::Always => Verdict::Never,
                };
                // The last finding is what makes it constant, or one of the reasons.
                if let Some(found) = self.found.last_mut() {
                    let label = match verdict {
                        Verdict::Never => "so this never matches",
                        _ => "so this always matches",
                    };
                    *found = found.clone().with_label(part.span.clone(), label);
                }
                verdict
            }
            PartKind::All(parts) => {
                let verdicts: Vec<Verdict> = parts.iter().map(|part| self.visit(part)).collect();
                let live = live(parts, &verdicts);
                let verdict = self.conjunction(part.span, &live);
                if verdict == Verdict::Depends && !live.is_empty() {
                    self.excluded_branches(&live);
                }
                if verdicts.contains(&Verdict::Never) {
                    Verdict::Never
                } else if live.is_empty() {
                    Verdict::Always
                } else {
                    verdict
                }
            }
            PartKind::Any(parts) => {
                let verdicts: Vec<Verdict> = parts.iter().map(|part| self.visit(part)).collect();
                let live = live(parts, &verdicts);
                let verdict = self.disjunction(part.span, &live);
                if verdicts.contains(&Verdict::Always) {
                    Verdict::Always
                } else if live.is_empty() {
                    Verdict::Never
                } else {
                    verdict
                }
            }
        }
    }

    fn field(&mut self, part: &FieldPart) -> Verdict {
        // The parser and `Pattern::from_node` write "every event" and "no event" as conditions on
        // the empty path; they are meant.
        if part.field.path.as_str().is_empty() {
            return Verdict::Depends;
        }
        let found = alternatives::check(part, &self.prover);
        self.found.extend(found.diagnostics);
        if found.is_never {
            Verdict::Never
        } else if found.is_always {
            Verdict::Always
        } else {
            Verdict::Depends
        }
    }

    /// Whether the parts contradict each other.
    fn conjunction(&mut self, whole: &Span, parts: &[&Part]) -> Verdict {
        if !share_a_path(parts) || !self.prover.never(&goals(parts)) {
            return Verdict::Depends;
        }
        let blamed = self.smallest(parts, &|prover, parts| prover.never(&goals(parts)));
        let diagnostic = match blamed.as_slice() {
            [one, other] => contradiction(one, other),
            _ => together(
                never(whole.clone(), "these conditions exclude each other"),
                &blamed,
            ),
        };
        self.found.push(diagnostic);
        Verdict::Never
    }

    /// Whether the parts cover every event, or every value of a field.
    fn disjunction(&mut self, whole: &Span, parts: &[&Part]) -> Verdict {
        if !share_a_path(parts) {
            return Verdict::Depends;
        }
        if self.prover.always(&goals(parts)) {
            let blamed = self.smallest(parts, &|prover, parts| prover.always(&goals(parts)));
            let diagnostic = match blamed.as_slice() {
                [one, other] => always(other.span.clone()).with_label(
                    one.span.clone(),
                    "an event that does not meet this meets the other",
                ),
                _ => together(always(whole.clone()), &blamed),
            };
            self.found.push(diagnostic);
            return Verdict::Always;
        }
        for (path, fields) in fields_by_path(parts) {
            let goals: Vec<Goal> = fields.iter().map(|part| part.goal.clone()).collect();
            let Some(union) = unions(&goals).next() else {
                continue;
            };
            let each = goals.iter().filter_map(|goal| match goal {
                Goal::Field(field) => Some(&field.values),
                _ => None,
            });
            let each: Vec<&Formula> = each.collect();
            if let Some(covered) = alternatives::covered(&union.values, &each, &self.prover) {
                let diagnostic = alternatives::covers(covered, path, whole.clone());
                self.found.push(together(diagnostic, &fields));
            }
        }
        Verdict::Depends
    }

    /// Reports branches of disjunctions that contradict the other parts of a conjunction.
    fn excluded_branches(&mut self, parts: &[&Part]) {
        for (at, part) in parts.iter().enumerate() {
            for (span, goal) in branches(part) {
                let paths = goal.paths();
                let context: Vec<&Part> = parts
                    .iter()
                    .enumerate()
                    .filter(|(other, part)| *other != at && !part.paths.is_disjoint(&paths))
                    .map(|(_, part)| *part)
                    .collect();
                let excludes = |context: &[&Part]| {
                    let mut goals = goals(context);
                    goals.push(&goal);
                    self.prover.never(&goals)
                };
                if context.is_empty() || !excludes(&context) {
                    continue;
                }
                let diagnostic = never(span, "another condition excludes this alternative");
                let blamed = context.iter().find(|part| excludes(&[part]));
                self.found.push(match blamed {
                    Some(part) => diagnostic.with_label(part.span.clone(), "conflicts with this"),
                    None => diagnostic,
                });
            }
        }
    }

    /// The fewest of the parts for which `holds`, given that it holds for all of them.
    fn smallest<'p, 't>(
        &self,
        parts: &[&'p Part<'t>],
        holds: &dyn Fn(&Prover, &[&Part]) -> bool,
    ) -> Vec<&'p Part<'t>> {
        // Parts that share no path with another are independent of the others, and each of them
        // depends on the event. So only a few of many are tried.
        let users = users(parts);
        let shares_a_path = |part: &&&Part| part.paths.iter().any(|path| users[path] > 1);
        let mut blamed: Vec<&Part> = parts.iter().filter(shares_a_path).copied().collect();
        // From the end, so that the conditions that are written first remain if there is a choice.
        for at in (0..blamed.len()).rev() {
            if blamed.len() <= 2 {
                break;
            }
            let removed = blamed.remove(at);
            if !holds(&self.prover, &blamed) {
                blamed.insert(at, removed);
            }
        }
        blamed
    }
}

/// The parts whose truth depends on the event.
fn live<'p, 't>(parts: &'p [Part<'t>], verdicts: &[Verdict]) -> Vec<&'p Part<'t>> {
    let parts = parts.iter().zip(verdicts);
    parts
        .filter(|(_, verdict)| **verdict == Verdict::Depends)
        .map(|(part, _)| part)
        .collect()
}

fn goals<'p>(parts: &[&'p Part]) -> Vec<&'p Goal> {
    parts.iter().map(|part| &part.goal).collect()
}

/// Whether two of the parts have a path in common. Without that they are independent.
fn share_a_path(parts: &[&Part]) -> bool {
    users(parts).into_values().any(|users| users > 1)
}

/// How many of the parts have each path.
fn users(parts: &[&Part]) -> BTreeMap<usize, usize> {
    let mut users = BTreeMap::new();
    for &path in parts.iter().flat_map(|part| &part.paths) {
        *users.entry(path).or_default() += 1;
    }
    users
}

/// The parts that are fields, by their path, where several are.
fn fields_by_path<'p, 't>(parts: &[&'p Part<'t>]) -> Vec<(&'p str, Vec<&'p Part<'t>>)> {
    let mut by_path: BTreeMap<&str, Vec<&Part>> = BTreeMap::new();
    for part in parts {
        if let (PartKind::Field(field), Goal::Field(_)) = (&part.kind, &part.goal) {
            by_path
                .entry(field.field.path.as_str())
                .or_default()
                .push(part);
        }
    }
    by_path.retain(|_, parts| parts.len() > 1);
    by_path.into_iter().collect()
}

/// The alternatives of a part, with their spans; none if it has only one.
fn branches(part: &Part) -> Vec<(Span, Goal)> {
    match &part.kind {
        PartKind::Any(parts) => parts
            .iter()
            .map(|part| (part.span.clone(), part.goal.clone()))
            .collect(),
        PartKind::Field(field) if field.alternatives.len() > 1 => field
            .alternatives
            .iter()
            .map(|one| (one.alternative.span.clone(), one.goal.clone()))
            .collect(),
        _ => Vec::new(),
    }
}

fn contradiction(one: &Part, other: &Part) -> Diagnostic {
    // `a is missing and a == "x"`, in either order.
    let (PartKind::Field(first), PartKind::Field(second)) = (&one.kind, &other.kind) else {
        return never(
            other.span.clone(),
            "one condition requires what the other excludes",
        )
        .with_label(one.span.clone(), "conflicts with this");
    };
    let path = crate::print::expression::path(&first.field.path);
    let (missing, present) = match (one.requires_missing(), other.requires_missing()) {
        (true, _) => (first, second),
        (_, true) => (second, first),
        _ => {
            let reason = format!("`{path}` has one value, which cannot meet both conditions");
            return never(other.span.clone(), &reason)
                .with_label(one.span.clone(), "conflicts with this");
        }
    };
    never(
        present.field.key.clone(),
        &format!("`{path}` cannot be missing and have a value"),
    )
    .with_label(missing.field.key.clone(), "required to be missing here")
}

pub(super) fn never(span: Span, reason: &str) -> Diagnostic {
    let message = format!("never matches: {reason}");
    Diagnostic::warning(Code::NEVER_MATCHES, span, message)
}

fn always(span: Span) -> Diagnostic {
    let message = "always matches: every event meets one of these conditions";
    Diagnostic::warning(Code::ALWAYS_MATCHES, span, message)
        .with_help("remove the condition, or write `and` where `or` is not meant")
}

/// Moves the diagnostic to the last of the parts that cause it together, with the others as labels.
fn together(mut diagnostic: Diagnostic, parts: &[&Part]) -> Diagnostic {
    let Some((last, others)) = parts.split_last() else {
        return diagnostic;
    };
    diagnostic.span = last.span.clone();
    others.iter().fold(diagnostic, |diagnostic, part| {
        diagnostic.with_label(part.span.clone(), "together with this")
    })
}
