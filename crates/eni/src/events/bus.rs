//! The event bus of an account: it delivers what was published to that account, in the envelope of
//! its subscription.

use reflexarc_event::{Event, Json};

use super::PublishedEvent;
use super::event_bridge::on_default_bus;

/// The name of the rule or policy of a bus, which shows that it comes from a simulation.
const SIMULATION: &str = "reflexarc-simulate";

/// The bus of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bus {
    /// The account's id.
    pub account: String,
    /// The envelope in which events leave the bus.
    pub envelope: BusEnvelope,
}

/// The envelope in which a bus delivers events.
///
/// ```
/// use reflexarc_eni::events::BusEnvelope;
/// use reflexarc_event::{Envelope, Event};
///
/// let event = Event::from_json(r#"{"product": "ECS", "name": "Disk:Stalled", "id": "1"}"#)?;
/// let wrapped = BusEnvelope::EventBridge.wrap(&event);
/// assert_eq!(wrapped.envelope(), Envelope::CloudEvent);
/// let bus = wrapped.tree().get("aliyuneventbusname").and_then(|name| name.as_str());
/// assert_eq!(bus, Some("default"));
/// assert_eq!(BusEnvelope::Native.wrap(&event).bytes(), event.bytes());
/// # Ok::<(), reflexarc_event::EventError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum BusEnvelope {
    /// The native ECS form.
    #[default]
    Native,
    /// EventBridge: CloudEvents 1.0 in structured JSON, with the attributes that EventBridge adds.
    EventBridge,
    /// Cloud Monitor, legacy event rule: the native form with members of the rule.
    CloudMonitorRule,
    /// Cloud Monitor, subscription policy: a webhook with the event inside an alert.
    CloudMonitorPolicy,
}

impl Bus {
    /// The event as the bus delivers it; `None` when it was published to another account.
    pub fn receive(&self, published: &PublishedEvent) -> Option<Event> {
        (published.recipient == self.account).then(|| self.envelope.wrap(&published.event))
    }
}

impl BusEnvelope {
    /// Every envelope.
    pub const ALL: [Self; 4] = [
        Self::Native,
        Self::EventBridge,
        Self::CloudMonitorRule,
        Self::CloudMonitorPolicy,
    ];

    /// The name that scenario files use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::EventBridge => "eventbridge",
            Self::CloudMonitorRule => "cloud-monitor-rule",
            Self::CloudMonitorPolicy => "cloud-monitor-policy",
        }
    }

    /// A native event in this envelope.
    pub fn wrap(self, event: &Event) -> Event {
        match self {
            Self::Native => event.clone(),
            Self::EventBridge => on_default_bus(event),
            Self::CloudMonitorRule => rewritten(event, &rule_callback(event.tree(), SIMULATION)),
            Self::CloudMonitorPolicy => rewritten(event, &policy_webhook(event.tree())),
        }
    }
}

/// The callback of a legacy rule: the native members and those of the rule.
pub(crate) fn rule_callback(native: &Json, rule: &str) -> Json {
    // Members that an event does not determine have fixed values.
    let added = [
        ("traceId", text(native, "id")),
        ("instanceName", "".into()),
        ("groupId", "0".into()),
        ("eventType", "StatusNotification".into()),
        ("ruleName", rule.into()),
        ("status", "Normal".into()),
    ];
    let added = added
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value));
    native.members().iter().cloned().chain(added).collect()
}

/// The webhook of a subscription policy: the event as an alert, which has the content as a map and
/// again as text.
fn policy_webhook(native: &Json) -> Json {
    let content = native.get("content").cloned().unwrap_or(Json::Null);
    let (id, product, level) = (
        text(native, "id"),
        text(native, "product"),
        text(native, "level"),
    );
    let (user, name) = (text(native, "userId"), text(native, "name"));
    // The webhook has times as milliseconds since 1970, unlike the event inside. The simulated
    // cloud always writes a time; an event of a file may lack it.
    let milliseconds = native
        .get("eventTime")
        .and_then(Json::as_str)
        .and_then(|text| reflexarc_event::parse_time(text).ok())
        .map_or(Json::Null, |time| time.as_millisecond().into());
    let described = object([
        ("id", id.clone()),
        ("name", name.clone()),
        ("product", product.clone()),
        ("level", level.clone()),
        ("status", "Normal".into()),
        ("eventType", "StatusNotification".into()),
        ("eventTime", text(native, "eventTime")),
        ("regionId", text(native, "regionId")),
        ("resourceId", text(native, "resourceId")),
        ("instanceName", "".into()),
        ("groupId", "0".into()),
    ]);
    let alert = object([
        ("alertStatus", "TRIGGERED".into()),
        ("source", "SYS_EVENT".into()),
        ("product", product),
        ("groupId", "0".into()),
        ("eventName", name),
        ("eventType", "StatusNotification".into()),
        ("arn", text(native, "resourceId")),
        ("traceId", id.clone()),
        ("dedupId", id.clone()),
        ("timestamp", milliseconds.clone()),
        ("severity", level.clone()),
        ("userId", user.clone()),
        // The documented webhook has the content twice: as JSON text and as an object.
        ("eventRawContent", content.to_string().into()),
        ("eventContentMap", content),
        ("meta", object([("sysEventMeta", described)])),
    ]);
    let condition = object([
        ("field", "product".into()),
        ("op", "EQ".into()),
        ("value", "ECS".into()),
    ]);
    let subscription = object([
        ("subscriptionUuid", SIMULATION.into()),
        ("conditions", vec![condition].into()),
        ("relation", "AND".into()),
    ]);
    object([
        (
            "userInfo",
            object([("aliyunId", user.clone()), ("userId", user.clone())]),
        ),
        ("subscription", subscription),
        ("batchId", id),
        ("severity", level),
        ("strategyName", SIMULATION.into()),
        ("userId", user),
        ("time", milliseconds),
        ("alert", alert),
    ])
}

fn text(native: &Json, key: &str) -> Json {
    native.get(key).cloned().unwrap_or_else(|| "".into())
}

fn object(members: impl IntoIterator<Item = (&'static str, Json)>) -> Json {
    members
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

/// The event with another tree. An event near the size limit may exceed it once it is wrapped; it
/// is then delivered in the native form, which is better than not at all.
fn rewritten(event: &Event, tree: &Json) -> Event {
    Event::from_json(tree.to_string()).unwrap_or_else(|_| event.clone())
}
