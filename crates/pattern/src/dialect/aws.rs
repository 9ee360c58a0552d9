//! What AWS EventBridge supports, from its documentation, and where that gives no answer from
//! observed results of its validator.

use std::collections::BTreeSet;
use std::net::IpAddr;

use reflexarc_diagnostic::{Code, Diagnostic, Span};
use reflexarc_event::is_payload;

use super::{compares_ipv6, complexity, shared_paths};
use crate::spanned::{Kind, SpannedField, SpannedNode, SpannedPredicate};
use crate::{Decimal, Dialect, Predicate, TextOp};

// `COMBINATIONS` and `LENGTHS` are documented, as a limit of `$or` and as a quota of accounts.

/// Most combinations of `$or` branches in one pattern.
pub(crate) const COMBINATIONS: usize = 1_000;

/// Most different paths in one pattern.
const FIELDS: usize = 256;

/// Most characters of a pattern: the default quota of an account, and the most it can be raised to.
const LENGTHS: [usize; 2] = [2_048, 4_096];

/// Operators, documented and undocumented, that cannot be keys inside `$or`, at any depth.
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

/// Whether the key is an operator name, which is not allowed as a key inside `$or`.
pub(crate) fn is_reserved_in_or(key: &str) -> bool {
    RESERVED_IN_OR.contains(&key)
}

/// The message for a key that is not allowed inside `$or`.
pub(crate) fn reserved_in_or(key: &str) -> String {
    format!("{} does not allow `{key}` as a key inside `$or`", name())
}

/// Reports what the service does not support in one field.
pub(crate) fn check_field(field: &SpannedField, found: &mut Vec<Diagnostic>) {
    for alternative in &field.alternatives {
        if let [_, second, ..] = alternative.predicates.as_slice() {
            found.push(
                unsupported(second, "several conditions on one value")
                    .with_help("write one condition, or several rules"),
            );
        }
        for spanned in &alternative.predicates {
            check_predicate(spanned, found);
        }
    }
}

/// Reports paths and connectives that the service does not support, and limits of the whole
/// pattern.
pub(crate) fn check_tree(tree: &SpannedNode, found: &mut Vec<Diagnostic>) {
    let fields = tree.fields();
    let paths: BTreeSet<_> = fields.iter().map(|field| &field.path).collect();
    if paths.len() > FIELDS {
        let message = format!(
            "{} supports at most {FIELDS} different paths per pattern",
            name()
        );
        found.push(Diagnostic::error(
            Code::DIALECT_LIMIT,
            tree.span.clone(),
            message,
        ));
    }
    if combinations(tree) > COMBINATIONS {
        let message = format!("`or` expands to more than {COMBINATIONS} combinations");
        found.push(
            Diagnostic::error(Code::TOO_MANY_COMBINATIONS, tree.span.clone(), message)
                .with_help("split the pattern into several rules"),
        );
    }
    for field in fields.iter().filter(|field| field.path.as_str() == "$or") {
        found.push(Diagnostic::error(
            Code::NOT_PORTABLE,
            field.key.clone(),
            format!("{} does not support a field named `$or`", name()),
        ));
    }
    check_joins(tree, found);
    complexity::check(&fields, found);
}

/// Reports an exported text that is longer than the quotas allow: an error if it is longer than
/// every quota, a warning if it needs a higher one than the default.
// Not checked when a pattern is parsed: quotas apply to rules, the validator accepts longer texts.
pub(crate) fn check_length(exported: &str, whole: Span) -> Option<Diagnostic> {
    let [default, highest] = LENGTHS;
    let characters = exported.chars().count();
    let message = format!("the exported pattern has {characters} characters");
    if characters > highest {
        let help = format!(
            "{} supports at most {highest}; split the pattern into several rules",
            name()
        );
        Some(Diagnostic::error(Code::DIALECT_LIMIT, whole, message).with_help(help))
    } else if characters > default {
        let help = format!(
            "the default quota of an account is {default}; request a higher one, up to {highest}"
        );
        Some(Diagnostic::warning(Code::DIALECT_LIMIT, whole, message).with_help(help))
    } else {
        None
    }
}

