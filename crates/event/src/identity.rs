//! What makes two arrivals the same event.

use crate::json::Json;
use crate::{Envelope, NativeEvent, parse_time};

/// The fields that identify an event: two arrivals are copies of one event if all five agree.
///
/// Source and id alone are not enough: senders reuse ids for the phases of one operation, and
/// documentation and debug messages mask them (`8B***A5`).
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
        let tree = event.tree();
        let text = |keys: &[&str]| first_text(tree, keys).unwrap_or_default().to_owned();
        // The native form drops a CloudEvents source that follows from the product, so both
        // spellings must give the same identity: product "ECS" is source "acs.ecs".
        let source = first_text(naming(event), &["source"]);
        let source = source.or_else(|| audit_source(tree));
        let source = match (source, text(&["product"])) {
            (Some(source), _) => source.to_owned(),
            (None, product) if product.is_empty() => String::new(),
            (None, product) => format!("acs.{}", product.to_lowercase()),
        };
        let time = time_text(tree);
        Self {
            source,
            id: id.into(),
            name: text(&["name", "type", "detail-type", "eventName"]),
            resource: match text(&["resourceId", "subject"]) {
                empty if empty.is_empty() => resources(tree),
                resource => resource,
            },
            time: parse_time(&time).map_or(time, |time| time.to_string()),
        }
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
}

impl NativeEvent {
    /// The identity of the event, the same in every envelope and each time its sender repeats it;
    /// `None` for an event without an id, whose copies cannot be recognised.
    pub fn identity(&self) -> Option<EventIdentity> {
        let tree = self.tree();
        let audit = || audit_source(tree).and_then(|_| first_text(tree, &["eventID", "eventId"]));
        first_text(naming(self), &["id"])
            .or_else(audit)
            .map(|id| EventIdentity::with_id(self, id))
    }
}

/// The object that holds source and id: a CloudEvent's own attributes, also where `data` carries an
/// event of another envelope with members of these names.
fn naming(event: &NativeEvent) -> &Json {
    let received = event.original();
    if received.envelope() == Envelope::CloudEvent {
        received.tree()
    } else {
        event.tree()
    }
}

/// The source of an audit record (`CloudTrail`, `ActionTrail`), whose members have other names.
fn audit_source(event: &Json) -> Option<&str> {
    first_text(event, &["eventName"]).and_then(|_| first_text(event, &["eventSource"]))
}

/// The time as a text. A number counts too: two events that differ in it are no copies.
fn time_text(event: &Json) -> String {
    let times = ["eventTime", "time"].into_iter();
    let times = times.filter_map(|key| match event.get(key)? {
        Json::String(text) => Some(text.clone()),
        Json::Number(digits) => Some(digits.to_string()),
        _ => None,
    });
    times
        .into_iter()
        .find(|time| !time.is_empty())
        .unwrap_or_default()
}

/// The resources of an event of AWS.
fn resources(event: &Json) -> String {
    let resources = event.get("resources").map_or(&[][..], Json::elements);
    let texts: Vec<&str> = resources.iter().filter_map(Json::as_str).collect();
    texts.join(",")
}

/// The first of the members that is a text and not empty.
fn first_text<'a>(object: &'a Json, keys: &[&str]) -> Option<&'a str> {
    keys.iter()
        .filter_map(|key| object.get(key).and_then(Json::as_str))
        .find(|text| !text.is_empty())
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
        ] {
            assert_ne!(of(one), of(other), "{one}");
        }
        // Two spellings of one time are the same.
        let number = of(r#", "time": 1554783506922"#);
        let text = of(r#", "time": "2019-04-09T04:18:26.922Z""#);
        assert_eq!(number.time, text.time);
    }
}
