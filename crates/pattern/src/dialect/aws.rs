//! What AWS EventBridge takes: its documentation, and where that is silent what its validator was seen to answer.

use std::collections::BTreeSet;
use std::net::IpAddr;

use reflexarc_event::{Code, Diagnostic};

use crate::located::{Kind, Located, LocatedField, LocatedPredicate};
use crate::{Decimal, Dialect, Predicate, TextOp};

/// Most ways through the `$or`s of one pattern.
pub(crate) const COMBINATIONS: usize = 1_000;

/// Most different paths in one pattern.
const FIELDS: usize = 256;

/// Words that cannot be keys inside `$or`, at any depth.
const RESERVED_IN_OR: [&str; 23] = [
    "exactly",
    "equals-ignore-case",
    "prefix",
    "suffix",
    "anything-but",
    "exists",
    "wildcard",
    "numeric",
    "cidr",
    "=",
    "<",
    "<=",
    ">",
    ">=",
    "regex",
    "not-wildcard",
    "not-equals-ignore-case",
    "date-after",
    "date-on-or-after",
    "date-before",
    "date-on-or-before",
    "in-date-range",
    "ip-address-in-range",
];

/// Whether the key cannot stand inside `$or`.
pub(crate) fn is_reserved_in_or(key: &str) -> bool {
    RESERVED_IN_OR.contains(&key) || key == "ip-address-not-in-range"
}

/// Says what in one field does not port.
pub(crate) fn check_field(field: &LocatedField, found: &mut Vec<Diagnostic>) {
    for alternative in &field.alternatives {
        if let [_, second, ..] = alternative.predicates.as_slice() {
            found.push(
                refused(second, "several tests of one value")
                    .with_help("write one test, or several rules; alternatives of one path need no second rule"),
            );
        }
        for placed in &alternative.predicates {
            check_predicate(placed, found);
        }
    }
}

/// Says what in the tree, its fields aside, does not port.
pub(crate) fn check_tree(tree: &Located, found: &mut Vec<Diagnostic>) {
    let paths: BTreeSet<_> = tree.fields().into_iter().map(|field| &field.path).collect();
    if paths.len() > FIELDS {
        let message = format!("{} takes at most {FIELDS} different paths in a pattern", Dialect::Aws.title());
        found.push(Diagnostic::error(Code::DIALECT_LIMIT, tree.span.clone(), message));
    }
    check_joins(tree, found);
}

fn check_joins(tree: &Located, found: &mut Vec<Diagnostic>) {
    match &tree.kind {
        Kind::All(parts) | Kind::Any(parts) => parts.iter().for_each(|part| check_joins(part, found)),
        Kind::Not(_) => {
            let message = format!("{} has no `not`", Dialect::Aws.title());
            found.push(Diagnostic::error(Code::NOT_PORTABLE, tree.span.clone(), message));
        }
        Kind::Field(_) => {}
    }
}

fn refused(placed: &LocatedPredicate, what: &str) -> Diagnostic {
    let message = format!("{} does not take {what}", Dialect::Aws.title());
    Diagnostic::error(Code::NOT_PORTABLE, placed.span.clone(), message)
}

fn check_predicate(placed: &LocatedPredicate, found: &mut Vec<Diagnostic>) {
    let refused = |what: &str, help: &str| {
        let diagnostic = refused(placed, what);
        Some(if help.is_empty() { diagnostic } else { diagnostic.with_help(help) })
    };
    let fault = match &placed.predicate {
        Predicate::Text(TextOp::Contains, _) | Predicate::TextIgnoringCase(TextOp::Contains, _) => {
            refused("`contains`", "a wildcard with a `*` on both sides says the same")
        }
        Predicate::Wildcard { ignoring_case: true, .. } => refused("wildcards that ignore case", ""),
        Predicate::Regexp { .. } => refused("regular expressions", "a wildcard may do"),
        Predicate::Range { lower, upper } => {
            let largest = Decimal::parse("1.7976931348623157e308");
            let lowest = Decimal::parse("-1.7976931348623157e308");
            let edges = lower.as_ref().map(|bound| &bound.value) == largest.as_ref()
                || upper.as_ref().map(|bound| &bound.value) == lowest.as_ref();
            let numbers = [lower.as_ref(), upper.as_ref()];
            if edges {
                refused("a range that begins or ends with the farthest number", "")
            } else if numbers.into_iter().flatten().any(|bound| !bound.value.fits_double()) {
                refused("a bound that a double does not hold exactly", "")
            } else if matches!((lower, upper), (Some(low), Some(high)) if low.value >= high.value) {
                refused("a range of one number", "compare with `=`")
            } else {
                None
            }
        }
        Predicate::Cidr(network) if network.prefix_len() == network.max_prefix_len() => {
            refused("a network of one address", "compare with the address as text")
        }
        Predicate::Cidr(network) if is_mapped(network.addr()) => refused("an IPv4 address inside an IPv6 one", ""),
        Predicate::AnythingBut(inner) => check_anything_but(inner)
            .and_then(|what| refused(what, "it takes text alone, numbers alone, or texts of one operator")),
        _ => None,
    };
    found.extend(fault);
}

/// What in an `anything-but` does not port.
fn check_anything_but(inner: &[Predicate]) -> Option<&'static str> {
    let kind = |predicate: &Predicate| match predicate {
        Predicate::Text(op, _) => Some(("text", Some(*op))),
        Predicate::Number(_) => Some(("number", None)),
        Predicate::TextIgnoringCase(TextOp::Equals, _) => Some(("ignoring case", None)),
        Predicate::Wildcard { ignoring_case: false, .. } => Some(("wildcard", None)),
        _ => None,
    };
    let first = inner.first().and_then(kind);
    let odd = |predicate: &Predicate| match predicate {
        Predicate::Text(TextOp::Contains, _) => Some("`contains` in `anything-but`"),
        Predicate::Text(TextOp::Prefix | TextOp::Suffix, text) if text.is_empty() => {
            Some("an empty prefix or suffix in `anything-but`")
        }
        Predicate::Number(number) if !number.fits_double() => Some("a number that a double does not hold exactly"),
        other if kind(other).is_none() => Some("this inside `anything-but`"),
        other if kind(other) != first => Some("a mixture inside `anything-but`"),
        _ => None,
    };
    inner.iter().find_map(odd)
}

fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some())
}
