//! Negations as conditions of fields: services have no `not` around conditions.

use reflexarc_pattern::{Alternative, Field, Node, Path, Predicate};

/// The node that holds where `node` does not, without `not`; `None` if there is none. All its
/// fields have to hold at most one value: of an array, another value may satisfy the opposite.
pub(super) fn negated(node: &Node, holds_one_value: &dyn Fn(&Path) -> bool) -> Option<Node> {
    let all = |parts: &[Node]| -> Option<Vec<Node>> {
        parts
            .iter()
            .map(|part| negated(part, holds_one_value))
            .collect()
    };
    match node {
        Node::All(parts) => Some(Node::Any(all(parts)?)),
        Node::Any(parts) => Some(Node::All(all(parts)?)),
        // `not (not …)` is not what is inside of it: `not` holds for any choice of elements. With
        // one value there is no choice.
        Node::Not(inner) => is_of_one_value(inner, holds_one_value).then(|| (**inner).clone()),
        Node::Field(field) => {
            let field = holds_one_value(&field.path).then(|| negated_field(field))?;
            Some(Node::Field(field?))
        }
    }
}

/// The opposite of a field with at most one value.
pub(super) fn negated_field(field: &Field) -> Option<Field> {
    let (missing, others): (Vec<_>, Vec<_>) = field
        .alternatives
        .iter()
        .partition(|alternative| alternative.is_missing());
    let mut refused = Vec::new();
    let mut accepted = None;
    for Alternative(predicates) in others {
        match predicates.as_slice() {
            // Whatever exists satisfies it.
            [Predicate::Exists] if missing.is_empty() => return Some(only_missing(field)),
            // What none of these accept, one of those that it lists does.
            [Predicate::AnythingBut(listed)] if accepted.is_none() => {
                accepted = Some(listed.clone());
            }
            [Predicate::Exists | Predicate::Missing | Predicate::AnythingBut(_)] => return None,
            [one] => refused.push(one.clone()),
            _ => return None,
        }
    }
    let mut alternatives = Vec::new();
    if missing.is_empty() {
        alternatives.push(Alternative(vec![Predicate::Missing]));
    }
    match accepted {
        // `x != "a" or x == "b"`: both would have to be negated together.
        Some(_) if !refused.is_empty() => return None,
        Some(listed) => alternatives.extend(listed.into_iter().map(|one| Alternative(vec![one]))),
        None if refused.is_empty() => alternatives.push(Alternative(vec![Predicate::Exists])),
        None => alternatives.push(Alternative(vec![Predicate::AnythingBut(refused)])),
    }
    Some(Field {
        path: field.path.clone(),
        alternatives,
    })
}

fn only_missing(field: &Field) -> Field {
    Field {
        path: field.path.clone(),
        alternatives: vec![Alternative(vec![Predicate::Missing])],
    }
}

fn is_of_one_value(node: &Node, holds_one_value: &dyn Fn(&Path) -> bool) -> bool {
    match node {
        Node::All(parts) | Node::Any(parts) => parts
            .iter()
            .all(|part| is_of_one_value(part, holds_one_value)),
        Node::Not(inner) => is_of_one_value(inner, holds_one_value),
        Node::Field(field) => holds_one_value(&field.path),
    }
}
