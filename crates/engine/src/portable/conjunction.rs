//! Conditions that have to hold together on one value, as one condition: services have only one.

use reflexarc_event::{Event, Json};
use reflexarc_pattern::{Alternative, Field, Node, Path, Pattern, Predicate, TextOp};

/// The alternatives of one value that satisfies both fields.
pub(super) fn intersected(one: &Field, other: &Field) -> Field {
    let alternatives = one.alternatives.iter().flat_map(|Alternative(first)| {
        let second = other.alternatives.iter();
        second.map(move |Alternative(second)| [first.as_slice(), second.as_slice()].concat())
    });
    let mut kept: Vec<Alternative> = Vec::new();
    for predicates in alternatives {
        if let Some(simple) = simplified(predicates).map(Alternative)
            && !kept.contains(&simple)
        {
            kept.push(simple);
        }
    }
    Field {
        path: one.path.clone(),
        alternatives: kept,
    }
}

/// The field with its alternatives simplified, each once.
pub(super) fn simplified_field(field: Field) -> Field {
    let mut alternatives: Vec<Alternative> = Vec::new();
    for Alternative(predicates) in field.alternatives {
        // Each once: where there are too many for one rule, no two rules have the same.
        if let Some(simple) = simplified(predicates).map(Alternative)
            && !alternatives.contains(&simple)
        {
            alternatives.push(simple);
        }
    }
    Field {
        alternatives,
        path: field.path,
    }
}

/// Fewer predicates with the same meaning; `None` if no value satisfies them together.
fn simplified(mut predicates: Vec<Predicate>) -> Option<Vec<Predicate>> {
    let is_missing = |one: &Predicate| *one == Predicate::Missing;
    if predicates.iter().any(is_missing) {
        // Nothing that is missing satisfies another one.
        return predicates
            .iter()
            .all(is_missing)
            .then(|| vec![Predicate::Missing]);
    }
    // All the others imply that there is a value.
    if predicates.iter().any(|one| *one != Predicate::Exists) {
        predicates.retain(|one| *one != Predicate::Exists);
    }
    predicates.dedup();
    // A text decides about all the others. Not an address, of which every spelling is accepted.
    let text = predicates.iter().find_map(|one| match one {
        Predicate::Text(TextOp::Equals, text) if reflexarc_event::parse_address(text).is_none() => {
            Some(text.clone())
        }
        _ => None,
    });
    if let Some(text) = text {
        return satisfies(&text, &predicates).then(|| vec![Predicate::Text(TextOp::Equals, text)]);
    }
    // What is refused is refused together.
    let is_refusal = |one: &Predicate| matches!(one, Predicate::AnythingBut(_));
    if predicates.len() > 1 && predicates.iter().all(is_refusal) {
        let mut refused = Vec::new();
        for one in predicates {
            if let Predicate::AnythingBut(listed) = one {
                refused.extend(listed);
            }
        }
        let mut listed: Vec<Predicate> = Vec::new();
        for one in refused {
            if !listed.contains(&one) {
                listed.push(one);
            }
        }
        return Some(vec![Predicate::AnythingBut(listed)]);
    }
    if predicates.is_empty() {
        predicates.push(Predicate::Exists);
    }
    Some(predicates)
}

/// Whether a text satisfies all predicates.
fn satisfies(text: &str, predicates: &[Predicate]) -> bool {
    let field = Field {
        path: Path::from_keys(["v"]),
        alternatives: vec![Alternative(predicates.to_vec())],
    };
    let event = Json::from_iter([("v".to_owned(), Json::from(text))]).to_string();
    Event::from_json(event)
        .is_ok_and(|event| Pattern::from_node(Node::Field(field)).matches(&event))
}
