//! The state as it will be once an evaluation is committed.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use reflexarc_event::NativeEvent;
use reflexarc_reaction::{Entry, KeptEvent, KeptMatch, KeptMatches, State, StateChange, sealed};

/// A state with the changes of the evaluation in progress on top, so that later hops see what
/// earlier ones wrote although nothing is committed yet.
pub(crate) struct StateOverlay<'a> {
    base: &'a dyn State,
    /// By rule and key; `None` where the key was removed.
    changed: BTreeMap<String, BTreeMap<String, Option<Arc<Entry>>>>,
    /// The same of matches.
    changed_matches: BTreeMap<String, BTreeMap<String, Option<Arc<KeptMatch>>>>,
    /// The events of the evaluation that matches refer to.
    events: Vec<KeptEvent>,
    /// The position of what is evaluated.
    entry_position: OnceLock<u64>,
}

impl<'a> StateOverlay<'a> {
    pub(crate) fn new(base: &'a dyn State) -> Self {
        Self {
            base,
            changed: BTreeMap::new(),
            changed_matches: BTreeMap::new(),
            events: Vec::new(),
            entry_position: OnceLock::new(),
        }
    }

    /// The position of what is evaluated, whether or not a match refers to it. Events that it leads
    /// to have those after it.
    pub(crate) fn entry_position(&self) -> u64 {
        // Looked up once, and only where a rule has a window.
        let next = || self.base.matches().next_position();
        *self.entry_position.get_or_init(next)
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
                StateChange::SetMatch { key, kept, event } => {
                    self.events.extend(event.clone());
                    self.change_match(rule, key, Some(Arc::new(kept.clone())));
                    continue;
                }
                StateChange::RemoveMatch { key } => {
                    self.change_match(rule, key, None);
                    continue;
                }
            };
            self.changed
                .entry(rule.to_owned())
                .or_default()
                .insert(key.clone(), entry);
        }
    }
}

impl StateOverlay<'_> {
    fn change_match(&mut self, rule: &str, key: &str, kept: Option<Arc<KeptMatch>>) {
        let matches = self.changed_matches.entry(rule.to_owned()).or_default();
        matches.insert(key.to_owned(), kept);
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

    fn matches(&self) -> &dyn KeptMatches {
        self
    }
}

impl KeptMatches for StateOverlay<'_> {
    fn get(&self, rule: &str, key: &str, now: Timestamp) -> Option<Arc<KeptMatch>> {
        let changed = self.changed_matches.get(rule);
        match changed.and_then(|matches| matches.get(key)) {
            Some(kept) => kept.clone().filter(|kept| kept.is_live(now)),
            None => self.base.matches().get(rule, key, now),
        }
    }

    fn has_room(&self, rule: &str, pending: bool, max: usize, now: Timestamp) -> bool {
        // As many as the evaluation has added count as more than there are: an evaluation adds a
        // few, and whether it replaced others does not decide about a limit of thousands.
        let changed = self.changed_matches.get(rule).into_iter().flatten();
        let kept = changed.filter_map(|(_, kept)| kept.as_ref());
        let added = kept.filter(|kept| kept.is_pending == pending && kept.is_live(now));
        let max = max.saturating_sub(added.count());
        self.base.matches().has_room(rule, pending, max, now)
    }

    fn event(&self, position: u64) -> Option<NativeEvent> {
        let own = self.events.iter().find(|event| event.position == position);
        match own {
            Some(own) => Some(own.event.clone()),
            None => self.base.matches().event(position),
        }
    }

    fn event_bytes(&self) -> usize {
        let own = self.events.iter().map(|event| event.event.bytes().len());
        self.base.matches().event_bytes().saturating_add(own.sum())
    }

    fn next_position(&self) -> u64 {
        let own = self.events.iter().map(|event| event.position);
        let last = own.max().unwrap_or(0).max(self.entry_position());
        last.saturating_add(1)
    }

    fn clock(&self) -> Timestamp {
        self.base.matches().clock()
    }
}
