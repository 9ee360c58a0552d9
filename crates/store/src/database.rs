//! Connections, statements and rows of either database, so that what the store does is written
//! once.
//!
//! Statements are in the SQL that both databases know. Parameters are `?1`, `?2`, …; integers have
//! 64 bits, texts are compared byte by byte.
//!
//! ```text
//! let sql = "SELECT value FROM state WHERE rule = ?1 AND key = ?2";
//! let mut statement = connection.prepare_cached(sql)?;
//! let value: Option<String> = statement.query_row((rule, key), |row| row.get(0)).optional()?;
//! ```

#[cfg(feature = "cluster")]
mod dialect;
mod error;
mod params;
#[cfg(feature = "cluster")]
mod postgres;
mod value;

use std::cell::Cell;

pub(crate) use self::error::{Error, Optional, Result};
pub(crate) use self::params::{Params, params, params_from_iter};
#[cfg(feature = "cluster")]
use self::postgres::StoredRow;
#[cfg(feature = "cluster")]
pub(crate) use self::postgres::{Session, wait};
pub(crate) use self::value::{FromValue, ToValue, Value, ValueRef};

/// A connection.
pub struct Connection {
    backend: Backend,
    /// The node that writes on it.
    node: i64,
    /// Whether that may claim.
    is_live: bool,
    /// Whether each transaction begins with [`Connection::set_node`].
    begins_with_node: bool,
    /// The position of the next entry of the archive, once it was looked up in such a transaction.
    next_position: Cell<Option<i64>>,
}

/// The node of a store that one process has for itself.
const ONLY_NODE: i64 = 1;

enum Backend {
    Sqlite(rusqlite::Connection),
    #[cfg(feature = "cluster")]
    Postgres(Session),
}

/// A statement that is compiled once for a connection.
pub(crate) struct Statement<'c> {
    backend: StatementBackend<'c>,
}

enum StatementBackend<'c> {
    Sqlite(rusqlite::CachedStatement<'c>),
    #[cfg(feature = "cluster")]
    Postgres(&'c Session, postgres::Compiled),
}

/// The rows that a statement returns, read one after another.
pub(crate) struct Rows<'s> {
    backend: RowsBackend<'s>,
}

enum RowsBackend<'s> {
    Sqlite(rusqlite::Rows<'s>),
    /// Those that are left, and the one that was read last.
    #[cfg(feature = "cluster")]
    Postgres(std::vec::IntoIter<StoredRow>, Option<StoredRow>),
}

/// One row.
#[derive(Clone, Copy)]
pub(crate) struct Row<'r> {
    backend: RowBackend<'r>,
}

#[derive(Clone, Copy)]
enum RowBackend<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    #[cfg(feature = "cluster")]
    Postgres(&'r StoredRow),
}

/// Rows, each as what a function makes of it.
pub(crate) struct MappedRows<'s, F> {
    rows: Rows<'s>,
    map: F,
}

/// A column of a row: its number, or its name.
pub(crate) trait Column {
    /// The number of the column in the row.
    fn number(self, row: &Row<'_>) -> Result<usize>;
}

impl Connection {
    /// The connection to a file.
    pub(crate) fn sqlite(connection: rusqlite::Connection) -> Self {
        Self {
            backend: Backend::Sqlite(connection),
            node: ONLY_NODE,
            is_live: true,
            begins_with_node: false,
            next_position: Cell::new(None),
        }
    }

    /// The connection to a server.
    #[cfg(feature = "cluster")]
    pub(crate) fn postgres(session: Session) -> Self {
        Self {
            backend: Backend::Postgres(session),
            node: ONLY_NODE,
            is_live: true,
            begins_with_node: false,
            next_position: Cell::new(None),
        }
    }

    /// Sets the node that writes from now on, and whether it may claim.
    #[cfg(feature = "cluster")]
    pub(crate) fn set_node(&mut self, node: i64, is_live: bool) {
        (self.node, self.is_live) = (node, is_live);
        self.begins_with_node = true;
        self.forget_position();
    }

