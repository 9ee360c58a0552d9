//! Native events, events of Cloud Monitor rules and records of its history.

use super::content::Content;
use super::{ObjectWriter, content, is_number, level, may_vary, text_if_string, time_text};
use crate::canonical::Scope;
use crate::history;
use crate::json::raw::{RawMember, raw_members};
use crate::native_field::with_status;

/// A native or flat event with content as an object, level in capitals, and the status of a flat
/// event as part of the name.
pub(super) fn of_native(text: &str, depth: usize) -> Option<String> {
    write(&raw_members(text)?, text.len(), depth)
}

/// The native form of a record.
pub(super) fn of_record(text: &str, depth: usize) -> Option<String> {
    let members = raw_members(text)?;
    let mut renamed: [Option<RawMember<'_>>; history::MEMBERS.len()] = Default::default();
    let mut time = None;
    let mut kept = Vec::with_capacity(members.len());
    for member in &members {
        let names = history::MEMBERS.iter();
        let known = names.enumerate().find_map(|(at, (native, name))| {
            let is_native = member.has_key(native);
            (is_native || member.has_key(name)).then_some((at, native, is_native))
        });
        let Some((at, key, is_native)) = known else {
            kept.push(*member);
            continue;
        };
        if is_native {
            return None;
        }
        if *key == "eventTime" && is_number(member.value) {
            time = time_text(member.value);
        }
        if renamed[at].replace(RawMember { key, ..*member }).is_some() {
            return None;
        }
    }
    let mut members = Vec::with_capacity(members.len());
    members.extend(renamed.into_iter().flatten());
    members.append(&mut kept);
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
    let status = text_if_string(status.copied()).ok()?;
    let mut out = ObjectWriter::with_capacity(bytes + 64);
    let (mut last_name, mut last_content) = (None, None);
    for member in members {
        match member.key {
            key @ "content" => {
                let content = Content::of(*member, depth);
                out.value(key, &content.text, content.is_compact);
                last_content = Some(content);
            }
            "level" => out.member(level(*member)?),
            key @ "name" if member.value.starts_with('"') => {
                let name = with_status(member.plain_string()?, status);
                out.text(key, &name);
                last_name = Some(name);
            }
            _ => out.member(*member),
        }
    }
    // Only the last member of a key counts, and these have names by which they were recognised.
    let name = last_name?;
    let scope = Scope::of(&name);
    let mut members = members.iter();
    if scope == Scope::EniOperation && members.any(|member| may_vary(member.key, member.value)) {
        return None;
    }
    if scope != Scope::Nothing
        && let Some(content) = last_content
        && content::may_vary(content.markers()?, scope)
    {
        return None;
    }
    Some(out.finish())
}
