//! Calls of operations that wait to be made, and those that were cancelled before: each gets one
//! answer.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reflexarc_event::{Json, NativeEvent};
use reflexarc_reaction::CallAnswer;

use super::delayed_actions::{DelayName, RuleAction};

/// What the script `answered` needs besides the call.
#[derive(Debug, Clone)]
pub(super) struct CallOrigin {
    /// The event that began it; `None` where there was none.
    pub(super) event: Option<NativeEvent>,
    /// The hop of the answer.
    pub(super) hop: usize,
    /// The key of the rule's `by`.
    pub(super) key: Option<Json>,
}

/// A call that is due.
#[derive(Debug, Clone)]
pub(super) struct PendingCall {
    pub(super) action: RuleAction,
    pub(super) origin: CallOrigin,
    /// When it was due first.
    pub(super) due: Timestamp,
    /// The number of the next attempt, from 1.
    pub(super) attempt: u32,
    /// The answer of a call that is not made.
    pub(super) withdrawn: Option<CallAnswer>,
}

/// The calls by the time of their next attempt, and their order.
#[derive(Debug, Default)]
pub(super) struct PendingCalls {
    waiting: BTreeMap<(Timestamp, u64), PendingCall>,
    sequence: u64,
}

impl PendingCalls {
    pub(super) fn add(&mut self, at: Timestamp, call: PendingCall) {
        self.sequence += 1;
        self.waiting.insert((at, self.sequence), call);
    }

    /// Removes what waits under a name. What is answered already stays.
    pub(super) fn cancel(&mut self, name: &DelayName<'_>) -> Vec<RuleAction> {
        let mut cancelled = Vec::new();
        self.waiting.retain(|_, call| {
            let is_it = call.withdrawn.is_none() && call.action.is_named(name);
            cancelled.extend(is_it.then(|| call.action.clone()));
            !is_it
        });
        cancelled
    }

    /// When the next attempt is made.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.waiting.first_key_value().map(|((at, _), _)| *at)
    }

    pub(super) fn take_next(&mut self) -> Option<(Timestamp, PendingCall)> {
        let ((at, _), call) = self.waiting.pop_first()?;
        Some((at, call))
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}
