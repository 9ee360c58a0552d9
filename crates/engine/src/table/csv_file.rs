//! Reading a table from CSV: RFC 4180, with a header.

use std::ops::Range;

use reflexarc_diagnostic::{Code, Diagnostic};

use super::rows::{CsvRows, Place};
use super::{ColumnName, check_columns, too_large_cell, too_many_rows};
use crate::RuleSetLimits;

/// Where a quote must not be, in one record.
struct QuotingFault {
    at: usize,
    /// The quote at the beginning of the field.
    opening: Option<usize>,
    message: &'static str,
    help: &'static str,
}

/// Where in a record something stands.
enum At {
    /// At the beginning of a field.
    Start,
    /// In a field without quotes.
    Plain,
    /// In a field with quotes, which begins there.
    Quoted(usize),
    /// After a quote in such a field: its end, or the first half of an escaped quote.
    Quote(usize),
}

/// The columns and the rows of a table. What is wrong is added to `found`.
pub(super) fn read(
    text: &str,
    limits: &RuleSetLimits,
    found: &mut Vec<Diagnostic>,
) -> (Vec<String>, CsvRows) {
    // Spreadsheet programs write a byte order mark.
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let offset = text.len() - body.len();
    // Rows of other lengths are reported here, all of them and not only the first.
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(body.as_bytes());
    let mut record = csv::StringRecord::new();
    let mut columns: Option<Vec<String>> = None;
    let mut rows = CsvRows::default();
    loop {
        let start = position(&reader);
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                let span = offset + start..text.len();
                found.push(Diagnostic::error(
                    Code::TABLE_FILE,
                    span,
                    format!("invalid CSV: {error}"),
                ));
                break;
            }
        }
        let place = trimmed(body, start..position(&reader));
        let raw = &body[place.clone()];
        let span = offset + place.start..offset + place.end;
        if let Some(fault) = quoting_fault(raw) {
            found.push(fault.diagnostic(span.start));
            // Where one quote is too many, all that follows may be a part of its field.
            break;
        }
        let Some(columns) = &columns else {
            match header(&record, &span, limits, found) {
                Some(names) => {
                    rows.width = names.len();
                    columns = Some(names);
                    continue;
                }
                None => break,
            }
        };
        if rows.places.len() == limits.table_rows {
            found.push(too_many_rows(span, limits));
            break;
        }
        if record.len() != columns.len() {
            found.push(ragged(record.len(), columns.len(), raw, span));
        } else if let Some(at) = record
            .iter()
            .position(|cell| cell.len() > limits.table_cell_bytes)
        {
            found.push(too_large_cell(span, &columns[at], limits));
        } else {
            add(&mut rows, &record, &span);
        }
        if found.len() > limits.findings {
            break;
        }
    }
    if columns.is_none() && found.is_empty() {
        let error = Diagnostic::error(Code::TABLE_FILE, 0..0, "missing header of the table");
        found.push(error.with_help("begin with the names of the columns: cidr,id,zone"));
    }
    rows.cells.shrink_to_fit();
    rows.ends.shrink_to_fit();
    rows.places.shrink_to_fit();
    (columns.unwrap_or_default(), rows)
}

/// The names in the first record; `None` after a fault.
fn header(
    record: &csv::StringRecord,
    span: &Range<usize>,
    limits: &RuleSetLimits,
    found: &mut Vec<Diagnostic>,
) -> Option<Vec<String>> {
    // One column named `cidr;id`.
    let separator = [';', '\t'];
    if record.len() == 1
        && let Some(other) = record
            .iter()
            .find_map(|name| name.chars().find(|c| separator.contains(c)))
    {
        let shown = if other == '\t' { "a tab" } else { "`;`" };
        let message = format!("expected commas between columns, found {shown}");
        let error = Diagnostic::error(Code::TABLE_FILE, span.clone(), message);
        found.push(error.with_help("save the table as CSV with commas"));
        return None;
    }
    let names = record.iter().map(|name| ColumnName {
        name,
        span: span.clone(),
    });
    check_columns(&names.collect::<Vec<_>>(), limits, found)
}

/// Adds a row.
fn add(rows: &mut CsvRows, record: &csv::StringRecord, span: &Range<usize>) {
    // A file within the limits has less than 4 GiB.
    let Some(place) = Place::new(span) else {
        return;
    };
    for cell in record {
        rows.cells.push_str(cell);
        rows.ends
            .push(u32::try_from(rows.cells.len()).unwrap_or(u32::MAX));
    }
    rows.places.push(place);
}

fn ragged(cells: usize, columns: usize, raw: &str, span: Range<usize>) -> Diagnostic {
    let plural = if cells == 1 { "" } else { "s" };
    let message = format!("the row has {cells} cell{plural}, expected {columns}");
    let error = Diagnostic::error(Code::TABLE_FILE, span, message);
    error.with_help(if raw.starts_with('#') {
        "remove the line: CSV has no comments"
    } else {
        "write a cell for each column, and quotes around a cell that contains a comma"
    })
}

/// How much of the text was read.
fn position(reader: &csv::Reader<&[u8]>) -> usize {
    usize::try_from(reader.position().byte()).unwrap_or(usize::MAX)
}

/// The range without the line ends around it: of blank lines before the record, and its own.
fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let raw = text.get(range.clone()).unwrap_or_default();
    let is_line_end = |c: char| matches!(c, '\r' | '\n');
    let start = raw.len() - raw.trim_start_matches(is_line_end).len();
    let end = raw.trim_end_matches(is_line_end).len();
    range.start + start..range.start + end.max(start)
}

/// The first quote in a record that RFC 4180 does not allow. The reader takes such quotes for a
/// part of the text, and a field without an end for all the rest of the file.
fn quoting_fault(record: &str) -> Option<QuotingFault> {
    if !record.contains('"') {
        return None;
    }
    let mut at = At::Start;
    for (index, c) in record.char_indices() {
        at = match (at, c) {
            (At::Start | At::Plain | At::Quote(_), ',') => At::Start,
            (At::Start, '"') => At::Quoted(index),
            (At::Plain, '"') => {
                return Some(QuotingFault {
                    at: index,
                    opening: None,
                    message: "quote inside a cell without quotes",
                    help: "write the cell in quotes, and this quote twice: \"a \"\"b\"\"\"",
                });
            }
            (At::Start | At::Plain, _) => At::Plain,
            (At::Quoted(opening), '"') => At::Quote(opening),
            (At::Quoted(opening), _) | (At::Quote(opening), '"') => At::Quoted(opening),
            (At::Quote(opening), _) => {
                return Some(QuotingFault {
                    at: index,
                    opening: Some(opening),
                    message: "text after the closing quote of a cell",
                    help: "write a quote inside of a cell twice: \"a \"\"b\"\"\"",
                });
            }
        };
    }
    match at {
        At::Quoted(opening) => Some(QuotingFault {
            at: opening,
            opening: None,
            message: "missing closing quote of a cell",
            help: "close the quote, or write a quote inside of a cell twice: \"a \"\"b\"\"\"",
        }),
        At::Start | At::Plain | At::Quote(_) => None,
    }
}

impl QuotingFault {
    /// The diagnostic about it in a record that begins at `start`.
    fn diagnostic(self, start: usize) -> Diagnostic {
        let at = start + self.at;
        let error = Diagnostic::error(
            Code::TABLE_FILE,
            at..at + 1,
            format!("invalid CSV: {}", self.message),
        );
        let error = error.with_help(self.help);
        match self.opening {
            Some(opening) => {
                let opening = start + opening;
                error.with_label(opening..opening + 1, "the cell begins here")
            }
            None => error,
        }
    }
}
