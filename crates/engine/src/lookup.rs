//! The lookups of a rule: rows of tables that values of its events select.

use std::sync::Arc;

use reflexarc_diagnostic::toml::EmbeddedText;
use reflexarc_diagnostic::{Code, Diagnostic, Span, nearest};
use reflexarc_event::{Event, FieldSet, Json};

use crate::event_value::{fields_of, scalar_at};
use crate::table::{IndexedColumn, Table};

/// The lookups of a rule, by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lookups(Vec<Arc<Lookup>>);

/// A row of a table that a value of the event selects.
#[derive(Debug)]
pub(crate) struct Lookup {
    pub(crate) name: String,
    /// The location of its name in the rule file.
    pub(crate) span: Span,
    /// The path of the value.
    pub(crate) path: EmbeddedText,
    /// What is read of an event to find the value.
    fields: FieldSet,
    pub(crate) table_name: String,
    /// The column that it is compared with.
    pub(crate) column: String,
    /// `None` for a table that cannot be read, which was reported.
    table: Option<(Arc<Table>, Arc<IndexedColumn>)>,
}

/// A column of the row that a lookup finds: `lookup.vswitch.id`.
#[derive(Debug, Clone)]
pub(crate) struct RowPath {
    pub(crate) lookup: Arc<Lookup>,
    /// The path in the row.
    path: String,
}

/// How paths and variables of lookups begin.
pub(crate) const LOOKUP: &str = "lookup";

impl Lookups {
    pub(crate) fn new(mut lookups: Vec<Arc<Lookup>>) -> Self {
        lookups.sort_by(|a, b| a.name.cmp(&b.name));
        Self(lookups)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Lookup>> {
        self.0.iter()
    }

    /// The rows that are found for an event, as an object by the names of lookups, of those that
    /// `is_read`; null where there is none, also without an event.
    pub(crate) fn rows(&self, event: Option<&Event>, is_read: &dyn Fn(&str) -> bool) -> Json {
        let read = self.0.iter().filter(|lookup| is_read(&lookup.name));
        let rows = read.map(|lookup| {
            let row = event.and_then(|event| lookup.row(event).ok());
            (lookup.name.clone(), row.unwrap_or(Json::Null))
        });
        Json::Object(rows.collect())
    }

    /// The column that a path of the rule names; `None` for a path of the event.
    ///
    /// # Errors
    /// If there is no such lookup or column, located in the file.
    pub(crate) fn row_path(&self, path: &EmbeddedText) -> Result<Option<RowPath>, Box<Diagnostic>> {
        // In a rule without lookups, `lookup` is a field like any other.
        let rest = match path.text().strip_prefix(LOOKUP) {
            Some("") => "",
            Some(rest) if rest.starts_with('.') => &rest[1..],
            _ => return Ok(None),
        };
        if self.is_empty() {
            return Ok(None);
        }
        let start = path.text().len() - rest.len();
        let (name, column) = rest.split_once('.').unwrap_or((rest, ""));
        let at = start..start + name.len();
        let lookup = match self.get(name, at) {
            Ok(lookup) => lookup,
            Err(found) => return Err(Box::new(path.map_spans(*found))),
        };
        if column.is_empty() {
            let message = format!("`{}` is a row, which is no key", path.text());
            let error = Diagnostic::error(Code::UNKNOWN_COLUMN, 0..path.text().len(), message);
            let column = lookup.example_column();
            let help = format!("name one of its columns, for example lookup.{name}.{column}");
            return Err(Box::new(path.map_spans(error.with_help(help))));
        }
        let start = path.text().len() - column.len();
        // The column of an object may contain dots, as may the keys of events.
        let first = column.split('.').next().unwrap_or_default();
        if !lookup.may_have_column(column)
            && let Some(found) = lookup.unknown_column(first, start..start + first.len())
        {
            return Err(Box::new(path.map_spans(found)));
        }
        Ok(Some(RowPath {
            lookup: Arc::clone(lookup),
            path: column.to_owned(),
        }))
    }

    /// The lookup of this name, or the error about it at `span`.
    pub(crate) fn get(&self, name: &str, span: Span) -> Result<&Arc<Lookup>, Box<Diagnostic>> {
        if let Some(lookup) = self.0.iter().find(|lookup| lookup.name == name) {
            return Ok(lookup);
        }
        let names = || self.0.iter().map(|lookup| lookup.name.as_str());
        let message = format!("unknown lookup `{name}`");
        let error = Diagnostic::error(Code::UNKNOWN_COLUMN, span.clone(), message);
        let meant = nearest(name, names());
        Err(Box::new(suggest(error, span, meant, || {
            let names: Vec<&str> = names().collect();
            format!("the rule has: {}", names.join(", "))
        })))
    }
}

impl Lookup {
    pub(crate) fn new(
        (name, span): (String, Span),
        path: EmbeddedText,
        (table_name, column): (String, String),
        table: Option<(Arc<Table>, Arc<IndexedColumn>)>,
    ) -> Self {
        Self {
            name,
            span,
            fields: fields_of([path.text()]),
            path,
            table_name,
            column,
            table,
        }
    }

