//! Copies a store to another one, of the same or the other kind of database.
//!
//! Every table is read in the order of its primary key and written in batches, one transaction for
//! each. Where a copy ended before, it goes on behind the last row of each table that is there:
//!
//! ```text
//! begin     target empty: note the source in the table `store_copy`; or it is noted: go on
//! tables    rows behind the last one of the target ─ batch ─ batch ─ …
//! numbers   the last numbers that were given to incidents, silences, …
//! verify    all rows of both, in order
//! end       drop `store_copy`
//! ```
//!
//! No service opens a store with that table. Nothing writes to the source meanwhile: its lock is
//! held, and it is read in one transaction that keeps writers out.

mod database;
mod error;
mod rows;

pub(crate) use self::database::{CopyDatabase, CopyTable, MARK_TABLE, TargetDatabase};
pub use self::error::CopyError;
use self::rows::{Batches, Key};
use crate::StoreError;
use crate::database::{Connection, Optional};

/// Tables with counters that triggers keep when rows of others are written. They come last, and
/// what the triggers have counted is replaced.
const COUNTERS: [&str; 2] = ["match_rule", "state_count"];

/// The columns whose values are given by the database, one after the other. Those of incidents are
/// never given again.
const NUMBERS: [(&str, &str); 5] = [
    ("audit", "id"),
    ("incident", "id"),
    ("match_rule", "id"),
    // Not copied itself, but claims have the numbers of nodes.
    ("node", "number"),
    ("silence", "id"),
];

/// A store that is copied. No process delivers from it or writes to it until this is dropped.
pub struct CopySource(pub(crate) Box<dyn CopyDatabase>);

/// A store that a copy is written to. No service opens it meanwhile.
pub struct CopyTarget(pub(crate) Box<dyn TargetDatabase>);

/// What a copy does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CopyPhase {
    /// Rows are written.
    Copying,
    /// Rows of both stores are compared.
    Verifying,
}

/// How far a copy has come.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct CopyProgress<'a> {
    /// What it does.
    pub phase: CopyPhase,
    /// The table.
    pub table: &'a str,
    /// Rows of all tables that are done in this phase.
    pub done: u64,
    /// Rows of all tables.
    pub total: u64,
}

/// A copy that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyReport {
    /// The tables, with their numbers of rows.
    pub tables: Vec<(String, u64)>,
    /// Number of rows that were there from a copy that was interrupted.
    pub resumed: u64,
}

impl CopyReport {
    /// Number of rows in all tables.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|(_, rows)| rows).sum()
    }
}

/// Copies a store. `observe` is called after each batch.
///
/// ```
/// use reflexarc_store::{SqliteStore, StoreOptions, copy_store};
///
/// # let folder = tempfile::tempdir()?;
/// # let (from, to) = (folder.path().join("reflexarc.db"), folder.path().join("copy.db"));
/// let options = StoreOptions::default();
/// drop(SqliteStore::open(&from, &options)?);
/// let (source, target) = (
///     SqliteStore::copy_source(&from)?,
///     SqliteStore::copy_target(&to, &options)?,
/// );
/// let report = copy_store(source, target, &mut |_| ())?;
/// assert_eq!(report.rows(), 0);
/// SqliteStore::open(&to, &options)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the target is not empty and not a copy of this source that was interrupted, if a row cannot
/// be copied, or if the copy differs from the source at the end. The target is then no store yet;
/// where a copy was interrupted, the next call goes on.
pub fn copy_store(
    source: CopySource,
    target: CopyTarget,
    observe: &mut dyn FnMut(CopyProgress<'_>),
) -> Result<CopyReport, CopyError> {
    let (source, mut target) = (source.0, target.0);
    let tables = tables_of_both(&*source, &*target)?;
    let mut totals = Vec::new();
    for table in &tables {
        totals.push(count(source.connection(), &table.name)?);
    }
    let mut progress = Progress {
        phase: CopyPhase::Copying,
        done: 0,
        total: totals.iter().sum(),
        observe,
    };
    begin(&*source, &mut *target, &tables)?;
    let mut resumed = 0;
    for table in &tables {
        resumed += copy_table(&*source, &mut *target, table, &mut progress)?;
    }
    target.begin()?;
    for (table, column) in NUMBERS {
        // Numbers begin with 1.
        if let Some(last) = source.last_number(table, column)?.filter(|last| *last > 0) {
            target.set_last_number(table, column, last)?;
        }
    }
    target.commit()?;
    (progress.phase, progress.done) = (CopyPhase::Verifying, 0);
    for (table, total) in tables.iter().zip(&totals) {
        let rows = verify_table(&*source, &*target, table, &mut progress)?;
        if rows != *total {
            return Err(differs(table, "the number of its rows", &*source));
        }
    }
    target.begin()?;
    let sql = format!("DROP TABLE {MARK_TABLE}");
    target.connection().execute_batch(&sql)?;
    target.commit()?;
    target.finish()?;
    let names = tables.into_iter().map(|table| table.name);
    Ok(CopyReport {
        tables: names.zip(totals).collect(),
        resumed,
    })
}

/// What is reported while rows are read.
struct Progress<'a> {
    phase: CopyPhase,
    done: u64,
    total: u64,
    observe: &'a mut dyn FnMut(CopyProgress<'_>),
}

impl Progress<'_> {
    fn add(&mut self, table: &str, rows: u64) {
        self.done += rows;
        (self.observe)(CopyProgress {
            phase: self.phase,
            table,
            done: self.done,
            total: self.total,
        });
    }
}

