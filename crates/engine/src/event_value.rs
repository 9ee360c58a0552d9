//! The value of an event, or of a row of a table, at a path.

use reflexarc_event::{FieldSet, Json};
use reflexarc_pattern::canonical_scalar;

/// What is read of an event to find the values at these paths.
pub(crate) fn fields_of<'p>(paths: impl IntoIterator<Item = &'p str>) -> FieldSet {
    let mut fields = FieldSet::default();
    for path in paths {
        insert_path(&mut fields, path);
    }
    fields
}

/// The value at a path, in the spelling of all values that filters take for equal. Without one the
/// reason, about `subject`: "the event".
pub(crate) fn scalar_at(json: &Json, path: &str, subject: &str) -> Result<Json, String> {
    let missing = || format!("{subject} has no value at `{path}`");
    let value = value_at(json, path).ok_or_else(missing)?;
    // `[]` and `{}` count as missing in filters too. An array of one element is no scalar:
    // which of its values an event will have first next time is not known.
    canonical_scalar(value).ok_or_else(|| match value {
        Json::Array(_) => format!("the value at `{path}` is an array"),
        Json::Object(_) => format!("the value at `{path}` is an object"),
        _ => format!("the value at `{path}` is null"),
    })
}

/// Adds the value at a path, and at each other way to read it as keys: `a.b.c` is also the key
/// `b.c` of `a`, and `c` of `a.b`.
fn insert_path(fields: &mut FieldSet, path: &str) {
    // 2^(n - 1) ways for n segments; paths of events have three at most.
    const MAX_SEGMENTS: usize = 6;
    let segments: Vec<&str> = path.split('.').collect();
    if segments.len() > MAX_SEGMENTS {
        *fields = FieldSet::all();
        return;
    }
    for dots in 0..1_u32 << (segments.len() - 1) {
        // Bit i: the dot after segment i is part of a key.
        let mut keys = vec![segments[0].to_owned()];
        for (i, segment) in segments[1..].iter().enumerate() {
            match keys.last_mut() {
                Some(key) if dots >> i & 1 == 1 => *key = format!("{key}.{segment}"),
                _ => keys.push((*segment).to_owned()),
            }
        }
        fields.insert(keys.iter().map(String::as_str));
    }
}

/// The value at a path. A key that contains dots is addressed like nested keys: `a.b.c` finds
/// `{"a": {"b.c": 1}}` as well as `{"a": {"b": {"c": 1}}}`.
fn value_at<'j>(json: &'j Json, path: &str) -> Option<&'j Json> {
    if let Some(value) = json.get(path) {
        return Some(value);
    }
    path.match_indices('.')
        .find_map(|(dot, _)| value_at(json.get(&path[..dot])?, &path[dot + 1..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reflexarc_event::Event;

    use super::*;

    /// Objects whose keys may contain dots.
    fn tree() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![(0..3_i64).prop_map(Json::from), Just(Json::Null)];
        leaf.prop_recursive(4, 16, 4, |inner| {
            let key = "[ab](\\.[ab]){0,2}";
            prop_oneof![
                4 => prop::collection::vec((key, inner.clone()), 0..4).prop_map(Json::from_iter),
                1 => prop::collection::vec(inner, 0..3).prop_map(Json::from),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_fields_of_a_path_are_enough_to_find_its_value(
            members in prop::collection::vec(("[ab](\\.[ab]){0,2}", tree()), 0..5),
            path in "[ab](\\.[ab]){0,7}",
        ) {
            let event = Event::from_json(Json::from_iter(members).to_string()).unwrap();
            let mut fields = FieldSet::default();
            insert_path(&mut fields, &path);
            let partial = event.select(&fields).to_json();
            let expected = value_at(event.tree(), &path);
            prop_assert_eq!(value_at(&partial, &path), expected, "{}", event.tree());
        }
    }
}
