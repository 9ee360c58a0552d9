//! `once` and `throttle` of a rule: whether it may speak again about the same thing.

use jiff::Timestamp;
use reflexarc_event::{Event, Json};
use reflexarc_reaction::{Gate, Passage, State, StateChange};

/// The gates in front of a rule's reaction, asked in this order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gates {
    pub(crate) once: Option<KeyedGate>,
    pub(crate) throttle: Option<KeyedGate>,
}

/// A gate for each thing that events are about.
#[derive(Debug, Clone)]
pub(crate) struct KeyedGate {
    /// Where the event says what it is about; none where all events share the gate.
    pub(crate) paths: Vec<String>,
    pub(crate) gate: Gate,
}

/// What the gates say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// React, and remember these.
    Pass {
        suppressed: u64,
        changes: Vec<StateChange>,
    },
    /// Do not react, for this reason, and remember these.
    Hold {
        reason: String,
        changes: Vec<StateChange>,
    },
}

impl Gates {
    /// Whether the rule may react to `event` at `now`, where it may keep at most `most` entries of state.
    pub(crate) fn ask(
        &self,
        rule: &str,
        event: &Event,
        state: &dyn State,
        now: Timestamp,
        most: usize,
    ) -> Verdict {
        let mut all_changes = Vec::new();
        let mut suppressed = 0;
        for (word, keyed) in [("once", &self.once), ("throttle", &self.throttle)] {
            let Some(KeyedGate { paths, gate }) = keyed else {
                continue;
            };
            let subject = subject(event, paths);
            let (passage, changes) = gate.pass(state, rule, &subject, now, most);
            match passage {
                Passage::Passed { suppressed: count } => {
                    suppressed = count;
                    all_changes.extend(changes);
                }
                Passage::Suppressed { count, until } => {
                    let about = match &subject {
                        _ if paths.is_empty() => String::new(),
                        Json::String(text) => format!("{text} "),
                        other => format!("{other} "),
                    };
                    let held = if count > 0 {
                        format!(", {count} held back")
                    } else {
                        String::new()
                    };
                    let reason = format!("{word}: {about}until {until}{held}");
                    return Verdict::Hold { reason, changes };
                }
            }
        }
        Verdict::Pass {
            suppressed,
            changes: all_changes,
        }
    }
}

/// What the event is about: its value at the path, null where it has none; several paths give an array.
fn subject(event: &Event, paths: &[String]) -> Json {
    let mut values: Vec<_> = paths
        .iter()
        .map(|path| value(event.tree(), path).cloned().unwrap_or(Json::Null))
        .collect();
    match values.len() {
        1 => values.remove(0),
        _ => Json::Array(values),
    }
}

fn value<'j>(json: &'j Json, path: &str) -> Option<&'j Json> {
    // A key that itself holds dots is the same path as the nested spelling.
    if let Some(value) = json.get(path) {
        return Some(value);
    }
    path.match_indices('.')
        .find_map(|(dot, _)| value(json.get(&path[..dot])?, &path[dot + 1..]))
}
