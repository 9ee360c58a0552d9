//! CloudEvents 1.0 to the native form and back; what goes where is told in the module `normalize`.

use std::collections::BTreeSet;

use crate::json::{Json, by_key};
use crate::native_field::{content, derived_level, level, with_status};
use crate::{Level, catalogue, time};

/// The attribute for what the rest of a CloudEvent cannot say about the native form.
const NATIVE: &str = "reflexarcnative";
/// The native member for attributes whose own names are taken.
const CLOUD_EVENT: &str = "cloudEvent";
/// The `datacontenttype` that EventBridge writes; the native form does not mention it.
const CONTENT_TYPE: &str = "application/json;charset=utf-8";

type Members = Vec<(String, Json)>;

/// The native members that say the same as an attribute, in native order, with what translates either way. The name
/// depends on product and status and is seen to apart.
const TEXTS: [(&str, &str, Translate, Translate); 6] = [
    ("id", "id", same, same),
    ("product", "source", product, source),
    ("resourceId", "subject", same, same),
    ("userId", "aliyunaccountid", same, same),
    ("eventTime", "time", event_time, cloud_time),
    ("regionId", "aliyunregionid", same, same),
];

type Translate = fn(&str) -> Option<String>;

/// Where in a CloudEvent the native member `key` comes from.
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

/// The event that a CloudEvent says it carries whole.
pub(crate) fn wrapped(event: &Json) -> Option<&Json> {
    let marked = event.get(NATIVE).and_then(Json::as_str) == Some("data");
    event
        .get("data")
        .filter(|data| marked && matches!(data, Json::Object(_)))
}

/// The native form of a CloudEvent.
pub(crate) fn to_native(event: &Json, depth: usize) -> Json {
    let patch = event.get(NATIVE).and_then(Json::as_str);
    // The members in `keep` stand two levels deeper there than in the event.
    match patch.and_then(|text| Json::parse_within(text, depth.saturating_add(1)).ok()) {
        Some(patch) if matches!(patch, Json::Object(_)) => {
            let mut members = event.members().to_vec();
            members.retain(|(key, _)| key != NATIVE);
            patched(unpatched(members, depth), &patch)
        }
        _ => Json::Object(unpatched(event.members().to_vec(), depth)),
    }
}

/// The CloudEvent of a native event; `bytes` give the id of an event without one.
pub(crate) fn from_native(native: &Json, bytes: &[u8], depth: usize) -> Json {
    let mut event = attributes(native, bytes);
    let seen = unpatched(event.clone(), depth);
    let (seen, native) = (by_key(&seen), by_key(native.members()));
    let keep: Members = native
        .iter()
        .filter(|(key, value)| seen.get(*key) != Some(value))
        .map(|(key, value)| ((*key).to_owned(), (*value).clone()))
        .collect();
    let absent: Vec<Json> = seen
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

/// The CloudEvent that carries an event of AWS or of an unknown shape whole.
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
    let time = text(&["time", "eventTime"])
        .and_then(time::parse_time)
        .map(time::rfc3339);
    members.extend(time.map(|time| ("time".to_owned(), time.into())));
    members.push(("datacontenttype".to_owned(), CONTENT_TYPE.into()));
    members.push((NATIVE.to_owned(), "data".into()));
    members.push(("data".to_owned(), event.clone()));
    Json::Object(members)
}

/// The native form of these attributes, `reflexarcnative` not understood.
fn unpatched(mut rest: Members, depth: usize) -> Members {
    let mut native = Members::new();
    let mut texts: Vec<(&str, Option<String>)> = Vec::new();
    for (key, attribute, forward, backward) in TEXTS {
        let value = last(&rest, attribute)
            .and_then(Json::as_str)
            .and_then(forward);
        if let Some(value) = &value {
            let again = backward(value);
            rest.retain(|(name, json)| name != attribute || json.as_str() != again.as_deref());
        }
        texts.push((key, value));
    }
    let data = take(&mut rest, "data").map(|data| content(data, depth));
    let product = texts
        .iter()
        .find(|(key, _)| *key == "product")
        .and_then(|(_, text)| text.clone());
    let name = last(&rest, "type")
        .and_then(Json::as_str)
        .map(|kind| name(kind, product.as_deref(), data.as_ref()));
    if let Some(name) = &name {
        let again = kind(name, product.as_deref());
        rest.retain(|(key, json)| key != "type" || json.as_str() != Some(&again));
    }
    let weight = match last(&rest, "level").filter(|weight| matches!(weight, Json::String(_))) {
        Some(weight) => Some(level(weight)),
        None => derived_level(name.as_deref().unwrap_or_default(), data.as_ref())
            .map(|level| level.as_str().into()),
    };
    if weight.is_some() {
        take(&mut rest, "level");
    }
    for (key, text) in texts {
        native.extend(text.map(|text| (key.to_owned(), text.into())));
        if key == "resourceId" {
            native.extend(weight.clone().map(|weight| ("level".to_owned(), weight)));
            native.extend(name.clone().map(|name| ("name".to_owned(), name.into())));
        }
    }
    native.extend(data.map(|data| ("content".to_owned(), data)));
    drop_default(&mut rest, "datacontenttype", CONTENT_TYPE);
    drop_default(&mut rest, "specversion", "1.0");
    // `specversion` beside `type` and `source` would make a CloudEvent of the native form.
    let has_home = |key: &str| key != "specversion" && key != CLOUD_EVENT && !is_native(key);
    let (free, aside): (Members, Members) = rest.into_iter().partition(|(key, _)| has_home(key));
    native.extend(free);
    if !aside.is_empty() {
        native.push((CLOUD_EVENT.to_owned(), Json::Object(aside)));
    }
    native
}

