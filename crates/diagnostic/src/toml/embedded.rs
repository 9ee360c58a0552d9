//! A text inside a TOML file, with the location of each of its bytes.

use std::ops::Range;

use crate::{Diagnostic, Fix, Span};

/// The value of a TOML string, with a mapping from its bytes to those of the file.
///
/// Filters and scripts are written as strings inside a rule file. Their parsers report spans in the
/// value of the string; [`EmbeddedText::map_spans`] turns these into spans in the file.
///
/// ```
/// use reflexarc_diagnostic::toml::{Document, FaultCodes};
///
/// let file = r#"when = "a == \"b\" or c""#;
/// let document = Document::parse(file, "the rule", FaultCodes::RULE);
/// let when = document.root().embedded("when").expect("a string");
/// assert_eq!(when.text(), r#"a == "b" or c"#);
/// let at = when.text().find('c').expect("part of the text");
/// assert_eq!(&file[when.locate(&(at..at + 1))], "c");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedText {
    text: String,
    segments: Vec<Segment>,
    /// The string in the file, quotes included.
    span: Span,
    kind: StringKind,
    /// Whether the lines of the string end in `\r\n`.
    has_crlf: bool,
    /// Whether every byte of the text was found in the file. Not so after a syntax error inside the
    /// string, such as an invalid escape; then locations are approximate, and there are no fixes.
    is_located: bool,
}

/// How a text is written in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StringKind {
    /// The text is the file.
    File,
    /// `"…"`, and other values that TOML has for a text, such as a bare key.
    Basic,
    /// `"""…"""`
    MultilineBasic,
    /// `'…'`
    Literal,
    /// `'''…'''`
    MultilineLiteral,
}

/// A stretch of the text that is written in the file byte for byte; it reaches to the next segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    /// Where it begins in the text.
    text: usize,
    /// Where it begins in the file.
    file: usize,
}

impl EmbeddedText {
    /// The string at `span` in `file` (quotes included), whose value is `text`.
    pub fn new(file: &str, span: Span, text: &str) -> Self {
        let (segments, is_located) = segments(file, &span, text);
        Self {
            text: text.to_owned(),
            segments,
            is_located,
            kind: StringKind::of(&file[span.clone()]),
            has_crlf: file[span.clone()].contains("\r\n"),
            span,
        }
    }

