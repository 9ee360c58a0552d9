//! Native events, events of Cloud Monitor rules and records of its history.

use std::borrow::Cow;

use super::{
    ContentFields, ObjectWriter, content, is_number, level, may_vary, text_if_string, time_text,
};
use crate::canonical::Scope;
use crate::history;
use crate::json::raw::{RawMember, plain_string, raw_members};
use crate::native_field::with_status;

/// A native or flat event with content as an object, level in capitals, and the status of a flat
/// event as part of the name.
pub(super) fn of_native(text: &str, depth: usize) -> Option<String> {
    write(&raw_members(text)?, text.len(), depth)
}

/// The native form of a record.
pub(super) fn of_record(text: &str, depth: usize) -> Option<String> {
    let mut renamed: [Option<RawMember<'_>>; history::MEMBERS.len()] = Default::default();
    let mut time = None;
    let mut kept = Vec::new();
    for member in raw_members(text)? {
        let key = member.key;
        if history::MEMBERS.iter().any(|(native, _)| *native == key) {
            return None;
        }
        let Some(at) = history::MEMBERS.iter().position(|(_, other)| *other == key) else {
            kept.push(member);
            continue;
        };
        let key = history::MEMBERS[at].0;
        if key == "eventTime" && is_number(member.value) {
            time = time_text(member.value);
        }
        if renamed[at].replace(RawMember { key, ..member }).is_some() {
            return None;
        }
    }
    let mut members: Vec<_> = renamed.into_iter().flatten().chain(kept).collect();
    if let Some(time) = &time
        && let Some(member) = members.iter_mut().find(|member| member.key == "eventTime")
    {
        member.value = time;
    }
    write(&members, text.len(), depth)
}

/// The native form of an event with these members.
fn write(members: &[RawMember<'_>], bytes: usize, depth: usize) -> Option<String> {
    let status = members.iter().rev().find(|member| member.key == "status");
    let status = text_if_string(status.map(|member| member.value)).ok()?;
    let mut out = ObjectWriter::with_capacity(bytes + 64);
    let (mut last_name, mut last_content) = (None, None);
    for member in members {
        let RawMember { key, value, .. } = *member;
        match key {
            "content" => {
                let content = content(value, depth);
                match &content {
                    Cow::Borrowed(_) => out.member(key, *member),
                    Cow::Owned(content) => out.value(key, content),
                }
                last_content = Some(content);
            }
            "level" => out.value(key, &level(value)?),
            "name" if value.starts_with('"') => {
                let name = with_status(plain_string(value)?, status);
                out.text(key, &name);
                last_name = Some(name);
            }
            _ => out.member(key, *member),
        }
    }
    // Only the last member of a key counts, and these have names by which they were recognised.
    let name = last_name?;
    let scope = Scope::of(&name);
    let mut members = members.iter();
    if scope == Scope::EniOperation && members.any(|member| may_vary(member.key, member.value)) {
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
