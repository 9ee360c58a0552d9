//! Texts within a line: where long names may break, and what is code in them.

use std::fmt::{self, Display};

use askama::filters::{Escaper, Html, HtmlSafe};

use crate::text::Block;

/// A long name without spaces, such as a resource: it breaks after `:`, `/` and `_` where it must.
pub(crate) struct Breakable(String);

/// A sentence whose parts within backticks are code.
pub(crate) struct WithCode(String);

/// A name that may break.
pub(crate) fn breakable(name: impl Display) -> Breakable {
    Breakable(name.to_string())
}

/// A sentence with code.
pub(crate) fn with_code(text: impl AsRef<str>) -> WithCode {
    WithCode(Block::new(text.as_ref()).text.to_string())
}

impl Display for Breakable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive([':', '/', '_']) {
            Html.write_escaped_str(&mut *f, part)?;
            if part.ends_with([':', '/', '_']) {
                f.write_str("<wbr>")?;
            }
        }
        Ok(())
    }
}

impl Display for WithCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = self.0.split('`').peekable();
        let mut is_code = false;
        while let Some(part) = parts.next() {
            let is_last = parts.peek().is_none();
            match (is_code, is_last) {
                (false, _) => Html.write_escaped_str(&mut *f, part)?,
                (true, false) => {
                    f.write_str("<code>")?;
                    Html.write_escaped_str(&mut *f, part)?;
                    f.write_str("</code>")?;
                }
                // A backtick without its partner is itself.
                (true, true) => {
                    f.write_str("`")?;
                    Html.write_escaped_str(&mut *f, part)?;
                }
            }
            is_code = !is_code;
        }
        Ok(())
    }
}

// Both escape what they are given.
impl HtmlSafe for Breakable {}
impl HtmlSafe for WithCode {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_break_at_separators() {
        let shown = |name: &str| breakable(name).to_string();
        assert_eq!(shown("a:b/c_d"), "a:<wbr>b/<wbr>c_<wbr>d");
        assert_eq!(shown("</i>"), "&#60;/<wbr>i&#62;");
        assert_eq!(shown(""), "");
    }

    #[test]
    fn backticks_are_code() {
        let shown = |text: &str| with_code(text).to_string();
        assert_eq!(
            shown("see `a <b>`, `c`"),
            "see <code>a &#60;b&#62;</code>, <code>c</code>"
        );
        assert_eq!(shown("a `b <i>"), "a `b &#60;i&#62;");
        assert_eq!(shown("``\u{202e}"), "<code></code>\\u{202e}");
    }
}
