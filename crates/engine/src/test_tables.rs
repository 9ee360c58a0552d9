//! `tables` of a `[[test]]`: rows that the test has in place of those of the files.

use std::collections::BTreeMap;
use std::sync::Arc;

use reflexarc_diagnostic::toml::{ANY_NAME, DeValue, Spanned, TableReader};
use reflexarc_diagnostic::{Code, Diagnostic, Span, nearest};
use reflexarc_event::Json;

use crate::lookup::{Lookups, unknown_column};
use crate::table::Table;
use crate::tables::UsedTables;
use crate::toml_json::json_tables;

/// The tables of a test, by name.
pub(crate) type TestTables = BTreeMap<String, Arc<Table>>;

/// Reads `tables` of a test.
pub(crate) fn read(
    test: &TableReader<'_>,
    lookups: &Lookups,
    tables: &UsedTables<'_>,
) -> TestTables {
    let Some(named) = test.table("tables") else {
        return TestTables::new();
    };
    let mut read = TestTables::new();
    if named.is_recording() {
        // Rows have the columns of their table.
        for row in named.tables(ANY_NAME) {
            row.declare_open();
        }
        return read;
    }
    for (name, span) in named.names() {
        if !lookups.iter().any(|lookup| lookup.table_name == name) {
            named.report(unused_table(&name, span, lookups));
            named.allow(&[&name]);
            continue;
        }
        let real = tables.tables.get(&name).map(|table| &**table);
        if let Some(table) = read_table(&name, &named, real, tables) {
            report_keys(&name, &table, &named, lookups, tables);
            read.insert(name, Arc::new(table));
        }
    }
    named.finish();
    read
}

/// Reads the rows of one table. `real` is the one of the file.
fn read_table(
    name: &str,
    named: &TableReader<'_>,
    real: Option<&Table>,
    tables: &UsedTables<'_>,
) -> Option<Table> {
    let are_texts = real.is_some_and(Table::are_texts);
    let rows = json_tables(named, name, |row| {
        for (key, value) in row.raw() {
            let column = key.get_ref().as_ref();
            row.allow(&[column]);
            if let Some(real) = real
                && !real.may_have_column(column)
            {
                // The key may be in quotes, which a fix would replace.
                let mut error = unknown_column(real, column, key.span());
                error.fix = None;
                row.report(error);
            }
            if are_texts && matches!(value.get_ref(), DeValue::Array(_) | DeValue::Table(_)) {
                let message = format!("`{column}` is a text in the table `{name}`, which is CSV");
                let error = Diagnostic::error(Code::RULE_TYPE, value.span(), message);
                row.report(error.with_help("write a string"));
            }
        }
        row.finish();
    })?;
    let mut text = String::new();
    for row in rows {
        let row = if are_texts { texts(row) } else { row };
        text.push_str(&row.to_string());
        text.push('\n');
    }
    match Table::of_objects(name, text.into(), real, tables.limits) {
        Ok(table) => Some(table),
        Err(found) => {
            let spans = row_spans(name, named);
            for found in found {
                named.report(located(found, &spans, 0));
            }
            None
        }
    }
}

/// Reports what is wrong with the keys of rows.
fn report_keys(
    name: &str,
    table: &Table,
    named: &TableReader<'_>,
    lookups: &Lookups,
    tables: &UsedTables<'_>,
) {
    let spans = row_spans(name, named);
    let mut columns: Vec<&str> = lookups
        .iter()
        .filter(|lookup| lookup.table_name == name)
        .map(|lookup| lookup.column.as_str())
        .collect();
    columns.dedup();
    for column in columns {
        // Of a table that cannot be read, the column is not known.
        let column = if column.is_empty() {
            table.key_column()
        } else {
            column
        };
        for found in &table.indexed(column, tables.limits).found {
            let row = |span: &Span| table.text[..span.start].matches('\n').count();
            let mut located_found = located(found.clone(), &spans, row(&found.span));
            for (label, of) in located_found.labels.iter_mut().zip(&found.labels) {
                label.span = span_of(&spans, row(&of.span));
            }
            named.report(located_found);
        }
    }
}

/// The places of the rows in the rule file.
fn row_spans(name: &str, named: &TableReader<'_>) -> Vec<Span> {
    match named.raw().get(name).map(Spanned::get_ref) {
        Some(DeValue::Array(rows)) => rows.iter().map(Spanned::span).collect(),
        _ => vec![named.span_of(name)],
    }
}

fn span_of(spans: &[Span], row: usize) -> Span {
    let span = spans.get(row).or(spans.first());
    span.cloned().unwrap_or_default()
}

/// The diagnostic about a row as one about the rule file.
fn located(mut found: Diagnostic, spans: &[Span], row: usize) -> Diagnostic {
    found.span = span_of(spans, row);
    found
}

/// A row as CSV has it, with all values as texts.
fn texts(row: Json) -> Json {
    let Json::Object(members) = row else {
        return row;
    };
    let members = members.into_iter().map(|(name, value)| {
        let text = match value {
            Json::String(text) => text,
            other => other.to_string(),
        };
        (name, Json::from(text))
    });
    Json::Object(members.collect())
}

fn unused_table(name: &str, span: Span, lookups: &Lookups) -> Diagnostic {
    let message = format!("no lookup of the rule uses the table `{name}`");
    let error = Diagnostic::error(Code::UNKNOWN_TABLE, span, message);
    let names = lookups.iter().map(|lookup| lookup.table_name.as_str());
    match nearest(name, names) {
        Some(meant) => error.with_help(format!("did you mean `{meant}`?")),
        None => error.with_help("remove it, or add a lookup in it"),
    }
}
