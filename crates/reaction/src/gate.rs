//! `throttle` and `once`: suppressing events by the ones allowed before.
//!
//! An allowed event opens a window; events in the window are suppressed. Example of
//! `throttle = { every = "10m" }`, with the times of events in minutes:
//!
//! ```text
//! event     0      1         9         10     11        200
//! decision  allow  suppress  suppress  allow  suppress  allow
//! window    [0, 10) ──────────────────)[10, 20) ───────)[200, 210)
//! count     0      1         2         2 → 0  1         1 → 0
//! ```
//!
//! Windows are kept in the rule's own state, at keys that start with `$`, which scripts cannot use.

use jiff::{SignedDuration, Timestamp};
use reflexarc_event::Json;
use sha2::{Digest, Sha256};

use crate::{Entry, State, StateChange};

/// How long a count of suppressed events outlives its window, waiting for the next allowed event to
/// report it. After a week without one, the number is of no interest any more.
const COUNT_KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Keys with more bytes of JSON are stored as a hash: the limit of a state key is 256 bytes, and a
/// key may be a whole field of the event.
const LONGEST_KEY: usize = 128;

/// The decision of a gate about one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThrottleDecision {
    /// The reaction runs.
    Allow {
        /// The events suppressed since the last allowed one; always 0 for [`Gate::once`].
        suppressed: u64,
    },
    /// The reaction does not run.
    Suppress {
        /// The events suppressed since the last allowed one, this one included; always 0 for
        /// [`Gate::once`].
        count: u64,
        /// The end of the window.
        until: Timestamp,
    },
}

/// A gate in front of a rule's reaction.
///
/// ```
/// use reflexarc_reaction::{Gate, Json, MemoryState, SignedDuration, ThrottleDecision, Timestamp};
///
/// let gate = Gate::throttle(SignedDuration::from_mins(10));
/// let (mut state, key) = (MemoryState::new(), Json::from("eni-1"));
/// let mut decide = |minute| {
///     let now = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute);
///     let (decision, changes) = gate.decide(&state, "failed", &key, now, 1000);
///     state.apply("failed", &changes);
///     decision
/// };
/// assert_eq!(decide(0), ThrottleDecision::Allow { suppressed: 0 });
/// assert!(matches!(decide(9), ThrottleDecision::Suppress { count: 1, .. }));
/// assert_eq!(decide(10), ThrottleDecision::Allow { suppressed: 1 });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gate {
    kind: Kind,
    window: SignedDuration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Throttle,
    Once,
}

impl Gate {
    /// Allows one event and suppresses those within `every` after it. Suppressed events are
    /// counted, and the next allowed one reports their number.
    #[must_use]
    pub fn throttle(every: SignedDuration) -> Self {
        Self {
            kind: Kind::Throttle,
            window: every,
        }
    }

    /// Allows one event and suppresses those within `within` after it, without counting them.
    ///
    /// ```
    /// use reflexarc_reaction::{Gate, Json, NoState, SignedDuration, ThrottleDecision, Timestamp};
    ///
    /// let gate = Gate::once(SignedDuration::from_hours(24));
    /// let now = Timestamp::UNIX_EPOCH;
    /// let key = Json::from("8B2A");
    /// let (decision, changes) = gate.decide(&NoState, "failed", &key, now, 1000);
    /// assert_eq!(decision, ThrottleDecision::Allow { suppressed: 0 });
    /// assert_eq!(changes.len(), 1, "opens the window");
    /// ```
    #[must_use]
    pub fn once(within: SignedDuration) -> Self {
        Self {
            kind: Kind::Once,
            window: within,
        }
    }

    /// Ends the window of a key: the next event is allowed.
    pub fn close(self, key: &Json) -> StateChange {
        StateChange::Remove {
            key: self.state_key(key),
        }
    }

    /// Decides about an event at `now`, and returns the changes to the state of `rule`.
    ///
    /// Events with the same `key` share a window; the caller brings values that are equal into one
    /// spelling. If the rule has `max_entries` entries already, an event with a new key is allowed
    /// without any change, and so without opening a window: a notification too many is better than
    /// one too few.
    pub fn decide(
        self,
        state: &dyn State,
        rule: &str,
        key: &Json,
        now: Timestamp,
        max_entries: usize,
    ) -> (ThrottleDecision, Vec<StateChange>) {
        let key = self.state_key(key);
        let entry = state.get(rule, &key, now);
        let window = entry.as_deref().and_then(Window::read);
        match window {
            // The window is not extended: a rule that matches once a second must not be silent for
            // ever because of a throttle of ten minutes.
            Some(Window { until, count }) if now < until => match self.kind {
                Kind::Once => (ThrottleDecision::Suppress { count: 0, until }, Vec::new()),
                Kind::Throttle => {
                    let count = count.saturating_add(1);
                    // The entry outlives the window, so that the count can be reported after it.
                    let expires = later(until, COUNT_KEPT);
                    (
                        ThrottleDecision::Suppress { count, until },
                        vec![Window { until, count }.write(key, expires)],
                    )
                }
            },
            // No window, or one that is over and still holds the count of what it suppressed.
            _ => {
                let decision = ThrottleDecision::Allow {
                    suppressed: window.map_or(0, |window| window.count),
                };
                // Only a new key needs room. The limit also bounds what events with ever new keys
                // can make a rule store.
                if entry.is_none() && !state.has_room(rule, 1, max_entries, now) {
                    return (decision, Vec::new());
                }
                let until = later(now, self.window);
                (decision, vec![Window { until, count: 0 }.write(key, until)])
            }
        }
    }

