//! `once` and `throttle` of a rule: whether an event is suppressed.

use jiff::Timestamp;
use reflexarc_diagnostic::toml::EmbeddedText;
use reflexarc_event::{Event, Json};
use reflexarc_pattern::canonical_scalar;
use reflexarc_reaction::{Gate, State, StateChange, ThrottleDecision};

/// The gates in front of a rule's reaction, checked in this order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gates {
    pub(crate) once: Option<KeyedGate>,
    pub(crate) throttle: Option<KeyedGate>,
}

/// A gate with a window of its own for each value of its key.
#[derive(Debug, Clone)]
pub(crate) struct KeyedGate {
    /// The paths of the key's values in the event; none where all events share one window.
    pub(crate) paths: Vec<EmbeddedText>,
    pub(crate) gate: Gate,
}

/// What all gates of a rule decided together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GateDecision {
    /// Run the reaction.
    Allow {
        /// The number of events suppressed since the last one that was allowed.
        suppressed: u64,
        /// Opens the windows; to be committed only if the reaction has actions or emits events.
        changes: Vec<StateChange>,
        /// Why a gate did not apply, or could open no window.
        notes: Vec<String>,
    },
    /// Do not run the reaction.
    Suppress {
        reason: String,
        /// Counts the event.
        changes: Vec<StateChange>,
        /// As in `Allow`, of the gates before the one that suppresses.
        notes: Vec<String>,
    },
}

impl Gates {
    /// Decides about `event` at `now`. The rule may have at most `max_entries` entries of state.
    pub(crate) fn decide(
        &self,
        rule: &str,
        event: &Event,
        state: &dyn State,
        now: Timestamp,
        max_entries: usize,
    ) -> GateDecision {
        let mut opened = Vec::new();
        let mut notes = Vec::new();
        let mut suppressed = 0;
        // `once` goes first: an event that it suppresses must not count as suppressed by the
        // throttle too, whose next message would report it.
        for (name, keyed) in [("once", &self.once), ("throttle", &self.throttle)] {
            let Some(KeyedGate { paths, gate }) = keyed else {
                continue;
            };
            // Events without the key have nothing in common: in one window, the first of them would
            // suppress the others for as long as the window lasts.
            let key = match key_values(event, paths) {
                Ok(key) => key,
                Err(reason) => {
                    notes.push(format!("{name}: not gated: {reason}"));
                    continue;
                }
            };
            let (decision, changes) = gate.decide(state, rule, &key, now, max_entries);
            match decision {
                ThrottleDecision::Allow { suppressed: count } => {
                    suppressed = count;
                    if changes.is_empty() {
                        notes.push(format!(
                            "{name}: no window opened: the rule has {max_entries} state entries"
                        ));
                    }
                    opened.extend(changes);
                }
                ThrottleDecision::Suppress { count, until } => {
                    // Windows that an earlier gate would have opened stay closed: the event has no
                    // reaction, so the next one with that key must not be suppressed because of it.
                    let key = match &key {
                        _ if paths.is_empty() => String::new(),
                        Json::String(text) => format!("{text} "),
                        other => format!("{other} "),
                    };
                    let count = if count > 0 {
                        format!(", {count} held back")
                    } else {
                        String::new()
                    };
                    // Tests in rule files compare parts of this text with `skipped`, so its form is
                    // part of the rule file format.
                    let reason = format!("{name}: {key}until {until}{count}");
                    return GateDecision::Suppress {
                        reason,
                        changes,
                        notes,
                    };
                }
            }
        }
        GateDecision::Allow {
            suppressed,
            changes: opened,
            notes,
        }
    }
}

/// The value of the event at the path; for several paths an array of them. Values that filters take
/// for equal are one key. Without a value at each path, the reason.
fn key_values(event: &Event, paths: &[EmbeddedText]) -> Result<Json, String> {
    let value = |path: &EmbeddedText| {
        let path = path.text();
        let missing = || format!("the event has no value at `{path}`");
        let value = value_at(event.tree(), path).ok_or_else(missing)?;
        // `[]` and `{}` count as missing in filters too. An array of one element is no scalar:
        // which of its values an event will have first next time is not known.
        canonical_scalar(value).ok_or_else(|| match value {
            Json::Array(_) => format!("the value at `{path}` is an array"),
            Json::Object(_) => format!("the value at `{path}` is an object"),
            _ => format!("the value at `{path}` is null"),
        })
    };
    match paths {
        [path] => value(path),
        _ => Ok(Json::Array(
            paths.iter().map(value).collect::<Result<_, _>>()?,
        )),
    }
}

/// The value at a path. A key that contains dots is addressed like nested keys: `a.b.c` finds
/// `{"a": {"b.c": 1}}` as well as `{"a": {"b": {"c": 1}}}`.
fn value_at<'j>(json: &'j Json, path: &str) -> Option<&'j Json> {
    if let Some(value) = json.get(path) {
        return Some(value);
    }
    path.match_indices('.')
        .find_map(|(dot, _)| value_at(json.get(&path[..dot])?, &path[dot + 1..]))
}
