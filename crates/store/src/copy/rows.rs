//! Rows of a table, read in batches.

use std::cmp::Ordering;
use std::fmt;

use super::database::{CopyColumn, CopyTable};
use crate::CopyError;
use crate::database::{Connection, Row, ToValue, ValueRef};

/// A batch has so many rows at most.
const MAX_ROWS: usize = 512;
/// The first batch of a table, whose rows may be large, has so many.
const FIRST_ROWS: usize = 16;
/// Batches are to be of this size, in bytes.
const BATCH_BYTES: usize = 2 << 20;

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Integer,
    Text,
    Blob,
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cell {
    Null,
    Integer(i64),
    Text(String),
    Blob(Vec<u8>),
}

/// The columns of a primary key.
pub(super) type Key = Vec<Cell>;

/// Rows that follow each other.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) rows: Vec<Vec<Cell>>,
    /// The key of the last one.
    pub(super) last: Option<Key>,
    /// Their size in bytes.
    bytes: usize,
}

/// Reads a table from a key to its end, in batches.
pub(super) struct Batches<'a> {
    table: &'a CopyTable,
    after: Option<Key>,
    limit: usize,
}

impl<'a> Batches<'a> {
    /// The rows behind a key, or all.
    pub(super) fn new(table: &'a CopyTable, after: Option<Key>) -> Self {
        Self {
            table,
            after,
            limit: FIRST_ROWS,
        }
    }

    /// The next batch; `None` at the end.
    pub(super) fn next(&mut self, connection: &Connection) -> Result<Option<Batch>, CopyError> {
        let batch = read(connection, self.table, self.after.as_ref(), self.limit)?;
        if batch.rows.is_empty() {
            return Ok(None);
        }
        self.after.clone_from(&batch.last);
        // As many as fit if the next rows are as large, but not many more than now.
        let fitting = batch.rows.len() * BATCH_BYTES / batch.bytes.max(1);
        self.limit = fitting.clamp(1, MAX_ROWS.min(2 * self.limit));
        Ok(Some(batch))
    }
}

impl Batch {
    /// The key of the first row, for messages.
    pub(super) fn first(&self, table: &CopyTable) -> String {
        let first = self.rows.first().map(|row| table.display(row));
        first.unwrap_or_default()
    }
}

/// Reads at most `limit` rows behind a key.
pub(super) fn read(
    connection: &Connection,
    table: &CopyTable,
    after: Option<&Key>,
    limit: usize,
) -> Result<Batch, CopyError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut parameters: Vec<&dyn ToValue> = Vec::new();
    parameters.extend(after.into_iter().flatten().map(|cell| cell as &dyn ToValue));
    parameters.push(&limit);
    let mut statement = connection.prepare_cached(&table.select(after.is_some()))?;
    let mut rows = statement.query(parameters.as_slice())?;
    let mut batch = Batch {
        last: after.cloned(),
        ..Batch::default()
    };
    while let Some(row) = rows.next()? {
        let cells = read_cells(&row, table)?;
        let key = &cells[..table.key_width()];
        // The rows of a damaged page may be those of another one, and the walk could go in a
        // circle.
        if batch
            .last
            .as_deref()
            .is_some_and(|last| key.cmp(last) != Ordering::Greater)
        {
            return Err(CopyError::Damaged {
                table: table.name.clone(),
                row: table.display(&cells),
                reason: "rows are not in the order of their keys".to_owned(),
            });
        }
        batch.last = Some(key.to_vec());
        batch.bytes += cells.iter().map(Cell::size).sum::<usize>();
        batch.rows.push(cells);
    }
    Ok(batch)
}

/// The key of the last row of a table.
pub(super) fn last_key(
    connection: &Connection,
    table: &CopyTable,
) -> Result<Option<Key>, CopyError> {
    let mut statement = connection.prepare_cached(&table.select_last())?;
    let mut rows = statement.query(())?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let columns = table.columns().iter().take(table.key_width()).enumerate();
    let key = columns.map(|(number, column)| read_cell(&row, number, column));
    let key: Result<Key, String> = key.collect();
    Ok(Some(key.map_err(|reason| CopyError::Damaged {
        table: table.name.clone(),
        row: "the last one of the copy".to_owned(),
        reason,
    })?))
}

/// The values of a row, if each is what its column has.
fn read_cells(row: &Row<'_>, table: &CopyTable) -> Result<Vec<Cell>, CopyError> {
    let mut cells = Vec::with_capacity(table.columns().len());
    for (number, column) in table.columns().iter().enumerate() {
        match read_cell(row, number, column) {
            Ok(cell) => cells.push(cell),
            // Stored as it is, it could not be read again; as something else, it would be lost.
            Err(reason) => {
                return Err(CopyError::Damaged {
                    table: table.name.clone(),
                    row: table.display(&cells),
                    reason,
                });
            }
        }
    }
    Ok(cells)
}

fn read_cell(row: &Row<'_>, number: usize, column: &CopyColumn) -> Result<Cell, String> {
    let unexpected = |expected: &str| format!("its column `{}` is not {expected}", column.name);
    let value = row.get_ref(number).map_err(|error| error.to_string())?;
    match (value, column.kind) {
        (ValueRef::Null, _) if column.is_nullable => Ok(Cell::Null),
        (ValueRef::Integer(value), Kind::Integer) => Ok(Cell::Integer(value)),
        (ValueRef::Text(value), Kind::Text) => {
            let text = std::str::from_utf8(value).map_err(|_| unexpected("text in UTF-8"))?;
            Ok(Cell::Text(text.to_owned()))
        }
        (ValueRef::Blob(value), Kind::Blob) => Ok(Cell::Blob(value.to_owned())),
        (_, Kind::Integer) => Err(unexpected("an integer")),
        (_, Kind::Text) => Err(unexpected("text")),
        (_, Kind::Blob) => Err(unexpected("a blob")),
    }
}

impl Cell {
    fn size(&self) -> usize {
        match self {
            Self::Null | Self::Integer(_) => size_of::<Self>(),
            Self::Text(text) => size_of::<Self>() + text.len(),
            Self::Blob(bytes) => size_of::<Self>() + bytes.len(),
        }
    }
}

impl ToValue for Cell {
    fn to_value(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => formatter.write_str("null"),
            Self::Integer(number) => number.fmt(formatter),
            Self::Text(text) => write!(formatter, "{text:?}"),
            Self::Blob(bytes) => bytes
                .iter()
                .try_for_each(|byte| write!(formatter, "{byte:02x}")),
        }
    }
}
