//! What AWS EventBridge takes: its documentation, and where that is silent what its validator was seen to answer.

use std::collections::BTreeSet;
use std::net::IpAddr;

use reflexarc_diagnostic::{Code, Diagnostic, Span};

use super::{complexity, shared_paths};
use crate::spanned::{Kind, SpannedField, SpannedNode, SpannedPredicate};
use crate::{Decimal, Dialect, Predicate, TextOp};

/// Most ways through the `$or`s of one pattern.
pub(crate) const COMBINATIONS: usize = 1_000;

/// Most different paths in one pattern.
const FIELDS: usize = 256;

/// Most characters of a pattern, by AWS's quotas: what an account begins with, and what it can have that raised to.
const LENGTHS: [usize; 2] = [2_048, 4_096];

/// Words that cannot be keys inside `$or`, at any depth.
const RESERVED_IN_OR: [&str; 24] = [
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
    "ip-address-not-in-range",
];

/// Whether the key cannot stand inside `$or`.
pub(crate) fn is_reserved_in_or(key: &str) -> bool {
    RESERVED_IN_OR.contains(&key)
}

/// Says what in one field does not port.
pub(crate) fn check_field(field: &SpannedField, found: &mut Vec<Diagnostic>) {
    for alternative in &field.alternatives {
        if let [_, second, ..] = alternative.predicates.as_slice() {
            found.push(refused(second, "several tests of one value").with_help(
                "write one test, or several rules; alternatives of one path need no second rule",
            ));
        }
        for spanned in &alternative.predicates {
            check_predicate(spanned, found);
        }
    }
}

/// Says what in the tree, its fields aside, does not port.
pub(crate) fn check_tree(tree: &SpannedNode, found: &mut Vec<Diagnostic>) {
    let fields = tree.fields();
    let paths: BTreeSet<_> = fields.iter().map(|field| &field.path).collect();
    if paths.len() > FIELDS {
        let message = format!(
            "{} takes at most {FIELDS} different paths in a pattern",
            name()
        );
        found.push(Diagnostic::error(
            Code::DIALECT_LIMIT,
            tree.span.clone(),
            message,
        ));
    }
    if combinations(tree) > COMBINATIONS {
        let message = format!("the alternatives make more than {COMBINATIONS} combinations");
        found.push(
            Diagnostic::error(Code::TOO_MANY, tree.span.clone(), message)
                .with_help("write several rules instead"),
        );
    }
    for field in fields.iter().filter(|field| field.path.as_str() == "$or") {
        found.push(Diagnostic::error(
            Code::NOT_PORTABLE,
            field.key.clone(),
            format!("{} cannot name a field `$or`", name()),
        ));
    }
    check_joins(tree, found);
    complexity::check(&fields, found);
}

/// Says whether the exported text is too long, always or without a higher quota. Only what is sent to the
/// service is measured: its validator does not know the quota.
pub(crate) fn check_length(exported: &str, whole: Span) -> Option<Diagnostic> {
    let [usual, most] = LENGTHS;
    let characters = exported.chars().count();
    let message = format!("the pattern has {characters} characters as it is exported");
    if characters > most {
        let help = format!(
            "{} takes at most {most}; write several rules instead",
            name()
        );
        Some(Diagnostic::error(Code::DIALECT_LIMIT, whole, message).with_help(help))
    } else if characters > usual {
        let help =
            format!("an account may have {usual} at first; the quota can be raised to {most}");
        Some(Diagnostic::warning(Code::DIALECT_LIMIT, whole, message).with_help(help))
    } else {
        None
    }
}

/// Says where the service takes the pattern, but answers differently.
pub(crate) fn compare(tree: &SpannedNode, found: &mut Vec<Diagnostic>) {
    for field in tree.fields() {
        if field.path.segments().any(str::is_empty) {
            found.push(differs(
                field.key.clone(),
                "does not find fields under an empty key",
            ));
        }
        for spanned in field
            .alternatives
            .iter()
            .flat_map(|alternative| &alternative.predicates)
        {
            let message = match &spanned.predicate {
                Predicate::Cidr(_) => {
                    "compares IPv4 and IPv6 addresses with each other, by their bytes"
                }
                Predicate::Number(number) if !number.fits_double() => {
                    "compares this number by its digits, and rounds fractions of events"
                }
                Predicate::TextIgnoringCase(_, text)
                    if text.chars().any(|c| u32::from(c) > 0xFFFF) =>
                {
                    "does not recognise characters beyond U+FFFF when it ignores case"
                }
                _ => continue,
            };
            found.push(differs(spanned.span.clone(), message));
        }
    }
    absence_in_arrays(tree, found);
}

/// The service judges absence in the order of paths, which shows where an array of objects lies on the way.
fn absence_in_arrays(tree: &SpannedNode, found: &mut Vec<Diagnostic>) {
    let fields = tree.fields();
    let parent = |field: &SpannedField| {
        field
            .path
            .as_str()
            .rsplit_once('.')
            .map(|(parent, _)| parent.to_owned())
    };
    for field in &fields {
        let Some(around) = parent(field) else {
            continue;
        };
        let missing = field
            .alternatives
            .iter()
            .flat_map(|alternative| &alternative.predicates);
        let Some(spanned) = missing
            .into_iter()
            .find(|spanned| spanned.predicate == Predicate::Missing)
        else {
            continue;
        };
        let later = fields
            .iter()
            .any(|other| other.path > field.path && parent(other).is_some_and(|p| p == around));
        if later {
            let message = format!(
                "looks for absence in every element, where `{around}` is an array of objects"
            );
            found.push(differs(spanned.span.clone(), &message));
        }
    }
}

