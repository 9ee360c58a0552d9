//! What Alibaba Cloud EventBridge takes: its documentation, and where that is silent its open-source engine.

use ipnet::IpNet;
use reflexarc_diagnostic::{Code, Diagnostic, Span};

use super::shared_paths;
use crate::spanned::{Kind, SpannedAlternative, SpannedField, SpannedNode, SpannedPredicate};
use crate::{Decimal, Dialect, Predicate, TextOp};

/// Most alternatives of one field.
const ALTERNATIVES: usize = 5;

/// The top-level keys that every event has or may have; extensions of the service itself begin with `aliyun`.
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

/// Says what in one field does not port.
pub(crate) fn check_field(field: &SpannedField, found: &mut Vec<Diagnostic>) {
    if field.alternatives.len() > ALTERNATIVES {
        let message = format!(
            "{} takes at most {ALTERNATIVES} alternatives of one field",
            name()
        );
        found.push(
            Diagnostic::error(Code::DIALECT_LIMIT, field.key.clone(), message)
                .with_help("write a second rule for the rest"),
        );
    }
    for alternative in &field.alternatives {
        check_alternative(alternative, found);
    }
}

/// Says what in the tree, its fields aside, does not port.
pub(crate) fn check_tree(tree: &SpannedNode, found: &mut Vec<Diagnostic>) {
    check_joins(tree, found);
    for field in tree.fields() {
        check_path(field, found);
    }
}

