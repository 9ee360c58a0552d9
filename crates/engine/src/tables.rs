//! The lookup tables of a rule set.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reflexarc_diagnostic::{Code, Diagnostic, FileDiagnostics, InvalidFiles};

use crate::table::{IndexedColumn, Table, TableFormat, TableText};
use crate::{RuleSetLimits, folder};

/// Lookup tables, by name: immutable, cheap to clone, shared between threads.
///
/// ```
/// use reflexarc::{RuleSet, Tables};
///
/// let tables = Tables::parse([("vswitches.csv", "cidr,id\n10.0.0.0/8,vsw-1\n")])?;
/// let rules = RuleSet::compile_with_tables([("attach.toml", r#"
///     when = 'ip exists'
///     lookup = { vswitch = { table = "vswitches", key = "ip" } }
///     then = 'notify("team", `attached in ${lookup.vswitch?.id}`)'
/// "#)], &tables)?;
/// assert_eq!(rules.tables().names().collect::<Vec<_>>(), ["vswitches"]);
/// # Ok::<(), reflexarc::InvalidFiles>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Tables {
    tables: Arc<BTreeMap<String, Entry>>,
    /// Whether every other table counts as one that is there and cannot be read.
    is_open: bool,
}

/// A table of a set.
#[derive(Debug, Clone)]
struct Entry {
    /// `None` for one that cannot be read, which was reported.
    table: Option<Arc<Table>>,
    /// Whether it was found with its rules, so that one of them should use it.
    is_expected: bool,
}

/// The tables of a rule set that is being compiled, and which of them its rules use.
#[derive(Debug)]
pub(crate) struct UsedTables<'t> {
    pub(crate) tables: &'t Tables,
    pub(crate) limits: &'t Arc<RuleSetLimits>,
    /// The name and the key column of each.
    used: RefCell<BTreeSet<(String, String)>>,
}

impl Tables {
    /// Reads tables given as file name, such as `vswitches.csv` or `vswitches.ndjson`, and text.
    ///
    /// # Errors
    /// With the diagnostics of each table that is invalid.
    ///
    /// ```
    /// use reflexarc::Tables;
    ///
    /// let error = Tables::parse([("a.csv", "id,zone\neni-1\n")]).expect_err("a cell is missing");
    /// let found = error.diagnostics().next().ok_or("no diagnostic")?;
    /// assert_eq!(found.message, "the row has 1 cell, expected 2");
    /// # Ok::<(), &'static str>(())
    /// ```
    pub fn parse<N, T>(files: impl IntoIterator<Item = (N, T)>) -> Result<Self, InvalidFiles>
    where
        N: Into<String>,
        T: Into<String>,
    {
        let files = files.into_iter().map(|(path, text)| TableText {
            path: path.into(),
            text: Some(text.into()),
            is_expected: true,
        });
        let (tables, found) = Self::read(files.collect(), &RuleSetLimits::DEFAULT);
        if found.is_empty() {
            Ok(tables)
        } else {
            Err(InvalidFiles::new(found))
        }
    }

    /// The tables that [`RuleSet::load_all`](crate::RuleSet::load_all) reads with the rules at
    /// these paths: each `*.csv` and `*.ndjson` in the folders `tables` beside them. Those that
    /// cannot be read are left out, and every lookup in them is taken for valid.
    pub fn load<P: AsRef<Path>>(paths: &[P]) -> Self {
        let paths: Vec<PathBuf> = paths.iter().map(|path| path.as_ref().to_owned()).collect();
        let files = folder::read(&paths, &RuleSetLimits::DEFAULT);
        Self::read(files.tables, &RuleSetLimits::DEFAULT).0
    }

