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
            Self::Malformed(text)
                if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                write!(
                    f,
                    "invalid duration `{text}`: the unit is missing; write {text}s, {text}m or {text}h"
                )
            }
            Self::Malformed(text) if parse_duration(&text.to_lowercase()).is_ok() => write!(
                f,
                "invalid duration `{text}`: units are lower case; write {}",
                text.to_lowercase()
            ),
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

/// A duration as rule files write it, `1h30m`: [`parse_duration`] reads it as the same one.
///
/// ```
/// use reflexarc_diagnostic::{format_duration, parse_duration};
///
/// assert_eq!(format_duration(parse_duration("90 minutes")?), "1h30m");
/// # Ok::<(), reflexarc_diagnostic::DurationError>(())
/// ```
pub fn format_duration(duration: SignedDuration) -> String {
    const UNITS: [(&str, u128); 7] = [
        ("d", 86_400_000_000_000),
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
        ("ns", 1),
    ];
    if duration.is_zero() {
        return "0s".to_owned();
    }
    let mut rest = duration.as_nanos().unsigned_abs();
    let mut text = String::from(if duration.is_negative() { "-" } else { "" });
    for (unit, length) in UNITS {
        if rest >= length {
            text += &format!("{}{unit}", rest / length);
            rest %= length;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_spelt_as_in_rule_files() {
        for (text, millis) in [
            ("0s", 0),
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("7d", 604_800_000),
            ("1s500ms", 1_500),
            ("-1h", -3_600_000),
        ] {
            let duration = SignedDuration::from_millis(millis);
            assert_eq!(format_duration(duration), text);
            if millis > 0 {
                assert_eq!(parse_duration(text), Ok(duration), "{text}");
            }
        }
    }

    #[test]
    fn every_unit_is_read_as_it_is_formatted() {
        let duration = SignedDuration::new(90_061, 1_002_003);
        assert_eq!(format_duration(duration), "1d1h1m1s1ms2us3ns");
        assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
    }

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
