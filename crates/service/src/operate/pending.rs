//! Pending matches, for operators.

use jiff::Timestamp;
use reflexarc::{RuleSet, WindowKind};
use reflexarc_event::Json;

use crate::store::{
    ClosedBy, DamagedMatch, DueCursor, MatchCursor, MatchFilter, PageLimits, PendingMatch, Store,
    StoreError,
};

/// Which matches a list has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PendingFilter {
    /// Only those of this rule.
    pub rule: Option<String>,
    /// Only those at this key: see [`keys_named`].
    pub key: Option<String>,
    /// Only those that are due before this time.
    pub due_before: Option<Timestamp>,
    /// Also those that have fired and wait to be resolved.
    pub fired: bool,
}

/// A part of the list of pending matches.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct PendingPage {
    /// The matches as [`pending_page`] describes them. There may be none although others follow.
    pub matches: Vec<Json>,
    /// What would be in the page too, but cannot be read.
    pub damaged: Vec<DamagedMatch>,
    /// Where the next page begins; `None` at the end of the list.
    pub next: Option<MatchCursor>,
}

/// A part of the list of pending matches by deadline.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SoonestPage {
    /// The matches as [`pending_page`] describes them. There may be none although others follow.
    pub matches: Vec<Json>,
    /// What would be in the page too, but cannot be read.
    pub damaged: Vec<DamagedMatch>,
    /// Where the next page begins; `None` at the end of the list.
    pub next: Option<DueCursor>,
}

/// Pending matches by rule and key, each as `{"rule", "key", "status", "window", "opened", "event",
/// "source", "position", "count", "due", "expires", "fired", "retries"}`.
///
/// `status` is `pending`, or `fired` of one that waits to be resolved only. `opened` is the time of
/// the event that opened it, with its id and source in `event` and `source`; `due` is null of a
/// match that fires with an event. `rules` need not have the rule any more.
///
/// # Errors
/// If the store cannot be read.
pub fn pending_page(
    store: &dyn Store,
    rules: &RuleSet,
    filter: &PendingFilter,
    after: Option<&MatchCursor>,
    limits: PageLimits,
    now: Timestamp,
) -> Result<PendingPage, StoreError> {
    let found = store.pending_page(&filter.selection(), after, limits, now)?;
    Ok(PendingPage {
        matches: filter.describe(store, rules, found.matches)?,
        damaged: found.damaged,
        next: found.next,
    })
}

/// Pending matches by deadline, the soonest first; those without one, which fire with an event, are
/// the last.
///
/// # Errors
/// If the store cannot be read.
pub fn soonest_page(
    store: &dyn Store,
    rules: &RuleSet,
    filter: &PendingFilter,
    after: Option<&DueCursor>,
    limits: PageLimits,
    now: Timestamp,
) -> Result<SoonestPage, StoreError> {
    let found = store.pending_by_deadline(&filter.selection(), after, limits, now)?;
    Ok(SoonestPage {
        matches: filter.describe(store, rules, found.matches)?,
        damaged: found.damaged,
        next: found.next,
    })
}

/// The match of a rule at a key, as [`pending_page`] describes it, if it waits or has fired.
///
/// # Errors
/// If the store cannot be read.
pub fn pending_match(
    store: &dyn Store,
    rules: &RuleSet,
    (rule, key): (&str, &str),
    now: Timestamp,
) -> Result<Option<Json>, StoreError> {
    let filter = PendingFilter {
        rule: Some(rule.to_owned()),
        key: Some(key.to_owned()),
        due_before: None,
        fired: true,
    };
    let limits = PageLimits {
        rows: 16,
        bytes: 1 << 20,
    };
    let page = pending_page(store, rules, &filter, None, limits, now)?;
    match (page.matches.into_iter().next(), page.damaged.first()) {
        (None, Some(damaged)) => Err(StoreError::Failed(damaged.to_string())),
        (found, _) => Ok(found),
    }
}

/// Closes the match of a rule at a key, and returns what it was; `None` if there was none.
///
/// # Errors
/// If the store fails.
pub fn close_pending(
    store: &dyn Store,
    rules: &RuleSet,
    (rule, key): (&str, &str),
    closed: &ClosedBy,
    now: Timestamp,
) -> Result<Option<Json>, StoreError> {
    let Some(found) = pending_match(store, rules, (rule, key), now)? else {
        return Ok(None);
    };
    let key = found.get("key").unwrap_or(&Json::Null).to_string();
    let is_closed = store.close_match(rule, &key, closed, now)?;
    // It may have been closed by an event meanwhile.
    Ok(is_closed.then_some(found))
}