    /// The number of the node that writes on this connection, which its claims have.
    pub(crate) fn node(&self) -> i64 {
        self.node
    }

    /// Whether that node may claim: no other one has declared it lost.
    pub(crate) fn is_live(&self) -> bool {
        self.is_live
    }

    /// The position of the next entry of the archive, which `look` finds out; once in a transaction that
    /// writes to a server, where no other one does meanwhile.
    pub(crate) fn next_position<E: From<Error>>(
        &self,
        look: impl FnOnce() -> std::result::Result<i64, E>,
    ) -> std::result::Result<i64, E> {
        if let Some(known) = self.next_position.get() {
            return Ok(known);
        }
        let next = look()?;
        if self.begins_with_node {
            self.next_position.set(Some(next));
        }
        Ok(next)
    }

    /// An entry was added at this position.
    pub(crate) fn add_position(&self, position: i64) {
        let known = self.next_position.get();
        let next = known.map(|next| next.max(position.saturating_add(1)));
        self.next_position.set(next);
    }

    /// Entries were removed or undone.
    pub(crate) fn forget_position(&self) {
        self.next_position.set(None);
    }

    /// Whether several nodes write to the database.
    pub(crate) fn is_shared(&self) -> bool {
        !matches!(self.backend, Backend::Sqlite(_))
    }

    /// The connection to a file, for what only SQLite has.
    pub(crate) fn file(&self) -> Result<&rusqlite::Connection> {
        match &self.backend {
            Backend::Sqlite(connection) => Ok(connection),
            #[cfg(feature = "cluster")]
            Backend::Postgres(_) => Err(Error::OtherDatabase),
        }
    }

    /// The connection to a server, for what only PostgreSQL has.
    #[cfg(feature = "cluster")]
    pub(crate) fn server(&self) -> Result<&Session> {
        match &self.backend {
            Backend::Sqlite(_) => Err(Error::OtherDatabase),
            Backend::Postgres(session) => Ok(session),
        }
    }

    /// Whether it was lost, so that no statement can be run.
    pub(crate) fn is_lost(&self) -> bool {
        match &self.backend {
            Backend::Sqlite(_) => false,
            #[cfg(feature = "cluster")]
            Backend::Postgres(session) => session.is_lost(),
        }
    }

    /// Waits for what a server was not waited for, and returns its first error.
    pub(crate) fn settle(&self) -> Result<()> {
        match &self.backend {
            Backend::Sqlite(_) => Ok(()),
            #[cfg(feature = "cluster")]
            Backend::Postgres(session) => session.settle(),
        }
    }

    /// Compiles a statement, or takes it from the connection's cache.
    pub(crate) fn prepare_cached(&self, sql: &str) -> Result<Statement<'_>> {
        let backend = match &self.backend {
            Backend::Sqlite(connection) => {
                StatementBackend::Sqlite(connection.prepare_cached(sql)?)
            }
            #[cfg(feature = "cluster")]
            Backend::Postgres(session) => {
                StatementBackend::Postgres(session, session.prepare(sql)?)
            }
        };
        Ok(Statement { backend })
    }

    /// Runs statements without parameters and results.
    pub(crate) fn execute_batch(&self, sql: &str) -> Result<()> {
        match &self.backend {
            Backend::Sqlite(connection) => Ok(connection.execute_batch(sql)?),
            #[cfg(feature = "cluster")]
            Backend::Postgres(session) => session.execute_batch(sql),
        }
    }

    /// Runs an `INSERT … RETURNING number` of one row, and returns that number.
    pub(crate) fn insert(&self, sql: &str, parameters: impl Params) -> Result<i64> {
        match &self.backend {
            // SQLite would keep what is returned in a table of its own, and has the number anyway.
            Backend::Sqlite(connection) => {
                let (sql, _) = sql.rsplit_once(" RETURNING ").unwrap_or((sql, ""));
                self.prepare_cached(sql)?.execute(parameters)?;
                Ok(connection.last_insert_rowid())
            }
            #[cfg(feature = "cluster")]
            Backend::Postgres(_) => {
                let mut statement = self.prepare_cached(sql)?;
                statement.query_row(parameters, |row| row.get(0))
            }
        }
    }

