//! The error for a text that is not a value of a type.

use reflexarc_diagnostic::truncate;

/// Characters of the text that the error keeps.
const MAX_CHARS: usize = 80;

/// The error for a text that is not a value of the type: of [`Level`](crate::Level),
/// [`Operation`](crate::Operation), [`EniStatus`](crate::EniStatus),
/// [`OperationResult`](crate::OperationResult), [`Arn`](crate::Arn) or
/// [`Decimal`](crate::Decimal), or not a time ([`parse_time`](crate::parse_time)).
///
/// ```
/// use reflexarc_event::Level;
///
/// let error = "LOUD".parse::<Level>().expect_err("no level");
/// assert_eq!(error.to_string(), "invalid level `LOUD`; expected INFO, WARN or CRITICAL");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {kind} `{text}`; expected {expected}")]
pub struct ParseError {
    kind: &'static str,
    expected: &'static str,
    /// Truncated, so that an error about a text of any size is small.
    text: Box<str>,
}

impl ParseError {
    pub(crate) fn new(kind: &'static str, expected: &'static str, text: &str) -> Self {
        Self {
            kind,
            expected,
            text: truncate(text, MAX_CHARS).into(),
        }
    }
}
