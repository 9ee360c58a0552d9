//! `throttle` and `once`: whether an event passes, decided by what passed before it.
//!
//! Both remember in the rule's own state, under keys with `$` in front, which scripts cannot reach.

use jiff::{SignedDuration, Timestamp};
use reflexarc_event::Json;
use sha2::{Digest, Sha256};

use crate::{Entry, State, StateChange};

/// How long a count of suppressed events waits for the next one that passes, once its window is over.
const COUNT_KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Key values whose JSON is longer than this are remembered by their hash.
const LONGEST_KEY: usize = 128;

/// What a gate says to one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// It passes.
    Passed {
        /// How many were suppressed since the last one that passed; always 0 for [`Gate::once`].
        suppressed: u64,
    },
    /// It does not pass.
    Suppressed {
        /// How many were suppressed since the last one that passed, this one included; always 0 for [`Gate::once`].
        count: u64,
        /// When the next one passes.
        until: Timestamp,
    },
}

/// A gate in front of a rule's reaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gate {
    kind: Kind,
    length: SignedDuration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Throttle,
    Once,
}

impl Gate {
    /// The first event passes and closes the gate for `every`; those that come meanwhile are counted, and the next one that
    /// passes is told how many.
    #[must_use]
    pub fn throttle(every: SignedDuration) -> Self {
        Self {
            kind: Kind::Throttle,
            length: every,
        }
    }

    /// The first event passes, and none after it for `within`.
    #[must_use]
    pub fn once(within: SignedDuration) -> Self {
        Self {
            kind: Kind::Once,
            length: within,
        }
    }

    /// Whether an event passes at `now`, and what the state of `rule` must remember of it.
    ///
    /// Events with equal `key` share the gate; those where the key's field is missing share one too, as `Json::Null`. Where
    /// the rule keeps `most` entries already, an event with a new key passes and is not remembered: a notification too
    /// many is better than one too few.
    pub fn pass(
        self,
        state: &dyn State,
        rule: &str,
        key: &Json,
        now: Timestamp,
        most: usize,
    ) -> (Passage, Vec<StateChange>) {
        let key = self.state_key(key);
        let before = state.get(rule, &key, now);
        let closed = before.as_ref().and_then(Closed::read);
        match closed {
            Some(Closed { until, count }) if now < until => match self.kind {
                Kind::Once => (Passage::Suppressed { count: 0, until }, Vec::new()),
                Kind::Throttle => {
                    let closed = Closed {
                        until,
                        count: count.saturating_add(1),
                    };
                    let passage = Passage::Suppressed {
                        count: closed.count,
                        until,
                    };
                    (passage, vec![closed.write(key, later(until, COUNT_KEPT))])
                }
            },
            _ => {
                let passage = Passage::Passed {
                    suppressed: closed.map_or(0, |closed| closed.count),
                };
                if before.is_none() && state.len(rule, now) >= most {
                    return (passage, Vec::new());
                }
                let until = later(now, self.length);
                (passage, vec![Closed { until, count: 0 }.write(key, until)])
            }
        }
    }

    fn state_key(self, key: &Json) -> String {
        let name = match self.kind {
            Kind::Throttle => "$throttle",
            Kind::Once => "$once",
        };
        let text = key.to_string();
        if text.len() <= LONGEST_KEY {
            return format!("{name}:{text}");
        }
        Sha256::digest(text.as_bytes())
            .iter()
            .fold(format!("{name}:sha256:"), |mut key, byte| {
                key.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or_default());
                key.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or_default());
                key
            })
    }
}

/// A closed gate, as the state remembers it: `[milliseconds since the epoch, count]`.
#[derive(Clone, Copy)]
struct Closed {
    until: Timestamp,
    count: u64,
}

impl Closed {
    fn read(entry: &Entry) -> Option<Self> {
        let [until, count] = entry.value.elements() else {
            return None;
        };
        let until = Timestamp::from_millisecond(until.as_i64()?).ok()?;
        Some(Self {
            until,
            count: u64::try_from(count.as_i64()?).ok()?,
        })
    }