    fn state_key(self, key: &Json) -> String {
        let name = match self.kind {
            Kind::Throttle => "$throttle",
            Kind::Once => "$once",
        };
        // The JSON, not the text: the string "1" and the number 1 are different keys.
        let text = key.to_string();
        if text.len() <= LONGEST_KEY {
            return format!("{name}:{text}");
        }
        format!("{name}:sha256:{}", hex::encode(Sha256::digest(text)))
    }
}

/// A window as it is stored in the state: `[milliseconds since the epoch, count]`.
#[derive(Clone, Copy)]
struct Window {
    /// Its end.
    until: Timestamp,
    /// The events that it suppressed.
    count: u64,
}

impl Window {
    fn read(entry: &Entry) -> Option<Self> {
        // Anything else at the key counts as no window. It could only come from another version.
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

/// The time after a duration, at most the latest representable one.
fn later(from: Timestamp, duration: SignedDuration) -> Timestamp {
    from.checked_add(duration).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryState;

    const RULE: &str = "noisy";

    /// The decisions about events at these minutes with these keys.
    fn decisions(gate: Gate, events: &[(i64, &str)]) -> Vec<ThrottleDecision> {
        let mut state = MemoryState::new();
        events
            .iter()
            .map(|(minute, key)| {
                let now = minutes(*minute);
                let (decision, changes) = gate.decide(&state, RULE, &Json::from(*key), now, 100);
                assert_eq!(
                    gate.decide(&state, RULE, &Json::from(*key), now, 100),
                    (decision, changes.clone()),
                    "deciding again gives the same"
                );
                state.apply(RULE, &changes);
                decision
            })
            .collect()
    }

    fn minutes(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap()
    }

    fn allow(suppressed: u64) -> ThrottleDecision {
        ThrottleDecision::Allow { suppressed }
    }

    fn suppress(count: u64, until: i64) -> ThrottleDecision {
        ThrottleDecision::Suppress {
            count,
            until: minutes(until),
        }
    }

    #[test]
    fn a_throttle_allows_the_first_and_counts_the_others() {
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
        let expected = [
            allow(0),
            suppress(1, 10),
            allow(0),
            suppress(2, 10),
            allow(2),
            suppress(1, 20),
            allow(1),
            allow(0),
        ];
        assert_eq!(decisions(gate, &events), expected);
    }

    #[test]
    fn once_allows_one_event_per_window() {
        let gate = Gate::once(SignedDuration::from_mins(60));
        let actual = decisions(
            gate,
            &[(0, "a"), (59, "a"), (59, "b"), (60, "a"), (61, "a")],
        );
        assert_eq!(
            actual,
            [
                allow(0),
                suppress(0, 60),
                allow(0),
                allow(0),
                suppress(0, 120)
            ]
        );
    }

    #[test]
    fn long_keys_are_stored_as_hashes() {
        let gate = Gate::once(SignedDuration::from_mins(60));
        let (one, other) = (
            format!("{}1", "x".repeat(1000)),
            format!("{}2", "x".repeat(1000)),
        );
        assert_eq!(
            decisions(gate, &[(0, &one), (1, &other), (2, &one)]),
            [allow(0), allow(0), suppress(0, 60)]
        );
        let (_, changes) =
            gate.decide(&MemoryState::new(), RULE, &Json::from(one), minutes(0), 100);
        assert!(
            matches!(&changes[0], StateChange::Set { key, .. } if key.len() < 100),
            "{changes:?}"
        );
    }

    #[test]
    fn a_full_state_allows_new_keys() {
        let gate = Gate::throttle(SignedDuration::from_mins(10));
        let mut state = MemoryState::new();
        state.apply(
            RULE,
            &gate.decide(&state, RULE, &Json::from("a"), minutes(0), 1).1,
        );
        assert_eq!(
            gate.decide(&state, RULE, &Json::from("b"), minutes(1), 1),
            (allow(0), vec![])
        );
        assert_eq!(
            gate.decide(&state, RULE, &Json::from("a"), minutes(1), 1).0,
            suppress(1, 10)
        );
    }
}
