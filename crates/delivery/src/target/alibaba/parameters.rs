//! Parameters of an operation in the form of the API: names with values as text.

use std::collections::BTreeMap;

use reflexarc_event::Json;

/// The largest size of the encoded parameters, in bytes. A URL longer than 64 KiB cannot be sent.
pub(super) const MAX_PARAMETER_BYTES: usize = 60_000;

/// Names that the API gives a meaning of its own: with them a parameter could choose another
/// operation or key than the request that was checked and signed.
const RESERVED: [&str; 12] = [
    "AccessKeyId",
    "Action",
    "BearerToken",
    "Format",
    "SecurityToken",
    "Signature",
    "SignatureMethod",
    "SignatureNonce",
    "SignatureType",
    "SignatureVersion",
    "Timestamp",
    "Version",
];

/// The parameters with arrays and maps flattened: `.1`, `.2` … for the elements of an array, `.Key`
/// for the members of a map; numbers and truth values as text.
///
/// ```text
/// { Tag: [{ Key: "a", Value: 1 }], Force: true }    Tag.1.Key=a  Tag.1.Value=1  Force=true
/// ```
///
/// # Errors
/// Which parameter has no value (null, an empty array or map), or is set by the target. An
/// operation without its filter would apply to everything.
pub fn flatten(parameters: &Json) -> Result<BTreeMap<String, String>, String> {
    let Json::Object(members) = parameters else {
        let found = parameters.kind();
        return Err(format!("expected an object of parameters, found {found}"));
    };
    let mut flat = BTreeMap::new();
    for (name, value) in members {
        // A rule may pass on a map of an event, whose names it does not choose.
        let mut reserved = RESERVED.iter();
        if reserved.any(|reserved| reserved.eq_ignore_ascii_case(name)) {
            return Err(format!("the parameter `{name}` is set by the target"));
        }
        add(name, value, &mut flat)?;
    }
    Ok(flat)
}

fn add(name: &str, value: &Json, flat: &mut BTreeMap<String, String>) -> Result<(), String> {
    let text = match value {
        Json::Null => return Err(format!("the parameter `{name}` has no value")),
        Json::Array(elements) if elements.is_empty() => {
            return Err(format!("the parameter `{name}` is an empty array"));
        }
        Json::Object(members) if members.is_empty() => {
            return Err(format!("the parameter `{name}` is an empty map"));
        }
        Json::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                add(&format!("{name}.{}", index + 1), element, flat)?;
            }
            return Ok(());
        }
        Json::Object(members) => {
            for (key, member) in members {
                add(&format!("{name}.{key}"), member, flat)?;
            }
            return Ok(());
        }
        Json::Bool(value) => value.to_string(),
        Json::Number(digits) => digits.to_string(),
        Json::String(text) => text.clone(),
    };
    // `#{ "Tag.1.Key": "a", Tag: [#{ Key: "b" }] }`: which of them is meant is unknown.
    match flat.insert(name.to_owned(), text) {
        Some(_) => Err(format!("the parameter `{name}` is given twice")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(json: &str) -> Result<String, String> {
        let flat = flatten(&Json::parse(json).unwrap())?;
        let pairs: Vec<_> = flat
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        Ok(pairs.join(" "))
    }

    #[test]
    fn arrays_and_maps_are_numbered_and_named() {
        let parameters = r#"{"Tag": [{"Key": "a", "Value": 1.50}, {"Key": "b"}],
            "NetworkInterfaceId": ["eni-1", "eni-2"], "Force": true, "Options": {"A": {"B": 0}},
            "Text": ""}"#;
        assert_eq!(
            flat(parameters).unwrap(),
            "Force=true NetworkInterfaceId.1=eni-1 NetworkInterfaceId.2=eni-2 Options.A.B=0 \
             Tag.1.Key=a Tag.1.Value=1.50 Tag.2.Key=b Text="
        );
        assert_eq!(flat("{}").unwrap(), "");
    }

    #[test]
    fn parameters_without_a_value_are_errors() {
        for (parameters, message) in [
            (r#"{"A": null}"#, "the parameter `A` has no value"),
            (r#"{"A": [null]}"#, "the parameter `A.1` has no value"),
            (r#"{"A": []}"#, "the parameter `A` is an empty array"),
            (r#"{"A": [{}]}"#, "the parameter `A.1` is an empty map"),
            (
                r#"{"A.1": "x", "A": ["y"]}"#,
                "the parameter `A.1` is given twice",
            ),
            ("[1]", "expected an object of parameters, found an array"),
        ] {
            assert_eq!(flat(parameters).unwrap_err(), message, "{parameters}");
        }
    }

    #[test]
    fn parameters_cannot_choose_another_operation_or_key() {
        for name in [
            "Action",
            "action",
            "ACCESSKEYID",
            "SecurityToken",
            "Version",
        ] {
            let parameters = Json::object([(name, "x".into())]);
            let error = flatten(&parameters).unwrap_err();
            assert_eq!(
                error,
                format!("the parameter `{name}` is set by the target")
            );
        }
    }
}
