//! Whether one value satisfies one predicate.
//!
//! A predicate is compiled once and applied to many values. Applying it is linear in the value, or,
//! where case is ignored in the middle of a text, at most value × pattern steps.

pub(crate) mod ignoring_case;

use std::net::IpAddr;

use ipnet::IpNet;
use reflexarc_event::{Json, parse_address, unmapped_network};

use crate::regexp::CompiledRegexp;
use crate::{Bound, Decimal, Predicate, TextOp, Wildcard};

/// A value that predicates apply to: any JSON value but an array or object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scalar<'e> {
    Null,
    Bool(bool),
    Number(Decimal),
    String(&'e str),
}

impl<'e> Scalar<'e> {
    /// `None` for arrays and objects.
    pub(crate) fn of(value: &'e Json) -> Option<Self> {
        Some(match value {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            // The number of an event is valid. Any other JSON number equals nothing.
            Json::Number(text) => Self::Number(text.parse().ok()?),
            Json::String(text) => Self::String(text),
            Json::Array(_) | Json::Object(_) => return None,
        })
    }
}

/// One predicate, compiled.
#[derive(Debug)]
pub(crate) enum CompiledPredicate {
    Exists,
    Null,
    Bool(bool),
    Number(Decimal),
    Range(Option<Bound>, Option<Bound>),
    /// An exact string that is an IP address, as written and as a value: every spelling of the
    /// address is equal to it.
    Address(Box<str>, IpAddr),
    Text(TextOp, Box<str>),
    TextIgnoringCase(TextOp, Box<str>),
    Wildcard(Wildcard),
    WildcardIgnoringCase(Wildcard),
    Regexp(CompiledRegexp),
    Cidr(IpNet),
    NoneOf(Vec<CompiledPredicate>),
    /// No value satisfies it: `Missing`, which concerns the absence of values, or a regular
    /// expression that does not compile (possible in trees that were not parsed from text).
    Never,
}

impl CompiledPredicate {
    pub(crate) fn new(predicate: &Predicate) -> Self {
        match predicate {
            Predicate::Missing => Self::Never,
            Predicate::Exists => Self::Exists,
            Predicate::Null => Self::Null,
            Predicate::Bool(value) => Self::Bool(*value),
            Predicate::Number(value) => Self::Number(value.clone()),
            Predicate::Range { lower, upper } => Self::Range(lower.clone(), upper.clone()),
            Predicate::Text(op, text) => {
                Self::address(*op, text).unwrap_or_else(|| Self::Text(*op, text.clone()))
            }
            Predicate::TextIgnoringCase(op, text) => Self::address(*op, text)
                .unwrap_or_else(|| Self::TextIgnoringCase(*op, text.clone())),
            Predicate::Wildcard {
                wildcard,
                ignoring_case: false,
            } => Self::Wildcard(wildcard.clone()),
            Predicate::Wildcard {
                wildcard,
                ignoring_case: true,
            } => Self::WildcardIgnoringCase(wildcard.clone()),
            // Parsing a pattern compiles its regular expressions and reports the invalid ones,
            // so `Never` is only for trees that were made otherwise.
            Predicate::Regexp {
                regexp,
                ignoring_case,
            } => CompiledRegexp::new(&regexp.0, *ignoring_case).map_or(Self::Never, Self::Regexp),
            Predicate::Cidr(network) => Self::Cidr(unmapped_network(*network).unwrap_or(*network)),
            Predicate::AnythingBut(predicates) => {
                Self::NoneOf(predicates.iter().map(Self::new).collect())
            }
        }
    }

