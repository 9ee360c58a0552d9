//! Finds the value that is closest to meeting a condition, and a hint at the difference.

// Every pair of a value and an alternative gets a distance; the pair with the smallest wins, the
// first one among equals. For `a in ["failed", "stopped"]` and the values `running`, `1` and
// `Stopped`:
//
//     "Stopped" ~ "stopped"    1    differs only in case
//     "running" ~ "failed"    17    same type, 7 characters differ
//     1         ~ "failed"   100    other type
//
// Distances only rank the pairs; their values mean nothing beyond that.

use std::net::IpAddr;

use ipnet::IpNet;
use reflexarc_diagnostic::truncate;
use reflexarc_event::{Json, parse_address, unmapped_network};

use super::hint::Hint;
use super::location::Location;
use super::{Found, NearMiss, characters, rewrite, suggestion};
use crate::field_values::FieldValue;
use crate::print::expression;
use crate::value::{CompiledPredicate, Scalar};
use crate::{Alternative, Decimal, Field, Node, Predicate, TextOp};

/// Most values, and most alternatives, that are compared: 40,000 pairs at worst.
const COMPARED: usize = 200;
/// Most values of a list in a condition that are shown.
const LISTED: usize = 8;
/// Most characters of a condition that are shown.
const LONGEST_CONDITION: usize = 1_000;
/// Most characters of a value's JSON text in an explanation.
const SHOWN: usize = 200;

/// The value closest to meeting the field, with hints if the difference is a common mistake.
pub(crate) fn nearest(field: &Field, values: &[&FieldValue]) -> Option<(NearMiss, Vec<Hint>)> {
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
    let (distance, closest, alternative) = values
        .iter()
        .take(COMPARED)
        .flat_map(|value| {
            alternatives.iter().map(move |(alternative, tests)| {
                let distance = distance(alternative, tests, &value.value);
                (distance, value, alternative)
            })
        })
        .min_by_key(|(distance, ..)| distance.steps)?;
    let expected = shown_condition(&Field {
        path: field.path.clone(),
        alternatives: vec![(*alternative).clone()],
    });
    let is_type = matches!(distance.hint, Some(Hint::TypeMismatch { .. }));
    let instead = (distance.hint.is_none() || is_type)
        .then(|| rewrite::instead(&field.path, alternative, &closest.value))
        .flatten();
    Some((
        NearMiss {
            found: found(closest),
            expected,
            suggested: suggestion::matching_value(alternative, &closest.value),
        },
        distance.hint.into_iter().chain(instead).collect(),
    ))
}

/// A condition as an expression, with the first values of a long list.
pub(crate) fn shown_condition(field: &Field) -> String {
    let mut shown = field.clone();
    let mut others = shown.alternatives.len().saturating_sub(LISTED);
    shown.alternatives.truncate(LISTED);
    for predicate in shown.alternatives.iter_mut().flat_map(|one| &mut one.0) {
        if let Predicate::AnythingBut(excluded) = predicate {
            others += excluded.len().saturating_sub(LISTED);
            excluded.truncate(LISTED);
        }
    }
    let mut text = expression::print(&Node::Field(shown));
    if others > 0 {
        // `a in ["x1", "x2", … 198 more]`
        let end = text.rfind([']', ')']).unwrap_or(text.len());
        text.insert_str(end, &format!(", … {others} more"));
    }
    truncate(&text, LONGEST_CONDITION).into_owned()
}

/// A value with its location, as it is shown.
pub(crate) fn found(value: &FieldValue) -> Found {
    Found {
        location: Location::of(&value.pointer),
        value: shown(&value.value),
    }
}

/// How far a value is from meeting a predicate or an alternative.
struct Distance {
    steps: usize,
    hint: Option<Hint>,
}

impl Distance {
    // Ordered by how likely the author meant this value. The gaps leave room for the number of
    // differing characters, at most 64, on top of `SAME_TYPE`.

    /// A common mistake: case or white space.
    const MISTAKE: usize = 1;
    /// The same text with another type: `5` and `"5"`.
    const OTHER_TYPE_SAME_TEXT: usize = 2;
    /// The same type; for strings, plus the number of differing characters.
    const SAME_TYPE: usize = 10;
    /// The same type, without anything in common.
    const FAR: usize = 90;
    /// Another type.
    const OTHER_TYPE: usize = 100;

    fn new(steps: usize, hint: impl Into<Option<Hint>>) -> Self {
        Self {
            steps,
            hint: hint.into(),
        }
    }
}

/// The sum over the predicates that are not met.
fn distance(alternative: &Alternative, tests: &[CompiledPredicate], value: &Scalar) -> Distance {
    let unmet = alternative
        .0
        .iter()
        .zip(tests)
        .filter(|(_, test)| !test.matches(value));
    let distances = unmet.map(|(predicate, _)| predicate_distance(predicate, value));
    distances
        .reduce(|one, other| Distance::new(one.steps + other.steps, one.hint.or(other.hint)))
        .unwrap_or(Distance {
            steps: 0,
            hint: None,
        })
}

