//! The matches of rules in memory, with the events that they refer to.

use std::sync::Arc;

use imbl::ordmap::DiffItem;
use imbl::{OrdMap, OrdSet};
use jiff::{SignedDuration, Timestamp};
use reflexarc_event::NativeEvent;

use crate::{KeptEvent, KeptMatch, KeptMatches, sealed};

/// The matches of all rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Matches {
    /// No rule is without matches.
    rules: OrdMap<Arc<str>, RuleMatches>,
    /// Deadline, rule and key: the order in which they fire.
    due: OrdSet<(Timestamp, Arc<str>, Arc<str>)>,
    events: OrdMap<u64, ReferredEvent>,
    /// Bytes of the events.
    event_bytes: usize,
    /// After the highest position that was ever kept.
    next_position: u64,
    /// The latest time that was reached.
    clock: Option<Timestamp>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct RuleMatches {
    by_key: OrdMap<Arc<str>, Arc<KeptMatch>>,
    /// How many of them wait, those included that have expired.
    pending: usize,
    expiring: OrdSet<(Timestamp, Arc<str>)>,
}

/// An event, and how many matches refer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ReferredEvent {
    event: KeptEvent,
    references: usize,
}

impl sealed::Sealed for Matches {}

impl KeptMatches for Matches {
    fn get(&self, rule: &str, key: &str, now: Timestamp) -> Option<Arc<KeptMatch>> {
        let kept = self.rules.get(rule)?.by_key.get(key)?;
        kept.is_live(now).then(|| Arc::clone(kept))
    }

    fn event(&self, position: u64) -> Option<NativeEvent> {
        let referred = self.events.get(&position)?;
        Some(referred.event.event.clone())
    }

    fn next_position(&self) -> u64 {
        self.next_position
    }

    fn clock(&self) -> Timestamp {
        self.clock.unwrap_or(Timestamp::MIN)
    }

    fn event_bytes(&self) -> usize {
        self.event_bytes
    }

    fn has_room(&self, rule: &str, pending: bool, max: usize, now: Timestamp) -> bool {
        let Some(matches) = self.rules.get(rule) else {
            return max > 0;
        };
        let of_kind = |pending_count: usize, all: usize| {
            if pending {
                pending_count
            } else {
                all - pending_count
            }
        };
        if of_kind(matches.pending, matches.by_key.len()) < max {
            return true;
        }
        // What has expired does not count, and is looked at only if it decides.
        let live = |(_, kept): &(&Arc<str>, &Arc<KeptMatch>)| {
            kept.is_live(now) && kept.is_pending == pending
        };
        let expired = matches
            .expiring
            .iter()
            .next()
            .is_some_and(|(at, _)| *at <= now);
        expired && matches.by_key.iter().filter(live).count() < max
    }
}

impl Matches {
    /// The matches of a rule that have not expired, by key.
    pub(super) fn of_rule(
        &self,
        rule: &str,
        now: Timestamp,
    ) -> impl Iterator<Item = (&str, &KeptMatch)> {
        let matches = self.rules.get(rule).into_iter();
        let matches = matches.flat_map(|matches| matches.by_key.iter());
        let live = matches.filter(move |(_, kept)| kept.is_live(now));
        live.map(|(key, kept)| (&**key, &**kept))
    }

    /// Whether no rule has a match.
    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules with matches.
    pub(super) fn rules(&self) -> impl Iterator<Item = &str> {
        self.rules.keys().map(|rule| &**rule)
    }

    /// Deadline, rule and key of the matches that are due by `now`, the earliest first.
    pub(super) fn due(&self, now: Timestamp) -> impl Iterator<Item = (Timestamp, &str, &str)> {
        let due = self.due.iter().take_while(move |(at, ..)| *at <= now);
        due.map(|(at, rule, key)| (*at, &**rule, &**key))
    }

