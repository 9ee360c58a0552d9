//! What makes two arrivals the same event.

use std::borrow::Cow;
use std::sync::LazyLock;

use crate::json::{FieldSet, Json};
use crate::{Envelope, NativeEvent, parse_time};

/// The fields that identify an event: two arrivals are copies of one event if all five agree.
///
/// Source and id alone are not enough: senders reuse ids for the phases of one operation, and
/// documentation and debug messages mask them (`8B***A5`).
///
/// A number counts as the text of its digits: `7` and `"7"` are the same id. Empty texts, `null`,
/// booleans, objects and arrays count as missing. An event without an id has no identity: each
/// arrival of it is an event of its own, as two ticks of a clock are.
///
/// ```
/// use reflexarc_event::{EventIdentity, NativeEvent};
///
/// let event = NativeEvent::from_json(
///     r#"{
///         "id": "8B2A", "product": "ECS", "name": "Disk:Stalled:Executing", "content": {},
///         "resourceId": "d-1", "eventTime": "20190409T121826.922+0800"
///     }"#,
/// )?;
/// let identity = event.identity().expect("the event has an id");
/// assert_eq!(
///     identity.fields(),
///     ["acs.ecs", "8B2A", "Disk:Stalled:Executing", "d-1", "2019-04-09T04:18:26.922Z"],
/// );
/// assert_eq!(EventIdentity::with_id(&event, "8B2A"), identity);
/// # Ok::<(), reflexarc_event::EventError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EventIdentity {
    /// The CloudEvents `source`, the `eventSource` of an audit record, or `acs.` and the product in
    /// lower case; empty if the event has none.
    pub source: String,
    /// The id that the source assigned: `id`, or of an audit record `eventID` or `eventId`.
    pub id: String,
    /// `name`, else `type`, `detail-type` or `eventName`; empty if the event has none.
    pub name: String,
    /// `resourceId`, else `subject`, else the texts of `resources`, with commas; empty if the event
    /// has none.
    pub resource: String,
    /// `eventTime`, else `time`, in UTC where it can be parsed, also from a number, else as it
    /// came; empty if the event has none.
    pub time: String,
}

impl EventIdentity {
    /// The identity of an event that its receiver has given an id, because its sender did not.
    pub fn with_id(event: &NativeEvent, id: impl Into<String>) -> Self {
        let naming = naming(event);
        Self::of(
            &event.event().partial_tree(&FIELDS),
            naming.as_deref(),
            id.into(),
        )
    }

    /// The five fields in a fixed order, for digests.
    pub fn fields(&self) -> [&str; 5] {
        [
            &self.source,
            &self.id,
            &self.name,
            &self.resource,
            &self.time,
        ]
    }

    /// The identity of the event with these fields; `naming` holds its source, if they do not.
    fn of(tree: &Json, naming: Option<&Json>, id: String) -> Self {
        let text = |keys: &[&str]| first_text(tree, keys).unwrap_or_default().into_owned();
        // The native form drops a CloudEvents source that follows from the product, so both
        // spellings must give the same identity: product "ECS" is source "acs.ecs".
        let source = first_text(naming.unwrap_or(tree), &["source"]);
        let source = source.or_else(|| audit_source(tree));
        let source = match (source, text(&["product"])) {
            (Some(source), _) => source.into_owned(),
            (None, product) if product.is_empty() => String::new(),
            (None, product) => format!("acs.{}", product.to_lowercase()),
        };
        // A number counts too: two events that differ in it are no copies.
        let time = first_text(tree, &["eventTime", "time"]).unwrap_or_default();
        Self {
            source,
            id,
            name: text(&["name", "type", "detail-type", "eventName"]),
            resource: match text(&["resourceId", "subject"]) {
                empty if empty.is_empty() => resources(tree),
                resource => resource,
            },
            time: parse_time(&time).map_or_else(|_| time.into_owned(), |time| time.to_string()),
        }
    }
}

impl NativeEvent {
    /// The identity of the event, the same in every envelope and each time its sender repeats it;
    /// `None` for an event without an id, whose copies cannot be recognised.
    pub fn identity(&self) -> Option<EventIdentity> {
        let (tree, naming) = (self.event().partial_tree(&FIELDS), naming(self));
        let audit = || audit_source(&tree).and_then(|_| first_text(&tree, &["eventID", "eventId"]));
        let id = first_text(naming.as_deref().unwrap_or(&tree), &["id"]).or_else(audit)?;
        let id = id.into_owned();
        Some(EventIdentity::of(&tree, naming.as_deref(), id))
    }
}

