//! The state as it will be once an evaluation is committed.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use reflexarc_reaction::{Entry, State, StateChange, sealed};

/// A state with the changes of the evaluation in progress on top, so that later hops see what
/// earlier ones wrote although nothing is committed yet.
pub(crate) struct StateOverlay<'a> {
    base: &'a dyn State,
    /// By rule and key; `None` where the key was removed.
    changed: BTreeMap<String, BTreeMap<String, Option<Arc<Entry>>>>,
}

impl<'a> StateOverlay<'a> {
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
                } => {
                    let mut entry = Entry::new(value.clone());
                    entry.expires = *expires;
                    (key, Some(Arc::new(entry)))
                }
                StateChange::Remove { key } => (key, None),
            };
            self.changed
                .entry(rule.to_owned())
                .or_default()
                .insert(key.clone(), entry);
        }
    }
}

impl sealed::Sealed for StateOverlay<'_> {}

impl State for StateOverlay<'_> {
    fn get(&self, rule: &str, key: &str, now: Timestamp) -> Option<Arc<Entry>> {
        match self.changed.get(rule).and_then(|entries| entries.get(key)) {
            // `Some(None)` hides an entry of the base: it was removed.
            Some(entry) => entry.clone().filter(|entry| entry.is_live(now)),
            None => self.base.get(rule, key, now),
        }
    }

    fn contains(&self, rule: &str, key: &str, now: Timestamp) -> bool {
        match self.changed.get(rule).and_then(|entries| entries.get(key)) {
            Some(entry) => entry.as_ref().is_some_and(|entry| entry.is_live(now)),
            None => self.base.contains(rule, key, now),
        }
    }

    fn has_room(&self, rule: &str, added: usize, max: usize, now: Timestamp) -> bool {
        // Only the changed keys can count differently than in the base. Example: the base has a and
        // b; a was removed, b overwritten, c added: (0 - 1) + (1 - 1) + (1 - 0) = 0 more than
        // there.
        let (mut added, mut removed) = (added, 0);
        for (key, entry) in self.changed.get(rule).into_iter().flatten() {
            let before = self.base.contains(rule, key, now);
            let after = entry.as_ref().is_some_and(|entry| entry.is_live(now));
            added += usize::from(after && !before);
            removed += usize::from(before && !after);
        }
        match added.checked_sub(removed) {
            None | Some(0) => true,
            Some(added) => self.base.has_room(rule, added, max, now),
        }
    }
}
