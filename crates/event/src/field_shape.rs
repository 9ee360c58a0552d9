//! Which documented fields hold one value, and which a list.

/// How many values a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldShape {
    /// One value, in every event that has the field.
    One,
    /// An array of values.
    Many,
}

/// The shape of a field by its path in the native form, or in a CloudEvent or an event of AWS;
/// `None` if it is not documented.
///
/// ```
/// use reflexarc_event::{FieldShape, field_shape};
///
/// assert_eq!(field_shape("content.result"), Some(FieldShape::One));
/// assert_eq!(field_shape("content.ipv6s"), Some(FieldShape::Many));
/// assert_eq!(field_shape("content.myField"), None);
/// ```
pub fn field_shape(path: &str) -> Option<FieldShape> {
    let content = path.strip_prefix("content.").or(path.strip_prefix("data."));
    let (many, one) = match content {
        Some(_) => (CONTENT_LISTS, CONTENT),
        None => (LISTS, ATTRIBUTES),
    };
    let key = content.unwrap_or(path);
    if many.contains(&key) {
        Some(FieldShape::Many)
    } else if one.contains(&key) {
        Some(FieldShape::One)
    } else {
        None
    }
}

/// The object of an envelope that carries what happened; never an array.
///
/// ```
/// assert!(reflexarc_event::is_payload("detail"));
/// assert!(!reflexarc_event::is_payload("detail.items"));
/// ```
pub fn is_payload(path: &str) -> bool {
    // Of the native form, of CloudEvents and of AWS: AWS rejects events whose `detail` is not an
    // object.
    matches!(path, "content" | "data" | "detail")
}

/// Fields beside the content: of the native form and the flat form of Cloud Monitor, attributes of
/// CloudEvents, and fields of the envelope of AWS.
const ATTRIBUTES: &[&str] = &[
    "account",
    "aliyunaccountid",
    "aliyunregionid",
    "datacontenttype",
    "dataschema",
    "detail-type",
    "eventTime",
    "id",
    "instanceName",
    "level",
    "name",
    "product",
    "region",
    "regionId",
    "resourceId",
    "source",
    "specversion",
    "status",
    "subject",
    "time",
    "type",
    "userId",
    "ver",
    "version",
];

const LISTS: &[&str] = &["resources"];

/// Fields of the content of documented ECS events.
const CONTENT: &[&str] = &[
    "action",
    "diskId",
    "eniId",
    "eniStatus",
    "eventId",
    "eventType",
    "executeFinishTime",
    "executeStartTime",
    "instanceId",
    "instanceType",
    "networkInterfaceId",
    "notBefore",
    "operation",
    "primaryPrivateIp",
    "publishTime",
    "reasonCode",
    "regionId",
    "requestId",
    "resourceId",
    "resourceType",
    "result",
    "snapshotId",
    "state",
    "status",
];

const CONTENT_LISTS: &[&str] = &[
    "ipv4Prefixes",
    "ipv6Prefixes",
    "ipv6s",
    "secondaryPrivateIps",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eni;

    #[test]
    fn the_lists_of_the_eni_notification_are_lists() {
        for (plural, _) in eni::LISTS {
            let path = format!("content.{plural}");
            assert_eq!(field_shape(&path), Some(FieldShape::Many), "{path}");
        }
    }

    #[test]
    fn no_field_has_two_shapes() {
        assert!(LISTS.iter().all(|key| !ATTRIBUTES.contains(key)));
        assert!(CONTENT_LISTS.iter().all(|key| !CONTENT.contains(key)));
    }
}
