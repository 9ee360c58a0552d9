//! Filters in the form of events that Alibaba Cloud EventBridge delivers, and back.
//!
//! Rules compare events in the native form; EventBridge compares CloudEvents. The conversion of
//! filters follows that of events:
//!
//! | native | CloudEvents |
//! |---|---|
//! | `name` | `type`: product in lower case, `:` and the name without its status |
//! | the status of a name | `data.eventStatus` |
//! | `product` | `source`: `acs.` and the product in lower case |
//! | `resourceId`, `userId`, `regionId` | `subject`, `aliyunaccountid`, `aliyunregionid` |
//! | `content` | `data` |
//! | `id` | `id` |
//!
//! A filter and its conversion match the same events where these are as documented: names of ECS
//! have two parts and no status that the catalogue does not list, and the status of a name is also
//! in the content. A name is taken as one of ECS unless the filter names another product.

mod name;
mod shift;
mod status;
mod to_native;

use reflexarc_diagnostic::Span;
use reflexarc_pattern::spanned::{
    Kind, SpannedAlternative, SpannedField, SpannedNode, SpannedPredicate,
};
use reflexarc_pattern::{Alternative, Field, Node, Path, Pattern, Predicate, TextOp};

use shift::convert;

/// A condition that the other form cannot have.
///
/// ```
/// use reflexarc::Pattern;
/// use reflexarc::cloudevent_form::to_cloudevents;
///
/// let pattern: Pattern = r#"level == "WARN""#.parse()?;
/// let error = to_cloudevents(pattern.node()).expect_err("only the native form has a level");
/// assert_eq!(error.path, "level");
/// # Ok::<(), reflexarc::PatternError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its condition on `{path}` cannot be converted: {reason}")]
#[non_exhaustive]
pub struct Unmapped {
    /// The path of the condition.
    pub path: String,
    /// Why it cannot be converted, and what to write if there is something.
    pub reason: String,
}

/// The filter of the CloudEvents that EventBridge delivers for a filter of native events.
///
/// # Errors
/// If it has a condition that CloudEvents cannot have; the error has the first.
///
/// ```
/// use reflexarc::Pattern;
/// use reflexarc::cloudevent_form::to_cloudevents;
///
/// let pattern: Pattern = r#"name == "Disk:Stalled:Executing" and content.diskId exists"#.parse()?;
/// let converted = Pattern::from_node(to_cloudevents(pattern.node())?);
/// assert_eq!(
///     converted.to_expression(),
///     r#"type == "ecs:Disk:Stalled" and data.eventStatus == "Executing" and data.diskId exists"#
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn to_cloudevents(node: &Node) -> Result<Node, Unmapped> {
    let mut unmapped = Vec::new();
    let tree = spanned_to_cloudevents(&SpannedNode::with_span(node, &(0..0)), &mut unmapped);
    match (tree, unmapped.into_iter().next()) {
        (_, Some((_, unmapped))) => Err(unmapped),
        (Some(tree), None) => Ok(Pattern::from_node(tree.to_node()).node().clone()),
        // A connective without parts.
        (None, None) => Ok(node.clone()),
    }
}

/// The filter of native events for a filter of the CloudEvents that EventBridge delivers.
///
/// # Errors
/// If it has a condition that the native form cannot have; the error has the first.
///
/// ```
/// use reflexarc::cloudevent_form::to_native;
/// use reflexarc::{Dialect, Pattern};
///
/// let text = r#"{"source": ["acs.ecs"], "data": {"result": ["failed"]}}"#;
/// let pattern = Pattern::parse(text, Dialect::Alibaba)?;
/// let converted = Pattern::from_node(to_native(pattern.node())?);
/// assert_eq!(
///     converted.to_expression(),
///     r#"product == "ECS" and content.result == "failed""#
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn to_native(node: &Node) -> Result<Node, Unmapped> {
    let converted = to_native::convert_node(node, &Products::default())?;
    Ok(Pattern::from_node(converted).node().clone())
}

/// As [`to_cloudevents`], with spans. Conditions that cannot be converted are left out and reported
/// with the spans of their paths; `None` if nothing else is left.
pub(crate) fn spanned_to_cloudevents(
    tree: &SpannedNode,
    unmapped: &mut Vec<(Span, Unmapped)>,
) -> Option<SpannedNode> {
    convert_spanned(tree, &Products::default(), unmapped)
}

