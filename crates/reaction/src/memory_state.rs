//! The state of rules in memory.

mod difference;
mod json;
mod matches;
mod snapshot;

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use jiff::{SignedDuration, Timestamp};

pub use self::difference::StateDifference;
pub use self::json::StateFormatError;
use self::matches::Matches;
use crate::{Entry, KeptEvent, KeptMatch, KeptMatches, State, StateChange, sealed};

/// A state in memory: for programs that keep their own state, for `run`, rule tests and Python.
///
/// A copy shares its entries with the original until one of them is changed, so that copying costs
/// nothing and a change of a copy O(log n).
///
/// ```
/// use reflexarc_reaction::{Json, MemoryState, StateChange, Timestamp};
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
    /// No rule is without entries, so that equal states compare equal.
    rules: OrdMap<Arc<str>, RuleEntries>,
    matches: Matches,
}

/// The entries of one rule, and which of them expire when.
///
/// Entries that have expired are left in place until [`MemoryState::remove_expired`], and are never
/// read. Example with a limit of 3 entries, at time 5:
///
/// ```text
/// entries   a (never)  b (until 4)  c (until 9)
/// expiring  (4, b) (9, c)
/// live      3 - 1 = 2: one more fits
/// ```
// Counting the entries that are live by looking at each would make every write O(n): a rule that
// keeps something of 20,000 interfaces spent half of its time on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct RuleEntries {
    entries: OrdMap<Arc<str>, Arc<Entry>>,
    expiring: OrdSet<(Timestamp, Arc<str>)>,
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
        self.entries_of(&rule.into()).set(&key.into(), entry);
    }

    /// Applies the changes of `rule`.
    pub fn apply(&mut self, rule: &str, changes: &[StateChange]) {
        for change in changes {
            match change {
                StateChange::Set {
                    key,
                    value,
                    expires,
                } => {
                    let mut entry = Entry::new(value.clone());
                    entry.expires = *expires;
                    self.entries_of(rule).set(key, entry);
                }
                StateChange::Remove { key } => {
                    let entries = self.entries_of(rule);
                    entries.remove(key);
                    if entries.entries.is_empty() {
                        self.rules.remove(rule);
                    }
                }
                StateChange::SetMatch { key, kept, event } => {
                    self.matches.set(rule, key, kept.clone(), event.as_slice());
                }
                StateChange::RemoveMatch { key } => self.matches.remove(rule, key),
            }
        }
    }

    /// The number of unexpired entries of `rule`.
    pub fn len(&self, rule: &str, now: Timestamp) -> usize {
        self.rules.get(rule).map_or(0, |entries| entries.live(now))
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
                .entries
                .iter()
                .filter(move |(_, entry)| entry.is_live(now))
                .map(move |(key, entry)| (&**rule, &**key, &**entry))
        })
    }

    /// The unexpired matches of the time window of `rule`, by key.
    pub fn matches_of(
        &self,
        rule: &str,
        now: Timestamp,
    ) -> impl Iterator<Item = (&str, &KeptMatch)> {
        self.matches.of_rule(rule, now)
    }

    /// The rules that have matches.
    pub fn rules_with_matches(&self) -> impl Iterator<Item = &str> {
        self.matches.rules()
    }

    /// Deadline, rule and key of the matches whose deadline is `now` or earlier, in the order in
    /// which they fire.
    pub fn due(&self, now: Timestamp) -> impl Iterator<Item = (Timestamp, &str, &str)> {
        self.matches.due(now)
    }

    /// The earliest deadline of a match.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.matches.next_due()
    }

    /// The events that matches refer to, by position.
    pub fn kept_events(&self) -> impl Iterator<Item = &KeptEvent> {
        self.matches.events()
    }

    /// Records that a time was reached. Events that come later are applied at this time or after
    /// it, whatever time they are evaluated at.
    pub fn advance(&mut self, to: Timestamp) {
        self.matches.advance(to);
    }

    /// Moves the deadlines of all matches, and the time that was reached, by `offset`: the clock
    /// was set by as much.
    ///
    /// ```
    /// use reflexarc_reaction::{KeptMatch, MemoryState, SignedDuration, State, Timestamp};
    ///
    /// let (mut state, start) = (MemoryState::new(), Timestamp::UNIX_EPOCH);
    /// let mut kept = KeptMatch::new("{}");
    /// kept.due = Some(start);
    /// state.insert_match("stuck", "\"eni-1\"", kept, &[]);
    /// state.advance(start);
    /// let hour = SignedDuration::from_hours(1);
    /// state.set_clock(-hour);
    /// assert_eq!(state.next_due(), Some(start - hour));
    /// assert_eq!(state.matches().clock(), start - hour);
    /// ```
    pub fn set_clock(&mut self, offset: SignedDuration) {
        self.matches.set_clock(offset);
    }

    /// Removes the matches that have expired by `now`.
    pub fn remove_expired_matches(&mut self, now: Timestamp) {
        self.matches.remove_expired(now);
    }

    /// Removes the entries and matches that have expired by `now`. Costs as much as there are, and
    /// nothing for those that stay.
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
        self.matches.remove_expired(now);
        let expired = |entries: &RuleEntries| entries.expired(now).next().is_some();
        let rules = self.rules.iter().filter(|(_, entries)| expired(entries));
        let rules: Vec<_> = rules.map(|(rule, _)| rule.clone()).collect();
        for rule in rules {
            let entries = self.entries_of(&rule);
            let keys: Vec<_> = entries.expired(now).map(|(_, key)| key.clone()).collect();
            for key in &keys {
                entries.remove(key);
            }
            if entries.entries.is_empty() {
                self.rules.remove(&rule);
            }
        }
    }

    fn live_entry(&self, rule: &str, key: &str, now: Timestamp) -> Option<&Arc<Entry>> {
        let entry = self.rules.get(rule)?.entries.get(key)?;
        entry.is_live(now).then_some(entry)
    }

    fn entries_of(&mut self, rule: &str) -> &mut RuleEntries {
        // Looked up by `&str` first: an `Arc` is made for a new rule only.
        if !self.rules.contains_key(rule) {
            self.rules.insert(rule.into(), RuleEntries::default());
        }
        self.rules.entry(rule.into()).or_default()
    }
}

