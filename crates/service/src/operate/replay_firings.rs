//! Deadlines in a replay: when they fire on the clock of the archive, and which recorded firing
//! each is compared with.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use reflexarc::{Evaluation, RuleSet};
use reflexarc_delivery::EventRef;
use reflexarc_event::Json;
use reflexarc_reaction::{MemoryState, StateChange};

use crate::store::{Archived, EntryKind};

/// What has fired in a replay and was not compared yet.
#[derive(Default)]
pub(super) struct Firings {
    /// Deadlines and what they led to, the earliest first, by rule and key.
    waiting: BTreeMap<(String, String), VecDeque<(Timestamp, Evaluation)>>,
    /// As which entry what was never recorded is shown, but for its time and name.
    newest: Option<Archived>,
}

impl Firings {
    /// Brings the state to the time of an entry: fires what is due by then, and moves deadlines as
    /// the entry did.
    pub(super) fn advance(
        &mut self,
        rules: &RuleSet,
        state: &mut MemoryState,
        archived: &Archived,
    ) {
        let (at, detail) = (archived.received, archived.event.tree());
        let text = |name| detail.get(name).and_then(Json::as_str);
        state.reserve_positions(archived.seq.unsigned_abs());
        match archived.entry {
            EntryKind::Resumed => {
                // What passed before nothing ran had fired; only the rest waits once more.
                if let Some(Ok(since)) = text("since").map(str::parse) {
                    self.fire(rules, state, since);
                }
                rules.postpone_due(state, at);
            }
            EntryKind::Clock => {
                let offset = detail.get("offset_microseconds").and_then(Json::as_i64);
                let offset = SignedDuration::from_micros(offset.unwrap_or_default());
                self.fire(rules, state, at.saturating_sub(offset).unwrap_or(at));
                state.set_clock(offset);
            }
            EntryKind::Closed => {
                if let (Some(rule), Some(key)) = (text("rule"), text("key")) {
                    let key = key.to_owned();
                    state.apply(rule, &[StateChange::RemoveMatch { key }]);
                }
            }
            _ => self.fire(rules, state, at),
        }
        self.newest = Some(archived.clone());
    }

    /// What the deadline of a recorded firing leads to now; nothing if it does not fire.
    pub(super) fn take(&mut self, archived: &Archived) -> Evaluation {
        let detail = archived.event.tree();
        let rule = detail.get("rule").and_then(Json::as_str);
        let key = detail.get("key").unwrap_or(&Json::Null).to_string();
        let place = (rule.unwrap_or_default().to_owned(), key);
        let Some(waiting) = self.waiting.get_mut(&place) else {
            return Evaluation::default();
        };
        let at = archived.received;
        // A rule whose deadline has changed fires at another time: that is compared all the same.
        let same = waiting.iter().position(|(fired, _)| *fired == at);
        let earlier = waiting.iter().position(|(fired, _)| *fired < at);
        let found = same.or(earlier).and_then(|found| waiting.remove(found));
        if waiting.is_empty() {
            self.waiting.remove(&place);
        }
        found.map(|(_, evaluation)| evaluation).unwrap_or_default()
    }

    /// What has fired and was never recorded, as entries, the earliest first.
    pub(super) fn rest(self) -> Vec<(Archived, Evaluation)> {
        let Some(newest) = self.newest else {
            return Vec::new();
        };
        let mut rest = Vec::new();
        for ((_, key), fired) in self.waiting {
            for (at, evaluation) in fired {
                let mut archived = newest.clone();
                archived.entry = EntryKind::Firing;
                EntryKind::Firing.as_str().clone_into(&mut archived.kind);
                archived.received = at;
                archived.evaluation = None;
                archived.name = EventRef {
                    source: "reflexarc".to_owned(),
                    id: key.clone(),
                };
                rest.push((archived, evaluation));
            }
        }
        rest.sort_by_key(|(archived, _)| archived.received);
        rest
    }

    fn fire(&mut self, rules: &RuleSet, state: &mut MemoryState, to: Timestamp) {
        rules.fire_due_to(state, to, &mut |due| {
            let fired = self.waiting.entry((due.rule, due.key)).or_default();
            fired.push_back((due.at, due.evaluation));
        });
    }
}
