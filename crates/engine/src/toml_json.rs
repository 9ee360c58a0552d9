//! TOML values as JSON: what a rule's test expects of actions, emitted events and state.

use reflexarc_diagnostic::Span;
use reflexarc_diagnostic::toml::{DeTable, DeValue, EmbeddedText, TableReader};
use reflexarc_event::Json;

/// The table at a key as the members of a JSON object.
pub(crate) fn json_table(reader: &TableReader<'_>, key: &str) -> Option<Vec<(String, Json)>> {
    let table = reader.table(key)?;
    table.declare_open();
    Some(members(table.raw()))
}

/// An array of tables as JSON objects, each of which `check` may report faults of.
pub(crate) fn json_tables(
    reader: &TableReader<'_>,
    key: &str,
    check: impl Fn(TableReader<'_>),
) -> Option<Vec<Json>> {
    // An absent key is not checked, an empty array expects that there are none.
    if !reader.has(key) {
        return None;
    }
    let objects = reader.tables(key).into_iter().map(|table| {
        let object = Json::Object(members(table.raw()));
        check(table);
        object
    });
    Some(objects.collect())
}

/// An array of JSON values, or one value.
pub(crate) fn json_values(reader: &TableReader<'_>, key: &str) -> Option<Vec<Json>> {
    Some(match reader.lookup(key)?.get_ref() {
        DeValue::Array(elements) => {
            let elements = elements.iter();
            elements.map(|element| json(element.get_ref())).collect()
        }
        value => vec![json(value)],
    })
}

/// The character of a JSON text at which it is invalid, in the rule file.
pub(crate) fn error_span(text: &EmbeddedText, offset: usize) -> Span {
    let start = offset.min(text.text().len());
    let rest = text.text().get(start..).unwrap_or_default();
    let width = rest.chars().next().map_or(0, char::len_utf8);
    text.locate(&(start..start + width))
}

/// A value as JSON.
pub(crate) fn json(value: &DeValue<'_>) -> Json {
    match value {
        DeValue::String(text) => Json::from(text.as_ref()),
        // An integer of TOML may be hexadecimal; beyond 64 bits it is a string, as in scripts.
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Json::from(number),
            Err(_) => Json::from(number.to_string()),
        },
        // TOML has floats that JSON does not have: `inf` and `nan` become strings; `1_000.5` and
        // `+1.0` lose what is only spelling.
        DeValue::Float(number) => {
            let text = number.as_str().trim_start_matches('+').replace('_', "");
            match Json::parse(&text) {
                Ok(number @ Json::Number(_)) => number,
                _ => Json::from(text),
            }
        }
        DeValue::Boolean(value) => Json::from(*value),
        // Events have times as strings.
        DeValue::Datetime(time) => Json::from(time.to_string()),
        DeValue::Array(elements) => Json::Array(
            elements
                .iter()
                .map(|element| json(element.get_ref()))
                .collect(),
        ),
        DeValue::Table(table) => Json::Object(members(table)),
    }
}

/// The members in the order of the file; the parser keeps them in the order of their names.
fn members(table: &DeTable<'_>) -> Vec<(String, Json)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
        .into_iter()
        .map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref())))
        .collect()
}