    /// A text that is a file of its own: every byte maps to itself.
    pub fn standalone(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            segments: vec![Segment { text: 0, file: 0 }],
            span: 0..text.len(),
            kind: StringKind::File,
            has_crlf: false,
            is_located: true,
        }
    }

    /// The value of the string.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The value of the string.
    pub fn into_text(self) -> String {
        self.text
    }

    /// The location of the whole string in the file, quotes included.
    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// The location in the file of a span of the text.
    pub fn locate(&self, span: &Range<usize>) -> Span {
        let start = self.offset(span.start);
        start..self.offset(span.end).max(start)
    }

    /// A diagnostic about the text as one about the file: all its spans are mapped, and the fix is
    /// spelled as this kind of string needs it. A fix that the string cannot hold becomes help.
    pub fn map_spans(&self, mut diagnostic: Diagnostic) -> Diagnostic {
        diagnostic.span = self.locate(&diagnostic.span);
        for label in &mut diagnostic.labels {
            label.span = self.locate(&label.span);
        }
        if let Some(fix) = diagnostic.fix.take() {
            match self.escaped(&fix) {
                Some(replacement) => {
                    let span = self.locate(&fix.span);
                    diagnostic.fix = Some(Fix { span, replacement });
                }
                None if diagnostic.help.is_none() => {
                    diagnostic.help = Some(format!("write `{}`", fix.replacement));
                }
                None => {}
            }
        }
        diagnostic
    }

    /// The replacement as it is written inside the string; `None` if this kind of string has no way
    /// to write it.
    fn escaped(&self, fix: &Fix) -> Option<String> {
        if !self.is_located {
            return None;
        }
        let normal = fix.replacement.replace("\r\n", "\n");
        let new = match self.kind {
            StringKind::MultilineBasic | StringKind::MultilineLiteral => normal.as_str(),
            _ => fix.replacement.as_str(),
        };
        // Three quotes in a row end a multi-line string, so a quote may not touch another one.
        let crowded = |quote: char| {
            let before = self.text.get(..fix.span.start).unwrap_or_default();
            let after = self.text.get(fix.span.end..).unwrap_or_default();
            let touches = |text: Option<char>| text.is_none_or(|c| c == quote);
            new.contains(&String::from_iter([quote, quote]))
                || new.starts_with(quote) && touches(before.chars().next_back())
                || new.ends_with(quote) && touches(after.chars().next())
        };
        // Fixes are written with `\n`; the file keeps its line ends.
        let with_line_ends = |text: String| {
            if self.has_crlf {
                text.replace('\n', "\r\n")
            } else {
                text
            }
        };
        match self.kind {
            StringKind::File => Some(new.to_owned()),
            StringKind::Basic => Some(escape(new, true, true)),
            StringKind::MultilineBasic => Some(with_line_ends(escape(new, crowded('"'), false))),
            StringKind::Literal | StringKind::MultilineLiteral if has_control(new) => None,
            StringKind::Literal => (!new.contains(['\'', '\n'])).then(|| new.to_owned()),
            StringKind::MultilineLiteral => {
                (!new.contains('\'') || !crowded('\'')).then(|| with_line_ends(new.to_owned()))
            }
        }
    }

    fn offset(&self, at: usize) -> usize {
        // The last segment that begins at or before `at`; the first one begins at 0.
        let next = self.segments.partition_point(|segment| segment.text <= at);
        let Segment { text, file } = self.segments[next.saturating_sub(1)];
        (file + (at - text)).min(self.span.end)
    }
}

impl StringKind {
    /// The kind of a string, from how it is written.
    fn of(raw: &str) -> Self {
        if raw.starts_with("\'\'\'") {
            Self::MultilineLiteral
        } else if raw.starts_with('\'') {
            Self::Literal
        } else if raw.starts_with("\"\"\"") {
            Self::MultilineBasic
        } else {
            Self::Basic
        }
    }
}

