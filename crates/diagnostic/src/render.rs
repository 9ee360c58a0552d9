//! Rendering a diagnostic for people; the only user of annotate-snippets.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Patch, Renderer, Snippet};

use crate::{Diagnostic, Fix, Severity, Span};

/// The longest line, in bytes, that is shown with a fix applied; for a longer one, the fix is
/// described in a sentence.
const MAX_FIX_LINE: usize = 200;

impl Diagnostic {
    /// Renders severity, code, message, the annotated lines, help and fix, with terminal colours if
    /// `color`. Spans that reach beyond the text are cut to it. The result ends without a line
    /// break.
    ///
    /// ```
    /// use reflexarc_diagnostic::{Code, Diagnostic};
    ///
    /// let finding = Diagnostic::error(Code::SYNTAX, 2..3, "unexpected `=`");
    /// let rendered = finding.render("leaked-eni.toml", "a = 1", false);
    /// assert!(rendered.starts_with("error[RA0101]: unexpected `=`"));
    /// assert!(rendered.contains("--> leaked-eni.toml:1:3"));
    /// ```
    pub fn render(&self, source_name: &str, text: &str, color: bool) -> String {
        self.render_at_line(source_name, text, 1, color)
    }

    /// As [`Diagnostic::render`], for a text that begins on line `first_line` of its source.
    ///
    /// ```
    /// use reflexarc_diagnostic::{Code, Diagnostic};
    ///
    /// let finding = Diagnostic::error(Code::SYNTAX, 2..3, "unexpected `=`");
    /// let rendered = finding.render_at_line("filters.jsonl", "a = 1", 40, false);
    /// assert!(rendered.contains("--> filters.jsonl:40:3"));
    /// ```
    pub fn render_at_line(
        &self,
        source_name: &str,
        text: &str,
        first_line: usize,
        color: bool,
    ) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Hint => Level::HELP.with_name("hint"),
        };
        let mut primary = AnnotationKind::Primary.span(clamped(text, &self.span));
        let mut others = Vec::new();
        for label in &self.labels {
            if label.span == self.span {
                primary = primary.label(label.message.as_str());
            } else {
                others.push(
                    AnnotationKind::Context
                        .span(clamped(text, &label.span))
                        .label(label.message.as_str()),
                );
            }
        }
        let snippet = Snippet::source(text)
            .line_start(first_line)
            .path(source_name)
            .annotation(primary)
            .annotations(others);
        let mut first = level
            .primary_title(self.message.as_str())
            .id(self.code.to_string())
            .element(snippet);
        if let Some(help) = &self.help {
            first = first.element(Level::HELP.message(help.as_str()));
        }
        let mut groups = vec![first];
        groups.extend(
            self.fix
                .as_ref()
                .map(|fix| render_fix(fix, source_name, text, first_line)),
        );
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        renderer.render(&groups)
    }
}

fn render_fix<'a>(
    fix: &'a Fix,
    source_name: &'a str,
    text: &'a str,
    first_line: usize,
) -> Group<'a> {
    let span = clamped(text, &fix.span);
    let line = lines(text, &span);
    if line.len() <= MAX_FIX_LINE {
        let patch = Patch::new(span, fix.replacement.as_str());
        return Level::HELP.secondary_title("write this").element(
            Snippet::source(text)
                .line_start(first_line)
                .path(source_name)
                .patch(patch),
        );
    }
    let title = match &text[span] {
        "" => format!("insert `{}`", fix.replacement),
        old => format!("write `{}` instead of `{old}`", fix.replacement),
    };
    Group::with_title(Level::HELP.secondary_title(title))
}

/// The lines that the span touches.
fn lines(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[span.end..]
        .find('\n')
        .map_or(text.len(), |at| span.end + at);
    start..end
}

/// The span cut to the text and widened to whole characters. Diagnostics of bytes that are not
/// UTF-8 are rendered into a lossy copy of the text, so spans can be anywhere.
pub(crate) fn clamped(text: &str, span: &Span) -> Range<usize> {
    let mut start = span.start.min(text.len());
    let mut end = span.end.clamp(start, text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    while !text.is_char_boundary(end) {
        end += 1;
    }
    start..end
}

#[cfg(test)]
mod tests {
    use crate::{Code, Diagnostic};

    #[test]
    fn code_span_labels_help_and_fix_are_rendered() {
        let text = "{\n  \"operation\": \"AttachNetworkInterfaces\"\n}";
        let rendered = Diagnostic::warning(
            Code::UNKNOWN_OPERATION,
            17..42,
            "unknown operation `AttachNetworkInterfaces`",
        )
        .with_label(17..42, "no such operation")
        .with_label(4..15, "of this event")
        .with_help("the operations are Create, Attach, Detach and DeleteNetworkInterface")
        .with_fix(17..42, "\"AttachNetworkInterface\"")
        .render("event.json", text, false);
        insta::assert_snapshot!(rendered);
    }

    #[test]
    fn spans_are_cut_to_the_text_and_to_whole_characters() {
        let inside = Diagnostic::error(Code::EVENT_NOT_JSON, 2..3, "inside a character")
            .render("e", "\"é\"", false);
        assert!(inside.contains("--> e:1:2"), "{inside}");
        let beyond =
            Diagnostic::error(Code::EVENT_NOT_JSON, 90..91, "the end").render("e", "{", false);
        assert!(beyond.contains("--> e:1:2"), "{beyond}");
        let empty = Diagnostic::error(Code::EVENT_NOT_JSON, 0..0, "nothing").render("e", "", false);
        assert!(empty.contains("--> e:1:1"), "{empty}");
    }

    #[test]
    fn long_lines_are_trimmed_around_the_span() {
        let text = format!("{}WRONG{}", "a".repeat(100_000), "b".repeat(100_000));
        let rendered = Diagnostic::error(Code::EVENT_NOT_JSON, 100_000..100_005, "wrong")
            .with_fix(100_000..100_005, "right")
            .render("e", &text, false);
        assert!(rendered.len() < 2_000, "{} bytes", rendered.len());
        assert!(
            rendered.contains("WRONG") && rendered.contains("write `right` instead of `WRONG`"),
            "{rendered}"
        );
    }

    #[test]
    fn colours_are_optional() {
        let diagnostic = Diagnostic::error(Code::EVENT_NOT_JSON, 0..1, "wrong");
        assert!(!diagnostic.render("e", "x", false).contains('\u{1b}'));
        assert!(diagnostic.render("e", "x", true).contains('\u{1b}'));
    }
}
