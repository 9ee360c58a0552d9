//! Times in the spellings that events use.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::ParseError;

/// The offset of the two zone names in CloudEvents times; it has been the same since 1991.
const BEIJING: Offset = Offset::constant(8);

/// Parses a time in one of the spellings that events use:
///
/// - basic ISO 8601, `20190409T121826.922+0800` (native form),
/// - RFC 3339, `2020-11-19T21:04:41+08:00` (CloudEvents, content), also to the minute,
///   `2019-11-11T11:00Z`,
/// - either with `Asia/Shanghai` or `PRC` in place of the offset,
///   `2020-08-17T16:04:46.149Asia/Shanghai`; both mean +08:00,
/// - milliseconds since 1970 as 12 to 15 digits, `1715650212345` (Cloud Monitor webhook).
///
/// # Errors
/// If the text is not a time, or a time without an offset.
///
/// ```
/// use reflexarc_event::parse_time;
///
/// assert_eq!(parse_time("20190409T121826.922+0800")?, parse_time("2019-04-09T04:18:26.922Z")?);
/// assert!(parse_time("2019-04-09T04:18:26").is_err());
/// # Ok::<(), reflexarc_event::ParseError>(())
/// ```
pub fn parse_time(text: &str) -> Result<Timestamp, ParseError> {
    const EXPECTED: &str = "date and time with an offset, such as 2019-04-09T12:18:26+08:00";
    read(text).ok_or_else(|| ParseError::new("time", EXPECTED, text))
}

fn read(text: &str) -> Option<Timestamp> {
    // The longest spelling above has 36 bytes. Annotations in brackets, which jiff accepts, are in
    // no event.
    if text.len() > 48 || text.contains('[') {
        return None;
    }
    // 12 to 15 digits are milliseconds from 1973 to beyond 9999. Fewer digits could be a date or
    // seconds and are not accepted.
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let milliseconds = (12..=15)
            .contains(&text.len())
            .then(|| text.parse().ok())??;
        return Timestamp::from_millisecond(milliseconds).ok();
    }
    match text
        .strip_suffix("Asia/Shanghai")
        .or_else(|| text.strip_suffix("PRC"))
    {
        Some(local) => {
            let local: DateTime = local.contains(['T', 't']).then(|| local.parse().ok())??;
            BEIJING.to_timestamp(local).ok()
        }
        None => text.parse().ok(),
    }
}

/// The time in the native form, in +0800 to the millisecond: `20190409T121826.922+0800`.
pub(crate) fn compact(time: Timestamp) -> String {
    write_compact(BEIJING.to_datetime(time))
}

/// The time in RFC 3339 for CloudEvents, in +08:00, with milliseconds unless they are zero.
pub(crate) fn rfc3339(time: Timestamp) -> String {
    write_rfc3339(BEIJING.to_datetime(time))
}

/// A time in the native form and in RFC 3339, as converting the former gives it; `None` for a text
/// that is not a time, or not one of a year with four digits.
pub(crate) fn in_both_forms(text: &str) -> Option<(String, String)> {
    let time = BEIJING.to_datetime(parse_time(text).ok()?);
    let years = 1..=9999;
    years
        .contains(&time.year())
        .then(|| (write_compact(time), write_rfc3339(time)))
}

fn write_compact(time: DateTime) -> String {
    let mut text = *b"yyyymmddThhmmss.mmm+0800";
    let fields = [
        (4..6, time.month()),
        (6..8, time.day()),
        (9..11, time.hour()),
        (11..13, time.minute()),
        (13..15, time.second()),
    ];
    for (at, number) in fields {
        write_digits(number.into(), &mut text[at]);
    }
    write_digits(time.millisecond(), &mut text[16..19]);
    with_year(time.year(), &mut text)
}

fn write_rfc3339(time: DateTime) -> String {
    let mut text = *b"yyyy-mm-ddThh:mm:ss.mmm+08:00";
    let fields = [
        (5..7, time.month()),
        (8..10, time.day()),
        (11..13, time.hour()),
        (14..16, time.minute()),
        (17..19, time.second()),
    ];
    for (at, number) in fields {
        write_digits(number.into(), &mut text[at]);
    }
    write_digits(time.millisecond(), &mut text[20..23]);
    if time.millisecond() == 0 {
        text.copy_within(23.., 19);
        return with_year(time.year(), &mut text[..25]);
    }
    with_year(time.year(), &mut text)
}

