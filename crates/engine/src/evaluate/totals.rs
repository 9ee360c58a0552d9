//! The limits of what all rules do in one evaluation.

use std::collections::BTreeMap;

use reflexarc_event::NativeEvent;
use reflexarc_reaction::{Action, Effects};

use crate::RuleSetLimits;

/// What the rules have emitted and caused so far in one evaluation.
#[derive(Default)]
pub(super) struct Totals {
    /// Number of emitted events.
    derived: usize,
    /// Bytes of all effects.
    pub(super) bytes: usize,
    /// Bytes of the effects of each rule on emitted events.
    emitted_bytes: BTreeMap<String, usize>,
}

impl Totals {
    /// Adds the effects of a run of `rule` if all are within the limits, and returns the emitted
    /// events in native form: rules match them like any event.
    pub(super) fn add(
        &mut self,
        rule: &str,
        effects: &Effects,
        hop: usize,
        limits: &RuleSetLimits,
    ) -> Result<Vec<NativeEvent>, String> {
        let bytes = self.bytes.saturating_add(effects.bytes);
        if bytes > limits.effect_bytes {
            return Err(format!(
                "the effects of all rules on this event have more than {} bytes",
                limits.effect_bytes
            ));
        }
        let before = self.emitted_bytes.get(rule).copied().unwrap_or(0);
        let emitted_bytes = before.saturating_add(effects.bytes);
        if hop > 0 && emitted_bytes > limits.emitted_effect_bytes {
            return Err(format!(
                "the effects of the rule on emitted events have more than {} bytes",
                limits.emitted_effect_bytes
            ));
        }
        check_calls(effects, hop, limits)?;
        let emitted = self.check_emitted(effects, hop, limits)?;
        self.bytes = bytes;
        self.derived += emitted.len();
        if hop > 0 {
            self.emitted_bytes.insert(rule.to_owned(), emitted_bytes);
        }
        Ok(emitted)
    }

    fn check_emitted(
        &self,
        effects: &Effects,
        hop: usize,
        limits: &RuleSetLimits,
    ) -> Result<Vec<NativeEvent>, String> {
        // Two limits, because cycles grow in two ways. One event emitted per hop ends at 8 hops.
        // Two per hop would be 2 + 4 + 8 + … = 510 events by then; the second limit ends this at
        // 64.
        if effects.emitted.is_empty() {
            return Ok(Vec::new());
        }
        if hop >= limits.hops {
            return Err(format!(
                "`emit` would start hop {}, but at most {} are allowed; \
                 do rules emit events for each other in a cycle?",
                hop + 1,
                limits.hops
            ));
        }
        if self.derived + effects.emitted.len() > limits.derived {
            return Err(format!(
                "`emit` exceeds the limit of {} derived events per evaluation",
                limits.derived
            ));
        }
        let emitted = effects.emitted.iter().cloned().map(NativeEvent::new);
        let emitted = emitted.collect::<Result<_, _>>();
        emitted.map_err(|error| format!("invalid emitted event: {error}"))
    }
}

/// An answer is one hop after the effects with the call.
//
// A script that calls again whenever it gets an answer would never end, at the cost of an API.
fn check_calls(effects: &Effects, hop: usize, limits: &RuleSetLimits) -> Result<(), String> {
    let mut actions = effects.actions.iter();
    if hop >= limits.hops && actions.any(Action::is_call) {
        return Err(format!(
            "`call` would start hop {}, but at most {} are allowed; \
             does the rule call again after each answer?",
            hop + 1,
            limits.hops
        ));
    }
    Ok(())
}