/// Escapes a text for a basic string; `quotes` and `lines` tell whether quotes and line breaks are
/// escaped too.
fn escape(text: &str, quotes: bool, lines: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => escaped.push_str("\\\\"),
            '"' if quotes => escaped.push_str("\\\""),
            '\n' if lines => escaped.push_str("\\n"),
            '\n' | '\t' => escaped.push(character),
            c if c.is_control() => escaped.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Whether the text has a character that a literal string must not contain.
fn has_control(text: &str) -> bool {
    text.chars()
        .any(|c| c.is_control() && !matches!(c, '\n' | '\t'))
}

/// The segments of a string, ascending, at least one, and whether they are exact.
///
/// The parser gives the value of a string and where the string is, but not where each escape is, so
/// the raw string is read again beside its value. Example: the file holds `when = "a\tb\
///   c"`, the value is `a⇥bc`. Then
///
/// ```text
/// text   0 1 2 3          segments
/// value  a ⇥ b c          (0 → 8)   a and the backslash of \t
/// file   8 9 11 16        (2 → 11)  b: the escape had two bytes for one
///                         (3 → 16)  c: after the line continuation and its indentation
/// ```
///
/// A literal string (`'…'`, `'''…'''`) has one segment, unless its lines end in `\r\n`.
fn segments(file: &str, span: &Span, text: &str) -> (Vec<Segment>, bool) {
    let raw = &file[span.clone()];
    let quote = if raw.starts_with("'''") || raw.starts_with("\"\"\"") {
        3
    } else {
        1
    };
    let has_escapes = raw.starts_with('"');
    let mut is_exact = true;
    let mut at = quote.min(raw.len());
    // `ä"` has no opening quote; the parser reports it, and takes it for a string.
    while !raw.is_char_boundary(at) {
        at += 1;
        is_exact = false;
    }
    if quote == 3 {
        // TOML drops a line break right after the opening quotes.
        at += line_break(&raw[at..]);
    }
    let mut last = Segment {
        text: 0,
        file: span.start + at,
    };
    let mut segments = vec![last];
    for (offset, character) in text.char_indices() {
        let mut written = character.len_utf8();
        let is_escape = has_escapes && raw[at..].starts_with('\\');
        if is_escape {
            at += continuations(&raw[at..]);
            if raw[at..].starts_with('\\') {
                written = escape_len(&raw[at..]);
            }
        } else if character == '\n' {
            // TOML reads a line break of two bytes as one.
            written = line_break(&raw[at..]).max(written);
        }
        is_exact &= is_escape || raw[at..].starts_with([character, '\r']);
        if last.file + (offset - last.text) != span.start + at {
            last = Segment {
                text: offset,
                file: span.start + at,
            };
            segments.push(last);
        }
        at = (at + written).min(raw.len());
        // `\ä` is no escape; the parser reports it, and goes on.
        while !raw.is_char_boundary(at) {
            at += 1;
            is_exact = false;
        }
    }
    // The end of the text is the closing quote, also where the last character was an escape or a
    // line continuation follows it.
    let end = Segment {
        text: text.len(),
        file: span.end.saturating_sub(quote).max(span.start),
    };
    if last.text < end.text && last.file + (end.text - last.text) != end.file {
        segments.push(end);
    }
    (segments, is_exact)
}

/// The length of the line break at the beginning of `rest`; 0 if there is none.
fn line_break(rest: &str) -> usize {
    if rest.starts_with("\r\n") {
        2
    } else {
        usize::from(rest.starts_with('\n'))
    }
}

/// The length of the line continuations at the beginning of `rest`: a backslash, a line break and
/// all white space after it, any number of times.
fn continuations(rest: &str) -> usize {
    let mut at = 0;
    while let Some(after) = rest[at..].strip_prefix('\\') {
        let trimmed = after.trim_start_matches([' ', '\t', '\r', '\n']);
        let white_space = after.len() - trimmed.len();
        if !after[..white_space].contains('\n') {
            break;
        }
        at += 1 + white_space;
    }
    at
}

/// The length of the escape at the beginning of `rest`.
fn escape_len(rest: &str) -> usize {
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

    fn embedded(file: &str) -> EmbeddedText {
        let (document, errors) = ::toml::de::DeTable::parse_recoverable(file);
        assert!(errors.is_empty(), "{errors:?}");
        let value = document.get_ref().get("when").expect("key is present");
        let text = value.get_ref().as_str().expect("value is a string");
        EmbeddedText::new(file, value.span(), text)
    }

    /// Asserts that `needle` of the text is located at `written` in the file.
    #[track_caller]
    fn check(file: &str, needle: &str, written: &str) {
        let embedded = embedded(file);
        let start = embedded.text().find(needle).expect("needle is in the text");
        let span = embedded.locate(&(start..start + needle.len()));
        assert_eq!(&file[span], written);
    }

    #[test]
    fn literal_strings_map_by_a_constant() {
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
    fn escapes_map_to_their_backslash() {
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
    fn the_end_of_the_text_maps_to_the_closing_quote() {
        let file = "when = 'a =='\nlevel = 'info'";
        let embedded = embedded(file);
        let end = embedded.text().len();
        assert_eq!(embedded.locate(&(end..end)), 12..12);
        assert_eq!(&file[12..13], "'");
        assert_eq!(embedded.span(), 7..13);
    }

    /// The file after the fix that replaces `needle` by `replacement`; `None` if the fix is
    /// dropped.
    fn fixed(file: &str, needle: &str, replacement: &str) -> Option<String> {
        let embedded = embedded(file);
        let start = embedded.text().find(needle).expect("needle is in the text");
        let span = start..start + needle.len();
        let found = Diagnostic::error(crate::Code::SYNTAX, span.clone(), "wrong");
        let found = embedded.map_spans(found.with_fix(span, replacement));
        assert_eq!(found.fix.is_none(), found.help.is_some());
        let fix = found.fix?;
        let mut text = file.to_owned();
        text.replace_range(fix.span, &fix.replacement);
        Some(text)
    }

    /// Asserts that the fixed file parses and its string is `expected`.
    #[track_caller]
    fn check_fix(file: &str, needle: &str, replacement: &str, expected: &str) {
        let fixed = fixed(file, needle, replacement).expect("the string can hold the fix");
        assert_eq!(embedded(&fixed).text(), expected, "{fixed}");
    }

    #[test]
    fn fixes_are_escaped_for_basic_strings() {
        let file = r#"when = "{\"a\": [{\"prefxi\": \"x\"}]}""#;
        let right = r#"{"a": [{"prefix": "x"}]}"#;
        check_fix(file, r#""prefxi""#, r#""prefix""#, right);
        check_fix(r#"when = "a == b""#, "b", r#""\d""#, r#"a == "\d""#);
        check_fix(r#"when = "a == b""#, "b", "\n\u{1}", "a == \n\u{1}");
    }

    #[test]
    fn fixes_are_escaped_for_multi_line_strings() {
        let file = "when = \"\"\"\na == b and \"\"\"";
        check_fix(file, "b", "\"b\"", "a == \"b\" and ");
        assert!(fixed(file, "b", "\"b\"").unwrap().contains("a == \"b\""));
        check_fix("when = \"\"\"a == b\"\"\"", "b", "\"b\"", "a == \"b\"");
        check_fix("when = \"\"\"a == \"\"x\"\"\"", "x", "\"", "a == \"\"\"");
    }

    #[test]
    fn fixes_keep_the_line_ends_of_the_file() {
        for quotes in ["\"\"\"", "'''"] {
            let file = format!("when = {quotes}\r\na == b\r\n{quotes}\r\n");
            let fixed = fixed(&file, "b", "1\nor a == 2").expect("the string can hold the fix");
            let text = embedded(&fixed).into_text().replace('\r', "");
            assert_eq!(text, "a == 1\nor a == 2\n");
            assert_eq!(fixed.matches('\n').count(), fixed.matches("\r\n").count());
        }
    }

    #[test]
    fn strings_with_syntax_errors_have_no_fixes() {
        let file = "when = \"a == \\އ b\"";
        let (document, errors) = ::toml::de::DeTable::parse_recoverable(file);
        assert!(!errors.is_empty());
        let value = document.get_ref().get("when").expect("key is present");
        let text = value.get_ref().as_str().expect("value is a string");
        let embedded = EmbeddedText::new(file, value.span(), text);
        let found = Diagnostic::error(crate::Code::SYNTAX, 0..1, "wrong").with_fix(0..1, "b");
        assert_eq!(embedded.map_spans(found).fix, None);
    }

    #[test]
    fn strings_without_an_opening_quote_have_no_fixes() {
        let file = "when = ä\"";
        let text = EmbeddedText::new(file, 7..10, "ä");
        assert!(!text.is_located);
        assert!(file.get(text.locate(&(0..2))).is_some());
    }

    #[test]
    fn fixes_that_a_literal_string_cannot_hold_become_help() {
        check_fix("when = 'a == b'", "b", "\"b\"", "a == \"b\"");
        assert_eq!(fixed("when = 'a == b'", "b", "'b'"), None);
        assert_eq!(fixed("when = 'a == b'", "b", "\u{1}"), None);
        check_fix("when = '''a == b or'''", "b", "'b'", "a == 'b' or");
        assert_eq!(fixed("when = '''a == b'''", "b", "'b'"), None);
    }
}