    /// Whether the value satisfies the predicate.
    pub(crate) fn matches(&self, value: &Scalar) -> bool {
        match (self, value) {
            (Self::Exists, _) | (Self::Null, Scalar::Null) => true,
            (Self::Bool(wanted), Scalar::Bool(value)) => wanted == value,
            (Self::Number(wanted), Scalar::Number(value)) => wanted == value,
            (Self::Range(lower, upper), Scalar::Number(value)) => {
                within(lower.as_ref(), upper.as_ref(), value)
            }
            // Comparing characters first spares parsing where the spelling is the usual one.
            (Self::Address(wanted, address), Scalar::String(value)) => {
                **wanted == **value || parse_address(value).as_ref() == Some(address)
            }
            (Self::Text(op, wanted), Scalar::String(value)) => text(*op, wanted, value),
            (Self::TextIgnoringCase(op, wanted), Scalar::String(value)) => {
                ignoring_case::text(*op, wanted, value)
            }
            (Self::Wildcard(wildcard), Scalar::String(value)) => wildcard.matches(value),
            (Self::WildcardIgnoringCase(wildcard), Scalar::String(value)) => {
                wildcard.matches_ignoring_case(value)
            }
            (Self::Regexp(regexp), Scalar::String(value)) => regexp.matches(value),
            (Self::Cidr(network), Scalar::String(value)) => {
                parse_address(value).is_some_and(|address| network.contains(&address))
            }
            (Self::NoneOf(none), value) => !none.iter().any(|one| one.matches(value)),
            _ => false,
        }
    }

    /// A whole text that is an address.
    // Decided once here and not for every value: an exact text that is none must not make each
    // value be parsed. Ignoring case accepts the same values, because case decides nothing about
    // an address: `2001:DB8::1` is `2001:db8::1`.
    fn address(op: TextOp, text: &str) -> Option<Self> {
        let address = parse_address(text).filter(|_| op == TextOp::Equals)?;
        Some(Self::Address(text.into(), address))
    }
}

/// Whether `value` compares with `wanted` by exact characters, without Unicode normalization.
pub(crate) fn text(op: TextOp, wanted: &str, value: &str) -> bool {
    match op {
        TextOp::Equals => value == wanted,
        TextOp::Prefix => value.starts_with(wanted),
        TextOp::Suffix => value.ends_with(wanted),
        TextOp::Contains => value.contains(wanted),
    }
}