/// Says where the service takes the pattern, but answers differently.
pub(crate) fn compare(tree: &SpannedNode, found: &mut Vec<Diagnostic>) {
    let mut arrays = false;
    for field in tree.fields() {
        if !arrays && field.path.segments().count() > 2 {
            arrays = true;
            let message = format!("{} does not look into arrays of objects", name());
            found.push(differs(field.key.clone(), message).with_help(
                "an event whose objects on the way stand in an array does not match there",
            ));
        }
        for spanned in field
            .alternatives
            .iter()
            .flat_map(|alternative| &alternative.predicates)
        {
            let message = match &spanned.predicate {
                Predicate::Number(_) => "compares a number with text, too: 300 equals \"300\"",
                Predicate::Bool(_) => {
                    "compares true and false with text, too: true equals \"true\""
                }
                Predicate::Text(TextOp::Equals, text) if looks_like_another_type(text) => {
                    "compares this text with numbers, true and false, too"
                }
                Predicate::AnythingBut(inner)
                    if inner
                        .iter()
                        .any(|test| !matches!(test, Predicate::Text(..))) =>
                {
                    "compares numbers, true and false as text"
                }
                Predicate::Cidr(_) => "leaves out the first and the last address of a network",
                Predicate::Missing => {
                    "takes a field as missing only if its key is not there: not for `[]` and `{}`"
                }
                Predicate::Exists => "takes an array of objects for no value",
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
    Diagnostic::warning(Code::ANSWERS_DIFFER, span, message)
}

fn refused(span: Span, what: &str) -> Diagnostic {
    Diagnostic::error(
        Code::NOT_PORTABLE,
        span,
        format!("{} does not take {what}", name()),
    )
}

fn check_path(field: &SpannedField, found: &mut Vec<Diagnostic>) {
    let mut keys = field.path.segments();
    let first = keys.next().unwrap_or_default();
    let nested = keys.next().is_some();
    if !ATTRIBUTES.contains(&first) && !first.starts_with("aliyun") {
        found.push(
            refused(field.key.clone(), &format!("`{first}` as a top-level key")).with_help(
                "events there are CloudEvents: the content of an event lies under `data`",
            ),
        );
    } else if nested && first != "data" {
        found.push(
            refused(field.key.clone(), &format!("keys inside `{first}`"))
                .with_help("only `data` holds objects"),
        );
    } else if !nested && first == "data" {
        found.push(
            refused(field.key.clone(), "a test of `data` itself")
                .with_help("test a field inside it"),
        );
    }
}

fn check_joins(tree: &SpannedNode, found: &mut Vec<Diagnostic>) {
    match &tree.kind {
        Kind::All(parts) => {
            for (path, span) in shared_paths(parts) {
                found.push(
                    refused(span, &format!("two constraints of `{path}`"))
                        .with_help("write one, or two rules"),
                );
            }
            for part in parts {
                check_joins(part, found);
            }
        }
        Kind::Any(parts) => {
            found.push(
                refused(tree.span.clone(), "`or` across fields")
                    .with_help("write one rule for each alternative"),
            );
            for part in parts {
                check_joins(part, found);
            }
        }
        Kind::Not(inner) => {
            found.push(refused(tree.span.clone(), "`not` around tests").with_help(
                "`anything-but` asks for a value that differs, `exists: false` for none",
            ));
            check_joins(inner, found);
        }
        Kind::Field(_) => {}
    }
}

fn check_alternative(alternative: &SpannedAlternative, found: &mut Vec<Diagnostic>) {
    let numeric = |spanned: &SpannedPredicate| {
        matches!(
            &spanned.predicate,
            Predicate::Range { .. } | Predicate::Number(_)
        ) || matches!(&spanned.predicate, Predicate::AnythingBut(inner) if matches!(inner.as_slice(), [Predicate::Number(_)]))
    };
    let bounds = |spanned: &SpannedPredicate| match &spanned.predicate {
        Predicate::Range { lower, upper } => {
            usize::from(lower.is_some()) + usize::from(upper.is_some())
        }
        _ => 1,
    };
    let [first, second, ..] = alternative.predicates.as_slice() else {
        alternative
            .predicates
            .iter()
            .for_each(|spanned| check_predicate(spanned, found));
        return;
    };
    let one_numeric = alternative.predicates.iter().all(numeric)
        && alternative.predicates.iter().map(bounds).sum::<usize>() <= 2;
    if !one_numeric {
        let span = if second.span == first.span {
            alternative.span.clone()
        } else {
            second.span.clone()
        };
        found.push(
            refused(span, "several tests of one value")
                .with_help("write one of them, or two rules"),
        );
    }
    alternative
        .predicates
        .iter()
        .for_each(|spanned| check_predicate(spanned, found));
}

fn check_predicate(spanned: &SpannedPredicate, found: &mut Vec<Diagnostic>) {
    let refused =
        |what: &str, help: &str| Some(refused(spanned.span.clone(), what).with_help(help));
    let fault = match &spanned.predicate {
        Predicate::Text(TextOp::Prefix | TextOp::Suffix, text) if text.is_empty() => {
            refused("an empty prefix or suffix", "`exists` asks for any value")
        }
        Predicate::TextIgnoringCase(..)
        | Predicate::Wildcard {
            ignoring_case: true,
            ..
        }
        | Predicate::Regexp {
            ignoring_case: true,
            ..
        } => refused("tests that ignore case", "list the spellings that occur"),
        Predicate::Wildcard { .. } => {
            refused("wildcards", "a prefix, a suffix or `contains` may do")
        }
        Predicate::Regexp { .. } => refused(
            "regular expressions",
            "a prefix, a suffix or `contains` may do",
        ),
        Predicate::Range { lower, upper } => {
            let far = [lower, upper]
                .into_iter()
                .flatten()
                .any(|bound| is_far(&bound.value));
            if far {
                refused("bounds beyond ±1,000,000,000", "use a nearer bound")
            } else {
                None
            }
        }
        Predicate::Cidr(IpNet::V6(network)) if network.prefix_len() < 128 => {
            refused("IPv6 networks", "single IPv6 addresses are taken")
        }
        Predicate::AnythingBut(inner) => {
            let literals = |test: &Predicate| {
                matches!(
                    test,
                    Predicate::Null
                        | Predicate::Bool(_)
                        | Predicate::Number(_)
                        | Predicate::Text(TextOp::Equals, _)
                )
            };
            let fits = inner.iter().all(literals)
                || matches!(inner.as_slice(), [Predicate::Text(TextOp::Prefix | TextOp::Suffix, text)] if !text.is_empty());
            if fits {
                None
            } else {
                refused(
                    "this `anything-but`",
                    "it takes values, or one prefix or suffix",
                )
            }
        }
        _ => None,
    };
    found.extend(fault);
}

/// Whether a number lies outside what `numeric` takes.
pub(crate) fn is_far(number: &Decimal) -> bool {
    let (Some(most), Some(least)) = (Decimal::parse("1e9"), Decimal::parse("-1e9")) else {
        return false;
    };
    *number > most || *number < least
}

fn looks_like_another_type(text: &str) -> bool {
    text == "true" || text == "false" || Decimal::parse(text).is_some()
}
