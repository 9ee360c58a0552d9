//! Writes a tree in normal form as an expression.

// Precedence, from tight to loose: `not`, `and`, `or`. A connective inside another one is always
// written in parentheses, also where precedence would not need them: `a or (b and c)` reads
// without knowing the rule. After `not` the parser takes one condition, so everything after it is
// in parentheses: `not (a == 1)`. Conditions on one value follow the same rules after their path,
// except that `and` inside `or` needs none there: `a (== "x" or > 1 and < 5)` prints the
// alternatives of a field, which are in disjunctive normal form already.

use super::{DEEPEST_INDENT, WIDTH, quoted};
use crate::keywords::is_keyword;
use crate::{Alternative, Bound, Field, Node, Path, Predicate, TextOp};

/// The tree as an expression.
pub(crate) fn print(node: &Node) -> String {
    layout(&document(node), 0)
}

/// The tree as an operand of a connective, in parentheses if it is a connective itself, laid out
/// for a line with that indentation.
pub(crate) fn part_at(node: &Node, indent: usize) -> String {
    layout(&operand_document(node), indent)
}

/// The path, with keys in quotes where they need them.
pub(crate) fn path(path: &Path) -> String {
    let keys: Vec<String> = path
        .segments()
        .map(|key| {
            if is_plain(key) {
                key.to_owned()
            } else {
                quoted(key)
            }
        })
        .collect();
    keys.join(".")
}

/// One predicate, as it is written after a path.
pub(crate) fn predicate(predicate: &Predicate) -> String {
    operator_with_values(std::slice::from_ref(&predicate))
}

/// The predicates of one alternative, as they are written in parentheses after a path.
pub(crate) fn conditions(Alternative(predicates): &Alternative) -> String {
    let predicates: Vec<String> = predicates.iter().map(predicate).collect();
    predicates.join(" and ")
}

