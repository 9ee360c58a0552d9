//! A lookup table: rows from a file, found by the value of one of their columns.

mod csv_file;
mod index;
mod objects;
mod prefix_ranges;
mod rows;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use reflexarc_diagnostic::{Code, Diagnostic, Span, keep_most_severe};
use reflexarc_event::Json;

use self::index::RowKey;
pub(crate) use self::index::TableIndex;
use self::rows::Rows;
use crate::RuleSetLimits;

/// A lookup table.
#[derive(Debug)]
pub(crate) struct Table {
    /// The stem of its file.
    pub(crate) name: String,
    /// The path of its file.
    pub(crate) file: String,
    pub(crate) text: Arc<str>,
    columns: Vec<String>,
    /// Whether rows may have columns that are not among these.
    has_open_columns: bool,
    /// The column by which rows are found where a lookup names no other.
    key_column: String,
    rows: Rows,
    /// By column; each is made when the first rule looks up by it.
    indexes: Mutex<BTreeMap<String, Arc<IndexedColumn>>>,
}

/// The index of a column.
#[derive(Debug)]
pub(crate) struct IndexedColumn {
    pub(crate) index: TableIndex,
    /// What is wrong with the keys, located in the file of the table.
    pub(crate) found: Vec<Diagnostic>,
}

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableFormat {
    /// CSV with a header.
    Csv,
    /// A JSON object on each line.
    Ndjson,
}

/// A file of a table.
#[derive(Debug, Clone)]
pub(crate) struct TableText {
    pub(crate) path: String,
    /// `None` for a file that cannot be read, which was reported.
    pub(crate) text: Option<String>,
    /// Whether all rules beside it are part of the set.
    pub(crate) is_expected: bool,
}

/// A column name with its location.
struct ColumnName<'t> {
    name: &'t str,
    span: Span,
}

impl TableFormat {
    /// The format of a file, by its name.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "csv" => Some(Self::Csv),
            "ndjson" => Some(Self::Ndjson),
            _ => None,
        }
    }
}

impl Table {
    /// Reads a table.
    ///
    /// # Errors
    /// With all that is wrong, located in the text.
    pub(crate) fn read(
        (name, file): (String, String),
        text: Arc<str>,
        format: TableFormat,
        limits: &RuleSetLimits,
    ) -> Result<Self, Vec<Diagnostic>> {
        if text.len() > limits.table_bytes {
            let message = format!(
                "the table has {} bytes, more than the {} allowed",
                text.len(),
                limits.table_bytes
            );
            return Err(vec![Diagnostic::error(Code::RULE_LIMIT, 0..0, message)]);
        }
        let mut found = Vec::new();
        let (columns, rows) = match format {
            TableFormat::Csv => {
                let (columns, rows) = csv_file::read(&text, limits, &mut found);
                (columns, Rows::Csv(rows))
            }
            TableFormat::Ndjson => {
                let (columns, rows) = objects::read(&text, limits, &mut found);
                (columns, Rows::Objects(rows))
            }
        };
        if !found.is_empty() {
            keep_most_severe(&mut found, limits.findings);
            return Err(found);
        }
        let key_column = match format {
            TableFormat::Csv => columns.first(),
            // The members of an object have no order that one could rely on.
            TableFormat::Ndjson => {
                let named = ["cidr", "key"].into_iter();
                let mut named = named.filter_map(|name| columns.iter().find(|c| *c == name));
                named.next().or(columns.first())
            }
        };
        Ok(Self {
            name,
            file,
            text,
            // A file without rows does not say which columns they would have.
            has_open_columns: columns.is_empty(),
            key_column: key_column.cloned().unwrap_or_else(|| "key".to_owned()),
            columns,
            rows,
            indexes: Mutex::default(),
        })
    }

