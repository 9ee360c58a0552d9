//! The normal form of trees, which both notations print and parse.
//!
//! - An `All` in an `All`, and an `Any` in an `Any`, is flattened; one with a single part is that
//!   part.
//! - In an alternative, a lower bound directly followed by an upper bound is one range, if the
//!   range is not empty.
//! - An `All` or `Any` without parts, which neither notation can express, is a field at the empty
//!   path that always or never holds.

// Why: parse → print → parse must be the identity, but several trees have one text. `a == 1 and (b
// == 2 and c == 3)` and `a == 1 and b == 2 and c == 3` would print alike in JSON notation, which
// has no parentheses; the normal form of both is the flat one.

use reflexarc_diagnostic::Span;

use crate::spanned::SpannedPredicate;
use crate::{Alternative, Field, Node, Path, Predicate};

/// The tree in normal form.
pub(crate) fn of(node: Node) -> Node {
    match node {
        Node::All(parts) => join(parts, Node::All, always, |part| match part {
            Node::All(inner) => Ok(inner),
            other => Err(other),
        }),
        Node::Any(parts) => join(
            parts,
            Node::Any,
            || constant(vec![NEVER.into()]),
            |part| match part {
                Node::Any(inner) => Ok(inner),
                other => Err(other),
            },
        ),
        Node::Not(inner) => Node::Not(Box::new(of(*inner))),
        Node::Field(Field { path, alternatives }) => {
            let alternatives = alternatives
                .into_iter()
                .map(|Alternative(predicates)| Alternative(tests(predicates)));
            let mut alternatives: Vec<_> = alternatives.collect();
            if alternatives.is_empty() {
                alternatives.push(Alternative(NEVER.into()));
            }
            Node::Field(Field { path, alternatives })
        }
    }
}

/// Two predicates that no value satisfies together.
const NEVER: [Predicate; 2] = [Predicate::Exists, Predicate::Missing];

/// The node that every event matches.
pub(crate) fn always() -> Node {
    constant(vec![vec![Predicate::Exists], vec![Predicate::Missing]])
}

/// Joins each lower bound with the upper bound directly after it.
pub(crate) fn join_ranges(predicates: &mut Vec<SpannedPredicate>) {
    let mut joined: Vec<SpannedPredicate> = Vec::with_capacity(predicates.len());
    for next in predicates.drain(..) {
        match joined
            .last_mut()
            .and_then(|last| Some((both(&last.predicate, &next.predicate)?, last)))
        {
            Some((range, last)) => {
                let span: Span =
                    last.span.start.min(next.span.start)..last.span.end.max(next.span.end);
                *last = SpannedPredicate {
                    span,
                    predicate: range,
                };
            }
            None => joined.push(next),
        }
    }
    *predicates = joined;
}

/// The predicates of one alternative in normal form.
fn tests(predicates: Vec<Predicate>) -> Vec<Predicate> {
    let mut done: Vec<Predicate> = Vec::with_capacity(predicates.len());
    for next in predicates {
        // An empty range is split into its bounds: as one range it is a syntax error in both
        // notations, so it could not be parsed again.
        let parts = match next {
            Predicate::Range {
                lower: Some(lower),
                upper: Some(upper),
            } if lower.value > upper.value => vec![
                Predicate::Range {
                    lower: Some(lower),
                    upper: None,
                },
                Predicate::Range {
                    lower: None,
                    upper: Some(upper),
                },
            ],
            Predicate::AnythingBut(inner) if inner.is_empty() => vec![Predicate::Exists],
            other => vec![other],
        };
        for next in parts {
            match done.last().and_then(|last| both(last, &next)) {
                Some(range) => {
                    done.pop();
                    done.push(range);
                }
                None => done.push(next),
            }
        }
    }
    if done.is_empty() {
        done.push(Predicate::Exists);
    }
    done
}

/// The range with the lower bound `first` and the upper bound `second`, if they are that.
fn both(first: &Predicate, second: &Predicate) -> Option<Predicate> {
    match (first, second) {
        (
            Predicate::Range {
                lower: Some(lower),
                upper: None,
            },
            Predicate::Range {
                lower: None,
                upper: Some(upper),
            },
        ) if lower.value <= upper.value => Some(Predicate::Range {
            lower: Some(lower.clone()),
            upper: Some(upper.clone()),
        }),
        _ => None,
    }
}

fn join(
    parts: Vec<Node>,
    make: fn(Vec<Node>) -> Node,
    empty: fn() -> Node,
    open: fn(Node) -> Result<Vec<Node>, Node>,
) -> Node {
    let mut flat = Vec::with_capacity(parts.len());
    for part in parts {
        match open(of(part)) {
            Ok(inner) => flat.extend(inner),
            Err(part) => flat.push(part),
        }
    }
    match flat.pop() {
        None => empty(),
        Some(only) if flat.is_empty() => only,
        Some(last) => {
            flat.push(last);
            make(flat)
        }
    }
}

/// A field at the empty path with these alternatives.
fn constant(alternatives: Vec<Vec<Predicate>>) -> Node {
    Node::Field(Field {
        path: Path::from_keys([""]),
        alternatives: alternatives.into_iter().map(Alternative).collect(),
    })
}
