//! What is beside an entry: what waits because of it, and other entries about the same event.

use jiff::Timestamp;
use reflexarc::RuleSet;
use reflexarc_event::{Json, NativeEvent};
use reflexarc_service::operate::{PendingFilter, pending_page};
use reflexarc_service::store::{Archived, EventFilter, PageLimits, Store, StoreError};

use super::is_event;
use crate::delivery_view::time;
use crate::effects::text;
use crate::events::EntryRow;
use crate::links;
use crate::parts::When;
use crate::text::Shown;

/// Rules with time windows whose matches are looked for.
const MAX_WAITS: usize = 50;
/// Other entries about the same event.
const RELATED: PageLimits = PageLimits {
    rows: 50,
    bytes: 1 << 20,
};

/// A line about an entry that is no event.
pub(super) struct Fact {
    pub(super) name: Shown,
    pub(super) value: Shown,
    pub(super) href: Option<String>,
}

/// A match of a rule that waits at the key of an event.
pub(super) struct Wait {
    pub(super) rule: Shown,
    pub(super) href: String,
    pub(super) key: Shown,
    pub(super) status: Shown,
    pub(super) window: Shown,
    pub(super) due: Option<When>,
    /// Whether this event has opened it.
    pub(super) is_opened_here: bool,
}

/// The members of a description that are not objects.
pub(super) fn of(detail: &Json) -> Vec<Fact> {
    let members = detail.members().iter();
    let members = members.filter(|(_, value)| {
        !matches!(value, Json::Null | Json::Object(_)) && value.elements().len() < 2
    });
    let fact = |(name, value): &(String, Json)| {
        let href = match (name.as_str(), value.as_str()) {
            ("rule", Some(rule)) => Some(links::rule(rule)),
            ("delivery", Some(id)) => Some(links::delivery(id)),
            _ => None,
        };
        let (name, value) = (Shown::line(name), Shown::value(value));
        Fact { name, value, href }
    };
    let answer = answered(detail).map(|value| Fact {
        name: Shown::line("answer"),
        value,
        href: None,
    });
    members.map(fact).chain(answer).collect()
}

/// The matches that wait at the keys of an event.
pub(super) fn waits(
    store: &dyn Store,
    rules: &RuleSet,
    archived: &Archived,
    now: Timestamp,
) -> Result<Vec<Wait>, StoreError> {
    let mut waits = Vec::new();
    if !is_event(archived.entry) || !rules.has_windows() {
        return Ok(waits);
    }
    let Ok(native) = NativeEvent::new(archived.event.clone()) else {
        return Ok(waits);
    };
    let matched = rules.matching(&native);
    let names: Vec<String> = rules
        .matched_rules(&matched)
        .map(|rule| rule.name().to_owned())
        .filter(|rule| rules.live_window(rule).is_some())
        .take(MAX_WAITS)
        .collect();
    for rule in names {
        let explained = rules.explain_window(&native, &rule);
        let Some(Ok(key)) = explained.map(|explained| explained.key) else {
            continue;
        };
        let filter = PendingFilter {
            rule: Some(rule.clone()),
            // Without `by` there is one match.
            key: (key.as_str() != Some("")).then(|| key.to_string()),
            due_before: None,
            fired: true,
        };
        let page = pending_page(store, rules, &filter, None, RELATED, now)?;
        waits.extend(page.matches.iter().take(1).map(|found| Wait {
            href: links::list("/pending", &[("rule", &rule)]),
            rule: Shown::line(&rule),
            key: Shown::value(&key),
            status: Shown::field(found, "status"),
            window: Shown::field(found, "window"),
            due: time(found, "due"),
            is_opened_here: found.get("position").and_then(Json::as_i64) == Some(archived.seq),
        }));
    }
    Ok(waits)
}

/// Other entries about the same event: firings, answers and copies.
pub(super) fn related(store: &dyn Store, archived: &Archived) -> Result<Vec<EntryRow>, StoreError> {
    if archived.name.id.is_empty() {
        return Ok(Vec::new());
    }
    let filter = EventFilter {
        id: Some(archived.name.id.clone()),
        source: Some(archived.name.source.clone()),
        ..EventFilter::default()
    };
    let page = store.entry_page(&filter, None, RELATED)?;
    let others = page
        .entries
        .iter()
        .filter(|entry| entry.seq != archived.seq);
    Ok(others.map(EntryRow::of).collect())
}

/// A call in the description of an answer, as `operation at target: outcome`.
fn answered(detail: &Json) -> Option<Shown> {
    let (call, answer) = (detail.get("call")?, detail.get("answer")?);
    let outcome = match answer.get("ok").and_then(Json::as_bool) {
        Some(true) => "ok".to_owned(),
        _ => format!("{} {}", text(answer, "code"), text(answer, "message")),
    };
    let line = format!(
        "{} at {}: {outcome}",
        text(call, "operation"),
        text(call, "target")
    );
    Some(Shown::line(&line))
}
