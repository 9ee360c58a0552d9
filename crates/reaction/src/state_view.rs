//! The state of the rule as one run sees it: the stored entries, and the run's changes on top.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::{Entry, State, StateChange};

/// The stored state of one rule at one time.
#[derive(Clone, Copy)]
pub(crate) struct StoredState<'a> {
    pub(crate) state: &'a dyn State,
    pub(crate) rule: &'a str,
    pub(crate) now: Timestamp,
}

/// The changes of a run, and what it has read of the stored state.
// Without a reference to the stored state: `RUN` lends a run for a shorter time than the run lives,
// which a reference inside a `RefCell` does not allow.
#[derive(Default)]
pub(crate) struct StateView {
    /// The keys that the run has read or changed.
    slots: BTreeMap<String, Slot>,
    /// For how many more entries there is known to be room.
    room: usize,
}

/// A key that the run has read or changed.
struct Slot {
    /// Whether there was an entry before the run.
    existed: bool,
    value: SlotValue,
}

/// The entry as the script sees it.
enum SlotValue {
    Read(Option<Arc<Entry>>),
    Changed(Option<Entry>),
}

impl StateView {
    /// The number of keys that the run has used.
    pub(crate) fn keys(&self) -> usize {
        self.slots.len()
    }

    /// Whether the run has used a key.
    pub(crate) fn has_used(&self, key: &str) -> bool {
        self.slots.contains_key(key)
    }

    /// The entry at a key.
    pub(crate) fn get(&mut self, stored: StoredState<'_>, key: &str) -> Option<&Entry> {
        // Each key is read from the state once. Besides saving reads, this fixes what the run sees:
        // the state of a service may be read from a database.
        if !self.slots.contains_key(key) {
            let entry = stored.state.get(stored.rule, key, stored.now);
            let slot = Slot {
                existed: entry.is_some(),
                value: SlotValue::Read(entry),
            };
            self.slots.insert(key.to_owned(), slot);
        }
        self.slots.get(key).and_then(Slot::entry)
    }

    /// Sets or removes the entry at a key.
    pub(crate) fn set(&mut self, stored: StoredState<'_>, key: &str, entry: Option<Entry>) {
        let value = SlotValue::Changed(entry);
        if let Some(slot) = self.slots.get_mut(key) {
            slot.value = value;
            return;
        }
        // What the entry was is not read: the run cannot see it any more.
        let existed = stored.state.contains(stored.rule, key, stored.now);
        self.slots.insert(key.to_owned(), Slot { existed, value });
    }

    /// Whether the rule would have at most `max` entries if the run ended here.
    pub(crate) fn has_room(&mut self, stored: StoredState<'_>, max: usize) -> bool {
        // Example: the run sets two new keys and removes an old entry: one more than before.
        let slots = self.slots.values();
        let added = slots
            .clone()
            .filter(|slot| !slot.existed && slot.entry().is_some());
        let removed = slots.filter(|slot| slot.existed && slot.entry().is_none());
        let added = added.count().saturating_sub(removed.count());
        // A run that adds nothing is within the limit, even where the rule has too many since the
        // limit was lowered: it could not remove any otherwise.
        if added <= self.room {
            return true;
        }
        let has_room = stored.state.has_room(stored.rule, added, max, stored.now);
        if has_room {
            self.room = added;
        }
        has_room
    }

    /// The changes of the run.
    pub(crate) fn into_changes(self) -> Vec<StateChange> {
        // From a `BTreeMap`, so the changes are in the order of their keys: two scripts that make
        // the same changes in another order have the same effects.
        let change = |(key, slot): (String, Slot)| match slot.value {
            SlotValue::Read(_) => None,
            SlotValue::Changed(Some(Entry { value, expires })) => Some(StateChange::Set {
                key,
                value,
                expires,
            }),
            // An entry that the run both added and removed is not a change.
            SlotValue::Changed(None) => slot.existed.then_some(StateChange::Remove { key }),
        };
        self.slots.into_iter().filter_map(change).collect()
    }
}

impl Slot {
    fn entry(&self) -> Option<&Entry> {
        match &self.value {
            SlotValue::Read(entry) => entry.as_deref(),
            SlotValue::Changed(entry) => entry.as_ref(),
        }
    }
}
