//! Reading a table from NDJSON: an object on each line.

use std::sync::Arc;

use reflexarc_diagnostic::{Code, Diagnostic};
use reflexarc_event::Json;

use super::rows::{ObjectRows, Place};
use super::{ColumnName, check_columns, too_large_cell, too_many_rows};
use crate::RuleSetLimits;

/// The columns and the rows of a table. What is wrong is added to `found`.
pub(super) fn read(
    text: &Arc<str>,
    limits: &RuleSetLimits,
    found: &mut Vec<Diagnostic>,
) -> (Vec<String>, ObjectRows) {
    let mut columns: Vec<String> = Vec::new();
    let mut rows = ObjectRows {
        text: Arc::clone(text),
        are_texts: false,
        places: Vec::new(),
    };
    let mut next = text.len() - text.trim_start_matches('\u{feff}').len();
    for line in text[next..].split_inclusive('\n') {
        let start = next;
        next += line.len();
        let line = line.trim_end();
        if line.is_empty() {
            continue;
        }
        let span = start..start + line.len();
        if rows.places.len() == limits.table_rows {
            found.push(too_many_rows(span, limits));
            break;
        }
        let members = match Json::parse(line) {
            Ok(Json::Object(members)) => members,
            Ok(_) => {
                let message = "expected a JSON object on each line";
                found.push(Diagnostic::error(Code::TABLE_FILE, span, message));
                continue;
            }
            Err(error) => {
                let at = start + error.offset.min(line.len());
                let message = format!("invalid JSON: {error}");
                let error = Diagnostic::error(Code::TABLE_FILE, at..at, message);
                found.push(error.with_help("write one object on each line"));
                if found.len() > limits.findings {
                    break;
                }
                continue;
            }
        };
        let is_known = |name: &str| columns.iter().any(|column| column == name);
        // A name that the row has twice is a duplicate among its own names.
        let own = members.iter().map(|(name, _)| name.as_str());
        let is_repeated = (1..members.len())
            .any(|at| members[..at].iter().any(|(name, _)| *name == members[at].0));
        let new: Vec<&str> = if is_repeated {
            own.collect()
        } else {
            own.filter(|name| !is_known(name)).collect()
        };
        if !new.is_empty() {
            let before = columns.iter().filter(|_| !is_repeated);
            let all = before.map(String::as_str).chain(new);
            let all = all.map(|name| ColumnName {
                name,
                span: span.clone(),
            });
            match check_columns(&all.collect::<Vec<_>>(), limits, found) {
                Some(all) => columns = all,
                None => break,
            }
        }
        let is_large = |value: &Json| match value {
            Json::String(text) => text.len() > limits.table_cell_bytes,
            Json::Array(_) | Json::Object(_) => value.to_string().len() > limits.table_cell_bytes,
            _ => false,
        };
        if let Some((name, _)) = members.iter().find(|(_, value)| is_large(value)) {
            found.push(too_large_cell(span, name, limits));
        } else if let Some(place) = Place::new(&span) {
            rows.places.push(place);
        }
        if found.len() > limits.findings {
            break;
        }
    }
    rows.places.shrink_to_fit();
    (columns, rows)
}