    /// Runs queries on one snapshot of the database.
    pub(crate) fn in_snapshot<T, E: From<Error>>(
        &self,
        read: impl FnOnce(&Self) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        match &self.backend {
            Backend::Sqlite(connection) => {
                // Rolled back when it is dropped: nothing is written.
                let _snapshot = connection.unchecked_transaction().map_err(Error::from)?;
                read(self)
            }
            #[cfg(feature = "cluster")]
            Backend::Postgres(session) => {
                session.execute_batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
                let result = read(self);
                session.execute_batch("ROLLBACK")?;
                result
            }
        }
    }
}

impl Statement<'_> {
    /// Runs it and returns its rows.
    pub(crate) fn query(&mut self, parameters: impl Params) -> Result<Rows<'_>> {
        let backend = match &mut self.backend {
            StatementBackend::Sqlite(statement) => parameters.with(|values| {
                let rows = statement.query(rusqlite::params_from_iter(values))?;
                Ok::<_, Error>(RowsBackend::Sqlite(rows))
            })?,
            #[cfg(feature = "cluster")]
            StatementBackend::Postgres(session, compiled) => {
                let rows = parameters.with(|values| session.query(compiled, values))?;
                RowsBackend::Postgres(rows.into_iter(), None)
            }
        };
        Ok(Rows { backend })
    }

    /// Runs it and returns what `map` makes of its rows.
    pub(crate) fn query_map<T, F: FnMut(&Row<'_>) -> Result<T>>(
        &mut self,
        parameters: impl Params,
        map: F,
    ) -> Result<MappedRows<'_, F>> {
        let rows = self.query(parameters)?;
        Ok(MappedRows { rows, map })
    }

    /// Runs it with each of these parameters, and returns what `map` makes of the rows. A server gets
    /// all of them before the first answer is waited for.
    pub(crate) fn query_each<P: Params, T>(
        &mut self,
        parameters: impl IntoIterator<Item = P>,
        map: impl Fn(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<Vec<T>>> {
        match &mut self.backend {
            StatementBackend::Sqlite(_) => {
                let each = |parameters| self.query_map(parameters, &map)?.collect();
                parameters.into_iter().map(each).collect()
            }
            #[cfg(feature = "cluster")]
            StatementBackend::Postgres(session, compiled) => {
                let sent = parameters.into_iter();
                let sent = sent.map(|parameters| {
                    parameters.with(|values| Ok(session.send_query(compiled, values)))
                });
                let sent: Vec<_> = sent.collect::<Result<_>>()?;
                let answers = session.receive(sent, compiled)?.into_iter();
                let read = |row: &StoredRow| {
                    map(&Row {
                        backend: RowBackend::Postgres(row),
                    })
                };
                answers
                    .map(|rows| rows.iter().map(read).collect())
                    .collect()
            }
        }
    }

    /// Runs it and returns what `map` makes of the first row; [`Error::NoRows`] if there is none.
    pub(crate) fn query_row<T>(
        &mut self,
        parameters: impl Params,
        map: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut rows = self.query(parameters)?;
        let row = rows.next()?.ok_or(Error::NoRows)?;
        map(&row)
    }

    /// Runs it and returns how many rows it has changed.
    pub(crate) fn execute(&mut self, parameters: impl Params) -> Result<usize> {
        match &mut self.backend {
            StatementBackend::Sqlite(statement) => parameters.with(|values| {
                let changed = statement.execute(rusqlite::params_from_iter(values))?;
                Ok(changed)
            }),
            #[cfg(feature = "cluster")]
            StatementBackend::Postgres(session, compiled) => {
                parameters.with(|values| session.execute(compiled, values))
            }
        }
    }

    /// Runs it. A server is not waited for: its error comes with what is run next, or with
    /// [`Connection::settle`].
    pub(crate) fn run(&mut self, parameters: impl Params) -> Result<()> {
        match &mut self.backend {
            StatementBackend::Sqlite(_) => self.execute(parameters).map(drop),
            #[cfg(feature = "cluster")]
            StatementBackend::Postgres(session, compiled) => {
                parameters.with(|values| session.run(compiled, values))
            }
        }
    }

    /// Whether it returns a row.
    pub(crate) fn exists(&mut self, parameters: impl Params) -> Result<bool> {
        Ok(self.query(parameters)?.next()?.is_some())
    }
}

impl Rows<'_> {
    /// The next row.
    pub(crate) fn next(&mut self) -> Result<Option<Row<'_>>> {
        match &mut self.backend {
            RowsBackend::Sqlite(rows) => {
                let row = rows.next()?;
                Ok(row.map(|row| Row {
                    backend: RowBackend::Sqlite(row),
                }))
            }
            #[cfg(feature = "cluster")]
            RowsBackend::Postgres(rows, current) => {
                *current = rows.next();
                Ok(current.as_ref().map(|row| Row {
                    backend: RowBackend::Postgres(row),
                }))
            }
        }
    }
}

