//! What is well-formed, but probably not meant.

use reflexarc_diagnostic::{Code, Diagnostic, Span};

use crate::spanned::{Kind, SpannedAlternative, SpannedField, SpannedNode, SpannedPredicate};
use crate::{Predicate, TextOp};

/// Warnings: parts that can never match.
pub(crate) fn warnings(tree: &SpannedNode) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for field in tree.fields() {
        for alternative in &field.alternatives {
            found.extend(contradiction(alternative));
        }
    }
    absent_and_present(tree, &mut found);
    found
}

/// Hints: tests that are easily mistaken.
pub(crate) fn hints(tree: &SpannedNode) -> Vec<Diagnostic> {
    let differs = |field: &SpannedField| {
        let [alternative] = field.alternatives.as_slice() else {
            return None;
        };
        match alternative.predicates.as_slice() {
            [
                SpannedPredicate {
                    predicate: Predicate::AnythingBut(_),
                    span,
                },
            ] => Some((span.clone(), field.path.clone())),
            _ => None,
        }
    };
    // Once: an author who knows it of one test knows it of all.
    let first = tree.fields().into_iter().find_map(differs);
    let hint = first.map(|(span, path)| {
        let path = crate::print::expression::path(&path);
        Diagnostic::hint(Code::NOT_EQUALS, span, format!("this asks for a value of `{path}` that differs"))
            .with_help(format!(
                "in an array, one such element is enough, and without a value it does not match; that no value is equal \
                 is asked by `not ({path} == …)`"
            ))
    });
    hint.into_iter().collect()
}

fn never(span: Span, message: impl Into<String>) -> Diagnostic {
    Diagnostic::warning(Code::NEVER_MATCHES, span, message)
}

/// What keeps one value from meeting all tests of an alternative.
fn contradiction(alternative: &SpannedAlternative) -> Option<Diagnostic> {
    let tests = &alternative.predicates;
    if let Some(empty) = tests.iter().find(|test| is_empty_range(&test.predicate)) {
        return Some(never(empty.span.clone(), "no number lies in this range"));
    }
    // Every pair up to some size: an alternative with more tests than that was not written by hand.
    let tests = &tests[..tests.len().min(64)];
    for (i, one) in tests.iter().enumerate() {
        for other in &tests[i + 1..] {
            if let Some(reason) = excludes(&one.predicate, &other.predicate)
                .or_else(|| excludes(&other.predicate, &one.predicate))
            {
                let span = if one.span == other.span {
                    alternative.span.clone()
                } else {
                    other.span.clone()
                };
                return Some(never(span, reason).with_label(one.span.clone(), "because of this"));
            }
        }
    }
    None
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

/// Why no value meets both tests, if that is certain.
fn excludes(one: &Predicate, other: &Predicate) -> Option<&'static str> {
    if *one == Predicate::Missing && *other != Predicate::Missing {
        return Some("a field that is missing has no value to test");
    }
    if let (Some(left), Some(right)) = (kind(one), kind(other))
        && left != right
    {
        return Some("no value has two types at once");
    }
    match (one, other) {
        (Predicate::Number(left), Predicate::Number(right)) if left != right => {
            Some("no number has two values")
        }
        (Predicate::Bool(left), Predicate::Bool(right)) if left != right => {
            Some("no value is true and false")
        }
        (
            Predicate::Range {
                lower: Some(lower), ..
            },
            Predicate::Range {
                upper: Some(upper), ..
            },
        ) if lower.value > upper.value
            || lower.value == upper.value && !(lower.inclusive && upper.inclusive) =>
        {
            Some("no number lies in both ranges")
        }
        (Predicate::Range { lower, upper }, Predicate::Number(number))
            if !crate::value::within(lower.as_ref(), upper.as_ref(), number) =>
        {
            Some("the number lies outside the range")
        }
        (Predicate::Text(TextOp::Equals, left), Predicate::Text(op, right)) => {
            let meets = match op {
                // Addresses are equal in all their spellings.
                TextOp::Equals => left == right || crate::value::address::read(left).is_some(),
                _ => {
                    crate::value::address::read(left).is_some()
                        || crate::value::text(*op, right, left)
                }
            };
            if meets {
                None
            } else {
                Some("the text does not meet the other test")
            }
        }
        (Predicate::Text(TextOp::Prefix, left), Predicate::Text(TextOp::Prefix, right))
            if !left.starts_with(&**right) && !right.starts_with(&**left) =>
        {
            Some("no text begins in two ways")
        }
        (Predicate::Text(TextOp::Suffix, left), Predicate::Text(TextOp::Suffix, right))
            if !left.ends_with(&**right) && !right.ends_with(&**left) =>
        {
            Some("no text ends in two ways")
        }
        (Predicate::AnythingBut(refused), test)
            if refused.contains(test) && !matches!(test, Predicate::Text(TextOp::Equals, _)) =>
        {
            Some("one test asks for what the other refuses")
        }
        (Predicate::AnythingBut(refused), test @ Predicate::Text(TextOp::Equals, text))
            if refused.contains(test) && crate::value::address::read(text).is_none() =>
        {
            Some("one test asks for what the other refuses")
        }
        _ => None,
    }
}

/// The type of the values that meet the test, where they have one type.
fn kind(predicate: &Predicate) -> Option<&'static str> {
    Some(match predicate {
        Predicate::Null => "null",
        Predicate::Bool(_) => "bool",
        Predicate::Number(_) | Predicate::Range { .. } => "number",
        Predicate::Text(..)
        | Predicate::TextIgnoringCase(..)
        | Predicate::Wildcard { .. }
        | Predicate::Regexp { .. }
        | Predicate::Cidr(_) => "text",
        Predicate::Missing | Predicate::Exists | Predicate::AnythingBut(_) => return None,
    })
}

/// Conjunctions in which one field asks that a path is missing, and another for a value at it.
fn absent_and_present(tree: &SpannedNode, found: &mut Vec<Diagnostic>) {
    match &tree.kind {
        Kind::Field(_) => {}
        Kind::Not(inner) => absent_and_present(inner, found),
        Kind::Any(parts) => parts
            .iter()
            .for_each(|part| absent_and_present(part, found)),
        Kind::All(parts) => {
            let fields: Vec<&SpannedField> = parts
                .iter()
                .filter_map(|part| match &part.kind {
                    Kind::Field(field) => Some(field),
                    _ => None,
                })
                .collect();
            let absent: std::collections::BTreeMap<_, _> = fields
                .iter()
                .filter(|field| only(field, true))
                .map(|field| (&field.path, &field.key))
                .collect();
            for field in fields.iter().filter(|field| only(field, false)) {
                if let Some(key) = absent.get(&field.path) {
                    let path = &field.path;
                    found.push(
                        never(
                            field.key.clone(),
                            format!("`{path}` cannot be missing and have a value"),
                        )
                        .with_label((*key).clone(), "here it has to be missing"),
                    );
                }
            }
            for part in parts {
                absent_and_present(part, found);
            }
        }
    }
}

/// Whether every alternative asks for absence, or every one for a value.
fn only(field: &SpannedField, absent: bool) -> bool {
    let is_absent = |alternative: &SpannedAlternative| {
        alternative
            .predicates
            .iter()
            .all(|spanned| spanned.predicate == Predicate::Missing)
    };
    field
        .alternatives
        .iter()
        .all(|alternative| is_absent(alternative) == absent)
}
