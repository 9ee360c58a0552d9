//! Writes a tree in normal form as JSON.

// A conjunction becomes one object as far as possible. Two things prevent it: an object has one
// member per key, and a path that is constrained twice outside `$and` overrides the earlier
// constraint. Then the remaining parts go into `$and`:
//
//     a == "x" and b == 1 and a == "y"    {"a": ["x"], "b": [1], "$and": [{"a": ["y"]}]}
//
// The order of the parts is part of the tree, so members are only ever appended: `a.b`, `c`, `a.d`
// becomes `{"a": {"b": …}, "c": …, "a.d": …}`, because a nested `d` would come before `c`.

use std::collections::BTreeSet;

use reflexarc_event::Json;

use super::{DEEPEST_INDENT, WIDTH, quoted};
use crate::tree::escaped_key;
use crate::{Alternative, Bound, Field, Node, Path, Predicate, TextOp};

/// The tree as a JSON document of the reflexarc dialect.
pub(crate) fn print(node: &Node) -> String {
    layout(&Json::Object(object(node)), 0)
}

/// A JSON document, on one line if it fits.
pub(crate) fn layout(json: &Json, indent: usize) -> String {
    let flat = flat(json);
    if indent + flat.chars().count() <= WIDTH {
        return flat;
    }
    let line = format!("\n{}", " ".repeat(indent.min(DEEPEST_INDENT)));
    let lines = |open: char, parts: Vec<String>, close: char| {
        format!(
            "{open}{line}  {}{line}{close}",
            parts.join(&format!(",{line}  "))
        )
    };
    match json {
        Json::Object(members) if !members.is_empty() => {
            let member = |(key, value): &(String, Json)| {
                let key = quoted(key);
                format!("{key}: {}", layout(value, indent + 2))
            };
            lines('{', members.iter().map(member).collect(), '}')
        }
        Json::Array(elements) if !elements.is_empty() => lines(
            '[',
            elements
                .iter()
                .map(|element| layout(element, indent + 2))
                .collect(),
            ']',
        ),
        _ => flat,
    }
}

/// The alternatives of a field.
pub(crate) fn leaf(alternatives: &[Alternative]) -> Json {
    Json::Array(alternatives.iter().map(alternative).collect())
}

/// How many nested objects the path is written as.
pub(crate) fn nesting(path: &Path) -> usize {
    let keys = path.segments().count();
    if keys <= DEEPEST { keys } else { 1 }
}

type Members = Vec<(String, Json)>;

/// The members of the object for a node.
fn object(node: &Node) -> Members {
    match node {
        Node::All(parts) => conjunction(parts),
        other => conjunction(std::slice::from_ref(other)),
    }
}

/// The parts in one object, in their order, with the rest in `$and` where one object is not enough.
fn conjunction(parts: &[Node]) -> Members {
    // `paths` are those constrained in the current object, also inside its `$or`: a further
    // constraint on one of them would override it. A part that does not fit starts a new object,
    // and later parts follow it there, because their order must stay.
    let mut objects: Vec<Members> = Vec::new();
    let mut members = Members::new();
    let mut paths: BTreeSet<&Path> = BTreeSet::new();
    for part in parts {
        let mut constrained = BTreeSet::new();
        overridable(part, &mut constrained);
        if constrained.iter().any(|path| paths.contains(path)) || !add(&mut members, part) {
            objects.push(std::mem::take(&mut members));
            paths.clear();
            add(&mut members, part);
        }
        paths.extend(constrained);
    }
    objects.push(members);
    let mut objects = objects.into_iter();
    let mut first = objects.next().unwrap_or_default();
    let others: Vec<Json> = objects.map(Json::Object).collect();
    if !others.is_empty() {
        first.push(("$and".into(), Json::Array(others)));
    }
    first
}

