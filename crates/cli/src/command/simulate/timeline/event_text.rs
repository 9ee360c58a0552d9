//! What an event says, for people.

use reflexarc_event::{Event, Json};

/// The name of an event for people.
pub(in super::super) fn event_name(event: &Event) -> &str {
    event
        .tree()
        .get("name")
        .and_then(Json::as_str)
        .unwrap_or("an event")
}

/// What an event is about, for people: a recorded call, the new state of an instance, or the
/// interface.
pub(super) fn event_detail(event: &Event, interface: &str) -> String {
    let text = |key| content_of(event)?.get(key).and_then(Json::as_str);
    match (text("eventName"), text("resourceId"), text("state")) {
        (Some(call), _, _) => format!(", {call}"),
        (None, Some(instance), Some(state)) => format!(", {instance} is {state}"),
        _ if interface.is_empty() => String::new(),
        _ => format!(", {interface}"),
    }
}

/// The id of the interface that an event is about, in the native form or a CloudEvent.
pub(in super::super) fn interface_of(event: &Event) -> Option<&str> {
    content_of(event)?.get("eniId").and_then(Json::as_str)
}

/// The details of an event in the native form or a CloudEvent.
fn content_of(event: &Event) -> Option<&Json> {
    let tree = event.tree();
    tree.get("content").or_else(|| tree.get("data"))
}
