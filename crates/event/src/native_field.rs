//! Single fields in the spelling of the native form, for the conversions from every envelope.

use crate::json::Json;
use crate::{Level, OperationResult, catalogue};

/// Content as an object if it is the JSON text of one, else unchanged.
pub(crate) fn content(value: Json, depth: usize) -> Json {
    // Other text is the content itself. It may also be JSON that is nested too deep: a
    // rule can still compare it as a string, and the event is not lost.
    let parsed = value
        .as_str()
        .and_then(|text| Json::parse_within(text, depth.saturating_sub(1)).ok());
    parsed
        .filter(|json| matches!(json, Json::Object(_)))
        .unwrap_or(value)
}

/// A level in capitals; unchanged if it is not a level.
pub(crate) fn level(value: &Json) -> Json {
    // An unknown level stays visible to rules, and `check --events` reports it.
    value
        .as_str()
        .and_then(|text| text.parse::<Level>().ok())
        .map_or_else(|| value.clone(), |level| level.as_str().into())
}

/// The level of an event that has none: that of the catalogue, but at least WARN if its result is a
/// failure; `result` is that in its content.
pub(crate) fn derived_level(name: &str, result: Option<&str>) -> Option<Level> {
    let documented = catalogue::find_name(name).and_then(|(entry, _)| entry.level);
    match result.and_then(|text| text.parse::<OperationResult>().ok()) {
        // "failed" raises INFO to WARN, but does not lower CRITICAL.
        Some(OperationResult::Failed) => {
            Some(documented.map_or(Level::Warn, |level| level.max(Level::Warn)))
        }
        Some(OperationResult::Success) => Some(documented.unwrap_or(Level::Info)),
        None => documented,
    }
}

/// The name with the status of the event as its last part, if the catalogue lists that status.
pub(crate) fn with_status(name: &str, status: Option<&str>) -> String {
    let Some(status) = status else {
        return name.to_owned();
    };
    // A name that ends in a status already is not extended, nor is one whose events have another
    // kind of `status`, such as the state of a disk.
    let entry = catalogue::find_name(name).filter(|(_, part)| part.is_none());
    match entry {
        Some((entry, _)) if entry.statuses.contains(&status) => format!("{name}:{status}"),
        _ => name.to_owned(),
    }
}
