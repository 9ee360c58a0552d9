//! Writes an object of the native form.

use crate::json::raw::{RawMember, write_compact};

/// Writes an object, and objects in it.
pub(super) struct ObjectWriter(String);

impl ObjectWriter {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        let mut text = String::with_capacity(bytes);
        text.push('{');
        Self(text)
    }

    /// A member whose value is valid JSON; whether it is compact.
    pub(super) fn value(&mut self, key: &str, value: &str, is_compact: bool) {
        self.key(key);
        if is_compact {
            self.0.push_str(value);
        } else {
            write_compact(value, &mut self.0);
        }
    }

    /// A member as it was read.
    pub(super) fn member(&mut self, member: RawMember<'_>) {
        self.value(member.key, member.value, member.is_compact);
    }

    /// A member whose value is a string that needs no escape sequences.
    pub(super) fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        self.0.push('"');
        self.0.push_str(text);
        self.0.push('"');
    }

    /// As [`ObjectWriter::text`], if there is a text.
    pub(super) fn optional_text(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(key, text);
        }
    }

    /// A member whose value is an object with the members that `write` adds; without any it is not
    /// written unless `keep_empty`.
    pub(super) fn object(&mut self, key: &str, keep_empty: bool, write: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        self.key(key);
        self.0.push('{');
        write(self);
        if self.0.ends_with('{') && !keep_empty {
            self.0.truncate(start);
        } else {
            self.0.push('}');
        }
    }

    pub(super) fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }

    /// A key without escape sequences.
    fn key(&mut self, key: &str) {
        // No value ends with an opening brace: the object has no member yet.
        if !self.0.ends_with('{') {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(key);
        self.0.push_str("\":");
    }
}
