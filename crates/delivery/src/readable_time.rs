//! Times as people read them: `2019-04-09 12:18:26 +08:00` for `20190409T121826.922+0800`.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use reflexarc_event::parse_time;
use reflexarc_reaction::{Action, Message};

use crate::delivery::Delivery;

/// A time zone by its name, such as `Asia/Shanghai`, or an offset, such as `+08:00`.
pub(crate) fn time_zone(text: &str) -> Option<TimeZone> {
    let zone = TimeZone::get(text).ok();
    zone.or_else(|| Some(TimeZone::fixed(offset(text)?)))
}

/// An instant in a time zone, to the second; in UTC where none is configured.
pub(crate) fn show(at: Timestamp, zone: Option<&TimeZone>) -> String {
    show_in(at, &zone.cloned().unwrap_or(TimeZone::UTC))
}

/// The delivery with the times in its message as people read them. Documents, which are for
/// programs, stay as they are.
pub(crate) fn with_readable_times<'a>(
    delivery: &'a Delivery,
    zone: Option<&TimeZone>,
) -> Cow<'a, Delivery> {
    let Action::Notify {
        target, message, ..
    } = &delivery.action
    else {
        return Cow::Borrowed(delivery);
    };
    let (title, text) = (
        readable(&message.title, zone),
        readable(&message.text, zone),
    );
    if title == message.title && text == message.text {
        return Cow::Borrowed(delivery);
    }
    let mut changed = Message::new(text)
        .with_title(title)
        .with_level(message.level)
        .with_at(message.at.clone());
    changed.link.clone_from(&message.link);
    Cow::Owned(Delivery {
        action: Action::notify(target, changed),
        ..delivery.clone()
    })
}

/// The text with its times in `zone`; without one each stays in the offset that it was written in.
//
// Only what stands alone is a time. `https://example.com/?from=2019-04-09T04:18:26Z` must stay a
// link that works, and `"2019-04-09T04:18:26Z"` in quotes may be JSON that someone copies.
fn readable(text: &str, zone: Option<&TimeZone>) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(is_delimiter).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let time = word.trim_end_matches(['.', ':', '?', '!']);
        match readable_time(time, zone) {
            Some(readable) => {
                shown.push_str(&readable);
                shown.push_str(&word[time.len()..]);
            }
            None => shown.push_str(word),
        }
        let next = after.find(|letter| !is_delimiter(letter));
        let (delimiters, after) = after.split_at(next.unwrap_or(after.len()));
        shown.push_str(delimiters);
        rest = after;
    }
    shown
}

fn readable_time(word: &str, zone: Option<&TimeZone>) -> Option<String> {
    // `parse_time` reads bare digits as milliseconds too, which could be any number.
    let looks_like_time = word.starts_with(|first: char| first.is_ascii_digit())
        && word.contains('T')
        && word.is_ascii();
    let at = looks_like_time.then(|| parse_time(word).ok())??;
    Some(match zone {
        Some(zone) => show_in(at, zone),
        None => show_in(at, &TimeZone::fixed(written_offset(word)?)),
    })
}

/// The offset that a time ends with.
fn written_offset(word: &str) -> Option<Offset> {
    if word.ends_with('Z') {
        return Some(Offset::UTC);
    }
    // The two zone names that events use in place of an offset.
    if word.ends_with("Asia/Shanghai") || word.ends_with("PRC") {
        return Some(Offset::constant(8));
    }
    offset(&word[word.rfind(['+', '-'])?..])
}

/// `+08:00` or `+0800`.
fn offset(text: &str) -> Option<Offset> {
    let sign = match text.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let digits = text[1..].replacen(':', "", 1);
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |part: &str| part.parse::<i32>().ok();
    let (hours, minutes) = (number(&digits[..2])?, number(&digits[2..])?);
    Offset::from_seconds(sign * (hours * 3_600 + minutes * 60)).ok()
}

fn show_in(at: Timestamp, zone: &TimeZone) -> String {
    let local = at.to_zoned(zone.clone());
    // Not the zone's abbreviation: CST is China's and Chicago's.
    let format = if local.offset() == Offset::UTC {
        "%Y-%m-%d %H:%M:%S UTC"
    } else {
        "%Y-%m-%d %H:%M:%S %:z"
    };
    local.strftime(format).to_string()
}

/// What separates words. Letters beyond ASCII do, so that `时间：2019-04-09T04:18:26Z。` has a time.
fn is_delimiter(letter: char) -> bool {
    letter.is_whitespace() || !letter.is_ascii() || "()[]{},;|".contains(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_events_become_readable() {
        let shanghai = time_zone("Asia/Shanghai").unwrap();
        for (text, own, local) in [
            (
                "time: 20190409T121826.922+0800",
                "time: 2019-04-09 12:18:26 +08:00",
                "time: 2019-04-09 12:18:26 +08:00",
            ),
            (
                "(2019-04-09T04:18:26Z).",
                "(2019-04-09 04:18:26 UTC).",
                "(2019-04-09 12:18:26 +08:00).",
            ),
            (
                "从2019-11-11T11:00Z到2020-11-19T21:04:42.179PRC。",
                "从2019-11-11 11:00:00 UTC到2020-11-19 21:04:42 +08:00。",
                "从2019-11-11 19:00:00 +08:00到2020-11-19 21:04:42 +08:00。",
            ),
            (
                "at 2019-04-09T04:18:26-03:30: down\n",
                "at 2019-04-09 04:18:26 -03:30: down\n",
                "at 2019-04-09 15:48:26 +08:00: down\n",
            ),
        ] {
            assert_eq!(readable(text, None), own);
            assert_eq!(readable(text, Some(&shanghai)), local);
        }
    }

    #[test]
    fn what_is_no_time_of_its_own_stays() {
        for text in [
            "",
            "see https://example.com/?from=2019-04-09T04:18:26Z",
            "{\"time\":\"2019-04-09T04:18:26Z\"}",
            "`2019-04-09T04:18:26Z`",
            "2019-04-09",
            "1715650212345",
            "2019-13-09T04:18:26Z",
            "order-2019-04-09T04:18:26Z",
            "20190409T121826.922+0800-eni",
        ] {
            assert_eq!(readable(text, time_zone("UTC").as_ref()), text);
        }
    }

    #[test]
    fn time_zones_are_names_or_offsets() {
        let shown = |zone: &str| show(Timestamp::UNIX_EPOCH, time_zone(zone).as_ref());
        assert_eq!(shown("Asia/Shanghai"), "1970-01-01 08:00:00 +08:00");
        assert_eq!(shown("UTC"), "1970-01-01 00:00:00 UTC");
        assert_eq!(shown("+05:30"), "1970-01-01 05:30:00 +05:30");
        assert_eq!(show(Timestamp::UNIX_EPOCH, None), "1970-01-01 00:00:00 UTC");
        for unknown in ["", "Asia/Shangai", "8", "+8", "+99:00", "+08:0x"] {
            assert!(time_zone(unknown).is_none(), "{unknown}");
        }
    }
}
