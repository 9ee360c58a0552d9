//! Conversion of CloudEvents 1.0 to the native form and back; see the module `normalize` for the
//! mapping.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::json::{Json, by_key};
use crate::native_field::{content, derived_level, level, with_status};
use crate::{Level, catalogue, time};

/// The attribute for what no other attribute can hold of the native form.
const NATIVE: &str = "reflexarcnative";
/// The native member for attributes whose names the native form uses already.
const CLOUD_EVENT: &str = "cloudEvent";
/// The `datacontenttype` that EventBridge writes; omitted in the native form.
pub(crate) const CONTENT_TYPE: &str = "application/json;charset=utf-8";

type Members = Vec<(String, Json)>;

/// The native members with a corresponding attribute, in native order, and the conversions of their
/// values in both directions. Name and type are converted apart: they depend on product and status.
const TEXTS: [(&str, &str, Convert, Convert); 6] = [
    ("id", "id", same, same),
    ("product", "source", product, source),
    ("resourceId", "subject", same, same),
    ("userId", "aliyunaccountid", same, same),
    ("eventTime", "time", event_time, cloud_time),
    ("regionId", "aliyunregionid", same, same),
];

type Convert = fn(&str) -> Option<String>;

/// The attribute of a CloudEvent from which the native member `key` comes.
pub(crate) fn origin(key: &str) -> Option<&'static str> {
    match key {
        "name" => Some("type"),
        "content" => Some("data"),
        _ => TEXTS
            .iter()
            .find(|(native, ..)| *native == key)
            .map(|(_, attribute, ..)| *attribute),
    }
}

/// The native member that comes from an attribute.
pub(crate) fn native_key(attribute: &str) -> Option<&'static str> {
    match attribute {
        "type" => Some("name"),
        "data" => Some("content"),
        _ => TEXTS
            .iter()
            .find(|(_, other, ..)| *other == attribute)
            .map(|(native, ..)| *native),
    }
}

/// The event that a CloudEvent wraps whole.
pub(crate) fn wrapped(event: &Json) -> Option<&Json> {
    let marked = event.get(NATIVE).and_then(Json::as_str) == Some("data");
    event
        .get("data")
        .filter(|data| marked && matches!(data, Json::Object(_)))
}

/// The native form of a CloudEvent.
pub(crate) fn to_native(event: &Json, depth: usize) -> Json {
    let patch = event.get(NATIVE).and_then(Json::as_str);
    // A patch that cannot be read is one of another sender: the event is then converted like any
    // CloudEvent, with the attribute as one of its members.
    // Members in `keep` are nested two levels deeper than in the event.
    match patch.and_then(|text| Json::parse_within(text, depth.saturating_add(1)).ok()) {
        Some(patch) if matches!(patch, Json::Object(_)) => {
            let mut members = event.members().to_vec();
            members.retain(|(key, _)| key != NATIVE);
            patched(unpatched(members, depth), &patch)
        }
        _ => Json::Object(unpatched(event.members().to_vec(), depth)),
    }
}

/// The CloudEvent of a native event. `bytes` are those of the event, for an id if it has none.
// The patch makes the conversion lossless without a rule for every special case: the attributes are
// converted back as a receiver would, and the differences from the original go into the patch. In
// {"id": "1", "product": "ECS", "name": "Disk:New", "content": {}, "level": 3}, the level is no
// text, so converting back gives none, and the patch is {"keep": {"level": 3}, "absent": []}.
pub(crate) fn from_native(native: &Json, bytes: &[u8], depth: usize) -> Json {
    let mut event = attributes(native, bytes);
    let restored = unpatched(event.clone(), depth);
    let (restored, native) = (by_key(&restored), by_key(native.members()));
    let keep: Members = native
        .iter()
        .filter(|(key, value)| restored.get(*key) != Some(value))
        .map(|(key, value)| ((*key).to_owned(), (*value).clone()))
        .collect();
    let absent: Vec<Json> = restored
        .keys()
        .filter(|key| !native.contains_key(*key))
        .map(|key| (*key).into())
        .collect();
    if !(keep.is_empty() && absent.is_empty()) {
        let patch = [
            ("keep".to_owned(), Json::Object(keep)),
            ("absent".to_owned(), Json::Array(absent)),
        ];
        event.push((NATIVE.to_owned(), Json::from_iter(patch).to_string().into()));
    }
    Json::Object(event)
}

