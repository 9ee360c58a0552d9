//! What validation keeps of an event: which members it has that identify its envelope, or may need
//! a conversion.

use std::borrow::Cow;

use crate::canonical::{ContentKey, Scope, has_margin};
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

    /// Whether a content has a list that may have another spelling than the canonical one.
    pub(crate) fn has_list(self) -> bool {
        self.all(Self::LIST)
    }

    /// Whether a content has a scalar that may have another spelling.
    pub(crate) fn has_scalar(self) -> bool {
        self.all(Self::SCALAR)
    }

    /// Records one member of an object, which may be the outermost one or its content.
    pub(crate) fn record(&mut self, key: &str, value: Shape<'_>) {
        if let Some(key) = MemberKey::of(key) {
            self.record_member(key, value);
        } else if let Some(key) = ContentKey::of(key) {
            self.record_content(key, value);
        }
    }

    /// Records one member of the content.
    #[inline]
    pub(crate) fn record_content(&mut self, key: ContentKey, value: Shape<'_>) {
        if key.may_vary(value) {
            self.0 |= if key.is_list() {
                Self::LIST
            } else {
                Self::SCALAR
            };
        }
    }

    /// Records one member of the outermost object. The last member of a key counts, as it does in
    /// [`crate::Json::get`].
    pub(crate) fn record_member(&mut self, key: MemberKey, value: Shape<'_>) {
        let text = if let Shape::String(raw) = value {
            Some(raw)
        } else {
            None
        };
        match key {
            // A colon in the name is enough to recognise a shortened native event in a test:
            // {"name": "Disk:Stalled:Executing", "content": {}}.
            MemberKey::Name => {
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
            MemberKey::Content => {
                self.0 |= Self::CONTENT;
                self.set(Self::CONTENT_TEXT, text.is_some());
                // An object that is the content was recorded when it ended, as any other one.
                if let Shape::Object(content) = value {
                    self.set(Self::CONTENT_LIST, content.all(Self::LIST));
                    self.set(Self::CONTENT_SCALAR, content.all(Self::SCALAR));
                }
            }
            MemberKey::Product => self.set_if(Self::ECS, text.is_some()),
            MemberKey::EcsIdentifier if text.is_some() => self.0 |= Self::ECS,
            MemberKey::EcsIdentifier | MemberKey::Identifier => {
                let is_other = matches!(value, Shape::Array(_) | Shape::Number);
                self.set_if(Self::OTHER_TYPE, is_other);
            }
            MemberKey::Level => self.set(
                Self::OTHER_LEVEL,
                !matches!(text, Some("INFO" | "WARN" | "CRITICAL")),
            ),
            MemberKey::Flat => self.0 |= Self::FLAT,
            MemberKey::SpecVersion => self.set(Self::SPECVERSION, text.is_some()),
            MemberKey::Type => self.set(Self::TYPE, text.is_some()),
            MemberKey::Source => {
                self.set(Self::SOURCE, text.is_some());
                let alibaba = text
                    .is_some_and(|source| source.starts_with("acs.") || source.starts_with("acs:"));
                self.set(Self::ALIBABA_SOURCE, alibaba);
            }
            MemberKey::Alert => {
                let alert = match value {
                    Shape::Object(_) => true,
                    Shape::String(raw) => is_object_text(raw),
                    Shape::Array(texts) => texts.is_object_text,
                    _ => false,
                };
                self.set(Self::ALERT, alert);
            }
            MemberKey::DetailType => self.set(Self::DETAIL_TYPE, text.is_some()),
            MemberKey::Detail => self.0 |= Self::DETAIL,
            MemberKey::RecordName => self.set(Self::RECORD_NAME, text.is_some()),
            MemberKey::RecordContent => self.0 |= Self::RECORD_CONTENT,
            MemberKey::RecordProduct => self.set(Self::RECORD_PRODUCT, text.is_some()),
            MemberKey::Container => self.0 |= Self::CONTAINER,
            MemberKey::AlibabaAttribute => self.0 |= Self::ALIBABA_ATTRIBUTE,
        }
    }

    fn set_if(&mut self, bit: u32, on: bool) {
        if on {
            self.0 |= bit;
        }
    }
}

/// A member of the outermost object that says something about the envelope or needs a conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemberKey {
    Name,
    Content,
    Product,
    /// `resourceId` and `eventTime`: as text also a sign of an event of ECS.
    EcsIdentifier,
    /// `id`, `userId` and `regionId`.
    Identifier,
    Level,
    /// One that only the flat form of Cloud Monitor has.
    Flat,
    SpecVersion,
    Type,
    Source,
    Alert,
    DetailType,
    Detail,
    RecordName,
    RecordContent,
    RecordProduct,
    Container,
    AlibabaAttribute,
}

impl MemberKey {
    /// That of a key.
    // By the length first: most keys of most events are decided by a comparison or two.
    #[inline]
    pub(crate) fn of(key: &str) -> Option<Self> {
        Some(match (key.len(), key) {
            (2, "id") | (6, "userId") | (8, "regionId") => Self::Identifier,
            (4, "name") => Self::Name,
            (4, "type") => Self::Type,
            (4, "Name") => Self::RecordName,
            (5, "level") => Self::Level,
            (5, "alert") => Self::Alert,
            (6, "source") => Self::Source,
            (6, "detail") => Self::Detail,
            (7, "product") => Self::Product,
            (7, "content") => Self::Content,
            (7, "Content") => Self::RecordContent,
            (7, "Product") => Self::RecordProduct,
            (9, "eventTime") | (10, "resourceId") => Self::EcsIdentifier,
            (11, "specversion") => Self::SpecVersion,
            (11, "detail-type") => Self::DetailType,
            (6, "status")
            | (7, "traceId")
            | (8, "ruleName" | "curLevel")
            | (9, "eventType")
            | (10, "regionName")
            | (11, "serviceType")
            | (13, "eventRealname")
            | (15, "eventRealnameEn") => Self::Flat,
            (15, "reflexarcnative") => Self::AlibabaAttribute,
            (6.., _) if key.starts_with("aliyun") => Self::AlibabaAttribute,
            (3.., _) if is_container_key(key) => Self::Container,
            _ => return None,
        })
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

    /// Adds a string of which is known whether it has escape sequences.
    #[inline]
    pub(crate) fn add_string(&mut self, raw: &str, escaped: bool) {
        let ends = raw.as_bytes();
        let is_plain = |byte: Option<&u8>| byte.is_some_and(|byte| (b'!'..0x80).contains(byte));
        self.plain &= !escaped && is_plain(ends.first()) && is_plain(ends.last());
        self.is_object_text = self.is_empty && is_object_text(raw);
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
    // Nearly every text begins with a letter or a digit.
    if raw.as_bytes().first().is_none_or(u8::is_ascii_alphanumeric) {
        return false;
    }
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
