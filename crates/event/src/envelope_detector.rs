//! Detects the envelope of an event while another pass walks over its bytes.

#![expect(
    clippy::inline_always,
    reason = "these are steps of the walk's loop; see the module `walk`"
)]

use std::borrow::Cow;
use std::ops::Range;

use crate::canonical::ContentKey;
use crate::envelope::Envelope;
use crate::json::unescape;
use crate::json::walk::{Keyword, Visitor};
use crate::markers::{EnvelopeMarkers, MemberKey, Shape, Texts};

/// Visits an event in a [walk](crate::walk::walk) and detects its [`Envelope`].
///
/// ```
/// use reflexarc_event::{Envelope, EnvelopeDetector, walk::walk};
///
/// let text = r#"{"detail-type": "x", "source": "aws.ec2", "detail": {}}"#;
/// let mut detector = EnvelopeDetector::new(text);
/// assert!(walk(text.as_bytes(), 128, EnvelopeDetector::ROOT, &mut detector).is_ok());
/// assert_eq!(detector.envelope(), Some(Envelope::Aws));
/// assert!(detector.is_native());
/// ```
// What identifies an envelope are members of the outermost object, and whether the values of its
// `content` have their canonical spelling. All else is outside: in a typical event the detector
// looks at 20 keys, and at the values of half of them.
#[derive(Debug)]
pub struct EnvelopeDetector<'a> {
    event: &'a str,
    is_object: bool,
    markers: EnvelopeMarkers,
    /// Those of the content, while the walk is in it.
    content: EnvelopeMarkers,
    /// The elements of an array in either.
    texts: Texts,
    has_space: bool,
}

/// A place of an [`EnvelopeDetector`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DetectorPlace(Place);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    /// The outermost value.
    Root,
    /// The members of the outermost object.
    Top,
    /// The value of one of them.
    Member(MemberKey),
    /// The members of the content.
    Content,
    /// The value of one of them.
    ContentMember(ContentKey),
    /// An element of an array in either.
    Element,
}

impl<'a> EnvelopeDetector<'a> {
    /// The place of the outermost value.
    pub const ROOT: DetectorPlace = DetectorPlace(Place::Root);

    /// The place of the outermost value of a text that is the content of an event.
    pub(crate) const CONTENT: DetectorPlace = DetectorPlace(Place::Member(MemberKey::Content));

    /// Detects the envelope of this event.
    pub fn new(event: &'a str) -> Self {
        Self {
            event,
            is_object: false,
            markers: EnvelopeMarkers::default(),
            content: EnvelopeMarkers::default(),
            texts: Texts::default(),
            has_space: false,
        }
    }

    /// The envelope, after a walk without an error; `None` if the document is not an object.
    pub fn envelope(&self) -> Option<Envelope> {
        self.markers().map(EnvelopeMarkers::envelope)
    }

    /// Whether it is an event that [`NativeEvent::new`](crate::NativeEvent::new) would leave
    /// unchanged; false if it is not an object.
    pub fn is_native(&self) -> bool {
        self.markers().is_some_and(EnvelopeMarkers::is_native)
    }

    /// The markers, if the document is an object.
    pub(crate) fn markers(&self) -> Option<EnvelopeMarkers> {
        self.is_object.then_some(self.markers)
    }

    /// The markers of the content, after a walk over the content alone.
    pub(crate) fn content_markers(&self) -> EnvelopeMarkers {
        self.content
    }

    /// Whether there is white space between tokens.
    pub(crate) fn has_space(&self) -> bool {
        self.has_space
    }

    #[inline]
    fn record(&mut self, place: Place, value: Shape<'_>) {
        match place {
            Place::Member(key) => self.markers.record_member(key, value),
            Place::ContentMember(key) => self.content.record_content(key, value),
            Place::Element => self.texts.add(value),
            _ => {}
        }
    }
}

