//! The webhook of a Cloud Monitor subscription policy.

use std::borrow::Cow;

use super::content::{Content, is_escaped_object, markers};
use super::{
    ObjectWriter, Unusual, content, is_number, level, may_vary, text_if_string, time_text,
};
use crate::canonical::Scope;
use crate::json::Json;
use crate::json::raw::{RawMember, is_same_text, nested_members, raw_members};
use crate::native_field::with_status;
use crate::webhook::{ORIGIN_PATHS, ORIGINS, WEBHOOK, origin_position};

/// The objects: the webhook itself, `alert`, `alert.meta` and `alert.meta.sysEventMeta`.
const NESTED: [&str; 3] = ["alert", "meta", "sysEventMeta"];

/// Members of an object that are compared with those of another in any order.
const MAX_COMPARED: usize = 64;

/// The member of the second object that is the content as an object.
const CONTENT_MAP: &str = "eventContentMap";

/// The members of an object; `None` for one that is in the native form.
type Members<'t> = Vec<Option<RawMember<'t>>>;

/// A member of the native form.
struct NativeMember<'t> {
    key: &'static str,
    /// Valid JSON.
    value: Cow<'t, str>,
    is_compact: bool,
}

/// The native form of a webhook.
pub(super) fn to_native(text: &str, depth: usize) -> Option<String> {
    let nested = nested_members(text, &NESTED, CONTENT_MAP)?;
    let mut objects = nested.objects;
    if objects.len() < 2 {
        return None;
    }
    let origins = origins(&objects).ok()?;
    let mut native: Vec<NativeMember<'_>> = Vec::with_capacity(ORIGINS.len());
    let mut origins = origins.into_iter();
    for (key, paths) in ORIGINS {
        let mut found: Option<NativeMember<'_>> = None;
        for (object, at) in origins.by_ref().take(paths.len()).flatten() {
            let Some(member) = objects[object][at] else {
                continue;
            };
            // The same value at a second path is redundant; a different one is kept where it is.
            let is_same = if let Some(found) = &found {
                key == "content" && is_escaped_content(member, nested.aside.as_deref())
                    || found.is_equal(&NativeMember::of(key, member, depth)?, depth)
            } else {
                found = Some(NativeMember::of(key, member, depth)?);
                true
            };
            if is_same {
                objects[object][at] = None;
            }
        }
        native.extend(found);
    }
    let get = |key: &str| native.iter().find(|member| member.key == key);
    let content_members = match (nested.aside, get("content")) {
        (Some(members), _) => members,
        (None, Some(content)) if content.value.starts_with('{') => raw_members(&content.value)?,
        _ => Vec::new(),
    };
    let status = content_members
        .iter()
        .rfind(|member| member.has_key("eventStatus"))
        .copied();
    let status = status.or_else(|| get("status").map(NativeMember::as_raw));
    let status = text_if_string(status).ok()?;
    let name = match get("name").map(NativeMember::as_raw) {
        Some(name) if name.value.starts_with('"') => {
            Some(with_status(name.plain_string()?, status))
        }
        _ => None,
    };
    let scope = name.as_deref().map_or(Scope::Nothing, Scope::of);
    let varies = |member: &NativeMember<'_>| may_vary(member.key, &member.value);
    if scope == Scope::EniOperation && native.iter().any(varies)
        || scope != Scope::Nothing && content::may_vary(markers(&content_members), scope)
    {
        return None;
    }
    let mut out = ObjectWriter::with_capacity(text.len());
    for member in &native {
        match &name {
            Some(name) if member.key == "name" => out.text(member.key, name),
            _ => out.member(member.as_raw()),
        }
    }
    let is_native = |key: &str| key == WEBHOOK || native.iter().any(|member| member.key == key);
    let [top, inner @ ..] = objects.as_slice() else {
        return None;
    };
    for member in top.iter().flatten() {
        if !is_native(member.key) {
            write_kept(*member, inner, &NESTED, &mut out);
        }
    }
    // Webhooks have members such as `userId` and `time` that the native form uses for other values.
    let aside = top.iter().flatten();
    let mut aside = aside.filter(|member| is_native(member.key)).peekable();
    if aside.peek().is_some() {
        // Objects and arrays would be nested one level deeper than the limit may allow.
        if aside
            .clone()
            .any(|member| member.value.starts_with(['{', '[']))
        {
            return None;
        }
        out.object(WEBHOOK, true, |out| {
            aside.for_each(|member| out.member(*member));
        });
    }
    Some(out.finish())
}

