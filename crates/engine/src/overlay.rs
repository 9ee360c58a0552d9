//! State as it will be once an evaluation is committed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reflexarc_reaction::{Entry, State, StateChange};

/// A state, and what an evaluation has changed so far; later hops see what earlier ones wrote.
pub(crate) struct Overlay<'a> {
    base: &'a dyn State,
    /// By rule and key; `None` where the key was removed.
    changed: BTreeMap<String, BTreeMap<String, Option<Entry>>>,
}

impl<'a> Overlay<'a> {
    pub(crate) fn new(base: &'a dyn State) -> Self {
        Self {
            base,
            changed: BTreeMap::new(),
        }
    }

    pub(crate) fn apply(&mut self, rule: &str, changes: &[StateChange]) {
        for change in changes {
            let (key, entry) = match change {
                StateChange::Set {
                    key,
                    value,
                    expires,
                } => (
                    key,
                    Some(Entry {
                        value: value.clone(),
                        expires: *expires,
                    }),
                ),
                StateChange::Remove { key } => (key, None),
            };
            self.changed
                .entry(rule.to_owned())
                .or_default()
                .insert(key.clone(), entry);
        }
    }
}

impl State for Overlay<'_> {
    fn get(&self, rule: &str, key: &str, now: Timestamp) -> Option<Entry> {
        match self.changed.get(rule).and_then(|entries| entries.get(key)) {
            Some(entry) => entry.clone().filter(|entry| entry.alive(now)),
            None => self.base.get(rule, key, now),
        }
    }

    fn len(&self, rule: &str, now: Timestamp) -> usize {
        let before = self.base.len(rule, now);
        let Some(entries) = self.changed.get(rule) else {
            return before;
        };
        let mut len = before;
        for (key, entry) in entries {
            let was = self.base.get(rule, key, now).is_some();
            let is = entry.as_ref().is_some_and(|entry| entry.alive(now));
            len = len + usize::from(is) - usize::from(was);
        }
        len
    }
}
