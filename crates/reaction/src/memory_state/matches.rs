//! The matches of rules in memory, with the events that they refer to.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use jiff::Timestamp;
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