impl<'t> NativeMember<'t> {
    /// The native member of a member of the webhook; `None` for a text with escape sequences that
    /// only decoded is comparable.
    fn of(key: &'static str, member: RawMember<'t>, depth: usize) -> Option<Self> {
        if key == "content" {
            let Content {
                text, is_compact, ..
            } = Content::of(member, depth);
            return Some(Self {
                key,
                value: text,
                is_compact,
            });
        }
        if member.value.starts_with('"') {
            member.plain_string()?;
        }
        let time = match key {
            // A number that is no time stays as it came; `check --events` reports it.
            "eventTime" if is_number(member.value) => time_text(member.value),
            _ => None,
        };
        let member = if key == "level" {
            level(member)?
        } else {
            member
        };
        Some(Self {
            key,
            value: time.map_or(Cow::Borrowed(member.value), Cow::Owned),
            is_compact: member.is_compact,
        })
    }

    fn as_raw(&self) -> RawMember<'_> {
        RawMember {
            key: self.key,
            value: &self.value,
            is_compact: self.is_compact,
        }
    }

    /// Whether both have the same value, see [`Json::eq_ignoring_order`].
    fn is_equal(&self, other: &Self, depth: usize) -> bool {
        let (one, other) = (self.as_raw(), other.as_raw());
        if one.value == other.value {
            return true;
        }
        match (one.plain_string(), other.plain_string()) {
            // Without escape sequences, different texts are different strings.
            (Some(_), Some(_)) => return false,
            _ if is_same_text(one.value, other.value)
                || has_same_members(one.value, other.value) =>
            {
                return true;
            }
            _ => {}
        }
        // The text was validated within this depth.
        match (
            Json::parse_within(one.value, depth),
            Json::parse_within(other.value, depth),
        ) {
            (Ok(one), Ok(other)) => one.eq_ignoring_order(&other),
            _ => false,
        }
    }
}

/// The object and the position in it of the member at each path of [`ORIGINS`].
fn origins(objects: &[Members<'_>]) -> Result<[Option<(usize, usize)>; ORIGIN_PATHS], Unusual> {
    let mut origins = [None; ORIGIN_PATHS];
    for (level, members) in objects.iter().enumerate() {
        for (at, member) in members.iter().flatten().enumerate() {
            if let Some(position) = origin_position(level, member.key)
                && origins[position].replace((level, at)).is_some()
            {
                // The last member of a key counts, which only trees know.
                return Err(Unusual);
            }
        }
    }
    Ok(origins)
}

/// Whether a member is the text of the content, which is an object with these members.
fn is_escaped_content(member: RawMember<'_>, content: Option<&[RawMember<'_>]>) -> bool {
    let text = member
        .value
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let both = text.zip(content);
    both.is_some_and(|(text, content)| is_escaped_object(text, content))
}

/// Writes a member that is kept, if it is one of `nested` without what the native form has. Objects
/// that are empty without that are not kept.
fn write_kept(
    member: RawMember<'_>,
    inner: &[Members<'_>],
    nested: &[&str],
    out: &mut ObjectWriter,
) {
    match (inner, nested) {
        ([members, inner @ ..], [key, nested @ ..]) if member.key == *key => {
            out.object(member.key, members.is_empty(), |out| {
                for member in members.iter().flatten() {
                    write_kept(*member, inner, nested, out);
                }
            });
        }
        _ => out.member(member),
    }
}

/// Whether two objects have the same members with the same texts, in any order. They may be equal
/// otherwise too.
fn has_same_members(one: &str, other: &str) -> bool {
    let (Some(one), Some(other)) = (raw_members(one), raw_members(other)) else {
        return false;
    };
    // Each is looked for among all: of more, trees are made, whose members are sorted.
    if one.len() != other.len() || one.len() > MAX_COMPARED {
        return false;
    }
    let mut found = vec![false; one.len()];
    other.iter().all(|member| {
        let at = one.iter().position(|other| other.has_key(member.key));
        // A key that is there twice is not found a second time.
        at.is_some_and(|at| {
            !std::mem::replace(&mut found[at], true) && is_same_value(one[at], *member)
        })
    })
}

/// As [`is_same_text`], mostly by comparing bytes.
fn is_same_value(one: RawMember<'_>, other: RawMember<'_>) -> bool {
    one.value == other.value
        || !(one.is_compact && other.is_compact) && is_same_text(one.value, other.value)
}
