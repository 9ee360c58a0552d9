//! Canonical values of ENI events: one spelling for each value that the tolerant reader knows.
//!
//! | field | accepted | canonical |
//! |---|---|---|
//! | `content.eniStatus` | `In use`, `The resource has been deleted.` | `InUse`, `Deleted` |
//! | `content.result` | `accomplished`, `Failed` | `success`, `failed` |
//! | `content.operation` | in another case | `AttachNetworkInterface` |
//! | `content.primaryPrivateIp`, and these three | with white space around them | without |
//! | the four address lists | `"10.0.0.1"`, `null`, a singular key | `["10.0.0.1"]`, `[]`, plural |
//! | `id`, `userId`, `regionId`, `content.eniId`, `content.requestId` | a number | its text |
//! | any of these but the lists | an array of one value | the value |
//!
//! The lists are canonical in every event about a network interface and in `VSwitchChanged`, the
//! other fields only in events for completed ENI operations. Values that the reader does not know
//! stay as they are.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{Ipv4Net, Ipv6Net};

use crate::eni::LISTS;
use crate::json::Json;
use crate::markers::Shape;
use crate::native_field::level;
use crate::{ENI_OPERATION_COMPLETED, EniStatus, Operation, OperationResult, time};

type Members = Vec<(String, Json)>;

/// What an event's name says about the fields that have a canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// None of them.
    Nothing,
    /// The address lists.
    Lists,
    /// All fields of an ENI operation.
    EniOperation,
}

impl Scope {
    /// The scope of an event name.
    pub(crate) fn of(name: &str) -> Self {
        if name == ENI_OPERATION_COMPLETED {
            Self::EniOperation
        } else if name.starts_with("NetworkInterface:") || name == "Instance:VSwitchChanged" {
            Self::Lists
        } else {
            Self::Nothing
        }
    }
}

/// The native event with canonical values; `None` if all values are canonical already.
pub(crate) fn canonicalize(native: &Json) -> Option<Json> {
    let scope = Scope::of(native.get("name").and_then(Json::as_str)?);
    if scope == Scope::Nothing {
        return None;
    }
    let content = native
        .get("content")
        .and_then(|content| canonical_content(content.members(), scope));
    let top = |key: &str, value: &Json| match key {
        _ if scope != Scope::EniOperation => None,
        "id" | "userId" | "regionId" => identifier(value),
        "resourceId" => unwrapped(value),
        "level" => unwrapped(value).map(|text| level(&text)),
        "eventTime" => event_time(value),
        _ => None,
    };
    let mut changed = content.is_some();
    let members = native.members().iter().map(|(key, value)| {
        let canonical = match (key.as_str(), &content) {
            // Only the last one of repeated keys counts, so all of them may become that one.
            ("content", Some(content)) => Some(Json::Object(content.clone())),
            (key, _) => top(key, value),
        };
        changed |= canonical.is_some();
        (key.clone(), canonical.unwrap_or_else(|| value.clone()))
    });
    let members: Members = members.collect();
    changed.then_some(Json::Object(members))
}

/// A member of the content whose value has a canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentKey {
    Identifier,
    Status,
    Operation,
    Result,
    Address,
    /// A list of addresses under its documented key, and under another one.
    List,
    SingularList,
}

impl ContentKey {
    /// That of a key.
    // By the length first: most keys are decided by one comparison.
    #[inline]
    pub(crate) fn of(key: &str) -> Option<Self> {
        let (of_length, found) = match key.len() {
            4 => ("ipv6", Self::SingularList),
            5 if key == "ipv6s" => return Some(Self::List),
            5 => ("eniId", Self::Identifier),
            6 => ("result", Self::Result),
            9 if key == "operation" => return Some(Self::Operation),
            9 if key == "requestId" => return Some(Self::Identifier),
            9 => ("eniStatus", Self::Status),
            10 if key == "ipv4Prefix" => return Some(Self::SingularList),
            10 => ("ipv6Prefix", Self::SingularList),
            12 if key == "ipv4Prefixes" => return Some(Self::List),
            12 => ("ipv6Prefixes", Self::List),
            16 => ("primaryPrivateIp", Self::Address),
            18 => ("secondaryPrivateIp", Self::SingularList),
            19 => ("secondaryPrivateIps", Self::List),
            _ => return None,
        };
        (key == of_length).then_some(found)
    }

    /// Whether it is one of the address lists.
    pub(crate) fn is_list(self) -> bool {
        matches!(self, Self::List | Self::SingularList)
    }

    /// Whether a value may have another spelling, judged by what validation keeps of it. May say
    /// yes for a canonical value, never no for another one.
    #[inline]
    pub(crate) fn may_vary(self, value: Shape<'_>) -> bool {
        match (self, value) {
            (Self::Identifier, Shape::Number | Shape::Array(_)) => true,
            (Self::Identifier, _) => false,
            (Self::List, Shape::Array(texts)) => !texts.plain,
            (Self::List | Self::SingularList, _) | (_, Shape::Array(_)) => true,
            (Self::Status, Shape::String(text)) => {
                let is_canonical = EniStatus::ALL.iter().any(|known| known.as_str() == text);
                !is_canonical && is_other_spelling(text, EniStatus::as_str)
            }
            (Self::Operation, Shape::String(text)) => {
                let is_canonical = Operation::ALL.iter().any(|known| known.as_str() == text);
                !is_canonical && is_other_spelling(text, Operation::as_str)
            }
            (Self::Result, Shape::String(text)) => {
                let is_canonical = matches!(text, "success" | "failed");
                !is_canonical && is_other_spelling(text, OperationResult::as_str)
            }
            (Self::Address, Shape::String(text)) => has_margin(text),
            _ => false,
        }
    }
}

