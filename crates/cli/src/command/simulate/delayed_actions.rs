//! Actions that rules have delayed: they wait here until they are due, and can be cancelled.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use reflexarc_delivery::Delivery;
use reflexarc_reaction::Action;

use super::pending_calls::CallOrigin;

/// An action of a rule on an account's bus.
#[derive(Debug, Clone)]
pub(super) struct RuleAction {
    /// The account's id.
    pub(super) account: String,
    pub(super) rule: String,
    /// The name of the interface that its event is about.
    pub(super) interface: Option<String>,
    /// The key of the rule's `by`, as JSON.
    pub(super) scope: Option<String>,
    pub(super) action: Action,
    /// Where a call comes from; absent for other actions.
    pub(super) call: Option<CallOrigin>,
    /// Its delivery, if deliveries are simulated.
    pub(super) delivery: Option<Delivery>,
}

/// What becomes of a delayed action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DelayStep {
    /// Its time has come.
    Due,
    /// The rule has cancelled or replaced it.
    Cancelled,
    /// It still waits at the end of the scenario, until then.
    Waiting(Timestamp),
}

/// The name of delayed actions: what a rule cancels or replaces.
#[derive(Debug, Clone, Copy)]
pub(super) struct DelayName<'a> {
    pub(super) account: &'a str,
    pub(super) rule: &'a str,
    pub(super) scope: Option<&'a str>,
    pub(super) key: &'a str,
}

/// The delayed actions by the time at which they are due, and their order.
#[derive(Debug, Default)]
pub(super) struct DelayedActions {
    waiting: BTreeMap<(Timestamp, u64), RuleAction>,
    sequence: u64,
}

impl DelayStep {
    /// The value of `kind` in JSON.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Cancelled => "cancelled",
            Self::Waiting(_) => "waiting",
        }
    }
}

/// When an action that is delayed at `now` is due.
pub(super) fn due(now: Timestamp, after: SignedDuration) -> Timestamp {
    now.saturating_add(after).unwrap_or(Timestamp::MAX)
}

impl RuleAction {
    /// Whether it has this name.
    pub(super) fn is_named(&self, name: &DelayName<'_>) -> bool {
        self.action.key() == Some(name.key)
            && self.account == name.account
            && self.rule == name.rule
            && self.scope.as_deref() == name.scope
    }
}

impl DelayedActions {
    pub(super) fn add(&mut self, due: Timestamp, action: RuleAction) {
        self.sequence += 1;
        self.waiting.insert((due, self.sequence), action);
    }

    /// Removes what waits under a name.
    pub(super) fn cancel(&mut self, name: &DelayName<'_>) -> Vec<RuleAction> {
        let named = self.waiting.iter();
        let named = named.filter(|(_, action)| action.is_named(name));
        let keys: Vec<_> = named.map(|(key, _)| *key).collect();
        keys.iter()
            .filter_map(|key| self.waiting.remove(key))
            .collect()
    }

    /// When the next action is due.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.waiting.first_key_value().map(|((at, _), _)| *at)
    }

    /// Removes the action that is due next.
    pub(super) fn take_next(&mut self) -> Option<(Timestamp, RuleAction)> {
        let ((at, _), action) = self.waiting.pop_first()?;
        Some((at, action))
    }

    /// What waits, with the times.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Timestamp, &RuleAction)> {
        self.waiting.iter().map(|((at, _), action)| (*at, action))
    }
}
