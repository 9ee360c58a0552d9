//! What rules keep from event to event: entries, and how evaluations read them.

use std::sync::Arc;

use jiff::Timestamp;
use reflexarc_event::{Json, NativeEvent};

use crate::KeptMatch;

/// Read access to the state of rules. Reactions never write to it: they return
/// [`StateChange`](crate::StateChange)s, which the owner of the state commits together with the
/// event.
///
/// The trait is sealed, because its methods may change. A program with a store of its own fills a
/// [`MemoryState`](crate::MemoryState) from it and applies the changes to the store.
///
/// ```
/// use reflexarc_reaction::{Entry, Json, MemoryState, State, Timestamp};
///
/// let now = Timestamp::UNIX_EPOCH;
/// let mut state = MemoryState::new();
/// state.insert("failed", "count", Entry::new(Json::from(3)));
/// assert_eq!(state.get("failed", "count", now), Some(Entry::new(Json::from(3)).into()));
/// assert!(state.contains("failed", "count", now));
/// assert!(state.has_room("failed", 1, 2, now));
/// assert!(!state.has_room("failed", 2, 2, now));
/// ```
///
/// ```compile_fail,E0277
/// use std::sync::Arc;
///
/// use reflexarc_reaction::{Entry, KeptMatches, NoState, State, Timestamp};
///
/// struct Own;
/// impl State for Own {
///     fn get(&self, _: &str, _: &str, _: Timestamp) -> Option<Arc<Entry>> {
///         None
///     }
///     fn contains(&self, _: &str, _: &str, _: Timestamp) -> bool {
///         false
///     }
///     fn has_room(&self, _: &str, _: usize, _: usize, _: Timestamp) -> bool {
///         true
///     }
///     fn matches(&self) -> &dyn KeptMatches {
///         &NoState
///     }
/// }
/// ```
pub trait State: sealed::Sealed + Send + Sync {
    /// The entry of `rule` at `key`, unless it has expired by `now`. An entry expires exactly at
    /// [`Entry::expires`].
    // Shared with the state where it is in memory: a value may have 64 KiB, and what was read may
    // be kept to compare it later.
    fn get(&self, rule: &str, key: &str, now: Timestamp) -> Option<Arc<Entry>>;

    /// Whether `rule` has an entry at `key` that has not expired by `now`.
    // Not `get`: what overwrites an entry needs to know whether there is one, to count the entries,
    // and not what it is. Where reads are recorded, such an evaluation still holds when another
    // event has overwritten the entry in between.
    fn contains(&self, rule: &str, key: &str, now: Timestamp) -> bool;

    /// Whether `rule` has at most `max` unexpired entries after `added` more.
    // A question and not the number of entries: a store answers it for nearly every evaluation
    // without counting, and the answer of an evaluation that ran ahead is still right when other
    // events have added entries in between.
    fn has_room(&self, rule: &str, added: usize, max: usize, now: Timestamp) -> bool;

    /// The matches of time windows.
    fn matches(&self) -> &dyn KeptMatches;
}

/// Read access to the matches of rules with a time window, and to the events that they refer to. It
/// is sealed as [`State`] is.
pub trait KeptMatches: sealed::Sealed + Send + Sync {
    /// The match of `rule` at `key`, unless it has expired by `now`.
    fn get(&self, rule: &str, key: &str, now: Timestamp) -> Option<Arc<KeptMatch>>;

    /// Whether `rule` has fewer than `max` unexpired matches that wait, or, if not `pending`, that
    /// do not.
    fn has_room(&self, rule: &str, pending: bool, max: usize, now: Timestamp) -> bool;

    /// The event at a position that a match refers to.
    fn event(&self, position: u64) -> Option<NativeEvent>;

    /// Bytes of the events that are kept for matches alone.
    fn event_bytes(&self) -> usize;

    /// The position of the next event: higher than that of any event before it.
    fn next_position(&self) -> u64;

    /// The time up to which deadlines have been evaluated: what comes now is not applied before it.
    fn clock(&self) -> Timestamp;
}

/// Seals [`State`]: only crates of this project implement it.
// What a store must offer will grow when several nodes share state. A sealed trait
// can get methods without a default, and no implementation outside has to follow.
#[doc(hidden)]
pub mod sealed {
    /// The implementations that the crates of this project may have.
    pub trait Sealed {}
}

/// A state entry.
///
/// ```
/// use reflexarc_reaction::{Entry, Json, SignedDuration, Timestamp};
///
/// let end = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(10);
/// let entry = Entry::new(Json::from(3)).with_expiry(end);
/// assert!(entry.is_live(Timestamp::UNIX_EPOCH));
/// assert!(!entry.is_live(end));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The value.
    pub value: Json,
    /// When it expires; never when absent.
    pub expires: Option<Timestamp>,
}

/// A state without entries.
///
/// ```
/// use reflexarc_reaction::{NoState, State, Timestamp};
///
/// assert_eq!(NoState.get("failed", "count", Timestamp::UNIX_EPOCH), None);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct NoState;

impl Entry {
    /// An entry that never expires.
    pub fn new(value: Json) -> Self {
        Self {
            value,
            expires: None,
        }
    }

    /// The same, expiring at a time.
    #[must_use]
    pub fn with_expiry(self, at: Timestamp) -> Self {
        Self {
            expires: Some(at),
            ..self
        }
    }

    /// Whether it has not expired at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|at| now < at)
    }
}

impl sealed::Sealed for NoState {}

impl State for NoState {
    fn get(&self, _: &str, _: &str, _: Timestamp) -> Option<Arc<Entry>> {
        None
    }

    fn contains(&self, _: &str, _: &str, _: Timestamp) -> bool {
        false
    }

    fn has_room(&self, _: &str, added: usize, max: usize, _: Timestamp) -> bool {
        added <= max
    }

    fn matches(&self) -> &dyn KeptMatches {
        self
    }
}

impl KeptMatches for NoState {
    fn get(&self, _: &str, _: &str, _: Timestamp) -> Option<Arc<KeptMatch>> {
        None
    }

    fn has_room(&self, _: &str, _: bool, max: usize, _: Timestamp) -> bool {
        max > 0
    }

    fn event(&self, _: u64) -> Option<NativeEvent> {
        None
    }

    fn event_bytes(&self) -> usize {
        0
    }

    fn next_position(&self) -> u64 {
        0
    }

    fn clock(&self) -> Timestamp {
        Timestamp::MIN
    }
}
