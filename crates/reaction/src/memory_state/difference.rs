//! What has changed between two states.

use std::collections::BTreeSet;
use std::sync::Arc;

use imbl::OrdMap;
use imbl::ordmap::DiffItem;

use super::MemoryState;
use crate::{Entry, KeptEvent, KeptMatch, StateChange};

/// What leads from one state to another, for a store that has the first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StateDifference {
    /// The changes of each rule that has any. Events of matches are in `events`.
    pub changes: Vec<(String, Vec<StateChange>)>,
    /// The events that matches refer to, and did not before.
    pub events: Vec<KeptEvent>,
    /// The positions of the events that no match refers to any more.
    pub released: Vec<u64>,
}

impl StateDifference {
    /// Whether entries, matches and events are the same.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.events.is_empty() && self.released.is_empty()
    }
}

impl MemoryState {
    /// The changes after which `earlier` has the entries and matches of this state.
    ///
    /// What both share is not looked at: between a state and the one that an evaluation made of it,
    /// the cost is that of the changes.
    ///
    /// ```
    /// use reflexarc_reaction::{Entry, Json, MemoryState};
    ///
    /// let mut earlier = MemoryState::new();
    /// earlier.insert("failed", "count", Entry::new(Json::from(3)));
    /// let mut state = earlier.clone();
    /// assert!(state.difference_from(&earlier).is_empty());
    ///
    /// state.insert("failed", "last", Entry::new(Json::from("eni-1")));
    /// let difference = state.difference_from(&earlier);
    /// for (rule, changes) in &difference.changes {
    ///     earlier.apply(rule, changes);
    /// }
    /// assert_eq!(earlier, state);
    /// ```
    pub fn difference_from(&self, earlier: &Self) -> StateDifference {
        let mut difference = StateDifference::default();
        let (before, after) = (&earlier.matches, &self.matches);
        let rules: BTreeSet<&str> = [&earlier.rules, &self.rules]
            .into_iter()
            .flat_map(|rules| rules.keys().map(|rule| &**rule))
            .chain(before.rules())
            .chain(after.rules())
            .collect();
        for rule in rules {
            let entries = |state: &Self| {
                let entries = state.rules.get(rule);
                entries.map_or_else(OrdMap::new, |entries| entries.entries.clone())
            };
            let mut changes = entry_changes(&entries(earlier), &entries(self));
            changes.extend(match_changes(&before.by_key(rule), &after.by_key(rule)));
            if !changes.is_empty() {
                difference.changes.push((rule.to_owned(), changes));
            }
        }
        (difference.events, difference.released) = after.events_since(before);
        difference
    }
}

fn entry_changes(
    before: &OrdMap<Arc<str>, Arc<Entry>>,
    after: &OrdMap<Arc<str>, Arc<Entry>>,
) -> Vec<StateChange> {
    let changes = before.diff(after).map(|item| match item {
        DiffItem::Add(key, entry)
        | DiffItem::Update {
            new: (key, entry), ..
        } => StateChange::Set {
            key: key.as_ref().to_owned(),
            value: entry.value.clone(),
            expires: entry.expires,
        },
        DiffItem::Remove(key, _) => StateChange::Remove {
            key: key.as_ref().to_owned(),
        },
    });
    changes.collect()
}