impl sealed::Sealed for MemoryState {}

impl State for MemoryState {
    fn get(&self, rule: &str, key: &str, now: Timestamp) -> Option<Arc<Entry>> {
        self.live_entry(rule, key, now).cloned()
    }

    fn contains(&self, rule: &str, key: &str, now: Timestamp) -> bool {
        self.live_entry(rule, key, now).is_some()
    }

    fn has_room(&self, rule: &str, added: usize, max: usize, now: Timestamp) -> bool {
        let Some(entries) = self.rules.get(rule) else {
            return added <= max;
        };
        let after = |count: usize| count.saturating_add(added);
        // Without looking at what has expired, unless that decides.
        after(entries.entries.len()) <= max || after(entries.live(now)) <= max
    }

    fn matches(&self) -> &dyn KeptMatches {
        &self.matches
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

impl RuleEntries {
    fn set(&mut self, key: &str, entry: Entry) {
        let expires = entry.expires;
        let key: Arc<str> = match self.entries.get_key_value(key) {
            Some((key, _)) => key.clone(),
            None => key.into(),
        };
        let before = self.entries.insert(key.clone(), Arc::new(entry));
        let before = before.and_then(|entry| entry.expires);
        if before == expires {
            return;
        }
        if let Some(at) = before {
            self.expiring.remove(&(at, key.clone()));
        }
        if let Some(at) = expires {
            self.expiring.insert((at, key));
        }
    }

    fn remove(&mut self, key: &str) {
        if let Some((key, entry)) = self.entries.remove_with_key(key)
            && let Some(at) = entry.expires
        {
            self.expiring.remove(&(at, key));
        }
    }

    fn live(&self, now: Timestamp) -> usize {
        self.entries.len() - self.expired(now).count()
    }

    /// The entries that have expired by `now`.
    fn expired(&self, now: Timestamp) -> impl Iterator<Item = &(Timestamp, Arc<str>)> {
        self.expiring.iter().take_while(move |(at, _)| *at <= now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reflexarc_event::Json;

    use super::*;

    /// The naive twin: it looks at every entry.
    #[derive(Default)]
    struct Naive(Vec<(String, String, Entry)>);

    impl Naive {
        fn remove(&mut self, rule: &str, key: &str) {
            self.0
                .retain(|(r, k, _)| (r.as_str(), k.as_str()) != (rule, key));
        }

        fn live(&self, now: Timestamp) -> Vec<(&str, &str, &Entry)> {
            let live = self.0.iter().filter(|(.., entry)| entry.is_live(now));
            let mut live: Vec<_> = live.map(|(r, k, e)| (r.as_str(), k.as_str(), e)).collect();
            live.sort_by_key(|(rule, key, _)| (*rule, *key));
            live
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Set(usize, usize, Option<i64>),
        Remove(usize, usize),
        RemoveExpired(i64),
        Copy,
    }

    const RULES: [&str; 2] = ["a", "b"];

    fn step() -> impl Strategy<Value = Step> {
        let rule_and_key = (0..2_usize, 0..6_usize);
        prop_oneof![
            6 => (rule_and_key.clone(), prop::option::of(0..20_i64))
                .prop_map(|((rule, key), expires)| Step::Set(rule, key, expires)),
            2 => rule_and_key.prop_map(|(rule, key)| Step::Remove(rule, key)),
            // Also backwards: the clock of events jumps both ways.
            1 => (0..20_i64).prop_map(Step::RemoveExpired),
            1 => Just(Step::Copy),
        ]
    }

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    proptest! {
        #[test]
        fn counts_and_entries_equal_the_naive_twin(
            steps in prop::collection::vec((step(), 0..20_i64), 1..60),
        ) {
            let (mut state, mut naive) = (MemoryState::new(), Naive::default());
            let mut copies = Vec::new();
            for (value, (step, now)) in steps.into_iter().enumerate() {
                match step {
                    Step::Set(rule, key, expires) => {
                        let (rule, key) = (RULES[rule], key.to_string());
                        let value = Json::from(i64::try_from(value).unwrap());
                        let expires = expires.map(second);
                        let mut entry = Entry::new(value.clone());
                        entry.expires = expires;
                        naive.remove(rule, &key);
                        naive.0.push((rule.to_owned(), key.clone(), entry));
                        state.apply(rule, &[StateChange::Set { key, value, expires }]);
                    }
                    Step::Remove(rule, key) => {
                        let (rule, key) = (RULES[rule], key.to_string());
                        naive.remove(rule, &key);
                        state.apply(rule, &[StateChange::Remove { key }]);
                    }
                    Step::RemoveExpired(now) => {
                        naive.0.retain(|(.., entry)| entry.is_live(second(now)));
                        state.remove_expired(second(now));
                    }
                    Step::Copy => copies.push((state.clone(), naive.0.clone())),
                }
                let live = naive.live(second(now));
                prop_assert_eq!(state.entries(second(now)).collect::<Vec<_>>(), live.clone());
                for (rule, key) in RULES.iter().flat_map(|rule| (0..6).map(move |key| (rule, key))) {
                    let key = key.to_string();
                    let entry = live.iter().find(|entry| (entry.0, entry.1) == (rule, &key));
                    let now = second(now);
                    let found = state.get(rule, &key, now);
                    prop_assert_eq!(found.as_deref(), entry.map(|entry| entry.2));
                    prop_assert_eq!(state.contains(rule, &key, now), entry.is_some());
                }
                for rule in RULES {
                    let count = live.iter().filter(|entry| entry.0 == rule).count();
                    prop_assert_eq!(state.len(rule, second(now)), count);
                    for (added, max) in [(1, count), (1, count + 1), (0, count), (2, 3)] {
                        let room = state.has_room(rule, added, max, second(now));
                        prop_assert_eq!(room, count + added <= max);
                    }
                }
            }
            // What was copied has not changed since, and equals the state that its entries make.
            for (copy, entries) in copies {
                let naive = Naive(entries);
                let expected = naive.live(Timestamp::MIN);
                prop_assert_eq!(copy.entries(Timestamp::MIN).collect::<Vec<_>>(), expected.clone());
                let rebuilt = expected.into_iter().map(|(r, k, entry)| (r, k, entry.clone()));
                prop_assert_eq!(copy, rebuilt.collect::<MemoryState>());
            }
        }
    }
}
