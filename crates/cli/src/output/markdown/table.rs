//! Tables of Markdown, whose cells are wrapped to the width of the terminal.

use textwrap::core::display_width;

/// Space between two columns.
const GAP: usize = 2;

/// Columns are not made narrower than this.
const MIN_WIDTH: usize = 8;

/// The cells of a table, the header first.
#[derive(Debug, Default)]
pub(super) struct CellTable {
    rows: Vec<Vec<String>>,
    row: Vec<String>,
}

impl CellTable {
    /// Adds a cell to the current row.
    pub(super) fn cell(&mut self, text: String) {
        self.row.push(text);
    }

    /// Ends the current row.
    pub(super) fn end_row(&mut self) {
        self.rows.push(std::mem::take(&mut self.row));
    }

    /// The table in at most `width` columns; `header` styles the cells of the first row.
    pub(super) fn render(&self, width: usize, header: impl Fn(&str) -> String) -> String {
        let widths = self.widths(width);
        let mut text = String::new();
        for (i, row) in self.rows.iter().enumerate() {
            let cells: Vec<Vec<String>> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| wrap(cell, *width))
                .collect();
            let height = cells.iter().map(Vec::len).max().unwrap_or_default();
            for line in 0..height {
                let mut written = String::new();
                for (cell, width) in cells.iter().zip(&widths) {
                    let part = cell.get(line).map_or("", String::as_str);
                    let padding = width.saturating_sub(display_width(part)) + GAP;
                    if i == 0 && !part.is_empty() {
                        written.push_str(&header(part));
                    } else {
                        written.push_str(part);
                    }
                    written.extend(std::iter::repeat_n(' ', padding));
                }
                text.push_str(written.trim_end());
                text.push('\n');
            }
            if i == 0 {
                let lines: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
                text.push_str(&lines.join(&" ".repeat(GAP)));
                text.push('\n');
            }
        }
        text
    }

    /// The width of each column: its longest cell, or less for the widest ones if the table does
    /// not fit.
    fn widths(&self, width: usize) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let mut widths = vec![0; columns];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(display_width(cell));
            }
        }
        let available = width.saturating_sub(GAP * columns.saturating_sub(1));
        loop {
            let total: usize = widths.iter().sum();
            let Some(widest) = widths.iter_mut().max_by_key(|width| **width) else {
                break;
            };
            if total <= available || *widest <= MIN_WIDTH {
                break;
            }
            *widest -= 1;
        }
        widths
    }
}

fn wrap(cell: &str, width: usize) -> Vec<String> {
    textwrap::wrap(cell, width.max(1))
        .into_iter()
        .map(String::from)
        .collect()
}
