//! The state of rules, kept from event to event.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reflexarc_event::Json;

use crate::StateChange;

/// Read access to the state of rules. Reactions never write to it: they return [`StateChange`]s,
/// which the owner of the state commits together with the event.
pub trait State: Send + Sync {
    /// The entry of `rule` at `key`, unless it has expired by `now`. An entry expires exactly at
    /// [`Entry::expires`].
    fn get(&self, rule: &str, key: &str, now: Timestamp) -> Option<Entry>;

    /// The number of unexpired entries of `rule`.
    fn len(&self, rule: &str, now: Timestamp) -> usize;
}

/// A state entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The value.
    pub value: Json,
    /// When it expires; never when absent.
    pub expires: Option<Timestamp>,
}

/// A state without entries.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoState;

/// A state in memory: for `run`, rule tests and Python.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryState {
    rules: BTreeMap<String, BTreeMap<String, Entry>>,
}

impl Entry {
    /// Whether it has not expired at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|at| now < at)
    }
}

impl State for NoState {
    fn get(&self, _: &str, _: &str, _: Timestamp) -> Option<Entry> {
        None
    }

    fn len(&self, _: &str, _: Timestamp) -> usize {
        0
    }
}

impl MemoryState {
    /// A state without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies the changes of `rule`.
    pub fn apply(&mut self, rule: &str, changes: &[StateChange]) {
        // So that a rule without state has no map either, and equal states compare equal.
        if changes.is_empty() {
            return;
        }
        let entries = self.rules.entry(rule.to_owned()).or_default();
        for change in changes {
            match change {
                StateChange::Set {
                    key,
                    value,
                    expires,
                } => {
                    entries.insert(
                        key.clone(),
                        Entry {
                            value: value.clone(),
                            expires: *expires,
                        },
                    );
                }
                StateChange::Remove { key } => {
                    entries.remove(key);
                }
            }
        }
    }

    /// Every unexpired entry as rule, key and value, in that order.
    pub fn entries(&self, now: Timestamp) -> impl Iterator<Item = (&str, &str, &Json)> {
        self.rules.iter().flat_map(move |(rule, entries)| {
            entries
                .iter()
                .filter(move |(_, entry)| entry.is_live(now))
                .map(move |(key, entry)| (rule.as_str(), key.as_str(), &entry.value))
        })
    }

    /// Removes the entries that have expired by `now`.
    pub fn remove_expired(&mut self, now: Timestamp) {
        for entries in self.rules.values_mut() {
            entries.retain(|_, entry| entry.is_live(now));
        }
        self.rules.retain(|_, entries| !entries.is_empty());
    }
}

impl State for MemoryState {
    fn get(&self, rule: &str, key: &str, now: Timestamp) -> Option<Entry> {
        self.rules
            .get(rule)?
            .get(key)
            .filter(|entry| entry.is_live(now))
            .cloned()
    }

    fn len(&self, rule: &str, now: Timestamp) -> usize {
        self.rules.get(rule).map_or(0, |entries| {
            entries.values().filter(|entry| entry.is_live(now)).count()
        })
    }
}