/// The members that an identity is made of.
static FIELDS: LazyLock<FieldSet> = LazyLock::new(|| {
    FieldSet::from([
        "detail-type",
        "eventID",
        "eventId",
        "eventName",
        "eventSource",
        "eventTime",
        "id",
        "name",
        "product",
        "resourceId",
        "resources",
        "source",
        "subject",
        "time",
        "type",
    ])
});

/// The object that holds source and id, where the event itself does not: a CloudEvent's own
/// attributes, also where `data` carries an event of another envelope with members of these names.
fn naming(event: &NativeEvent) -> Option<Cow<'_, Json>> {
    let received = event.original();
    (received.envelope() == Envelope::CloudEvent).then(|| received.partial_tree(&FIELDS))
}

/// The source of an audit record (`CloudTrail`, `ActionTrail`), whose members have other names.
fn audit_source(event: &Json) -> Option<Cow<'_, str>> {
    first_text(event, &["eventName"]).and_then(|_| first_text(event, &["eventSource"]))
}

/// The resources of an event of AWS.
fn resources(event: &Json) -> String {
    let resources = event.get("resources").map_or(&[][..], Json::elements);
    // Audit records list objects, `{"ARN": …}` or `{"arn": …}`.
    let name = |resource| text(resource).or_else(|| first_text(resource, &["ARN", "arn"]));
    let texts: Vec<_> = resources.iter().filter_map(name).collect();
    texts.join(",")
}

/// The first of the members that is a number, or a text that is not empty.
fn first_text<'a>(object: &'a Json, keys: &[&str]) -> Option<Cow<'a, str>> {
    let members = keys.iter().filter_map(|key| object.get(key));
    members.filter_map(text).find(|text| !text.is_empty())
}

/// A text, or the digits of a number as they were written.
fn text(value: &Json) -> Option<Cow<'_, str>> {
    match value {
        Json::String(text) => Some(Cow::Borrowed(text)),
        Json::Number(digits) => Some(Cow::Owned(digits.to_string())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(text: &str) -> EventIdentity {
        NativeEvent::from_json(text).unwrap().identity().unwrap()
    }

    #[test]
    fn events_that_differ_in_one_field_are_no_copies() {
        let of = |more: &str| identity(&format!(r#"{{"id": "a", "name": "n"{more}}}"#));
        for (one, other) in [
            (r#", "time": 1554783506922"#, r#", "time": 1554783506923"#),
            (r#", "eventTime": 1"#, r#", "eventTime": 2"#),
            (r#", "resources": ["arn:1"]"#, r#", "resources": ["arn:2"]"#),
            (
                r#", "resources": ["arn:1"]"#,
                r#", "resources": ["arn:1", "arn:2"]"#,
            ),
            (r#", "resourceId": "x""#, r#", "resourceId": "y""#),
            (r#", "source": "x""#, r#", "source": "y""#),
            (r#", "resourceId": 1"#, r#", "resourceId": 2"#),
            (r#", "subject": 1"#, r#", "resourceId": 2"#),
            (
                r#", "resources": [{"ARN": "arn:1"}]"#,
                r#", "resources": [{"ARN": "arn:2"}]"#,
            ),
        ] {
            assert_ne!(of(one), of(other), "{one}");
        }
        let named = |name: &str| identity(&format!(r#"{{"id": "a", "name": {name}}}"#));
        assert_ne!(named("1"), named("2"));
        // Two spellings of one time are the same.
        let number = of(r#", "time": 1554783506922"#);
        let text = of(r#", "time": "2019-04-09T04:18:26.922Z""#);
        assert_eq!(number.time, text.time);
    }

    #[test]
    fn numbers_are_ids_and_other_values_are_not() {
        for (id, expected) in [
            (r#""8B2A***A5""#, Some("8B2A***A5")),
            ("7", Some("7")),
            (r#""7""#, Some("7")),
            ("123456789012345678901", Some("123456789012345678901")),
            ("-1.5", Some("-1.5")),
            (r#""""#, None),
            ("null", None),
            ("true", None),
            ("{}", None),
            (r#"["a"]"#, None),
        ] {
            let text = format!(r#"{{"id": {id}, "product": "ECS"}}"#);
            let found = NativeEvent::from_json(text).unwrap().identity();
            assert_eq!(
                found.map(|identity| identity.id).as_deref(),
                expected,
                "{id}"
            );
        }
    }
}
