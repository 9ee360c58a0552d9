//! Where the members of a document are, so that its text is walked along once, however often some
//! of its fields are read.

use std::ops::Range;

use super::cursor::{Cursor, Key, with_unescaped};

/// The members of a document's outermost object and those of the objects in it.
///
/// ```text
/// {"id": 7, "content": {"eniId": "eni-1", "tags": {"a": 1}}}
///
/// outermost: id, content        inside content: eniId, tags
/// ```
#[derive(Debug)]
pub(crate) struct MemberIndex {
    outermost: Vec<Member>,
    /// Of all objects, one after the other.
    inner: Vec<Member>,
}

/// A member of an object.
#[derive(Debug)]
pub(super) struct Member {
    key_start: u32,
    key_end: u32,
    value_start: u32,
    value_end: u32,
    has_key_escapes: bool,
    pub(super) kind: ValueKind,
}

/// How the value of a member is read.
#[derive(Debug, Clone, Copy)]
pub(super) enum ValueKind {
    /// A string without escapes.
    PlainString,
    /// An object whose members are in the index.
    Object {
        /// The position of the first.
        first: u16,
        /// The position after the last.
        end: u16,
    },
    /// Anything else.
    Other,
}

impl MemberIndex {
    /// Members in an index; a document with more has none, and is walked along each time.
    // An ECS event has 10 to 40. Their places take 24 bytes each.
    const MAX_MEMBERS: usize = 256;

    /// The index of a document that is valid JSON and an object; `None` if it has too many members
    /// or more than 4 GiB.
    pub(crate) fn of(text: &str) -> Option<Self> {
        u32::try_from(text.len()).ok()?;
        let mut cursor = Cursor { text, at: 0 };
        let mut index = Self {
            outermost: Vec::with_capacity(16),
            inner: Vec::with_capacity(16),
        };
        cursor.skip_space();
        cursor.at += 1;
        while let Some(key) = cursor.next_key() {
            let start = cursor.at;
            let kind = if cursor.peek() == b'{' {
                let first = u16::try_from(index.inner.len()).ok()?;
                cursor.at += 1;
                while let Some(key) = cursor.next_key() {
                    let start = cursor.at;
                    let kind = skip_value(&mut cursor);
                    index.inner.push(Member::new(&key, start..cursor.at, kind));
                    index.check_size()?;
                }
                let end = u16::try_from(index.inner.len()).ok()?;
                ValueKind::Object { first, end }
            } else {
                skip_value(&mut cursor)
            };
            index
                .outermost
                .push(Member::new(&key, start..cursor.at, kind));
            index.check_size()?;
        }
        Some(index)
    }

    /// The members of the outermost object in the order of the text.
    pub(super) fn outermost(&self) -> &[Member] {
        &self.outermost
    }

    /// The members of the object that is the value of an outermost member.
    pub(super) fn inside(&self, first: u16, end: u16) -> &[Member] {
        &self.inner[usize::from(first)..usize::from(end)]
    }

    fn check_size(&self) -> Option<()> {
        (self.outermost.len() + self.inner.len() <= Self::MAX_MEMBERS).then_some(())
    }
}

impl Member {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a text of more than 4 GiB has no index"
    )]
    fn new(key: &Key, value: Range<usize>, kind: ValueKind) -> Self {
        Self {
            key_start: key.start as u32,
            key_end: key.end as u32,
            value_start: value.start as u32,
            value_end: value.end as u32,
            has_key_escapes: key.has_escapes,
            kind,
        }
    }

    /// Whether its key is this one.
    pub(super) fn has_key(&self, text: &str, key: &str) -> bool {
        if self.has_key_escapes {
            return self.with_key(text, |found| found == key);
        }
        // Most keys differ in their length.
        (self.key_end - self.key_start) as usize == key.len() && self.raw_key(text) == key
    }

    /// The result of a function of its key.
    pub(super) fn with_key<T>(&self, text: &str, use_key: impl Fn(&str) -> T) -> T {
        with_unescaped(self.raw_key(text), self.has_key_escapes, use_key)
    }

    /// The text of its value.
    pub(super) fn value<'a>(&self, text: &'a str) -> &'a str {
        &text[self.value_start as usize..self.value_end as usize]
    }

    fn raw_key<'a>(&self, text: &'a str) -> &'a str {
        &text[self.key_start as usize..self.key_end as usize]
    }
}

/// Skips a value that is not looked into.
fn skip_value(cursor: &mut Cursor<'_>) -> ValueKind {
    if cursor.skip_value() {
        ValueKind::PlainString
    } else {
        ValueKind::Other
    }
}
