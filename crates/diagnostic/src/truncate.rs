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

#[cfg(test)]
mod tests {
    use super::truncate;

    #[test]
    fn characters_are_counted_not_bytes() {
        assert_eq!(truncate("网络接口", 4), "网络接口");
        assert_eq!(truncate("网络接口", 3), "网络接…");
        assert_eq!(truncate("", 0), "");
        assert_eq!(truncate("a", 0), "…");
    }
}
