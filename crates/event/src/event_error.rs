//! Why bytes are not an event.

use reflexarc_diagnostic::{Code, Diagnostic};

use crate::json::{JsonError, Position};

/// Why bytes are not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// More bytes than [`Limits::bytes`].
    #[error("the event has {bytes} bytes, more than the {limit} allowed")]
    TooLarge {
        /// What came.
        bytes: usize,
        /// What is allowed.
        limit: usize,
    },
    /// Not JSON, nested too deeply, or not UTF-8.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// JSON, but not an object.
    #[error("an event is a JSON object, but this is {found}")]
    NotAnObject {
        /// What came: "an array", "a string" …
        found: &'static str,
    },
    /// A form without the parameter that holds the event.
    #[error("the form has neither an `alert` nor a `data` parameter, so there is no event in it")]
    EmptyForm,
    /// A parameter of a form is not the JSON text it should be; the offset counts within the decoded parameter.
    #[error("the form parameter `{parameter}` is not JSON text: {error}")]
    Form {
        /// The parameter's name.
        parameter: &'static str,
        /// What is wrong with its text.
        error: JsonError,
    },
    /// The event is valid, but its native form exceeds the limits; offsets of the inner error count in that form.
    #[error("the event cannot be converted to the native form: {0}")]
    NativeForm(Box<EventError>),
}

impl EventError {
    /// The byte it goes wrong at, counted in the bytes that were to become the event.
    pub fn offset(&self) -> Option<usize> {
        match self {
            Self::TooLarge { limit, .. } => Some(*limit),
            Self::Json(error) => Some(error.offset),
            Self::NotAnObject { .. } => Some(0),
            Self::EmptyForm | Self::Form { .. } | Self::NativeForm(_) => None,
        }
    }

    /// Line and column it goes wrong at, in the bytes that were to become the event.
    pub fn position(&self, bytes: &[u8]) -> Option<Position> {
        self.offset().map(|offset| Position::of(bytes, offset))
    }

    /// The error as a diagnostic, to be drawn into the text; bytes that are not UTF-8 may be replaced in the text.
    pub fn diagnostic(&self) -> Diagnostic {
        let at = self.offset().unwrap_or(0);
        let (code, help) = match self {
            Self::TooLarge { .. } => (Code::EVENT_TOO_LARGE, "send less, or several events"),
            Self::Json(error) => error.kind.advice(),
            Self::NotAnObject { found: "an array" } => (
                Code::EVENT_NOT_AN_OBJECT,
                "send the elements one by one, as documents of their own",
            ),
            Self::NotAnObject { .. } => (Code::EVENT_NOT_AN_OBJECT, "put the value into an object"),
            Self::EmptyForm => (
                Code::INVALID_FORM,
                "post the webhook's form as Cloud Monitor sends it, or JSON",
            ),
            Self::Form { .. } => (
                Code::INVALID_FORM,
                "each of `userInfo`, `subscription` and `alert` is JSON text",
            ),
            Self::NativeForm(error) => {
                let code = error.diagnostic().code;
                (code, "send less, or several events")
            }
        };
        let message = match self {
            Self::Json(error) => error.kind.to_string(),
            other => other.to_string(),
        };
        Diagnostic::error(code, at..at + 1, message).with_help(help)
    }
}
