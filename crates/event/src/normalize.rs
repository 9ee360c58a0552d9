//! From every known envelope to the native ECS form, and from there to CloudEvents.
//!
//! | native | CloudEvents | Cloud Monitor webhook, first found |
//! |---|---|---|
//! | `id` | `id` | `alert.meta.sysEventMeta.id`, `alert.traceId`, `alert.dedupId` |
//! | `product` `ECS` | `source` `acs.ecs` | `alert.product`, `…sysEventMeta.product` |
//! | `name` | `type`, `ecs:` and the name without status | `alert.eventName`, `…sysEventMeta.name` |
//! | status part of `name` | `data.eventStatus` | `…sysEventMeta.status` |
//! | `resourceId` | `subject` | `alert.arn`, `…sysEventMeta.resourceId` |
//! | `level` | derived; attribute `level` where it differs | `…sysEventMeta.level`, `alert.severity`, `severity` |
//! | `userId` | `aliyunaccountid` | `alert.userId`, `userId` |
//! | `eventTime` | `time` | `…sysEventMeta.eventTime`, `alert.timestamp`, `time` |
//! | `regionId` | `aliyunregionid` | `…sysEventMeta.regionId` |
//! | `content` | `data` | `alert.eventContentMap`, `alert.eventRawContent` |
//! | `eventType`, `groupId`, `ruleName`, `instanceName`, `status` | | their namesakes, `strategyName` as `ruleName` |
//!
//! Nothing is dropped. What has no counterpart stands in the native form under its own name, at the top level:
//! CloudEvents extensions, and what is left of the webhook's `alert` and of its other members. So does an attribute
//! that its native counterpart does not say in full, such as a `time` in microseconds beside `eventTime`. Where that
//! name is one of the native form, an attribute goes into the object `cloudEvent`, a member of the webhook into the
//! object `webhook`.
//!
//! Towards CloudEvents, further native members become extension attributes when their names and values allow it; what
//! else the way back could not find stands in the attribute `reflexarcnative`, as the JSON text
//! `{"keep": {…}, "absent": […]}`. Thus normalising, converting and normalising again gives the same members, though
//! not always in the same order. An event of AWS or of an unknown shape travels whole in `data`, marked by
//! `reflexarcnative` `data`.

use crate::event_error::EventError;
use crate::json::Json;
use crate::native_field::{content, level, with_status};
use crate::{Envelope, Event, cloudevent, webhook};

/// The native form of an event; `None` for an event that is in it already, and for events of AWS and of unknown shapes,
/// which have none.
///
/// # Errors
/// When the native form exceeds the limits that the event was read under.
pub(crate) fn native_form(event: &Event) -> Result<Option<Event>, EventError> {
    let (tree, limits) = (event.tree(), event.limits());
    let native = match event.envelope() {
        Envelope::Aws | Envelope::Other => return Ok(None),
        Envelope::Native if event.signs().plain() => return Ok(None),
        Envelope::Native | Envelope::CloudMonitorFlat => plain(tree, limits.depth),
        Envelope::CloudEvent => {
            if let Some(whole) = cloudevent::wrapped(tree) {
                let whole = Event::from_tree_within(whole.clone(), limits)
                    .map_err(|error| EventError::NativeForm(Box::new(error)))?;
                if matches!(whole.envelope(), Envelope::Aws | Envelope::Other) {
                    return Ok(Some(whole));
                }
            }
            cloudevent::to_native(tree, limits.depth)
        }
        Envelope::CloudMonitor => webhook::to_native(tree, limits.depth),
    };
    Event::normalised(native, limits)
        .map(Some)
        .map_err(|error| EventError::NativeForm(Box::new(error)))
}

impl Event {
    /// The event in CloudEvents 1.0, as EventBridge would send it; one that is in CloudEvents already comes back as it is.
    /// An event without an id gets one that is computed from its bytes. What no attribute can say stands in the attribute
    /// `reflexarcnative`, so that normalising the result gives every member of the native form again.
    #[must_use]
    pub fn to_cloudevent(&self) -> Event {
        let tree = match self.envelope() {
            Envelope::CloudEvent => return self.clone(),
            Envelope::Aws | Envelope::Other => cloudevent::wrap(self.tree(), self.bytes()),
            Envelope::Native | Envelope::CloudMonitor | Envelope::CloudMonitorFlat => {
                let depth = self.limits().depth;
                match native_form(self) {
                    Ok(native) => {
                        let native = native.as_ref().unwrap_or(self);
                        cloudevent::from_native(native.tree(), self.bytes(), depth)
                    }
                    // Too large for the native form: it travels whole in `data`, so nothing is lost.
                    Err(_) => cloudevent::wrap(self.tree(), self.bytes()),
                }
            }
        };
        Event::written(tree, self.limits())
    }
}

/// A native or flat event spelt as the native form has it: content an object, level in capitals, the status of a flat
/// event as part of the name.
fn plain(tree: &Json, depth: usize) -> Json {
    let respell = |key: &str, value: &Json| match (key, value) {
        ("content", _) => content(value.clone(), depth),
        ("level", _) => level(value),
        ("name", Json::String(name)) => with_status(name, tree.get("status")).into(),
        _ => value.clone(),
    };
    tree.members()
        .iter()
        .map(|(key, value)| (key.clone(), respell(key, value)))
        .collect()
}
