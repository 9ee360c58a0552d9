//! Conversion of events to the native form from text to text, without trees.
//!
//! It gives the bytes that [`normalize`](crate::normalize) gives, for events as their senders write
//! them: a tree of an event costs ten times as much as matching it. Whatever is unusual is left to
//! the conversion of trees: keys with escape sequences, members that are there twice, values of
//! another type than documented, values that are not canonical.

mod cloudevent;
mod plain;
mod webhook;

use std::borrow::Cow;

use crate::canonical::{ContentKey, Scope};
use crate::json::raw::{RawMember, for_each_element, plain_string, raw_members, write_compact};
use crate::json::unescape;
use crate::json::walk::{Keyword, Visitor, walk};
use crate::markers::{EnvelopeMarkers, Shape, Texts};
use crate::{Envelope, Event, Level, time};

/// The native form of an event as text; `None` if this conversion does not know it.
pub(crate) fn native_text(event: &Event) -> Option<String> {
    let text = event.text();
    let depth = event.limits().depth;
    let native = match event.envelope() {
        Envelope::Aws | Envelope::Other => None,
        // Of the canonical spelling of its values only trees decide.
        Envelope::Native if event.markers().has_plain_envelope() => None,
        Envelope::Native | Envelope::CloudMonitorFlat => plain::of_native(text, depth),
        Envelope::CloudMonitorRecord => plain::of_record(text, depth),
        Envelope::CloudEvent => cloudevent::to_native(text),
        Envelope::CloudMonitor => webhook::to_native(text, depth),
    };
    // One that is too long is an error, which the other conversion reports.
    native.filter(|native| native.len() <= event.limits().bytes)
}

/// Writes an object.
struct ObjectWriter(String);

impl ObjectWriter {
    fn with_capacity(bytes: usize) -> Self {
        let mut text = String::with_capacity(bytes);
        text.push('{');
        Self(text)
    }

    /// A key without escape sequences.
    fn key(&mut self, key: &str) {
        if !self.0.ends_with('{') {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(key);
        self.0.push_str("\":");
    }

    /// A member whose value is valid JSON.
    fn value(&mut self, key: &str, value: &str) {
        self.key(key);
        match plain_string(value) {
            Some(_) => self.0.push_str(value),
            None => write_compact(value, &mut self.0),
        }
    }

    /// A member as it was read.
    fn member(&mut self, key: &str, member: RawMember<'_>) {
        if member.is_compact {
            self.compact(key, member.value);
        } else {
            self.value(key, member.value);
        }
    }

    /// A member whose value is compact JSON.
    fn compact(&mut self, key: &str, value: &str) {
        self.key(key);
        self.0.push_str(value);
    }

    /// A member whose value is a string that needs no escape sequences.
    fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        self.0.push('"');
        self.0.push_str(text);
        self.0.push('"');
    }

    /// As [`ObjectWriter::text`], if there is a text.
    fn optional_text(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(key, text);
        }
    }

    fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// What the conversions read from a content.
#[derive(Default)]
struct ContentFields<'t> {
    /// The value of `eventStatus`.
    status: Option<&'t str>,
    /// The value of `result`.
    result: Option<&'t str>,
    markers: EnvelopeMarkers,
}

impl<'t> ContentFields<'t> {
    /// Those of a valid text; `None` if it is an object with escape sequences in its keys.
    fn of(content: &'t str) -> Option<Self> {
        let mut fields = Self::default();
        if !content.starts_with('{') {
            return Some(fields);
        }
        for RawMember { key, value, .. } in raw_members(content)? {
            match key {
                "eventStatus" => fields.status = Some(value),
                "result" => fields.result = Some(value),
                _ => {}
            }
            if let Some(key) = ContentKey::of(key) {
                fields.markers.record_content(key, shape(value));
            }
        }
        Some(fields)
    }

    /// Whether its values may have another spelling than the canonical one in an event of this
    /// name.
    fn may_vary(&self, name: &str) -> bool {
        match Scope::of(name) {
            Scope::Nothing => false,
            Scope::Lists => self.markers.has_list(),
            Scope::EniOperation => self.markers.has_list() || self.markers.has_scalar(),
        }
    }
}