    /// The value of the event by which a row is looked up, or why it has none.
    pub(crate) fn key(&self, event: &Event) -> Result<Json, String> {
        let tree = event.partial_tree(&self.fields);
        scalar_at(&tree, self.path.text(), "the event")
    }

    /// The row for an event as an object of its columns, or why there is none.
    pub(crate) fn row(&self, event: &Event) -> Result<Json, String> {
        let key = self.key(event)?;
        let found = self.table.as_ref().and_then(|(table, indexed)| {
            let number = indexed.index.find(&key)?;
            Some(table.row(number))
        });
        found.ok_or_else(|| format!("the table `{}` has no row for {key}", self.table_name))
    }

    /// Whether rows may have this column.
    pub(crate) fn may_have_column(&self, name: &str) -> bool {
        let table = self.table.as_ref();
        table.is_none_or(|(table, _)| table.may_have_column(name))
    }

    /// The error about a column that the table does not have, at `span`; `None` if it may have it.
    pub(crate) fn unknown_column(&self, name: &str, span: Span) -> Option<Diagnostic> {
        let (table, _) = self.table.as_ref()?;
        if table.may_have_column(name) {
            return None;
        }
        Some(unknown_column(table, name, span))
    }

    fn example_column(&self) -> &str {
        let table = self.table.as_ref().map(|(table, _)| table);
        let mut columns = table.into_iter().flat_map(|table| table.columns());
        columns.find(|name| *name != self.column).unwrap_or("id")
    }
}

impl RowPath {
    /// The value of the row that is found for an event, or why there is none.
    pub(crate) fn value(&self, event: &Event) -> Result<Json, String> {
        let lookup = &self.lookup;
        let missing = |reason: String| format!("lookup.{}: {reason}", lookup.name);
        let row = lookup.row(event).map_err(missing)?;
        scalar_at(&row, &self.path, "the row").map_err(missing)
    }
}

/// The error about a column that a table does not have.
pub(crate) fn unknown_column(table: &Table, name: &str, span: Span) -> Diagnostic {
    let message = format!("the table `{}` has no column `{name}`", table.name);
    let error = Diagnostic::error(Code::UNKNOWN_COLUMN, span.clone(), message);
    let meant = nearest(name, table.columns());
    suggest(error, span, meant, || {
        let columns: Vec<&str> = table.columns().collect();
        format!("it has: {}", columns.join(", "))
    })
}

/// The error with what is meant, as help and fix, or with what there is.
fn suggest(
    error: Diagnostic,
    span: Span,
    meant: Option<&str>,
    others: impl FnOnce() -> String,
) -> Diagnostic {
    match meant {
        Some(meant) => error
            .with_help(format!("did you mean `{meant}`?"))
            .with_fix(span, meant),
        None => error.with_help(others()),
    }
}
