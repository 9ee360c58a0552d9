//! One event: its bytes, validated once, and a tree that is built on demand.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::envelope::Envelope;
use crate::event_error::EventError;
use crate::json::{FieldSet, Json, JsonError, JsonErrorKind, MemberIndex, Selected, select};
use crate::limits::Limits;
use crate::markers::EnvelopeMarkers;

/// One event: a JSON object within limits, as bytes. Cloning is cheap and shares them.
///
/// ```
/// use reflexarc_event::Event;
///
/// let event = Event::from_json(r#"{"count": 1.50}"#)?;
/// assert_eq!(event.bytes(), br#"{"count": 1.50}"#);
/// assert_eq!(event.tree().get("count").map(ToString::to_string).as_deref(), Some("1.50"));
/// # Ok::<(), reflexarc_event::EventError>(())
/// ```
#[derive(Clone)]
pub struct Event(Arc<Content>);

struct Content {
    text: Box<str>,
    limits: Limits,
    markers: EnvelopeMarkers,
    tree: OnceLock<Json>,
    /// Where the members are; made when fields are first selected.
    members: OnceLock<Option<MemberIndex>>,
}

impl Event {
    /// Reads one event under [`Limits::DEFAULT`].
    ///
    /// # Errors
    /// If there are more than 1 MiB or 128 levels, or the bytes are not one JSON object in UTF-8.
    ///
    /// ```
    /// use reflexarc_event::{Event, EventError};
    ///
    /// assert!(Event::from_json(r#"{"a": 1}"#).is_ok());
    /// let error = Event::from_json("[1]").expect_err("an array");
    /// assert_eq!(error, EventError::NotAnObject { found: "an array" });
    /// ```
    pub fn from_json(bytes: impl Into<Vec<u8>>) -> Result<Self, EventError> {
        Self::from_json_within(bytes, &Limits::DEFAULT)
    }

    /// Reads one event under the given limits.
    ///
    /// # Errors
    /// As [`Event::from_json`], with the caller's limits.
    ///
    /// ```
    /// use reflexarc_event::{Event, EventError, Limits};
    ///
    /// let limits = Limits { depth: 2, ..Limits::DEFAULT };
    /// assert!(Event::from_json_within(r#"{"a": {"b": 1}}"#, &limits).is_ok());
    /// let deeper = Event::from_json_within(r#"{"a": {"b": {}}}"#, &limits);
    /// assert!(matches!(deeper, Err(EventError::Json(_))));
    /// ```
    pub fn from_json_within(
        bytes: impl Into<Vec<u8>>,
        limits: &Limits,
    ) -> Result<Self, EventError> {
        Content::read(bytes.into(), limits).map(Self::from)
    }

    /// Makes an event of a tree, under [`Limits::DEFAULT`]; its bytes are the compact text of the
    /// tree.
    ///
    /// # Errors
    /// If the tree is not an object or exceeds the limits.
    ///
    /// ```
    /// use reflexarc_event::{Event, Json};
    ///
    /// let event = Event::from_tree(Json::object([("kind", Json::from("heartbeat"))]))?;
    /// assert_eq!(event.bytes(), br#"{"kind":"heartbeat"}"#);
    /// assert!(Event::from_tree(Json::Null).is_err());
    /// # Ok::<(), reflexarc_event::EventError>(())
    /// ```
    pub fn from_tree(tree: Json) -> Result<Self, EventError> {
        Self::from_tree_within(tree, &Limits::DEFAULT)
    }

    pub(crate) fn from_tree_within(tree: Json, limits: &Limits) -> Result<Self, EventError> {
        Content::of_tree(tree, limits).map(Self::from)
    }

    /// Makes an event of a native form. It stays native even if members that the conversion kept
    /// would identify another envelope.
    pub(crate) fn native_form(tree: Json, limits: &Limits) -> Result<Self, EventError> {
        Ok(Self::from(Content {
            markers: EnvelopeMarkers::NATIVE_FORM,
            ..Content::of_tree(tree, limits)?
        }))
    }

    /// Makes an event of the text of a native form, which is valid and within the limits.
    pub(crate) fn of_native_text(text: String, limits: &Limits) -> Self {
        Self::from(Content {
            text: text.into(),
            limits: *limits,
            markers: EnvelopeMarkers::NATIVE_FORM,
            tree: OnceLock::new(),
            members: OnceLock::new(),
        })
    }

    /// Makes an event that wraps another one and may exceed the limits by the wrapping.
    pub(crate) fn generated(tree: Json, limits: &Limits) -> Self {
        let text = tree.to_string();
        let wider = Limits {
            bytes: limits.bytes.max(text.len()),
            depth: limits.depth.saturating_add(1),
            ..*limits
        };
        let content = Content::read(text.into_bytes(), &wider)
            .expect("a tree of an event one level deeper is an event");
        Self::from(Content {
            tree: tree.into(),
            ..content
        })
    }

