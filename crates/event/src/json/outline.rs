//! The spans of the values of a JSON text.

use std::ops::Range;

use super::{JsonError, Value, read, unescape};

/// The structure of a JSON text: the span of each value, without the values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outline {
    /// The bytes of the value.
    pub(crate) span: Range<usize>,
    /// The members of an object in the order of the text, duplicates included.
    pub(crate) members: Vec<Member>,
    /// The elements of an array.
    pub(crate) elements: Vec<Outline>,
}

/// A member: its key, the span of the key with its quotes, and the outline of its value.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) key: String,
    pub(crate) key_span: Range<usize>,
    pub(crate) value: Outline,
}

impl Outline {
    /// Reads the outline of a document, under the same rules and errors as
    /// [`super::Json::parse_within`].
    pub(crate) fn read(text: &[u8], depth: usize) -> Result<Self, JsonError> {
        read(text, depth)
    }

    /// The member with that key, the last one if there are several.
    pub(crate) fn member(&self, key: &str) -> Option<&Member> {
        self.members.iter().rev().find(|member| member.key == key)
    }
}

impl Value<'_> for Outline {
    type Members = Vec<Member>;
    type Elements = Vec<Outline>;
    fn null() -> Self {
        Self::default()
    }
    fn bool(_: bool) -> Self {
        Self::default()
    }
    fn number(_: &str) -> Self {
        Self::default()
    }
    fn string(_: &str) -> Self {
        Self::default()
    }
    fn member(members: &mut Self::Members, raw_key: &str, key_at: usize, value: Self) {
        let key_span = key_at..key_at + raw_key.len() + 2;
        members.push(Member {
            key: unescape(raw_key),
            key_span,
            value,
        });
    }
    fn element(elements: &mut Self::Elements, value: Self) {
        elements.push(value);
    }
    fn object(members: Self::Members) -> Self {
        Self {
            members,
            ..Self::default()
        }
    }
    fn array(elements: Self::Elements) -> Self {
        Self {
            elements,
            ..Self::default()
        }
    }
    fn with_span(mut self, span: Range<usize>) -> Self {
        self.span = span;
        self
    }
}
