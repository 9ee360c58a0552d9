//! Envelopes: the forms in which events arrive, detected by their top-level members.

use crate::markers::{EnvelopeMarkers, Shape, Texts};

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
        (markers.envelope(), markers.is_native())
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
                    Member::Array(plain) => Shape::Array(Texts::known(plain)),
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
    pub const UNKNOWN: Self = Self(EnvelopeMarkers::UNKNOWN);
}

impl std::fmt::Display for Envelope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
