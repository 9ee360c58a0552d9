//! Envelopes: the forms in which events arrive, detected by their top-level members.

use crate::canonical::{Scope, has_margin, list_may_vary, may_vary};
use crate::document::is_container_key;
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
    /// CloudEvents in structured JSON: `specversion`, `type` and `source`. Only those of Alibaba
    /// Cloud have a native form: the source begins with `acs.` or `acs:`, or the name of an
    /// extension attribute with `aliyun`.
    CloudEvent,
    /// The webhook of a Cloud Monitor subscription policy, JSON or form: an `alert` object, or the
    /// JSON text of one in the captured parameters of a form.
    CloudMonitor,
    /// The form that legacy Cloud Monitor event rules deliver: the native form with additional
    /// members such as `ruleName`.
    CloudMonitorFlat,
    /// A record of `DescribeSystemEventAttribute`, the history of Cloud Monitor: `Name`, `Content`
    /// and `Product`.
    CloudMonitorRecord,
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
    /// An object, by [`Envelope::object`] with what its members say.
    Object(ObjectMarkers),
    /// An array; whether all its elements are strings without white space around them.
    Array(bool),
    /// A number.
    Number,
    /// Anything else.
    Other,
}

/// What the members of an object say about an event that has it as its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ObjectMarkers(EnvelopeMarkers);

impl Envelope {
    /// The name, for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native ECS",
            Self::CloudEvent => "CloudEvents",
            Self::CloudMonitor => "Cloud Monitor webhook",
            Self::CloudMonitorFlat => "Cloud Monitor rule",
            Self::CloudMonitorRecord => "Cloud Monitor history",
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
    ///     ("content", Member::Object(Envelope::object([("diskId", Member::Text("d-1"))]))),
    ///     ("level", Member::Text("critical")),
    /// ];
    /// // The level is not in capitals, so the conversion would change the event.
    /// assert_eq!(Envelope::detect(members), (Envelope::Native, false));
    /// ```
    pub fn detect<'a>(members: impl IntoIterator<Item = (&'a str, Member<'a>)>) -> (Self, bool) {
        let ObjectMarkers(markers) = Self::object(members);
        let envelope = markers.envelope();
        let native = match envelope {
            Self::Native => markers.is_canonical(),
            Self::Aws => true,
            Self::Other => !markers.may_contain_events(),
            Self::CloudEvent => !markers.is_alibaba(),
            Self::CloudMonitor | Self::CloudMonitorFlat | Self::CloudMonitorRecord => false,
        };
        (envelope, native)
    }

    /// What the members of an object say, for [`Member::Object`].
    pub fn object<'a>(members: impl IntoIterator<Item = (&'a str, Member<'a>)>) -> ObjectMarkers {
        let mut markers = EnvelopeMarkers::default();
        for (key, member) in members {
            markers.record(
                key,
                match member {
                    Member::Text(text) => Shape::String(text),
                    Member::Object(ObjectMarkers(markers)) => Shape::Object(markers),
                    Member::Array(plain) => Shape::Array(Texts {
                        plain,
                        ..Texts::default()
                    }),
                    Member::Number => Shape::Number,
                    Member::Other => Shape::Null,
                },
            );
        }
        ObjectMarkers(markers)
    }
}

