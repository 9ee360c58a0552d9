//! What validation keeps of an event: which members it has that identify its envelope, or may need
//! a conversion.

use std::borrow::Cow;

use crate::canonical::{Scope, has_margin, list_may_vary, may_vary};
use crate::document::is_container_key;
use crate::envelope::Envelope;
use crate::envelope_detector::EnvelopeDetector;
use crate::event_error::EventError;
use crate::json::walk::walk;
use crate::json::{Value, read, unescape};

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

    /// The markers of an object whose content may need any conversion.
    pub(crate) const UNKNOWN: Self = Self(Self::LIST | Self::SCALAR);

    /// The markers of a document with at most `depth` levels.
    ///
    /// # Errors
    /// When it is not an object in JSON.
    pub(crate) fn read(text: &str, depth: usize) -> Result<Self, EventError> {
        let document = text.as_bytes();
        let mut detector = EnvelopeDetector::new(text);
        let walked = walk(document, depth, EnvelopeDetector::ROOT, &mut detector);
        if walked.is_ok()
            && let Some(markers) = detector.markers()
        {
            return Ok(markers);
        }
        // The parser locates and describes the error, so that there is one authority on what is
        // wrong; reading twice costs nothing for valid events.
        Self::of(read(document, depth).map_err(|error| EventError::of_json(error, document))?)
    }

    /// The markers of a document, by the parser: it also reports what is wrong.
    ///
    /// # Errors
    /// When it is not an object.
    fn of(document: Shape<'_>) -> Result<Self, EventError> {
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

    /// Whether the event needs no conversion to the native form, and contains no others.
    pub(crate) fn is_native(self) -> bool {
        match self.envelope() {
            Envelope::Native => self.is_canonical(),
            Envelope::Aws => true,
            Envelope::Other => !self.may_contain_events(),
            Envelope::CloudEvent => !self.is_alibaba(),
            Envelope::CloudMonitor | Envelope::CloudMonitorFlat | Envelope::CloudMonitorRecord => {
                false
            }
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

    /// Whether [`EnvelopeMarkers::record`] may look at a member of the outermost object.
    // Most keys of most events are decided by their length and a comparison or two.
    #[inline]
    pub(crate) fn is_recorded(key: &str) -> bool {
        match key.len() {
            0 | 1 => false,
            2 => key == "id",
            3 => key == "Sns",
            4 => matches!(key, "name" | "type" | "Name" | "Body" | "body"),
            5 => matches!(key, "level" | "alert"),
            _ => true,
        }
    }

    /// Whether [`EnvelopeMarkers::record_content`] may look at a member of the content.
    #[inline]
    pub(crate) fn is_recorded_of_content(key: &str) -> bool {
        match key.len() {
            5 => matches!(key, "eniId" | "ipv6s"),
            4 => key == "ipv6",
            6 => key == "result",
            9 | 10 | 12 | 16 | 18 | 19 => true,
            _ => false,
        }
    }

    /// Whether a content has a list that may have another spelling than the canonical one.
    pub(crate) fn has_list(self) -> bool {
        self.all(Self::LIST)
    }

    /// Whether a content has a scalar that may have another spelling.
    pub(crate) fn has_scalar(self) -> bool {
        self.all(Self::SCALAR)
    }

    /// Records one member of the content.
    pub(crate) fn record_content(&mut self, key: &str, value: Shape<'_>) {
        if may_vary(key, value) {
            self.0 |= Self::SCALAR;
        } else if list_may_vary(key, value) {
            self.0 |= Self::LIST;
        }
    }

    /// Records one member. The last member of a key counts, as it does in [`crate::Json::get`].
    pub(crate) fn record(&mut self, key: &str, value: Shape<'_>) {
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
                let scope = match text {
                    None => Scope::Nothing,
                    Some(name) if name.contains('\\') => Scope::EniOperation,
                    Some(name) => Scope::of(name),
                };
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
            _ => self.record_content(key, value),
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

impl Texts {
    /// Adds an element.
    pub(crate) fn add(&mut self, value: Shape<'_>) {
        self.plain &= matches!(value, Shape::String(raw) if !has_margin(raw));
        self.is_object_text =
            self.is_empty && matches!(value, Shape::String(raw) if is_object_text(raw));
        self.is_empty = false;
    }

    /// Elements of which only this is known.
    pub(crate) fn known(plain: bool) -> Self {
        Self {
            plain,
            ..Self::default()
        }
    }
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
    pub(crate) fn kind(self) -> &'static str {
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
        let key = if raw_key.contains('\\') {
            Cow::Owned(unescape(raw_key))
        } else {
            Cow::Borrowed(raw_key)
        };
        match value {
            // Whether a CloudEvent is converted depends on it, however it is escaped.
            Self::String(raw) if key == "source" && raw.contains('\\') => {
                markers.record(&key, Shape::String(&unescape(raw)));
            }
            _ => markers.record(&key, value),
        }
    }
    fn element(texts: &mut Texts, value: Self) {
        texts.add(value);
    }
    fn object(markers: EnvelopeMarkers) -> Self {
        Self::Object(markers)
    }
    fn array(texts: Texts) -> Self {
        Self::Array(texts)
    }
}