/// Whether a text, as it is between its quotes, may be a known value in another spelling. A text
/// that is not known has no canonical form: no tree is made of the event to find that out.
fn is_other_spelling<T: FromStr>(raw: &str, name: impl FnOnce(T) -> &'static str) -> bool {
    raw.contains('\\') || raw.parse().is_ok_and(|value| name(value) != raw)
}

/// Whether a text, as it is between its quotes, begins or ends with what may be white space.
pub(crate) fn has_margin(raw: &str) -> bool {
    // An escape sequence may be white space too: "\t10.0.0.1".
    let bounds = raw.as_bytes();
    let is_margin = |byte: Option<&u8>| byte.is_none_or(|byte| *byte <= b' ' || *byte >= 0x80);
    raw.contains('\\') || is_margin(bounds.first()) || is_margin(bounds.last())
}

/// The content with canonical values; `None` if all are canonical already.
fn canonical_content(content: &[(String, Json)], scope: Scope) -> Option<Members> {
    let mut members = content.to_vec();
    let mut changed = false;
    if scope == Scope::EniOperation {
        for (key, value) in &mut members {
            if let Some(canonical) = scalar(key, value) {
                *value = canonical;
                changed = true;
            }
        }
    }
    for (plural, singular) in LISTS {
        changed |= join_list(&mut members, plural, singular);
    }
    changed.then_some(members)
}

/// Makes an array of the list under its plural key; whether that changed anything.
// {"secondaryPrivateIps": ["10.0.0.1"], "secondaryPrivateIp": "10.0.0.2"} has two addresses for the
// reader, so the canonical list has both.
fn join_list(members: &mut Members, plural: &str, singular: &str) -> bool {
    let last = |key: &str| members.iter().rposition(|(name, _)| name == key);
    let (at_plural, at_singular) = (last(plural), last(singular));
    let Some(first) = at_plural.or(at_singular) else {
        return false;
    };
    let mut list = Vec::new();
    for at in [at_plural, at_singular].into_iter().flatten() {
        match &members[at].1 {
            Json::Array(elements) => {
                list.extend(elements.iter().filter_map(|value| element(value, plural)));
            }
            // An object or a truth value is no address in any spelling: left to `check`.
            Json::Object(_) | Json::Bool(_) => return false,
            single => list.extend(element(single, plural)),
        }
    }
    let list = Json::Array(list);
    if at_singular.is_none() && members[first].1 == list {
        return false;
    }
    members[first] = (plural.to_owned(), list);
    let mut at = 0;
    members.retain(|(name, _)| {
        at += 1;
        at - 1 == first || name != plural && name != singular
    });
    true
}

/// An element of a list; `None` for those that the reader skips.
fn element(value: &Json, list: &str) -> Option<Json> {
    let value = sole(value)?;
    match value.as_str() {
        Some("") => None,
        Some(text) if belongs(text.trim(), list) => Some(text.trim().into()),
        _ => Some(value),
    }
}

/// Whether a text is what the list contains.
fn belongs(text: &str, list: &str) -> bool {
    match list {
        "secondaryPrivateIps" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv4Prefixes" => text.parse::<Ipv4Net>().is_ok(),
        "ipv6s" => text.parse::<Ipv6Addr>().is_ok(),
        _ => text.parse::<Ipv6Net>().is_ok(),
    }
}

/// The canonical form of a scalar of the content, if the value has another spelling.
fn scalar(key: &str, value: &Json) -> Option<Json> {
    let single = sole(value)?;
    let text = single.as_str();
    // An unknown value has no canonical form and stays as it came; `check --events` reports it.
    let canonical = match key {
        "eniId" | "requestId" => return identifier(value),
        "eniStatus" => text?.parse::<EniStatus>().ok()?.as_str().into(),
        "operation" => text?.parse::<Operation>().ok()?.as_str().into(),
        "result" => text?.parse::<OperationResult>().ok()?.as_str().into(),
        "primaryPrivateIp" => {
            let address = text?.trim();
            address.parse::<Ipv4Addr>().ok()?;
            address.into()
        }
        _ => return None,
    };
    (canonical != *value).then_some(canonical)
}

/// The text that an array of one text stands for.
fn unwrapped(value: &Json) -> Option<Json> {
    sole(value).filter(|single| single != value && matches!(single, Json::String(_)))
}

/// The text of an identifier that is written as a number or in an array.
fn identifier(value: &Json) -> Option<Json> {
    match sole(value)? {
        Json::Number(digits) => Some(Json::from(&*digits)),
        _ => unwrapped(value),
    }
}

/// A time in milliseconds, or in an array, as a native time.
fn event_time(value: &Json) -> Option<Json> {
    match sole(value)? {
        Json::Number(digits) => Some(time::compact(time::parse_time(&digits).ok()?).into()),
        _ => unwrapped(value),
    }
}

/// The value that an array of one element stands for; `None` if there is none.
fn sole(value: &Json) -> Option<Json> {
    match value {
        Json::Null => None,
        Json::Array(elements) => match elements.as_slice() {
            [element] => sole(element),
            _ => Some(value.clone()),
        },
        other => Some(other.clone()),
    }
}