    /// A table of rows that are given as a JSON object on each line, in place of the one of a file:
    /// its columns and its key are those of that one.
    ///
    /// # Errors
    /// With all that is wrong, located in the text.
    pub(crate) fn of_objects(
        name: &str,
        text: Arc<str>,
        real: Option<&Self>,
        limits: &RuleSetLimits,
    ) -> Result<Self, Vec<Diagnostic>> {
        let names = (name.to_owned(), String::new());
        let mut table = Self::read(names, text, TableFormat::Ndjson, limits)?;
        if let Some(real) = real {
            table.columns.clone_from(&real.columns);
            table.has_open_columns = real.has_open_columns;
            table.key_column.clone_from(&real.key_column);
            if let Rows::Objects(rows) = &mut table.rows {
                rows.are_texts = real.rows.are_texts();
            }
        } else {
            // A rule may read columns that none of these rows has.
            table.has_open_columns = true;
        }
        Ok(table)
    }

    /// Whether all values are texts, as in CSV.
    pub(crate) fn are_texts(&self) -> bool {
        self.rows.are_texts()
    }

    /// The columns, in the order of the file.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(String::as_str)
    }

    /// Whether rows may have this column.
    pub(crate) fn may_have_column(&self, name: &str) -> bool {
        self.has_open_columns || self.columns.iter().any(|column| column == name)
    }

    /// The column by which rows are found where a lookup names no other.
    pub(crate) fn key_column(&self) -> &str {
        &self.key_column
    }

    /// The number of rows.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The row of this number as an object of its columns.
    pub(crate) fn row(&self, number: u32) -> Json {
        self.rows.row(number as usize, &self.columns)
    }

    /// The rows by the value of a column.
    pub(crate) fn indexed(&self, column: &str, limits: &RuleSetLimits) -> Arc<IndexedColumn> {
        let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(indexed) = indexes.get(column) {
            return Arc::clone(indexed);
        }
        let rows = (0..self.rows.len()).map(|number| RowKey {
            value: self.rows.value(number, &self.columns, column),
            span: self.rows.span(number),
        });
        let (are_texts, most) = (self.rows.are_texts(), limits.findings);
        let (index, mut found) = TableIndex::new(column, rows, are_texts, most);
        found.sort_by_key(|found| found.span.start);
        keep_most_severe(&mut found, limits.findings);
        let indexed = Arc::new(IndexedColumn { index, found });
        indexes.insert(column.to_owned(), Arc::clone(&indexed));
        indexed
    }
}

/// The names of columns that a path of a rule can name; `None` after a fault in one of them.
fn check_columns(
    names: &[ColumnName<'_>],
    limits: &RuleSetLimits,
    found: &mut Vec<Diagnostic>,
) -> Option<Vec<String>> {
    let before = found.len();
    if names.len() > limits.table_columns {
        let message = format!(
            "the table has {} columns, more than the {} allowed",
            names.len(),
            limits.table_columns
        );
        let span = names.last().map_or(0..0, |name| name.span.clone());
        found.push(Diagnostic::error(Code::RULE_LIMIT, span, message));
        return None;
    }
    for (at, column) in names.iter().enumerate() {
        let name = column.name;
        let (message, help) = if name.is_empty() {
            let message = format!("column {} has no name", at + 1);
            (message, "name every column, or remove it from all rows")
        } else if name.trim() != name || name.contains(char::is_control) {
            let message = format!("invalid column name {}", Json::from(name));
            (message, "remove the white space around it")
        } else if names[..at].iter().any(|other| other.name == name) {
            let message = format!("duplicate column `{name}`");
            (message, "rename one of them")
        } else {
            continue;
        };
        let error = Diagnostic::error(Code::TABLE_FILE, column.span.clone(), message);
        found.push(error.with_help(help));
    }
    let names = names.iter().map(|column| column.name.to_owned());
    (found.len() == before).then(|| names.collect())
}

/// The error about a table with too many rows, located at the first of them.
fn too_many_rows(span: Span, limits: &RuleSetLimits) -> Diagnostic {
    let message = format!("more than the {} rows allowed", limits.table_rows);
    Diagnostic::error(Code::RULE_LIMIT, span, message)
}

/// The error about a cell that is too large, located at its row.
fn too_large_cell(span: Span, column: &str, limits: &RuleSetLimits) -> Diagnostic {
    let message = format!(
        "the value of `{column}` has more than {} bytes",
        limits.table_cell_bytes
    );
    Diagnostic::error(Code::RULE_LIMIT, span, message)
}