fn match_changes(
    before: &OrdMap<Arc<str>, Arc<KeptMatch>>,
    after: &OrdMap<Arc<str>, Arc<KeptMatch>>,
) -> Vec<StateChange> {
    let changes = before.diff(after).map(|item| match item {
        DiffItem::Add(key, kept)
        | DiffItem::Update {
            new: (key, kept), ..
        } => StateChange::SetMatch {
            key: key.as_ref().to_owned(),
            kept: kept.as_ref().clone(),
            event: None,
        },
        DiffItem::Remove(key, _) => StateChange::RemoveMatch {
            key: key.as_ref().to_owned(),
        },
    });
    changes.collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;
    use reflexarc_event::{Json, NativeEvent};

    use super::*;
    use crate::State as _;

    #[derive(Debug, Clone)]
    enum Step {
        Set(usize, i64, Option<i64>),
        Remove(usize),
        SetMatch(usize, Vec<u64>, Option<i64>),
        RemoveMatch(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let time = || prop::option::of(0..20_i64);
        let positions = prop::collection::btree_set(0..6_u64, 0..3);
        prop_oneof![
            4 => (0..8_usize, 0..3_i64, time()).prop_map(|(at, value, time)| Step::Set(at, value, time)),
            2 => (0..8_usize).prop_map(Step::Remove),
            4 => (0..8_usize, positions, time())
                .prop_map(|(at, positions, due)| Step::SetMatch(at, positions.into_iter().collect(), due)),
            2 => (0..8_usize).prop_map(Step::RemoveMatch),
        ]
    }

    fn event(position: u64) -> KeptEvent {
        let event = NativeEvent::from_json(format!(r#"{{"id": {position}}}"#)).unwrap();
        KeptEvent::new(position, event)
    }

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn apply(state: &mut MemoryState, step: Step) {
        let place = |at: usize| (["a", "b"][at % 2], (at / 2).to_string());
        match step {
            Step::Set(at, value, expires) => {
                let (rule, key) = place(at);
                let (value, expires) = (Json::from(value), expires.map(second));
                state.apply(
                    rule,
                    &[StateChange::Set {
                        key,
                        value,
                        expires,
                    }],
                );
            }
            Step::Remove(at) => {
                let (rule, key) = place(at);
                state.apply(rule, &[StateChange::Remove { key }]);
            }
            Step::SetMatch(at, positions, due) => {
                let (rule, key) = place(at);
                let events: Vec<KeptEvent> = positions.iter().map(|at| event(*at)).collect();
                let mut kept = KeptMatch::new("{}");
                (kept.positions, kept.due) = (positions, due.map(second));
                state.insert_match(rule, &key, kept, &events);
            }
            Step::RemoveMatch(at) => {
                let (rule, key) = place(at);
                state.apply(rule, &[StateChange::RemoveMatch { key }]);
            }
        }
    }

    proptest! {
        #[test]
        fn a_difference_leads_from_one_state_to_the_other(
            first in prop::collection::vec(step(), 0..30),
            second in prop::collection::vec(step(), 0..30),
            is_related in any::<bool>(),
        ) {
            let mut earlier = MemoryState::new();
            for step in first {
                apply(&mut earlier, step);
            }
            let mut state = if is_related { earlier.clone() } else { MemoryState::new() };
            for step in second {
                apply(&mut state, step);
            }

            let difference = state.difference_from(&earlier);
            let positions = |state: &MemoryState| {
                state.kept_events().map(|event| event.position).collect::<BTreeSet<u64>>()
            };
            let (before, after) = (positions(&earlier), positions(&state));
            let added: BTreeSet<u64> = difference.events.iter().map(|one| one.position).collect();
            prop_assert_eq!(&added, &(&after - &before));
            let released: BTreeSet<u64> = difference.released.iter().copied().collect();
            prop_assert_eq!(&released, &(&before - &after));

            // As a store does it: with the events at hand.
            let mut reached = earlier.clone();
            for (rule, changes) in difference.changes {
                for change in changes {
                    match change {
                        StateChange::SetMatch { key, kept, event } => {
                            prop_assert_eq!(event, None);
                            let events = kept.positions.iter().map(|at| super::tests::event(*at));
                            let events: Vec<KeptEvent> = events.collect();
                            reached.insert_match(&rule, &key, kept, &events);
                        }
                        other => reached.apply(&rule, &[other]),
                    }
                }
            }
            reached.reserve_positions(state.matches().next_position());
            state.reserve_positions(reached.matches().next_position());
            prop_assert_eq!(&reached, &state);
            prop_assert!(state.difference_from(&reached).is_empty());
        }
    }
}
