//! Conversion of every known envelope to the native ECS form, and of that to CloudEvents.
//!
//! | native | CloudEvents | Cloud Monitor webhook, first found |
//! |---|---|---|
//! | `id` | `id` | `alert.meta.sysEventMeta.id`, `alert.traceId`, `alert.dedupId` |
//! | `product` `ECS` | `source` `acs.ecs` | `alert.product`, `…sysEventMeta.product` |
//! | `name` | `type`: `ecs:` and the name, no status | `alert.eventName`, `…sysEventMeta.name` |
//! | status part of `name` | `data.eventStatus` | `…sysEventMeta.status` |
//! | `resourceId` | `subject` | `alert.arn`, `…sysEventMeta.resourceId` |
//! | `level` | derived, or `level` | `…sysEventMeta.level`, `alert.severity`, `severity` |
//! | `userId` | `aliyunaccountid` | `alert.userId`, `userId` |
//! | `eventTime` | `time` | `…sysEventMeta.eventTime`, `alert.timestamp`, `time` |
//! | `regionId` | `aliyunregionid` | `…sysEventMeta.regionId` |
//! | `content` | `data` | `alert.eventContentMap`, `alert.eventRawContent` |
//! | `ruleName` | | `strategyName` |
//! | `eventType`, `groupId`, `instanceName`, `status` | | the same names |
//!
//! Nothing is dropped. What has no counterpart keeps its name at the top level of the native form:
//! CloudEvents extensions, and the rest of the webhook's `alert` and of its other members. So does
//! an attribute whose native counterpart loses a part of it, such as a `time` in microseconds
//! beside `eventTime`. If the native form uses that name already, an attribute is kept in the
//! object `cloudEvent`, a member of the webhook in the object `webhook`.
//!
//! In CloudEvents, other native members become extension attributes if their names and values allow
//! it. Everything else that the conversion back needs is in the attribute `reflexarcnative`, as the
//! JSON text `{"keep": {…}, "absent": […]}`. So converting to CloudEvents and back gives the same
//! members, though not always in the same order. An event of AWS or of unknown form is wrapped
//! whole in `data`, marked by `reflexarcnative` = `data`.

use crate::event_error::EventError;
use crate::json::Json;
use crate::native_field::{content, level, with_status};
use crate::{Envelope, Event, canonical, cloudevent, form, history, rewrite, webhook};

/// The native form of an event with canonical values; `None` for an event that is in it already,
/// and for events that have none: those of AWS, of unknown form, and CloudEvents of others than
/// Alibaba Cloud.
///
/// # Errors
/// If the native form exceeds the limits under which the event was read.
pub(crate) fn native_form(event: &Event) -> Result<Option<Event>, EventError> {
    // `tree` is built on first use, which most events never reach: this decides by what validation
    // has collected.
    if !event.has_native_form()
        || event.envelope() == Envelope::Native && event.markers().is_canonical()
    {
        return Ok(None);
    }
    match rewrite::native_text(event) {
        Some(text) => Ok(Some(Event::of_native_text(text, event.limits()))),
        None => native_form_by_tree(event),
    }
}

/// As [`native_form`], by trees, for every event; the naive twin of the conversion of texts.
fn native_form_by_tree(event: &Event) -> Result<Option<Event>, EventError> {
    let converted = converted(event)?;
    let tree = converted.as_ref().unwrap_or(event).tree();
    match canonical::canonicalize(tree) {
        Some(canonical) => native_event(canonical, event).map(Some),
        None => Ok(converted),
    }
}