/// The decimal digits of a number that has not more, with zeros before them. The formatting of the
/// standard library took a third of the conversion of a CloudEvent.
fn write_digits(number: i16, digits: &mut [u8]) {
    let mut rest = number.unsigned_abs();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
    }
}

/// The text with the year as its first four bytes; in full if it is before the year 0.
fn with_year(year: i16, text: &mut [u8]) -> String {
    write_digits(year, &mut text[..4]);
    let text = std::str::from_utf8(text).expect("digits and ASCII punctuation");
    if year < 0 {
        format!("{year:04}{}", &text[4..])
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn same(text: &str, utc: &str) {
        assert_eq!(parse_time(text), Ok(utc.parse().unwrap()), "{text}");
    }

    #[test]
    fn documented_spellings_are_parsed() {
        same("20190409T121826.922+0800", "2019-04-09T04:18:26.922Z");
        same("20190409T121826+0800", "2019-04-09T04:18:26Z");
        same("2019-04-09T04:18:26Z", "2019-04-09T04:18:26Z");
        same("2019-11-11T11:00Z", "2019-11-11T11:00:00Z");
        same("2020-11-19T21:04:41+08:00", "2020-11-19T13:04:41Z");
        same("2021-04-08T06:28:17.093Z", "2021-04-08T06:28:17.093Z");
        same(
            "2020-08-17T16:04:46.149Asia/Shanghai",
            "2020-08-17T08:04:46.149Z",
        );
        same("2020-11-19T21:04:42.179PRC", "2020-11-19T13:04:42.179Z");
        same("20201119T210442.179PRC", "2020-11-19T13:04:42.179Z");
        same("1715650212345", "2024-05-14T01:30:12.345Z");
    }

    #[test]
    fn other_texts_are_not_times() {
        for text in [
            "",
            " ",
            "Z",
            "PRC",
            "Asia/Shanghai",
            "2019-04-09",
            "2019-04-09PRC",
            "20190409",
            "12:18",
            "1715650212",
            "2019-04-09T04:18:26",
            "2019-04-09T04:18:26ZPRC",
            "2019-13-09T04:18:26Z",
            "2019-04-31T04:18:26Z",
            "2019-04-09T24:18:26Z",
            "2019-04-09T04:18:26America/New_York",
            "2019-04-09T04:18:26Z[UTC]",
            "9999999999999999",
            "2019-**-09T04:18:26Z",
            "T",
            "NaN",
            "-715650212345",
        ] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_of_the_last_year_have_both_forms() {
        let forms = |text| in_both_forms(text).map(|(compact, _)| compact);
        let last = "99991231T060000.000+0800".to_owned();
        assert_eq!(forms("9999-12-30T22:00:00Z"), Some(last));
        assert_eq!(
            forms("9999-01-01T00:00:00+08:00"),
            Some("99990101T000000.000+0800".to_owned())
        );
        assert_eq!(forms("9999-12-30T23:00:00Z"), None);
    }

    proptest! {
        #[test]
        fn written_times_are_parsed_again(milliseconds in 100_000_000_000i64..253_402_200_000_000) {
            let time = Timestamp::from_millisecond(milliseconds).unwrap();
            prop_assert_eq!(parse_time(&compact(time)), Ok(time));
            prop_assert_eq!(parse_time(&rfc3339(time)), Ok(time));
            prop_assert_eq!(parse_time(&time.to_string()), Ok(time));
            prop_assert_eq!(parse_time(&milliseconds.to_string()), Ok(time));
            let expected = BEIJING.to_datetime(time).strftime("%Y%m%dT%H%M%S.%3f+0800");
            prop_assert_eq!(compact(time), expected.to_string());
            let both = in_both_forms(&milliseconds.to_string());
            prop_assert_eq!(both, Some((compact(time), rfc3339(time))));
            let again = parse_time(&compact(time)).unwrap();
            prop_assert_eq!(rfc3339(again), rfc3339(time));
        }

        #[test]
        fn times_of_all_years_are_written(seconds in -62_200_000_000i64..253_000_000_000) {
            let time = Timestamp::from_second(seconds).unwrap();
            let expected = BEIJING.to_datetime(time);
            let year = format!("{:04}", expected.year());
            let rest = expected.strftime("%m%dT%H%M%S.%3f+0800");
            prop_assert_eq!(compact(time), format!("{year}{rest}"));
            let rest = expected.strftime("-%m-%dT%H:%M:%S+08:00");
            prop_assert_eq!(rfc3339(time), format!("{year}{rest}"));
        }

        #[test]
        fn any_text_is_handled(text in ".{0,50}") {
            let _ = parse_time(&text);
        }
    }
}
