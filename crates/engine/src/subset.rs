//! Comparing actual JSON values with expected parts of them.

use reflexarc_event::{Decimal, Json};

/// Whether every member of `part` is in `whole`, at any depth. An empty object is only in an empty
/// one. Arrays must have the same length and are compared element by element; numbers are equal by
/// value.
pub(crate) fn is_subset(part: &Json, whole: &Json) -> bool {
    match (part, whole) {
        // As a subset of every object it would assert nothing: `payload = {}`.
        (Json::Object(members), Json::Object(others)) if members.is_empty() => others.is_empty(),
        (Json::Object(members), Json::Object(_)) => members
            .iter()
            .all(|(key, value)| whole.get(key).is_some_and(|other| is_subset(value, other))),
        (Json::Array(a), Json::Array(b)) => {
            // Arrays are not subsets: an expected list of addresses without its last one is wrong.
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_subset(a, b))
        }
        (Json::Number(a), Json::Number(b)) => {
            a == b || a.parse::<Decimal>() == b.parse::<Decimal>()
        }
        _ => part == whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subset_leaves_members_out() {
        let check = |part: &str, whole: &str| {
            is_subset(&Json::parse(part).unwrap(), &Json::parse(whole).unwrap())
        };
        assert!(check(
            r#"{"a": {"b": 1}}"#,
            r#"{"x": 0, "a": {"b": 1.0, "c": 2}}"#
        ));
        assert!(check(r#"[1, {"b": 1}]"#, r#"[1e0, {"a": null, "b": 1}]"#));
        assert!(check(r#"{"a": {}}"#, r#"{"a": {}, "b": 1}"#));
        assert!(!check("[1, {}]", r#"[1e0, {"a": null}]"#));
        assert!(!check("[1]", "[1, 2]"));
        assert!(!check(r#"{"a": null}"#, "{}"));
        assert!(!check("9007199254740993", "9007199254740992"));
        assert!(!check("9007199254740993.0", "9007199254740992.0"));
        assert!(!check(r#""1""#, "1"));
    }
}
