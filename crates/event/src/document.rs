//! Documents that contain events: notifications of queues and topics, and lists from APIs.
//!
//! | document | events |
//! |---|---|
//! | MNS topic notification, MNS queue message | the JSON in `Message`, `MessageBody` |
//! | Amazon SNS notification, SQS message, also in `Records` | that in `Message`, `Body`, `body` |
//! | `DescribeSystemEventAttribute` | `SystemEvents.SystemEvent` |
//! | `LookupEvents` of `ActionTrail` and `CloudTrail` | `Events` |
//! | log file of `CloudTrail` and other AWS records | `Records` |
//! | the response of an SDK | what its `body` contains |
//!
//! A message may be encoded in Base64. A request of SNS to confirm a subscription, and the records
//! of
//! `DescribeInstanceHistoryEvents`, are errors that say what to do: taken as events they would
//! match no rule.
//!
//! Documents are cut into their parts without building trees, so that a list of many megabytes
//! costs no more memory than its events.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reflexarc_diagnostic::truncate_to_line;
use serde_json::value::RawValue;

use crate::event_error::EventError;
use crate::{Envelope, Event, Limits, form};

/// What was read from a document: one event, or the events that it contains.
///
/// ```
/// use reflexarc_event::Document;
///
/// let notification = r#"{"TopicName": "ecs", "Message": "{\"name\": \"Disk:Stalled\"}"}"#;
/// let events = Document::read(notification)?.into_events();
/// let name = events[0].as_ref().ok().and_then(|event| event.tree().get("name"));
/// assert_eq!(name.and_then(|name| name.as_str()), Some("Disk:Stalled"));
/// # Ok::<(), reflexarc_event::EventError>(())
/// ```
#[derive(Debug, Clone)]
pub enum Document {
    /// The document is an event itself.
    Event(Event),
    /// The events that it contains, in order, each valid or with its error.
    Events(Vec<Result<Event, EventError>>),
}

/// The characters that are kept of the address in a request to confirm a subscription: a token of
/// some 300 characters is part of it.
const MAX_URL_CHARS: usize = 1000;

impl Document {
    /// Reads a document under [`Limits::DEFAULT`]: JSON, or a form of Cloud Monitor.
    ///
    /// # Errors
    /// As [`Event::from_json`] and [`Event::from_form`], for a document that contains no others.
    pub fn read(bytes: impl Into<Vec<u8>>) -> Result<Self, EventError> {
        Self::read_within(bytes, &Limits::DEFAULT)
    }

    /// Reads a document under the given limits.
    ///
    /// # Errors
    /// As [`Document::read`].
    pub fn read_within(bytes: impl Into<Vec<u8>>, limits: &Limits) -> Result<Self, EventError> {
        Self::of(bytes.into(), limits)
    }

    // Not generic, as otherwise each caller's crate would compile it again.
    fn of(bytes: Vec<u8>, limits: &Limits) -> Result<Self, EventError> {
        if bytes.len() <= limits.bytes {
            let event = if form::is_form(&bytes) {
                Event::from_form_within(bytes.trim_ascii(), limits)?
            } else {
                Event::from_json_within(bytes, limits)?
            };
            return Ok(match contained(&event) {
                Some(events) => Self::Events(events),
                None => Self::Event(event),
            });
        }
        // Only a list may be longer than an event.
        let text = std::str::from_utf8(&bytes).ok();
        let text = text.filter(|text| text.len() <= limits.document_bytes);
        let events = text.and_then(|text| Contents::of(text, limits));
        events.map(Self::Events).ok_or(EventError::TooLarge {
            bytes: bytes.len(),
            limit: limits.bytes,
        })
    }

    /// The events, in order.
    pub fn into_events(self) -> Vec<Result<Event, EventError>> {
        match self {
            Self::Event(event) => vec![Ok(event)],
            Self::Events(events) => events,
        }
    }
}

/// The events that an event contains; `None` for an event that stands for itself.
pub(crate) fn contained(event: &Event) -> Option<Vec<Result<Event, EventError>>> {
    // Almost every event ends here, without another look at its bytes.
    if event.envelope() != Envelope::Other || !event.markers().may_contain_events() {
        return None;
    }
    Contents::of(event.text(), event.limits())
}

/// Whether an event with this member at the top level may contain others.
pub(crate) fn is_container_key(key: &str) -> bool {
    matches!(
        key,
        "Message"
            | "MessageBody"
            | "Messages"
            | "Body"
            | "body"
            | "Sns"
            | "Records"
            | "Events"
            | "CloudTrailEvent"
            | "SystemEvents"
            | "InstanceSystemEventSet"
            | "EventCycleStatus"
    )
}

/// The members of an object with the text of each value, the last one of each key.
type Members<'a> = BTreeMap<String, &'a RawValue>;

/// What a document contains.
enum Inner<'a> {
    /// Another document.
    Object(&'a RawValue),
    /// Events or documents.
    Texts(Vec<Cow<'a, str>>),
}

/// Collects the events of a document.
struct Contents<'a> {
    limits: &'a Limits,
    events: Vec<Result<Event, EventError>>,
    /// Whether an event did not fit.
    is_full: bool,
}

impl<'a> Contents<'a> {
    /// The events that a document contains; `None` if it contains none in a known way.
    fn of(text: &str, limits: &'a Limits) -> Option<Vec<Result<Event, EventError>>> {
        let mut contents = Self {
            limits,
            events: Vec::new(),
            is_full: false,
        };
        contents.add_contained(text, 0).then_some(contents.events)
    }

