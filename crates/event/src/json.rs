//! JSON that keeps the order of members, duplicate keys and the digits of numbers.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::decimal::Decimal;

mod build;
mod cursor;
mod error;
mod escape;
mod json_value;
mod members;
mod outline;
pub(crate) mod raw;
mod read;
mod select;
mod string_end;
pub mod walk;
mod write;

pub use error::{JsonError, JsonErrorKind, Position};
pub use json_value::JsonValue;
pub(crate) use members::MemberIndex;
pub(crate) use outline::{Member, Outline};
pub(crate) use read::{Value, read, unescape};
pub(crate) use select::select;
pub use select::{FieldSet, Selected};

/// A JSON value that keeps all of its text but white space and escape sequences.
///
/// `Display` writes it compactly. `==` compares numbers by their text, so `1` and `1.0` differ;
/// [`Json::eq_ignoring_order`] compares them by value.
///
/// ```
/// use reflexarc_event::Json;
///
/// let json: Json = r#"{"tags": ["a", "b"], "count": 1.50}"#.parse()?;
/// assert_eq!(json.get("tags").map(|tags| tags.elements().len()), Some(2));
/// assert_eq!(json.get("count").and_then(Json::as_i64), None);
/// assert_eq!(json.to_string(), r#"{"tags":["a","b"],"count":1.50}"#);
/// # Ok::<(), reflexarc_event::JsonError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as the text of a valid JSON number.
    Number(Box<str>),
    /// A string, escapes decoded.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object: members in the order of the text, duplicate keys included.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Parses one JSON document with at most 128 levels.
    ///
    /// # Errors
    /// The first error, with its byte offset.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, JsonError> {
        Self::parse_within(text, crate::Limits::DEFAULT.depth)
    }

    /// Parses one JSON document with at most `depth` levels.
    ///
    /// # Errors
    /// The first error, with its byte offset.
    pub fn parse_within(text: impl AsRef<[u8]>, depth: usize) -> Result<Self, JsonError> {
        // Not the generic `read`: each caller's crate would compile it again.
        read_tree(text.as_ref(), depth)
    }

    /// The value of a key in an object, the last one if the key is repeated.
    ///
    /// ```
    /// use reflexarc_event::Json;
    ///
    /// let json = Json::parse(r#"{"a": 1, "a": 2}"#)?;
    /// assert_eq!(json.get("a").and_then(Json::as_i64), Some(2));
    /// assert_eq!(json.members().len(), 2);
    /// # Ok::<(), reflexarc_event::JsonError>(())
    /// ```
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.members()
            .iter()
            .rev()
            .find(|(k, _)| k == key)
            .map(|(_, value)| value)
    }

    /// The members of an object; empty for other values.
    pub fn members(&self) -> &[(String, Json)] {
        match self {
            Json::Object(members) => members,
            _ => &[],
        }
    }

    /// The elements of an array; empty for other values.
    pub fn elements(&self) -> &[Json] {
        match self {
            Json::Array(elements) => elements,
            _ => &[],
        }
    }

    /// Whether both have the same value: the order of members does not count, of a repeated key the
    /// last one does, and numbers are compared by value.
    ///
    /// ```
    /// use reflexarc_event::Json;
    ///
    /// let one = Json::parse(r#"{"a": 1, "b": 2.0}"#)?;
    /// let other = Json::parse(r#"{"b": 2, "a": 1}"#)?;
    /// assert!(one != other && one.eq_ignoring_order(&other));
    /// # Ok::<(), reflexarc_event::JsonError>(())
    /// ```
    pub fn eq_ignoring_order(&self, other: &Json) -> bool {
        match (self, other) {
            (Json::Object(members), Json::Object(others)) => {
                let (members, others) = (by_key(members), by_key(others));
                members.len() == others.len()
                    && members
                        .iter()
                        .zip(&others)
                        .all(|((key, a), (other, b))| key == other && a.eq_ignoring_order(b))
            }
            (Json::Array(elements), Json::Array(others)) => {
                elements.len() == others.len()
                    && elements
                        .iter()
                        .zip(others)
                        .all(|(a, b)| a.eq_ignoring_order(b))
            }
            (Json::Number(a), Json::Number(b)) => {
                a == b || a.parse::<Decimal>() == b.parse::<Decimal>()
            }
            _ => self == other,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Json::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value of `true` and `false`.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Json::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The value of a number that is written as an integer and fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Json::Number(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// Its type for messages, with an article: "an object", "a number", "null".
    pub fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(true) => "true",
            Json::Bool(false) => "false",
            Json::Number(_) => "a number",
            Json::String(_) => "a string",
            Json::Array(_) => "an array",
            Json::Object(_) => "an object",
        }
    }
}

/// As [`Json::parse`].
impl FromStr for Json {
    type Err = JsonError;

    fn from_str(text: &str) -> Result<Self, JsonError> {
        Self::parse(text)
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Json::String(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Json::String(text)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Json::Bool(value)
    }
}

impl From<i64> for Json {
    fn from(value: i64) -> Self {
        Json::Number(value.to_string().into())
    }
}

impl From<Vec<Json>> for Json {
    fn from(elements: Vec<Json>) -> Self {
        Json::Array(elements)
    }
}

impl FromIterator<(String, Json)> for Json {
    fn from_iter<I: IntoIterator<Item = (String, Json)>>(members: I) -> Self {
        Json::Object(members.into_iter().collect())
    }
}

fn read_tree(bytes: &[u8], depth: usize) -> Result<Json, JsonError> {
    read(bytes, depth)
}

/// The members by key, the last one of each key.
pub(crate) fn by_key(members: &[(String, Json)]) -> BTreeMap<&str, &Json> {
    members
        .iter()
        .map(|(key, value)| (key.as_str(), value))
        .collect()
}
