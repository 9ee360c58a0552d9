//! Values of infrastructure code: JSON, and what is known only after deployment.

use std::collections::BTreeMap;

use reflexarc_event::Json;

/// A value before or after its functions are evaluated.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// A number, as the text of a valid JSON number.
    Number(String),
    Text(String),
    List(Vec<Value>),
    Map(Vec<Member>),
    /// A value that depends on the deployment, and on what.
    Unknown(String),
    /// The JSON text of a value that is not known completely.
    Encoded(Box<Value>),
}

/// A member of a map.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Member {
    pub(super) key: String,
    /// The line of the key in its file; 0 if it is computed.
    pub(super) line: usize,
    pub(super) value: Value,
}

/// A part of a value that is not known, with its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unresolved {
    pub(super) path: String,
    pub(super) reason: String,
}

impl Value {
    pub(super) fn map(members: impl IntoIterator<Item = (String, Value)>) -> Self {
        let member = |(key, value)| Member {
            key,
            line: 0,
            value,
        };
        Value::Map(members.into_iter().map(member).collect())
    }

    /// The value of a key, the last one if the key is repeated.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.member(key).map(|member| &member.value)
    }

    pub(super) fn member(&self, key: &str) -> Option<&Member> {
        self.members().iter().rev().find(|member| member.key == key)
    }

    /// The value at a path of keys.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Value> {
        path.iter().try_fold(self, |value, key| value.get(key))
    }

    pub(super) fn members(&self) -> &[Member] {
        match self {
            Value::Map(members) => members,
            _ => &[],
        }
    }

    pub(super) fn elements(&self) -> &[Value] {
        match self {
            Value::List(elements) => elements,
            _ => &[],
        }
    }

    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A scalar as the text that templates print.
    pub(super) fn to_text(&self) -> Option<String> {
        match self {
            Value::Text(text) | Value::Number(text) => Some(text.clone()),
            Value::Bool(value) => Some(value.to_string()),
            _ => None,
        }
    }

    /// Why the value is not known: the reason of its first unknown part.
    pub(super) fn unknown(&self) -> Option<&str> {
        match self {
            Value::Unknown(reason) => Some(reason),
            Value::Encoded(value) => value.unknown(),
            Value::List(elements) => elements.iter().find_map(Value::unknown),
            Value::Map(members) => members.iter().find_map(|member| member.value.unknown()),
            _ => None,
        }
    }

    /// The value as JSON.
    ///
    /// # Errors
    /// All parts that are not known.
    pub(super) fn to_json(&self) -> Result<Json, Vec<Unresolved>> {
        let mut unresolved = Vec::new();
        let json = self.json_at("", &mut unresolved);
        if unresolved.is_empty() {
            Ok(json)
        } else {
            Err(unresolved)
        }
    }

    /// How much of an evaluation's limit a copy takes.
    pub(super) fn size(&self) -> usize {
        match self {
            Value::Text(text) => 1 + text.len(),
            Value::List(elements) => 1 + elements.iter().map(Value::size).sum::<usize>(),
            Value::Map(members) => {
                let size = |member: &Member| member.key.len() + member.value.size();
                1 + members.iter().map(size).sum::<usize>()
            }
            Value::Encoded(value) => 1 + value.size(),
            _ => 1,
        }
    }

    fn json_at(&self, path: &str, unresolved: &mut Vec<Unresolved>) -> Json {
        match self {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Number(text) => Json::Number(text.as_str().into()),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(elements) => {
                // A condition is a list of alternatives, whose number says nothing.
                let elements = elements.iter().map(|value| value.json_at(path, unresolved));
                Json::Array(elements.collect())
            }
            Value::Map(members) => {
                let mut json: Vec<(String, Json)> = Vec::with_capacity(members.len());
                let mut places: BTreeMap<&str, usize> = BTreeMap::new();
                for member in members {
                    let below = if path.is_empty() {
                        member.key.clone()
                    } else {
                        format!("{path}.{}", member.key)
                    };
                    let value = member.value.json_at(&below, unresolved);
                    // Of a repeated key, the last value counts.
                    let place = *places.entry(&member.key).or_insert(json.len());
                    match json.get_mut(place) {
                        Some((_, earlier)) => *earlier = value,
                        None => json.push((member.key.clone(), value)),
                    }
                }
                Json::Object(json)
            }
            Value::Unknown(reason) => {
                let found = Unresolved {
                    path: path.to_owned(),
                    reason: reason.clone(),
                };
                if !unresolved.contains(&found) {
                    unresolved.push(found);
                }
                Json::Null
            }
            Value::Encoded(value) => {
                let before = unresolved.len();
                let json = value.json_at(path, unresolved);
                debug_assert!(unresolved.len() > before, "what is known is a text");
                Json::String(json.to_string())
            }
        }
    }
}

impl From<&Json> for Value {
    fn from(json: &Json) -> Self {
        match json {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(text) => Value::Number(text.to_string()),
            Json::String(text) => Value::Text(text.clone()),
            Json::Array(elements) => Value::List(elements.iter().map(Value::from).collect()),
            Json::Object(members) => {
                let member = |(key, value): &(String, Json)| (key.clone(), Value::from(value));
                Value::map(members.iter().map(member))
            }
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}