/// Adds a part to the object; returns false, with the object unchanged, if its key is in use.
fn add(members: &mut Members, part: &Node) -> bool {
    let free = |members: &Members, key: &str| members.iter().all(|(used, _)| used != key);
    match part {
        Node::Field(Field { path, alternatives }) => {
            let keys: Vec<&str> = path.segments().collect();
            let leaf = leaf(alternatives);
            if nesting(path) == keys.len() && nest(members, &keys, &leaf) {
                return true;
            }
            // A path of one key has no dotted spelling that differs from the nested one.
            let free = keys.len() > 1 && free(members, path.as_str());
            if free {
                members.push((path.as_str().to_owned(), leaf));
            }
            free
        }
        Node::Any(branches) => {
            let free = free(members, "$or");
            if free {
                let branches = branches
                    .iter()
                    .map(|branch| Json::Object(object(branch)))
                    .collect();
                members.push(("$or".into(), Json::Array(branches)));
            }
            free
        }
        Node::Not(inner) => {
            let free = free(members, "$not");
            if free {
                members.push(("$not".into(), Json::Object(object(inner))));
            }
            free
        }
        Node::All(inner) => inner.iter().all(|part| add(members, part)),
    }
}

/// Most keys of a path that are written as nested objects; a longer path is one dotted key, so that
/// it does not use up the limit on nesting.
const DEEPEST: usize = 16;

/// Inserts a leaf as nested objects. Only the last member may be extended, so that the order of the
/// leaves stays; returns false if that is not possible.
fn nest(members: &mut Members, keys: &[&str], leaf: &Json) -> bool {
    let Some((key, rest)) = keys.split_first() else {
        return false;
    };
    let key = escaped_key(key);
    let last = members.len().wrapping_sub(1);
    match members.iter().position(|(used, _)| *used == key) {
        None => {
            let value = if rest.is_empty() {
                leaf.clone()
            } else {
                let mut inner = Members::new();
                nest(&mut inner, rest, leaf);
                Json::Object(inner)
            };
            members.push((key, value));
            true
        }
        Some(at) if at == last => match &mut members[at].1 {
            Json::Object(inner) => nest(inner, rest, leaf),
            _ => false,
        },
        Some(_) => false,
    }
}

/// The paths in the part that a later key of the same object would override.
fn overridable<'n>(part: &'n Node, paths: &mut BTreeSet<&'n Path>) {
    match part {
        Node::Field(field) => {
            paths.insert(&field.path);
        }
        Node::All(parts) | Node::Any(parts) => {
            for part in parts {
                overridable(part, paths);
            }
        }
        Node::Not(_) => {}
    }
}

/// One alternative: a plain value, an object of operators, or `$and` where an operator is used
/// twice or a plain value is among several predicates.
pub(crate) fn alternative(Alternative(predicates): &Alternative) -> Json {
    if let [only] = predicates.as_slice() {
        return test(only);
    }
    let operators: Option<Members> = predicates.iter().map(operator).collect();
    // `{"prefix": "a", "suffix": "b"}`, but `{"$and": [{"prefix": "a"}, {"prefix": "ab"}]}`.
    let distinct = |members: &Members| {
        let keys: BTreeSet<&String> = members.iter().map(|(key, _)| key).collect();
        keys.len() == members.len()
    };
    match operators {
        Some(members) if distinct(&members) => Json::Object(members),
        _ => one("$and", Json::Array(predicates.iter().map(test).collect())),
    }
}

/// A predicate among alternatives: a plain value or an object with one operator.
fn test(predicate: &Predicate) -> Json {
    match predicate {
        Predicate::Text(TextOp::Equals, text) => Json::from(&**text),
        Predicate::Number(number) => Json::Number(number.as_str().into()),
        Predicate::Bool(value) => Json::Bool(*value),
        Predicate::Null => Json::Null,
        // `operator` knows all predicates but those above.
        other => operator(other).map_or(Json::Null, |(key, argument)| one(&key, argument)),
    }
}