/// The native form of an event with its values in the spelling in which they came, for checks of
/// that spelling. `None` as for [`native_form`].
///
/// # Errors
/// As [`native_form`].
pub(crate) fn converted(event: &Event) -> Result<Option<Event>, EventError> {
    let limits = event.limits();
    let native = match event.envelope() {
        Envelope::Aws | Envelope::Other => return Ok(None),
        Envelope::CloudEvent if !event.markers().is_alibaba() => return Ok(None),
        Envelope::Native if event.markers().has_plain_envelope() => return Ok(None),
        Envelope::Native | Envelope::CloudMonitorFlat => plain(event.tree(), limits.depth),
        Envelope::CloudEvent => {
            if let Some(whole) = cloudevent::wrapped(event.tree()) {
                let whole = Event::from_tree_within(whole.clone(), limits)
                    .map_err(|error| EventError::NativeForm(Box::new(error)))?;
                if !whole.has_native_form() {
                    return Ok(Some(whole));
                }
            }
            cloudevent::to_native(event.tree(), limits.depth)
        }
        Envelope::CloudMonitor => match event.tree().get("alert") {
            Some(Json::Object(_)) => webhook::to_native(event.tree(), limits.depth),
            _ => match form::captured(event.tree(), limits.depth) {
                Some(event) => webhook::to_native(&event, limits.depth),
                None => return Ok(None),
            },
        },
        Envelope::CloudMonitorRecord => plain(&history::to_flat(event.tree()), limits.depth),
    };
    native_event(native, event).map(Some)
}

impl Event {
    /// The event in CloudEvents 1.0, as EventBridge would send it; unchanged if it is in
    /// CloudEvents already. An event without an id gets one that is computed from its bytes. What
    /// no other attribute can hold is in the attribute `reflexarcnative`, so that converting the
    /// result to the native form gives every member again.
    ///
    /// ```
    /// use reflexarc_event::{Event, NativeEvent};
    ///
    /// let text = r#"{"id":"1","product":"ECS","name":"Disk:Stalled:Executing","content":{}}"#;
    /// let cloud = Event::from_json(text)?.to_cloudevent();
    /// let kind = cloud.tree().get("type").and_then(|kind| kind.as_str());
    /// assert_eq!(kind, Some("ecs:Disk:Stalled"));
    /// assert!(NativeEvent::new(cloud)?.tree().eq_ignoring_order(Event::from_json(text)?.tree()));
    /// # Ok::<(), reflexarc_event::EventError>(())
    /// ```
    #[must_use]
    pub fn to_cloudevent(&self) -> Event {
        let tree = match self.envelope() {
            Envelope::CloudEvent => return self.clone(),
            Envelope::Aws | Envelope::Other => cloudevent::wrap(self.tree(), self.bytes()),
            Envelope::Native
            | Envelope::CloudMonitor
            | Envelope::CloudMonitorFlat
            | Envelope::CloudMonitorRecord => {
                let depth = self.limits().depth;
                match native_form(self) {
                    Ok(native) => {
                        let native = native.as_ref().unwrap_or(self);
                        cloudevent::from_native(native.tree(), self.bytes(), depth)
                    }
                    // Its native form exceeds the limits: wrapped whole, it loses nothing.
                    Err(_) => cloudevent::wrap(self.tree(), self.bytes()),
                }
            }
        };
        Event::generated(tree, self.limits())
    }
}

/// The event of a native form, under the limits of the event that it was made of.
fn native_event(tree: Json, event: &Event) -> Result<Event, EventError> {
    Event::native_form(tree, event.limits())
        .map_err(|error| EventError::NativeForm(Box::new(error)))
}

/// A native or flat event with content as an object, level in capitals, and the status of a flat
/// event as part of the name.
fn plain(tree: &Json, depth: usize) -> Json {
    let status = tree.get("status").and_then(Json::as_str);
    let convert = |key: &str, value: &Json| match (key, value) {
        ("content", _) => content(value.clone(), depth),
        ("level", _) => level(value),
        ("name", Json::String(name)) => with_status(name, status).into(),
        _ => value.clone(),
    };
    tree.members()
        .iter()
        .map(|(key, value)| (key.clone(), convert(key, value)))
        .collect()
}

#[cfg(test)]
mod tests;
