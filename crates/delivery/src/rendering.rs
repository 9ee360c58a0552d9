//! Rendering that all targets share: a delivery as JSON, its summary, shortened texts.

use std::borrow::Cow;

use jiff::tz::TimeZone;
use reflexarc_event::Json;
use reflexarc_reaction::{Action, Message};
use reqwest::Url;

use crate::delivery::Delivery;
use crate::readable_time::with_readable_times;

/// The longest link; browsers and chat clients accept no longer ones reliably.
pub(crate) const LINK_BYTES: usize = 2_048;

/// A delivery as commands and files receive it.
pub(crate) fn delivery_to_json(delivery: &Delivery) -> Json {
    let event = &delivery.event;
    let mut json = Json::object([
        ("id", delivery.id.to_string().into()),
        (
            "event",
            Json::object([
                ("source", event.source.as_str().into()),
                ("id", event.id.as_str().into()),
            ]),
        ),
        ("resource", delivery.resource.as_str().into()),
        ("rule", delivery.rule.as_str().into()),
        ("attempt", Json::count(delivery.attempt)),
        ("created", delivery.created.to_string().into()),
        ("replay", Json::optional(delivery.replay.as_deref())),
    ]);
    // `target` and `notify` or `send` are members of the same object, as in the stored action.
    if let (Json::Object(members), Json::Object(action)) = (&mut json, delivery.action.to_json()) {
        members.extend(action);
    }
    json
}

/// The delivery as it is shown: with readable times, without a title that only repeats the text,
/// and with a remark in place of a link that is too long.
pub(crate) fn prepared<'a>(delivery: &'a Delivery, zone: Option<&TimeZone>) -> Cow<'a, Delivery> {
    let mut shown = with_readable_times(delivery, zone);
    let Action::Notify { message, .. } = &shown.action else {
        return shown;
    };
    let repeats = !message.title.is_empty() && message.title.trim() == message.text.trim();
    let long_link = message.link.as_ref().map(String::len);
    let long_link = long_link.filter(|bytes| *bytes > LINK_BYTES);
    if (repeats || long_link.is_some())
        && let Action::Notify { message, .. } = &mut shown.to_mut().action
    {
        if repeats {
            message.title.clear();
        }
        if let Some(bytes) = long_link {
            message
                .text
                .push_str(&format!("\n(a link of {bytes} bytes was left out)"));
        }
    }
    shown
}

/// The message's link, if it is one of the web, cannot break out of its line and is not too long.
pub(crate) fn web_link(message: &Message) -> Option<&str> {
    message.link.as_deref().filter(|link| {
        is_web_link(link)
            && link.len() <= LINK_BYTES
            && !link.contains(|c: char| c.is_control() || c == ' ')
    })
}

/// What a delivery is about, in one line: a message's title or first line, or a document.
pub(crate) fn summary(delivery: &Delivery) -> String {
    match &delivery.action {
        Action::Notify { message, .. } if message.title.is_empty() => {
            message.text.lines().next().unwrap_or_default().to_owned()
        }
        Action::Notify { message, .. } => message.title.clone(),
        Action::Send { payload, .. } => payload.to_string(),
        Action::Call {
            operation,
            parameters,
            ..
        } => format!("{operation} {parameters}"),
    }
}

/// Whether a message's link is one of the web. Its text may come from an event, and a client may
/// run `javascript:` or open `file:` links.
pub(crate) fn is_web_link(link: &str) -> bool {
    link.starts_with("https://") || link.starts_with("http://")
}

/// The host of a URL, with the port if it is not the usual one.
pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Shortens a receiver's response to its first `limit` bytes, cut at a character, followed by `…`
/// and the full size.
///
/// ```
/// use reflexarc_delivery::shorten;
///
/// assert_eq!(shorten("accepted", 100), "accepted");
/// assert_eq!(shorten("no such user", 7), "no such… (12 bytes)");
/// ```
pub fn shorten(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    format!("{}… ({} bytes)", truncate(text, limit), text.len())
}

/// The text if it has at most `limit` bytes, else its beginning, cut at a character, and `…`.
pub(crate) fn ellipsize(text: &str, limit: usize) -> String {
    const ELLIPSIS: &str = "…";
    if text.len() <= limit {
        return text.to_owned();
    }
    let kept = truncate(text, limit.saturating_sub(ELLIPSIS.len()));
    format!("{}{ELLIPSIS}", kept.trim_end())
}

/// The text in one line: control characters and Unicode's line separators become spaces.
pub(crate) fn one_line(text: &str) -> String {
    // A newline in a title would end the heading, and the rest would be Markdown of its own.
    text.split(|letter: char| letter.is_control() || letter == '\u{2028}' || letter == '\u{2029}')
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// At most the first `limit` bytes, cut at a character.
pub(crate) fn truncate(text: &str, limit: usize) -> &str {
    // A limit within a character moves back to its start: `好` has 3 bytes, so 5 bytes of `好好`
    // are one character.
    let end = (0..=limit.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// The text if it has at most `limit` characters, else its beginning and `…`.
pub(crate) fn ellipsize_chars(text: &str, limit: usize) -> String {
    if text.chars().nth(limit).is_none() {
        return text.to_owned();
    }
    let kept: String = text.chars().take(limit - 1).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_have_a_limit_in_characters() {
        assert_eq!(ellipsize_chars("网卡网卡", 4), "网卡网卡");
        assert_eq!(ellipsize_chars("网卡网卡网", 4), "网卡网…");
    }

    #[test]
    fn long_texts_end_with_an_ellipsis() {
        assert_eq!(ellipsize("network", 7), "network");
        assert_eq!(ellipsize("networks", 7), "netw…");
        assert_eq!(ellipsize("net works", 7), "net…");
        // A character of 3 bytes is kept whole or not at all.
        assert_eq!(ellipsize("网卡网卡", 9), "网卡…");
        assert_eq!(ellipsize("网卡网卡", 8), "网…");
        assert_eq!(ellipsize("网卡", 2), "…");
    }
}