/// The CloudEvent that wraps an event of AWS or of unknown form.
pub(crate) fn wrap(event: &Json, bytes: &[u8]) -> Json {
    let text = |keys: &[&str]| {
        keys.iter().find_map(|key| {
            event
                .get(key)
                .and_then(Json::as_str)
                .filter(|t| !t.is_empty())
        })
    };
    let mut members: Members = vec![
        ("specversion".to_owned(), "1.0".into()),
        (
            "id".to_owned(),
            text(&["id"]).map_or_else(|| digest(bytes).into(), Json::from),
        ),
        (
            "source".to_owned(),
            text(&["source"]).unwrap_or("reflexarc").into(),
        ),
        (
            "type".to_owned(),
            text(&["detail-type", "type", "name"])
                .unwrap_or("event")
                .into(),
        ),
    ];
    // CloudEvents allows no other form of time. One that cannot be read is still in `data`.
    let time = text(&["time", "eventTime"])
        .and_then(|text| time::parse_time(text).ok())
        .map(time::rfc3339);
    members.extend(time.map(|time| ("time".to_owned(), time.into())));
    members.push(("datacontenttype".to_owned(), CONTENT_TYPE.into()));
    members.push((NATIVE.to_owned(), "data".into()));
    members.push(("data".to_owned(), event.clone()));
    Json::Object(members)
}

/// The native form of these attributes, without interpreting `reflexarcnative`.
fn unpatched(mut rest: Members, depth: usize) -> Members {
    let mut native = Members::new();
    let mut texts: Vec<(&str, Option<String>)> = Vec::new();
    for (key, attribute, forward, backward) in TEXTS {
        let value = last(&rest, attribute)
            .and_then(Json::as_str)
            .and_then(forward);
        if let Some(value) = &value {
            // The attribute is redundant only if the native value gives it back exactly: the time
            // "2020-11-19T13:04:41Z" becomes "20201119T210441.000+0800", which gives back
            // "2020-11-19T21:04:41+08:00", so `time` is kept beside `eventTime`.
            let again = backward(value);
            rest.retain(|(name, json)| name != attribute || json.as_str() != again.as_deref());
        }
        texts.push((key, value));
    }
    let data = take(&mut rest, "data").or_else(|| binary_data(&mut rest, depth));
    let data = data.map(|data| content(data, depth));
    let product = texts
        .iter()
        .find(|(key, _)| *key == "product")
        .and_then(|(_, text)| text.clone());
    let name = last(&rest, "type").and_then(Json::as_str).map(|kind| {
        name(
            kind,
            product.as_deref(),
            text_in(data.as_ref(), "eventStatus"),
        )
    });
    if let Some(name) = &name {
        let again = kind(name, product.as_deref());
        rest.retain(|(key, json)| key != "type" || json.as_str() != Some(&again));
    }
    let level_value = match last(&rest, "level").filter(|value| matches!(value, Json::String(_))) {
        Some(value) => Some(level(value)),
        None => derived_level(
            name.as_deref().unwrap_or_default(),
            text_in(data.as_ref(), "result"),
        )
        .map(|level| level.as_str().into()),
    };
    // The level is after `resourceId` and before `name` in the documented order of members.
    if level_value.is_some() {
        take(&mut rest, "level");
    }
    for (key, text) in texts {
        native.extend(text.map(|text| (key.to_owned(), text.into())));
        if key == "resourceId" {
            native.extend(level_value.clone().map(|value| ("level".to_owned(), value)));
            native.extend(name.clone().map(|name| ("name".to_owned(), name.into())));
        }
    }
    native.extend(data.map(|data| ("content".to_owned(), data)));
    drop_default(&mut rest, "datacontenttype", CONTENT_TYPE);
    drop_default(&mut rest, "specversion", "1.0");
    // Kept at the top level, `specversion` would make a CloudEvent of the native form.
    let keeps_name = |key: &str| key != "specversion" && key != CLOUD_EVENT && !is_native(key);
    let (kept, aside): (Members, Members) = rest.into_iter().partition(|(key, _)| keeps_name(key));
    native.extend(kept);
    if !aside.is_empty() {
        native.push((CLOUD_EVENT.to_owned(), Json::Object(aside)));
    }
    native
}

