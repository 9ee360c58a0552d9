//! Reading some fields of a document that is known to be valid, without a tree of the rest.

use super::cursor::{Cursor, with_unescaped};
use super::json_value::Built;
use super::members::{Member, MemberIndex, ValueKind};
use super::read::read;
use super::{Json, JsonValue};

/// Fields of a document: all of it, or some members of its objects and parts of these.
///
/// ```
/// use reflexarc_event::{Event, FieldSet};
///
/// let mut fields = FieldSet::default();
/// fields.insert(["content", "eniId"]);
/// fields.insert(["tags"]);
/// let event = Event::from_json(
///     r#"{"id": 7, "content": {"eniId": "eni-1", "result": "failed"}, "tags": [1, 2]}"#,
/// )?;
/// let selected = event.select(&fields).to_json();
/// assert_eq!(selected.to_string(), r#"{"content":{"eniId":"eni-1"},"tags":[1,2]}"#);
/// # Ok::<(), reflexarc_event::EventError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSet {
    is_all: bool,
    /// By key, sorted.
    fields: Vec<(String, Self)>,
}

/// Up to so many fields, each is looked for among the members of an object; beyond, each member
/// among the fields.
// An ECS event has a dozen members on each level, and a script names a handful of them: comparing
// their lengths is faster than a search, and bounded where both are many.
const FEW_FIELDS: usize = 8;

impl FieldSet {
    /// All of a document.
    pub fn all() -> Self {
        Self {
            is_all: true,
            fields: Vec::new(),
        }
    }

    /// Adds the value at these keys, with all that is in it.
    pub fn insert<'k>(&mut self, keys: impl IntoIterator<Item = &'k str>) {
        *self.at(keys) = Self::all();
    }

    /// Adds the value at these keys without what is in it: of an object, that there is one.
    pub fn insert_empty<'k>(&mut self, keys: impl IntoIterator<Item = &'k str>) {
        self.at(keys);
    }

    /// Whether it is all of a document.
    pub fn is_all(&self) -> bool {
        self.is_all
    }

    /// Whether it has no fields.
    pub fn is_empty(&self) -> bool {
        !self.is_all && self.fields.is_empty()
    }

    /// Whether it has the field with this key, or a part of it.
    pub fn contains(&self, key: &str) -> bool {
        self.is_all || self.get(key).is_some()
    }

    /// What is beyond these keys; all of it where they lead into something that is there as a
    /// whole.
    fn at<'k>(&mut self, keys: impl IntoIterator<Item = &'k str>) -> &mut Self {
        let mut at = self;
        for key in keys {
            if at.is_all {
                return at;
            }
            let place = at
                .fields
                .binary_search_by(|(found, _)| found.as_str().cmp(key));
            let place = place.unwrap_or_else(|place| {
                at.fields.insert(place, (key.to_owned(), Self::default()));
                place
            });
            at = &mut at.fields[place].1;
        }
        at
    }

    /// The parts of a field.
    fn get(&self, key: &str) -> Option<&Self> {
        self.position(key).map(|place| &self.fields[place].1)
    }

    /// The position of a field.
    fn position(&self, key: &str) -> Option<usize> {
        if self.fields.len() <= FEW_FIELDS {
            return self.fields.iter().position(|(found, _)| found == key);
        }
        let place = self
            .fields
            .binary_search_by(|(found, _)| found.as_str().cmp(key));
        place.ok()
    }
}

/// Members of the outermost object, with all that is in them.
impl<'k, K: IntoIterator<Item = &'k str>> From<K> for FieldSet {
    fn from(keys: K) -> Self {
        let mut fields = Self::default();
        keys.into_iter().for_each(|key| fields.insert([key]));
        fields
    }
}

