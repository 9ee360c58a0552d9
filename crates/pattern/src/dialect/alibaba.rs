//! What Alibaba Cloud EventBridge supports, from its documentation, and where that gives no answer
//! from its open-source engine.

use ipnet::IpNet;
use reflexarc_diagnostic::{Code, Diagnostic, Span};
use reflexarc_event::unmapped_network;

use super::{compares_ipv6, shared_paths};
use crate::spanned::{Kind, SpannedAlternative, SpannedField, SpannedNode, SpannedPredicate};
use crate::{Decimal, Dialect, Predicate, TextOp};

/// Most alternatives of one field, as documented.
const ALTERNATIVES: usize = 5;

/// The top-level keys of an event: the CloudEvents attributes and `data`. Extension attributes of
/// the service start with `aliyun`.
const ATTRIBUTES: [&str; 9] = [
    "id",
    "source",
    "specversion",
    "type",
    "datacontenttype",
    "dataschema",
    "subject",
    "time",
    "data",
];

/// Reports what the service does not support in one field.
pub(crate) fn check_field(field: &SpannedField, found: &mut Vec<Diagnostic>) {
    if field.alternatives.len() > ALTERNATIVES {
        let message = format!(
            "{} supports at most {ALTERNATIVES} alternatives per field",
            name()
        );
        found.push(
            Diagnostic::error(Code::DIALECT_LIMIT, field.key.clone(), message)
                .with_help("write a second rule for the others"),
        );
    }
    for alternative in &field.alternatives {
        check_alternative(alternative, found);
    }
}

/// Reports paths and connectives that the service does not support.
pub(crate) fn check_tree(tree: &SpannedNode, found: &mut Vec<Diagnostic>) {
    check_joins(tree, found);
    for field in tree.fields() {
        check_path(field, found);
    }
}

/// Warns where the service accepts the pattern but matches different events.
pub(crate) fn warn_differences(tree: &SpannedNode, found: &mut Vec<Diagnostic>) {
    // One warning about arrays per pattern; the others depend on the value of each condition.
    let mut warned_about_arrays = false;
    for field in tree.fields() {
        // `data.a` has no object on its path that could be in an array; `data.a.b` has.
        if !warned_about_arrays && field.path.segments().count() > 2 {
            warned_about_arrays = true;
            let message = format!("{} does not match inside arrays of objects", name());
            found.push(differs(field.key.clone(), message).with_help(
                "the field does not match where an object on its path is an array element",
            ));
        }
        for spanned in field.predicates() {
            let message = match &spanned.predicate {
                Predicate::Number(_) => "also compares numbers with strings: 300 equals \"300\"",
                Predicate::Bool(_) => "also compares booleans with strings: true equals \"true\"",
                Predicate::Text(TextOp::Equals, text) if looks_like_another_type(text) => {
                    "also compares this string with numbers and booleans"
                }
                predicate if compares_ipv6(predicate) => {
                    "compares an address outside of `cidr` by its characters"
                }
                Predicate::AnythingBut(inner)
                    if inner
                        .iter()
                        .any(|test| !matches!(test, Predicate::Text(..))) =>
                {
                    "compares numbers and booleans as strings"
                }
                Predicate::Cidr(_) => "excludes the first and the last address of a network",
                Predicate::Missing => {
                    "treats a field as missing only if its key is missing, not for `[]` and `{}`"
                }
                Predicate::Exists => "does not count an array of objects as a value",
                _ => continue,
            };
            found.push(differs(
                spanned.span.clone(),
                format!("{} {message}", name()),
            ));
        }
    }
}

fn name() -> &'static str {
    Dialect::Alibaba.title()
}

fn differs(span: Span, message: String) -> Diagnostic {
    Diagnostic::warning(Code::DIALECT_DIFFERENCE, span, message)
}

fn unsupported(span: Span, construct: &str) -> Diagnostic {
    Diagnostic::error(
        Code::NOT_PORTABLE,
        span,
        format!("{} does not support {construct}", name()),
    )
}

fn check_path(field: &SpannedField, found: &mut Vec<Diagnostic>) {
    let mut keys = field.path.segments();
    let first = keys.next().unwrap_or_default();
    let nested = keys.next().is_some();
    if !ATTRIBUTES.contains(&first) && !first.starts_with("aliyun") {
        found.push(
            unsupported(field.key.clone(), &format!("`{first}` as a top-level key")).with_help(
                "its events are CloudEvents, with the content of the event under `data`",
            ),
        );
    } else if nested && first != "data" {
        found.push(
            unsupported(field.key.clone(), &format!("keys inside `{first}`"))
                .with_help("only `data` can contain objects"),
        );
    } else if !nested && first == "data" {
        found.push(
            unsupported(field.key.clone(), "conditions on `data` itself")
                .with_help("use a field inside `data`"),
        );
    }
}

