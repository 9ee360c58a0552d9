//! Durations as rules, scripts and the configuration write them: `90s`, `10m`, `1h30m`, `24h`,
//! `7d`.

use std::fmt;

use jiff::{SignedDuration, Span, SpanRelativeTo};

/// Why a text is not a duration, with the text.
///
/// ```
/// use reflexarc_diagnostic::{DurationError, parse_duration};
///
/// assert!(matches!(parse_duration("1mo"), Err(DurationError::VariableLength(_))));
/// let error = parse_duration("0s").expect_err("no duration");
/// assert_eq!(error.to_string(), "invalid duration `0s`; it must be longer than zero");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DurationError {
    /// It does not have the form of one.
    Malformed(String),
    /// It counts in months or years, which have no fixed length.
    VariableLength(String),
    /// It is zero or negative.
    NotPositive(String),
}

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(text) => write!(
                f,
                "invalid duration `{text}`; write it as 90s, 10m, 1h30m, 24h or 7d"
            ),
            Self::VariableLength(text) => write!(
                f,
                "invalid duration `{text}`: months and years vary in length; \
                 write it in days, as 30d"
            ),
            Self::NotPositive(text) => {
                write!(f, "invalid duration `{text}`; it must be longer than zero")
            }
        }
    }
}

impl std::error::Error for DurationError {}

/// Reads a duration longer than zero. A day has 24 hours, a week seven days.
///
/// # Errors
/// If the text is not a duration, is not longer than zero, or counts in months or years.
///
/// ```
/// use reflexarc_diagnostic::parse_duration;
///
/// assert_eq!(parse_duration("1h30m")?.as_secs(), 5_400);
/// assert!(parse_duration("soon").is_err());
/// # Ok::<(), reflexarc_diagnostic::DurationError>(())
/// ```
pub fn parse_duration(text: &str) -> Result<SignedDuration, DurationError> {
    let malformed = |_| DurationError::Malformed(text.to_owned());
    let span: Span = text.trim().parse().map_err(malformed)?;
    if span.get_years() != 0 || span.get_months() != 0 {
        return Err(DurationError::VariableLength(text.to_owned()));
    }
    let duration = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(malformed)?;
    if duration.is_positive() {
        Ok(duration)
    } else {
        Err(DurationError::NotPositive(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_add_up() {
        for (text, seconds) in [
            ("90s", 90),
            ("10m", 600),
            ("1h30m", 5_400),
            ("1h 30m", 5_400),
            ("24h", 86_400),
            ("7d", 604_800),
            ("2w", 1_209_600),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(SignedDuration::from_secs(seconds)),
                "{text}"
            );
        }
        assert_eq!(
            parse_duration("500ms"),
            Ok(SignedDuration::from_millis(500))
        );
    }

    #[test]
    fn invalid_durations_are_errors() {
        for text in [
            "",
            "10",
            "m",
            "ten minutes",
            "0s",
            "-5m",
            "1mo",
            "1y",
            "99999999999h",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
