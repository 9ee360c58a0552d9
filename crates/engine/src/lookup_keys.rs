//! Reading `lookup` of a rule file.

use std::sync::Arc;

use reflexarc_diagnostic::toml::{EmbeddedText, TableReader};
use reflexarc_diagnostic::{Code, Diagnostic, Span, nearest};

use crate::lookup::{Lookup, Lookups, unknown_column};
use crate::misplaced_keys::MisplacedKeys;
use crate::table::Table;
use crate::tables::UsedTables;

/// What is written where a key is missing.
const EXAMPLE: &str = "for example lookup = { vswitch = { table = \"vswitches\", \
                       key = \"content.primaryPrivateIp\" } }";

/// Reads the lookups of a rule.
pub(crate) fn read(
    root: &TableReader<'_>,
    misplaced: &MisplacedKeys,
    tables: &UsedTables<'_>,
) -> Lookups {
    if !root.has("lookup") {
        return Lookups::default();
    }
    let Some(named) = root.table("lookup") else {
        return Lookups::default();
    };
    misplaced.allow(&named);
    let keys = named.names().into_iter();
    let keys: Vec<_> = keys.filter(|(_, span)| !misplaced.is_at(span)).collect();
    let limit = tables.limits.lookups;
    if keys.len() > limit {
        let message = format!("{} lookups, more than the {limit} allowed", keys.len());
        root.fault("lookup", Code::RULE_LIMIT, message, "remove some of them");
    }
    let lookups = keys.into_iter().take(limit).filter_map(|(name, span)| {
        let table = named.table(&name)?;
        let lookup = read_lookup((name, span), &table, tables);
        misplaced.allow(&table);
        table.finish();
        Some(Arc::new(lookup))
    });
    Lookups::new(lookups.collect())
}

/// Reads a lookup. After a fault it is one about which nothing more is said.
fn read_lookup(
    (name, span): (String, Span),
    keys: &TableReader<'_>,
    tables: &UsedTables<'_>,
) -> Lookup {
    // Scripts write `lookup.vswitch.id`.
    let mut characters = name.chars();
    let is_name = characters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        let message = format!("invalid lookup name `{name}`");
        let error = Diagnostic::error(Code::RULE_VALUE, span.clone(), message);
        keys.report(error.with_help("write it with letters, digits and `_`, a letter first"));
    }
    for key in ["table", "key"] {
        if !keys.has(key) {
            keys.missing(key, EXAMPLE);
        }
    }
    let table_name = keys.embedded("table");
    let path = keys.embedded("key");
    let column = keys.embedded("column");
    if let Some(path) = &path
        && let Some(message) = path_fault(path.text())
    {
        let error = Diagnostic::error(Code::RULE_VALUE, path.span(), message);
        keys.report(error.with_help("name a field of the event, for example \"content.eniId\""));
    }
    let table = table_name.as_ref().and_then(|name| {
        if !tables.tables.has(name.text()) {
            keys.report(unknown_table(name, tables));
        }
        let table = tables.tables.get(name.text())?;
        let column = key_column(keys, table, column, &span)?;
        Some((Arc::clone(table), column))
    });
    let text = |text: Option<EmbeddedText>| text.map_or_else(String::new, EmbeddedText::into_text);
    let path = path.unwrap_or_else(|| EmbeddedText::standalone(""));
    let (table, column) = match table {
        Some((table, column)) => {
            let indexed = tables.indexed(&table, &column);
            (Some((table, indexed)), column)
        }
        None => (None, String::new()),
    };
    Lookup::new((name, span), path, (text(table_name), column), table)
}

/// What is wrong with the path of a key.
fn path_fault(path: &str) -> Option<String> {
    if path.is_empty() {
        Some("empty path".to_owned())
    } else if path.starts_with("lookup.") {
        Some(format!(
            "the key `{path}` of a lookup is a column of another one"
        ))
    } else {
        None
    }
}

/// The column that values are compared with; `None` after a fault.
fn key_column(
    keys: &TableReader<'_>,
    table: &Table,
    named: Option<EmbeddedText>,
    span: &Span,
) -> Option<String> {
    if let Some(named) = named {
        if table.may_have_column(named.text()) {
            return Some(named.into_text());
        }
        let whole = 0..named.text().len();
        let error = unknown_column(table, named.text(), whole);
        keys.report(named.map_spans(error));
        return None;
    }
    // A value of another type, which was reported.
    if keys.has("column") {
        return None;
    }
    let column = table.key_column();
    if column != "cidr" && table.columns().any(|name| name == "cidr") {
        let message = format!(
            "this lookup compares with `{column}`, the first column of `{}`, and not with `cidr`",
            table.name
        );
        let warning = Diagnostic::warning(Code::KEY_COLUMN, span.clone(), message);
        keys.report(warning.with_help(format!(
            "write column = \"cidr\" for the longest network, or column = \"{column}\""
        )));
    }
    Some(column.to_owned())
}

fn unknown_table(name: &EmbeddedText, tables: &UsedTables<'_>) -> Diagnostic {
    let whole = 0..name.text().len();
    let message = format!("unknown table `{}`", name.text());
    let error = Diagnostic::error(Code::UNKNOWN_TABLE, whole.clone(), message);
    let stem = name.text().strip_suffix(".csv");
    let stem = stem.or_else(|| name.text().strip_suffix(".ndjson"));
    let stem = stem.filter(|stem| tables.tables.has(stem));
    let meant = stem.or_else(|| nearest(name.text(), tables.tables.names()));
    let error = match meant {
        Some(meant) => error
            .with_help(format!("did you mean `{meant}`?"))
            .with_fix(whole, meant),
        None => error.with_help(format!(
            "add the file tables/{0}.csv or tables/{0}.ndjson beside the rules",
            name.text()
        )),
    };
    name.map_spans(error)
}