/// The keys, as JSON, that a text names: the JSON that it is, and the string.
///
/// ```
/// use reflexarc_service::operate::keys_named;
///
/// assert_eq!(keys_named("eni-1"), [r#""eni-1""#]);
/// assert_eq!(keys_named(r#"["eni-1", 7]"#), [r#""[\"eni-1\", 7]""#, r#"["eni-1",7]"#]);
/// // An account may be a number or a string of digits.
/// assert_eq!(keys_named("123"), [r#""123""#, "123"]);
/// ```
pub fn keys_named(text: &str) -> Vec<String> {
    let json = Json::parse(text).ok().map(|json| json.to_string());
    let mut keys: Vec<String> = json
        .into_iter()
        .chain([Json::from(text).to_string()])
        .collect();
    keys.sort();
    keys.dedup();
    keys
}

/// A match that cannot be read, in the place of one that can.
pub fn damaged_match_to_json(damaged: &DamagedMatch) -> Json {
    Json::object([
        ("rule", damaged.rule.as_str().into()),
        ("key", key_json(&damaged.key)),
        ("status", "unreadable".into()),
        ("error", damaged.to_string().into()),
    ])
}

impl PendingFilter {
    fn selection(&self) -> MatchFilter {
        let key = self.key.as_deref();
        MatchFilter {
            rule: self.rule.clone(),
            keys: key.map(keys_named).unwrap_or_default(),
            kept: self.fired,
        }
    }

    /// Those that are due in time.
    fn describe(
        &self,
        store: &dyn Store,
        rules: &RuleSet,
        matches: Vec<PendingMatch>,
    ) -> Result<Vec<Json>, StoreError> {
        let mut described = Vec::with_capacity(matches.len());
        for found in matches {
            let due = due(&found);
            let is_late = |before| due.is_none_or(|due| due >= before);
            if !self.due_before.is_some_and(is_late) {
                described.extend(match_to_json(store, rules, &found, due)?);
            }
        }
        Ok(described)
    }
}

/// When a match is looked at next.
fn due(found: &PendingMatch) -> Option<Timestamp> {
    // Those that passed while nothing ran wait until `not_before`.
    found.kept.due.map(|due| {
        found
            .kept
            .not_before
            .map_or(due, |not_before| due.max(not_before))
    })
}

/// `None` for what is only remembered for late events.
fn match_to_json(
    store: &dyn Store,
    rules: &RuleSet,
    found: &PendingMatch,
    due: Option<Timestamp>,
) -> Result<Option<Json>, StoreError> {
    let kept = &found.kept;
    let described = rules.describe_match(&found.rule, kept);
    let fired = described.and_then(|described| described.fired);
    if !kept.is_pending && fired.is_none() {
        return Ok(None);
    }
    let position = described.and_then(|described| described.position);
    let event = match position {
        Some(position) => store.event_name(position)?,
        None => None,
    };
    let kind = described.and_then(|described| described.kind);
    let opened = described.and_then(|described| described.opened);
    let time = |time: Option<Timestamp>| Json::optional(time.map(|at| at.to_string()).as_deref());
    let status = if kept.is_pending { "pending" } else { "fired" };
    let name = |part: fn(&reflexarc_delivery::EventRef) -> &String| {
        Json::optional(event.as_ref().map(|event| part(event).as_str()))
    };
    Ok(Some(Json::object([
        ("rule", found.rule.as_str().into()),
        ("key", key_json(&found.key)),
        ("status", status.into()),
        ("window", Json::optional(kind.map(WindowKind::key))),
        ("opened", time(opened)),
        ("event", name(|event| &event.id)),
        ("source", name(|event| &event.source)),
        ("position", position.map_or(Json::Null, Json::count)),
        (
            "count",
            described.map_or(Json::Null, |described| Json::count(described.count)),
        ),
        ("due", time(due)),
        ("expires", time(kept.expires)),
        ("fired", time(fired)),
        (
            "retries",
            described.is_some_and(|described| described.retries).into(),
        ),
    ])))
}

fn key_json(key: &str) -> Json {
    Json::parse(key).unwrap_or_else(|_| key.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_name_json_keys_and_strings() {
        assert_eq!(keys_named("\"123\""), ["\"123\"", r#""\"123\"""#]);
        assert_eq!(keys_named("[]"), ["\"[]\"", "[]"]);
        assert_eq!(keys_named("eni/1 "), ["\"eni/1 \""]);
    }
}