/// The selected fields of a document, borrowed from its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selected<'a> {
    /// The selected members of an object, in the order of their keys; of members with the same key
    /// the last.
    Object(Vec<(&'a str, Self)>),
    /// A string without escapes.
    String(&'a str),
    /// Anything else, as its text: valid JSON.
    Text(&'a str),
}

impl Selected<'_> {
    /// As a tree.
    #[allow(clippy::missing_panics_doc, reason = "the text was validated before")]
    pub fn to_json(&self) -> Json {
        match self {
            Self::Object(members) => {
                let members = members.iter();
                let members = members.map(|(key, value)| ((*key).to_owned(), value.to_json()));
                Json::Object(members.collect())
            }
            Self::String(text) => Json::String((*text).to_owned()),
            Self::Text(text) => {
                read(text.as_bytes(), usize::from(u16::MAX)).expect("the text was validated before")
            }
        }
    }
}

impl Selected<'_> {
    /// As a value of another type.
    #[allow(clippy::missing_panics_doc, reason = "the text was validated before")]
    pub fn build<V: JsonValue>(&self) -> V {
        match self {
            Self::Object(selected) => {
                let mut members = V::Members::default();
                for (key, value) in selected {
                    V::member(&mut members, key, value.build());
                }
                V::object(members)
            }
            Self::String(text) => V::string(text),
            Self::Text(text) => {
                let built = read::<Built<V>>(text.as_bytes(), usize::from(u16::MAX));
                built.expect("the text was validated before").0
            }
        }
    }
}

/// The fields of a document that is valid JSON. `index` is that of its members, if it has one.
pub(crate) fn select<'a>(
    text: &'a str,
    index: Option<&'a MemberIndex>,
    fields: &'a FieldSet,
) -> Selected<'a> {
    match index {
        Some(index) if !fields.is_all => {
            let found = Lookup { text, index };
            found.object(index.outermost(), fields)
        }
        _ => {
            let mut cursor = Cursor { text, at: 0 };
            cursor.skip_space();
            select_at(&mut cursor, fields)
        }
    }
}

/// Selects from the text of a document whose members are known.
struct Lookup<'a> {
    text: &'a str,
    index: &'a MemberIndex,
}

impl<'a> Lookup<'a> {
    fn object(&self, members: &'a [Member], fields: &'a FieldSet) -> Selected<'a> {
        if fields.fields.len() > FEW_FIELDS {
            let mut slots = Slots::new(fields);
            for member in members {
                let place = member.with_key(self.text, |key| fields.position(key));
                if let Some(place) = place {
                    slots.set(place, self.value(member, &fields.fields[place].1));
                }
            }
            return slots.into_selected();
        }
        let mut found = Vec::with_capacity(fields.fields.len());
        for (key, part) in &fields.fields {
            // Of a duplicate key the last value counts.
            let member = members
                .iter()
                .rev()
                .find(|member| member.has_key(self.text, key));
            if let Some(member) = member {
                found.push((key.as_str(), self.value(member, part)));
            }
        }
        Selected::Object(found)
    }

    fn value(&self, member: &'a Member, fields: &'a FieldSet) -> Selected<'a> {
        let value = member.value(self.text);
        match member.kind {
            ValueKind::PlainString => Selected::String(&value[1..value.len() - 1]),
            ValueKind::Object { first, end } if !fields.is_all => {
                self.object(self.index.inside(first, end), fields)
            }
            // The members of what is deeper are not in the index.
            ValueKind::Other if !fields.is_all => {
                select_at(&mut Cursor { text: value, at: 0 }, fields)
            }
            ValueKind::Object { .. } | ValueKind::Other => Selected::Text(value),
        }
    }
}

/// What was found of each of some fields.
struct Slots<'a> {
    fields: &'a FieldSet,
    found: Vec<Option<Selected<'a>>>,
}

impl<'a> Slots<'a> {
    fn new(fields: &'a FieldSet) -> Self {
        Self {
            fields,
            found: vec![None; fields.fields.len()],
        }
    }

    fn set(&mut self, place: usize, value: Selected<'a>) {
        self.found[place] = Some(value);
    }

    fn into_selected(self) -> Selected<'a> {
        let keys = self.fields.fields.iter().map(|(key, _)| key.as_str());
        let members = keys.zip(self.found);
        Selected::Object(
            members
                .filter_map(|(key, value)| Some((key, value?)))
                .collect(),
        )
    }
}

/// Selects from the value at the place of a cursor.
fn select_at<'a>(cursor: &mut Cursor<'a>, fields: &'a FieldSet) -> Selected<'a> {
    if !fields.is_all && cursor.peek() == b'{' {
        return select_object(cursor, fields);
    }
    let start = cursor.at;
    let is_plain_string = cursor.skip_value();
    let value = &cursor.text[start..cursor.at];
    if is_plain_string {
        return Selected::String(&value[1..value.len() - 1]);
    }
    Selected::Text(value)
}