/// The products whose names a part of a filter compares.
#[derive(Debug, Clone)]
struct Products(Vec<String>);

impl Default for Products {
    fn default() -> Self {
        Self(vec!["ECS".to_owned()])
    }
}

impl Products {
    /// Those of a conjunction, if one of its parts lists them at `path`, else `self`.
    fn of_parts<'f>(
        &self,
        path: &str,
        mut fields: impl Iterator<Item = &'f Field>,
        product: fn(&str) -> Option<String>,
    ) -> Self {
        let listed = fields.find_map(|field| {
            let values = equal_texts(field).filter(|_| field.path.as_str() == path)?;
            values.into_iter().map(product).collect()
        });
        listed.map_or_else(|| self.clone(), Self)
    }

    /// The beginnings of their types: `ecs:`.
    fn prefixes(&self) -> Vec<String> {
        let prefix = |product: &String| format!("{}:", product.to_lowercase());
        self.0.iter().map(prefix).collect()
    }

    fn has_ecs(&self) -> bool {
        self.0.iter().any(|product| product == "ECS")
    }
}

/// The values of a field that lists texts and compares with nothing else.
fn equal_texts(field: &Field) -> Option<Vec<&str>> {
    fn text(Alternative(predicates): &Alternative) -> Option<&str> {
        match predicates.as_slice() {
            [Predicate::Text(TextOp::Equals, text)] => Some(text),
            _ => None,
        }
    }
    field.alternatives.iter().map(text).collect()
}

fn convert_spanned(
    tree: &SpannedNode,
    products: &Products,
    unmapped: &mut Vec<(Span, Unmapped)>,
) -> Option<SpannedNode> {
    let span = tree.span.clone();
    let kind = match &tree.kind {
        Kind::All(parts) => {
            let fields: Vec<Field> = parts.iter().filter_map(field_of).collect();
            let own = products.of_parts("product", fields.iter(), |one| Some(one.to_owned()));
            Kind::All(converted_parts(parts, &own, unmapped)?)
        }
        Kind::Any(parts) => {
            let mut parts = converted_parts(&joined(parts), products, unmapped)?;
            if parts.len() == 1 {
                return parts.pop();
            }
            Kind::Any(parts)
        }
        Kind::Not(inner) => Kind::Not(Box::new(convert_spanned(inner, products, unmapped)?)),
        Kind::Field(field) => match cloudevent_field(field, products) {
            Ok(Converted::Field(field)) => Kind::Field(field),
            Ok(Converted::Node(node)) => return Some(SpannedNode::with_span(&node, &field.key)),
            Err(reason) => {
                let path = field.path.as_str().to_owned();
                unmapped.push((field.key.clone(), Unmapped { path, reason }));
                return None;
            }
        },
    };
    Some(SpannedNode { span, kind })
}

fn converted_parts(
    parts: &[SpannedNode],
    products: &Products,
    unmapped: &mut Vec<(Span, Unmapped)>,
) -> Option<Vec<SpannedNode>> {
    let converted = parts
        .iter()
        .filter_map(|part| convert_spanned(part, products, unmapped));
    let converted: Vec<_> = converted.collect();
    (!converted.is_empty()).then_some(converted)
}

/// The parts of a disjunction with the conditions on one field joined. Services have no `or` across
/// fields, and the statuses of a name are seen together.
fn joined(parts: &[SpannedNode]) -> Vec<SpannedNode> {
    let mut joined: Vec<SpannedNode> = Vec::new();
    for part in parts {
        let Kind::Field(field) = &part.kind else {
            joined.push(part.clone());
            continue;
        };
        let same = joined.iter_mut().find_map(|other| match &mut other.kind {
            Kind::Field(other) if other.path == field.path => Some(other),
            _ => None,
        });
        match same {
            Some(other) => other.alternatives.extend(field.alternatives.clone()),
            None => joined.push(part.clone()),
        }
    }
    joined
}

fn field_of(node: &SpannedNode) -> Option<Field> {
    match node.to_node() {
        Node::Field(field) => Some(field),
        _ => None,
    }
}

enum Converted {
    /// A field with the spans of the original.
    Field(SpannedField),
    /// Anything else.
    Node(Node),
}