fn patched(mut native: Members, patch: &Json) -> Json {
    let keep = patch.get("keep").map_or(&[][..], Json::members);
    let absent = patch
        .get("absent")
        .map_or(&[][..], Json::elements)
        .iter()
        .filter_map(Json::as_str);
    let gone: BTreeSet<&str> = keep
        .iter()
        .map(|(key, _)| key.as_str())
        .chain(absent)
        .collect();
    native.retain(|(key, _)| !gone.contains(key.as_str()));
    native.extend(keep.iter().cloned());
    Json::Object(native)
}

/// Everything about a native event that attributes can say, required attributes always.
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
        // An attribute that was kept beside its native counterpart is the better one, as long as the two agree.
        let kept =
            text(attribute).filter(|kept| forward(kept).as_deref() == value && key != attribute);
        let spelt = match kept {
            Some(kept) => Some(kept.to_owned()),
            None => value.and_then(backward),
        };
        let spelt = spelt.or_else(|| match attribute {
            "id" => Some(digest(bytes)),
            "source" => Some("reflexarc".to_owned()),
            _ => None,
        });
        event.extend(spelt.map(|text| (attribute.to_owned(), text.into())));
        if attribute == "source" {
            let spelt = text("type").filter(|kept| {
                let read = name(kept, text("product"), native.get("content"));
                Some(read.as_str()) == text("name")
            });
            let spelt = spelt.map_or_else(
                || kind(text("name").unwrap_or("event"), text("product")),
                str::to_owned,
            );
            event.push(("type".to_owned(), spelt.into()));
        }
    }
    event.push((
        "datacontenttype".to_owned(),
        text("datacontenttype").unwrap_or(CONTENT_TYPE).into(),
    ));
    let usual = derived_level(text("name").unwrap_or_default(), native.get("content"));
    let own = text("level")
        .and_then(Level::parse)
        .filter(|level| Some(*level) != usual);
    event.extend(own.map(|level| ("level".to_owned(), level.as_str().into())));
    let aside = native.get(CLOUD_EVENT).map_or(&[][..], Json::members);
    // The event's own members win over those set aside.
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

/// Whether a member may stand among CloudEvents attributes: lower-case letters and digits, a simple value.
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

#[allow(clippy::unnecessary_wraps, reason = "one of the translations")]
fn same(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn product(source: &str) -> Option<String> {
    let name = source
        .strip_prefix("acs.")
        .or_else(|| source.strip_prefix("acs:"))?;
    (!name.is_empty()).then(|| name.to_uppercase())
}

#[allow(clippy::unnecessary_wraps, reason = "one of the translations")]
fn source(product: &str) -> Option<String> {
    Some(format!("acs.{}", product.to_lowercase()))
}

#[allow(clippy::unnecessary_wraps, reason = "one of the translations")]
fn event_time(text: &str) -> Option<String> {
    Some(time::parse_time(text).map_or_else(|| text.to_owned(), time::compact))
}

fn cloud_time(text: &str) -> Option<String> {
    time::parse_time(text).map(time::rfc3339)
}

fn name(kind: &str, product: Option<&str>, content: Option<&Json>) -> String {
    let own = product.and_then(|product| {
        kind.strip_prefix(&product.to_lowercase())?
            .strip_prefix(':')
    });
    with_status(
        own.unwrap_or(kind),
        content.and_then(|content| content.get("eventStatus")),
    )
}

fn kind(name: &str, product: Option<&str>) -> String {
    let base = match catalogue::find_name(name) {
        Some((entry, Some(_))) => entry.name,
        _ => name,
    };
    product.map_or_else(
        || base.to_owned(),
        |product| format!("{}:{base}", product.to_lowercase()),
    )
}

/// An id for an event without one: FNV-1a of its bytes, which no release of anything will change.
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
