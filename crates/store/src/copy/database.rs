//! What a copy needs of a database, and its tables.

use super::rows::{Cell, Kind};
use crate::database::{Connection, Rows};
use crate::{CopyError, StoreError};

/// The table in a target whose copy is not complete.
pub(crate) const MARK_TABLE: &str = "store_copy";

/// A database that is copied, or copied to.
pub(crate) trait CopyDatabase: Send {
    /// What it is called in messages.
    fn name(&self) -> String;

    /// What identifies it, also in another process.
    fn identity(&self) -> Result<String, StoreError>;

    /// The connection. That of a source reads one snapshot.
    fn connection(&self) -> &Connection;

    /// The tables of the store that are copied.
    fn tables(&self) -> Result<Vec<CopyTable>, CopyError>;

    /// The largest number that was given to a row of a table in this column, also of one that was
    /// removed, if that is known.
    fn last_number(&self, table: &str, column: &str) -> Result<Option<i64>, StoreError>;
}

/// A database that is copied to.
pub(crate) trait TargetDatabase: CopyDatabase {
    fn begin(&mut self) -> Result<(), StoreError>;

    fn commit(&mut self) -> Result<(), StoreError>;

    /// Whether there is a copy that is not complete.
    fn has_mark(&self) -> Result<bool, StoreError>;

    /// Lets the numbers of new rows begin behind this one, unless they follow the last row anyway.
    fn set_last_number(&self, table: &str, column: &str, last: i64) -> Result<(), StoreError>;

    /// Runs when all is there.
    fn finish(&self) -> Result<(), CopyError>;
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CopyTable {
    pub(crate) name: String,
    /// Those of the primary key first, in its order, then the others by name.
    columns: Vec<CopyColumn>,
    /// How many columns the primary key has.
    key: usize,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CopyColumn {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) is_nullable: bool,
    /// Its place in the primary key, from 1; 0 for others.
    key: i64,
}

impl CopyTable {
    /// A table with these columns, in any order.
    fn new(name: String, mut columns: Vec<CopyColumn>) -> Self {
        columns.sort_by(|left, right| {
            let order = |column: &CopyColumn| (column.key == 0, column.key);
            let by_key = order(left).cmp(&order(right));
            by_key.then_with(|| left.name.cmp(&right.name))
        });
        let key = columns.iter().filter(|column| column.key > 0).count();
        Self { name, columns, key }
    }

    /// All tables, of rows that are sorted by table: table, column, type, whether it can be NULL,
    /// its place in the primary key.
    pub(crate) fn all(mut rows: Rows<'_>) -> Result<Vec<Self>, CopyError> {
        let mut tables: Vec<(String, Vec<CopyColumn>)> = Vec::new();
        while let Some(row) = rows.next()? {
            let (table, name): (String, String) = (row.get(0)?, row.get(1)?);
            let declared: String = row.get(2)?;
            let column = CopyColumn {
                kind: kind_of(&table, &name, &declared)?,
                is_nullable: row.get(3)?,
                key: row.get(4)?,
                name,
            };
            match tables.last_mut() {
                Some((last, columns)) if *last == table => columns.push(column),
                _ => tables.push((table, vec![column])),
            }
        }
        let tables = tables.into_iter();
        Ok(tables
            .map(|(name, columns)| Self::new(name, columns))
            .collect())
    }

    pub(super) fn columns(&self) -> &[CopyColumn] {
        &self.columns
    }

    /// The number of columns of the primary key, which come first.
    pub(super) fn key_width(&self) -> usize {
        self.key
    }

    /// A query for rows in the order of the key, behind `?1, …` if `after`, so many as the last
    /// parameter says.
    pub(super) fn select(&self, after: bool) -> String {
        let (columns, key) = (names(&self.columns), names(&self.columns[..self.key]));
        let condition = if after {
            format!("WHERE ({key}) > ({})", parameters(self.key))
        } else {
            String::new()
        };
        let limit = if after { self.key + 1 } else { 1 };
        format!(
            "SELECT {columns} FROM {} {condition} ORDER BY {key} LIMIT ?{limit}",
            self.name
        )
    }

    /// A query for the key of the last row.
    pub(super) fn select_last(&self) -> String {
        let key = &self.columns[..self.key];
        let order: Vec<_> = key.iter().map(|one| format!("{} DESC", one.name)).collect();
        format!(
            "SELECT {} FROM {} ORDER BY {} LIMIT 1",
            names(key),
            self.name,
            order.join(", ")
        )
    }

    /// A statement that adds a row, or replaces it if `replaces`.
    pub(super) fn insert(&self, replaces: bool) -> String {
        let (key, others) = self.columns.split_at(self.key);
        let conflict = if replaces {
            let set = others
                .iter()
                .map(|one| format!("{0} = excluded.{0}", one.name));
            let set: Vec<_> = set.collect();
            format!(
                "ON CONFLICT ({}) DO UPDATE SET {}",
                names(key),
                set.join(", ")
            )
        } else {
            String::new()
        };
        format!(
            "INSERT INTO {} ({}) VALUES ({}) {conflict}",
            self.name,
            names(&self.columns),
            parameters(self.columns.len())
        )
    }

    /// The key of a row, for messages.
    pub(super) fn display(&self, row: &[Cell]) -> String {
        let key = row[..self.key.min(row.len())].iter().map(Cell::to_string);
        key.collect::<Vec<_>>().join(", ")
    }
}

/// The names of columns, with commas between them.
fn names(columns: &[CopyColumn]) -> String {
    let names: Vec<_> = columns.iter().map(|one| one.name.as_str()).collect();
    names.join(", ")
}

/// The kind of a column with this declared type.
fn kind_of(table: &str, column: &str, declared: &str) -> Result<Kind, CopyError> {
    match declared.to_ascii_uppercase().as_str() {
        "INTEGER" | "BIGINT" => Ok(Kind::Integer),
        "TEXT" => Ok(Kind::Text),
        "BLOB" | "BYTEA" => Ok(Kind::Blob),
        _ => Err(CopyError::Schema {
            difference: format!("the column `{column}` of `{table}` is of the type {declared}"),
        }),
    }
}

/// The first difference between the tables of two stores, which are sorted by name.
pub(super) fn difference(left: &[CopyTable], right: &[CopyTable]) -> Option<String> {
    let table_names = |tables: &[CopyTable]| -> Vec<String> {
        tables.iter().map(|table| table.name.clone()).collect()
    };
    let (left_names, right_names) = (table_names(left), table_names(right));
    let is_single = |name: &&String| !(left_names.contains(name) && right_names.contains(name));
    if let Some(name) = left_names.iter().chain(&right_names).find(is_single) {
        return Some(format!("only one of them has the table `{name}`"));
    }
    let mut pairs = left.iter().zip(right);
    let (table, _) = pairs.find(|(left, right)| left != right)?;
    Some(format!(
        "they have other columns in the table `{}`",
        table.name
    ))
}

/// `?1, ?2, …`.
fn parameters(count: usize) -> String {
    let numbers: Vec<_> = (1..=count).map(|number| format!("?{number}")).collect();
    numbers.join(", ")
}
