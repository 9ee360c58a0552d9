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
    /// The number of entries before the run, once it was needed.
    entries_before: Option<usize>,
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
        self.slot(stored, key).entry.clone()
    }

    /// Sets or removes the entry at a key.
    pub(crate) fn set(&mut self, stored: StoredState<'_>, key: &str, entry: Option<Entry>) {
        let slot = self.slot(stored, key);
        slot.entry = entry;
        slot.changed = true;
    }

    /// The number of entries that the rule would have if the run ended here.
    pub(crate) fn entries_after(&mut self, stored: StoredState<'_>) -> usize {
        // Counting the entries of a rule may need a query, so it is done at the first change only.
        // Example: 10 entries before; the run sets a new key and removes an old one: 10 + 1 - 1.
        let before = *self
            .entries_before
            .get_or_insert_with(|| stored.state.len(stored.rule, stored.now));
        let slots = self.slots.values();
        let added = slots
            .clone()
            .filter(|slot| !slot.existed && slot.entry.is_some());
        let removed = slots.filter(|slot| slot.existed && slot.entry.is_none());
        (before + added.count()).saturating_sub(removed.count())
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

    fn slot(&mut self, stored: StoredState<'_>, key: &str) -> &mut Slot {
        // Each key is read from the state once. Besides saving reads, this fixes what the run sees:
        // the state of a service may be read from a database.
        self.slots.entry(key.to_owned()).or_insert_with(|| {
            let entry = stored.state.get(stored.rule, key, stored.now);
            Slot {
                existed: entry.is_some(),
                entry,
                changed: false,
            }
        })
    }
}