impl ObjectMarkers {
    /// Markers of an object whose members are not looked at: it may have any.
    pub const UNKNOWN: Self = Self(EnvelopeMarkers(
        EnvelopeMarkers::LIST | EnvelopeMarkers::SCALAR,
    ));
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
pub(crate) struct EnvelopeMarkers(u32);

impl EnvelopeMarkers {
    const NAME: u32 = 1;
    const CONTENT: u32 = 1 << 1;
    const CONTENT_TEXT: u32 = 1 << 2;
    const ECS: u32 = 1 << 3;
    const OTHER_LEVEL: u32 = 1 << 4;
    const FLAT: u32 = 1 << 5;
    const SPECVERSION: u32 = 1 << 6;
    const TYPE: u32 = 1 << 7;
    const SOURCE: u32 = 1 << 8;
    const ALERT: u32 = 1 << 9;
    const DETAIL_TYPE: u32 = 1 << 10;
    const DETAIL: u32 = 1 << 11;
    /// A `source` of Alibaba Cloud.
    const ALIBABA_SOURCE: u32 = 1 << 12;
    /// An attribute of Alibaba Cloud, or of our own conversion to CloudEvents.
    const ALIBABA_ATTRIBUTE: u32 = 1 << 13;
    /// The name is one of those whose lists have a canonical form.
    const LISTS_EVENT: u32 = 1 << 14;
    /// The name is that of a completed ENI operation.
    const ENI_OPERATION: u32 = 1 << 15;
    /// This object has a list that may have another spelling.
    const LIST: u32 = 1 << 16;
    /// This object has a scalar that may have another spelling.
    const SCALAR: u32 = 1 << 17;
    /// The content has such a list.
    const CONTENT_LIST: u32 = 1 << 18;
    /// The content has such a scalar.
    const CONTENT_SCALAR: u32 = 1 << 19;
    /// A member at the top level may have another spelling.
    const OTHER_TYPE: u32 = 1 << 20;
    const RECORD_NAME: u32 = 1 << 21;
    const RECORD_CONTENT: u32 = 1 << 22;
    const RECORD_PRODUCT: u32 = 1 << 23;
    /// A member that documents have which contain events.
    const CONTAINER: u32 = 1 << 24;

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
        } else if self.all(Self::RECORD_NAME | Self::RECORD_CONTENT | Self::RECORD_PRODUCT) {
            Envelope::CloudMonitorRecord
        } else {
            Envelope::Other
        }
    }

    /// Whether a native event needs no conversion: its content is not JSON text, its level is in
    /// capitals, and no value of an ENI event can have another spelling than the canonical one.
    pub(crate) fn is_canonical(self) -> bool {
        let mut others = Self::CONTENT_TEXT | Self::OTHER_LEVEL;
        if self.all(Self::LISTS_EVENT) {
            others |= Self::CONTENT_LIST;
        }
        if self.all(Self::ENI_OPERATION) {
            others |= Self::CONTENT_SCALAR | Self::OTHER_TYPE;
        }
        self.0 & others == 0
    }

    /// Whether the event may contain others, if it is in no known envelope.
    pub(crate) fn may_contain_events(self) -> bool {
        self.all(Self::CONTAINER)
    }

    /// Whether content and level of a native event are as the native form has them.
    pub(crate) fn has_plain_envelope(self) -> bool {
        self.0 & (Self::CONTENT_TEXT | Self::OTHER_LEVEL) == 0
    }

    /// Whether a CloudEvent is one of Alibaba Cloud, or one that was made of a native event.
    pub(crate) fn is_alibaba(self) -> bool {
        self.0 & (Self::ALIBABA_SOURCE | Self::ALIBABA_ATTRIBUTE) != 0
    }

    fn all(self, bits: u32) -> bool {
        self.0 & bits == bits
    }

    fn set(&mut self, bit: u32, on: bool) {
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
                // With an escape sequence in it, it may be any name: the conversion will decide.
                let scope = text.map_or(Scope::Nothing, |name| match name.contains('\\') {
                    true => Scope::EniOperation,
                    false => Scope::of(name),
                });
                self.set(Self::LISTS_EVENT, scope != Scope::Nothing);
                self.set(Self::ENI_OPERATION, scope == Scope::EniOperation);
            }
            "content" => {
                self.0 |= Self::CONTENT;
                self.set(Self::CONTENT_TEXT, text.is_some());
                // An object that is the content was recorded when it ended, as any other one.
                if let Shape::Object(content) = value {
                    self.set(Self::CONTENT_LIST, content.all(Self::LIST));
                    self.set(Self::CONTENT_SCALAR, content.all(Self::SCALAR));
                }
            }
            "product" | "resourceId" | "eventTime" if text.is_some() => self.0 |= Self::ECS,
            "id" | "userId" | "regionId" | "resourceId" | "eventTime" => {
                self.0 |= match value {
                    Shape::Array(_) | Shape::Number => Self::OTHER_TYPE,
                    _ => 0,
                };
            }
            "level" => self.set(
                Self::OTHER_LEVEL,
                !matches!(text, Some("INFO" | "WARN" | "CRITICAL")),
            ),
            "traceId" | "eventType" | "ruleName" | "status" | "serviceType" | "eventRealname"
            | "eventRealnameEn" | "curLevel" | "regionName" => self.0 |= Self::FLAT,
            "specversion" => self.set(Self::SPECVERSION, text.is_some()),
            "type" => self.set(Self::TYPE, text.is_some()),
            "source" => {
                self.set(Self::SOURCE, text.is_some());
                let alibaba = text
                    .is_some_and(|source| source.starts_with("acs.") || source.starts_with("acs:"));
                self.set(Self::ALIBABA_SOURCE, alibaba);
            }
            "alert" => {
                let alert = match value {
                    Shape::Object(_) => true,
                    Shape::String(raw) => is_object_text(raw),
                    Shape::Array(texts) => texts.is_object_text,
                    _ => false,
                };
                self.set(Self::ALERT, alert);
            }
            "detail-type" => self.set(Self::DETAIL_TYPE, text.is_some()),
            "detail" => self.0 |= Self::DETAIL,
            "Name" => self.set(Self::RECORD_NAME, text.is_some()),
            "Content" => self.0 |= Self::RECORD_CONTENT,
            "Product" => self.set(Self::RECORD_PRODUCT, text.is_some()),
            _ if is_container_key(key) => self.0 |= Self::CONTAINER,
            "reflexarcnative" => self.0 |= Self::ALIBABA_ATTRIBUTE,
            _ if key.starts_with("aliyun") => self.0 |= Self::ALIBABA_ATTRIBUTE,
            _ if may_vary(key, value) => self.0 |= Self::SCALAR,
            _ if list_may_vary(key, value) => self.0 |= Self::LIST,
            _ => {}
        }
    }
}