    /// The bytes as they were received.
    pub fn bytes(&self) -> &[u8] {
        self.0.text.as_bytes()
    }

    /// The bytes as text.
    pub(crate) fn text(&self) -> &str {
        &self.0.text
    }

    /// The event as a tree, always a [`Json::Object`].
    #[allow(
        clippy::missing_panics_doc,
        reason = "the bytes were validated when the event was made"
    )]
    pub fn tree(&self) -> &Json {
        self.0.tree.get_or_init(|| {
            Json::parse_within(self.bytes(), self.0.limits.depth)
                .expect("the bytes were validated when the event was made")
        })
    }

    /// The same event without its tree, which is built again when it is needed: for an event that
    /// waits. A tree can take 60 times as much memory as the text.
    #[must_use]
    pub fn without_tree(self) -> Self {
        match Arc::try_unwrap(self.0) {
            Ok(content) => Self::from(Content {
                tree: OnceLock::new(),
                members: OnceLock::new(),
                ..content
            }),
            // Another clone may need it.
            Err(shared) => Self(shared),
        }
    }

    /// Some fields of the event, without making a tree of the rest.
    pub fn select<'a>(&'a self, fields: &'a FieldSet) -> Selected<'a> {
        let text = self.text();
        // Several rules, their gates and the identity read fields of the same event.
        let members = self.0.members.get_or_init(|| MemberIndex::of(text));
        select(text, members.as_ref(), fields)
    }

    /// The tree if it was read before, else a tree of these fields alone: a tree of all costs more
    /// than matching the event.
    pub fn partial_tree(&self, fields: &FieldSet) -> Cow<'_, Json> {
        match self.tree_if_read() {
            Some(tree) => Cow::Borrowed(tree),
            None => Cow::Owned(self.select(fields).to_json()),
        }
    }

    /// The tree, if it was read before.
    pub fn tree_if_read(&self) -> Option<&Json> {
        self.0.tree.get()
    }

    /// The envelope, which was detected when the event was read.
    pub fn envelope(&self) -> Envelope {
        self.0.markers.envelope()
    }

    /// The limits under which it was read.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    pub(crate) fn markers(&self) -> EnvelopeMarkers {
        self.0.markers
    }

    /// Whether the event has a native form, other than itself or not.
    pub(crate) fn has_native_form(&self) -> bool {
        match self.envelope() {
            Envelope::Aws | Envelope::Other => false,
            Envelope::CloudEvent => self.0.markers.is_alibaba(),
            Envelope::Native
            | Envelope::CloudMonitor
            | Envelope::CloudMonitorFlat
            | Envelope::CloudMonitorRecord => true,
        }
    }
}

impl Content {
    // Not generic, as otherwise each caller's crate would compile the JSON reader again.
    fn read(bytes: Vec<u8>, limits: &Limits) -> Result<Self, EventError> {
        if bytes.len() > limits.bytes {
            return Err(EventError::TooLarge {
                bytes: bytes.len(),
                limit: limits.bytes,
            });
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let invalid = JsonError {
                kind: JsonErrorKind::InvalidUtf8,
                offset: error.utf8_error().valid_up_to(),
            };
            EventError::of_json(invalid, error.as_bytes())
        })?;
        // One pass validates the text and collects what identifies the envelope; most events are
        // matched on their bytes and never need a tree.
        let markers = EnvelopeMarkers::read(&text, limits.depth)?;
        Ok(Self {
            text: text.into(),
            limits: *limits,
            markers,
            tree: OnceLock::new(),
            members: OnceLock::new(),
        })
    }

    fn of_tree(tree: Json, limits: &Limits) -> Result<Self, EventError> {
        let content = Self::read(tree.to_string().into_bytes(), limits)?;
        Ok(Self {
            tree: tree.into(),
            ..content
        })
    }
}

impl From<Content> for Event {
    fn from(content: Content) -> Self {
        Self(Arc::new(content))
    }
}

/// The envelope and the text.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Event({}: {})", self.envelope(), self.0.text)
    }
}

#[cfg(test)]
mod tests {
    use crate::NativeEvent;

    #[test]
    fn events_that_need_no_conversion_build_no_tree() {
        for text in [
            r#"{"name": "Disk:Stalled:Executing", "level": "WARN", "content": {}}"#,
            r#"{"detail-type": "x", "source": "aws.ec2", "detail": {}}"#,
            r#"{"anything": ["else"]}"#,
        ] {
            let native = NativeEvent::from_json(text).unwrap();
            assert!(native.event().0.tree.get().is_none(), "{text}");
        }
    }

    #[test]
    fn a_tree_is_released_and_built_again() {
        let native = NativeEvent::from_json(r#"{"name": "x", "a": [1, 2]}"#).unwrap();
        let tree = native.tree().clone();
        let native = native.without_trees();
        assert!(native.event().0.tree.get().is_none());
        assert_eq!(*native.tree(), tree);
    }
}
