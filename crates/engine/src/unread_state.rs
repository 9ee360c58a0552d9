//! A state that notices whether it is read.

use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use reflexarc_reaction::{Entry, KeptMatches, NoState, State, sealed};

/// The state of a reaction that runs ahead of its turn. What a reaction that has read it did is
/// worth nothing: it would have found other entries in the state of its turn.
// An atomic only because states are shared between threads; this one never leaves its own.
#[derive(Debug, Default)]
pub(crate) struct UnreadState {
    was_read: AtomicBool,
}

impl UnreadState {
    pub(crate) fn was_read(&self) -> bool {
        self.was_read.load(Ordering::Relaxed)
    }
}

impl sealed::Sealed for UnreadState {}

impl State for UnreadState {
    fn get(&self, _: &str, _: &str, _: Timestamp) -> Option<Entry> {
        self.was_read.store(true, Ordering::Relaxed);
        None
    }

    fn contains(&self, _: &str, _: &str, _: Timestamp) -> bool {
        self.was_read.store(true, Ordering::Relaxed);
        false
    }

    fn has_room(&self, _: &str, _: usize, _: usize, _: Timestamp) -> bool {
        self.was_read.store(true, Ordering::Relaxed);
        true
    }

    fn matches(&self) -> &dyn KeptMatches {
        // A rule with a time window never runs ahead.
        self.was_read.store(true, Ordering::Relaxed);
        &NoState
    }
}
