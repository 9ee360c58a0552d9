//! Values of single fields in the spelling of the native form; shared by the conversions from every envelope.

use crate::json::Json;
use crate::{Level, catalogue};

/// Content that may be JSON text, as the object it spells; anything else as it is.
pub(crate) fn content(value: Json, depth: usize) -> Json {
    let spelt = value
        .as_str()
        .and_then(|text| Json::parse_within(text, depth.saturating_sub(1)).ok());
    spelt
        .filter(|json| matches!(json, Json::Object(_)))
        .unwrap_or(value)
}

/// A level in capitals; a word that is no level as it is.
pub(crate) fn level(value: &Json) -> Json {
    value
        .as_str()
        .and_then(Level::parse)
        .map_or_else(|| value.clone(), |level| level.as_str().into())
}

/// The level of an event that carries none: WARN at least when its result is a failure, else the catalogue's.
pub(crate) fn derived_level(name: &str, content: Option<&Json>) -> Option<Level> {
    let usual = catalogue::find_name(name).and_then(|(entry, _)| entry.level);
    match content
        .and_then(|content| content.get("result"))
        .and_then(Json::as_str)
    {
        Some("failed") => Some(usual.map_or(Level::Warn, |level| level.max(Level::Warn))),
        Some("success" | "accomplished") => Some(usual.unwrap_or(Level::Info)),
        _ => usual,
    }
}

/// The name with the status of the event as its last part, where the catalogue knows that status for that name.
pub(crate) fn with_status(name: &str, status: Option<&Json>) -> String {
    let known = catalogue::find_name(name).filter(|(_, part)| part.is_none());
    match (known, status.and_then(Json::as_str)) {
        (Some((entry, _)), Some(status)) if entry.statuses.contains(&status) => {
            format!("{name}:{status}")
        }
        _ => name.to_owned(),
    }
}