    /// Adds the events that a document contains; whether it is one that contains events.
    fn add_contained(&mut self, text: &str, nesting: usize) -> bool {
        // No object: read as an event, which reports what is wrong with it.
        let Ok(members) = serde_json::from_str::<Members<'_>>(text) else {
            return false;
        };
        if let Some(error) = no_event(&members) {
            self.add_event(Err(error));
            return true;
        }
        let inner = if let Some(message) = message(&members) {
            Inner::Texts(vec![message.into()])
        } else if let Some(notification) = members.get("Sns").filter(|raw| is_object(raw)) {
            Inner::Object(notification)
        } else if let Some(body) = members.get("body").filter(|raw| is_object(raw))
            && members.contains_key("statusCode")
        {
            Inner::Object(body)
        } else if let Some(elements) = list(&members) {
            let texts = elements.into_iter().map(|element| element.get().into());
            Inner::Texts(texts.collect())
        } else {
            return false;
        };
        let limit = self.limits.nesting;
        if nesting >= limit {
            self.add_event(Err(EventError::TooNested { limit }));
            return true;
        }
        match inner {
            Inner::Object(object) => return self.add_contained(object.get(), nesting + 1),
            Inner::Texts(texts) => {
                for text in texts {
                    self.add_text(&text, nesting + 1);
                }
            }
        }
        true
    }

    /// Whether another event fits; reports the first one that does not.
    fn has_room(&mut self) -> bool {
        let limit = self.limits.contained;
        if !self.is_full && self.events.len() == limit {
            self.is_full = true;
            self.events.push(Err(EventError::TooManyEvents { limit }));
        }
        !self.is_full
    }

    /// Adds an event, the events of an array, or those that a document contains.
    fn add_text(&mut self, text: &str, nesting: usize) {
        if let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(text)
            && nesting < self.limits.nesting
        {
            for element in elements {
                self.add_text(element.get(), nesting + 1);
            }
            return;
        }
        if self.is_full || self.add_contained(text, nesting) {
            return;
        }
        self.add_event(Event::from_json_within(text, self.limits));
    }

    fn add_event(&mut self, event: Result<Event, EventError>) {
        if !self.has_room() {
            return;
        }
        let number = self.events.len() + 1;
        self.events.push(event.map_err(|error| match error {
            // The whole document.
            EventError::SubscriptionConfirmation { .. } | EventError::TooNested { .. } => error,
            _ => EventError::Contained {
                number,
                error: Box::new(error),
            },
        }));
    }
}

/// The error of a document that is known to be no event, and to contain none.
fn no_event(members: &Members<'_>) -> Option<EventError> {
    let text = |key: &str| serde_json::from_str::<String>(members.get(key)?.get()).ok();
    if let Some(url) = text("SubscribeURL")
        && matches!(
            text("Type")?.as_str(),
            "SubscriptionConfirmation" | "UnsubscribeConfirmation"
        )
    {
        // The sender wrote it, and it goes to logs and terminals.
        let url = truncate_to_line(&url, MAX_URL_CHARS).into_owned();
        return Some(EventError::SubscriptionConfirmation { url });
    }
    let is_history = ["EventId", "EventCycleStatus", "EventType"]
        .iter()
        .all(|key| members.contains_key(*key));
    is_history.then_some(EventError::InstanceHistory)
}

/// The JSON that is the message of a notification, or of a message of a queue.
fn message(members: &Members<'_>) -> Option<String> {
    let has = |keys: &[&str]| keys.iter().any(|key| members.contains_key(*key));
    let key = if members.contains_key("Message")
        && has(&["TopicName", "TopicArn", "SubscriptionName", "MessageMD5"])
    {
        "Message"
    } else if members.contains_key("MessageBody") && has(&["MessageId"]) {
        "MessageBody"
    } else if members.contains_key("Body") && has(&["MessageId"]) {
        "Body"
    } else if members.contains_key("body") && has(&["messageId"]) {
        "body"
    } else if has(&["EventId"]) {
        "CloudTrailEvent"
    } else {
        return None;
    };
    // A message whose content is no JSON contains no event: the document is taken as one itself, so
    // it is archived and reported like any event that no rule matches.
    let text: String = serde_json::from_str(members.get(key)?.get()).ok()?;
    if is_json(&text) {
        return Some(text);
    }
    // MNS encodes messages in Base64 unless it is configured not to.
    let decoded = STANDARD.decode(text.trim()).ok()?;
    String::from_utf8(decoded).ok().filter(|text| is_json(text))
}

/// The elements of a list that an API returned, or of a file of records: all of them objects.
fn list<'a>(members: &Members<'a>) -> Option<Vec<&'a RawValue>> {
    let alone = members.len() == 1;
    let inner = |key: &str, inner: &str| {
        let raw = *members.get(key)?;
        match serde_json::from_str::<Members<'a>>(raw.get()) {
            Ok(members) => members.get(inner).copied(),
            Err(_) => Some(raw),
        }
    };
    let of_response = ["RequestId", "NextToken", "StartTime", "EndTime"]
        .iter()
        .any(|key| members.contains_key(*key));
    let array = if members.contains_key("SystemEvents") {
        inner("SystemEvents", "SystemEvent")
    } else if members.contains_key("InstanceSystemEventSet") {
        inner("InstanceSystemEventSet", "InstanceSystemEventType")
    } else if members.contains_key("Messages") && (alone || of_response) {
        inner("Messages", "Message")
    } else if members.contains_key("Events") && (alone || of_response) {
        members.get("Events").copied()
    } else if alone {
        members.get("Records").copied()
    } else {
        None
    };
    // A member of that name with another value: no list of events, so one event.
    let elements = serde_json::from_str::<Vec<&RawValue>>(array?.get()).ok()?;
    elements
        .iter()
        .all(|raw| is_object(raw))
        .then_some(elements)
}

fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}

/// Whether a text is meant as a JSON object or array.
fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}
