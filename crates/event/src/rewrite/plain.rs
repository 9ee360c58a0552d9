//! Native events, events of Cloud Monitor rules and records of its history.

use std::borrow::Cow;

use super::{ContentFields, ObjectWriter, content, level, may_vary, text_if_string};
use crate::canonical::Scope;
use crate::history;
use crate::json::raw::{RawMember, plain_string, raw_members};
use crate::native_field::with_status;
use crate::time;

/// A native or flat event with content as an object, level in capitals, and the status of a flat
/// event as part of the name.
pub(super) fn of_native(text: &str, depth: usize) -> Option<String> {
    let members = raw_members(text)?;
    let members = members.iter();
    let fields: Vec<_> = members
        .map(|member| (member.key, Cow::Borrowed(member.value)))
        .collect();
    write(&fields, text.len(), depth)
}

/// The native form of a record.
pub(super) fn of_record(text: &str, depth: usize) -> Option<String> {
    let mut renamed: [Option<&str>; history::MEMBERS.len()] = Default::default();
    let mut kept = Vec::new();
    for RawMember { key, value } in raw_members(text)? {
        if history::MEMBERS.iter().any(|(native, _)| *native == key) {
            return None;
        }
        match history::MEMBERS
            .iter()
            .position(|(_, member)| *member == key)
        {
            Some(at) if renamed[at].replace(value).is_some() => return None,
            Some(_) => {}
            None => kept.push((key, Cow::Borrowed(value))),
        }
    }
    let members = history::MEMBERS.iter().zip(renamed);
    let fields = members.filter_map(|((native, _), value)| {
        let value = value?;
        let is_number = value.starts_with(|first: char| first == '-' || first.is_ascii_digit());
        Some(match time::parse_time(value) {
            Ok(time) if *native == "eventTime" && is_number => {
                (*native, format!("\"{}\"", time::compact(time)).into())
            }
            _ => (*native, Cow::Borrowed(value)),
        })
    });
    let fields: Vec<_> = fields.chain(kept).collect();
    write(&fields, text.len(), depth)
}

/// The native form of an event with these members.
fn write(fields: &[(&str, Cow<'_, str>)], bytes: usize, depth: usize) -> Option<String> {
    let last = |key: &str| fields.iter().rev().find(|(found, _)| *found == key);
    let status = text_if_string(last("status").map(|(_, status)| &**status))?;
    let mut out = ObjectWriter::with_capacity(bytes + 64);
    let (mut last_name, mut last_content) = (None, None);
    for (key, value) in fields {
        match *key {
            "content" => {
                let content = content(value, depth);
                out.value(key, &content);
                last_content = Some(content);
            }
            "level" => out.value(key, &level(value)?),
            "name" if value.starts_with('"') => {
                let name = with_status(plain_string(value)?, status);
                out.text(key, &name);
                last_name = Some(name);
            }
            _ => out.value(key, value),
        }
    }
    // Only the last member of a key counts, and these have names by which they were recognised.
    let name = last_name?;
    let scope = Scope::of(&name);
    let varies = |(key, value): &(&str, Cow<'_, str>)| may_vary(key, value);
    if scope == Scope::EniOperation && fields.iter().any(varies) {
        return None;
    }
    if scope != Scope::Nothing {
        let content = last_content.unwrap_or_default();
        if ContentFields::of(&content)?.may_vary(&name) {
            return None;
        }
    }
    Some(out.finish())
}
