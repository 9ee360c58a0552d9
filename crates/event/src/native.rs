//! Events in the form that rules are written for.

use crate::document::contained;
use crate::event_error::EventError;
use crate::json::Json;
use crate::normalize::native_form;
use crate::{Event, Limits};

/// An event in the native ECS form, for which rules and filters are written. Cloning is cheap.
///
/// Making one converts a known envelope (CloudEvents of Alibaba Cloud, Cloud Monitor). Everything
/// that matches, evaluates or stores an event takes this type, so an event is converted exactly
/// once. Events of AWS and of unknown form and CloudEvents of others are not changed, nor is a
/// native event unless its content is JSON text, its level is not in capitals, or a value has not
/// its canonical spelling; they share their bytes with the original.
///
/// Values of ENI events are canonical: "The resource has been deleted." is the status `Deleted`,
/// "accomplished" the result `success`, and each list of addresses an array under its documented
/// key. Values that the reader of ENI notifications does not know stay as they are.
///
/// Nothing is dropped: what has no counterpart in the native form keeps its name at the top level
/// (CloudEvents extensions, the rest of a webhook's `alert`, `subscription` …), or is kept in the
/// object `cloudEvent` or `webhook` if the native form uses that name already. The level of a
/// CloudEvent is derived from `data.result` and the catalogue.
///
/// ```
/// use reflexarc_event::NativeEvent;
///
/// let event = NativeEvent::from_json(
///     r#"{
///         "specversion": "1.0", "id": "1",
///         "source": "acs.ecs", "type": "ecs:Disk:Stalled:Executing",
///         "data": {"diskId": "d-1"}
///     }"#,
/// )?;
/// let name = event.tree().get("name").and_then(|name| name.as_str());
/// assert_eq!(name, Some("Disk:Stalled:Executing"));
/// assert_eq!(event.original().envelope().as_str(), "CloudEvents");
/// # Ok::<(), reflexarc_event::EventError>(())
/// ```
#[derive(Debug, Clone)]
pub struct NativeEvent {
    event: Event,
    /// The event as it was received, if the conversion changed it.
    original: Option<Event>,
}

impl NativeEvent {
    /// Converts an event to the native form.
    ///
    /// # Errors
    /// [`EventError::NativeForm`] if the native form exceeds the limits under which the event was
    /// read, [`EventError::SeveralEvents`] for a document that contains several events or none; of
    /// one that contains a single event, such as a notification, that event is converted.
    pub fn new(event: Event) -> Result<Self, EventError> {
        if let Some(mut events) = contained(&event) {
            return match events.pop() {
                Some(event) if events.is_empty() => event.and_then(Self::new),
                last => Err(EventError::SeveralEvents {
                    count: events.len() + usize::from(last.is_some()),
                }),
            };
        }
        Ok(match native_form(&event)? {
            Some(native) => Self {
                event: native,
                original: Some(event),
            },
            None => Self::as_is(event),
        })
    }

    /// Reads one event under [`Limits::DEFAULT`] and converts it to the native form.
    ///
    /// # Errors
    /// As [`Event::from_json`] and [`NativeEvent::new`].
    pub fn from_json(bytes: impl Into<Vec<u8>>) -> Result<Self, EventError> {
        Event::from_json(bytes).and_then(Self::new)
    }

    /// Uses an event as it was received, for filters that are written for its envelope.
    ///
    /// ```
    /// use reflexarc_event::{Event, NativeEvent};
    ///
    /// let text = r#"{"specversion": "1.0", "type": "ecs:Disk:Stalled", "source": "acs.ecs"}"#;
    /// let event = NativeEvent::as_is(Event::from_json(text)?);
    /// assert_eq!(event.bytes(), text.as_bytes());
    /// # Ok::<(), reflexarc_event::EventError>(())
    /// ```
    pub fn as_is(event: Event) -> Self {
        Self {
            event,
            original: None,
        }
    }

    /// The event in native form.
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// The event as it was received.
    pub fn original(&self) -> &Event {
        self.original.as_ref().unwrap_or(&self.event)
    }

    /// The event as it was received, if the conversion changed it.
    pub(crate) fn received(&self) -> Option<&Event> {
        self.original.as_ref()
    }

    /// The bytes of the native form.
    pub fn bytes(&self) -> &[u8] {
        self.event.bytes()
    }

    /// The tree of the native form, always a [`Json::Object`].
    pub fn tree(&self) -> &Json {
        self.event.tree()
    }

    /// The same event without its trees, see [`Event::without_tree`].
    #[must_use]
    pub fn without_trees(self) -> Self {
        Self {
            event: self.event.without_tree(),
            original: self.original.map(Event::without_tree),
        }
    }

    /// The limits under which the event was read.
    pub fn limits(&self) -> &Limits {
        self.event.limits()
    }
}

impl TryFrom<Event> for NativeEvent {
    type Error = EventError;

    fn try_from(event: Event) -> Result<Self, EventError> {
        Self::new(event)
    }
}