/// The JSON object that `data_base64` encodes; other binary data stays there.
fn binary_data(rest: &mut Members, depth: usize) -> Option<Json> {
    let text = last(rest, "data_base64").and_then(Json::as_str)?;
    // What is no JSON object stays in `data_base64`, where rules can compare its text.
    let bytes = STANDARD.decode(text.trim()).ok()?;
    let data = Json::parse_within(bytes, depth.saturating_sub(1)).ok()?;
    if !matches!(data, Json::Object(_)) {
        return None;
    }
    take(rest, "data_base64");
    Some(data)
}

/// Applies the patch of `reflexarcnative`: members in `keep` replace those that were converted,
/// keys in `absent` were not in the native event.
fn patched(mut native: Members, patch: &Json) -> Json {
    let keep = patch.get("keep").map_or(&[][..], Json::members);
    let absent = patch
        .get("absent")
        .map_or(&[][..], Json::elements)
        .iter()
        .filter_map(Json::as_str);
    let removed: BTreeSet<&str> = keep
        .iter()
        .map(|(key, _)| key.as_str())
        .chain(absent)
        .collect();
    native.retain(|(key, _)| !removed.contains(key.as_str()));
    native.extend(keep.iter().cloned());
    Json::Object(native)
}

/// The attributes of a native event, always with the required ones.
fn attributes(native: &Json, bytes: &[u8]) -> Members {
    let text = |key: &str| {
        native
            .get(key)
            .and_then(Json::as_str)
            .filter(|text| !text.is_empty())
    };
    let mut event: Members = vec![("specversion".to_owned(), "1.0".into())];
    for (key, attribute, forward, backward) in TEXTS {
        let value = text(key);
        // An attribute that was kept beside its native counterpart has more of the value, such as
        // microseconds; it is used as long as the two agree.
        let kept =
            text(attribute).filter(|kept| forward(kept).as_deref() == value && key != attribute);
        let value = match kept {
            Some(kept) => Some(kept.to_owned()),
            None => value.and_then(backward),
        };
        let value = value.or_else(|| match attribute {
            "id" => Some(digest(bytes)),
            "source" => Some("reflexarc".to_owned()),
            _ => None,
        });
        event.extend(value.map(|text| (attribute.to_owned(), text.into())));
        if attribute == "source" {
            let kept = text("type").filter(|kept| {
                let status = text_in(native.get("content"), "eventStatus");
                let read = name(kept, text("product"), status);
                Some(read.as_str()) == text("name")
            });
            let kind = kept.map_or_else(
                || kind(text("name").unwrap_or("event"), text("product")),
                str::to_owned,
            );
            event.push(("type".to_owned(), kind.into()));
        }
    }
    event.push((
        "datacontenttype".to_owned(),
        text("datacontenttype").unwrap_or(CONTENT_TYPE).into(),
    ));
    let result = text_in(native.get("content"), "result");
    let derived = derived_level(text("name").unwrap_or_default(), result);
    let differing = text("level")
        .and_then(|text| text.parse::<Level>().ok())
        .filter(|level| Some(*level) != derived);
    event.extend(differing.map(|level| ("level".to_owned(), level.as_str().into())));
    let aside = native.get(CLOUD_EVENT).map_or(&[][..], Json::members);
    // The event's own members win over those that were kept in `cloudEvent`.
    let mut further = by_key(aside);
    further.extend(
        by_key(native.members())
            .into_iter()
            .filter(|(key, _)| !is_native(key)),
    );
    let written: BTreeSet<String> = event.iter().map(|(key, _)| key.clone()).collect();
    for (key, value) in further {
        if is_extension(key, value) && !written.contains(key) {
            event.push((key.to_owned(), value.clone()));
        }
    }
    event.extend(
        native
            .get("content")
            .map(|content| ("data".to_owned(), content.clone())),
    );
    event
}