fn name() -> &'static str {
    Dialect::Aws.title()
}

fn differs(span: Span, message: &str) -> Diagnostic {
    Diagnostic::warning(Code::ANSWERS_DIFFER, span, format!("{} {message}", name()))
}

fn check_joins(tree: &SpannedNode, found: &mut Vec<Diagnostic>) {
    match &tree.kind {
        Kind::All(parts) => {
            for (path, span) in shared_paths(parts) {
                let message = format!(
                    "{} lets the later of two constraints of `{path}` win",
                    name()
                );
                found.push(
                    Diagnostic::error(Code::NOT_PORTABLE, span, message)
                        .with_help("write one constraint, or two rules"),
                );
            }
            for part in parts {
                check_joins(part, found);
            }
        }
        Kind::Any(parts) => {
            for field in tree
                .fields()
                .into_iter()
                .filter(|field| is_reserved_in_or(field.path.as_str()))
            {
                let message = format!(
                    "`{}` cannot be a key inside `$or` of {}",
                    field.path,
                    name()
                );
                found.push(Diagnostic::error(
                    Code::RESERVED_IN_OR,
                    field.key.clone(),
                    message,
                ));
            }
            for part in parts {
                check_joins(part, found);
            }
        }
        Kind::Not(inner) => {
            let help = match &inner.kind {
                Kind::Field(_) => {
                    "`anything-but` asks for a value that differs, `exists: false` for none"
                }
                _ => "turn it around: `anything-but` and `exists: false` in each field",
            };
            let message = format!("{} has no `not` around tests", name());
            found.push(
                Diagnostic::error(Code::NOT_PORTABLE, tree.span.clone(), message).with_help(help),
            );
            check_joins(inner, found);
        }
        Kind::Field(_) => {}
    }
}

/// How many ways there are through the joins.
fn combinations(tree: &SpannedNode) -> usize {
    match &tree.kind {
        Kind::All(parts) => parts
            .iter()
            .map(combinations)
            .fold(1, usize::saturating_mul),
        Kind::Any(parts) => parts
            .iter()
            .map(combinations)
            .fold(0, usize::saturating_add),
        Kind::Not(inner) => combinations(inner),
        Kind::Field(_) => 1,
    }
}

fn refused(spanned: &SpannedPredicate, what: &str) -> Diagnostic {
    let message = format!("{} does not take {what}", name());
    Diagnostic::error(Code::NOT_PORTABLE, spanned.span.clone(), message)
}

fn check_predicate(spanned: &SpannedPredicate, found: &mut Vec<Diagnostic>) {
    let refused = |what: &str, help: &str| {
        let diagnostic = refused(spanned, what);
        Some(if help.is_empty() {
            diagnostic
        } else {
            diagnostic.with_help(help)
        })
    };
    let fault = match &spanned.predicate {
        Predicate::Text(TextOp::Contains, _) | Predicate::TextIgnoringCase(TextOp::Contains, _) => {
            refused(
                "`contains`",
                "a wildcard with a `*` on both sides says the same",
            )
        }
        Predicate::Wildcard {
            ignoring_case: true,
            ..
        } => refused("wildcards that ignore case", ""),
        Predicate::Regexp { .. } => refused("regular expressions", "a wildcard may do"),
        Predicate::Range { lower, upper } => {
            let largest = Decimal::parse("1.7976931348623157e308");
            let lowest = Decimal::parse("-1.7976931348623157e308");
            let edges = lower.as_ref().map(|bound| &bound.value) == largest.as_ref()
                || upper.as_ref().map(|bound| &bound.value) == lowest.as_ref();
            let numbers = [lower.as_ref(), upper.as_ref()];
            if edges {
                refused("a range that begins or ends with the farthest number", "")
            } else if numbers
                .into_iter()
                .flatten()
                .any(|bound| !bound.value.fits_double())
            {
                refused("a bound that a double does not hold exactly", "")
            } else if matches!((lower, upper), (Some(low), Some(high)) if low.value >= high.value) {
                refused("a range of one number", "compare with `=`")
            } else {
                None
            }
        }
        Predicate::Cidr(network) if network.prefix_len() == network.max_prefix_len() => refused(
            "a network of one address",
            "compare with the address as text",
        ),
        Predicate::Cidr(network) if is_mapped(network.addr()) => {
            refused("an IPv4 address inside an IPv6 one", "")
        }
        Predicate::AnythingBut(inner) => check_anything_but(inner).and_then(|what| {
            refused(
                what,
                "it takes text alone, numbers alone, or texts of one operator",
            )
        }),
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
        Predicate::Wildcard {
            ignoring_case: false,
            ..
        } => Some(("wildcard", None)),
        _ => None,
    };
    let first = inner.first().and_then(kind);
    let odd = |predicate: &Predicate| match predicate {
        Predicate::Text(TextOp::Contains, _) => Some("`contains` in `anything-but`"),
        Predicate::Text(TextOp::Prefix | TextOp::Suffix, text) if text.is_empty() => {
            Some("an empty prefix or suffix in `anything-but`")
        }
        Predicate::Number(number) if !number.fits_double() => {
            Some("a number that a double does not hold exactly")
        }
        other if kind(other).is_none() => Some("this inside `anything-but`"),
        other if kind(other) != first => Some("a mixture inside `anything-but`"),
        _ => None,
    };
    inner.iter().find_map(odd)
}

fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some())
}