impl<T, F: FnMut(&Row<'_>) -> Result<T>> Iterator for MappedRows<'_, F> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.rows.next().transpose()?;
        Some(row.and_then(|row| (self.map)(&row)))
    }
}

impl Row<'_> {
    /// The value of a column.
    pub(crate) fn get<C: Column, T: FromValue>(&self, column: C) -> Result<T> {
        let number = column.number(self)?;
        T::from_value(self.value(number)?).map_err(|expected| self.unexpected(number, expected))
    }

    /// The value of a column, as it is in the row.
    pub(crate) fn get_ref(&self, column: impl Column) -> Result<ValueRef<'_>> {
        let number = column.number(self)?;
        self.value(number)
    }

    /// The bytes of a blob.
    pub(crate) fn blob(&self, column: impl Column) -> Result<&[u8]> {
        let number = column.number(self)?;
        let value = self.value(number)?;
        value
            .as_blob()
            .map_err(|expected| self.unexpected(number, expected))
    }

    /// The number of the column with this name.
    pub(crate) fn column_index(&self, name: &str) -> Result<usize> {
        name.number(self)
    }

    /// How many columns there are.
    pub(crate) fn column_count(&self) -> usize {
        match self.backend {
            RowBackend::Sqlite(row) => row.as_ref().column_count(),
            #[cfg(feature = "cluster")]
            RowBackend::Postgres(row) => row.columns().len(),
        }
    }

    fn value(&self, number: usize) -> Result<ValueRef<'_>> {
        match self.backend {
            RowBackend::Sqlite(row) => Ok(row.get_ref(number)?.into()),
            #[cfg(feature = "cluster")]
            RowBackend::Postgres(row) => row.value(number),
        }
    }

    /// The error for a column of another type than it should have.
    fn unexpected(&self, number: usize, expected: &'static str) -> Error {
        let name = match self.backend {
            RowBackend::Sqlite(row) => row.as_ref().column_name(number).ok(),
            #[cfg(feature = "cluster")]
            RowBackend::Postgres(row) => row.columns().get(number).map(String::as_str),
        };
        Error::Column {
            name: name.map_or_else(|| number.to_string(), str::to_owned),
            expected,
        }
    }
}

impl Column for usize {
    fn number(self, _row: &Row<'_>) -> Result<usize> {
        Ok(self)
    }
}

impl Column for &str {
    fn number(self, row: &Row<'_>) -> Result<usize> {
        match row.backend {
            RowBackend::Sqlite(row) => Ok(row.as_ref().column_index(self)?),
            #[cfg(feature = "cluster")]
            RowBackend::Postgres(row) => {
                let number = row.columns().iter().position(|name| name == self);
                number.ok_or_else(|| Error::Column {
                    name: self.to_owned(),
                    expected: "in the row",
                })
            }
        }
    }
}