    /// The names of the tables, in order: the stems of their files.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(String::as_str)
    }

    /// The number of tables.
    pub fn len(&self) -> usize {
        self.tables.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// The number of rows of all tables.
    ///
    /// ```
    /// use reflexarc::Tables;
    ///
    /// let tables = Tables::parse([("a.csv", "id\n1\n2\n"), ("b.ndjson", "{\"key\": 1}\n")])?;
    /// assert_eq!((tables.len(), tables.row_count()), (2, 3));
    /// # Ok::<(), reflexarc::InvalidFiles>(())
    /// ```
    pub fn row_count(&self) -> usize {
        self.valid().map(|table| table.len()).sum()
    }

    /// The path and the text of each file, by name of the table.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.valid()
            .map(|table| (table.file.as_str(), &*table.text))
    }

    /// Reads tables as far as they are valid; errors are returned beside them.
    pub(crate) fn read(
        files: Vec<TableText>,
        limits: &RuleSetLimits,
    ) -> (Self, Vec<FileDiagnostics>) {
        let mut tables: BTreeMap<String, Entry> = BTreeMap::new();
        let mut places: BTreeMap<String, String> = BTreeMap::new();
        let mut found = Vec::new();
        let (mut bytes, mut is_open) = (0_usize, false);
        for (number, file) in (1..).zip(files) {
            let TableText {
                path,
                text,
                is_expected,
            } = file;
            let fault = |code, message: String, help: &str| FileDiagnostics {
                name: path.clone(),
                text: String::new(),
                diagnostics: vec![Diagnostic::error(code, 0..0, message).with_help(help)],
            };
            if number > limits.tables {
                let message = format!("more than the {} tables allowed", limits.tables);
                found.push(fault(Code::RULE_LIMIT, message, "remove some of them"));
                is_open = true;
                break;
            }
            bytes = bytes.saturating_add(text.as_ref().map_or(0, String::len));
            if bytes > limits.all_table_bytes {
                let message = format!(
                    "the tables have more than the {} bytes allowed",
                    limits.all_table_bytes
                );
                found.push(fault(Code::RULE_LIMIT, message, "remove some of the rows"));
                is_open = true;
                break;
            }
            let stem = Path::new(&path).file_stem();
            let name = stem.map_or_else(|| path.clone(), |stem| stem.to_string_lossy().into());
            let Some(format) = TableFormat::of(Path::new(&path)) else {
                let message = format!("unknown format of the table {path}");
                let help = "name it NAME.csv or NAME.ndjson";
                found.push(fault(Code::TABLE_FILE, message, help));
                continue;
            };
            if let Some(first) = places.insert(name.clone(), path.clone()) {
                let message = format!("duplicate table name `{name}`: {first} and {path}");
                let help = "the stem of its file is the name of a table; rename one of the files";
                found.push(fault(Code::DUPLICATE_TABLE, message, help));
                continue;
            }
            let text: Option<Arc<str>> = text.map(Into::into);
            let names = (name.clone(), path.clone());
            let read = text.map(|text| {
                let read = Table::read(names, Arc::clone(&text), format, limits);
                read.map_err(|diagnostics| FileDiagnostics {
                    name: path,
                    text: text.to_string(),
                    diagnostics,
                })
            });
            let table = match read {
                Some(Ok(table)) => Some(Arc::new(table)),
                Some(Err(invalid)) => {
                    found.push(invalid);
                    None
                }
                None => None,
            };
            tables.insert(name, Entry { table, is_expected });
        }
        let tables = Self {
            tables: Arc::new(tables),
            is_open,
        };
        (tables, found)
    }

    /// A set in which every table is taken for one that cannot be read: nothing is said about
    /// lookups in them.
    pub(crate) fn open() -> Self {
        Self {
            tables: Arc::default(),
            is_open: true,
        }
    }

    /// The same set with these tables in place of those of the same name.
    pub(crate) fn with(&self, replaced: &BTreeMap<String, Arc<Table>>) -> Self {
        let mut tables = (*self.tables).clone();
        for (name, table) in replaced {
            let entry = Entry {
                table: Some(Arc::clone(table)),
                is_expected: false,
            };
            tables.insert(name.clone(), entry);
        }
        Self {
            tables: Arc::new(tables),
            is_open: self.is_open,
        }
    }

    /// Whether there is a table of that name, also if it cannot be read.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.is_open || self.tables.contains_key(name)
    }

    /// The table of that name; `None` also if it cannot be read.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Table>> {
        self.tables.get(name)?.table.as_ref()
    }

    fn valid(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.tables
            .values()
            .filter_map(|entry| entry.table.as_ref())
    }
}

impl<'t> UsedTables<'t> {
    pub(crate) fn new(tables: &'t Tables, limits: &'t Arc<RuleSetLimits>) -> Self {
        Self {
            tables,
            limits,
            used: RefCell::default(),
        }
    }

    /// Records that a rule looks up rows of a table by this column, and returns its index.
    pub(crate) fn indexed(&self, table: &Table, column: &str) -> Arc<IndexedColumn> {
        let key = (table.name.clone(), column.to_owned());
        self.used.borrow_mut().insert(key);
        table.indexed(column, self.limits)
    }

    /// What is wrong with the keys of the tables that rules use, by table.
    pub(crate) fn key_faults(&self) -> Vec<FileDiagnostics> {
        let mut found: Vec<FileDiagnostics> = Vec::new();
        for (name, column) in self.used.borrow().iter() {
            let Some(table) = self.tables.get(name) else {
                continue;
            };
            let faults = table.indexed(column, self.limits);
            if faults.found.is_empty() {
                continue;
            }
            match found.last_mut() {
                Some(last) if last.name == table.file => {
                    last.diagnostics.extend(faults.found.iter().cloned());
                }
                _ => found.push(FileDiagnostics {
                    name: table.file.clone(),
                    text: table.text.to_string(),
                    diagnostics: faults.found.clone(),
                }),
            }
        }
        found
    }

