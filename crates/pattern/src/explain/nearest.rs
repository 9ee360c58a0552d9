//! Which value came closest to which alternative, and what kept it from meeting it.

use reflexarc_diagnostic::truncate;
use reflexarc_event::Json;

use super::hint::Hint;
use super::location::Location;
use super::{Found, NearMiss, suggestion};
use crate::field_values::FieldValue;
use crate::print::expression;
use crate::value::{CompiledPredicate, Scalar, address};
use crate::{Alternative, Decimal, Field, Node, Predicate};

/// How many values and how many alternatives are compared with each other.
const COMPARED: usize = 200;
/// Longest JSON text of a value that is shown, in characters.
const SHOWN: usize = 200;

/// The value that came closest to meeting the field, with the hint that its case gives.
pub(crate) fn nearest(field: &Field, places: &[&FieldValue]) -> Option<(NearMiss, Option<Hint>)> {
    let alternatives: Vec<(&Alternative, Vec<CompiledPredicate>)> = field.alternatives
        [..field.alternatives.len().min(COMPARED)]
        .iter()
        .map(|alternative| {
            (
                alternative,
                alternative.0.iter().map(CompiledPredicate::new).collect(),
            )
        })
        .collect();
    let (distance, place, alternative) = places
        .iter()
        .take(COMPARED)
        .flat_map(|place| {
            alternatives.iter().map(move |(alternative, tests)| {
                (
                    distance(alternative, tests, &place.value),
                    place,
                    alternative,
                )
            })
        })
        .min_by_key(|(distance, ..)| distance.steps)?;
    let expected = expression::print(&Node::Field(Field {
        path: field.path.clone(),
        alternatives: vec![(*alternative).clone()],
    }));
    Some((
        NearMiss {
            found: found(place),
            expected,
            suggested: suggestion::matching_value(alternative, &place.value),
        },
        distance.hint,
    ))
}

/// A place as the reader sees it.
pub(crate) fn found(place: &FieldValue) -> Found {
    Found {
        location: Location::of(&place.pointer),
        value: shown(&place.value),
    }
}

/// Far or near, and why.
struct Distance {
    steps: usize,
    hint: Option<Hint>,
}

impl Distance {
    /// A small change of the pattern or of the event is enough.
    const SLIP: usize = 1;
    /// The same value in another type.
    const OTHER_TYPE_SAME_TEXT: usize = 2;
    /// Of the right type; the difference of the texts comes on top.
    const SAME_TYPE: usize = 10;
    /// Of the right type and as far away as can be.
    const FAR: usize = 90;
    const OTHER_TYPE: usize = 100;

    fn new(steps: usize, hint: impl Into<Option<Hint>>) -> Self {
        Self {
            steps,
            hint: hint.into(),
        }
    }
}

fn distance(alternative: &Alternative, tests: &[CompiledPredicate], value: &Scalar) -> Distance {
    let unmet = alternative
        .0
        .iter()
        .zip(tests)
        .filter(|(_, test)| !test.matches(value));
    let distances = unmet.map(|(predicate, _)| one(predicate, value));
    distances
        .reduce(|one, other| Distance::new(one.steps + other.steps, one.hint.or(other.hint)))
        .unwrap_or(Distance {
            steps: 0,
            hint: None,
        })
}

