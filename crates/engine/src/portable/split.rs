//! One filter as several conjunctions of fields, which is all that some services have.

use reflexarc_event::parse_address;
use reflexarc_pattern::{Alternative, Field, Node, Path, Pattern, Predicate, TextOp};

use super::conjunction::{intersected, simplified_field};
use super::conjuncts;
use super::negation::{negated, negated_field};

/// What a service allows.
pub(super) struct Splitter<'h> {
    pub(super) max_parts: usize,
    /// The most alternatives of a field.
    pub(super) max_alternatives: usize,
    /// Of which fields it is known that they have at most one value.
    pub(super) holds_one_value: &'h dyn Fn(&Path) -> bool,
}

/// The parts of a filter.
pub(super) struct Parts {
    pub(super) patterns: Vec<Pattern>,
    /// Whether it is proven that no event matches two of them.
    pub(super) is_disjoint: bool,
}

/// Why a filter has no parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unsplittable {
    TooMany,
    MatchesNothing,
}

/// Conditions that hold together. Fields with at most one value are there once.
type Branch = Vec<Node>;

impl Splitter<'_> {
    /// The parts: an event matches the filter if and only if it matches one of them.
    pub(super) fn split(&self, node: &Node) -> Result<Parts, Unsplittable> {
        let mut branches = self.branches(node)?;
        merge(&mut branches);
        let mut is_disjoint = self.separate(&mut branches);
        let mut parts: Vec<Branch> = Vec::new();
        for branch in branches {
            // Chunks of one field do not share a value, but an array may have values of two.
            is_disjoint &= branch.iter().all(|part| match part {
                Node::Field(field) if field.alternatives.len() > self.max_alternatives => {
                    (self.holds_one_value)(&field.path) && lists_texts(field)
                }
                _ => true,
            });
            let chunks = self.chunks(branch)?;
            parts.extend(chunks);
        }
        match parts.len() {
            0 => Err(Unsplittable::MatchesNothing),
            len if len > self.max_parts => Err(Unsplittable::TooMany),
            _ => Ok(Parts {
                patterns: parts
                    .into_iter()
                    .map(|part| Pattern::from_node(Node::All(part)))
                    .collect(),
                is_disjoint,
            }),
        }
    }

    /// The disjunctive normal form. While it is made, it may have some more parts than are allowed
    /// in the end, because parts are merged.
    fn branches(&self, node: &Node) -> Result<Vec<Branch>, Unsplittable> {
        let limit = self.max_parts.saturating_mul(4);
        match node {
            Node::All(parts) => {
                let mut combined: Vec<Branch> = vec![Vec::new()];
                for part in parts {
                    let choices = self.branches(part)?;
                    if combined.len().saturating_mul(choices.len()) > limit {
                        return Err(Unsplittable::TooMany);
                    }
                    combined = combined
                        .iter()
                        .flat_map(|before| choices.iter().map(move |choice| (before, choice)))
                        .filter_map(|(before, choice)| self.conjunction(before, choice))
                        .collect();
                }
                Ok(combined)
            }
            Node::Any(parts) => {
                let mut all = Vec::new();
                for part in joined(parts) {
                    all.extend(self.branches(&part)?);
                    if all.len() > limit {
                        return Err(Unsplittable::TooMany);
                    }
                }
                Ok(all)
            }
            Node::Not(inner) => match negated(inner, self.holds_one_value) {
                Some(opposite) => self.branches(&opposite),
                // The service will refuse it, with the reason.
                None => Ok(vec![vec![node.clone()]]),
            },
            Node::Field(field) => {
                let field = simplified_field(field.clone());
                let holds = !field.alternatives.is_empty();
                Ok(holds
                    .then(|| vec![Node::Field(field)])
                    .into_iter()
                    .collect())
            }
        }
    }

    /// All conditions of both; `None` if they cannot hold together.
    fn conjunction(&self, one: &[Node], other: &[Node]) -> Option<Branch> {
        let mut together = one.to_vec();
        for node in other {
            if together.contains(node) {
                continue;
            }
            let Node::Field(field) = node else {
                together.push(node.clone());
                continue;
            };
            let same = together.iter_mut().find_map(|part| match part {
                Node::Field(other) if other.path == field.path => Some(other),
                _ => None,
            });
            match same {
                Some(same) if (self.holds_one_value)(&field.path) => {
                    *same = intersected(same, field);
                    if same.alternatives.is_empty() {
                        return None;
                    }
                }
                _ => together.push(node.clone()),
            }
        }
        Some(together)
    }

    /// Makes branches disjoint where that is simple, and returns whether all of them are.
    ///
    /// ```text
    /// c and a == 1 or c and b == 2
    ///     c and a == 1, c and b == 2 and a (is missing or != 1)
    /// ```
    fn separate(&self, branches: &mut [Branch]) -> bool {
        let mut all = true;
        for later in 1..branches.len() {
            for earlier in 0..later {
                let (before, after) = branches.split_at_mut(later);
                let (first, second) = (&before[earlier], &mut after[0]);
                if self.are_disjoint(first, second) {
                    continue;
                }
                // The one condition of the earlier branch that the later one lacks. What satisfies
                // it and the later branch satisfies the earlier one too.
                let mut own = first.iter().filter(|part| !second.contains(part));
                let separated = match (own.next(), own.next()) {
                    (Some(Node::Field(field)), None) if (self.holds_one_value)(&field.path) => {
                        negated_field(field)
                            .map(|opposite| vec![Node::Field(opposite)])
                            .and_then(|opposite| self.conjunction(second, &opposite))
                            .filter(|separated| self.is_simple(separated))
                    }
                    _ => None,
                };
                match separated {
                    Some(separated) => *second = separated,
                    None => all = false,
                }
            }
        }
        all
    }

    /// Whether every field is one that all services have.
    fn is_simple(&self, branch: &[Node]) -> bool {
        branch.iter().all(|part| {
            match part {
            Node::Field(field) => {
                field.alternatives.len() <= self.max_alternatives
                    && field.alternatives.iter().all(|Alternative(predicates)| {
                        matches!(predicates.as_slice(), [one] if is_simple_predicate(one))
                    })
            }
            _ => true,
        }
        })
    }

    fn are_disjoint(&self, one: &[Node], other: &[Node]) -> bool {
        one.iter().any(|part| {
            let Node::Field(field) = part else {
                return false;
            };
            let same = |part: &Node| match part {
                Node::Field(other) => {
                    other.path == field.path && intersected(field, other).alternatives.is_empty()
                }
                _ => false,
            };
            (self.holds_one_value)(&field.path) && other.iter().any(same)
        })
    }

    /// The branch as several where a field has too many alternatives.
    fn chunks(&self, branch: Branch) -> Result<Vec<Branch>, Unsplittable> {
        let mut chunks: Vec<Branch> = vec![Vec::new()];
        for part in branch {
            let choices: Vec<Node> = match part {
                Node::Field(field) if field.alternatives.len() > self.max_alternatives => field
                    .alternatives
                    .chunks(self.max_alternatives)
                    .map(|alternatives| {
                        Node::Field(Field {
                            path: field.path.clone(),
                            alternatives: alternatives.to_vec(),
                        })
                    })
                    .collect(),
                other => vec![other],
            };
            if chunks.len().saturating_mul(choices.len()) > self.max_parts {
                return Err(Unsplittable::TooMany);
            }
            chunks = chunks
                .iter()
                .flat_map(|before| {
                    choices.iter().map(move |choice| {
                        [before.as_slice(), std::slice::from_ref(choice)].concat()
                    })
                })
                .collect();
        }
        Ok(chunks)
    }
}

