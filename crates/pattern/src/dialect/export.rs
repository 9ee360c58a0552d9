//! Writes a tree in the JSON notation of a service. The tree must have passed the dialect's check.

use reflexarc_event::{Json, unmapped_network};

use super::aws;
use crate::print::json;
use crate::{Alternative, Dialect, Field, Node, Path, Predicate, normal};

/// The pattern as JSON for the service.
pub(crate) fn export(node: &Node, dialect: Dialect) -> String {
    if dialect == Dialect::Alibaba && *node == normal::always() {
        return "{}".into();
    }
    let json = Json::Object(object(&[node], dialect));
    let layout = json::layout(&json, 0);
    // White space counts towards the quota.
    if dialect == Dialect::Aws && aws::check_length(&layout, 0..0).is_some() {
        json.to_string()
    } else {
        layout
    }
}

type Members = Vec<(String, Json)>;

/// The object for the conjunction of the nodes.
// An object can have only one `$or`, and the services have no `$and`. So a second `$or` is written
// into every branch of the first:
//
//     (a or b) and (c or d)    {"$or": [{a, "$or": [c, d]}, {b, "$or": [c, d]}]}
fn object(nodes: &[&Node], dialect: Dialect) -> Members {
    let mut parts: Vec<&Node> = Vec::new();
    for node in nodes {
        match node {
            Node::All(inner) => parts.extend(inner),
            other => parts.push(other),
        }
    }
    // Fields first, then `$or`: for the services the later of two constraints on a path counts, and
    // the check has rejected patterns in which that would make a difference.
    let mut members = Members::new();
    for part in &parts {
        if let Node::Field(field) = part {
            add(&mut members, field, dialect);
        }
    }
    let disjunctions: Vec<&Node> = parts
        .into_iter()
        .filter(|part| matches!(part, Node::Any(_)))
        .collect();
    if let Some((Node::Any(branches), others)) = disjunctions.split_first() {
        let branch = |branch| {
            let together: Vec<&Node> = std::iter::once(branch)
                .chain(others.iter().copied())
                .collect();
            Json::Object(object(&together, dialect))
        };
        members.push((
            "$or".into(),
            Json::Array(branches.iter().map(branch).collect()),
        ));
    }
    members
}

fn add(members: &mut Members, Field { path, alternatives }: &Field, dialect: Dialect) {
    let leaf = match dialect {
        Dialect::Alibaba => Json::Array(alternatives.iter().map(alibaba_alternative).collect()),
        _ => json::leaf(alternatives),
    };
    let keys: Vec<&str> = path.segments().collect();
    // AWS rejects operator names as keys inside `$or`, but not as a segment of a dotted key.
    if dialect == Dialect::Aws
        && keys
            .iter()
            .any(|key| *key == "$or" || aws::is_reserved_in_or(key))
    {
        members.push((path.as_str().to_owned(), leaf));
    } else {
        nest(members, &keys, leaf);
    }
}

/// Inserts the alternatives of a path as nested objects. Where a path and a path below it are both
/// constrained (`a` and `a.b`), the longer one is written as a dotted key: `{"a": […], "a.b":
/// […]}`.
fn nest(members: &mut Members, keys: &[&str], leaf: Json) {
    let Some((key, rest)) = keys.split_first() else {
        return;
    };
    if rest.is_empty() {
        let at = members
            .iter()
            .position(|(used, value)| used == key && !matches!(value, Json::Array(_)));
        match at {
            // The longer path came first and is nested already: rewrite it with dotted keys.
            Some(at) => {
                let (key, inner) = members.remove(at);
                members.push((key.clone(), leaf));
                flatten(&key, inner, members);
            }
            None => members.push(((*key).to_owned(), leaf)),
        }
        return;
    }
    match members.iter_mut().find(|(used, _)| used == key) {
        Some((_, Json::Object(inner))) => nest(inner, rest, leaf),
        Some(_) => members.push((Path::from_keys(keys).as_str().to_owned(), leaf)),
        None => {
            let mut inner = Members::new();
            nest(&mut inner, rest, leaf);
            members.push(((*key).to_owned(), Json::Object(inner)));
        }
    }
}

/// Adds the leaves of a value under dotted keys.
fn flatten(path: &str, value: Json, members: &mut Members) {
    match value {
        Json::Object(inner) => {
            for (key, value) in inner {
                flatten(&format!("{path}.{key}"), value, members);
            }
        }
        leaf => members.push((path.to_owned(), leaf)),
    }
}

fn alibaba_alternative(alternative: &Alternative) -> Json {
    let numeric = |items: Vec<Json>| Json::Object(vec![("numeric".into(), Json::Array(items))]);
    match alternative.0.as_slice() {
        // The service excludes the first and last address of a network, so `10.0.0.1/32` would
        // match nothing there; the address alone matches.
        [Predicate::Cidr(network)] => {
            // It has no IPv6 networks, so an IPv4-mapped one is written as what it is.
            let network = unmapped_network(*network).unwrap_or(*network);
            let text = if network.prefix_len() == network.max_prefix_len() {
                network.addr().to_string()
            } else {
                network.to_string()
            };
            Json::Object(vec![("cidr".into(), Json::from(text))])
        }
        [_] => json::alternative(alternative),
        several => numeric(several.iter().flat_map(comparisons).collect()),
    }
}

/// The items of `numeric` for a predicate: `[">", 0, "<=", 5]`.
fn comparisons(predicate: &Predicate) -> Vec<Json> {
    match predicate {
        Predicate::Range { lower, upper } => json::range(lower.as_ref(), upper.as_ref())
            .elements()
            .to_vec(),
        Predicate::Number(number) => vec!["=".into(), Json::Number(number.as_str().into())],
        Predicate::AnythingBut(inner) => match inner.as_slice() {
            [Predicate::Number(number)] => vec!["!=".into(), Json::Number(number.as_str().into())],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}
