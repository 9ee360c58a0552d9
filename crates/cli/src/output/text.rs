//! Text in reports: counts, truncation and control characters.

use std::borrow::Cow;

use reflexarc_event::Json;

/// Longest text shown in a report for people, in characters; longer texts are truncated.
const MAX_WIDTH: usize = 160;

/// A count with its noun: `1 event`, `2 events`.
pub(crate) fn plural(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A text on one line of at most [`MAX_WIDTH`] characters; control characters become spaces.
pub(crate) fn truncate(text: &str) -> Cow<'_, str> {
    reflexarc_diagnostic::truncate_to_line(text, MAX_WIDTH)
}

/// A string without quotes and with control characters escaped; other JSON values as JSON.
///
/// Events and responses of receivers are untrusted: an escape sequence in one of them must not
/// reach the terminal.
pub(crate) fn printable(value: &Json) -> String {
    match value {
        Json::String(text) => printable_str(text),
        other => other.to_string(),
    }
}

/// A text with control characters escaped, as in [`printable`].
pub(crate) fn printable_str(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}