/// Nothing to look for: the walk only validates.
impl Visitor for () {
    type Place = ();
    type Array = ();
    const OUTSIDE: () = ();
    fn is_outside((): ()) -> bool {
        true
    }
    fn member(&mut self, (): (), _: std::ops::Range<usize>, _: bool) {}
    fn string(&mut self, (): (), _: std::ops::Range<usize>, _: bool) {}
    fn number(&mut self, (): (), _: std::ops::Range<usize>) {}
    fn keyword(&mut self, (): (), _: Keyword) {}
    fn begin_object(&mut self, (): ()) {}
    fn begin_array(&mut self, (): ()) -> ((), ()) {
        ((), ())
    }
    fn begin_element(&mut self, (): &mut ()) {}
}

/// The content that a value stands for: the object in a JSON text, else the value.
fn content(value: &str, depth: usize) -> Cow<'_, str> {
    let Some(raw) = value.strip_prefix('"') else {
        return value.into();
    };
    let text = unescape(&raw[..raw.len() - 1]);
    let is_object = text.trim_ascii_start().starts_with('{');
    if is_object && walk(text.as_bytes(), depth.saturating_sub(1), (), &mut ()).is_ok() {
        // Without white space around it, as the text of a value is.
        match text.trim_ascii() {
            trimmed if trimmed.len() == text.len() => text.into(),
            trimmed => trimmed.to_owned().into(),
        }
    } else {
        value.into()
    }
}

/// A level in capitals; unchanged if it is not a level. `None` if it has escape sequences.
fn level(value: &str) -> Option<Cow<'_, str>> {
    if !value.starts_with('"') {
        return Some(value.into());
    }
    Some(match plain_string(value)?.parse::<Level>() {
        Ok(level) => level_json(level).into(),
        Err(_) => value.into(),
    })
}

/// Whether a valid text is a number.
fn is_number(value: &str) -> bool {
    value.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

/// The text of a native time for a number that is a time.
fn time_text(number: &str) -> Option<String> {
    let time = time::parse_time(number).ok()?;
    let mut text = String::with_capacity(32);
    text.push('"');
    text.push_str(&time::compact(time));
    text.push('"');
    Some(text)
}

/// Whether the value of an attribute of ENI operations may have another spelling than the canonical
/// one: any other value than a string.
fn may_vary(key: &str, value: &str) -> bool {
    matches!(
        key,
        "id" | "userId" | "regionId" | "resourceId" | "eventTime" | "level"
    ) && !value.starts_with('"')
}

/// The JSON text of a level.
fn level_json(level: Level) -> &'static str {
    match level {
        Level::Info => "\"INFO\"",
        Level::Warn => "\"WARN\"",
        Level::Critical => "\"CRITICAL\"",
    }
}

/// What only the conversion of trees knows.
struct Unusual;

/// The text of a value that is a string.
fn text_if_string(value: Option<&str>) -> Result<Option<&str>, Unusual> {
    match value {
        Some(value) if value.starts_with('"') => plain_string(value).map(Some).ok_or(Unusual),
        _ => Ok(None),
    }
}

/// The text of a value that must be a string, if there is one.
fn text_of(value: Option<&str>) -> Result<Option<&str>, Unusual> {
    match value {
        Some(value) => plain_string(value).map(Some).ok_or(Unusual),
        None => Ok(None),
    }
}

/// The shape of a valid text, as far as markers of a content go by it.
fn shape(value: &str) -> Shape<'_> {
    match value.as_bytes().first() {
        Some(b'"') => Shape::String(&value[1..value.len() - 1]),
        Some(b'[') => {
            let mut texts = Texts::default();
            for_each_element(value, |element| {
                texts.add(match element.strip_prefix('"') {
                    Some(raw) => Shape::String(&raw[..raw.len() - 1]),
                    None => Shape::Null,
                });
                texts.plain
            });
            Shape::Array(texts)
        }
        Some(b'{') => Shape::Object(EnvelopeMarkers::default()),
        Some(b't' | b'f') => Shape::Bool(true),
        Some(b'n') | None => Shape::Null,
        _ => Shape::Number,
    }
}
