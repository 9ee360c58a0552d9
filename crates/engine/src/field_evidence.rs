//! What the events of a rule's tests show about a field.

use reflexarc_event::{Event, Json, NativeEvent};

/// Whether some event has exactly one value at the path, outside of arrays, and no event has an
/// array there or on the way.
pub(crate) fn shows_one_value<'e>(events: impl Iterator<Item = &'e Event>, path: &str) -> bool {
    let mut evidence = Evidence::default();
    for event in events {
        // Rules see the native form, so the path is one of it. An event that has none is no
        // evidence; the test that names it fails with the reason.
        if let Ok(native) = NativeEvent::new(event.clone()) {
            evidence.add(native.tree(), Some(path), false);
        }
    }
    evidence.one && !evidence.many
}

#[derive(Debug, Default)]
struct Evidence {
    one: bool,
    many: bool,
}

impl Evidence {
    /// Looks at the values below `value`; `rest` is what is left of the path, `None` at its end.
    fn add(&mut self, value: &Json, rest: Option<&str>, in_array: bool) {
        match (value, rest) {
            (Json::Array(elements), _) => {
                self.many |= rest.is_none();
                for element in elements {
                    self.add(element, rest, true);
                }
            }
            (Json::Object(members), Some(rest)) => {
                for (key, value) in members {
                    // A key may contain dots: `a.b` leads on from `{"a": …}` and from `{"a.b": …}`.
                    match rest.strip_prefix(key.as_str()) {
                        Some("") => self.add(value, None, in_array),
                        Some(after) if after.starts_with('.') => {
                            self.add(value, Some(&after[1..]), in_array);
                        }
                        _ => {}
                    }
                }
            }
            (Json::Object(_), None) | (_, Some(_)) => {}
            (_, None) if in_array => self.many = true,
            (_, None) => self.one = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(events: &[&str], path: &str, expected: bool) {
        let events: Vec<Event> = events
            .iter()
            .map(|text| Event::from_json(*text).expect("an event"))
            .collect();
        assert_eq!(shows_one_value(events.iter(), path), expected);
    }

    #[test]
    fn one_value_in_every_event_is_evidence() {
        check(
            &[r#"{"a": {"b": 1}}"#, r#"{"a.b": null}"#, "{}"],
            "a.b",
            true,
        );
        check(&[r#"{"a": {"c": 1}}"#], "a.b", false);
        check(&[r#"{"a": {"b": {}}}"#], "a.b", false);
        check(&[], "a", false);
    }

    #[test]
    fn an_array_in_one_event_is_evidence_against() {
        check(&[r#"{"a": 1}"#, r#"{"a": [1]}"#], "a", false);
        check(&[r#"{"a": 1}"#, r#"{"a": []}"#], "a", false);
        check(
            &[r#"{"a": {"b": 1}}"#, r#"{"a": [{"b": 1}]}"#],
            "a.b",
            false,
        );
    }
}
