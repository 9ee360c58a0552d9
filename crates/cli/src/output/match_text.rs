//! Matches of time windows, as text for people and as JSON for programs.

use reflexarc::{FiringReason, MatchFiring};
use reflexarc_event::Json;

use super::text::{plural, truncate};

/// `deadline of stuck  eni-1`, for the rule of a match and its key as JSON.
pub(crate) fn deadline_title(rule: &str, key: &str) -> String {
    match_title(&format!("deadline of {rule}"), key, None)
}

/// `stuck  eni-1`, for the rule of a match and its key as JSON, or the name of what the key is the
/// id of.
pub(crate) fn match_title(rule: &str, key: &str, name: Option<&str>) -> String {
    let key = script_key(key);
    let key = name.map(str::to_owned).or_else(|| key_text(&key));
    match key {
        None => rule.to_owned(),
        Some(key) => format!("{rule}  {key}"),
    }
}

/// The key of a match, which is JSON, as scripts see it: without `by` an empty text.
pub(crate) fn script_key(key: &str) -> Json {
    match Json::parse(key) {
        Ok(Json::Array(values)) if values.is_empty() => Json::from(""),
        Ok(json) => json,
        Err(_) => Json::from(key),
    }
}

/// A key as scripts see it, for people; `None` where the rule has no `by`.
fn key_text(key: &Json) -> Option<String> {
    match key.as_str() {
        Some("") => None,
        Some(text) => Some(truncate(text).into_owned()),
        None => Some(truncate(&key.to_string()).into_owned()),
    }
}

/// The match that a rule reacted to: `fired for eni-1: 6 events since 2026-11-25T08:00:00Z`.
pub(super) fn firing_text(firing: &MatchFiring) -> String {
    let mut text = reason_word(firing.reason).to_owned();
    if let Some(key) = key_text(&firing.key) {
        text.push_str(&format!(" for {key}"));
    }
    text.push_str(": ");
    if firing.count == 0 {
        text.push_str("no event");
    } else {
        text.push_str(&plural(firing.count, "event"));
    }
    text.push_str(&format!(" since {}", firing.opened));
    if firing.late {
        text.push_str(", late");
    }
    text
}

/// `fired` or `resolved`.
pub(super) fn reason_word(reason: FiringReason) -> &'static str {
    match reason {
        FiringReason::Fired => "fired",
        FiringReason::Resolved => "resolved",
        _ => "reacted",
    }
}

/// The match that a rule reacted to as JSON.
pub(super) fn firing_json(firing: &MatchFiring) -> Json {
    let deadline = firing.deadline.map(|deadline| deadline.to_string());
    let count = i64::try_from(firing.count).unwrap_or(i64::MAX);
    let members = [
        ("reason", Json::from(reason_word(firing.reason))),
        ("key", firing.key.clone()),
        ("opened", Json::from(firing.opened.to_string())),
        ("deadline", deadline.map_or(Json::Null, Json::from)),
        ("count", Json::from(count)),
        ("late", Json::Bool(firing.late)),
    ];
    let members = members.into_iter();
    members
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}
