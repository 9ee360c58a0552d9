//! The entries of the archive that are no events.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use reflexarc::{AnsweredCall, Evaluation, FiringReason};
use reflexarc_delivery::EventRef;
use reflexarc_event::{EventIdentity, Json, NativeEvent};

use crate::store::{DueMatch, EntryKind, NewEntry, WaitingCall};

/// The source of entries that are about no event.
const SOURCE: &str = "reflexarc";

/// A deadline that has passed, and what the rule did.
pub(super) fn firing_entry(due: &DueMatch, evaluation: &Evaluation) -> NewEntry {
    let first = evaluation.rules.first();
    let event = first.and_then(|effects| effects.event.clone());
    // In native form already: it is the event of the match, as the rule saw it.
    let about = event.and_then(|event| NativeEvent::as_is(event).identity());
    let firing = first.and_then(|effects| effects.firing.as_ref());
    let reason = match firing.map(|firing| firing.reason) {
        Some(FiringReason::Resolved) => "resolved",
        Some(_) => "fired",
        None if evaluation.failures.is_empty() => "closed",
        None => "failed",
    };
    let mut detail = vec![
        ("rule".to_owned(), due.rule.as_str().into()),
        ("key".to_owned(), key_json(&due.key)),
        ("due".to_owned(), due.at.to_string().into()),
        ("reason".to_owned(), reason.into()),
    ];
    if let Some(firing) = firing {
        detail.push(("opened".to_owned(), firing.opened.to_string().into()));
        detail.push(("count".to_owned(), Json::count(firing.count)));
        detail.push(("late".to_owned(), firing.late.into()));
    }
    NewEntry {
        kind: EntryKind::Firing,
        at: due.at,
        identity: EventIdentity {
            source: SOURCE.to_owned(),
            id: due.key.clone(),
            name: due.rule.clone(),
            resource: String::new(),
            time: due.at.to_string(),
        },
        event: about.as_ref().map_or_else(own, EventRef::from),
        resource: about.map_or_else(String::new, |about| about.resource),
        detail: Json::Object(detail),
    }
}

/// The answer to a call.
pub(super) fn answer_entry(at: Timestamp, waiting: &WaitingCall, call: &AnsweredCall) -> NewEntry {
    let delivery = &waiting.delivery;
    let event = call.event.as_ref();
    let event = event.map_or(Json::Null, |event| event.event().tree().clone());
    let called = Json::object([
        ("target", call.target.as_str().into()),
        ("operation", call.operation.as_str().into()),
        ("parameters", call.parameters.clone()),
    ]);
    // All that its evaluation depends on, besides the state: the delivery is removed with its
    // event, which may be before this entry.
    let detail = Json::object([
        ("rule", call.rule.as_str().into()),
        ("key", call.key.clone().unwrap_or(Json::Null)),
        ("delivery", delivery.id.to_string().into()),
        ("hop", Json::count(call.hop)),
        ("call", called),
        ("answer", call.answer.to_json()),
        ("event", event),
    ]);
    NewEntry {
        kind: EntryKind::Answer,
        at,
        identity: EventIdentity {
            source: SOURCE.to_owned(),
            id: delivery.id.to_string(),
            name: call.rule.clone(),
            resource: String::new(),
            time: at.to_string(),
        },
        event: delivery.event.clone(),
        resource: delivery.resource.clone(),
        detail,
    }
}

/// Deadlines that passed while nothing ran since `since`, and were moved.
pub(super) fn resumed_entry(at: Timestamp, since: Timestamp, matches: u64) -> NewEntry {
    let detail = Json::object([
        ("since", since.to_string().into()),
        ("matches", Json::count(matches)),
    ]);
    entry(EntryKind::Resumed, at, detail)
}

/// A clock that was set by `offset`, with the matches and deliveries that were moved.
pub(super) fn clock_entry(at: Timestamp, offset: SignedDuration, moved: (u64, u64)) -> NewEntry {
    let microseconds = i64::try_from(offset.as_micros()).unwrap_or(i64::MAX);
    let detail = Json::object([
        ("offset_microseconds", Json::from(microseconds)),
        ("matches", Json::count(moved.0)),
        ("deliveries", Json::count(moved.1)),
    ]);
    entry(EntryKind::Clock, at, detail)
}

/// Rules that became live, with the pending matches that were closed, by rule.
pub(super) fn reload_entry(
    at: Timestamp,
    hash: &str,
    rules: usize,
    closed: &BTreeMap<String, u64>,
) -> NewEntry {
    let closed = closed
        .iter()
        .map(|(rule, count)| (rule.clone(), Json::count(*count)));
    let detail = Json::object([
        ("hash", hash.into()),
        ("rules", Json::count(rules)),
        ("closed", Json::Object(closed.collect())),
    ]);
    entry(EntryKind::Reload, at, detail)
}

fn entry(kind: EntryKind, at: Timestamp, detail: Json) -> NewEntry {
    NewEntry {
        kind,
        at,
        identity: EventIdentity {
            source: SOURCE.to_owned(),
            name: kind.as_str().to_owned(),
            time: at.to_string(),
            ..EventIdentity::default()
        },
        event: own(),
        resource: String::new(),
        detail,
    }
}

fn own() -> EventRef {
    EventRef {
        source: SOURCE.to_owned(),
        id: String::new(),
    }
}

/// The key as JSON, not as a text of it.
fn key_json(key: &str) -> Json {
    Json::parse(key).unwrap_or_else(|_| key.into())
}