    fn write(self, key: String, expires: Timestamp) -> StateChange {
        let count = i64::try_from(self.count).unwrap_or(i64::MAX);
        let value = Json::Array(vec![
            Json::from(self.until.as_millisecond()),
            Json::from(count),
        ]);
        StateChange::Set {
            key,
            value,
            expires: Some(expires),
        }
    }
}

/// The instant that much later, or the last one there is.
fn later(from: Timestamp, duration: SignedDuration) -> Timestamp {
    from.checked_add(duration).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryState;

    const RULE: &str = "noisy";

    /// What the gate says to events with these keys at these minutes.
    fn say(gate: Gate, events: &[(i64, &str)]) -> Vec<Passage> {
        let mut state = MemoryState::new();
        events
            .iter()
            .map(|(minute, key)| {
                let now = minutes(*minute);
                let (passage, changes) = gate.pass(&state, RULE, &Json::from(*key), now, 100);
                assert_eq!(
                    gate.pass(&state, RULE, &Json::from(*key), now, 100),
                    (passage, changes.clone()),
                    "twice is the same"
                );
                state.apply(RULE, &changes);
                passage
            })
            .collect()
    }

    fn minutes(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap()
    }

    fn passed(suppressed: u64) -> Passage {
        Passage::Passed { suppressed }
    }

    fn suppressed(count: u64, until: i64) -> Passage {
        Passage::Suppressed {
            count,
            until: minutes(until),
        }
    }

    #[test]
    fn a_throttle_lets_the_first_through_and_counts_the_others() {
        let gate = Gate::throttle(SignedDuration::from_mins(10));
        let events = [
            (0, "a"),
            (1, "a"),
            (2, "b"),
            (9, "a"),
            (10, "a"),
            (11, "a"),
            (200, "a"),
            (300, "a"),
        ];
        let said = [
            passed(0),
            suppressed(1, 10),
            passed(0),
            suppressed(2, 10),
            passed(2),
            suppressed(1, 20),
            passed(1),
            passed(0),
        ];
        assert_eq!(say(gate, &events), said);
    }

    #[test]
    fn once_is_once() {
        let gate = Gate::once(SignedDuration::from_mins(60));
        let said = say(
            gate,
            &[(0, "a"), (59, "a"), (59, "b"), (60, "a"), (61, "a")],
        );
        assert_eq!(
            said,
            [
                passed(0),
                suppressed(0, 60),
                passed(0),
                passed(0),
                suppressed(0, 120)
            ]
        );
    }

    #[test]
    fn long_keys_differ_by_their_hash() {
        let gate = Gate::once(SignedDuration::from_mins(60));
        let (one, other) = (
            format!("{}1", "x".repeat(1000)),
            format!("{}2", "x".repeat(1000)),
        );
        assert_eq!(
            say(gate, &[(0, &one), (1, &other), (2, &one)]),
            [passed(0), passed(0), suppressed(0, 60)]
        );
        let (_, changes) = gate.pass(&MemoryState::new(), RULE, &Json::from(one), minutes(0), 100);
        assert!(
            matches!(&changes[0], StateChange::Set { key, .. } if key.len() < 100),
            "{changes:?}"
        );
    }

    #[test]
    fn a_full_state_lets_new_keys_through() {
        let gate = Gate::throttle(SignedDuration::from_mins(10));
        let mut state = MemoryState::new();
        state.apply(
            RULE,
            &gate.pass(&state, RULE, &Json::from("a"), minutes(0), 1).1,
        );
        assert_eq!(
            gate.pass(&state, RULE, &Json::from("b"), minutes(1), 1),
            (passed(0), vec![])
        );
        assert_eq!(
            gate.pass(&state, RULE, &Json::from("a"), minutes(1), 1).0,
            suppressed(1, 10)
        );
    }
}
