//! Filters of CloudEvents as filters of the native form.

use reflexarc_event::{Event, Json, find_name};
use reflexarc_pattern::{Alternative, Field, Node, Path, Pattern, Predicate, TextOp};

use super::shift::convert;
use super::{Products, Unmapped, equal_texts, status};

/// Converts a node; `products` are those whose types it compares.
pub(super) fn convert_node(node: &Node, products: &Products) -> Result<Node, Unmapped> {
    Ok(match node {
        Node::All(parts) => {
            let own = products.of_parts("source", fields(parts), |source| {
                let product = source.strip_prefix("acs.")?;
                (!product.is_empty()).then(|| product.to_uppercase())
            });
            let (names, others) = names_with_status(parts, &own);
            let others = others.into_iter().map(|part| convert_node(part, &own));
            let others = others.collect::<Result<Vec<_>, _>>()?;
            Node::All(names.into_iter().chain(others).collect())
        }
        Node::Any(parts) => {
            let parts = parts.iter().map(|part| convert_node(part, products));
            Node::Any(joined(parts.collect::<Result<_, _>>()?))
        }
        Node::Not(inner) => Node::Not(Box::new(convert_node(inner, products)?)),
        Node::Field(field) => native_field(field, products)
            .map(Node::Field)
            .map_err(|reason| Unmapped {
                path: field.path.as_str().to_owned(),
                reason,
            })?,
    })
}

fn fields(parts: &[Node]) -> impl Iterator<Item = &Field> {
    parts.iter().filter_map(|part| match part {
        Node::Field(field) => Some(field),
        _ => None,
    })
}

fn native_field(field: &Field, products: &Products) -> Result<Field, String> {
    let renamed = |key: &str, alternatives| {
        Ok(Field {
            path: Path::from_keys([key]),
            alternatives,
        })
    };
    let same = || field.alternatives.clone();
    let path = field.path.as_str();
    match path {
        "type" => {
            let names = |predicate: &Predicate| name_predicates(predicate, products);
            renamed("name", alternatives(field, &names)?)
        }
        "source" => renamed("product", alternatives(field, &product_predicates)?),
        "subject" => renamed("resourceId", same()),
        "aliyunaccountid" => renamed("userId", same()),
        "aliyunregionid" => renamed("regionId", same()),
        "data" => renamed("content", same()),
        "time" if compares_presence(field) => renamed("eventTime", same()),
        "time" | "specversion" | "datacontenttype" => {
            Err("the native form writes the value differently".to_owned())
        }
        _ => match path.strip_prefix("data.") {
            Some(rest) => Ok(Field {
                path: Path::from_keys(["content", rest]),
                alternatives: same(),
            }),
            // `id` has this name in both forms. Other attributes, which only CloudEvents have, keep
            // theirs.
            None => Ok(field.clone()),
        },
    }
}

fn compares_presence(field: &Field) -> bool {
    let mut predicates = field.alternatives.iter().flat_map(|one| &one.0);
    predicates.all(|one| matches!(one, Predicate::Exists | Predicate::Missing))
}

/// The converted alternatives, each once.
fn alternatives(
    field: &Field,
    predicates: &impl Fn(&Predicate) -> Result<Vec<Predicate>, String>,
) -> Result<Vec<Alternative>, String> {
    let mut converted: Vec<Alternative> = Vec::new();
    for alternative in &field.alternatives {
        for alternative in convert(alternative, predicates)? {
            if !converted.contains(&alternative) {
                converted.push(alternative);
            }
        }
    }
    Ok(converted)
}

/// Converts a predicate of `type`, such as `ecs:Instance:SystemFailure.Reboot`, to one of `name`,
/// which has no prefix and may have a status at the end.
fn name_predicates(predicate: &Predicate, products: &Products) -> Result<Vec<Predicate>, String> {
    let Predicate::Text(op, value) = predicate else {
        return Err(not_convertible());
    };
    let prefixes = products.prefixes();
    let own = prefixes
        .iter()
        .find_map(|prefix| value.strip_prefix(prefix));
    match (op, own) {
        (TextOp::Equals, Some(name)) => {
            let mut predicates = vec![Predicate::Text(TextOp::Equals, name.into())];
            // A name that is not in the catalogue may have statuses.
            if find_name(name).is_none_or(|(entry, _)| !entry.statuses.is_empty()) {
                predicates.push(Predicate::Text(TextOp::Prefix, format!("{name}:").into()));
            }
            Ok(predicates)
        }
        (TextOp::Prefix, Some("")) => Ok(vec![Predicate::Exists]),
        (TextOp::Prefix, Some(name)) => Ok(vec![Predicate::Text(TextOp::Prefix, name.into())]),
        (TextOp::Equals | TextOp::Prefix, None) => Err(format!(
            "`{value}` is not a type of {} events; add a condition on `source` for another product",
            products.0.join(" or ")
        )),
        (TextOp::Suffix | TextOp::Contains, _) => Err(not_convertible()),
    }
}

