//! Which matches of time windows are open, and what an evaluation does with them: for the timeline,
//! which shows when they open and how they end.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reflexarc::{Evaluation, FiringReason, Rule, RuleSet, WindowKind};
use reflexarc_reaction::{KeptMatch, MemoryState, StateChange};

use super::elapsed;
use crate::output::match_text::script_key;

/// A match of a rule on the bus of an account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MatchId {
    /// The account's id.
    pub(super) account: String,
    pub(super) rule: String,
    /// As JSON.
    pub(super) key: String,
}

/// What happens to a match, other than that its rule reacts to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MatchStep {
    /// It begins to wait, until the deadline if it has one.
    Opened { due: Option<Timestamp> },
    /// A later opening event has moved its deadline.
    Moved { due: Option<Timestamp> },
    /// It ends without a reaction.
    Closed,
    /// It still waits at the end of the scenario.
    Pending { due: Option<Timestamp> },
}

/// The matches that wait.
#[derive(Debug, Default)]
pub(super) struct OpenMatches(BTreeMap<MatchId, Wait>);

/// Until when a match waits.
#[derive(Debug, Clone, Copy)]
struct Wait {
    due: Option<Timestamp>,
    /// When it is given up, such as a sequence whose next event did not come.
    expires: Option<Timestamp>,
}

impl MatchStep {
    /// The value of `kind` in JSON.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Opened { .. } => "opened",
            Self::Moved { .. } => "moved",
            Self::Closed => "closed",
            Self::Pending { .. } => "pending",
        }
    }

    /// Whether it waits from then on.
    pub(super) fn waits(self) -> bool {
        self != Self::Closed
    }

    /// The deadline of what waits, if it has one.
    pub(super) fn due(self) -> Option<Timestamp> {
        match self {
            Self::Opened { due } | Self::Moved { due } | Self::Pending { due } => due,
            Self::Closed => None,
        }
    }

    /// The step for people, with the deadline as time since `start`.
    pub(super) fn text(self, start: Timestamp) -> String {
        let due = self.due();
        let due = due.map_or_else(String::new, |due| {
            format!(", due {}", elapsed::inline(start, due))
        });
        match self {
            Self::Pending { .. } => format!("pending at the end{due}"),
            _ => format!("{}{due}", self.kind()),
        }
    }
}

impl OpenMatches {
    /// Adds what a state has from the start: what `absent_for` waits for.
    pub(super) fn add_armed(&mut self, account: &str, state: &MemoryState, now: Timestamp) {
        for rule in state.rules_with_matches() {
            let matches = state.matches_of(rule, now);
            for (key, kept) in matches.filter(|(_, kept)| kept.is_pending) {
                let id = MatchId::new(account, rule, key);
                self.0.insert(id, Wait::of(kept));
            }
        }
    }

    /// What waits, with the deadlines, by account, rule and key.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&MatchId, Option<Timestamp>)> {
        self.0.iter().map(|(id, wait)| (id, wait.due))
    }

    /// What an evaluation on an account's bus does with matches, in the order of its changes.
    pub(super) fn observe(
        &mut self,
        account: &str,
        evaluation: &Evaluation,
        rules: &RuleSet,
    ) -> Vec<(MatchId, MatchStep)> {
        let mut steps = Vec::new();
        for effects in &evaluation.rules {
            let window = rules.get(&effects.rule).and_then(Rule::window);
            for change in &effects.changes {
                let (key, after) = match change {
                    StateChange::SetMatch { key, kept, .. } => {
                        let mut wait = Wait::of(kept);
                        // A count waits for events; what is due is the `quiet` of the one before.
                        wait.due = wait.due.filter(|_| window != Some(WindowKind::Count));
                        (key, kept.is_pending.then_some(wait))
                    }
                    StateChange::RemoveMatch { key } => (key, None),
                    _ => continue,
                };
                let id = MatchId::new(account, &effects.rule, key);
                let has_fired = effects.firing.as_ref().is_some_and(|firing| {
                    firing.reason == FiringReason::Fired && firing.key == script_key(key)
                });
                if let Some(step) = self.change(&id, after, has_fired, window) {
                    steps.push((id, step));
                }
            }
        }
        // What a rule emits may complete what the event has opened.
        let is_open = |(id, step): &(MatchId, MatchStep)| {
            !matches!(step, MatchStep::Opened { .. }) || self.0.contains_key(id)
        };
        steps.retain(is_open);
        steps
    }

    /// The matches that are given up by `now`, the earliest first.
    pub(super) fn remove_expired(&mut self, now: Timestamp) -> Vec<(Timestamp, MatchId)> {
        let expired = self.0.iter().filter_map(|(id, wait)| {
            let at = wait.expires.filter(|at| *at <= now)?;
            Some((at, id.clone()))
        });
        let mut expired: Vec<_> = expired.collect();
        expired.sort_unstable();
        for (_, id) in &expired {
            self.0.remove(id);
        }
        expired
    }

    fn change(
        &mut self,
        id: &MatchId,
        after: Option<Wait>,
        has_fired: bool,
        window: Option<WindowKind>,
    ) -> Option<MatchStep> {
        let before = match after {
            Some(wait) => self.0.insert(id.clone(), wait),
            None => self.0.remove(id),
        };
        match (before, after) {
            (None, Some(wait)) => Some(MatchStep::Opened { due: wait.due }),
            // What has fired has ended: this is the next match of the key.
            (Some(_), Some(wait)) if has_fired => Some(MatchStep::Opened { due: wait.due }),
            // Every event moves the deadlines of `absent_for` and `batch`. That is what they are
            // for, and would hide the rest.
            (Some(before), Some(wait)) => {
                let is_moved = window == Some(WindowKind::NotFollowedBy) && before.due != wait.due;
                is_moved.then_some(MatchStep::Moved { due: wait.due })
            }
            (Some(_), None) => (!has_fired).then_some(MatchStep::Closed),
            (None, None) => None,
        }
    }
}

impl MatchId {
    fn new(account: &str, rule: &str, key: &str) -> Self {
        Self {
            account: account.to_owned(),
            rule: rule.to_owned(),
            key: key.to_owned(),
        }
    }
}

impl Wait {
    fn of(kept: &KeptMatch) -> Self {
        Self {
            due: kept.due,
            expires: kept.expires,
        }
    }
}