fn select_object<'a>(cursor: &mut Cursor<'a>, fields: &'a FieldSet) -> Selected<'a> {
    let mut slots = Slots::new(fields);
    cursor.at += 1;
    while let Some(key) = cursor.next_key() {
        let raw = &cursor.text[key.start..key.end];
        match with_unescaped(raw, key.has_escapes, |key| fields.position(key)) {
            // Of a duplicate key the last value counts.
            Some(place) => slots.set(place, select_at(cursor, &fields.fields[place].1)),
            None => {
                cursor.skip_value();
            }
        }
    }
    slots.into_selected()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Event;

    /// The naive twin: the fields of a tree.
    fn select_from_tree(json: &Json, fields: &FieldSet) -> Json {
        match json {
            Json::Object(_) if !fields.is_all => {
                let selected = fields.fields.iter().filter_map(|(key, fields)| {
                    Some((key.clone(), select_from_tree(json.get(key)?, fields)))
                });
                Json::Object(selected.collect())
            }
            _ => json.clone(),
        }
    }

    /// The text of a document, with spaces and escapes of all kinds.
    fn text(depth: u32) -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            "-?[1-9][0-9]{0,3}(\\.[0-9]{1,2})?(e-?[1-9])?",
            string(),
        ];
        leaf.prop_recursive(depth, 24, 4, |inner| {
            let space = "[ \n\r\t]{0,2}";
            let member = (key(), space, inner.clone(), space)
                .prop_map(|(key, before, value, after)| format!("{key}{before}:{after}{value}"));
            prop_oneof![
                1 => (prop::collection::vec(inner, 0..4), space)
                    .prop_map(|(elements, space)| {
                        format!("[{space}{}{space}]", elements.join(","))
                    }),
                3 => (prop::collection::vec(member, 0..5), space)
                    .prop_map(|(members, space)| {
                        format!("{{{space}{}{space}}}", members.join(&format!("{space},")))
                    }),
            ]
        })
    }

    fn string() -> impl Strategy<Value = String> {
        "\"([a-z{}\\[\\],: é网]|\\\\\"|\\\\\\\\|\\\\u0041|\\\\ud83d\\\\ude00){0,12}\""
    }

    /// Often one of those that are selected, also by an escape.
    fn key() -> impl Strategy<Value = String> {
        prop_oneof![
            4 => "\"[ab]\"",
            1 => Just("\"\\u0061\"".to_owned()),
            1 => string(),
        ]
    }

    fn fields() -> impl Strategy<Value = FieldSet> {
        let keys = prop::collection::vec("[ab]", 0..4);
        prop::collection::vec((keys, any::<bool>()), 0..5).prop_map(|paths| {
            let mut fields = FieldSet::default();
            for (keys, is_whole) in paths {
                let keys = keys.iter().map(String::as_str);
                if is_whole {
                    fields.insert(keys);
                } else {
                    fields.insert_empty(keys);
                }
            }
            fields
        })
    }

    proptest! {
        #[test]
        fn selecting_from_text_equals_the_tree(text in text(4), fields in fields()) {
            let tree = Json::parse(&text).unwrap();
            let expected = select_from_tree(&tree, &fields);
            let selected = select(&text, None, &fields);
            prop_assert_eq!(selected.to_json(), expected.clone(), "{}", text);
            if matches!(tree, Json::Object(_)) {
                let index = MemberIndex::of(&text).unwrap();
                let indexed = select(&text, Some(&index), &fields);
                prop_assert_eq!(indexed.to_json(), expected, "{}", text);
            }
        }

        #[test]
        fn members_are_selected_whatever_their_number(
            members in prop::collection::vec(("[ab]|[a-z]{1,3}", 0..100_i64), 0..300),
            names in prop::collection::btree_set("[ab]|[a-z]{1,2}", 0..20),
        ) {
            let members = members.into_iter().map(|(key, n)| (key, Json::from(n)));
            let json = Json::Object(members.collect());
            let event = Event::from_json(json.to_string()).unwrap();
            let fields = FieldSet::from(names.iter().map(String::as_str));
            let expected = names
                .iter()
                .filter_map(|name| Some((name.clone(), json.get(name)?.clone())));
            let expected = Json::Object(expected.collect());
            prop_assert_eq!(event.select(&fields).to_json(), expected);
        }
    }

    #[test]
    fn only_a_bounded_number_of_members_has_an_index() {
        let object = |members: usize| {
            let members = (0..members).map(|n| format!("\"k{n}\":{n}"));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        };
        for (members, inner, has_index) in [(256, 0, true), (257, 0, false), (0, 256, false)] {
            let outer = object(members);
            let text = match inner {
                0 => outer,
                inner => format!("{{\"a\":{}}}", object(inner)),
            };
            assert_eq!(MemberIndex::of(&text).is_some(), has_index, "{members}");
        }
        assert!(MemberIndex::of(&format!("{{\"a\":{}}}", object(255))).is_some());
    }
}
