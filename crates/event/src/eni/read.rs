//! The tolerant reader of ENI notifications.

use std::str::FromStr;

use super::EniNotification;
use crate::json::Json;
use crate::{Arn, ENI_OPERATION_COMPLETED, NativeEvent, Parsed, parse_time};

/// The lists in the content: the documented key, and the singular that is accepted too.
pub(crate) const LISTS: [(&str, &str); 4] = [
    ("secondaryPrivateIps", "secondaryPrivateIp"),
    ("ipv4Prefixes", "ipv4Prefix"),
    ("ipv6s", "ipv6"),
    ("ipv6Prefixes", "ipv6Prefix"),
];

/// Why an event is not an ENI notification.
///
/// ```
/// use reflexarc_event::{EniNotification, NativeEvent};
///
/// let event = NativeEvent::from_json(r#"{"name": "Disk:Stalled:Executing", "content": {}}"#)?;
/// let error = EniNotification::read(&event).expect_err("another event");
/// assert_eq!(
///     error.to_string(),
///     "expected NetworkInterface:NetworkInterfaceOperateCompleted, found Disk:Stalled:Executing",
/// );
/// # Ok::<(), reflexarc_event::EventError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It has another name.
    #[error("expected {ENI_OPERATION_COMPLETED}, found {}", .name.as_deref().unwrap_or("no name"))]
    OtherEvent {
        /// The event's name, if it has one.
        name: Option<String>,
    },
    /// Its content is not an object.
    #[error("expected an object as content, found {found}")]
    NoContent {
        /// The type of the content: "a string", "nothing" …
        found: &'static str,
    },
}

impl EniNotification {
    /// Reads an ENI notification. The reader is tolerant: it keeps values that it cannot parse as
    /// [`Parsed::Masked`] or [`Parsed::Invalid`], and accepts statuses written as sentences and
    /// lists under a singular key or as a single string. Missing values are [`Parsed::Missing`] or
    /// an empty list. [`crate::check`] reports all of these.
    ///
    /// # Errors
    /// If the event has another name, or its content is not an object.
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
        let resource_id: Parsed<Arn> = one(tree.get("resourceId"), exactly);
        // If content and ARN differ, the content is the one to trust.
        let eni_id = match (one(content.get("eniId"), any), &resource_id) {
            (Parsed::Missing, Parsed::Value(arn)) if arn.kind == "eni" => arn.id.clone().into(),
            (eni_id, _) => eni_id,
        };
        Ok(Self {
            id: one(tree.get("id"), any),
            resource_id,
            level: one(tree.get("level"), exactly),
            user_id: one(tree.get("userId"), any),
            event_time: one(tree.get("eventTime"), |text| parse_time(text).ok()),
            region_id: one(tree.get("regionId"), any),
            eni_id,
            operation: one(content.get("operation"), exactly),
            eni_status: one(content.get("eniStatus"), exactly),
            result: one(content.get("result"), exactly),
            request_id: one(content.get("requestId"), any),
            primary_private_ip: one(content.get("primaryPrivateIp"), trimmed),
            secondary_private_ips: list(content, LISTS[0], trimmed),
            ipv4_prefixes: list(content, LISTS[1], trimmed),
            ipv6s: list(content, LISTS[2], trimmed),
            ipv6_prefixes: list(content, LISTS[3], trimmed),
        })
    }
}

/// Parses one value. An array of one element counts as that element; null and the empty string
/// count as missing.
fn one<T>(value: Option<&Json>, parse: impl Fn(&str) -> Option<T>) -> Parsed<T> {
    match value {
        None | Some(Json::Null) => Parsed::Missing,
        Some(Json::String(text)) if text.is_empty() => Parsed::Missing,
        Some(Json::String(text)) => Parsed::of(text, parse),
        // Some senders write account ids as numbers.
        Some(Json::Number(text)) => Parsed::of(text, parse),
        Some(Json::Array(elements)) if elements.len() == 1 => one(elements.first(), parse),
        Some(other) => Parsed::Invalid(other.to_string()),
    }
}

fn list<T>(
    content: &Json,
    keys: (&str, &str),
    parse: impl Fn(&str) -> Option<T>,
) -> Vec<Parsed<T>> {
    let values = [keys.0, keys.1]
        .into_iter()
        .filter_map(|key| content.get(key))
        .flat_map(|value| match value {
            Json::Array(elements) => elements.as_slice(),
            single => std::slice::from_ref(single),
        });
    values
        .map(|value| one(Some(value), &parse))
        .filter(|value| !matches!(value, Parsed::Missing))
        .collect()
}

#[allow(clippy::unnecessary_wraps, reason = "has the signature of a parser")]
fn any(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn exactly<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn trimmed<T: FromStr>(text: &str) -> Option<T> {
    text.trim().parse().ok()
}
