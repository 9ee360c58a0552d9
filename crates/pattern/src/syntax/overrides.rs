//! JSON notation: conjunction of the keys of an object, where the later of two constraints on one
//! path overrides the earlier one.

// EventBridge compiles a pattern into one constraint per path, separately for each combination of
// the branches of its `$or`s. So `{"a": [1], "$or": [{"a": [2]}, {"b": [3]}]}` means
//
//     branch 1:  a == 1, then a == 2 overrides it     a == 2
//     branch 2:  a == 1 and b == 3                    a == 1 and b == 3
//
// joined by `or`. Only constraints that share paths with a `$or` have to be expanded like that;
// all others are joined by `and` as they are, which keeps the tree small: `groups` finds out which
// constraints share paths, and only a group of several is expanded.

use std::collections::{HashMap, HashSet};

use reflexarc_diagnostic::{Code, Diagnostic, Span};

use super::TreeBuilder;
use crate::Path;
use crate::spanned::{SpannedField, SpannedNode};

/// The constraint of one member of an object.
#[derive(Debug, Clone)]
pub(super) enum Constraint {
    /// The alternatives of one path, with the span of the member.
    Field(SpannedField, Span),
    /// `$or`: the constraints of each branch.
    Or(Span, Vec<Vec<Constraint>>),
    /// `$and` or `$not`, which neither overrides nor is overridden.
    Independent(SpannedNode),
}

impl TreeBuilder<'_> {
    pub(super) fn warn_overridden(&mut self, path: &str, earlier: Span, later: Span) {
        let warning = Diagnostic::warning(
            Code::DUPLICATE_PATH,
            later.clone(),
            format!("`{path}` is constrained twice"),
        )
        .with_label(earlier.clone(), "this constraint is ignored")
        .with_label(later, "the later constraint is used")
        .with_help("to require both, put them into `\"$and\": [{…}, {…}]`");
        if self.overridden.insert(earlier.start) {
            self.push(warning);
        }
    }

    /// The conjunction of the constraints of one object, with overrides applied.
    pub(super) fn tree(&mut self, span: Span, constraints: Vec<Constraint>) -> Option<SpannedNode> {
        let mut parts = Vec::new();
        for group in self.groups(constraints) {
            let part = match group.as_slice() {
                [_] => self.single(group),
                _ => self.expand(&span, &group),
            };
            parts.extend(part);
        }
        if parts.is_empty() {
            None
        } else {
            Some(SpannedNode::all(span, parts))
        }
    }

    /// The node of a constraint that shares no path with another.
    fn single(&mut self, group: Vec<Constraint>) -> Option<SpannedNode> {
        match group.into_iter().next()? {
            Constraint::Field(field, span) => Some(SpannedNode::field(span, field)),
            Constraint::Independent(tree) => Some(tree),
            Constraint::Or(span, branches) => {
                let branches: Vec<_> = branches
                    .into_iter()
                    .filter_map(|branch| self.tree(span.clone(), branch))
                    .collect();
                if branches.is_empty() {
                    None
                } else {
                    Some(SpannedNode::any(span, branches))
                }
            }
        }
    }

    /// Constraints that share paths, in disjunctive normal form: every combination of the branches
    /// of their `$or`s, each with overrides applied.
    fn expand(&mut self, span: &Span, constraints: &[Constraint]) -> Option<SpannedNode> {
        // Measured before it is built: ten `$or`s of ten branches make 10^10 combinations.
        let (count, tests) = expansion_size(constraints);
        if count > self.limits.combinations || tests > self.limits.expanded_tests {
            let message = format!(
                "paths constrained inside and outside `$or` expand to more than {} combinations",
                self.limits.combinations
            );
            self.error(Code::TOO_MANY_COMBINATIONS, span.clone(), message)
                .help =
                Some("constrain each path once, or join the constraints with `$and`".into());
            return None;
        }
        let mut conjunctions = expanded(constraints);
        for conjunction in &mut conjunctions {
            self.override_earlier(conjunction);
        }
        let branches = conjunctions.into_iter().map(|conjunction| {
            let parts = conjunction
                .into_iter()
                .filter_map(|constraint| match constraint {
                    Constraint::Field(field, span) => Some(SpannedNode::field(span, field)),
                    Constraint::Independent(tree) => Some(tree),
                    Constraint::Or(..) => None,
                });
            SpannedNode::all(span.clone(), parts.collect())
        });
        Some(SpannedNode::any(span.clone(), branches.collect()))
    }

    /// Removes each field whose path is constrained again later, with a warning.
    fn override_earlier(&mut self, conjunction: &mut Vec<Constraint>) {
        // The last constraint seen on each path, with its index and the span of its key. Only
        // fields: a path inside `$or` overrides in some branches and not in others.
        let mut last: HashMap<Path, (usize, Span)> = HashMap::new();
        let mut dropped = HashSet::new();
        for (at, constraint) in conjunction.iter().enumerate() {
            if let Constraint::Field(field, _) = constraint
                && let Some((earlier, span)) =
                    last.insert(field.path.clone(), (at, field.key.clone()))
            {
                dropped.insert(earlier);
                self.warn_overridden(field.path.as_str(), span, field.key.clone());
            }
        }
        let mut at = 0;
        conjunction.retain(|_| {
            at += 1;
            !dropped.contains(&(at - 1))
        });
    }

    /// The constraints in groups that share paths, ordered by the first constraint of each group.
    // A constraint whose paths are in several groups joins these into one. With `a`, `b` and
    // `$or` of `a` and `b`: two groups, then the `$or` makes one of them. The groups are merged
    // into the one with the lowest index, and the others are left empty.
    fn groups(&mut self, mut constraints: Vec<Constraint>) -> Vec<Vec<Constraint>> {
        self.override_earlier(&mut constraints);
        let mut group_of: HashMap<Path, usize> = HashMap::new();
        let mut groups: Vec<Vec<(usize, Constraint)>> = Vec::new();
        for (at, constraint) in constraints.into_iter().enumerate() {
            let mut paths = Vec::new();
            collect_paths(&constraint, &mut paths);
            let mut shared: Vec<usize> = paths
                .iter()
                .filter_map(|path| group_of.get(path).copied())
                .collect();
            shared.sort_unstable();
            shared.dedup();
            let target = shared.first().copied().unwrap_or(groups.len());
            if target == groups.len() {
                groups.push(Vec::new());
            }
            for &other in shared.iter().skip(1) {
                let moved = std::mem::take(&mut groups[other]);
                for (_, constraint) in &moved {
                    let mut paths = Vec::new();
                    collect_paths(constraint, &mut paths);
                    group_of.extend(paths.into_iter().map(|path| (path, target)));
                }
                groups[target].extend(moved);
            }
            group_of.extend(paths.into_iter().map(|path| (path, target)));
            groups[target].push((at, constraint));
        }
        // "Later" means later in the text, so a merged group is put back into that order.
        for group in &mut groups {
            group.sort_by_key(|(at, _)| *at);
        }
        groups.retain(|group| !group.is_empty());
        groups
            .into_iter()
            .map(|group| {
                group
                    .into_iter()
                    .map(|(_, constraint)| constraint)
                    .collect()
            })
            .collect()
    }
}

