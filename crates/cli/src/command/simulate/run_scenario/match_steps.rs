//! What rules with a time window wait for, as entries of the timeline.

use jiff::Timestamp;
use reflexarc::RuleEffects;
use reflexarc_reaction::MemoryState;

use super::super::open_matches::{MatchId, MatchStep};
use super::super::timeline::{Content, Entry};
use super::ScenarioRun;
use crate::output::evaluation::has_effects;
use crate::output::match_text::script_key;

impl ScenarioRun {
    /// Begins what rules wait for before any event, on the bus of each account.
    pub(super) fn arm(&mut self, start: Timestamp) {
        let accounts = self.simulation.world().accounts.iter();
        let accounts: Vec<String> = accounts.map(|named| named.account.id.clone()).collect();
        for account in accounts {
            // Also where no event ever comes: that is what `absent_for` reports.
            let mut state = MemoryState::new();
            self.rules.arm(&mut state, start);
            self.matches.add_armed(&account, &state, start);
            self.states.insert(account, state);
        }
        let armed = self.matches.iter();
        let armed: Vec<_> = armed.map(|(id, due)| (id.clone(), due)).collect();
        for (id, due) in armed {
            self.add_match_step(start, &id, MatchStep::Opened { due });
        }
    }

    /// Adds an entry for each match that is given up by `now`, at its time.
    pub(super) fn close_expired(&mut self, now: Timestamp) {
        for (at, id) in self.matches.remove_expired(now) {
            // A count that has fired before is kept until that is resolved, and given up only then.
            let reached = self.entries.last().map_or(at, |entry| entry.at);
            self.add_match_step(at.max(reached), &id, MatchStep::Closed);
        }
    }

    /// Adds an entry for each match that still waits at the end.
    pub(super) fn report_pending(&mut self) {
        let reached = self.entries.iter().map(|entry| entry.at).max();
        let end = self.simulation.until().or(reached);
        let end = end.unwrap_or(self.simulation.world().start);
        self.close_expired(end);
        let pending = self.matches.iter();
        let pending: Vec<_> = pending.map(|(id, due)| (id.clone(), due)).collect();
        for (id, due) in pending {
            self.add_match_step(end, &id, MatchStep::Pending { due });
        }
    }

    pub(super) fn add_match_step(&mut self, at: Timestamp, id: &MatchId, step: MatchStep) {
        let name = self.name_of_key(&id.key);
        self.entries.push(Entry {
            at,
            account: Some(self.account_name(&id.account)),
            interface: name.clone(),
            content: Content::Match {
                rule: id.rule.clone(),
                key: id.key.clone(),
                name,
                step,
            },
        });
    }

    /// The name of the interface whose id a key is, if it has a name.
    pub(super) fn name_of_key(&self, key: &str) -> Option<String> {
        let key = script_key(key);
        let id = key.as_str()?;
        let name = self.simulation.name_of(id);
        (name != id).then(|| name.to_owned())
    }

    /// The effects without what entries of the timeline show; `None` if nothing else is left of
    /// them.
    pub(super) fn without_match_steps(mut effects: RuleEffects) -> Option<RuleEffects> {
        let has_window = !effects.steps.is_empty();
        effects.steps.clear();
        (!has_window || has_effects(&effects)).then_some(effects)
    }
}