fn check_joins(tree: &SpannedNode, found: &mut Vec<Diagnostic>) {
    match &tree.kind {
        Kind::All(parts) => {
            for (path, span) in shared_paths(parts) {
                found.push(
                    unsupported(span, &format!("two constraints on `{path}`"))
                        .with_help("write one constraint, or two rules"),
                );
            }
            for part in parts {
                check_joins(part, found);
            }
        }
        Kind::Any(parts) => {
            found.push(
                unsupported(tree.span.clone(), "`or` across fields")
                    .with_help("write one rule for each alternative"),
            );
            for part in parts {
                check_joins(part, found);
            }
        }
        Kind::Not(inner) => {
            found.push(
                unsupported(tree.span.clone(), "`not` around conditions").with_help(
                    "use `anything-but` for a different value, `exists: false` for a missing field",
                ),
            );
            check_joins(inner, found);
        }
        Kind::Field(_) => {}
    }
}

fn check_alternative(alternative: &SpannedAlternative, found: &mut Vec<Diagnostic>) {
    let is_comparison = |spanned: &SpannedPredicate| match &spanned.predicate {
        Predicate::Range { .. } | Predicate::Number(_) => true,
        Predicate::AnythingBut(inner) => matches!(inner.as_slice(), [Predicate::Number(_)]),
        _ => false,
    };
    let comparisons = |spanned: &SpannedPredicate| match &spanned.predicate {
        Predicate::Range { lower, upper } => {
            usize::from(lower.is_some()) + usize::from(upper.is_some())
        }
        _ => 1,
    };
    // One object has one operator there. The only operator that gives several predicates is
    // `numeric`, and the export writes comparisons back into one `numeric`.
    let [first, second, ..] = alternative.predicates.as_slice() else {
        alternative
            .predicates
            .iter()
            .for_each(|spanned| check_predicate(spanned, found));
        return;
    };
    // Up to two comparisons fit into one `numeric`: `[">", 0, "!=", 3]`.
    let is_one_numeric = alternative.predicates.iter().all(is_comparison)
        && alternative
            .predicates
            .iter()
            .map(comparisons)
            .sum::<usize>()
            <= 2;
    if !is_one_numeric {
        let span = if second.span == first.span {
            alternative.span.clone()
        } else {
            second.span.clone()
        };
        found.push(
            unsupported(span, "several conditions on one value")
                .with_help("write one condition, or two rules"),
        );
    }
    alternative
        .predicates
        .iter()
        .for_each(|spanned| check_predicate(spanned, found));
}

fn check_predicate(spanned: &SpannedPredicate, found: &mut Vec<Diagnostic>) {
    let unsupported = |construct: &str, help: &str| {
        Some(unsupported(spanned.span.clone(), construct).with_help(help))
    };
    let error = match &spanned.predicate {
        Predicate::Text(TextOp::Prefix | TextOp::Suffix, text) if text.is_empty() => unsupported(
            "an empty prefix or suffix",
            "use `exists` to match any value",
        ),
        Predicate::TextIgnoringCase(..)
        | Predicate::Wildcard {
            ignoring_case: true,
            ..
        }
        | Predicate::Regexp {
            ignoring_case: true,
            ..
        } => unsupported("ignoring case", "list the spellings that occur"),
        Predicate::Wildcard { .. } => unsupported(
            "wildcards",
            "use a prefix, a suffix or `contains` if possible",
        ),
        Predicate::Regexp { .. } => unsupported(
            "regular expressions",
            "use a prefix, a suffix or `contains` if possible",
        ),
        Predicate::Range { lower, upper } => {
            let far = [lower, upper]
                .into_iter()
                .flatten()
                .any(|bound| is_far(&bound.value));
            if far {
                unsupported(
                    "bounds beyond ±1,000,000,000",
                    "use a bound within that range",
                )
            } else {
                None
            }
        }
        Predicate::Cidr(network)
            if matches!(unmapped_network(*network), Some(IpNet::V6(network))
                if network.prefix_len() < 128) =>
        {
            unsupported("IPv6 networks", "use single IPv6 addresses")
        }
        Predicate::AnythingBut(inner) => {
            let is_literal = |predicate: &Predicate| {
                matches!(
                    predicate,
                    Predicate::Null
                        | Predicate::Bool(_)
                        | Predicate::Number(_)
                        | Predicate::Text(TextOp::Equals, _)
                )
            };
            let is_one_affix = matches!(
                inner.as_slice(),
                [Predicate::Text(TextOp::Prefix | TextOp::Suffix, text)] if !text.is_empty()
            );
            if inner.iter().all(is_literal) || is_one_affix {
                None
            } else {
                unsupported(
                    "this `anything-but`",
                    "use values only, or one prefix or suffix",
                )
            }
        }
        _ => None,
    };
    found.extend(error);
}

/// Whether a number is outside the range of `numeric`, as documented.
pub(crate) fn is_far(number: &Decimal) -> bool {
    let (Ok(most), Ok(least)) = ("1e9".parse::<Decimal>(), "-1e9".parse::<Decimal>()) else {
        return false;
    };
    *number > most || *number < least
}

fn looks_like_another_type(text: &str) -> bool {
    text == "true" || text == "false" || text.parse::<Decimal>().is_ok()
}
