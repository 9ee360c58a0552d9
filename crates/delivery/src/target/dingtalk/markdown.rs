//! Markdown as DingTalk renders it, from texts that an event's sender may have written.

use reflexarc_event::Json;

/// Lines that stay lines: Markdown joins them unless two spaces precede the newline.
pub(super) fn with_line_breaks(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join("  \n")
}

/// A fence for a code block with this payload. It is longer than any run of backticks inside, so
/// that the payload cannot close the block and continue as Markdown: for a payload with three
/// backticks it has four.
pub(super) fn fence(payload: &Json) -> String {
    // Backticks of the payload are not escaped by JSON, so they appear as they are.
    let text = payload.to_string();
    let longest = text
        .split(|letter| letter != '`')
        .map(str::len)
        .max()
        .unwrap_or(0);
    "`".repeat(3.max(longest + 1))
}

/// A code block.
pub(super) fn fenced(text: &str, fence: &str) -> String {
    format!("{fence}\n{text}\n{fence}")
}

/// Shows links, images and HTML as text; emphasis, lists and headings stay.
pub(super) fn escape_links(text: &str) -> String {
    // Without brackets there is neither `[text](url)` nor `![](image)`, without `<` no HTML.
    // DingTalk may still make a bare URL a link, but then its text is the URL itself.
    escape(text, "[]<")
}

/// Shows all Markdown as text.
pub(super) fn escape_all(text: &str) -> String {
    escape(text, "\\`*_{}[]<>#|~")
}

/// Precedes each of `special` with a backslash.
fn escape(text: &str, special: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if special.contains(letter) {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}