/// How many combinations of branches the `$or`s have.
pub(super) fn combinations(constraints: &[Constraint]) -> usize {
    constraints
        .iter()
        .fold(1, |count: usize, constraint| match constraint {
            Constraint::Or(_, branches) => count.saturating_mul(
                branches
                    .iter()
                    .map(|branch| combinations(branch))
                    .fold(0, usize::saturating_add),
            ),
            _ => count,
        })
}

/// The disjunctive normal form: every combination of branches, as a conjunction without `$or`.
/// `a, $or(b, c), $or(d, e)` gives `abd`, `abe`, `acd` and `ace`.
fn expanded(constraints: &[Constraint]) -> Vec<Vec<Constraint>> {
    let mut conjunctions: Vec<Vec<Constraint>> = vec![Vec::new()];
    for constraint in constraints {
        match constraint {
            Constraint::Or(_, branches) => {
                let choices: Vec<Vec<Constraint>> = branches
                    .iter()
                    .flat_map(|branch| expanded(branch))
                    .collect();
                conjunctions = conjunctions
                    .iter()
                    .flat_map(|conjunction| {
                        choices
                            .iter()
                            .map(|choice| [conjunction.as_slice(), choice.as_slice()].concat())
                    })
                    .collect();
            }
            other => conjunctions
                .iter_mut()
                .for_each(|conjunction| conjunction.push(other.clone())),
        }
    }
    conjunctions
}

/// How many conjunctions `expanded` gives, and how many tests they contain together.
// For two parts with (count, tests) of (c1, t1) and (c2, t2): c1·c2 conjunctions; each of the c1
// appears c2 times and the other way round, which makes t1·c2 + t2·c1 tests.
fn expansion_size(constraints: &[Constraint]) -> (usize, usize) {
    constraints
        .iter()
        .fold((1, 0), |(count, tests): (usize, usize), constraint| {
            let (more, inside) = match constraint {
                Constraint::Or(_, branches) => branches
                    .iter()
                    .map(|branch| expansion_size(branch))
                    .fold((0, 0), |(c, t): (usize, usize), (more, inside)| {
                        (c.saturating_add(more), t.saturating_add(inside))
                    }),
                Constraint::Field(field, _) => (
                    1,
                    field
                        .alternatives
                        .iter()
                        .map(|alternative| alternative.predicates.len())
                        .sum(),
                ),
                Constraint::Independent(tree) => (1, tree.fields().len()),
            };
            let tests = tests
                .saturating_mul(more)
                .saturating_add(inside.saturating_mul(count));
            (count.saturating_mul(more), tests)
        })
}

fn collect_paths(constraint: &Constraint, paths: &mut Vec<Path>) {
    match constraint {
        Constraint::Field(field, _) => paths.push(field.path.clone()),
        Constraint::Or(_, branches) => branches
            .iter()
            .flatten()
            .for_each(|constraint| collect_paths(constraint, paths)),
        Constraint::Independent(_) => {}
    }
}