fn cloudevent_field(field: &SpannedField, products: &Products) -> Result<Converted, String> {
    let renamed = |path: Path| {
        Converted::Field(SpannedField {
            path,
            ..field.clone()
        })
    };
    let path = field.path.as_str();
    Ok(match path {
        "name" => name_field(field, products)?,
        "product" => {
            let alternatives =
                converted_alternatives(field, |predicate| shift::predicate(predicate, "acs."))?;
            with_alternatives(field, "source", alternatives)
        }
        "resourceId" => renamed(Path::from_keys(["subject"])),
        "userId" => renamed(Path::from_keys(["aliyunaccountid"])),
        "regionId" => renamed(Path::from_keys(["aliyunregionid"])),
        "content" => renamed(Path::from_keys(["data"])),
        "eventTime" if compares_presence(field) => renamed(Path::from_keys(["time"])),
        "eventTime" => {
            return Err("CloudEvents write the time differently, in `time`".to_owned());
        }
        "level" => {
            return Err(
                "EventBridge sends no level; compare `content.result` or list the names".to_owned(),
            );
        }
        "eventType" | "groupId" | "ruleName" | "instanceName" | "status" => {
            return Err("only Cloud Monitor sends it".to_owned());
        }
        _ => match path.strip_prefix("content.") {
            Some(rest) => renamed(Path::from_keys(["data", rest])),
            // `id` has this name in both forms. Attributes that only CloudEvents have keep theirs.
            None if is_attribute(&field.path) => renamed(field.path.clone()),
            None => {
                let reason = "EventBridge has no attribute for it; \
                    compare a field of `content` if the event has it there";
                return Err(reason.to_owned());
            }
        },
    })
}

/// Whether the first key can be the name of an attribute.
fn is_attribute(path: &Path) -> bool {
    let first = path.segments().next().unwrap_or_default();
    let mut bytes = first.bytes();
    bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// Whether all predicates are about whether there is a value.
fn compares_presence(field: &SpannedField) -> bool {
    field
        .predicates()
        .all(|one| matches!(one.predicate, Predicate::Exists | Predicate::Missing))
}

fn name_field(field: &SpannedField, products: &Products) -> Result<Converted, String> {
    let prefixes = products.prefixes();
    let shifted = |predicate: &Predicate| {
        let mut choices = Vec::new();
        for prefix in &prefixes {
            for choice in shift::predicate(predicate, prefix)? {
                if !choices.contains(&choice) {
                    choices.push(choice);
                }
            }
        }
        Ok(choices)
    };
    if products.has_ecs()
        && let Some(node) = name::with_statuses(&without_spans(field), &shifted)?
    {
        return Ok(Converted::Node(node));
    }
    let alternatives = converted_alternatives(field, shifted)?;
    Ok(with_alternatives(field, "type", alternatives))
}

fn without_spans(field: &SpannedField) -> Field {
    let alternatives = field.alternatives.iter().map(|alternative| {
        let predicates = alternative.predicates.iter();
        Alternative(predicates.map(|one| one.predicate.clone()).collect())
    });
    Field {
        path: field.path.clone(),
        alternatives: alternatives.collect(),
    }
}

/// The alternatives of each alternative, see [`convert`].
fn converted_alternatives(
    field: &SpannedField,
    predicates: impl Fn(&Predicate) -> Result<Vec<Predicate>, String>,
) -> Result<Vec<Vec<Alternative>>, String> {
    let field = without_spans(field);
    let alternatives = field.alternatives.iter();
    alternatives
        .map(|alternative| convert(alternative, &predicates))
        .collect()
}

/// The field with other alternatives, each with the spans of the one that it comes from.
fn with_alternatives(
    field: &SpannedField,
    path: &str,
    alternatives: Vec<Vec<Alternative>>,
) -> Converted {
    let spanned = field.alternatives.iter().zip(alternatives);
    let spanned = spanned.flat_map(|(original, converted)| {
        let spans = move |Alternative(predicates): Alternative| {
            let predicates = predicates.into_iter().zip(&original.predicates);
            SpannedAlternative {
                span: original.span.clone(),
                predicates: predicates
                    .map(|(predicate, original)| SpannedPredicate {
                        span: original.span.clone(),
                        predicate,
                    })
                    .collect(),
            }
        };
        converted.into_iter().map(spans)
    });
    Converted::Field(SpannedField {
        path: Path::from_keys([path]),
        key: field.key.clone(),
        alternatives: spanned.collect(),
    })
}
