//! Addresses of pages. Every part that comes from data is percent-encoded.

use crate::fields::query_of;

/// The page of an entry of the archive.
pub(crate) fn entry(seq: i64) -> String {
    format!("/events/{seq}")
}

/// The page of a delivery.
pub(crate) fn delivery(id: &str) -> String {
    format!("/deliveries/{}", segment(id))
}

/// The page of a rule.
pub(crate) fn rule(name: &str) -> String {
    format!("/rules/{}", segment(name))
}

/// The page of a target.
pub(crate) fn target(name: &str) -> String {
    format!("/targets/{}", segment(name))
}

/// The page of an incident.
pub(crate) fn incident(id: i64) -> String {
    format!("/incidents/{id}")
}

/// Why a rule matches an entry or not.
pub(crate) fn why(seq: i64, rule: &str) -> String {
    format!("/events/{seq}/why/{}", segment(rule))
}

/// A list with a filter.
pub(crate) fn list(path: &str, fields: &[(&str, &str)]) -> String {
    match query_of(fields.iter().copied(), &[]) {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

/// A segment of a path. A browser takes `.` and `..` for folders, also where they are encoded, so
/// no page is reached under such a name.
fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            for digit in [byte >> 4, byte & 15] {
                let digit = char::from_digit(u32::from(digit), 16).unwrap_or('0');
                encoded.push(digit.to_ascii_uppercase());
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_addresses_are_encoded() {
        assert_eq!(rule("a/b?c#\"<é"), "/rules/a%2Fb%3Fc%23%22%3C%C3%A9");
        assert_eq!(why(7, "a b"), "/events/7/why/a%20b");
        let fields = [("id", "javascript:1&x=<"), ("rule", "")];
        assert_eq!(
            list("/events", &fields),
            "/events?id=javascript%3A1%26x%3D%3C"
        );
        assert_eq!(list("/events", &[]), "/events");
    }
}
