//! The tolerant reader.

use super::{EniNotification, EniStatus, Operation, OperationResult};
use crate::json::Json;
use crate::{Arn, ENI_OPERATION_COMPLETED, Level, NativeEvent, Reading, parse_time};

/// The list members of the content: the documented key, and the singular that is read as well.
pub(crate) const LISTS: [(&str, &str); 4] = [
    ("secondaryPrivateIps", "secondaryPrivateIp"),
    ("ipv4Prefixes", "ipv4Prefix"),
    ("ipv6s", "ipv6"),
    ("ipv6Prefixes", "ipv6Prefix"),
];

/// Why an event is no ENI notification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It is about something else.
    #[error("the event is {}, not {ENI_OPERATION_COMPLETED}", .name.as_deref().unwrap_or("nameless"))]
    OtherEvent {
        /// The event's name, if it has one.
        name: Option<String>,
    },
    /// There is no content to read.
    #[error("the content of the event is {found}, not an object")]
    NoContent {
        /// What is there instead: "a string", "nothing" …
        found: &'static str,
    },
}

impl EniNotification {
    /// Reads an ENI notification. The reader is tolerant: a value that it cannot read is kept as
    /// [`Reading::Masked`] or [`Reading::Unknown`], states may be written as prose, list members in the singular or as a
    /// bare string, and what is absent is [`Reading::Missing`] or an empty list. [`crate::check`] tells of all that.
    ///
    /// # Errors
    /// When the event has another name, or no object as content.
    pub fn read(event: &NativeEvent) -> Result<Self, ReadError> {
        let tree = event.tree();
        let name = tree.get("name").and_then(Json::as_str);
        if name != Some(ENI_OPERATION_COMPLETED) {
            return Err(ReadError::OtherEvent {
                name: name.map(str::to_owned),
            });
        }
        let content = match tree.get("content") {
            Some(content @ Json::Object(_)) => content,
            other => {
                return Err(ReadError::NoContent {
                    found: other.map_or("nothing", Json::kind),
                });
            }
        };
        let resource_id = one(tree.get("resourceId"), Arn::parse);
        // The content is asked first: where the two disagree, it is the one to trust.
        let eni_id = match (one(content.get("eniId"), any), &resource_id) {
            (Reading::Missing, Reading::Clear(arn)) if arn.kind == "eni" => arn.id.clone().into(),
            (eni_id, _) => eni_id,
        };
        Ok(Self {
            id: one(tree.get("id"), any),
            resource_id,
            level: one(tree.get("level"), Level::parse),
            user_id: one(tree.get("userId"), any),
            event_time: one(tree.get("eventTime"), parse_time),
            region_id: one(tree.get("regionId"), any),
            eni_id,
            operation: one(content.get("operation"), Operation::parse),
            eni_status: one(content.get("eniStatus"), EniStatus::parse),
            result: one(content.get("result"), OperationResult::parse),
            request_id: one(content.get("requestId"), any),
            primary_private_ip: one(content.get("primaryPrivateIp"), parsed),
            secondary_private_ips: list(content, LISTS[0], parsed),
            ipv4_prefixes: list(content, LISTS[1], parsed),
            ipv6s: list(content, LISTS[2], parsed),
            ipv6_prefixes: list(content, LISTS[3], parsed),
        })
    }
}

/// One value; an array of one element counts as that element, null and the empty text as missing.
fn one<T>(value: Option<&Json>, parse: impl Fn(&str) -> Option<T>) -> Reading<T> {
    match value {
        None | Some(Json::Null) => Reading::Missing,
        Some(Json::String(text)) if text.is_empty() => Reading::Missing,
        Some(Json::String(text)) => Reading::of(text, parse),
        // An account id sometimes comes as a number.
        Some(Json::Number(text)) => Reading::of(text, parse),
        Some(Json::Array(elements)) if elements.len() == 1 => one(elements.first(), parse),
        Some(other) => Reading::Unknown(other.to_string()),
    }
}

fn list<T>(
    content: &Json,
    keys: (&str, &str),
    parse: impl Fn(&str) -> Option<T>,
) -> Vec<Reading<T>> {
    let values = [keys.0, keys.1]
        .into_iter()
        .filter_map(|key| content.get(key))
        .flat_map(|value| match value {
            Json::Array(elements) => elements.as_slice(),
            single => std::slice::from_ref(single),
        });
    values
        .map(|value| one(Some(value), &parse))
        .filter(|value| !matches!(value, Reading::Missing))
        .collect()
}

#[allow(clippy::unnecessary_wraps, reason = "stands where a parser stands")]
fn any(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn parsed<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.trim().parse().ok()
}
