//! `once` and `throttle` of a rule: whether an event is suppressed.

use jiff::Timestamp;
use reflexarc_event::Json;
use reflexarc_reaction::{Gate, State, StateChange, ThrottleDecision};

use crate::event_key::EventKey;

/// The gates in front of a rule's reaction, checked in this order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gates {
    pub(crate) once: Option<KeyedGate>,
    pub(crate) throttle: Option<KeyedGate>,
}

/// A gate with a window of its own for each value of its key.
#[derive(Debug, Clone)]
pub(crate) struct KeyedGate {
    /// None where all events share one window.
    pub(crate) key: EventKey,
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
    /// Decides about an event at `now`, whose keys `key_of` finds. The rule may have at most
    /// `max_entries` entries of state.
    pub(crate) fn decide(
        &self,
        rule: &str,
        key_of: &dyn Fn(&EventKey) -> Result<Json, String>,
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
            let Some(keyed) = keyed else {
                continue;
            };
            // Events without the key have nothing in common: in one window, the first of them would
            // suppress the others for as long as the window lasts.
            let key = match key_of(&keyed.key) {
                Ok(key) => key,
                Err(reason) => {
                    notes.push(format!("{name}: not gated: {reason}"));
                    continue;
                }
            };
            let (decision, changes) = keyed.gate.decide(state, rule, &key, now, max_entries);
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
                        _ if keyed.key.paths().is_empty() => String::new(),
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
