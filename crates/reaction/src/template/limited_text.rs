//! The text of a rendering, which is cut at a size.

use std::io::{self, Write};

/// A text that is cut at a size, and refuses more.
// Rendering into a `String` would fill the memory first and be measured afterwards: within its fuel
// a template can print a field of 1 MiB thousands of times.
pub(super) struct LimitedText {
    text: String,
    max_bytes: usize,
    is_full: bool,
}

impl LimitedText {
    /// An empty text that is cut at a size in bytes.
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            text: String::new(),
            max_bytes,
            is_full: false,
        }
    }

    /// Whether it was cut.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// The text, which ends with `…` where it was cut.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// Fills the text up with the beginning of `more`, then cuts it so that `…` has room.
    fn fill(&mut self, more: &str) {
        const ELLIPSIS: &str = "…";
        let floor = |text: &str, most: usize| {
            let ends = (0..=most.min(text.len())).rev();
            ends.into_iter()
                .find(|end| text.is_char_boundary(*end))
                .unwrap_or(0)
        };
        let room = self.max_bytes.saturating_sub(self.text.len());
        self.text.push_str(&more[..floor(more, room)]);
        let end = floor(&self.text, self.max_bytes.saturating_sub(ELLIPSIS.len()));
        self.text.truncate(end);
        self.text.push_str(ELLIPSIS);
        self.is_full = true;
    }
}

impl Write for LimitedText {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let more = str::from_utf8(bytes).map_err(io::Error::other)?;
        if self.is_full || self.text.len() + more.len() > self.max_bytes {
            if !self.is_full {
                self.fill(more);
            }
            return Err(io::Error::other("too much text"));
        }
        self.text.push_str(more);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
