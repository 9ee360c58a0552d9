//! Envelopes: the forms in which events arrive, detected by their top-level members.

use crate::event_error::EventError;
use crate::json::{Value, unescape};

/// The form in which an event arrives.
///
/// ```
/// use reflexarc_event::{Envelope, Event};
///
/// let event = Event::from_json(r#"{"detail-type": "x", "source": "aws.ec2", "detail": {}}"#)?;
/// assert_eq!(event.envelope(), Envelope::Aws);
/// assert_eq!(event.envelope().to_string(), "AWS EventBridge");
/// # Ok::<(), reflexarc_event::EventError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Envelope {
    /// The native form of an ECS notification: `name` and `content`, and at least one of `product`,
    /// `resourceId`, `eventTime` or a colon in the name.
    Native,
    /// CloudEvents 1.0 in structured JSON, as Alibaba Cloud EventBridge sends it: `specversion`,
    /// `type` and `source`.
    CloudEvent,
    /// The webhook of a Cloud Monitor subscription policy, JSON or form: an `alert` object.
    CloudMonitor,
    /// The form that legacy Cloud Monitor event rules deliver: the native form with additional
    /// members such as `ruleName`.
    CloudMonitorFlat,
    /// AWS EventBridge: `detail-type`, `source` and `detail`.
    Aws,
    /// Any other JSON object.
    Other,
}

/// The value of a top-level member, as far as [`Envelope::detect`] needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member<'a> {
    /// A string.
    Text(&'a str),
    /// An object.
    Object,
    /// Anything else.
    Other,
}

impl Envelope {
    /// The name, for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native ECS",
            Self::CloudEvent => "CloudEvents",
            Self::CloudMonitor => "Cloud Monitor webhook",
            Self::CloudMonitorFlat => "Cloud Monitor rule",
            Self::Aws => "AWS EventBridge",
            Self::Other => "other JSON",
        }
    }

    /// Detects the envelope of an event that is not JSON text by its top-level members, and whether
    /// [`NativeEvent::new`] would leave it unchanged.
    ///
    /// [`NativeEvent::new`]: crate::NativeEvent::new
    ///
    /// ```
    /// use reflexarc_event::{Envelope, Member};
    ///
    /// let members = [
    ///     ("name", Member::Text("Disk:Stalled:Executing")),
    ///     ("content", Member::Object),
    ///     ("level", Member::Text("critical")),
    /// ];
    /// // The level is not in capitals, so the conversion would change the event.
    /// assert_eq!(Envelope::detect(members), (Envelope::Native, false));
    /// ```
    pub fn detect<'a>(members: impl IntoIterator<Item = (&'a str, Member<'a>)>) -> (Self, bool) {
        let mut markers = EnvelopeMarkers::default();
        for (key, member) in members {
            markers.record(
                key,
                match member {
                    Member::Text(text) => Shape::String(text),
                    Member::Object => Shape::Object(EnvelopeMarkers::default()),
                    Member::Other => Shape::Null,
                },
            );
        }
        let envelope = markers.envelope();
        let native = match envelope {
            Self::Native => markers.is_canonical(),
            Self::Aws | Self::Other => true,
            Self::CloudEvent | Self::CloudMonitor | Self::CloudMonitorFlat => false,
        };
        (envelope, native)
    }
}

impl std::fmt::Display for Envelope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which of the members that identify an envelope an object has, one bit each.
///
/// They are collected while an event is validated, so that its envelope is known without a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct EnvelopeMarkers(u16);

impl EnvelopeMarkers {
    const NAME: u16 = 1;
    const CONTENT: u16 = 1 << 1;
    const CONTENT_TEXT: u16 = 1 << 2;
    const ECS: u16 = 1 << 3;
    const OTHER_LEVEL: u16 = 1 << 4;
    const FLAT: u16 = 1 << 5;
    const SPECVERSION: u16 = 1 << 6;
    const TYPE: u16 = 1 << 7;
    const SOURCE: u16 = 1 << 8;
    const ALERT: u16 = 1 << 9;
    const DETAIL_TYPE: u16 = 1 << 10;
    const DETAIL: u16 = 1 << 11;

    /// The markers of a converted event, whatever other members its sender gave it.
    pub(crate) const NATIVE_FORM: Self = Self(Self::NAME | Self::CONTENT | Self::ECS);

