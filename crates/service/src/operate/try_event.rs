//! Trying an event: what the rules would do with it. Nothing is stored and nothing is sent.

use jiff::Timestamp;
use reflexarc::{Evaluation, MemoryState, RuleSet, event_time};
use reflexarc_event::{Document, Json, Limits as EventLimits, NativeEvent};

use crate::store::{RecordedChange, evaluation_to_json, recorded_changes};

/// What can be tried at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TryLimits {
    /// Bytes of the text; 1 MiB.
    pub bytes: usize,
    /// Events that the text may contain; 20. Further ones are counted.
    pub events: usize,
}

/// What the rules would do with the events of a text.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Tried {
    /// The events in the order of the text.
    pub events: Vec<TriedEvent>,
    /// How many further events the text contains.
    pub left_out: usize,
}

/// What the rules would do with one event.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TriedEvent {
    /// The event in native form.
    pub event: NativeEvent,
    /// The time of the evaluation: that of the event.
    pub at: Timestamp,
    /// Whether the event has no time of its own.
    pub is_assumed: bool,
    /// What the rules do.
    pub evaluation: Evaluation,
    /// What becomes of the state of each element of [`Evaluation::rules`], see
    /// [`recorded_changes`].
    pub changes: Vec<Vec<RecordedChange>>,
}

impl TryLimits {
    /// The limits.
    pub const LIMITS: Self = Self {
        bytes: 1 << 20,
        events: 20,
    };
}

/// Evaluates the events of a text as `reflexarc run` does: with an empty state that lasts for all
/// of them, each at its own time.
///
/// ```
/// use reflexarc::RuleSet;
/// use reflexarc_service::operate::{TryLimits, try_event};
///
/// let rules = RuleSet::compile([("a.toml", "when = 'id == 1'\nnotify = ['team']")])?;
/// let tried = try_event(&rules, r#"{"id": 1}"#, &TryLimits::LIMITS)?;
/// assert_eq!(tried.events[0].evaluation.actions().count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the text is too long, or is not an event or a document with events.
pub fn try_event(rules: &RuleSet, text: &str, limits: &TryLimits) -> Result<Tried, String> {
    if text.trim().is_empty() {
        return Err("missing event: paste one as JSON".to_owned());
    }
    if text.len() > limits.bytes {
        let most = limits.bytes;
        return Err(format!("the event is longer than {most} bytes"));
    }
    let mut events = Vec::new();
    for document in documents(text)? {
        let document = Document::read_within(document, &EventLimits::DEFAULT);
        events.extend(document.map_err(|error| error.to_string())?.into_events());
    }
    let left_out = events.len().saturating_sub(limits.events);
    let mut state = MemoryState::new();
    let (mut tried, mut first) = (Vec::new(), None);
    for (event, number) in events.into_iter().take(limits.events).zip(1..) {
        let native = event.and_then(NativeEvent::new);
        let native = native.map_err(|error| match left_out + number {
            1 => error.to_string(),
            _ => format!("event {number}: {error}"),
        })?;
        let time = event_time(&native);
        first = first.or(time);
        // As `run` does it, so that the result is the same whenever it is tried.
        let at = time.or(first).unwrap_or(Timestamp::UNIX_EPOCH);
        rules.fire_due_to(&mut state, at, &mut |_| ());
        let evaluation = rules.evaluate(&native, &state, at);
        let changes = recorded_changes(&evaluation, &state, at);
        for (rule, changes) in evaluation.changes() {
            state.apply(rule, changes);
        }
        tried.push(TriedEvent {
            changes,
            event: native,
            at,
            is_assumed: time.is_none(),
            evaluation,
        });
    }
    Ok(Tried {
        events: tried,
        left_out,
    })
}

/// The documents of a text: the elements of a JSON array, the lines of NDJSON, or the text itself.
fn documents(text: &str) -> Result<Vec<String>, String> {
    match Json::parse(text) {
        Ok(Json::Array(elements)) => Ok(elements.iter().map(Json::to_string).collect()),
        // Kept as it is: conversion keeps the bytes.
        Ok(_) => Ok(vec![text.to_owned()]),
        Err(error) => {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let lines: Vec<String> = lines.map(str::to_owned).collect();
            let are_all_json = lines.iter().all(|line| Json::parse(line).is_ok());
            if are_all_json {
                Ok(lines)
            } else {
                Err(error.to_string())
            }
        }
    }
}

impl TriedEvent {
    /// The evaluation as the archive would have it.
    pub fn to_json(&self) -> Json {
        evaluation_to_json(&self.evaluation, &self.changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> RuleSet {
        let rule = "when = 'id exists'\nthen = 'add(\"n\", 1); log(get(\"n\").to_string())'";
        RuleSet::compile([("a.toml", rule)]).unwrap()
    }

    #[test]
    fn events_of_a_list_share_a_state() {
        let text = r#"[{"id": 1}, {"id": 2, "eventTime": "2026-11-25T08:00:00Z"}]"#;
        let tried = try_event(&rules(), text, &TryLimits::LIMITS).unwrap();
        let logs = tried.events.iter();
        let logs = logs.map(|one| one.evaluation.rules[0].log.join(""));
        assert!(logs.eq(["1", "2"]));
        assert!(tried.events[0].is_assumed && !tried.events[1].is_assumed);
        let json = tried.events[1].to_json();
        let state = json.get("rules").unwrap().elements()[0]
            .get("state")
            .unwrap();
        let expected = r#"[{"key":"n","before":1,"after":2,"expires":null}]"#;
        assert_eq!(state.to_string(), expected);
    }

    #[test]
    fn limits_are_reached() {
        let limits = TryLimits {
            bytes: 30,
            events: 1,
        };
        for text in [r#"[{"id": 1}, {"id": 2}]"#, "{\"id\": 1}\n\n{\"id\": 2}\n"] {
            let tried = try_event(&rules(), text, &limits).unwrap();
            assert_eq!((tried.events.len(), tried.left_out), (1, 1), "{text}");
        }
        let long = format!("{}{}", r#"{"id": 1}"#, " ".repeat(30));
        let error = try_event(&rules(), &long, &limits).unwrap_err();
        assert!(error.contains("longer than 30 bytes"), "{error}");
        assert!(try_event(&rules(), "{", &limits).is_err());
        assert!(try_event(&rules(), " ", &limits).is_err());
    }
}