/// The operator and argument of a predicate; `None` if it is a plain value.
fn operator(predicate: &Predicate) -> Option<(String, Json)> {
    let (key, argument) = match predicate {
        Predicate::Null | Predicate::Bool(_) | Predicate::Text(TextOp::Equals, _) => return None,
        Predicate::Missing => ("exists", Json::Bool(false)),
        Predicate::Exists => ("exists", Json::Bool(true)),
        // Only among several predicates or in `anything-but`; alone, a number is a plain value.
        Predicate::Number(number) => (
            "numeric",
            Json::Array(vec!["=".into(), Json::Number(number.as_str().into())]),
        ),
        Predicate::Range { lower, upper } => ("numeric", range(lower.as_ref(), upper.as_ref())),
        Predicate::TextIgnoringCase(TextOp::Equals, text) => (IGNORING_CASE, Json::from(&**text)),
        Predicate::Text(op, text) => (operator_name(*op), Json::from(&**text)),
        Predicate::TextIgnoringCase(op, text) => {
            (operator_name(*op), one(IGNORING_CASE, Json::from(&**text)))
        }
        Predicate::Wildcard {
            wildcard,
            ignoring_case,
        } => ("wildcard", text(wildcard.to_string(), *ignoring_case)),
        Predicate::Regexp {
            regexp,
            ignoring_case,
        } => ("regexp", text(regexp.0.to_string(), *ignoring_case)),
        Predicate::Cidr(network) => ("cidr", Json::from(network.to_string())),
        Predicate::AnythingBut(inner) => ("anything-but", anything_but(inner)),
    };
    Some((key.to_owned(), argument))
}

const IGNORING_CASE: &str = "equals-ignore-case";

fn text(text: String, ignoring_case: bool) -> Json {
    if ignoring_case {
        one(IGNORING_CASE, Json::from(text))
    } else {
        Json::from(text)
    }
}

/// The argument of `anything-but`, in the shortest form the parser accepts: `{"prefix": "x"}` for
/// one predicate, `{"prefix": ["x", "y"]}` for one string operator, otherwise an array.
fn anything_but(inner: &[Predicate]) -> Json {
    let operators: Vec<(String, Json)> = inner
        .iter()
        .filter_map(|predicate| match predicate {
            Predicate::Number(_) => None,
            other => operator(other),
        })
        .collect();
    match operators.split_first() {
        Some((only, [])) if inner.len() == 1 => one(&only.0, only.1.clone()),
        Some((first, _)) if operators.len() == inner.len() => {
            let one_string_operator = operators
                .iter()
                .all(|(key, argument)| *key == first.0 && argument.as_str().is_some());
            if one_string_operator && first.0 != "cidr" {
                one(
                    &first.0,
                    Json::Array(
                        operators
                            .iter()
                            .map(|(_, argument)| argument.clone())
                            .collect(),
                    ),
                )
            } else {
                Json::Array(inner.iter().map(test).collect())
            }
        }
        _ => Json::Array(inner.iter().map(test).collect()),
    }
}

/// The argument of `numeric`.
pub(crate) fn range(lower: Option<&Bound>, upper: Option<&Bound>) -> Json {
    let mut items = Vec::new();
    for (bound, open, closed) in [(lower, ">", ">="), (upper, "<", "<=")] {
        if let Some(bound) = bound {
            items.push(Json::from(if bound.inclusive { closed } else { open }));
            items.push(Json::Number(bound.value.as_str().into()));
        }
    }
    Json::Array(items)
}

fn one(key: &str, value: Json) -> Json {
    Json::Object(vec![(key.to_owned(), value)])
}

fn operator_name(op: TextOp) -> &'static str {
    match op {
        TextOp::Equals => "exactly",
        TextOp::Prefix => "prefix",
        TextOp::Suffix => "suffix",
        TextOp::Contains => "contains",
    }
}

fn flat(json: &Json) -> String {
    match json {
        Json::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(key, value)| format!("{}: {}", quoted(key), flat(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        Json::Array(elements) => {
            let elements: Vec<String> = elements.iter().map(flat).collect();
            format!("[{}]", elements.join(", "))
        }
        other => other.to_string(),
    }
}
