//! HTML of results, which notebooks show: `_repr_html_`.

use reflexarc_diagnostic::truncate;

/// Rows of a table that are shown.
const MAX_ROWS: usize = 100;

/// Characters of a cell that are shown.
const MAX_CHARS: usize = 400;

/// Lines of an explanation that are shown.
const MAX_LINES: usize = 500;

/// The text with the characters escaped that mean something in HTML.
pub(crate) fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

/// Source text.
pub(crate) fn code(text: &str) -> String {
    format!("<pre><code>{}</code></pre>", escaped(text))
}

/// A table with a caption; empty without rows.
pub(crate) fn table(caption: &str, header: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let cells = |tag: &str, cells: &mut dyn Iterator<Item = &str>| {
        let cells = cells.map(|cell| {
            let cell = escaped(&truncate(cell, MAX_CHARS));
            format!("<{tag} style=\"text-align:left\">{cell}</{tag}>")
        });
        format!("<tr>{}</tr>", cells.collect::<String>())
    };
    let shown = rows.iter().take(MAX_ROWS);
    let shown = shown.map(|row| cells("td", &mut row.iter().map(String::as_str)));
    let shown: String = shown.collect();
    let header = cells("th", &mut header.iter().copied());
    let hidden = match rows.len().saturating_sub(MAX_ROWS) {
        0 => String::new(),
        hidden => format!("<p>{hidden} more</p>"),
    };
    let caption = escaped(caption);
    format!(
        "<table><caption style=\"text-align:left\">{caption}</caption>\
         <thead>{header}</thead><tbody>{shown}</tbody></table>{hidden}"
    )
}

/// An explanation that was rendered as text, with the colours of its marks.
pub(crate) fn explanation(text: &str) -> String {
    let line = |line: &str| {
        let color = match line.trim_start().chars().next() {
            Some('✓') => "green",
            Some('✗') => "firebrick",
            Some('?') => "darkorange",
            _ => return escaped(line),
        };
        format!("<span style=\"color:{color}\">{}</span>", escaped(line))
    };
    let lines = text.lines().count();
    let shown: Vec<String> = text.lines().take(MAX_LINES).map(line).collect();
    let hidden = match lines.saturating_sub(MAX_LINES) {
        0 => String::new(),
        hidden => format!("\n{hidden} more lines"),
    };
    format!("<pre>{}{hidden}</pre>", shown.join("\n"))
}
