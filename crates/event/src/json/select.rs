//! Reading some fields of a document that is known to be valid, without a tree of the rest.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Json;
use super::read::{plain_length, read, unescape};

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

/// Up to so many comparisons of keys, each field is looked for among the members of an object;
/// beyond, each member among the fields.
// An ECS event has a dozen members on each level, and a script names a handful of them: the former
// is half of the work then, and the latter is bounded where both are many.
const MAX_COMPARISONS: usize = 256;

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

    /// Calls `visit` with the members of an object that have one of these fields, and which parts
    /// of them. They are in the order of the keys; of members with the same key only the last.
    pub fn visit_members<'j>(
        &self,
        members: &'j [(String, Json)],
        visit: &mut dyn FnMut(&'j str, &'j Json, &Self),
    ) {
        if members.len() * self.fields.len() <= MAX_COMPARISONS {
            for (key, fields) in &self.fields {
                let found = members.iter().rev().find(|(found, _)| found == key);
                if let Some((key, value)) = found {
                    visit(key, value, fields);
                }
            }
            return;
        }
        let mut last: BTreeMap<&str, &Json> = BTreeMap::new();
        for (key, value) in members {
            if self.get(key).is_some() {
                last.insert(key, value);
            }
        }
        for (key, value) in last {
            if let Some(fields) = self.get(key) {
                visit(key, value, fields);
            }
        }
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
        // Comparing a handful of lengths is faster than a search.
        if self.fields.len() <= 8 {
            let mut fields = self.fields.iter();
            return fields
                .find(|(found, _)| found == key)
                .map(|(_, field)| field);
        }
        let place = self
            .fields
            .binary_search_by(|(found, _)| found.as_str().cmp(key));
        place.ok().map(|place| &self.fields[place].1)
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
    /// The selected members of an object, in the order of the text, duplicate keys included.
    Object(Vec<(Cow<'a, str>, Self)>),
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
                let members = members.map(|(key, value)| (key.to_string(), value.to_json()));
                Json::Object(members.collect())
            }
            Self::Text(text) => {
                read(text.as_bytes(), usize::from(u16::MAX)).expect("the text was validated before")
            }
        }
    }
}

/// The fields of a document that is valid JSON.
pub(crate) fn select<'a>(text: &'a str, fields: &FieldSet) -> Selected<'a> {
    let bytes = text.as_bytes();
    let mut selector = Selector { text, bytes, at: 0 };
    selector.skip_space();
    selector.value(fields)
}

struct Selector<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Selector<'a> {
    /// Reads the value at this place.
    fn value(&mut self, fields: &FieldSet) -> Selected<'a> {
        if !fields.is_all && self.peek() == b'{' {
            return self.object(fields);
        }
        let start = self.at;
        self.skip_value();
        Selected::Text(&self.text[start..self.at])
    }

    fn object(&mut self, fields: &FieldSet) -> Selected<'a> {
        let mut members = Vec::with_capacity(fields.fields.len());
        self.at += 1;
        loop {
            self.skip_space();
            match self.peek() {
                b'}' => break,
                b',' => self.at += 1,
                _ => {
                    let start = self.at + 1;
                    let has_escapes = self.skip_string();
                    let key = &self.text[start..self.at - 1];
                    let key = if has_escapes {
                        Cow::Owned(unescape(key))
                    } else {
                        Cow::Borrowed(key)
                    };
                    self.skip_space();
                    // The colon.
                    self.at += 1;
                    self.skip_space();
                    match fields.get(&key) {
                        Some(fields) => members.push((key, self.value(fields))),
                        None => self.skip_value(),
                    }
                }
            }
        }
        self.at += 1;
        Selected::Object(members)
    }

    fn skip_value(&mut self) {
        match self.peek() {
            b'"' => {
                self.skip_string();
            }
            b'{' | b'[' => {
                let mut open = 0_usize;
                loop {
                    match self.peek() {
                        b'"' => {
                            self.skip_string();
                            continue;
                        }
                        b'{' | b'[' => open += 1,
                        b'}' | b']' => open -= 1,
                        _ => {}
                    }
                    self.at += 1;
                    if open == 0 {
                        return;
                    }
                }
            }
            _ => {
                while !matches!(
                    self.peek(),
                    b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r' | 0
                ) {
                    self.at += 1;
                }
            }
        }
    }

    /// Skips a string, from its opening quote to behind its closing one. Whether it has escapes.
    fn skip_string(&mut self) -> bool {
        let mut has_escapes = false;
        self.at += 1;
        loop {
            self.at += plain_length(&self.bytes[self.at..]);
            match self.peek() {
                b'"' => {
                    self.at += 1;
                    return has_escapes;
                }
                b'\\' => {
                    has_escapes = true;
                    self.at += 2;
                }
                _ => self.at += 1,
            }
        }
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    /// The byte at this place; 0 at the end, which is no byte of a valid document.
    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The naive twin: the fields of a tree.
    fn select_from_tree(json: &Json, fields: &FieldSet) -> Json {
        match json {
            Json::Object(members) if !fields.is_all => {
                let selected = members.iter().filter_map(|(key, value)| {
                    let fields = fields.fields.iter().find(|(found, _)| found == key)?;
                    let fields = &fields.1;
                    Some((key.clone(), select_from_tree(value, fields)))
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
            let selected = select(&text, &fields).to_json();
            prop_assert_eq!(&selected, &select_from_tree(&tree, &fields), "{}", text);
        }

        #[test]
        fn members_are_visited_by_key_whatever_their_number(
            members in prop::collection::vec(("[ab]|[a-z]{1,3}", 0..100_i64), 0..300),
            names in prop::collection::btree_set("[ab]|[a-z]{1,2}", 0..20),
        ) {
            let members = members.into_iter().map(|(key, n)| (key, Json::from(n)));
            let members: Vec<_> = members.collect();
            let json = Json::Object(members.clone());
            let mut fields = FieldSet::default();
            for name in &names {
                fields.insert([name.as_str()]);
            }
            let mut visited = Vec::new();
            fields.visit_members(&members, &mut |key, value, part| {
                assert!(part.is_all());
                visited.push((key.to_owned(), value.clone()));
            });
            let expected = names
                .iter()
                .filter_map(|name| Some((name.clone(), json.get(name)?.clone())));
            prop_assert_eq!(visited, expected.collect::<Vec<_>>());
        }
    }
}
