//! The expression notation of a tree in normal form.

use super::{DEEPEST_INDENT, WIDTH, quoted};
use crate::keywords::is_keyword;
use crate::{Alternative, Bound, Field, Node, Path, Predicate, TextOp};

/// The tree as an expression.
pub(crate) fn print(node: &Node) -> String {
    layout(&piece(node), 0)
}

/// The tree as a part of a join: in parentheses if it is a join itself.
pub(crate) fn part(node: &Node) -> String {
    layout(&grouped(node), 0)
}

/// The path as it is written in an expression, with quotes where a key needs them.
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

/// One test of a value, as it is written behind a path.
pub(crate) fn predicate(predicate: &Predicate) -> String {
    run(std::slice::from_ref(&predicate))
}

/// A part of the text that is broken together.
enum Piece {
    Plain(String),
    /// Parts with a word between each two.
    Joined(&'static str, Vec<Piece>),
    /// A part in parentheses, with what stands before them.
    Group(&'static str, Box<Piece>),
}

fn piece(node: &Node) -> Piece {
    match node {
        Node::Field(tests) => Piece::Plain(field(tests)),
        Node::Not(inner) => Piece::Group("not ", Box::new(piece(inner))),
        Node::Any(parts) => Piece::Joined("or", parts.iter().map(grouped).collect()),
        Node::All(parts) => Piece::Joined("and", parts.iter().map(grouped).collect()),
    }
}

/// A part of a join, in parentheses if it is a join itself.
fn grouped(node: &Node) -> Piece {
    match node {
        Node::All(_) | Node::Any(_) => Piece::Group("", Box::new(piece(node))),
        _ => piece(node),
    }
}

fn layout(piece: &Piece, indent: usize) -> String {
    let flat = flat(piece);
    if indent + flat.chars().count() <= WIDTH {
        return flat;
    }
    let line = format!("\n{}", " ".repeat(indent.min(DEEPEST_INDENT)));
    match piece {
        Piece::Plain(text) => text.clone(),
        Piece::Joined(word, parts) => {
            let parts: Vec<String> = parts.iter().map(|part| layout(part, indent)).collect();
            parts.join(&format!("{line}{word} "))
        }
        Piece::Group(before, inner) => {
            format!("{before}({line}    {}{line})", layout(inner, indent + 4))
        }
    }
}

fn flat(piece: &Piece) -> String {
    match piece {
        Piece::Plain(text) => text.clone(),
        Piece::Joined(word, parts) => parts
            .iter()
            .map(flat)
            .collect::<Vec<_>>()
            .join(&format!(" {word} ")),
        Piece::Group(before, inner) => format!("{before}({})", flat(inner)),
    }
}

fn field(field: &Field) -> String {
    let path = path(&field.path);
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

/// The alternatives, with neighbours of one kind written as one test of a list.
fn runs(alternatives: &[Alternative]) -> Vec<String> {
    let mut written = Vec::new();
    let mut rest = alternatives;
    while let Some((Alternative(first), behind)) = rest.split_first() {
        if let [first] = first.as_slice() {
            let same =
                |next: &&Alternative| matches!(next.0.as_slice(), [next] if goes_with(first, next));
            let count = 1 + behind.iter().take_while(same).count();
            let together: Vec<&Predicate> = rest[..count]
                .iter()
                .flat_map(|alternative| &alternative.0)
                .collect();
            written.push(run(&together));
            rest = &rest[count..];
        } else {
            let tests: Vec<String> = first.iter().map(predicate).collect();
            written.push(tests.join(" and "));
            rest = behind;
        }
    }
    written
}

/// Whether two tests can share one operator and a list.
fn goes_with(one: &Predicate, other: &Predicate) -> bool {
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

/// Tests that go with each other, any of which is to be met.
fn run(tests: &[&Predicate]) -> String {
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
        Predicate::Text(op, _) => (Some(word(*op)), ""),
        Predicate::TextIgnoringCase(op, _) => (Some(word(*op)), " ignoring case"),
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
            } => format!("not ({})", run(&tests)),
            _ => format!("not {}", run(&tests)),
        };
    }
    if others.iter().all(|other| goes_with(first, other)) {
        return format!("not {}", run(&tests));
    }
    let alternatives: Vec<Alternative> = inner
        .iter()
        .map(|test| Alternative(vec![test.clone()]))
        .collect();
    format!("not ({})", runs(&alternatives).join(" or "))
}

/// One value, or a list of them.
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
        other => literal(other).unwrap_or_default(),
    }
}

/// A value that something equals, as it is written; `None` for other tests.
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

fn word(op: TextOp) -> &'static str {
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
    let begins = key.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '$' | '@'));
    begins
        && key
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '@' | '-'))
        && !is_keyword(key)
}