    /// The earliest deadline.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.iter().next().map(|(at, ..)| *at)
    }

    pub(super) fn events(&self) -> impl Iterator<Item = &KeptEvent> {
        self.events.values().map(|referred| &referred.event)
    }

    /// The matches of a rule, what has expired included.
    pub(super) fn by_key(&self, rule: &str) -> OrdMap<Arc<str>, Arc<KeptMatch>> {
        let matches = self.rules.get(rule);
        matches.map_or_else(OrdMap::new, |matches| matches.by_key.clone())
    }

    /// The events that are kept and were not `before`, and the positions of those that were and are
    /// not any more.
    pub(super) fn events_since(&self, before: &Self) -> (Vec<KeptEvent>, Vec<u64>) {
        let (mut added, mut released) = (Vec::new(), Vec::new());
        for item in before.events.diff(&self.events) {
            match item {
                DiffItem::Add(_, referred) => added.push(referred.event.clone()),
                DiffItem::Remove(position, _) => released.push(*position),
                // Mostly the number of references. Another event at the same position is none of
                // the same history, and a store has to see it.
                DiffItem::Update {
                    old: (_, old),
                    new: (_, new),
                } => added.extend((old.event != new.event).then(|| new.event.clone())),
            }
        }
        (added, released)
    }

    /// Sets a match. Of `events`, those that it refers to are kept.
    pub(super) fn set(&mut self, rule: &str, key: &str, kept: KeptMatch, events: &[KeptEvent]) {
        for event in events {
            self.next_position = self.next_position.max(event.position.saturating_add(1));
            if kept.positions.contains(&event.position)
                && !self.events.contains_key(&event.position)
            {
                self.event_bytes += event.event.bytes().len();
                let referred = ReferredEvent {
                    event: event.clone(),
                    references: 0,
                };
                self.events.insert(event.position, referred);
            }
        }
        for position in &kept.positions {
            if let Some(referred) = self.events.get_mut(position) {
                referred.references += 1;
            }
        }
        self.take(rule, key);
        let (rule, key): (Arc<str>, Arc<str>) = (rule.into(), key.into());
        if let Some(at) = kept.due {
            self.due.insert((at, rule.clone(), key.clone()));
        }
        let matches = self.rules.entry(rule).or_default();
        matches.pending += usize::from(kept.is_pending);
        if let Some(at) = kept.expires {
            matches.expiring.insert((at, key.clone()));
        }
        matches.by_key.insert(key, Arc::new(kept));
    }

    pub(super) fn remove(&mut self, rule: &str, key: &str) {
        self.take(rule, key);
        if self
            .rules
            .get(rule)
            .is_some_and(|matches| matches.by_key.is_empty())
        {
            self.rules.remove(rule);
        }
    }

    /// Positions before `position` are not given to events any more.
    pub(super) fn reserve_positions(&mut self, position: u64) {
        self.next_position = self.next_position.max(position);
    }

    pub(super) fn advance(&mut self, to: Timestamp) {
        // A state that has reached no time equals one that was advanced to none.
        if to > Timestamp::MIN {
            self.clock = self.clock.max(Some(to));
        }
    }

    pub(super) fn set_clock(&mut self, offset: SignedDuration) {
        let all = self.rules.iter().flat_map(|(rule, matches)| {
            let of_rule = matches.by_key.iter();
            of_rule.map(move |(key, kept)| (rule.clone(), key.clone(), kept.clone()))
        });
        for (rule, key, kept) in all.collect::<Vec<_>>() {
            self.set(&rule, &key, (*kept).clone().shifted(offset), &[]);
        }
        let moved = |at: Timestamp| at.saturating_add(offset).unwrap_or(at);
        self.clock = self.clock.map(moved);
    }

    pub(super) fn remove_expired(&mut self, now: Timestamp) {
        let expired = self.rules.iter().flat_map(|(rule, matches)| {
            let expired = matches.expiring.iter().take_while(|(at, _)| *at <= now);
            expired.map(|(_, key)| (rule.clone(), key.clone()))
        });
        for (rule, key) in expired.collect::<Vec<_>>() {
            self.remove(&rule, &key);
        }
    }

    /// Removes a match, and the events that no other one refers to. The rule stays.
    fn take(&mut self, rule: &str, key: &str) {
        let Some(matches) = self.rules.get_mut(rule) else {
            return;
        };
        let Some((key, kept)) = matches.by_key.remove_with_key(key) else {
            return;
        };
        matches.pending -= usize::from(kept.is_pending);
        if let Some(at) = kept.expires {
            matches.expiring.remove(&(at, key.clone()));
        }
        if let Some(at) = kept.due {
            self.due.remove(&(at, rule.into(), key));
        }
        for position in &kept.positions {
            let Some(referred) = self.events.get_mut(position) else {
                continue;
            };
            referred.references -= 1;
            if referred.references == 0 {
                self.event_bytes -= referred.event.event.bytes().len();
                self.events.remove(position);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The naive twin: it looks at every match.
    #[derive(Default)]
    struct Naive(Vec<(usize, usize, KeptMatch)>);

    #[derive(Debug, Clone)]
    enum Change {
        Set(usize, usize, KeptMatch),
        Remove(usize, usize),
        RemoveExpired(i64),
    }

    const RULES: [&str; 2] = ["a", "b"];
    const KEYS: [&str; 3] = ["\"x\"", "\"y\"", "\"z\""];

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn event(position: u64) -> KeptEvent {
        let event = NativeEvent::from_json(format!(r#"{{"id": {position}}}"#)).unwrap();
        KeptEvent::new(position, event)
    }

    fn kept() -> impl Strategy<Value = KeptMatch> {
        let time = || prop::option::of(0..20_i64);
        let positions = prop::collection::btree_set(0..6_u64, 0..3);
        (time(), time(), any::<bool>(), positions).prop_map(|(due, expires, pending, positions)| {
            KeptMatch {
                due: due.map(second),
                expires: expires.map(second),
                is_pending: pending,
                positions: positions.into_iter().collect(),
                ..KeptMatch::new("{}")
            }
        })
    }

    fn change() -> impl Strategy<Value = Change> {
        let place = || (0..RULES.len(), 0..KEYS.len());
        prop_oneof![
            5 => (place(), kept()).prop_map(|((rule, key), kept)| Change::Set(rule, key, kept)),
            2 => place().prop_map(|(rule, key)| Change::Remove(rule, key)),
            1 => (0..20_i64).prop_map(Change::RemoveExpired),
        ]
    }

    impl Naive {
        fn remove(&mut self, rule: usize, key: usize) {
            self.0.retain(|(r, k, _)| (*r, *k) != (rule, key));
        }

        fn live(&self, rule: usize, now: Timestamp) -> Vec<(&'static str, &KeptMatch)> {
            let of_rule = self
                .0
                .iter()
                .filter(|(r, _, kept)| *r == rule && kept.is_live(now));
            let mut live: Vec<_> = of_rule.map(|(_, key, kept)| (KEYS[*key], kept)).collect();
            live.sort_by_key(|(key, _)| *key);
            live
        }
    }

    proptest! {
        #[test]
        fn matches_equal_the_naive_twin(
            changes in prop::collection::vec((change(), 0..20_i64), 1..40),
        ) {
            let (mut matches, mut naive) = (Matches::default(), Naive::default());
            for (change, now) in changes {
                let now = second(now);
                match change {
                    Change::Set(rule, key, kept) => {
                        // Those that are kept already are not kept twice.
                        let events = kept.positions.iter().map(|position| event(*position));
                        let events: Vec<_> = events.collect();
                        matches.set(RULES[rule], KEYS[key], kept.clone(), &events);
                        naive.remove(rule, key);
                        naive.0.push((rule, key, kept));
                    }
                    Change::Remove(rule, key) => {
                        matches.remove(RULES[rule], KEYS[key]);
                        naive.remove(rule, key);
                    }
                    Change::RemoveExpired(at) => {
                        matches.remove_expired(second(at));
                        naive.0.retain(|(.., kept)| kept.is_live(second(at)));
                    }
                }
                let mut due: Vec<_> = naive.0.iter().filter_map(|(rule, key, kept)| {
                    Some((kept.due?, RULES[*rule], KEYS[*key]))
                }).collect();
                due.sort_unstable();
                prop_assert_eq!(matches.next_due(), due.first().map(|(at, ..)| *at));
                due.retain(|(at, ..)| *at <= now);
                prop_assert_eq!(matches.due(now).collect::<Vec<_>>(), due);
                for (number, rule) in RULES.into_iter().enumerate() {
                    let live = naive.live(number, now);
                    prop_assert_eq!(matches.of_rule(rule, now).collect::<Vec<_>>(), live.clone());
                    for pending in [false, true] {
                        let of_kind = live.iter().filter(|(_, kept)| kept.is_pending == pending);
                        let count = of_kind.count();
                        prop_assert!(!matches.has_room(rule, pending, count, now));
                        prop_assert!(matches.has_room(rule, pending, count + 1, now));
                    }
                }
                let referred = naive.0.iter().flat_map(|(.., kept)| kept.positions.clone());
                let referred: std::collections::BTreeSet<u64> = referred.collect();
                let positions: Vec<u64> = matches.events().map(|event| event.position).collect();
                prop_assert_eq!(positions, referred.iter().copied().collect::<Vec<_>>());
                let bytes = referred.iter().map(|position| event(*position).event.bytes().len());
                prop_assert_eq!(matches.event_bytes(), bytes.sum::<usize>());
            }
        }
    }
}