/// Whether a member can be a CloudEvents attribute: lower-case letters and digits, a simple value.
fn is_extension(key: &str, value: &Json) -> bool {
    let reserved = key.is_empty() || key == "data" || key == NATIVE;
    let named = key
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let simple = matches!(value, Json::String(_) | Json::Bool(_)) || value.as_i64().is_some();
    named && simple && !reserved
}

fn is_native(key: &str) -> bool {
    origin(key).is_some() || key == "level"
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "has the signature of a conversion"
)]
fn same(text: &str) -> Option<String> {
    Some(text.to_owned())
}

pub(crate) fn product(source: &str) -> Option<String> {
    let name = source
        .strip_prefix("acs.")
        .or_else(|| source.strip_prefix("acs:"))?;
    (!name.is_empty()).then(|| uppercase(name))
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "has the signature of a conversion"
)]
pub(crate) fn source(product: &str) -> Option<String> {
    Some(["acs.", &lowercase(product)].concat())
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "has the signature of a conversion"
)]
pub(crate) fn event_time(text: &str) -> Option<String> {
    // A time that cannot be read stays as it came; `check --events` reports it.
    Some(time::parse_time(text).map_or_else(|_| text.to_owned(), time::compact))
}

pub(crate) fn cloud_time(text: &str) -> Option<String> {
    time::parse_time(text).ok().map(time::rfc3339)
}

/// The native name of a CloudEvent of this type; `status` is that in its data.
pub(crate) fn name(kind: &str, product: Option<&str>, status: Option<&str>) -> String {
    let own = product.and_then(|product| {
        kind.strip_prefix(lowercase(product).as_str())?
            .strip_prefix(':')
    });
    with_status(own.unwrap_or(kind), status)
}

pub(crate) fn kind(name: &str, product: Option<&str>) -> String {
    let base = match catalogue::find_name(name) {
        Some((entry, Some(_))) => entry.name,
        _ => name,
    };
    product.map_or_else(
        || base.to_owned(),
        |product| [&lowercase(product), ":", base].concat(),
    )
}

// The conversion of all of Unicode takes as long as reading ten members.
fn lowercase(text: &str) -> String {
    if text.is_ascii() {
        text.to_ascii_lowercase()
    } else {
        text.to_lowercase()
    }
}

fn uppercase(text: &str) -> String {
    if text.is_ascii() {
        text.to_ascii_uppercase()
    } else {
        text.to_uppercase()
    }
}

/// The text of a member of the content.
fn text_in<'a>(content: Option<&'a Json>, key: &str) -> Option<&'a str> {
    content?.get(key)?.as_str()
}

/// An id for an event without one: FNV-1a of its bytes. The algorithm must never change, or copies
/// of an event would get different ids.
fn digest(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

fn last<'a>(members: &'a [(String, Json)], key: &str) -> Option<&'a Json> {
    members
        .iter()
        .rev()
        .find(|(name, _)| name == key)
        .map(|(_, value)| value)
}

fn take(members: &mut Members, key: &str) -> Option<Json> {
    let at = members.iter().rposition(|(name, _)| name == key)?;
    let (_, value) = members.remove(at);
    members.retain(|(name, _)| name != key);
    Some(value)
}

fn drop_default(members: &mut Members, key: &str, default: &str) {
    members.retain(|(name, value)| name != key || value.as_str() != Some(default));
}