/// The tables that both stores have, in the order in which they are copied.
fn tables_of_both(
    source: &dyn CopyDatabase,
    target: &dyn TargetDatabase,
) -> Result<Vec<CopyTable>, CopyError> {
    let mut tables = source.tables()?;
    let mut others = target.tables()?;
    for tables in [&mut tables, &mut others] {
        tables.sort_by(|left, right| left.name.cmp(&right.name));
    }
    // This program has created or updated both, so that another difference is a mistake in it, or
    // tables that someone else has changed. Rows or columns would be left out.
    if let Some(difference) = database::difference(&tables, &others) {
        return Err(CopyError::Schema { difference });
    }
    tables.sort_by_key(|table| COUNTERS.contains(&&*table.name));
    Ok(tables)
}

/// Notes the source in an empty target, or checks that a copy of it was begun there.
fn begin(
    source: &dyn CopyDatabase,
    target: &mut dyn TargetDatabase,
    tables: &[CopyTable],
) -> Result<(), CopyError> {
    let newest = newest(source.connection())?;
    let identity = source.identity()?;
    if identity == target.identity()? {
        return Err(CopyError::SameStore {
            store: source.name(),
        });
    }
    target.begin()?;
    let connection = target.connection();
    if target.has_mark()? {
        let sql = format!("SELECT source, newest FROM {MARK_TABLE}");
        let begun: Option<(String, i64)> = connection
            .prepare_cached(&sql)?
            .query_row((), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        if begun != Some((identity, newest)) {
            return Err(CopyError::OtherSource {
                target: target.name(),
                source_name: source.name(),
            });
        }
    } else {
        for table in tables {
            let sql = format!("SELECT 1 FROM {} LIMIT 1", table.name);
            if connection.prepare_cached(&sql)?.exists(())? {
                return Err(CopyError::NotEmpty {
                    target: target.name(),
                    table: table.name.clone(),
                });
            }
        }
        connection.execute_batch(&format!(
            "CREATE TABLE {MARK_TABLE} (source TEXT NOT NULL, newest BIGINT NOT NULL)"
        ))?;
        let sql = format!("INSERT INTO {MARK_TABLE} (source, newest) VALUES (?1, ?2)");
        connection
            .prepare_cached(&sql)?
            .execute((identity, newest))?;
    }
    Ok(target.commit()?)
}

/// The position of the newest entry, by which a source is recognised that has changed meanwhile.
/// What else has changed is found when the copy is verified.
fn newest(connection: &Connection) -> Result<i64, StoreError> {
    let sql = "SELECT coalesce(max(seq), 0) FROM archive";
    Ok(connection
        .prepare_cached(sql)?
        .query_row((), |row| row.get(0))?)
}

fn count(connection: &Connection, table: &str) -> Result<u64, StoreError> {
    let sql = format!("SELECT count(*) FROM {table}");
    Ok(connection
        .prepare_cached(&sql)?
        .query_row((), |row| row.get(0))?)
}

/// Copies what of a table is not in the target yet. Returns the number of rows that were there.
fn copy_table(
    source: &dyn CopyDatabase,
    target: &mut dyn TargetDatabase,
    table: &CopyTable,
    progress: &mut Progress<'_>,
) -> Result<u64, CopyError> {
    let is_counter = COUNTERS.contains(&&*table.name);
    let (mut after, mut resumed) = (None, 0);
    if !is_counter {
        after = rows::last_key(target.connection(), table)?;
        if after.is_some() {
            resumed = count(target.connection(), &table.name)?;
        }
    }
    progress.add(&table.name, resumed);
    let insert = table.insert(is_counter);
    let mut batches = Batches::new(table, after);
    while let Some(batch) = batches.next(source.connection())? {
        target.begin()?;
        let connection = target.connection();
        let failed = |error: crate::database::Error| match CopyError::from(error) {
            CopyError::Store(reason) => CopyError::Batch {
                table: table.name.clone(),
                first: batch.first(table),
                reason,
            },
            other => other,
        };
        {
            let mut statement = connection.prepare_cached(&insert)?;
            for row in &batch.rows {
                statement
                    .run(crate::database::params_from_iter(row))
                    .map_err(failed)?;
            }
        }
        connection.settle().map_err(failed)?;
        target.commit()?;
        progress.add(&table.name, batch.rows.len() as u64);
    }
    Ok(resumed)
}

/// Compares all rows of a table. Returns their number.
fn verify_table(
    source: &dyn CopyDatabase,
    target: &dyn TargetDatabase,
    table: &CopyTable,
    progress: &mut Progress<'_>,
) -> Result<u64, CopyError> {
    let mut batches = Batches::new(table, None);
    let (mut after, mut count): (Option<Key>, u64) = (None, 0);
    while let Some(batch) = batches.next(source.connection())? {
        let copied = rows::read(target.connection(), table, after.as_ref(), batch.rows.len())?;
        let pairs = batch.rows.iter().zip(&copied.rows);
        for (row, copy) in pairs {
            if row != copy {
                return Err(differs(table, &table.display(row), source));
            }
        }
        if let Some(missing) = batch.rows.get(copied.rows.len()) {
            return Err(differs(table, &table.display(missing), source));
        }
        count += batch.rows.len() as u64;
        after = batch.last;
        progress.add(&table.name, batch.rows.len() as u64);
    }
    let more = rows::read(target.connection(), table, after.as_ref(), 1)?;
    match more.rows.first() {
        None => Ok(count),
        Some(row) => Err(differs(table, &table.display(row), source)),
    }
}

fn differs(table: &CopyTable, row: &str, source: &dyn CopyDatabase) -> CopyError {
    CopyError::Differs {
        table: table.name.clone(),
        row: row.to_owned(),
        source_name: source.name(),
    }
}