/// Whether `value` lies within the bounds; a missing bound is no restriction.
pub(crate) fn within(lower: Option<&Bound>, upper: Option<&Bound>, value: &Decimal) -> bool {
    lower.is_none_or(|bound| *value > bound.value || bound.inclusive && *value == bound.value)
        && upper
            .is_none_or(|bound| *value < bound.value || bound.inclusive && *value == bound.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Regexp;

    fn meets(predicate: &Predicate, value: &str) -> bool {
        let value = Json::parse(value).expect("valid JSON");
        CompiledPredicate::new(predicate).matches(&Scalar::of(&value).expect("a scalar"))
    }

    fn number(text: &str) -> Decimal {
        text.parse().expect("a number")
    }

    #[test]
    fn each_type_meets_only_its_own_predicates() {
        assert!(meets(&Predicate::Null, "null"));
        assert!(!meets(&Predicate::Null, r#""null""#));
        assert!(!meets(&Predicate::Null, r#""""#));
        assert!(meets(&Predicate::Bool(true), "true"));
        assert!(!meets(&Predicate::Bool(true), "false"));
        assert!(!meets(&Predicate::Bool(true), r#""true""#));
        assert!(!meets(&Predicate::Number(number("1")), r#""1""#));
        assert!(!meets(&Predicate::Text(TextOp::Prefix, "1".into()), "1"));
        assert!(meets(&Predicate::Exists, "null"));
        assert!(!meets(&Predicate::Missing, "null"));
    }

    #[test]
    fn a_range_keeps_or_leaves_out_its_ends() {
        let bound = |text, inclusive| {
            Some(Bound {
                value: number(text),
                inclusive,
            })
        };
        let range = Predicate::Range {
            lower: bound("0", false),
            upper: bound("5", true),
        };
        let inside = ["0.0000001", "5", "5.0", "50e-1"];
        let outside = [
            "0",
            "-0",
            "5.00000000000000000000000001",
            "-1",
            "1e400",
            r#""3""#,
            "null",
        ];
        assert!(inside.iter().all(|value| meets(&range, value)));
        assert!(!outside.iter().any(|value| meets(&range, value)));
    }

    #[test]
    fn strings_compare_without_normalisation() {
        assert!(meets(
            &Predicate::Text(TextOp::Equals, "é".into()),
            r#""\u00e9""#
        ));
        assert!(!meets(
            &Predicate::Text(TextOp::Equals, "é".into()),
            r#""e\u0301""#
        ));
        assert!(meets(
            &Predicate::Text(TextOp::Suffix, String::new().into()),
            r#""""#
        ));
        assert!(meets(
            &Predicate::Text(TextOp::Contains, "b".into()),
            r#""abc""#
        ));
    }

    #[test]
    fn an_address_equals_every_spelling_in_every_operator() {
        let equals = |text: &str| Predicate::Text(TextOp::Equals, text.into());
        let ignoring_case = |text: &str| Predicate::TextIgnoringCase(TextOp::Equals, text.into());
        for exact in [equals("10.0.0.1"), ignoring_case("::FFFF:10.0.0.1")] {
            let other = Predicate::AnythingBut(vec![Predicate::Null, exact.clone()]);
            for same in [
                r#""10.0.0.01""#,
                r#""::ffff:a00:1""#,
                r#""::ffff:10.0.0.1""#,
            ] {
                assert!(meets(&exact, same) && !meets(&other, same), "{same}");
            }
            for different in [r#""10.0.0.2""#, r#""10.0.0.1 ""#, r#""::10.0.0.1""#] {
                assert!(
                    !meets(&exact, different) && meets(&other, different),
                    "{different}"
                );
            }
        }
    }

    #[test]
    fn a_network_holds_addresses_of_its_own_family_only() {
        let v4 = Predicate::Cidr("10.0.0.7/24".parse().expect("a network"));
        assert!(meets(&v4, r#""10.0.0.0""#));
        assert!(meets(&v4, r#""10.0.0.255""#));
        assert!(!meets(&v4, r#""10.0.1.0""#));
        assert!(!meets(&v4, "10"));
        let everything = Predicate::Cidr("::/0".parse().expect("a network"));
        assert!(!meets(&everything, r#""10.0.0.1""#));
        assert!(meets(&everything, r#""2001:DB8::1""#));
        let mapped = Predicate::Cidr("::ffff:10.0.0.0/104".parse().expect("a network"));
        assert!(meets(&mapped, r#""10.2.3.4""#) && meets(&mapped, r#""::ffff:10.2.3.4""#));
        assert!(!meets(&mapped, r#""11.2.3.4""#) && !meets(&mapped, r#""::10.2.3.4""#));
    }

    #[test]
    fn anything_but_is_met_by_every_other_scalar() {
        let but = Predicate::AnythingBut(vec![
            Predicate::Number(number("300")),
            Predicate::Number(number("1")),
        ]);
        assert!(meets(&but, "null"));
        assert!(meets(&but, r#""300""#));
        assert!(meets(&but, "301"));
        assert!(!meets(&but, "3e2"));
        assert!(!meets(&but, "1.0"));
    }

    #[test]
    fn a_regexp_matches_the_whole_value() {
        let regexp = |ignoring_case| Predicate::Regexp {
            regexp: Regexp("a|b.".into()),
            ignoring_case,
        };
        assert!(meets(&regexp(false), r#""a""#));
        assert!(meets(&regexp(false), r#""bc""#));
        assert!(!meets(&regexp(false), r#""ac""#));
        assert!(!meets(&regexp(false), r#""A""#));
        assert!(meets(&regexp(true), r#""A""#));
    }
}