    /// The warnings about tables that no rule uses.
    pub(crate) fn unused(&self) -> Vec<FileDiagnostics> {
        let used = self.used.borrow();
        let is_used = |name: &str| used.iter().any(|(used, _)| used == name);
        let tables = self.tables.tables.iter();
        let unused = tables.filter(|(name, entry)| entry.is_expected && !is_used(name));
        let unused = unused.filter_map(|(_, entry)| entry.table.as_ref());
        let warning = |table: &Arc<Table>| FileDiagnostics {
            name: table.file.clone(),
            text: String::new(),
            diagnostics: vec![
                Diagnostic::warning(
                    Code::UNUSED_TABLE,
                    0..0,
                    format!("no rule looks up rows of the table `{}`", table.name),
                )
                .with_help("remove the file, or use it in the `lookup` of a rule"),
            ],
        };
        unused.map(warning).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The messages about tables under these limits.
    fn faults(limits: &RuleSetLimits, files: &[(&str, &str)]) -> Vec<String> {
        let files = files.iter().map(|(path, text)| TableText {
            path: (*path).to_owned(),
            text: Some((*text).to_owned()),
            is_expected: true,
        });
        let (_, found) = Tables::read(files.collect(), limits);
        let found = found.iter().flat_map(|file| &file.diagnostics);
        found.map(|found| found.message.clone()).collect()
    }

    #[test]
    fn every_limit_of_tables_is_reached() {
        let default = RuleSetLimits::DEFAULT;
        let (a, b) = (
            ("a.csv", "id,v\n1,xxxx\n2,y\n"),
            ("b.ndjson", r#"{"key": 1, "v": "xxxx"}"#),
        );
        assert_eq!(faults(&default, &[a, b]), [""; 0]);
        let at = |change: fn(&mut RuleSetLimits, usize), value: usize| {
            let mut limits = default;
            change(&mut limits, value);
            faults(&limits, &[a, b])
        };
        let tables = |limits: &mut RuleSetLimits, value| limits.tables = value;
        assert_eq!(at(tables, 2), [""; 0]);
        assert_eq!(at(tables, 1), ["more than the 1 tables allowed"]);
        let bytes = |limits: &mut RuleSetLimits, value| limits.table_bytes = value;
        assert_eq!(at(bytes, b.1.len()), [""; 0]);
        let message = "the table has 23 bytes, more than the 22 allowed";
        assert_eq!(at(bytes, b.1.len() - 1), [message]);
        let all = |limits: &mut RuleSetLimits, value| limits.all_table_bytes = value;
        let total = a.1.len() + b.1.len();
        assert_eq!(at(all, total), [""; 0]);
        let message = format!("the tables have more than the {} bytes allowed", total - 1);
        assert_eq!(at(all, total - 1), [message]);
        let rows = |limits: &mut RuleSetLimits, value| limits.table_rows = value;
        assert_eq!(at(rows, 2), [""; 0]);
        assert_eq!(at(rows, 1), ["more than the 1 rows allowed"]);
        assert_eq!(at(rows, 0).len(), 2);
        let columns = |limits: &mut RuleSetLimits, value| limits.table_columns = value;
        assert_eq!(at(columns, 2), [""; 0]);
        let message = "the table has 2 columns, more than the 1 allowed";
        assert_eq!(at(columns, 1), [message, message]);
        let cells = |limits: &mut RuleSetLimits, value| limits.table_cell_bytes = value;
        assert_eq!(at(cells, 4), [""; 0]);
        let message = "the value of `v` has more than 3 bytes";
        assert_eq!(at(cells, 3), [message, message]);
    }

    #[test]
    fn a_table_with_many_faults_has_a_bounded_report() {
        let rows = "1\n".repeat(10_000);
        let found = faults(
            &RuleSetLimits::DEFAULT,
            &[("a.csv", &format!("id,v\n{rows}"))],
        );
        assert_eq!(found.len(), RuleSetLimits::DEFAULT.findings + 1);
        let text = format!("id\n{rows}");
        let tables = Tables::parse([("a.csv", text)]).unwrap();
        let limits = Arc::new(RuleSetLimits::DEFAULT);
        let used = UsedTables::new(&tables, &limits);
        let table = tables.get("a").unwrap();
        let found = &used.indexed(table, "id").found;
        assert_eq!(found.len(), RuleSetLimits::DEFAULT.findings + 1);
    }
}