/// The distance of a value from a predicate that it does not meet.
fn predicate_distance(predicate: &Predicate, value: &Scalar) -> Distance {
    let meets = |value: &Scalar| CompiledPredicate::new(predicate).matches(value);
    let of_type = |expected| Hint::TypeMismatch {
        expected,
        actual: type_of(value),
    };
    match (predicate, value) {
        // `is missing`, and the value is null: often the same to the author.
        (Predicate::Missing, Scalar::Null) => {
            Distance::new(Distance::SAME_TYPE, Hint::NullIsNotMissing)
        }
        (Predicate::Number(_) | Predicate::Range { .. }, Scalar::Number(_)) => {
            Distance::new(Distance::SAME_TYPE, None)
        }
        (Predicate::Number(_) | Predicate::Range { .. }, Scalar::String(text)) => {
            match text.trim().parse::<Decimal>() {
                Ok(number) if meets(&Scalar::Number(number.clone())) => {
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
        (Predicate::Cidr(network), Scalar::String(text)) => match parse_address(text) {
            Some(address) => Distance::new(Distance::SAME_TYPE, outside(network, address)),
            // ` 10.0.0.1` is not an address, but it is one without the white space.
            None if meets(&Scalar::String(text.trim())) => {
                Distance::new(Distance::MISTAKE, Hint::SurroundingWhitespace)
            }
            None => match address_with(text) {
                Some((address, other)) if meets(&Scalar::String(address)) => {
                    Distance::new(Distance::MISTAKE, Hint::AddressWith(other))
                }
                _ => Distance::new(Distance::FAR, Hint::NotAnAddress),
            },
        },
        (predicate, Scalar::String(text)) if is_string_predicate(predicate) => {
            if meets(&Scalar::String(text.trim())) {
                Distance::new(Distance::MISTAKE, Hint::SurroundingWhitespace)
            } else if ignoring_case(predicate)
                .is_some_and(|predicate| CompiledPredicate::new(&predicate).matches(value))
            {
                Distance::new(Distance::MISTAKE, Hint::ValueCase)
            } else {
                match characters::difference(predicate, text) {
                    Some(hint) => Distance::new(Distance::MISTAKE, hint),
                    None => Distance::new(
                        Distance::SAME_TYPE + difference(literal(predicate), text),
                        None,
                    ),
                }
            }
        }
        // A string predicate and a value of another type: `== "5"` and 5, compared as text.
        (predicate, value) if is_string_predicate(predicate) => {
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
        // `!= "2001:db8::1"` and the value `2001:DB8:0::1`: the reason is not to be seen.
        (Predicate::AnythingBut(excluded), Scalar::String(text)) => {
            let is_same = |one: &Predicate| is_other_spelling(one, text);
            let hint = excluded.iter().any(is_same).then_some(Hint::SameAddress);
            Distance::new(Distance::FAR, hint)
        }
        _ => Distance::new(Distance::FAR, None),
    }
}

/// The hint at an address outside a network.
fn outside(network: &IpNet, address: IpAddr) -> Hint {
    let network = unmapped_network(*network).unwrap_or(*network);
    if network.addr().is_ipv4() == address.is_ipv4() {
        Hint::OutsideNetwork(network.network(), network.broadcast())
    } else {
        Hint::OtherAddressFamily
    }
}

/// The address at the start of a text, and what comes after it.
fn address_with(text: &str) -> Option<(&str, &'static str)> {
    let text = text.trim();
    if let Some((address, length)) = text.split_once('/') {
        return length
            .parse::<u8>()
            .is_ok()
            .then_some((address, "a prefix length"));
    }
    let (address, port) = text.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    Some((address.trim_matches(['[', ']']), "a port"))
}

/// Whether the predicate compares with the address that the text is, in another spelling.
fn is_other_spelling(predicate: &Predicate, text: &str) -> bool {
    let (Predicate::Text(TextOp::Equals, wanted)
    | Predicate::TextIgnoringCase(TextOp::Equals, wanted)) = predicate
    else {
        return false;
    };
    **wanted != *text && parse_address(text).is_some_and(|one| parse_address(wanted) == Some(one))
}

fn is_string_predicate(predicate: &Predicate) -> bool {
    matches!(
        predicate,
        Predicate::Text(..)
            | Predicate::TextIgnoringCase(..)
            | Predicate::Wildcard { .. }
            | Predicate::Regexp { .. }
    )
}

/// The same string predicate, ignoring case.
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

/// The string in a predicate, for measuring differences.
fn literal(predicate: &Predicate) -> &str {
    match predicate {
        Predicate::Text(_, text) | Predicate::TextIgnoringCase(_, text) => text,
        Predicate::Wildcard { wildcard, .. } => wildcard.pieces.first().map_or("", |piece| piece),
        _ => "",
    }
}

/// The number of characters of the longer string without the common prefix and suffix, at most 64:
/// `failed` and `fooled` differ by 2. Not the edit distance, which is quadratic.
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

/// The JSON text of a value, truncated after [`SHOWN`] characters.
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
