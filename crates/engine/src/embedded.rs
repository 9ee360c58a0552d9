//! Text inside a rule file, with the way back to the bytes of the file.

use std::ops::Range;

use reflexarc_diagnostic::{Diagnostic, Span};

/// The value of a TOML string and where each of its bytes stands in the file.
///
/// In literal strings (`'…'`, `'''…'''`) the way back is a shift; in basic strings it follows each escape, so that a
/// span that starts at an escaped character starts at its backslash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Embedded {
    text: String,
    /// Where a run of equal steps begins: (offset in the text, offset in the file); never empty, ascending.
    runs: Vec<(usize, usize)>,
    /// The string in the file, quotes included.
    whole: Span,
}

impl Embedded {
    /// The string that stands at `whole` in `file` and whose value is `text`.
    pub(crate) fn new(file: &str, whole: Span, text: &str) -> Self {
        let runs = runs(file, &whole, text);
        Self {
            text: text.to_owned(),
            runs,
            whole,
        }
    }

    /// A text that is a file of its own.
    pub(crate) fn alone(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            runs: vec![(0, 0)],
            whole: 0..text.len(),
        }
    }

    /// The value of the string.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Where the string stands in the file, quotes included.
    pub(crate) fn whole(&self) -> Span {
        self.whole.clone()
    }

    /// Where a span of the text stands in the file.
    pub(crate) fn locate(&self, span: &Range<usize>) -> Span {
        self.offset(span.start)..self.offset(span.end).max(self.offset(span.start))
    }

    /// The diagnostic about the text as one about the file.
    pub(crate) fn lift(&self, mut diagnostic: Diagnostic) -> Diagnostic {
        diagnostic.span = self.locate(&diagnostic.span);
        for label in &mut diagnostic.labels {
            label.span = self.locate(&label.span);
        }
        if let Some(fix) = &mut diagnostic.fix {
            fix.span = self.locate(&fix.span);
        }
        diagnostic
    }

    fn offset(&self, at: usize) -> usize {
        let run = self
            .runs
            .partition_point(|(text, _)| *text <= at)
            .saturating_sub(1);
        let (text, file) = self.runs[run];
        (file + (at - text)).min(self.whole.end)
    }
}

fn runs(file: &str, whole: &Span, text: &str) -> Vec<(usize, usize)> {
    let raw = &file[whole.clone()];
    let quote = if raw.starts_with("'''") || raw.starts_with("\"\"\"") {
        3
    } else {
        1
    };
    let basic = raw.starts_with('"');
    let mut at = quote.min(raw.len());
    if quote == 3 {
        // TOML drops a line break right after the opening quotes.
        at += if raw[at..].starts_with("\r\n") {
            2
        } else {
            usize::from(raw[at..].starts_with('\n'))
        };
    }
    let mut runs = vec![(0, whole.start + at)];
    for (offset, character) in text.char_indices() {
        let rest = &raw[at..];
        let mut step = character.len_utf8();
        if basic && rest.starts_with('\\') {
            at += continuation(rest);
            if raw[at..].starts_with('\\') {
                step = escape(&raw[at..]);
            }
        } else if character == '\n' && rest.starts_with("\r\n") {
            step = 2;
        }
        let last = runs.last().copied().unwrap_or((0, whole.start + at));
        if last.1 + (offset - last.0) != whole.start + at {
            runs.push((offset, whole.start + at));
        }
        at = (at + step).min(raw.len());
    }
    let end = (text.len(), whole.end.saturating_sub(quote).max(whole.start));
    if runs
        .last()
        .is_some_and(|last| last.0 < end.0 && last.1 + (end.0 - last.0) != end.1)
    {
        runs.push(end);
    }
    runs
}

/// How many bytes of `\`, line break and indentation stand before the next character.
fn continuation(rest: &str) -> usize {
    let mut at = 0;
    while let Some(after) = rest[at..].strip_prefix('\\') {
        let trimmed = after.trim_start_matches([' ', '\t', '\r', '\n']);
        let skipped = after.len() - trimmed.len();
        if !after[..skipped].contains('\n') {
            break;
        }
        at += 1 + skipped;
    }
    at
}

/// How many bytes the escape at the beginning of `rest` has.
fn escape(rest: &str) -> usize {
    match rest.as_bytes().get(1) {
        Some(b'x') => 4,
        Some(b'u') => 6,
        Some(b'U') => 10,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embedded(file: &str) -> Embedded {
        let (document, errors) = toml::de::DeTable::parse_recoverable(file);
        assert!(errors.is_empty(), "{errors:?}");
        let value = document.get_ref().get("when").expect("the key is there");
        let text = value.get_ref().as_str().expect("a string");
        Embedded::new(file, value.span(), text)
    }

    /// Every needle stands at the same place in the text and in the file.
    #[track_caller]
    fn check(file: &str, needle: &str, written: &str) {
        let embedded = embedded(file);
        let start = embedded
            .text()
            .find(needle)
            .expect("the needle is in the text");
        let span = embedded.locate(&(start..start + needle.len()));
        assert_eq!(&file[span], written);
    }

    #[test]
    fn literal_strings_are_a_shift() {
        check("when = 'a == \"b\"'", "b", "b");
        check(
            "x = 1\nwhen = '''\na == 1\nand b == 2\n'''\n",
            "b == 2",
            "b == 2",
        );
        check(
            "when = '''\r\na == 1\r\nand b == 2\r\n'''\r\n",
            "b == 2",
            "b == 2",
        );
    }

    #[test]
    fn basic_strings_follow_their_escapes() {
        check(r#"when = "a == \"b\" and c""#, "c", "c");
        check(r#"when = "a == \"b\" and c""#, "\"b\"", r#"\"b\""#);
        check(
            "when = \"\"\"\na == \\u00e4 \\\n   and c\"\"\"",
            "and c",
            "and c",
        );
        check("when = \"\\x41\\U0001F600b\"", "b", "b");
    }

    #[test]
    fn the_end_of_the_text_is_the_closing_quote() {
        let file = "when = 'a =='\nlevel = 'info'";
        let embedded = embedded(file);
        let end = embedded.text().len();
        assert_eq!(embedded.locate(&(end..end)), 12..12);
        assert_eq!(&file[12..13], "'");
        assert_eq!(embedded.whole(), 7..13);
    }
}
