//! The state of rules, kept from event to event.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reflexarc_event::Json;

use crate::StateChange;

/// Read access to the state of rules. Reactions never write to it: they return [`StateChange`]s,
/// which the owner of the state commits together with the event.
///
/// The trait is sealed, because its methods may change. A program with a store of its own fills a
/// [`MemoryState`] from it and applies the changes to the store.
///
/// ```
/// use reflexarc_reaction::{Entry, Json, MemoryState, State, Timestamp};
///
/// let now = Timestamp::UNIX_EPOCH;
/// let mut state = MemoryState::new();
/// state.insert("failed", "count", Entry::new(Json::from(3)));
/// assert_eq!(state.get("failed", "count", now), Some(Entry::new(Json::from(3))));
/// assert_eq!(state.len("failed", now), 1);
/// ```
///
/// ```compile_fail,E0277
/// use reflexarc_reaction::{Entry, State, Timestamp};
///
/// struct Own;
/// impl State for Own {
///     fn get(&self, _: &str, _: &str, _: Timestamp) -> Option<Entry> {
///         None
///     }
///     fn len(&self, _: &str, _: Timestamp) -> usize {
///         0
///     }
/// }
/// ```
pub trait State: sealed::Sealed + Send + Sync {
    /// The entry of `rule` at `key`, unless it has expired by `now`. An entry expires exactly at
    /// [`Entry::expires`].
    fn get(&self, rule: &str, key: &str, now: Timestamp) -> Option<Entry>;

    /// The number of unexpired entries of `rule`.
    fn len(&self, rule: &str, now: Timestamp) -> usize;
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
/// assert_eq!(NoState.len("failed", Timestamp::UNIX_EPOCH), 0);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct NoState;

/// A state in memory: for programs that keep their own state, for `run`, rule tests and Python.
///
/// ```
/// use reflexarc_reaction::{Json, MemoryState, State, StateChange, Timestamp};
///
/// let mut state = MemoryState::new();
/// let change = StateChange::Set { key: "count".into(), value: Json::from(3), expires: None };
/// state.apply("failed", &[change]);
/// assert_eq!(state.len("failed", Timestamp::UNIX_EPOCH), 1);
///
/// state.apply("failed", &[StateChange::Remove { key: "count".into() }]);
/// assert_eq!(state.len("failed", Timestamp::UNIX_EPOCH), 0);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryState {
    rules: BTreeMap<String, BTreeMap<String, Entry>>,
}

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

    /// Sets the entry of `rule` at `key`, for example to the one of a snapshot.
    ///
    /// ```
    /// use reflexarc_reaction::{Entry, Json, MemoryState, Timestamp};
    ///
    /// let state: MemoryState = [("failed", "count", Entry::new(Json::from(3)))]
    ///     .into_iter()
    ///     .collect();
    /// let mut same = MemoryState::new();
    /// same.insert("failed", "count", Entry::new(Json::from(3)));
    /// assert_eq!(state, same);
    /// ```
    pub fn insert(&mut self, rule: impl Into<String>, key: impl Into<String>, entry: Entry) {
        self.rules
            .entry(rule.into())
            .or_default()
            .insert(key.into(), entry);
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

    /// Every unexpired entry as rule, key and entry, in that order: a snapshot, from which
    /// collecting makes the same state again.
    ///
    /// ```
    /// use reflexarc_reaction::{Entry, Json, MemoryState, Timestamp};
    ///
    /// let mut state = MemoryState::new();
    /// state.insert("failed", "count", Entry::new(Json::from(3)));
    /// let snapshot = state.entries(Timestamp::UNIX_EPOCH);
    /// let copy: MemoryState = snapshot.map(|(r, key, entry)| (r, key, entry.clone())).collect();
    /// assert_eq!(copy, state);
    /// ```
    pub fn entries(&self, now: Timestamp) -> impl Iterator<Item = (&str, &str, &Entry)> {
        self.rules.iter().flat_map(move |(rule, entries)| {
            entries
                .iter()
                .filter(move |(_, entry)| entry.is_live(now))
                .map(move |(key, entry)| (rule.as_str(), key.as_str(), entry))
        })
    }

    /// Removes the entries that have expired by `now`.
    ///
    /// ```
    /// use reflexarc_reaction::{Entry, Json, MemoryState, Timestamp};
    ///
    /// let mut state = MemoryState::new();
    /// let expired = Entry::new(Json::from(3)).with_expiry(Timestamp::UNIX_EPOCH);
    /// state.insert("failed", "count", expired);
    /// state.remove_expired(Timestamp::UNIX_EPOCH);
    /// assert_eq!(state, MemoryState::new());
    /// ```
    pub fn remove_expired(&mut self, now: Timestamp) {
        for entries in self.rules.values_mut() {
            entries.retain(|_, entry| entry.is_live(now));
        }
        self.rules.retain(|_, entries| !entries.is_empty());
    }
}

/// Entries as rule, key and entry.
impl<R: Into<String>, K: Into<String>> FromIterator<(R, K, Entry)> for MemoryState {
    fn from_iter<I: IntoIterator<Item = (R, K, Entry)>>(entries: I) -> Self {
        let mut state = Self::new();
        for (rule, key, entry) in entries {
            state.insert(rule, key, entry);
        }
        state
    }
}

impl sealed::Sealed for MemoryState {}

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