/// Warns where the service accepts the pattern but matches different events.
pub(crate) fn warn_differences(tree: &SpannedNode, found: &mut Vec<Diagnostic>) {
    for field in tree.fields() {
        if field.path.segments().any(str::is_empty) {
            found.push(differs(
                field.key.clone(),
                "does not find fields under an empty key",
            ));
        }
        for spanned in field.predicates() {
            let message = match &spanned.predicate {
                Predicate::Cidr(_) => {
                    "compares IPv4 and IPv6 addresses with each other, byte by byte"
                }
                // An exact string that is an address it compares like we do.
                predicate @ (Predicate::AnythingBut(_) | Predicate::TextIgnoringCase(..))
                    if compares_ipv6(predicate) =>
                {
                    "compares an address here by its characters"
                }
                Predicate::Number(number) if !number.fits_double() => {
                    "compares this number by its digits, and rounds fractions in events"
                }
                Predicate::TextIgnoringCase(_, text)
                    if text.chars().any(|c| u32::from(c) > 0xFFFF) =>
                {
                    "does not match characters above U+FFFF when ignoring case"
                }
                _ => continue,
            };
            found.push(differs(spanned.span.clone(), message));
        }
    }
    absence_in_arrays(tree, found);
}

/// Hints where the service decides absence earlier than we do.
// The service visits the paths in alphabetical order and chooses array elements on the way. With
// `{"nics": {"a": [{"exists": false}], "b": [1]}}` it decides whether `nics.a` is missing before
// `nics.b` has chosen an element, so an `a` in any element counts. Here absence is decided last,
// within the chosen element. There is no difference if the missing path is the last one, or if the
// parent is no array, as the payload of every envelope.
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
        let Some(object) = parent(field) else {
            continue;
        };
        let is_missing = |spanned: &&SpannedPredicate| spanned.predicate == Predicate::Missing;
        let Some(spanned) = field.predicates().find(is_missing) else {
            continue;
        };
        let has_later_sibling = fields
            .iter()
            .any(|other| other.path > field.path && parent(other).is_some_and(|p| p == object));
        if has_later_sibling && !is_payload(&object) {
            let message = format!(
                "{} requires the field to be missing from every element if `{object}` is an array",
                name()
            );
            // A hint: in most events the parent is an object, and then there is no difference.
            found.push(Diagnostic::hint(
                Code::DIALECT_DIFFERENCE,
                spanned.span.clone(),
                message,
            ));
        }
    }
}

fn name() -> &'static str {
    Dialect::Aws.title()
}

fn differs(span: Span, message: &str) -> Diagnostic {
    Diagnostic::warning(
        Code::DIALECT_DIFFERENCE,
        span,
        format!("{} {message}", name()),
    )
}