/// What validation keeps of the elements of an array.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Texts {
    /// Whether all are strings without white space around them.
    pub(crate) plain: bool,
    is_empty: bool,
    /// Whether there is one element, which is the text of a JSON object.
    is_object_text: bool,
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            plain: true,
            is_empty: true,
            is_object_text: false,
        }
    }
}

/// Whether a text, as it is between its quotes, begins as a JSON object.
fn is_object_text(raw: &str) -> bool {
    raw.trim_start().starts_with('{')
}

/// What validation keeps of a value: its type, the raw text of a string, the markers of an object.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape<'a> {
    Null,
    Bool(bool),
    Number,
    String(&'a str),
    Array(Texts),
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
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

impl<'a> Value<'a> for Shape<'a> {
    type Members = EnvelopeMarkers;
    type Elements = Texts;
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
            return;
        }
        match value {
            // Whether a CloudEvent is converted depends on it, however it is escaped.
            Self::String(raw) if raw_key == "source" && raw.contains('\\') => {
                markers.record(raw_key, Shape::String(&unescape(raw)));
            }
            _ => markers.record(raw_key, value),
        }
    }
    fn element(texts: &mut Texts, value: Self) {
        texts.plain &= matches!(value, Self::String(raw) if !has_margin(raw));
        texts.is_object_text =
            texts.is_empty && matches!(value, Self::String(raw) if is_object_text(raw));
        texts.is_empty = false;
    }
    fn object(markers: EnvelopeMarkers) -> Self {
        Self::Object(markers)
    }
    fn array(texts: Texts) -> Self {
        Self::Array(texts)
    }
}
