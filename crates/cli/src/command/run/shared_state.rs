//! The state of a run, which preparers read while it changes.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::Timestamp;
use reflexarc::{DueEvaluation, Evaluation, NativeEvent, RuleSet};
use reflexarc_reaction::{Entry, KeptMatch, KeptMatches, MemoryState, State, sealed};

/// The state of all rules. Only the evaluator changes it.
// One state behind a lock, not a snapshot now and then: preparers may read entries of different
// times, because in the turn of their event each read is repeated. After a snapshot, every first
// change near an entry would copy its neighbours, and what it lacks runs twice.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedState(Arc<RwLock<MemoryState>>);

impl SharedState {
    /// Applies the changes of an evaluation.
    pub(super) fn apply(&self, evaluation: &Evaluation) {
        if evaluation
            .rules
            .iter()
            .all(|effects| effects.changes.is_empty())
        {
            return;
        }
        let mut state = self.write();
        for effects in &evaluation.rules {
            state.apply(&effects.rule, &effects.changes);
        }
    }

    /// Begins what rules wait for before any event.
    pub(super) fn arm(&self, rules: &RuleSet, now: Timestamp) {
        rules.arm(&mut self.write(), now);
    }

    /// Fires the earliest deadline if it is `now` or before, and applies the changes.
    pub(super) fn fire_next(&self, rules: &RuleSet, now: Timestamp) -> Option<DueEvaluation> {
        // Nearly always nothing is due, and preparers go on reading.
        if self.read().next_due().is_none_or(|due| due > now) {
            return None;
        }
        rules.fire_next(&mut self.write(), now)
    }

    /// As [`MemoryState::advance`].
    pub(super) fn advance(&self, to: Timestamp) {
        self.write().advance(to);
    }

    /// As [`MemoryState::remove_expired`].
    pub(super) fn remove_expired(&self, now: Timestamp) {
        self.write().remove_expired(now);
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, MemoryState> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, MemoryState> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl sealed::Sealed for SharedState {}

impl State for SharedState {
    fn get(&self, rule: &str, key: &str, now: Timestamp) -> Option<Arc<Entry>> {
        self.read().get(rule, key, now)
    }

    fn contains(&self, rule: &str, key: &str, now: Timestamp) -> bool {
        self.read().contains(rule, key, now)
    }

    fn has_room(&self, rule: &str, added: usize, max: usize, now: Timestamp) -> bool {
        self.read().has_room(rule, added, max, now)
    }

    fn matches(&self) -> &dyn KeptMatches {
        self
    }
}

impl KeptMatches for SharedState {
    fn get(&self, rule: &str, key: &str, now: Timestamp) -> Option<Arc<KeptMatch>> {
        self.read().matches().get(rule, key, now)
    }

    fn has_room(&self, rule: &str, pending: bool, max: usize, now: Timestamp) -> bool {
        self.read().matches().has_room(rule, pending, max, now)
    }

    fn event(&self, position: u64) -> Option<NativeEvent> {
        self.read().matches().event(position)
    }

    fn event_bytes(&self) -> usize {
        self.read().matches().event_bytes()
    }

    fn next_position(&self) -> u64 {
        self.read().matches().next_position()
    }

    fn clock(&self) -> Timestamp {
        self.read().matches().clock()
    }
}
