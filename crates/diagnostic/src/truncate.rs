//! Shortening texts for display.

use std::borrow::Cow;

/// The text, or its first `max_chars` characters and an ellipsis where it has more. For display:
/// limits of protocols and stores count bytes and need their own handling.
///
/// ```
/// use reflexarc_diagnostic::truncate;
///
/// assert_eq!(truncate("eni-1", 5), "eni-1");
/// assert_eq!(truncate("eni-12", 5), "eni-1…");
/// ```
pub fn truncate(text: &str, max_chars: usize) -> Cow<'_, str> {
    match text.char_indices().nth(max_chars) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// A text that may have been cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truncated<'a> {
    /// The text, with an ellipsis where it was cut.
    pub text: Cow<'a, str>,
    /// Whether it was cut.
    pub is_cut: bool,
}

/// The text, or as many of its first characters as have at most `max_bytes` bytes and an ellipsis
/// where it has more; the ellipsis does not count.
///
/// ```
/// use reflexarc_diagnostic::truncate_to_bytes;
///
/// assert_eq!(truncate_to_bytes("网络", 6).text, "网络");
/// assert_eq!(truncate_to_bytes("网络", 5).text, "网…");
/// assert!(truncate_to_bytes("网络", 5).is_cut);
/// ```
pub fn truncate_to_bytes(text: &str, max_bytes: usize) -> Truncated<'_> {
    if text.len() <= max_bytes {
        let text = Cow::Borrowed(text);
        return Truncated {
            text,
            is_cut: false,
        };
    }
    let is_boundary = |at: &usize| text.is_char_boundary(*at);
    // A character has at most four bytes, and 0 is a boundary, so there always is one.
    let end = (0..=max_bytes).rev().find(is_boundary).unwrap_or(0);
    Truncated {
        text: Cow::Owned(format!("{}…", &text[..end])),
        is_cut: true,
    }
}

/// The text as [`truncate`] leaves it, on one line: every control character becomes a space, so
/// that neither a line break nor an escape sequence of untrusted text reaches the terminal.
///
/// ```
/// use reflexarc_diagnostic::truncate_to_line;
///
/// assert_eq!(truncate_to_line("two\nlines", 80), "two lines");
/// assert_eq!(truncate_to_line("\u{1b}[31mred", 5), " [31m…");
/// ```
pub fn truncate_to_line(text: &str, max_chars: usize) -> Cow<'_, str> {
    // Truncated first: a payload may have a megabyte, of which a report shows one line.
    let text = truncate(text, max_chars);
    if text.contains(char::is_control) {
        Cow::Owned(text.replace(char::is_control, " "))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{truncate, truncate_to_bytes, truncate_to_line};

    #[test]
    fn characters_are_counted_not_bytes() {
        assert_eq!(truncate("网络接口", 4), "网络接口");
        assert_eq!(truncate("网络接口", 3), "网络接…");
        assert_eq!(truncate("", 0), "");
        assert_eq!(truncate("a", 0), "…");
    }

    #[test]
    fn a_cut_text_has_whole_characters_and_at_most_the_bytes() {
        for (max_bytes, text) in [
            (0, "…"),
            (1, "a…"),
            (2, "a…"),
            (3, "a…"),
            (4, "a网…"),
            (7, "a网络"),
        ] {
            let cut = truncate_to_bytes("a网络", max_bytes);
            assert_eq!(
                (cut.text.as_ref(), cut.is_cut),
                (text, max_bytes < 7),
                "{max_bytes}"
            );
        }
    }

    #[test]
    fn control_characters_count_and_become_spaces() {
        assert_eq!(truncate_to_line("a\tb\u{7f}c\u{85}d", 7), "a b c d");
        assert_eq!(truncate_to_line("a\nb\nc", 3), "a b…");
        assert_eq!(truncate_to_line("", 3), "");
    }
}
