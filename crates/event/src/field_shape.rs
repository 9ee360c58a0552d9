//! Which documented fields hold one value, and which a list.

use crate::catalogue::{FieldShape, catalogue_fields};

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
    let documented = |known: &str| {
        let field = catalogue_fields().iter().find(|field| field.path == known);
        field.and_then(|field| field.shape)
    };
    // `data` of a CloudEvent is the content of the native form.
    let content = path
        .strip_prefix("data.")
        .map(|key| format!("content.{key}"));
    documented(content.as_deref().unwrap_or(path)).or_else(|| {
        let mut others = ATTRIBUTES.iter();
        others
            .find(|(key, _)| *key == path)
            .map(|(_, shape)| *shape)
    })
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

/// Attributes of CloudEvents and fields of the envelope of AWS, which the native form lacks.
const ATTRIBUTES: &[(&str, FieldShape)] = &[
    ("account", FieldShape::One),
    ("aliyunaccountid", FieldShape::One),
    ("aliyunregionid", FieldShape::One),
    ("datacontenttype", FieldShape::One),
    ("dataschema", FieldShape::One),
    ("detail-type", FieldShape::One),
    ("region", FieldShape::One),
    ("resources", FieldShape::Many),
    ("source", FieldShape::One),
    ("specversion", FieldShape::One),
    ("subject", FieldShape::One),
    ("time", FieldShape::One),
    ("type", FieldShape::One),
    ("version", FieldShape::One),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_field_has_its_shape() {
        for field in catalogue_fields() {
            assert_eq!(field_shape(field.path), field.shape, "{}", field.path);
            if let Some(key) = field.path.strip_prefix("content.") {
                let data = format!("data.{key}");
                assert_eq!(field_shape(&data), field.shape, "{data}");
            }
        }
    }

    #[test]
    fn attributes_are_no_fields_of_the_native_form() {
        for (key, shape) in ATTRIBUTES {
            assert!(
                catalogue_fields().iter().all(|field| field.path != *key),
                "{key}"
            );
            assert_eq!(field_shape(key), Some(*shape));
        }
    }

    #[test]
    fn undocumented_fields_have_no_shape() {
        // The API has `NetworkInterfaceId`; the notification has `eniId`.
        for path in [
            "content.networkInterfaceId",
            "content.regionId",
            "data",
            "content",
            "x",
        ] {
            assert_eq!(field_shape(path), None, "{path}");
        }
    }
}
