//! Why conditions exclude each other, in words.

use crate::{Predicate, TextOp};

/// Why no value satisfies both predicates, given that none does.
pub(super) fn of_predicates(one: &Predicate, other: &Predicate) -> &'static str {
    specific(one, other)
        .or_else(|| specific(other, one))
        .unwrap_or("no value meets both conditions")
}

/// Called with both orders of the pair, so each case is written once.
fn specific(one: &Predicate, other: &Predicate) -> Option<&'static str> {
    if *one == Predicate::Missing {
        return Some("a missing field has no value to compare");
    }
    if let (Some(left), Some(right)) = (kind(one), kind(other))
        && left != right
    {
        return Some("no value has two types");
    }
    Some(match (one, other) {
        (Predicate::Number(_), Predicate::Number(_)) => "no number equals both",
        (Predicate::Bool(_), Predicate::Bool(_)) => "no value is both true and false",
        (Predicate::Range { .. }, Predicate::Range { .. }) => "no number is in both ranges",
        (Predicate::Range { .. }, Predicate::Number(_)) => "the number is outside the range",
        (Predicate::Cidr(_), Predicate::Cidr(_)) => "no address is in both networks",
        (Predicate::Cidr(_), Predicate::Text(TextOp::Equals, _)) => {
            "the string is not an address of the network"
        }
        (_, Predicate::AnythingBut(_)) => "one condition requires what the other excludes",
        (Predicate::Text(TextOp::Equals, _), other) if kind(other) == Some("text") => {
            "the string does not meet the other condition"
        }
        (Predicate::Text(TextOp::Prefix, _), Predicate::Text(TextOp::Prefix, _)) => {
            "no string starts with both prefixes"
        }
        (Predicate::Text(TextOp::Suffix, _), Predicate::Text(TextOp::Suffix, _)) => {
            "no string ends with both suffixes"
        }
        _ => return None,
    })
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
