//! The state of the rule as one run sees it: the stored entries, and the run's changes on top.

use std::collections::BTreeMap;

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
    /// The entry as the script sees it.
    entry: Option<Entry>,
    changed: bool,
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
    pub(crate) fn get(&mut self, stored: StoredState<'_>, key: &str) -> Option<Entry> {
        // Each key is read from the state once. Besides saving reads, this fixes what the run sees:
        // the state of a service may be read from a database.
        if let Some(slot) = self.slots.get(key) {
            return slot.entry.clone();
        }
        let entry = stored.state.get(stored.rule, key, stored.now);
        let slot = Slot {
            existed: entry.is_some(),
            entry: entry.clone(),
            changed: false,
        };
        self.slots.insert(key.to_owned(), slot);
        entry
    }

    /// Sets or removes the entry at a key.
    pub(crate) fn set(&mut self, stored: StoredState<'_>, key: &str, entry: Option<Entry>) {
        if let Some(slot) = self.slots.get_mut(key) {
            slot.entry = entry;
            slot.changed = true;
            return;
        }
        // What the entry was is not read: the run cannot see it any more.
        let slot = Slot {
            existed: stored.state.contains(stored.rule, key, stored.now),
            entry,
            changed: true,
        };
        self.slots.insert(key.to_owned(), slot);
    }

    /// Whether the rule would have at most `max` entries if the run ended here.
    pub(crate) fn has_room(&mut self, stored: StoredState<'_>, max: usize) -> bool {
        // Example: the run sets two new keys and removes an old entry: one more than before.
        let slots = self.slots.values();
        let added = slots
            .clone()
            .filter(|slot| !slot.existed && slot.entry.is_some());
        let removed = slots.filter(|slot| slot.existed && slot.entry.is_none());
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
        let changed = self
            .slots
            .into_iter()
            // An entry that the run both added and removed is not a change.
            .filter(|(_, slot)| slot.changed && (slot.existed || slot.entry.is_some()));
        changed
            .map(|(key, slot)| match slot.entry {
                Some(Entry { value, expires }) => StateChange::Set {
                    key,
                    value,
                    expires,
                },
                None => StateChange::Remove { key },
            })
            .collect()
    }
}
