//! Tables for people: a header, aligned columns.

use jiff::Timestamp;
use textwrap::core::display_width;

use super::text::printable_str;
use super::{Output, Paint};
use crate::exit::Failure;

/// Rows that are kept until the widths of the columns are decided; later rows are only padded.
/// A listing of an archive can be longer than memory.
const MEASURED_ROWS: usize = 500;

/// Space between two columns.
const GAP: usize = 2;

/// A table that is written as its rows come. Nothing is written for a table without rows.
pub(crate) struct Table<const N: usize> {
    header: [&'static str; N],
    waiting: Vec<[String; N]>,
    widths: Option<[usize; N]>,
}

impl<const N: usize> Table<N> {
    /// A table with these titles of columns.
    pub(crate) fn new(header: [&'static str; N]) -> Self {
        Self {
            header,
            waiting: Vec::new(),
            widths: None,
        }
    }

    /// Adds a row; control characters in it are escaped.
    pub(crate) fn row(&mut self, row: [&str; N], output: &mut Output) -> Result<(), Failure> {
        let row = row.map(printable_str);
        if let Some(widths) = &self.widths {
            return output.line(padded(&row, widths));
        }
        self.waiting.push(row);
        if self.waiting.len() == MEASURED_ROWS {
            self.write_waiting(output)?;
        }
        Ok(())
    }

    /// Writes the rest of the table, and returns whether it had any rows.
    pub(crate) fn finish(mut self, output: &mut Output) -> Result<bool, Failure> {
        if !self.waiting.is_empty() {
            self.write_waiting(output)?;
        }
        Ok(self.widths.is_some())
    }

    fn write_waiting(&mut self, output: &mut Output) -> Result<(), Failure> {
        let mut widths = self.header.map(display_width);
        for row in &self.waiting {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(display_width(cell));
            }
        }
        let header = padded(&self.header.map(str::to_owned), &widths);
        output.line(output.paint(Paint::Bold, header))?;
        for row in self.waiting.drain(..) {
            output.line(padded(&row, &widths))?;
        }
        self.widths = Some(widths);
        Ok(())
    }
}

/// A point in time for people: UTC, to the second.
pub(crate) fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// A timestamp in JSON for people, as [`time`] prints it; other texts stay as they are.
pub(crate) fn time_of(text: &str) -> String {
    text.parse().map_or_else(|_| text.to_owned(), time)
}

/// The cells in columns, without spaces at the end of the line.
fn padded<const N: usize>(cells: &[String; N], widths: &[usize; N]) -> String {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        let padding = width.saturating_sub(display_width(cell)) + GAP;
        line.push_str(cell);
        line.extend(std::iter::repeat_n(' ', padding));
    }
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_display_width() {
        let widths = [4, 2];
        let line = |a: &str, b: &str| padded(&[a.to_owned(), b.to_owned()], &widths);
        assert_eq!(line("a", "b"), "a     b");
        assert_eq!(line("网络", ""), "网络");
        assert_eq!(line("网", "b"), "网    b");
        assert_eq!(line("longer", "b"), "longer  b");
    }

    #[test]
    fn times_are_printed_in_utc_to_the_second() {
        let timestamp: Timestamp = "2026-11-20T10:14:02.123456+08:00".parse().expect("valid");
        assert_eq!(time(timestamp), "2026-11-20 02:14:02Z");
    }
}
