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

use crate::event::EventError;
use crate::json::Json;
use crate::{Envelope, Event, Level, catalogue, cloudevent, webhook};

impl Event {
    /// The event in the native ECS form, for rules to look at. A native event comes back as it is, sharing its bytes, unless
    /// its content is JSON text or its level not in capitals; events of AWS and of unknown shapes come back as they are.
    ///
    /// Nothing is dropped: what the native form has no member for keeps its own name at the top level (CloudEvents
    /// extensions, the rest of a webhook's `alert`, `subscription`, …), or stands in the object `cloudEvent` or `webhook`
    /// where that name is taken. A CloudEvent's level comes from `data.result` and the catalogue.
    ///
    /// # Errors
    /// When the native form exceeds the limits that the event was read under.
    pub fn normalize(&self) -> Result<Event, EventError> {
        let native = match self.envelope() {
            Envelope::Aws | Envelope::Other => return Ok(self.clone()),
            Envelope::Native if self.signs().plain() => return Ok(self.clone()),
            Envelope::Native | Envelope::CloudMonitorFlat => {
                plain(self.tree(), self.limits().depth)
            }
            Envelope::CloudEvent => {
                if let Some(whole) = cloudevent::wrapped(self.tree()) {
                    let whole = Event::from_tree_within(whole.clone(), self.limits())?;
                    if matches!(whole.envelope(), Envelope::Aws | Envelope::Other) {
                        return Ok(whole);
                    }
                }
                cloudevent::to_native(self.tree(), self.limits().depth)
            }
            Envelope::CloudMonitor => webhook::to_native(self.tree(), self.limits().depth),
        };
        Event::normalised(native, self.limits())
    }

    /// The event in CloudEvents 1.0, as EventBridge would send it; one that is in CloudEvents already comes back as it is.
    /// An event without an id gets one that is computed from its bytes. What no attribute can say stands in the attribute
    /// `reflexarcnative`, so that normalising the result gives every member of the native form again.
    #[must_use]
    pub fn to_cloudevent(&self) -> Event {
        let native = match self.envelope() {
            Envelope::CloudEvent => return self.clone(),
            Envelope::Aws | Envelope::Other => None,
            Envelope::Native | Envelope::CloudMonitor | Envelope::CloudMonitorFlat => {
                self.normalize().ok()
            }
        };
        let tree = match native {
            Some(native) => {
                cloudevent::from_native(native.tree(), self.bytes(), self.limits().depth)
            }
            None => cloudevent::wrap(self.tree(), self.bytes()),
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

/// Content that may be JSON text, as the object it spells; anything else as it is.
pub(crate) fn content(value: Json, depth: usize) -> Json {
    let spelt = value
        .as_str()
        .and_then(|text| Json::parse_within(text, depth.saturating_sub(1)).ok());
    spelt
        .filter(|json| matches!(json, Json::Object(_)))
        .unwrap_or(value)
}

/// A level in capitals; a word that is no level as it is.
pub(crate) fn level(value: &Json) -> Json {
    value
        .as_str()
        .and_then(Level::parse)
        .map_or_else(|| value.clone(), |level| level.as_str().into())
}

/// The level of an event that carries none: WARN at least when its result is a failure, else the catalogue's.
pub(crate) fn derived_level(name: &str, content: Option<&Json>) -> Option<Level> {
    let usual = catalogue::find_name(name).and_then(|(entry, _)| entry.level);
    match content
        .and_then(|content| content.get("result"))
        .and_then(Json::as_str)
    {
        Some("failed") => Some(usual.map_or(Level::Warn, |level| level.max(Level::Warn))),
        Some("success" | "accomplished") => Some(usual.unwrap_or(Level::Info)),
        _ => usual,
    }
}

/// The name with the status of the event as its last part, where the catalogue knows that status for that name.
pub(crate) fn with_status(name: &str, status: Option<&Json>) -> String {
    let known = catalogue::find_name(name).filter(|(_, part)| part.is_none());
    match (known, status.and_then(Json::as_str)) {
        (Some((entry, _)), Some(status)) if entry.statuses.contains(&status) => {
            format!("{name}:{status}")
        }
        _ => name.to_owned(),
    }
}
