//! The webhook of a Cloud Monitor subscription policy.

use std::borrow::Cow;

use super::{
    ContentFields, ObjectWriter, Unusual, content, is_number, level, may_vary, text_if_string,
    time_text,
};
use crate::canonical::Scope;
use crate::json::Json;
use crate::json::raw::{RawMember, is_same_text, nested_members, plain_string, raw_members};
use crate::native_field::with_status;
use crate::webhook::{ORIGINS, WEBHOOK};

/// One of the objects from which native members come, with the members that are still to be kept.
struct Object<'t> {
    /// `None` for a member that the native form has.
    members: Vec<Option<RawMember<'t>>>,
}

/// A member of the native form.
struct NativeMember<'t> {
    key: &'static str,
    /// Valid JSON.
    value: Cow<'t, str>,
    is_compact: bool,
}

/// The objects: the webhook itself, `alert`, `alert.meta` and `alert.meta.sysEventMeta`.
const NESTED: [&str; 3] = ["alert", "meta", "sysEventMeta"];

/// The native form of a webhook.
pub(super) fn to_native(text: &str, depth: usize) -> Option<String> {
    let objects = nested_members(text, &NESTED)?;
    let mut objects: Vec<Object<'_>> = objects.into_iter().map(Object::of).collect();
    if objects.len() < 2 {
        return None;
    }
    let mut native: Vec<NativeMember<'_>> = Vec::with_capacity(ORIGINS.len());
    for (key, paths) in ORIGINS {
        let mut found: Option<NativeMember<'_>> = None;
        for path in paths {
            // The last key of a path is that of the member, the others lead to its object.
            let Some((leaf, object)) = path.split_last() else {
                continue;
            };
            let Some(object) = objects.get_mut(object.len()) else {
                continue;
            };
            let Some((at, member)) = object.find(leaf).ok()? else {
                continue;
            };
            let value = convert(key, member.value, depth)?;
            let is_borrowed = matches!(value, Cow::Borrowed(_));
            let is_compact = is_borrowed && member.is_compact;
            // The same value at a second path is redundant; a different one is kept where it is.
            let is_same = match &found {
                Some(found) => is_equal(&found.value, &value, depth),
                None => true,
            };
            if is_same {
                object.members[at] = None;
                found.get_or_insert(NativeMember {
                    key,
                    value,
                    is_compact,
                });
            }
        }
        native.extend(found);
    }
    let get = |key: &str| native.iter().find(|member| member.key == key);
    let get = |key: &str| get(key).map(|member| &*member.value);
    let fields = match get("content") {
        Some(content) => ContentFields::of(content)?,
        None => ContentFields::default(),
    };
    let status = fields.status.or(get("status"));
    let status = text_if_string(status).ok()?;
    let name = match get("name") {
        Some(name) if name.starts_with('"') => Some(with_status(plain_string(name)?, status)),
        _ => None,
    };
    if let Some(name) = &name {
        let varies = |member: &NativeMember<'_>| may_vary(member.key, &member.value);
        let varies = Scope::of(name) == Scope::EniOperation && native.iter().any(varies);
        if varies || fields.may_vary(name) {
            return None;
        }
    }
    let mut out = ObjectWriter::with_capacity(text.len());
    for member in &native {
        match &name {
            Some(name) if member.key == "name" => out.text(member.key, name),
            _ if member.is_compact => out.compact(member.key, &member.value),
            _ => out.value(member.key, &member.value),
        }
    }
    let is_native = |key: &str| key == WEBHOOK || native.iter().any(|member| member.key == key);
    let [top, inner @ ..] = objects.as_slice() else {
        return None;
    };
    for member in top.members.iter().flatten() {
        if !is_native(member.key) {
            write_kept(*member, inner, &NESTED, &mut out);
        }
    }
    // Webhooks have members such as `userId` and `time` that the native form uses for other values.
    let aside = top.members.iter().flatten();
    let aside: Vec<_> = aside.filter(|member| is_native(member.key)).collect();
    if !aside.is_empty() {
        let mut object = ObjectWriter::with_capacity(64);
        for member in aside {
            // Objects and arrays would be nested one level deeper than the limit may allow.
            if member.value.starts_with(['{', '[']) {
                return None;
            }
            object.member(member.key, *member);
        }
        out.compact(WEBHOOK, &object.finish());
    }
    Some(out.finish())
}

impl<'t> Object<'t> {
    fn of(members: Vec<RawMember<'t>>) -> Self {
        let members = members.into_iter().map(Some);
        Self {
            members: members.collect(),
        }
    }

    /// The only member with a key, if there is one.
    fn find(&self, key: &str) -> Result<Option<(usize, RawMember<'t>)>, Unusual> {
        let members = self.members.iter().enumerate();
        let mut found = members.filter_map(|(at, member)| {
            let member = (*member)?;
            // Keys of one length mostly begin differently.
            let may_be = member.key.len() == key.len()
                && member.key.as_bytes().first() == key.as_bytes().first();
            (may_be && member.key == key).then_some((at, member))
        });
        let first = found.next();
        match found.next() {
            None => Ok(first),
            Some(_) => Err(Unusual),
        }
    }
}

/// Writes a member that is kept, if it is one of `nested` without what the native form has. Objects
/// that are empty without that are not kept.
fn write_kept(
    member: RawMember<'_>,
    inner: &[Object<'_>],
    nested: &[&str],
    out: &mut ObjectWriter,
) {
    match (inner, nested) {
        ([object, inner @ ..], [key, nested @ ..]) if member.key == *key => {
            let mut kept = ObjectWriter::with_capacity(member.value.len());
            for member in object.members.iter().flatten() {
                write_kept(*member, inner, nested, &mut kept);
            }
            let kept = kept.finish();
            if kept != "{}" || object.members.is_empty() {
                out.compact(member.key, &kept);
            }
        }
        _ => out.member(member.key, member),
    }
}

/// The native value; `None` for a text with escape sequences that only decoded is comparable.
fn convert<'t>(key: &str, value: &'t str, depth: usize) -> Option<Cow<'t, str>> {
    if key == "content" {
        return Some(content(value, depth));
    }
    if value.starts_with('"') {
        plain_string(value)?;
    }
    Some(match key {
        "level" => level(value)?,
        // A number that is no time stays as it came; `check --events` reports it.
        "eventTime" if is_number(value) => {
            time_text(value).map_or(Cow::Borrowed(value), Cow::Owned)
        }
        _ => value.into(),
    })
}

/// Whether two valid texts have the same value, see [`Json::eq_ignoring_order`].
fn is_equal(one: &str, other: &str, depth: usize) -> bool {
    if one == other {
        return true;
    }
    match (plain_string(one), plain_string(other)) {
        // Without escape sequences, different texts are different strings.
        (Some(_), Some(_)) => return false,
        _ if is_same_text(one, other) || has_same_members(one, other) => return true,
        _ => {}
    }
    // The text was validated within this depth.
    match (
        Json::parse_within(one, depth),
        Json::parse_within(other, depth),
    ) {
        (Ok(one), Ok(other)) => one.eq_ignoring_order(&other),
        _ => false,
    }
}

/// Whether two objects have the same members with the same texts, in any order. They may be equal
/// otherwise too.
// Cloud Monitor sends the content as a map and as JSON text, mostly in another order.
fn has_same_members(one: &str, other: &str) -> bool {
    let (Some(one), Some(other)) = (raw_members(one), raw_members(other)) else {
        return false;
    };
    let mut found = vec![false; one.len()];
    one.len() == other.len()
        && other.iter().all(|member| {
            let at = one.iter().position(|other| other.key == member.key);
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
