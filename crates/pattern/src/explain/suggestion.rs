//! Suggests a value that meets an alternative.

// Generate and test: candidates are derived from each predicate on its own, and the first one that
// meets all predicates is the suggestion. For `starts with "eni-" and ends with "z"` candidates
// are `eni-`, `z` and, from all parts together, `eni-z`; only the last one meets both. A solver
// for conjunctions would find more, but is not worth its size for a hint.

use reflexarc_event::Json;
use regex_syntax::hir::{Class, ClassUnicodeRange, Hir, HirKind};

use crate::value::{CompiledPredicate, Scalar};
use crate::{Alternative, Bound, Decimal, Predicate, TextOp};

/// A value that meets the alternative, close to `actual` where that is easy. `None` if the
/// alternative requires a missing field or is contradictory, or if no candidate meets it.
pub(crate) fn matching_value(
    Alternative(predicates): &Alternative,
    actual: &Scalar,
) -> Option<Json> {
    let tests: Vec<CompiledPredicate> = predicates.iter().map(CompiledPredicate::new).collect();
    let meets = |value: &Json| {
        Scalar::of(value).is_some_and(|value| tests.iter().all(|test| test.matches(&value)))
    };
    // Candidates close to the actual value come first. For `ENI-1` and `starts with "eni-"` the
    // lower-cased `eni-1` is a better suggestion than the bare prefix.
    let mut candidates = Vec::new();
    if let Scalar::String(text) = actual {
        candidates.extend([
            Json::from(text.trim()),
            Json::from(text.to_lowercase()),
            Json::from(text.to_uppercase()),
        ]);
    }
    candidates.extend(predicates.iter().flat_map(examples));
    candidates.push(Json::from(joined(predicates)));
    // For `anything-but`: any value that is not excluded.
    candidates.extend(["", "x", "y"].map(Json::from));
    candidates.extend([Json::Number("0".into()), Json::Bool(true), Json::Null]);
    candidates.into_iter().find(meets)
}

/// Values that are likely to meet one predicate.
fn examples(predicate: &Predicate) -> Vec<Json> {
    match predicate {
        Predicate::Missing | Predicate::Exists | Predicate::AnythingBut(_) => vec![],
        Predicate::Null => vec![Json::Null],
        Predicate::Bool(value) => vec![Json::Bool(*value)],
        Predicate::Number(value) => vec![Json::Number(value.as_str().into())],
        Predicate::Range { lower, upper } => numbers(lower.as_ref(), upper.as_ref()),
        Predicate::Text(_, text) | Predicate::TextIgnoringCase(_, text) => {
            vec![Json::from(&**text)]
        }
        Predicate::Wildcard { wildcard, .. } => vec![Json::from(wildcard.pieces.concat())],
        Predicate::Regexp { regexp, .. } => regex_syntax::parse(&regexp.0)
            .iter()
            .map(|expression| Json::from(example_of(expression)))
            .collect(),
        Predicate::Cidr(network) => vec![Json::from(network.network().to_string())],
    }
}

/// One string for several string predicates: prefixes, then what it must contain, then suffixes.
fn joined(predicates: &[Predicate]) -> String {
    let strings = |wanted: TextOp| -> String {
        let string = |predicate: &Predicate| match predicate {
            Predicate::Text(op, text) | Predicate::TextIgnoringCase(op, text) if *op == wanted => {
                Some(text.to_string())
            }
            Predicate::Wildcard { wildcard, .. } if wanted == TextOp::Contains => {
                Some(wildcard.pieces.concat())
            }
            _ => None,
        };
        predicates.iter().filter_map(string).collect()
    };
    [TextOp::Prefix, TextOp::Contains, TextOp::Suffix]
        .map(strings)
        .concat()
}

/// Numbers at the bounds and between them.
// Candidates are built from digits, not with floating point: bounds may have any number of digits.
// For `> 0.25` (digits 25, magnitude 0) and `< 0.3`: 0, ±1, powers of ten, and 0.250001, which is
// the lower bound with more zeros than either bound has digits, so it stays below the upper one.
fn numbers(lower: Option<&Bound>, upper: Option<&Bound>) -> Vec<Json> {
    let text = |bound: &Bound| bound.value.as_str().to_owned();
    let ends = || lower.into_iter().chain(upper);
    let mut texts: Vec<String> = ends().filter(|bound| bound.inclusive).map(text).collect();
    texts.extend(["0", "1", "-1"].map(str::to_owned));
    for bound in ends() {
        let (digits, magnitude) = bound.value.parts();
        let sign = if bound.value.is_negative() { "-" } else { "" };
        // The powers of ten around the bound, with either sign.
        texts.extend(
            [magnitude, magnitude - 2]
                .iter()
                .flat_map(|power| [format!("1e{power}"), format!("-1e{power}")]),
        );
        // The bound plus less than one unit in the last place of the bound with more digits.
        let zeros = "0".repeat(
            ends()
                .map(|bound| bound.value.parts().0.len())
                .max()
                .unwrap_or(0)
                + 1,
        );
        let digits: String = digits
            .iter()
            .map(|digit| char::from(b'0' + digit))
            .collect();
        texts.push(format!("{sign}0.{digits}{zeros}1e{magnitude}"));
    }
    texts.retain(|text| text.parse::<Decimal>().is_ok());
    texts
        .into_iter()
        .map(|text| Json::Number(text.into()))
        .collect()
}

/// A string that a regular expression matches: the first branch, the fewest repetitions and of a
/// class the start of its last range. Assertions are ignored, so it may not match after all.
fn example_of(expression: &Hir) -> String {
    match expression.kind() {
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(Class::Bytes(_)) => String::new(),
        HirKind::Literal(literal) => String::from_utf8_lossy(&literal.0).into_owned(),
        HirKind::Class(Class::Unicode(class)) => class
            .ranges()
            .last()
            .map(ClassUnicodeRange::start)
            .into_iter()
            .collect(),
        HirKind::Repetition(repetition) => {
            example_of(&repetition.sub).repeat(repetition.min.min(1_000) as usize)
        }
        HirKind::Capture(group) => example_of(&group.sub),
        HirKind::Concat(parts) => parts.iter().map(example_of).collect(),
        HirKind::Alternation(branches) => branches.first().map(example_of).unwrap_or_default(),
    }
}