    /// The markers of a document.
    ///
    /// # Errors
    /// When it is not an object.
    pub(crate) fn of(document: Shape<'_>) -> Result<Self, EventError> {
        match document {
            Shape::Object(markers) => Ok(markers),
            other => Err(EventError::NotAnObject {
                found: other.kind(),
            }),
        }
    }

    // The order matters: a CloudEvent may have extensions named `name` and `content`, and an event
    // of AWS has a `source` too, but no `specversion`.
    pub(crate) fn envelope(self) -> Envelope {
        if self.all(Self::SPECVERSION | Self::TYPE | Self::SOURCE) {
            Envelope::CloudEvent
        } else if self.all(Self::NAME | Self::CONTENT | Self::ECS) {
            if self.all(Self::FLAT) {
                Envelope::CloudMonitorFlat
            } else {
                Envelope::Native
            }
        } else if self.all(Self::ALERT) {
            Envelope::CloudMonitor
        } else if self.all(Self::DETAIL_TYPE | Self::SOURCE | Self::DETAIL) {
            Envelope::Aws
        } else {
            Envelope::Other
        }
    }

    /// Whether a native event needs no conversion: its content is not JSON text and its level is in
    /// capitals.
    pub(crate) fn is_canonical(self) -> bool {
        self.0 & (Self::CONTENT_TEXT | Self::OTHER_LEVEL) == 0
    }

    fn all(self, bits: u16) -> bool {
        self.0 & bits == bits
    }

    fn set(&mut self, bit: u16, on: bool) {
        if on {
            self.0 |= bit;
        } else {
            self.0 &= !bit;
        }
    }

    /// Records one member. The last member of a key counts, as it does in [`crate::Json::get`].
    fn record(&mut self, key: &str, value: Shape<'_>) {
        let text = if let Shape::String(raw) = value {
            Some(raw)
        } else {
            None
        };
        match key {
            // A colon in the name is enough to recognise a shortened native event in a test:
            // {"name": "Disk:Stalled:Executing", "content": {}}.
            "name" => {
                self.set(Self::NAME, text.is_some());
                if text.is_some_and(|name| name.contains(':')) {
                    self.0 |= Self::ECS;
                }
            }
            "content" => {
                self.0 |= Self::CONTENT;
                self.set(Self::CONTENT_TEXT, text.is_some());
            }
            "product" | "resourceId" | "eventTime" if text.is_some() => self.0 |= Self::ECS,
            "level" => self.set(
                Self::OTHER_LEVEL,
                !matches!(text, Some("INFO" | "WARN" | "CRITICAL")),
            ),
            "traceId" | "eventType" | "ruleName" | "status" | "serviceType" | "eventRealname"
            | "eventRealnameEn" | "curLevel" | "regionName" => self.0 |= Self::FLAT,
            "specversion" => self.set(Self::SPECVERSION, text.is_some()),
            "type" => self.set(Self::TYPE, text.is_some()),
            "source" => self.set(Self::SOURCE, text.is_some()),
            "alert" => self.set(Self::ALERT, matches!(value, Shape::Object(_))),
            "detail-type" => self.set(Self::DETAIL_TYPE, text.is_some()),
            "detail" => self.0 |= Self::DETAIL,
            _ => {}
        }
    }
}

/// What validation keeps of a value: its type, the raw text of a string, the markers of an object.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape<'a> {
    Null,
    Bool(bool),
    Number,
    String(&'a str),
    Array,
    Object(EnvelopeMarkers),
}

impl Shape<'_> {
    fn kind(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(true) => "true",
            Self::Bool(false) => "false",
            Self::Number => "a number",
            Self::String(_) => "a string",
            Self::Array => "an array",
            Self::Object(_) => "an object",
        }
    }
}

impl<'a> Value<'a> for Shape<'a> {
    type Members = EnvelopeMarkers;
    type Elements = ();
    fn null() -> Self {
        Self::Null
    }
    fn bool(value: bool) -> Self {
        Self::Bool(value)
    }
    fn number(_: &'a str) -> Self {
        Self::Number
    }
    fn string(raw: &'a str) -> Self {
        Self::String(raw)
    }
    fn member(markers: &mut EnvelopeMarkers, raw_key: &'a str, _: usize, value: Self) {
        if raw_key.contains('\\') {
            markers.record(&unescape(raw_key), value);
        } else {
            markers.record(raw_key, value);
        }
    }
    fn element((): &mut (), _: Self) {}
    fn object(markers: EnvelopeMarkers) -> Self {
        Self::Object(markers)
    }
    fn array((): ()) -> Self {
        Self::Array
    }
}
