//! Drawing a diagnostic into its text: the one place that knows annotate-snippets.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Patch, Renderer, Snippet};

use crate::{Diagnostic, Fix, Severity, Span};

/// The longest line that a fix is drawn into; on a longer one it is told in words.
const FIX_LINE: usize = 200;

impl Diagnostic {
    /// The diagnostic drawn for people: code, message, the lines it speaks of, labels, help and fix; with terminal
    /// colours when `color`. Spans that reach beyond the text are cut to it. Ends without a line break.
    pub fn render(&self, source_name: &str, text: &str, color: bool) -> String {
        self.render_at_line(source_name, text, 1, color)
    }

    /// As [`Diagnostic::render`], for a text that begins on line `first_line` of its source.
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
        let mut primary = AnnotationKind::Primary.span(within(text, &self.span));
        let mut others = Vec::new();
        for label in &self.labels {
            if label.span == self.span {
                primary = primary.label(label.message.as_str());
            } else {
                others.push(
                    AnnotationKind::Context
                        .span(within(text, &label.span))
                        .label(label.message.as_str()),
                );
            }
        }
        let place = Snippet::source(text)
            .line_start(first_line)
            .path(source_name)
            .annotation(primary)
            .annotations(others);
        let mut first = level
            .primary_title(self.message.as_str())
            .id(self.code.to_string())
            .element(place);
        if let Some(help) = &self.help {
            first = first.element(Level::HELP.message(help.as_str()));
        }
        let mut groups = vec![first];
        groups.extend(
            self.fix
                .as_ref()
                .map(|fix| draw(fix, source_name, text, first_line)),
        );
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        renderer.render(&groups)
    }
}

fn draw<'a>(fix: &'a Fix, source_name: &'a str, text: &'a str, first_line: usize) -> Group<'a> {
    let span = within(text, &fix.span);
    let line = line(text, &span);
    if line.len() <= FIX_LINE {
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
fn line(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[span.end..]
        .find('\n')
        .map_or(text.len(), |at| span.end + at);
    start..end
}

/// The span cut to the text and widened to whole characters.
fn within(text: &str, span: &Span) -> Range<usize> {
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
    fn a_diagnostic_shows_code_place_label_help_and_fix() {
        let text = "{\n  \"operation\": \"AttachNetworkInterfaces\"\n}";
        let drawn = Diagnostic::warning(
            Code::UNKNOWN_OPERATION,
            17..42,
            "unknown operation `AttachNetworkInterfaces`",
        )
        .with_label(17..42, "no such operation")
        .with_label(4..15, "of this event")
        .with_help("the operations are Create, Attach, Detach and DeleteNetworkInterface")
        .with_fix(17..42, "\"AttachNetworkInterface\"")
        .render("event.json", text, false);
        insta::assert_snapshot!(drawn);
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
    fn a_long_line_is_trimmed_around_the_place_and_its_fix_told_in_words() {
        let text = format!("{}WRONG{}", "a".repeat(100_000), "b".repeat(100_000));
        let drawn = Diagnostic::error(Code::EVENT_NOT_JSON, 100_000..100_005, "wrong")
            .with_fix(100_000..100_005, "right")
            .render("e", &text, false);
        assert!(drawn.len() < 2_000, "{} bytes", drawn.len());
        assert!(
            drawn.contains("WRONG") && drawn.contains("write `right` instead of `WRONG`"),
            "{drawn}"
        );
    }

    #[test]
    fn colour_is_only_there_when_asked_for() {
        let diagnostic = Diagnostic::error(Code::EVENT_NOT_JSON, 0..1, "wrong");
        assert!(!diagnostic.render("e", "x", false).contains('\u{1b}'));
        assert!(diagnostic.render("e", "x", true).contains('\u{1b}'));
    }
}
