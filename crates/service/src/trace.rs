//! One event's whole story as one document.

use reflexarc::{Rule, RuleSet};
use reflexarc_event::{Json, NativeEvent};

use crate::record::{number, object, optional, strings};
use crate::store::{Archived, Attempt, Entry, Store, StoreError};

/// The event as it came, its normal form, every rule's verdict as the rules are now, what was made of it then, and every
/// delivery with every attempt. With the name of a rule in `explain`, its verdict says why.
///
/// # Errors
/// When the store cannot be read, or the event cannot be converted to the native form.
pub fn trace(
    store: &Store,
    rules: &RuleSet,
    archived: &Archived,
    explain: Option<&str>,
) -> Result<Json, StoreError> {
    let native = NativeEvent::new(archived.event.clone())
        .map_err(|error| StoreError::Failed(format!("event {}: {error}", archived.seq)))?;
    let matching: Vec<&str> = rules
        .matched_rules(&rules.matching(&native))
        .map(Rule::name)
        .collect();
    let verdicts = rules.rules().map(|rule| {
        let mut verdict = object([
            ("rule", rule.name().into()),
            ("matched", matching.contains(&rule.name()).into()),
        ]);
        let explanation = explain
            .filter(|name| *name == rule.name())
            .and_then(|name| rules.explain(&native, name));
        if let (Json::Object(members), Some(explanation)) = (&mut verdict, explanation) {
            members.push(("explanation".into(), explanation.to_json()));
        }
        verdict
    });
    let deliveries = store.deliveries_of(archived.seq)?;
    Ok(object([
        ("id", archived.name.id.as_str().into()),
        ("source", archived.name.source.as_str().into()),
        ("seq", archived.seq.into()),
        ("accepted", archived.received.to_string().into()),
        ("envelope", archived.event.envelope().as_str().into()),
        ("received", archived.event.tree().clone()),
        ("normal", native.tree().clone()),
        ("verdicts", Json::Array(verdicts.collect())),
        ("evaluation", archived.story.clone().unwrap_or(Json::Null)),
        (
            "deliveries",
            Json::Array(
                deliveries
                    .iter()
                    .map(|(entry, attempts)| entry_to_json(entry, Some(attempts)))
                    .collect(),
            ),
        ),
    ]))
}

/// A delivery and where it stands; with its attempts, where they were asked for.
pub fn entry_to_json(entry: &Entry, attempts: Option<&[Attempt]>) -> Json {
    let delivery = &entry.delivery;
    let mut json = object([
        ("id", delivery.id.to_string().into()),
        ("status", entry.status.word().into()),
        ("target", delivery.target.as_str().into()),
        ("rule", delivery.rule.as_str().into()),
        ("event", delivery.event.id.as_str().into()),
        ("source", delivery.event.source.as_str().into()),
        ("created", delivery.created.to_string().into()),
        ("attempt", number(delivery.attempt)),
        ("due", entry.due.to_string().into()),
        (
            "finished",
            optional(entry.finished.map(|at| at.to_string()).as_deref()),
        ),
        ("reason", optional(entry.reason.as_deref())),
        ("replay", optional(delivery.replay.as_deref())),
        ("taken", strings(&delivery.delivered_parts)),
        ("action", delivery.action.to_json()),
    ]);
    if let (Json::Object(members), Some(attempts)) = (&mut json, attempts) {
        members.push((
            "attempts".into(),
            Json::Array(attempts.iter().map(attempt_to_json).collect()),
        ));
    }
    json
}

fn attempt_to_json(attempt: &Attempt) -> Json {
    object([
        ("number", number(attempt.number)),
        ("started", attempt.started.to_string().into()),
        ("milliseconds", number(attempt.took.as_millis())),
        ("outcome", attempt.outcome.as_str().into()),
        ("answer", attempt.answer.as_str().into()),
    ])
}
