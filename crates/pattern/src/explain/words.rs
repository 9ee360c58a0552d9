//! Tests in words: expression notation for one field.

use crate::{Alternative, Bound, Field, Predicate, TextOp, Wildcard};
use reflexarc_event::Json;

/// A key as an expression spells it.
pub(crate) fn key(key: &str) -> String {
    let plain =
        key.chars().all(|c| c.is_alphanumeric() || "_-$".contains(c)) && !key.starts_with(|c: char| c.is_ascii_digit());
    if plain && !key.is_empty() { key.to_owned() } else { quoted(key) }
}

/// A field as an expression.
pub(crate) fn field(field: &Field) -> String {
    let path = field.path.segments().map(key).collect::<Vec<_>>().join(".");
    let words: Vec<String> = field.alternatives.iter().map(alternative).collect();
    if let [one] = &words[..] { format!("{path} {one}") } else { format!("{path} ({})", words.join(" or ")) }
}

fn alternative(Alternative(predicates): &Alternative) -> String {
    let words: Vec<String> = predicates.iter().map(predicate).collect();
    if let [one] = &words[..] { one.clone() } else { format!("({})", words.join(" and ")) }
}

fn predicate(predicate: &Predicate) -> String {
    let case = |ignoring: bool| if ignoring { " ignoring case" } else { "" };
    match predicate {
        Predicate::Missing => "is missing".to_owned(),
        Predicate::Exists => "exists".to_owned(),
        Predicate::Null => "== null".to_owned(),
        Predicate::Bool(value) => format!("== {value}"),
        Predicate::Number(value) => format!("== {value}"),
        Predicate::Range { lower, upper } => {
            let bound =
                |sign: &str, bound: &Bound| format!("{sign}{} {}", if bound.inclusive { "=" } else { "" }, bound.value);
            let lower = lower.as_ref().map(|lower| bound(">", lower));
            lower.into_iter().chain(upper.as_ref().map(|upper| bound("<", upper))).collect::<Vec<_>>().join(" and ")
        }
        Predicate::Text(op, text) => format!("{} {}", operator(*op), quoted(text)),
        Predicate::TextIgnoringCase(op, text) => format!("{} {} ignoring case", operator(*op), quoted(text)),
        Predicate::Wildcard { wildcard, ignoring_case } => format!("like {}{}", pieces(wildcard), case(*ignoring_case)),
        Predicate::Regexp { regexp, ignoring_case } => format!("matches {}{}", quoted(&regexp.0), case(*ignoring_case)),
        Predicate::Cidr(network) => format!("in cidr {}", quoted(&network.to_string())),
        Predicate::AnythingBut(predicates) => {
            format!("not ({})", predicates.iter().map(self::predicate).collect::<Vec<_>>().join(" or "))
        }
    }
}

fn operator(op: TextOp) -> &'static str {
    match op {
        TextOp::Equals => "==",
        TextOp::Prefix => "starts with",
        TextOp::Suffix => "ends with",
        TextOp::Contains => "contains",
    }
}

fn pieces(wildcard: &Wildcard) -> String {
    let escaped = |piece: &str| piece.replace('\\', "\\\\").replace('*', "\\*");
    quoted(&wildcard.pieces.iter().map(|piece| escaped(piece)).collect::<Vec<_>>().join("*"))
}

fn quoted(text: &str) -> String {
    Json::from(text).to_string()
}
