//! Why bytes are not an event.

use reflexarc_diagnostic::{Code, Diagnostic};

use crate::OtherFormat;
use crate::json::{JsonError, Position};

/// Why bytes are not an event.
///
/// ```
/// use reflexarc_event::Event;
///
/// let text = "{\"a\": 1,\n \"b\": nan}";
/// let error = Event::from_json(text).expect_err("not JSON");
/// assert_eq!(error.to_string(), "expected a JSON value (byte 15)");
/// let position = error.position(text.as_bytes()).map(|position| position.to_string());
/// assert_eq!(position.as_deref(), Some("line 2, column 7"));
/// assert_eq!(error.diagnostic().code.to_string(), "RA0002");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// More bytes than [`crate::Limits::bytes`].
    #[error("the event has {bytes} bytes, more than the {limit} allowed")]
    TooLarge {
        /// The length of the event.
        bytes: usize,
        /// The maximum length.
        limit: usize,
    },
    /// Not JSON, nested too deeply, or not UTF-8.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// JSON, but not an object.
    #[error("expected a JSON object, found {found}")]
    NotAnObject {
        /// Its type: "an array", "a string" …
        found: &'static str,
    },
    /// Not JSON, but in another format that is known by its first bytes.
    #[error("expected JSON, found {0}")]
    OtherFormat(OtherFormat),
    /// A form without the parameter that holds the event.
    #[error(
        "missing form parameter `alert` or `data`; found {found}{}",
        alarm_note(*.is_metric_alarm)
    )]
    EmptyForm {
        /// The names of the first parameters.
        found: String,
        /// Whether they are those of a metric alarm of Cloud Monitor.
        is_metric_alarm: bool,
    },
    /// A parameter of a form is not JSON text. The offset of the error counts in the decoded
    /// parameter.
    #[error("form parameter `{parameter}` is not JSON text: {error}")]
    Form {
        /// The parameter's name.
        parameter: &'static str,
        /// The error in its text.
        error: JsonError,
    },
    /// One of the events in a document is invalid; offsets of the inner error count in that event.
    #[error("event {number} of the document: {error}")]
    Contained {
        /// Its number, from 1.
        number: usize,
        /// Why it is invalid.
        error: Box<EventError>,
    },
    /// A document contains more events than [`crate::Limits::contained`].
    #[error("the document contains more than the {limit} events allowed")]
    TooManyEvents {
        /// The maximum number.
        limit: usize,
    },
    /// Documents are contained in each other more deeply than [`crate::Limits::nesting`].
    #[error("documents are nested more than {limit} levels deep")]
    TooNested {
        /// The maximum number of levels.
        limit: usize,
    },
    /// A document of several events, or of none, in place of one event.
    #[error("expected one event, found a document that contains {count}")]
    SeveralEvents {
        /// How many it contains.
        count: usize,
    },
    /// A request of Amazon SNS to confirm a subscription: no event, but without an answer there
    /// will be none.
    #[error("SNS waits for the confirmation of a subscription: open {url}")]
    SubscriptionConfirmation {
        /// The value of `SubscribeURL`. It comes from the sender.
        url: String,
    },
    /// A record of `DescribeInstanceHistoryEvents`, which has no event form.
    #[error(
        "a record of DescribeInstanceHistoryEvents is not an event: it has neither the name nor \
         the resource of one; take the events from DescribeSystemEventAttribute of Cloud Monitor"
    )]
    InstanceHistory,
    /// The event is valid, but its native form exceeds the limits; offsets of the inner error count
    /// in that form.
    #[error("the event cannot be converted to the native form: {0}")]
    NativeForm(Box<EventError>),
}

impl EventError {
    /// The offset of the error in the bytes that were read.
    pub fn offset(&self) -> Option<usize> {
        match self {
            Self::TooLarge { limit, .. } => Some(*limit),
            Self::Json(error) => Some(error.offset),
            Self::NotAnObject { .. } | Self::OtherFormat(_) => Some(0),
            Self::EmptyForm { .. }
            | Self::SubscriptionConfirmation { .. }
            | Self::InstanceHistory
            | Self::Form { .. }
            | Self::Contained { .. }
            | Self::TooManyEvents { .. }
            | Self::TooNested { .. }
            | Self::SeveralEvents { .. }
            | Self::NativeForm(_) => None,
        }
    }

    /// Line and column of the error in the bytes that were read.
    pub fn position(&self, bytes: &[u8]) -> Option<Position> {
        self.offset().map(|offset| Position::of(bytes, offset))
    }

    /// The error of bytes that are not JSON: the format that they have instead, if it is known.
    pub(crate) fn of_json(error: JsonError, bytes: &[u8]) -> Self {
        // Bytes of one of these formats fail within their first few, so an event that breaks off
        // later costs nothing more, and keeps the place of its error.
        const START: usize = 64;
        let other = (error.offset < START).then(|| OtherFormat::of(bytes));
        other.flatten().map_or(Self::Json(error), Self::OtherFormat)
    }

    /// The error as a diagnostic. Bytes that are not UTF-8 may be replaced in the text that it is
    /// rendered into.
    pub fn diagnostic(&self) -> Diagnostic {
        let at = self.offset().unwrap_or(0);
        let (code, help) = match self {
            Self::TooLarge { .. } => (Code::EVENT_TOO_LARGE, "send a smaller event, or several"),
            Self::Json(error) => error.kind.advice(),
            Self::NotAnObject { found: "an array" } => (
                Code::EVENT_NOT_AN_OBJECT,
                "send each element as a document of its own",
            ),
            Self::NotAnObject { .. } => (Code::EVENT_NOT_AN_OBJECT, "wrap the value in an object"),
            Self::OtherFormat(_) => (Code::EVENT_NOT_JSON, "send the event as JSON in UTF-8"),
            Self::EmptyForm { .. } => (
                Code::INVALID_FORM,
                "post the form of a system event as Cloud Monitor sends it, or JSON",
            ),
            Self::SubscriptionConfirmation { .. } => (
                Code::NO_EVENT,
                "check that the address is that of SNS in your region, then open it in a browser",
            ),
            Self::InstanceHistory => (
                Code::NO_EVENT,
                "export the history with DescribeSystemEventAttribute",
            ),
            Self::Form { .. } => (
                Code::INVALID_FORM,
                "write `userInfo`, `subscription` and `alert` as JSON text",
            ),
            Self::Contained { error, .. } => {
                let inner = error.diagnostic();
                let mut diagnostic = Diagnostic::error(inner.code, at..at + 1, self.to_string());
                diagnostic.help = inner.help;
                return diagnostic;
            }
            Self::TooManyEvents { .. } => (Code::EVENT_TOO_LARGE, "send fewer events at once"),
            Self::TooNested { .. } => (
                Code::EVENT_TOO_DEEP,
                "take the innermost documents out of the others",
            ),
            Self::SeveralEvents { .. } => (
                Code::EVENT_NOT_AN_OBJECT,
                "take the events out of the document, as `Document::read` does",
            ),
            Self::NativeForm(error) => {
                let code = error.diagnostic().code;
                (code, "send a smaller event, or several")
            }
        };
        let message = match self {
            Self::Json(error) => error.kind.to_string(),
            other => other.to_string(),
        };
        Diagnostic::error(code, at..at + 1, message).with_help(help)
    }
}

/// What a form is that is no system event.
fn alarm_note(is_metric_alarm: bool) -> &'static str {
    if is_metric_alarm {
        "; an alarm of a metric is not a system event: subscribe to events"
    } else {
        ""
    }
}
