//! A state that records what is read of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use reflexarc_event::Json;
use reflexarc_reaction::{Entry, KeptMatches, NoState, State, sealed};

/// The state of one rule for a reaction that runs ahead of its turn. What the reaction did holds if
/// repeating its reads in its turn gives the same.
pub(crate) struct RecordedState<'a> {
    state: &'a dyn State,
    // A mutex only because states are shared between threads; this one never leaves its own.
    reads: Mutex<Reads>,
}

/// What one run of one rule has read, in the order of the reads.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    reads: Vec<Read>,
    /// Bytes of the keys and entries, which stay in memory with the reads.
    pub(crate) bytes: usize,
}

/// One read with its result.
#[derive(Debug)]
enum Read {
    Entry(Box<str>, Option<Arc<Entry>>),
    Existence(Box<str>, bool),
    Room {
        added: usize,
        max: usize,
        answer: bool,
    },
}

impl<'a> RecordedState<'a> {
    pub(crate) fn new(state: &'a dyn State) -> Self {
        Self {
            state,
            reads: Mutex::default(),
        }
    }

    pub(crate) fn into_reads(self) -> Reads {
        let reads = self.reads.into_inner();
        reads.unwrap_or_else(PoisonError::into_inner)
    }

    fn reads(&self) -> MutexGuard<'_, Reads> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl sealed::Sealed for RecordedState<'_> {}

impl State for RecordedState<'_> {
    fn get(&self, rule: &str, key: &str, now: Timestamp) -> Option<Arc<Entry>> {
        let entry = self.state.get(rule, key, now);
        let bytes = entry.as_deref().map_or(0, |entry| bytes(&entry.value));
        let mut reads = self.reads();
        reads.bytes += key.len() + bytes;
        reads.reads.push(Read::Entry(key.into(), entry.clone()));
        entry
    }

    fn contains(&self, rule: &str, key: &str, now: Timestamp) -> bool {
        let exists = self.state.contains(rule, key, now);
        let mut reads = self.reads();
        reads.bytes += key.len();
        reads.reads.push(Read::Existence(key.into(), exists));
        exists
    }

    fn has_room(&self, rule: &str, added: usize, max: usize, now: Timestamp) -> bool {
        let answer = self.state.has_room(rule, added, max, now);
        self.reads().reads.push(Read::Room { added, max, answer });
        answer
    }

    fn matches(&self) -> &dyn KeptMatches {
        // Rules with a time window do not run ahead, and no other reaction has matches.
        &NoState
    }
}

impl Reads {
    /// Whether the state was not read.
    pub(crate) fn is_empty(&self) -> bool {
        self.reads.is_empty()
    }

    /// Whether `rule` would read the same in `state`.
    ///
    /// Each read is compared alone, so they need not have come from one state. Example: a run has
    /// read `a` before another event changed both `a` and `b`, and `b` after it. No state ever had
    /// these two values; in the turn of the run at least `a` differs, and it runs again.
    pub(crate) fn hold(&self, rule: &str, state: &dyn State, now: Timestamp) -> bool {
        self.reads.iter().all(|read| match read {
            Read::Entry(key, entry) => same(state.get(rule, key, now).as_ref(), entry.as_ref()),
            Read::Existence(key, exists) => state.contains(rule, key, now) == *exists,
            Read::Room { added, max, answer } => state.has_room(rule, *added, *max, now) == *answer,
        })
    }
}

/// Whether two entries are equal.
fn same(one: Option<&Arc<Entry>>, other: Option<&Arc<Entry>>) -> bool {
    match (one, other) {
        // Nearly always the same entry in memory, whatever its size.
        (Some(one), Some(other)) => Arc::ptr_eq(one, other) || one == other,
        (None, None) => true,
        _ => false,
    }
}

/// About how many bytes a value has in memory.
fn bytes(value: &Json) -> usize {
    let parts: usize = match value {
        Json::Null | Json::Bool(_) => 0,
        Json::Number(text) => text.len(),
        Json::String(text) => text.len(),
        Json::Array(elements) => elements.iter().map(bytes).sum(),
        Json::Object(members) => members
            .iter()
            .map(|(key, value)| key.len() + bytes(value))
            .sum(),
    };
    size_of::<Json>() + parts
}
