//! Markdown for a terminal: styled headings and code, aligned tables, wrapped paragraphs.

mod table;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use self::table::CellTable;
use super::{Paint, painted};

/// Renders Markdown for a terminal of `width` columns, with escape sequences if `colour`. Blocks of
/// code are indented and not wrapped.
pub(crate) fn render(text: &str, width: usize, colour: bool) -> String {
    let mut renderer = Renderer::new(width, colour);
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        renderer.event(event);
    }
    renderer.output.trim_end().to_owned() + "\n"
}

struct Renderer {
    width: usize,
    colour: bool,
    output: String,
    /// The text of the paragraph, heading, item or cell in progress, with escape sequences.
    inline: String,
    /// The styles in force, innermost last.
    styles: Vec<Paint>,
    /// For each open list, the number of its next item if it is ordered.
    lists: Vec<Option<u64>>,
    /// The mark of an item until its first line is written.
    mark: Option<String>,
    table: Option<CellTable>,
    in_code_block: bool,
}

impl Renderer {
    fn new(width: usize, colour: bool) -> Self {
        Self {
            width,
            colour,
            output: String::new(),
            inline: String::new(),
            styles: Vec::new(),
            lists: Vec::new(),
            mark: None,
            table: None,
            in_code_block: false,
        }
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.in_code_block => self.code_lines(&text),
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => self.words(&text),
            Event::Code(text) => {
                self.styles.push(Paint::Blue);
                self.words(&text);
                self.styles.pop();
            }
            Event::SoftBreak => self.inline.push(' '),
            Event::HardBreak => self.inline.push('\n'),
            Event::Rule => self.block(&"─".repeat(self.width.min(20))),
            _ => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Heading { level, .. } => {
                self.styles.push(Paint::Bold);
                if level > HeadingLevel::H1 {
                    self.styles.push(Paint::Yellow);
                }
            }
            Tag::Strong => self.styles.push(Paint::Bold),
            Tag::Emphasis => self.styles.push(Paint::Dim),
            Tag::List(first) => {
                self.flush();
                self.lists.push(first);
            }
            Tag::Item => {
                let mark = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        *number += 1;
                        format!("{}. ", *number - 1)
                    }
                    _ => "• ".to_owned(),
                };
                self.mark = Some(mark);
            }
            Tag::CodeBlock(kind) => {
                self.in_code_block = true;
                self.code_label(&kind);
            }
            Tag::Table(_) => self.table = Some(CellTable::default()),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(_) => {
                self.styles.clear();
                self.flush();
                self.output.push('\n');
            }
            TagEnd::Paragraph => {
                self.flush();
                self.output.push('\n');
            }
            TagEnd::Strong | TagEnd::Emphasis => {
                self.styles.pop();
            }
            TagEnd::Item => self.flush(),
            TagEnd::List(_) => {
                self.lists.pop();
                if self.lists.is_empty() {
                    self.output.push('\n');
                }
            }
            TagEnd::CodeBlock => {
                self.in_code_block = false;
                self.output.push('\n');
            }
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.inline);
                if let Some(table) = &mut self.table {
                    table.cell(cell);
                }
            }
            TagEnd::TableHead | TagEnd::TableRow => {
                if let Some(table) = &mut self.table {
                    table.end_row();
                }
            }
            TagEnd::Table => {
                if let Some(table) = self.table.take() {
                    let header = |text: &str| self.painted(Paint::Bold, text);
                    let text = table.render(self.width, header);
                    self.output.push_str(&text);
                    self.output.push('\n');
                }
            }
            _ => {}
        }
    }

    /// Adds text to the current line; each word has its own escape sequences, so that a line break
    /// between two words never falls into a styled stretch.
    fn words(&mut self, text: &str) {
        let styled: Vec<String> = text.split(' ').map(|word| self.styled(word)).collect();
        self.inline.push_str(&styled.join(" "));
    }

    fn styled(&self, text: &str) -> String {
        let mut styled = text.to_owned();
        if !text.is_empty() {
            for style in &self.styles {
                styled = self.painted(*style, &styled);
            }
        }
        styled
    }

    fn painted(&self, paint: Paint, text: &str) -> String {
        if self.colour {
            painted(paint, &text)
        } else {
            text.to_owned()
        }
    }

    /// What a block is about: the words after the language, such as `wrong` or `matches`.
    fn code_label(&mut self, kind: &CodeBlockKind<'_>) {
        self.flush();
        if let CodeBlockKind::Fenced(info) = kind
            && let Some((_, label)) = info.split_once(' ')
        {
            let label = self.painted(Paint::Dim, &format!("{label}:"));
            self.output.push_str(&format!("  {label}\n"));
        }
    }

    fn code_lines(&mut self, text: &str) {
        for line in text.lines() {
            if !line.is_empty() {
                let line = self.painted(Paint::Green, line);
                self.output.push_str(&format!("    {line}"));
            }
            self.output.push('\n');
        }
    }

    /// Writes the current text as wrapped lines, indented as the open lists are.
    fn flush(&mut self) {
        let text = std::mem::take(&mut self.inline);
        if !text.trim().is_empty() {
            self.block(&text);
        }
    }

    fn block(&mut self, text: &str) {
        let outer = "  ".repeat(self.lists.len());
        let mark = self.mark.take().unwrap_or_default();
        let indent = format!("{outer}{}", " ".repeat(mark.chars().count()));
        let first = format!("{outer}{mark}");
        let options = textwrap::Options::new(self.width)
            .initial_indent(&first)
            .subsequent_indent(if mark.is_empty() { &outer } else { &indent });
        self.output.push_str(&textwrap::fill(text, options));
        self.output.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# Title

A paragraph with `some code` and **bold** words that is longer than the width of the terminal.

- one item that is longer than the width of the terminal
- two

1. first
2. second

```json does not match
{\"a\": 1}

{\"a\": 2}
```

| key | value |
|---|---|
| `when` | The filter, in either notation. The only required key. |
| `then` | The reaction. |
";

    #[test]
    fn text_is_wrapped_and_tables_are_aligned() {
        insta::assert_snapshot!(render(TEXT, 40, false));
    }

    #[test]
    fn styles_never_cross_line_breaks() {
        let rendered = render(TEXT, 40, true);
        assert!(rendered.contains('\u{1b}'));
        for line in rendered.lines() {
            let opened = line.matches("\u{1b}[").count();
            assert_eq!(opened, 2 * line.matches("\u{1b}[0m").count(), "{line:?}");
        }
    }

    #[test]
    fn references_fit_the_width() {
        for reference in [
            reflexarc::REFERENCE,
            reflexarc_pattern::REFERENCE,
            reflexarc_reaction::REFERENCE,
            reflexarc_delivery::REFERENCE,
            reflexarc_delivery::TARGETS,
        ] {
            for width in [60, 80, 100] {
                let rendered = render(reference, width, false);
                // Code is not wrapped.
                let text = rendered.lines().filter(|line| !line.starts_with("    "));
                for line in text {
                    let columns = textwrap::core::display_width(line);
                    assert!(columns <= width, "{columns} > {width}: {line}");
                }
            }
        }
    }
}