impl Visitor for EnvelopeDetector<'_> {
    type Place = DetectorPlace;
    type Array = ();
    const OUTSIDE: DetectorPlace = DetectorPlace(Place::Outside);

    #[inline(always)]
    fn is_outside(place: DetectorPlace) -> bool {
        place.0 == Place::Outside
    }

    #[inline]
    fn member(&mut self, object: DetectorPlace, key: Range<usize>, escaped: bool) -> DetectorPlace {
        let key = &self.event[key];
        let key = if escaped {
            Cow::Owned(unescape(key))
        } else {
            Cow::Borrowed(key)
        };
        let place = match object.0 {
            Place::Top => MemberKey::of(&key).map(Place::Member),
            Place::Content => ContentKey::of(&key).map(Place::ContentMember),
            _ => None,
        };
        DetectorPlace(place.unwrap_or(Place::Outside))
    }

    #[inline]
    fn string(&mut self, place: DetectorPlace, text: Range<usize>, escaped: bool) {
        let raw = &self.event[text];
        if place.0 == Place::Element {
            self.texts.add_string(raw, escaped);
            return;
        }
        // Whether a CloudEvent is converted depends on it, however it is escaped.
        if escaped && place.0 == Place::Member(MemberKey::Source) {
            self.record(place.0, Shape::String(&unescape(raw)));
        } else {
            self.record(place.0, Shape::String(raw));
        }
    }

    fn number(&mut self, place: DetectorPlace, _: Range<usize>) {
        self.record(place.0, Shape::Number);
    }

    fn keyword(&mut self, place: DetectorPlace, keyword: Keyword) {
        let shape = match keyword {
            Keyword::Null => Shape::Null,
            Keyword::True => Shape::Bool(true),
            Keyword::False => Shape::Bool(false),
        };
        self.record(place.0, shape);
    }

    fn begin_object(&mut self, place: DetectorPlace) -> DetectorPlace {
        DetectorPlace(match place.0 {
            Place::Root => {
                self.is_object = true;
                Place::Top
            }
            Place::Member(MemberKey::Content) => {
                self.content = EnvelopeMarkers::default();
                Place::Content
            }
            Place::Member(_) | Place::ContentMember(_) => {
                self.record(place.0, Shape::Object(EnvelopeMarkers::default()));
                Place::Outside
            }
            _ => Place::Outside,
        })
    }

    fn end_object(&mut self, object: DetectorPlace) {
        if object.0 == Place::Content {
            let content = Shape::Object(self.content);
            self.markers.record_member(MemberKey::Content, content);
        }
    }

    fn begin_array(&mut self, place: DetectorPlace) -> (DetectorPlace, ()) {
        if !matches!(place.0, Place::Member(_) | Place::ContentMember(_)) {
            return (Self::OUTSIDE, ());
        }
        self.texts = Texts::default();
        (DetectorPlace(Place::Element), ())
    }

    // An element of an element may begin too, but then the array has such an element already.
    fn begin_element(&mut self, (): &mut ()) {
        self.texts.add(Shape::Null);
    }

    fn end_array(&mut self, place: DetectorPlace, (): ()) {
        if place.0 != Place::Element {
            self.record(place.0, Shape::Array(self.texts));
        }
    }

    fn space(&mut self) {
        self.has_space = true;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::EventError;
    use crate::json::{Json, read};

    /// Keys that identify envelopes, keys whose values have a canonical spelling, and others.
    const KEYS: [&str; 42] = [
        "name",
        "content",
        "product",
        "resourceId",
        "eventTime",
        "id",
        "userId",
        "regionId",
        "level",
        "traceId",
        "ruleName",
        "status",
        "specversion",
        "type",
        "source",
        "alert",
        "detail-type",
        "detail",
        "Name",
        "Content",
        "Product",
        "Message",
        "Sns",
        "Records",
        "reflexarcnative",
        "aliyun",
        "aliyunx",
        "aliyunregionid",
        "eniId",
        "eniStatus",
        "operation",
        "result",
        "requestId",
        "primaryPrivateIp",
        "secondaryPrivateIps",
        "secondaryPrivateIp",
        "ipv6s",
        "ipv6",
        "ipv4Prefixes",
        "x",
        "",
        "sourc\\u0065",
    ];

    const VALUES: [&str; 24] = [
        "null",
        "true",
        "-1.5e3",
        "7",
        "{}",
        "[]",
        "[1]",
        "[\"a\"]",
        "[\" a\"]",
        "[[\"a\"]]",
        "[{\"eniId\":1}, \"b\"]",
        "[\"{\"]",
        "\"{\"",
        "\"INFO\"",
        "\"info\"",
        "\"InUse\"",
        "\"In use\"",
        "\"success\"",
        "\"acs.ecs\"",
        "\"\\u0061cs.ecs\"",
        "\"Disk:Stalled\"",
        "\"NetworkInterface:x\"",
        "\"NetworkInterface:NetworkInterfaceOperateCompleted\"",
        "\"10.0.0.1 \"",
    ];

    fn document() -> impl Strategy<Value = String> {
        let value = prop::sample::select(VALUES.as_slice()).prop_map(str::to_owned);
        value.prop_recursive(3, 60, 12, |inner| {
            let member = (
                prop::sample::select(KEYS.as_slice()),
                "[ \n]{0,1}",
                inner.clone(),
            )
                .prop_map(|(key, space, value)| format!("{space}\"{key}\":{space}{value}"));
            prop_oneof![
                5 => prop::collection::vec(member, 0..12)
                    .prop_map(|members| format!("{{{}}}", members.join(","))),
                1 => prop::collection::vec(inner, 0..4)
                    .prop_map(|elements| format!("[{}]", elements.join(" ,"))),
            ]
        })
    }

    /// What the markers are used for.
    fn uses(markers: EnvelopeMarkers) -> (Envelope, [bool; 5]) {
        let uses = [
            markers.is_native(),
            markers.is_canonical(),
            markers.has_plain_envelope(),
            markers.is_alibaba(),
            markers.may_contain_events(),
        ];
        (markers.envelope(), uses)
    }

    /// The naive twin: the parser, which looks at every member of every object.
    fn by_parser(text: &str, depth: usize) -> Result<(Envelope, [bool; 5]), EventError> {
        let shape = read(text.as_bytes(), depth)
            .map_err(|error| EventError::of_json(error, text.as_bytes()))?;
        match shape {
            Shape::Object(markers) => Ok(uses(markers)),
            other => Err(EventError::NotAnObject {
                found: other.kind(),
            }),
        }
    }

    proptest! {
        #[test]
        fn the_detector_equals_the_parser(text in document(), depth in 1_usize..5) {
            let found = EnvelopeMarkers::read(&text, depth).map(uses);
            prop_assert_eq!(found, by_parser(&text, depth), "{}", text);
        }

        #[test]
        fn broken_documents_have_the_errors_of_the_parser(
            text in document(),
            cut in any::<prop::sample::Index>(),
            byte in "[\\]}{,:\"\\\\a0 -]",
        ) {
            let mut text = text;
            let at = cut.index(text.len() + 1);
            text.insert_str(at, &byte);
            let found = EnvelopeMarkers::read(&text, 128).map(uses);
            prop_assert_eq!(found, by_parser(&text, 128), "{}", text);
            prop_assert_eq!(
                EnvelopeMarkers::read(&text, 128).is_ok(),
                Json::parse(&text).is_ok_and(|json| matches!(json, Json::Object(_))),
            );
        }
    }
}
