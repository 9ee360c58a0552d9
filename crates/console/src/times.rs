//! Times that people enter in filters.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::error::PageError;
use crate::fields::Fields;

/// What a field for a time accepts, for its hint.
pub(crate) const EXPECTED: &str = "a UTC time such as 2026-11-27 06:30, or an age such as 2h";

/// The time in a field: a timestamp, a date and time of UTC, or an age.
///
/// # Errors
/// 400 if it is neither.
pub(crate) fn time_field(
    fields: &Fields,
    name: &str,
    now: Timestamp,
) -> Result<Option<Timestamp>, PageError> {
    let Some(text) = fields.get(name) else {
        return Ok(None);
    };
    let invalid = || {
        PageError::invalid(format!(
            "invalid `{name}`: expected {EXPECTED}, found `{text}`"
        ))
    };
    read(text, now).map(Some).ok_or_else(invalid)
}

fn read(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    if let Ok(civil) = text.parse::<DateTime>() {
        return civil.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp());
    }
    let age = text.parse::<SignedDuration>().ok()?;
    now.checked_sub(age).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_dates_and_ages_are_read() {
        let now: Timestamp = "2026-11-27T06:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("2026-11-27T05:00:00+01:00", "2026-11-27T04:00:00Z"),
            ("2026-11-27T05:30", "2026-11-27T05:30:00Z"),
            ("2026-11-27 05:30:07", "2026-11-27T05:30:07Z"),
            ("2026-11-26", "2026-11-26T00:00:00Z"),
            ("2h", "2026-11-27T04:00:00Z"),
            ("1h 30m", "2026-11-27T04:30:00Z"),
        ] {
            assert_eq!(
                read(text, now).map(|at| at.to_string()).as_deref(),
                Some(expected)
            );
        }
        for text in ["yesterday", "2026-13-01", "7"] {
            assert_eq!(read(text, now), None, "{text}");
        }
        let fields = Fields::parse(b"from=%3Cb%3E&until=");
        assert!(time_field(&fields, "from", now).is_err());
        assert_eq!(time_field(&fields, "until", now), Ok(None));
    }
}
