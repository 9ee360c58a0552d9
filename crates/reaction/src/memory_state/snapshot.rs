//! Making a state with matches again from what it was written as.

use super::MemoryState;
use crate::{KeptEvent, KeptMatch};

impl MemoryState {
    /// Whether any rule has a match, those included that have expired.
    pub fn has_matches(&self) -> bool {
        !self.matches.is_empty()
    }

    /// Sets the match of `rule` at `key`, which is JSON, to the one of a snapshot. Of `events`,
    /// those that it refers to are kept.
    ///
    /// A snapshot of all matches has, besides them and the events, the next position and the clock
    /// of [`State::matches`](crate::State::matches):
    ///
    /// ```
    /// use reflexarc_reaction::{KeptEvent, MemoryState, State, StateChange, Timestamp};
    /// # use reflexarc_reaction::{Json, KeptMatch};
    /// # let event = reflexarc_event::NativeEvent::from_json("{}")?;
    /// # let mut kept = KeptMatch::new("{}");
    /// # kept.positions = vec![7];
    /// # let (key, event) = ("\"eni-1\"".to_owned(), Some(KeptEvent::new(7, event)));
    /// # let mut state = MemoryState::new();
    /// # state.apply("stuck", &[StateChange::SetMatch { key, kept, event }]);
    /// # state.advance(Timestamp::UNIX_EPOCH);
    ///
    /// let mut copy = MemoryState::new();
    /// for rule in state.rules_with_matches() {
    ///     for (key, kept) in state.matches_of(rule, Timestamp::MIN) {
    ///         let event = |at: &u64| Some(KeptEvent::new(*at, state.matches().event(*at)?));
    ///         let events: Vec<KeptEvent> = kept.positions.iter().filter_map(event).collect();
    ///         copy.insert_match(rule, key, kept.clone(), &events);
    ///     }
    /// }
    /// copy.reserve_positions(state.matches().next_position());
    /// copy.advance(state.matches().clock());
    /// assert_eq!(copy, state);
    /// # Ok::<(), reflexarc_event::EventError>(())
    /// ```
    pub fn insert_match(&mut self, rule: &str, key: &str, kept: KeptMatch, events: &[KeptEvent]) {
        self.matches.set(rule, key, kept, events);
    }

    /// Events that are kept from now on get this position or a later one.
    // Without it, a state whose last events are not referred to any more would give their positions
    // again, and would not equal the state that it is a copy of.
    pub fn reserve_positions(&mut self, position: u64) {
        self.matches.reserve_positions(position);
    }
}
