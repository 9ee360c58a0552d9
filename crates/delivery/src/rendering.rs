//! Rendering that all targets share: a delivery as JSON, its summary, shortened texts.

use reflexarc_event::Json;
use reflexarc_reaction::Action;
use reqwest::Url;

use crate::delivery::Delivery;

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

#[cfg(test)]
mod tests {
    use super::*;

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