/// A document for the layout: what is broken over several lines as a unit.
enum Doc {
    Text(String),
    /// Operands of a connective.
    Joined(&'static str, Vec<Doc>),
    /// A document in parentheses, with a prefix.
    Group(&'static str, Box<Doc>),
}

fn document(node: &Node) -> Doc {
    match node {
        Node::Field(tests) => Doc::Text(field(tests)),
        Node::Not(inner) => Doc::Group("not ", Box::new(document(inner))),
        Node::Any(parts) => Doc::Joined("or", parts.iter().map(operand_document).collect()),
        Node::All(parts) => Doc::Joined("and", parts.iter().map(operand_document).collect()),
    }
}

/// An operand of a connective, in parentheses if it is a connective itself.
fn operand_document(node: &Node) -> Doc {
    match node {
        Node::All(_) | Node::Any(_) => Doc::Group("", Box::new(document(node))),
        _ => document(node),
    }
}

fn layout(document: &Doc, indent: usize) -> String {
    // Greedy, like the layout of JSON: flat if it fits into the line, otherwise broken at the
    // outermost level. The text before the document on its line is not counted, so a line can be a
    // few columns longer than `WIDTH`.
    let flat = flat(document);
    if indent + flat.chars().count() <= WIDTH {
        return flat;
    }
    let line = format!("\n{}", " ".repeat(indent.min(DEEPEST_INDENT)));
    match document {
        Doc::Text(text) => text.clone(),
        Doc::Joined(connective, parts) => {
            let parts: Vec<String> = parts.iter().map(|part| layout(part, indent)).collect();
            parts.join(&format!("{line}{connective} "))
        }
        Doc::Group(prefix, inner) => {
            format!("{prefix}({line}    {}{line})", layout(inner, indent + 4))
        }
    }
}

fn flat(document: &Doc) -> String {
    match document {
        Doc::Text(text) => text.clone(),
        Doc::Joined(connective, parts) => parts
            .iter()
            .map(flat)
            .collect::<Vec<_>>()
            .join(&format!(" {connective} ")),
        Doc::Group(prefix, inner) => format!("{prefix}({})", flat(inner)),
    }
}

/// A path with its conditions: `p == 1`, `0 < p <= 5`, `p (… or …)`.
fn field(field: &Field) -> String {
    let path = path(&field.path);
    // One alternative: a range around the path, one predicate, or a conjunction in parentheses.
    // Several: one run of single predicates needs no parentheses, `p in ["x", "y"]`.
    let runs = runs(&field.alternatives);
    match (runs.as_slice(), field.alternatives.as_slice()) {
        (_, [Alternative(only)]) => match only.as_slice() {
            [
                Predicate::Range {
                    lower: Some(lower),
                    upper: Some(upper),
                },
            ] => {
                let sign = if lower.inclusive { "<=" } else { "<" };
                format!("{} {sign} {path} {}", lower.value, upper_end(upper))
            }
            [_] => format!("{path} {}", runs.concat()),
            _ => format!("{path} ({})", runs.concat()),
        },
        ([only], [Alternative(first), ..]) if first.len() == 1 => format!("{path} {only}"),
        _ => format!("{path} ({})", runs.join(" or ")),
    }
}

/// The alternatives of a field. Consecutive predicates of one operator share it:
/// `["x", "y", {"prefix": "z"}]` gives `in ["x", "y"]` and `starts with "z"`.
// Only consecutive ones: the order of the alternatives is part of the tree.
fn runs(alternatives: &[Alternative]) -> Vec<String> {
    let mut runs = Vec::new();
    let mut rest = alternatives;
    while let Some((Alternative(first), others)) = rest.split_first() {
        if let [first] = first.as_slice() {
            let same = |Alternative(next): &&Alternative| match next.as_slice() {
                [next] => share_operator(first, next),
                _ => false,
            };
            let count = 1 + others.iter().take_while(same).count();
            let predicates: Vec<&Predicate> = rest[..count]
                .iter()
                .flat_map(|alternative| &alternative.0)
                .collect();
            runs.push(operator_with_values(&predicates));
            rest = &rest[count..];
        } else {
            runs.push(conditions(&rest[0]));
            rest = others;
        }
    }
    runs
}

/// Whether two predicates can be written as one operator with an array.
fn share_operator(one: &Predicate, other: &Predicate) -> bool {
    match (one, other) {
        (Predicate::Text(op, _), Predicate::Text(next, _)) if *op != TextOp::Equals => op == next,
        (Predicate::TextIgnoringCase(op, _), Predicate::TextIgnoringCase(next, _)) => op == next,
        (
            Predicate::Wildcard {
                ignoring_case: one, ..
            },
            Predicate::Wildcard {
                ignoring_case: other,
                ..
            },
        )
        | (
            Predicate::Regexp {
                ignoring_case: one, ..
            },
            Predicate::Regexp {
                ignoring_case: other,
                ..
            },
        ) => one == other,
        (Predicate::Cidr(_), Predicate::Cidr(_)) => true,
        (one, other) => literal(one).is_some() && literal(other).is_some(),
    }
}

/// Predicates that share an operator, as that operator with a value or an array of values.
fn operator_with_values(tests: &[&Predicate]) -> String {
    let Some((first, others)) = tests.split_first() else {
        return String::new();
    };
    let (operator, case) = match first {
        Predicate::Missing => return "is missing".into(),
        Predicate::Exists => return "exists".into(),
        Predicate::Range { lower, upper } => return range(lower.as_ref(), upper.as_ref()),
        Predicate::AnythingBut(inner) => return anything_but(inner),
        Predicate::Text(TextOp::Equals, _)
        | Predicate::Null
        | Predicate::Bool(_)
        | Predicate::Number(_) => (None, ""),
        Predicate::TextIgnoringCase(TextOp::Equals, _) => (None, " ignoring case"),
        Predicate::Text(op, _) => (Some(operator_name(*op)), ""),
        Predicate::TextIgnoringCase(op, _) => (Some(operator_name(*op)), " ignoring case"),
        Predicate::Wildcard { ignoring_case, .. } => (Some("like"), case(*ignoring_case)),
        Predicate::Regexp { ignoring_case, .. } => (Some("matches"), case(*ignoring_case)),
        Predicate::Cidr(_) => (Some("in cidr"), ""),
    };
    let operator = operator.unwrap_or(if others.is_empty() { "==" } else { "in" });
    format!("{operator} {}{case}", operand(tests))
}

fn anything_but(inner: &[Predicate]) -> String {
    let tests: Vec<&Predicate> = inner.iter().collect();
    let Some((first, others)) = tests.split_first() else {
        return "exists".into();
    };
    // `!=` negates equality, `not` any other operator. Two bounds need parentheses: `not > 0 and
    // < 5` would be a conjunction.
    let equal =
        literal(first).is_some() || matches!(first, Predicate::TextIgnoringCase(TextOp::Equals, _));
    if others.is_empty() {
        let case = if literal(first).is_none() {
            " ignoring case"
        } else {
            ""
        };
        return match first {
            _ if equal => format!("!= {}{case}", operand(&tests)),
            Predicate::Range {
                lower: Some(_),
                upper: Some(_),
            } => format!("not ({})", operator_with_values(&tests)),
            _ => format!("not {}", operator_with_values(&tests)),
        };
    }
    if others.iter().all(|other| share_operator(first, other)) {
        return format!("not {}", operator_with_values(&tests));
    }
    let alternatives: Vec<Alternative> = inner
        .iter()
        .map(|test| Alternative(vec![test.clone()]))
        .collect();
    format!("not ({})", runs(&alternatives).join(" or "))
}

/// One value, or an array of several.
fn operand(tests: &[&Predicate]) -> String {
    let values: Vec<String> = tests.iter().map(|test| value(test)).collect();
    match values.as_slice() {
        [only] => only.clone(),
        _ => format!("[{}]", values.join(", ")),
    }
}

fn value(predicate: &Predicate) -> String {
    match predicate {
        Predicate::Text(_, text) | Predicate::TextIgnoringCase(_, text) => quoted(text),
        Predicate::Wildcard { wildcard, .. } => quoted(&wildcard.to_string()),
        Predicate::Regexp { regexp, .. } => quoted(&regexp.0),
        Predicate::Cidr(network) => quoted(&network.to_string()),
        // Equalities; predicates without a value are not printed with one.
        other => literal(other).unwrap_or_default(),
    }
}

/// The literal of an equality; `None` for other predicates.
fn literal(predicate: &Predicate) -> Option<String> {
    Some(match predicate {
        Predicate::Text(TextOp::Equals, text) => quoted(text),
        Predicate::Null => "null".into(),
        Predicate::Bool(value) => value.to_string(),
        Predicate::Number(number) => number.to_string(),
        _ => return None,
    })
}

fn range(lower: Option<&Bound>, upper: Option<&Bound>) -> String {
    let lower = lower.map(|bound| {
        format!(
            "{} {}",
            if bound.inclusive { ">=" } else { ">" },
            bound.value
        )
    });
    let ends: Vec<String> = lower.into_iter().chain(upper.map(upper_end)).collect();
    ends.join(" and ")
}

fn upper_end(bound: &Bound) -> String {
    format!(
        "{} {}",
        if bound.inclusive { "<=" } else { "<" },
        bound.value
    )
}

fn operator_name(op: TextOp) -> &'static str {
    match op {
        TextOp::Equals => "==",
        TextOp::Prefix => "starts with",
        TextOp::Suffix => "ends with",
        TextOp::Contains => "contains",
    }
}

fn case(ignoring: bool) -> &'static str {
    if ignoring { " ignoring case" } else { "" }
}

/// Whether a key needs no quotes.
fn is_plain(key: &str) -> bool {
    let starts_well = key.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '$' | '@'));
    starts_well
        && key
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '@' | '-'))
        && !is_keyword(key)
}
