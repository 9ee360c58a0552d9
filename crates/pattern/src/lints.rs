//! Lints: valid patterns that are probably mistakes.

use reflexarc_diagnostic::{Code, Diagnostic, Span};

use crate::spanned::{Kind, SpannedAlternative, SpannedField, SpannedNode, SpannedPredicate};
use crate::{Predicate, TextOp};

/// Warnings: conditions that never match.
pub(crate) fn warnings(tree: &SpannedNode) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for field in tree.fields() {
        for alternative in &field.alternatives {
            found.extend(contradiction(alternative));
        }
    }
    missing_and_present(tree, &mut found);
    found
}

/// Hints: conditions that are often misread.
pub(crate) fn hints(tree: &SpannedNode) -> Vec<Diagnostic> {
    let not_equals = |field: &SpannedField| {
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
    // One hint per pattern: it explains the operator, not the particular condition.
    let first = tree.fields().into_iter().find_map(not_equals);
    let hint = first.map(|(span, path)| {
        let path = crate::print::expression::path(&path);
        let message = format!("this condition requires a value of `{path}` that differs");
        Diagnostic::hint(Code::NOT_EQUALS, span, message).with_help(format!(
            "one differing array element is enough, and a missing field does not match; \
             to require that no value is equal, write `not ({path} == …)`"
        ))
    });
    hint.into_iter().collect()
}

fn never(span: Span, reason: impl std::fmt::Display) -> Diagnostic {
    Diagnostic::warning(
        Code::NEVER_MATCHES,
        span,
        format!("never matches: {reason}"),
    )
}

/// The first two predicates of an alternative that no value can meet together.
fn contradiction(alternative: &SpannedAlternative) -> Option<Diagnostic> {
    // The pairs below are of different predicates, so a range that is empty by itself, `1 < p < 1`,
    // is checked first.
    let tests = &alternative.predicates;
    if let Some(empty) = tests.iter().find(|test| is_empty_range(&test.predicate)) {
        return Some(never(empty.span.clone(), "no number is in this range"));
    }
    // All pairs, so quadratic; no alternative written by hand has more than a few predicates.
    let tests = &tests[..tests.len().min(64)];
    for (i, one) in tests.iter().enumerate() {
        for other in &tests[i + 1..] {
            if let Some(reason) = excludes(&one.predicate, &other.predicate)
                .or_else(|| excludes(&other.predicate, &one.predicate))
            {
                // Both have one span where an operator stands for several predicates.
                let span = if one.span == other.span {
                    alternative.span.clone()
                } else {
                    other.span.clone()
                };
                return Some(
                    never(span, reason).with_label(one.span.clone(), "conflicts with this"),
                );
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

/// The reason why no value meets both predicates; `None` if some value may. Called with both
/// orders of the pair, so each case is written once.
fn excludes(one: &Predicate, other: &Predicate) -> Option<&'static str> {
    if *one == Predicate::Missing && *other != Predicate::Missing {
        return Some("a missing field has no value to compare");
    }
    // `== 5 and starts with "x"`: a number is never a string.
    if let (Some(left), Some(right)) = (kind(one), kind(other))
        && left != right
    {
        return Some("no value has two types");
    }
    match (one, other) {
        (Predicate::Number(left), Predicate::Number(right)) if left != right => {
            Some("no number equals both")
        }
        (Predicate::Bool(left), Predicate::Bool(right)) if left != right => {
            Some("no value is both true and false")
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
            Some("no number is in both ranges")
        }
        (Predicate::Range { lower, upper }, Predicate::Number(number))
            if !crate::value::within(lower.as_ref(), upper.as_ref(), number) =>
        {
            Some("the number is outside the range")
        }
        (Predicate::Text(TextOp::Equals, left), Predicate::Text(op, right)) => {
            // `== "10.0.0.1"` also matches `10.0.0.01`, so an address is not limited to its
            // characters.
            let compatible = reflexarc_event::parse_address(left).is_some()
                || crate::value::text(*op, right, left);
            if compatible {
                None
            } else {
                Some("the string does not meet the other condition")
            }
        }
        (Predicate::Text(TextOp::Prefix, left), Predicate::Text(TextOp::Prefix, right))
            if !left.starts_with(&**right) && !right.starts_with(&**left) =>
        {
            Some("no string starts with both prefixes")
        }
        (Predicate::Text(TextOp::Suffix, left), Predicate::Text(TextOp::Suffix, right))
            if !left.ends_with(&**right) && !right.ends_with(&**left) =>
        {
            Some("no string ends with both suffixes")
        }
        (Predicate::AnythingBut(excluded), required) if excluded.contains(required) => {
            Some("one condition requires what the other excludes")
        }
        _ => None,
    }
}

/// The type of the values that meet the predicate, if they all have one type.
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

/// Reports conjunctions in which one field requires that a path is missing, and another requires a
/// value at that path.
fn missing_and_present(tree: &SpannedNode, found: &mut Vec<Diagnostic>) {
    match &tree.kind {
        Kind::Field(_) => {}
        Kind::Not(inner) => missing_and_present(inner, found),
        Kind::Any(parts) => parts
            .iter()
            .for_each(|part| missing_and_present(part, found)),
        Kind::All(parts) => {
            let fields: Vec<&SpannedField> = parts
                .iter()
                .filter_map(|part| match &part.kind {
                    Kind::Field(field) => Some(field),
                    _ => None,
                })
                .collect();
            // `a is missing and a == "x"`. Not across branches: `a is missing or a == "x"` is fine,
            // and so is `a (is missing or == "x") and a == "y"`, which matches `["x", "y"]`.
            let missing: std::collections::BTreeMap<_, _> = fields
                .iter()
                .filter(|field| all_alternatives(field, true))
                .map(|field| (&field.path, &field.key))
                .collect();
            for field in fields.iter().filter(|field| all_alternatives(field, false)) {
                if let Some(key) = missing.get(&field.path) {
                    let path = &field.path;
                    found.push(
                        never(
                            field.key.clone(),
                            format!("`{path}` cannot be missing and have a value"),
                        )
                        .with_label((*key).clone(), "required to be missing here"),
                    );
                }
            }
            for part in parts {
                missing_and_present(part, found);
            }
        }
    }
}

/// Whether all alternatives of the field require that it is missing (or, with `missing` false,
/// that none of them does).
fn all_alternatives(field: &SpannedField, missing: bool) -> bool {
    let requires_missing = |alternative: &SpannedAlternative| {
        alternative
            .predicates
            .iter()
            .all(|spanned| spanned.predicate == Predicate::Missing)
    };
    field
        .alternatives
        .iter()
        .all(|alternative| requires_missing(alternative) == missing)
}
