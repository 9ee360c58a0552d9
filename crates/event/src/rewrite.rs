//! Conversion of events to the native form from text to text, without trees.
//!
//! It gives the bytes that [`normalize`](crate::normalize) gives, for events as their senders write
//! them: a tree of an event costs ten times as much as matching it. Whatever is unusual is left to
//! the conversion of trees: keys with escape sequences, members that are there twice, values of
//! another type than documented, values that are not canonical.

mod cloudevent;
mod content;
mod object_writer;
mod plain;
mod webhook;

use object_writer::ObjectWriter;

use crate::json::raw::RawMember;
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

/// A member with a level in capitals; unchanged if it is not a level. `None` if it has escape
/// sequences.
fn level(member: RawMember<'_>) -> Option<RawMember<'_>> {
    if !member.value.starts_with('"') {
        return Some(member);
    }
    Some(match member.plain_string()?.parse::<Level>() {
        Ok(level) => RawMember {
            value: level_json(level),
            ..member
        },
        Err(_) => member,
    })
}

/// Whether a valid text is a number.
fn is_number(value: &str) -> bool {
    value.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

/// The text of a native time for a number that is a time.
fn time_text(number: &str) -> Option<String> {
    let time = time::parse_time(number).ok()?;
    Some(["\"", &time::compact(time), "\""].concat())
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

/// The text of a member that is a string.
fn text_if_string(member: Option<RawMember<'_>>) -> Result<Option<&str>, Unusual> {
    text_of(member.filter(|member| member.value.starts_with('"')))
}

/// The text of a member that must be a string, if there is one.
fn text_of(member: Option<RawMember<'_>>) -> Result<Option<&str>, Unusual> {
    match member {
        Some(member) => member.plain_string().map(Some).ok_or(Unusual),
        None => Ok(None),
    }
}