/// Joins branches that differ in the alternatives of one field: `a == 1 and b == 2 or a == 1 and b
/// == 3` is `a == 1 and b in [2, 3]`.
fn merge(branches: &mut Vec<Branch>) {
    let mut at = 0;
    while at < branches.len() {
        let merged = (0..at).find_map(|earlier| {
            let merged = merged(&branches[earlier], &branches[at])?;
            Some((earlier, merged))
        });
        match merged {
            // The earlier branch has changed, so it may now be merged with others.
            Some((earlier, merged)) => {
                branches[earlier] = merged;
                branches.remove(at);
                at = earlier;
            }
            None => at += 1,
        }
    }
}

fn merged(one: &Branch, other: &Branch) -> Option<Branch> {
    let is_in = |branch: &Branch, part: &Node| branch.contains(part);
    // What implies another branch is nothing new.
    if one.iter().all(|part| is_in(other, part)) {
        return Some(one.clone());
    }
    if one.len() != other.len() {
        return None;
    }
    let mut own = one
        .iter()
        .enumerate()
        .filter(|(_, part)| !is_in(other, part));
    let mut others = other.iter().filter(|part| !is_in(one, part));
    let differing = (own.next()?, others.next()?);
    if own.next().is_some() || others.next().is_some() {
        return None;
    }
    match differing {
        ((at, Node::Field(field)), Node::Field(second)) if field.path == second.path => {
            let mut field = field.clone();
            for alternative in &second.alternatives {
                if !field.alternatives.contains(alternative) {
                    field.alternatives.push(alternative.clone());
                }
            }
            let mut merged = one.clone();
            merged[at] = Node::Field(field);
            Some(merged)
        }
        _ => None,
    }
}

/// The parts of a disjunction with those about the same field joined.
fn joined(parts: &[Node]) -> Vec<Node> {
    let mut branches: Vec<Branch> = parts.iter().map(|part| conjuncts(part.clone())).collect();
    merge(&mut branches);
    branches.into_iter().map(Node::All).collect()
}

/// Whether a field lists texts and compares with nothing else.
fn lists_texts(field: &Field) -> bool {
    let is_text = |Alternative(predicates): &Alternative| {
        // Another spelling of an address is the same value.
        matches!(
            predicates.as_slice(),
            [Predicate::Text(TextOp::Equals, text)] if parse_address(text).is_none()
        )
    };
    field.alternatives.iter().all(is_text)
}

fn is_simple_predicate(predicate: &Predicate) -> bool {
    match predicate {
        Predicate::AnythingBut(listed) => listed.iter().all(|one| {
            matches!(
                one,
                Predicate::Text(TextOp::Equals, _) | Predicate::Number(_) | Predicate::Bool(_)
            )
        }),
        _ => true,
    }
}
