//! Why bytes are not an event.

use reflexarc_diagnostic::{Code, Diagnostic};

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
    /// A form without the parameter that holds the event.
    #[error("missing form parameter `alert` or `data`")]
    EmptyForm,
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
    /// A document of several events, or of none, in place of one event.
    #[error("expected one event, found a document that contains {count}")]
    SeveralEvents {
        /// How many it contains.
        count: usize,
    },
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
            Self::NotAnObject { .. } => Some(0),
            Self::EmptyForm
            | Self::Form { .. }
            | Self::Contained { .. }
            | Self::TooManyEvents { .. }
            | Self::SeveralEvents { .. }
            | Self::NativeForm(_) => None,
        }
    }

    /// Line and column of the error in the bytes that were read.
    pub fn position(&self, bytes: &[u8]) -> Option<Position> {
        self.offset().map(|offset| Position::of(bytes, offset))
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
            Self::EmptyForm => (
                Code::INVALID_FORM,
                "post the form as Cloud Monitor sends it, or JSON",
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
