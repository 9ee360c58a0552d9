//! Lengths of time as rules and scripts write them: `90s`, `10m`, `1h30m`, `24h`, `7d`.

use jiff::{SignedDuration, Span, SpanRelativeTo};

/// Reads a length of time, longer than zero; a day has 24 hours, a week seven days.
///
/// # Errors
/// With a sentence on what is wrong, when it is no such text, is not longer than zero, or counts in months or years,
/// which have no fixed length.
pub fn parse_duration(text: &str) -> Result<SignedDuration, String> {
    let wrong =
        || format!("`{text}` is no length of time; write it as in 90s, 10m, 1h30m, 24h or 7d");
    let span: Span = text.trim().parse().map_err(|_| wrong())?;
    if span.get_years() != 0 || span.get_months() != 0 {
        return Err(format!(
            "`{text}` has no fixed length; write it in days, as in 30d"
        ));
    }
    let duration = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| wrong())?;
    if duration.is_positive() {
        Ok(duration)
    } else {
        Err(format!("`{text}` is not longer than zero"))
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
    fn what_is_no_length_of_time_says_so() {
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
