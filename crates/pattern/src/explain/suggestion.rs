//! A value that would have met an alternative.

use reflexarc_event::Json;
use regex_syntax::hir::{Class, ClassUnicodeRange, Hir, HirKind};

use crate::value::{CompiledPredicate, Scalar};
use crate::{Alternative, Bound, Decimal, Predicate, TextOp};

/// A value that meets every test of the alternative, near `actual` where that is easy; none where absence is asked for,
/// where the tests contradict each other, or where none was found.
pub(crate) fn matching_value(
    Alternative(predicates): &Alternative,
    actual: &Scalar,
) -> Option<Json> {
    let tests: Vec<CompiledPredicate> = predicates.iter().map(CompiledPredicate::new).collect();
    let meets = |value: &Json| {
        Scalar::of(value).is_some_and(|value| tests.iter().all(|test| test.matches(&value)))
    };
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
    candidates.extend(["", "x", "y"].map(Json::from));
    candidates.extend([Json::Number("0".into()), Json::Bool(true), Json::Null]);
    candidates.into_iter().find(meets)
}

/// Values that meet one predicate, or may.
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
            .map(|expression| Json::from(described(expression)))
            .collect(),
        Predicate::Cidr(network) => vec![Json::from(network.network().to_string())],
    }
}

/// What starts, what stands anywhere, what ends: one string for several tests of it.
fn joined(predicates: &[Predicate]) -> String {
    let texts = |wanted: &[TextOp]| -> String {
        let text = |predicate: &Predicate| match predicate {
            Predicate::Text(op, text) | Predicate::TextIgnoringCase(op, text)
                if wanted.contains(op) =>
            {
                Some(text.to_string())
            }
            Predicate::Wildcard { wildcard, .. } if wanted.contains(&TextOp::Contains) => {
                Some(wildcard.pieces.concat())
            }
            _ => None,
        };
        predicates.iter().filter_map(text).collect()
    };
    [
        texts(&[TextOp::Prefix]),
        texts(&[TextOp::Contains]),
        texts(&[TextOp::Suffix]),
    ]
    .concat()
}

/// Numbers at and between the bounds.
fn numbers(lower: Option<&Bound>, upper: Option<&Bound>) -> Vec<Json> {
    let text = |bound: &Bound| bound.value.as_str().to_owned();
    let ends = || lower.into_iter().chain(upper);
    let mut texts: Vec<String> = ends().filter(|bound| bound.inclusive).map(text).collect();
    texts.extend(["0", "1", "-1"].map(str::to_owned));
    for bound in ends() {
        let (digits, magnitude) = bound.value.parts();
        let sign = if bound.value.is_negative() { "-" } else { "" };
        // The powers of ten around it, with either sign, and itself with a little more: one step of the finer bound.
        texts.extend(
            [magnitude, magnitude - 2]
                .iter()
                .flat_map(|power| [format!("1e{power}"), format!("-1e{power}")]),
        );
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
    texts.retain(|text| Decimal::parse(text).is_some());
    texts
        .into_iter()
        .map(|text| Json::Number(text.into()))
        .collect()
}

/// The simplest text that a regular expression describes, look-around left aside.
fn described(expression: &Hir) -> String {
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
            described(&repetition.sub).repeat(repetition.min.min(1_000) as usize)
        }
        HirKind::Capture(group) => described(&group.sub),
        HirKind::Concat(parts) => parts.iter().map(described).collect(),
        HirKind::Alternation(branches) => branches.first().map(described).unwrap_or_default(),
    }
}