/// Why a value does not meet one predicate.
fn one(predicate: &Predicate, value: &Scalar) -> Distance {
    let meets = |value: &Scalar| CompiledPredicate::new(predicate).matches(value);
    let of_type = |expected| Hint::TypeMismatch {
        expected,
        actual: type_of(value),
    };
    match (predicate, value) {
        (Predicate::Missing, Scalar::Null) => {
            Distance::new(Distance::SAME_TYPE, Hint::NullIsNotMissing)
        }
        (Predicate::Number(_) | Predicate::Range { .. }, Scalar::Number(_)) => {
            Distance::new(Distance::SAME_TYPE, None)
        }
        (Predicate::Number(_) | Predicate::Range { .. }, Scalar::String(text)) => {
            match Decimal::parse(text.trim()) {
                Some(number) if meets(&Scalar::Number(number.clone())) => {
                    Distance::new(Distance::OTHER_TYPE_SAME_TEXT, of_type("a number"))
                }
                _ => Distance::new(Distance::OTHER_TYPE, of_type("a number")),
            }
        }
        (Predicate::Bool(wanted), Scalar::String(text)) if *text == wanted.to_string() => {
            Distance::new(Distance::OTHER_TYPE_SAME_TEXT, of_type("true or false"))
        }
        (Predicate::Null, Scalar::String("null")) => {
            Distance::new(Distance::OTHER_TYPE_SAME_TEXT, of_type("null"))
        }
        (Predicate::Cidr(_), Scalar::String(text)) => match address::read(text) {
            Some(_) => Distance::new(Distance::SAME_TYPE, None),
            None if meets(&Scalar::String(text.trim())) => {
                Distance::new(Distance::SLIP, Hint::SurroundingWhitespace)
            }
            None => Distance::new(Distance::FAR, Hint::NotAnAddress),
        },
        (predicate, Scalar::String(text)) if is_textual(predicate) => {
            if meets(&Scalar::String(text.trim())) {
                Distance::new(Distance::SLIP, Hint::SurroundingWhitespace)
            } else if ignoring_case(predicate)
                .is_some_and(|predicate| CompiledPredicate::new(&predicate).matches(value))
            {
                Distance::new(Distance::SLIP, Hint::ValueCase)
            } else {
                Distance::new(
                    Distance::SAME_TYPE + difference(literal(predicate), text),
                    None,
                )
            }
        }
        (predicate, value) if is_textual(predicate) => {
            let text = shown(value);
            let same = meets(&Scalar::String(&text));
            Distance::new(
                if same {
                    Distance::OTHER_TYPE_SAME_TEXT
                } else {
                    Distance::OTHER_TYPE
                },
                of_type("a string"),
            )
        }
        (Predicate::Number(_) | Predicate::Range { .. }, _) => {
            Distance::new(Distance::OTHER_TYPE, of_type("a number"))
        }
        (Predicate::Bool(_), Scalar::Bool(_)) => Distance::new(Distance::SAME_TYPE, None),
        (Predicate::Bool(_), _) => Distance::new(Distance::OTHER_TYPE, of_type("true or false")),
        (Predicate::Cidr(_), _) => Distance::new(Distance::OTHER_TYPE, of_type("an IP address")),
        _ => Distance::new(Distance::FAR, None),
    }
}

fn is_textual(predicate: &Predicate) -> bool {
    matches!(
        predicate,
        Predicate::Text(..)
            | Predicate::TextIgnoringCase(..)
            | Predicate::Wildcard { .. }
            | Predicate::Regexp { .. }
    )
}

/// The same test of a string without regard to case.
fn ignoring_case(predicate: &Predicate) -> Option<Predicate> {
    Some(match predicate {
        Predicate::Text(op, text) => Predicate::TextIgnoringCase(*op, text.clone()),
        Predicate::Wildcard { wildcard, .. } => Predicate::Wildcard {
            wildcard: wildcard.clone(),
            ignoring_case: true,
        },
        Predicate::Regexp { regexp, .. } => Predicate::Regexp {
            regexp: regexp.clone(),
            ignoring_case: true,
        },
        _ => return None,
    })
}

/// The characters that a test of a string names.
fn literal(predicate: &Predicate) -> &str {
    match predicate {
        Predicate::Text(_, text) | Predicate::TextIgnoringCase(_, text) => text,
        Predicate::Wildcard { wildcard, .. } => wildcard.pieces.first().map_or("", |piece| piece),
        _ => "",
    }
}

/// How many characters are left when the common beginning and the common end are taken away; no more than 64.
fn difference(one: &str, other: &str) -> usize {
    let same = |pairs: &mut dyn Iterator<Item = (char, char)>| {
        pairs.take_while(|(one, other)| one == other).count()
    };
    let (long, short) = (
        one.chars().count().max(other.chars().count()),
        one.chars().count().min(other.chars().count()),
    );
    let start = same(&mut one.chars().zip(other.chars()));
    let end = same(&mut one.chars().rev().zip(other.chars().rev()));
    (long - (start + end).min(short)).min(64)
}

fn type_of(value: &Scalar) -> &'static str {
    match value {
        Scalar::Null => "null",
        Scalar::Bool(true) => "true",
        Scalar::Bool(false) => "false",
        Scalar::Number(_) => "a number",
        Scalar::String(_) => "a string",
    }
}

/// The JSON text of a value, cut where it grows too long.
fn shown(value: &Scalar) -> String {
    let text = match value {
        Scalar::Null => "null".to_owned(),
        Scalar::Bool(value) => value.to_string(),
        Scalar::Number(value) => value.as_str().to_owned(),
        // Truncated before it is quoted too: it may be as long as the event.
        Scalar::String(text) => Json::from(&*truncate(text, SHOWN)).to_string(),
    };
    truncate(&text, SHOWN).into_owned()
}