fn check_joins(tree: &SpannedNode, found: &mut Vec<Diagnostic>) {
    match &tree.kind {
        Kind::All(parts) => {
            for (path, span) in shared_paths(parts) {
                let message = format!(
                    "{} uses only the later of two constraints on `{path}`",
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
                found.push(Diagnostic::error(
                    Code::RESERVED_IN_OR,
                    field.key.clone(),
                    reserved_in_or(field.path.as_str()),
                ));
            }
            for part in parts {
                check_joins(part, found);
            }
        }
        Kind::Not(inner) => {
            let help = match &inner.kind {
                Kind::Field(_) => {
                    "use `anything-but` for a different value, `exists: false` for a missing field"
                }
                _ => "negate each field instead, with `anything-but` or `exists: false`",
            };
            let message = format!("{} does not support `not` around conditions", name());
            found.push(
                Diagnostic::error(Code::NOT_PORTABLE, tree.span.clone(), message).with_help(help),
            );
            check_joins(inner, found);
        }
        Kind::Field(_) => {}
    }
}

/// How many combinations of alternatives the connectives have.
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

fn unsupported(spanned: &SpannedPredicate, construct: &str) -> Diagnostic {
    let message = format!("{} does not support {construct}", name());
    Diagnostic::error(Code::NOT_PORTABLE, spanned.span.clone(), message)
}

fn check_predicate(spanned: &SpannedPredicate, found: &mut Vec<Diagnostic>) {
    let unsupported =
        |construct: &str, help: &str| Some(unsupported(spanned, construct).with_help(help));
    let error = match &spanned.predicate {
        Predicate::Text(TextOp::Contains, _) | Predicate::TextIgnoringCase(TextOp::Contains, _) => {
            unsupported("`contains`", "use a wildcard with `*` on both sides")
        }
        Predicate::Wildcard {
            ignoring_case: true,
            ..
        } => unsupported(
            "wildcards that ignore case",
            "list the spellings that occur",
        ),
        Predicate::Regexp { .. } => {
            unsupported("regular expressions", "use a wildcard if possible")
        }
        Predicate::Range { lower, upper } => {
            // The service writes an open range as one that ends at ±f64::MAX, so a range that
            // starts at the largest double is empty for it, and it rejects the pattern.
            let largest = "1.7976931348623157e308".parse::<Decimal>().ok();
            let lowest = "-1.7976931348623157e308".parse::<Decimal>().ok();
            let is_empty = lower.as_ref().map(|bound| &bound.value) == largest.as_ref()
                || upper.as_ref().map(|bound| &bound.value) == lowest.as_ref();
            let numbers = [lower.as_ref(), upper.as_ref()];
            if is_empty {
                unsupported(
                    "a lower bound of the largest or an upper bound of the lowest double",
                    "use a smaller number",
                )
            } else if numbers
                .into_iter()
                .flatten()
                .any(|bound| !bound.value.fits_double())
            {
                unsupported(
                    "a bound that a double cannot represent exactly",
                    "write the bound with the digits of the nearest double",
                )
            } else if matches!((lower, upper), (Some(low), Some(high)) if low.value >= high.value) {
                unsupported("a range of one number", "use `=`")
            } else {
                None
            }
        }
        Predicate::Cidr(network) if network.prefix_len() == network.max_prefix_len() => {
            unsupported(
                "a network of one address",
                "compare the address as a string",
            )
        }
        Predicate::Cidr(network) if is_mapped(network.addr()) => {
            unsupported("IPv4-mapped IPv6 networks", "write the IPv4 network")
        }
        Predicate::AnythingBut(inner) => check_anything_but(inner).and_then(|construct| {
            unsupported(
                construct,
                "use strings only, numbers only, or strings of one operator",
            )
        }),
        _ => None,
    };
    found.extend(error);
}

/// The first construct in an `anything-but` that the service does not support.
fn check_anything_but(inner: &[Predicate]) -> Option<&'static str> {
    // The service takes one kind of exclusion per `anything-but`.
    let kind = |predicate: &Predicate| match predicate {
        Predicate::Text(op, _) => Some(("string", Some(*op))),
        Predicate::Number(_) => Some(("number", None)),
        Predicate::TextIgnoringCase(TextOp::Equals, _) => Some(("ignoring case", None)),
        Predicate::Wildcard {
            ignoring_case: false,
            ..
        } => Some(("wildcard", None)),
        _ => None,
    };
    // `["x", "y"]` and `{"prefix": ["x", "y"]}` are portable, `["x", {"prefix": "y"}]` is not.
    let first = inner.first().and_then(kind);
    let unsupported = |predicate: &Predicate| match predicate {
        Predicate::Text(TextOp::Contains, _) => Some("`contains` inside `anything-but`"),
        Predicate::Text(TextOp::Prefix | TextOp::Suffix, text) if text.is_empty() => {
            Some("an empty prefix or suffix inside `anything-but`")
        }
        Predicate::Number(number) if !number.fits_double() => {
            Some("a number that a double cannot represent exactly")
        }
        other if kind(other).is_none() => Some("this operator inside `anything-but`"),
        other if kind(other) != first => Some("different kinds of conditions in `anything-but`"),
        _ => None,
    };
    inner.iter().find_map(unsupported)
}

fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some())
}
