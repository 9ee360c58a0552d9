//! An event in the form that rules are written for.

use crate::event_error::EventError;
use crate::json::Json;
use crate::normalize::native_form;
use crate::{Event, Limits};

/// An event in the native ECS form, the one that rules and filters are written for. Cloning is cheap.
///
/// Making one converts a known envelope (CloudEvents, Cloud Monitor) exactly once; everything that matches, evaluates or
/// stores an event takes this type and never converts again. A native event shares its bytes with the original unless its
/// content is JSON text or its level is not in capitals. Events of AWS and of unknown shapes stay as they are.
///
/// Nothing is dropped: what the native form has no member for keeps its own name at the top level (CloudEvents
/// extensions, the rest of a webhook's `alert`, `subscription`, …), or is kept in the object `cloudEvent` or `webhook`
/// where that name is taken. A CloudEvent's level is derived from `data.result` and the catalogue.
///
/// ```
/// use reflexarc_event::NativeEvent;
///
/// let event = NativeEvent::from_json(
///     r#"{"specversion": "1.0", "id": "1", "source": "acs.ecs", "type": "ecs:Disk:DiskDetached", "data": {}}"#,
/// )?;
/// assert_eq!(event.tree().get("name").and_then(|name| name.as_str()), Some("Disk:DiskDetached"));
/// assert_eq!(event.original().envelope().as_str(), "CloudEvents");
/// # Ok::<(), reflexarc_event::EventError>(())
/// ```
#[derive(Debug, Clone)]
pub struct NativeEvent {
    event: Event,
    /// The event as received, if converting changed it.
    original: Option<Event>,
}

impl NativeEvent {
    /// Converts an event to the native form.
    ///
    /// # Errors
    /// [`EventError::NativeForm`] when the native form exceeds the limits that the event was read under.
    pub fn new(event: Event) -> Result<Self, EventError> {
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

    /// Takes an event as it came, in whatever envelope: for filters that are written for that envelope.
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

    /// The bytes of the native form.
    pub fn bytes(&self) -> &[u8] {
        self.event.bytes()
    }

    /// The tree of the native form, always a [`Json::Object`].
    pub fn tree(&self) -> &Json {
        self.event.tree()
    }

    /// The limits that the event was read under.
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