/// Converts a predicate of `source`, such as `acs.ecs`, to one of `product`: `ECS`.
fn product_predicates(predicate: &Predicate) -> Result<Vec<Predicate>, String> {
    let Predicate::Text(op, value) = predicate else {
        return Err(not_convertible());
    };
    match (op, value.strip_prefix("acs.")) {
        (TextOp::Prefix, Some("")) => Ok(vec![Predicate::Exists]),
        (TextOp::Equals | TextOp::Prefix, Some(product)) => {
            Ok(vec![Predicate::Text(*op, product.to_uppercase().into())])
        }
        _ => Err(not_convertible()),
    }
}

fn not_convertible() -> String {
    "the native form has no condition for it".to_owned()
}

/// Where parts of a conjunction list types with statuses, and say which statuses: the names with
/// these statuses, and the other parts.
///
/// ```text
/// type == "ecs:Disk:Stalled" and data.eventStatus == "Executing"
///     name == "Disk:Stalled:Executing"
/// ```
fn names_with_status<'n>(parts: &'n [Node], products: &Products) -> (Option<Node>, Vec<&'n Node>) {
    let at = |path: &str| {
        let is_at = |part: &Node| matches!(part, Node::Field(one) if one.path.as_str() == path);
        let mut found = parts.iter().filter(|part| is_at(part));
        found.next().filter(|_| found.next().is_none())
    };
    let found = at("type").zip(at("data.eventStatus"));
    let names = found.and_then(|(kind, status)| match (kind, status) {
        (Node::Field(kind), Node::Field(status)) if products.has_ecs() => names(kind, status),
        _ => None,
    });
    let (Some(names), Some((kind, status))) = (names, found) else {
        return (None, parts.iter().collect());
    };
    let others = parts.iter();
    let others = others.filter(|part| !std::ptr::eq(*part, kind) && !std::ptr::eq(*part, status));
    (Some(names), others.collect())
}

fn names(kind: &Field, status_field: &Field) -> Option<Node> {
    let holds = |status: Option<&str>| {
        let status = status.map(|text| ("eventStatus".to_owned(), Json::from(text)));
        let data = status.into_iter().collect::<Json>();
        let text = Json::from_iter([("data".to_owned(), data)]).to_string();
        Event::from_json(text).is_ok_and(|event| {
            Pattern::from_node(Node::Field(status_field.clone())).matches(&event)
        })
    };
    // Any status that the catalogue does not have.
    let base = holds(None);
    if base != holds(Some("\u{f8ff}")) {
        return None;
    }
    let mut names = Vec::new();
    for text in equal_texts(kind)? {
        let entry = match find_name(text.strip_prefix("ecs:")?)? {
            (entry, None) if !entry.statuses.is_empty() => entry,
            _ => return None,
        };
        let listed = status::names(entry).filter(|(_, status)| holds(Some(status)));
        let own = base.then(|| entry.name.to_owned());
        names.extend(own.into_iter().chain(listed.map(|(name, _)| name)));
    }
    if names.is_empty() {
        return None;
    }
    let equal = |name: String| Alternative(vec![Predicate::Text(TextOp::Equals, name.into())]);
    Some(Node::Field(Field {
        path: Path::from_keys(["name"]),
        alternatives: names.into_iter().map(equal).collect(),
    }))
}

/// The parts of a disjunction with the conditions on one field joined: `name == "a" or name == "b"`
/// is `name in ["a", "b"]`.
fn joined(parts: Vec<Node>) -> Vec<Node> {
    let mut joined: Vec<Node> = Vec::new();
    for part in parts {
        let Node::Field(field) = part else {
            joined.push(part);
            continue;
        };
        let same = joined.iter_mut().find_map(|other| match other {
            Node::Field(other) if other.path == field.path => Some(other),
            _ => None,
        });
        match same {
            Some(other) => {
                for alternative in field.alternatives {
                    if !other.alternatives.contains(&alternative) {
                        other.alternatives.push(alternative);
                    }
                }
            }
            None => joined.push(Node::Field(field)),
        }
    }
    joined
}
