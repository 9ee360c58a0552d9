//! The retry policy: when a failed delivery is attempted again, and when it is given up.
//!
//! It is pure: time comes in as an argument, so that every schedule can be tested without waiting
//! and a rehearsal on a virtual clock follows the same policy.

use jiff::{SignedDuration, Timestamp};

use crate::delivery::Delivery;
use crate::outcome::{Receipt, SendError};

/// How many times, after which delays and for how long a delivery is attempted again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The delays between attempts.
    pub delays: RetryDelays,
    /// No attempt is made at a greater age, counted from [`Delivery::queued_at`].
    pub max_age: SignedDuration,
}

/// The delays between attempts. `Backoff` and `Exponential` are the two policies of Alibaba Cloud
/// EventBridge:
/// <https://www.alibabacloud.com/help/en/eventbridge/user-guide/retry-and-dead-letter>.
///
/// ```
/// use reflexarc_delivery::RetryDelays;
///
/// assert_eq!(RetryDelays::Backoff.retries(), 3);
/// assert_eq!(RetryDelays::List(vec![]).retries(), 0);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryDelays {
    /// 3 retries, each after 10 to 20 s.
    Backoff,
    /// 176 retries: after 1, 2, 4 … 256 s, then 512 s each, just under a day in all.
    Exponential,
    /// One retry after each of these delays.
    List(Vec<SignedDuration>),
}

/// What happens to a delivery after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It was delivered.
    Delivered,
    /// A part was delivered; the next part is due at once.
    NextPart,
    /// It is attempted again, not before this time.
    RetryAt(Timestamp),
    /// It becomes a dead letter.
    DeadLetter {
        /// What kind of reason.
        cause: DeadLetterCause,
        /// The reason, for people.
        reason: String,
    },
}

/// Why a delivery became a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DeadLetterCause {
    /// Its target is not configured.
    UnknownTarget,
    /// The receiver refused it.
    Refused,
    /// The configuration of either side is wrong.
    Misconfigured,
    /// The last retry failed too.
    Exhausted,
    /// It became too old.
    Expired,
    /// What is stored of it cannot be read.
    Unreadable,
}

impl DeadLetterCause {
    /// Its name in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownTarget => "unknown_target",
            Self::Refused => "refused",
            Self::Misconfigured => "misconfigured",
            Self::Exhausted => "exhausted",
            Self::Expired => "expired",
            Self::Unreadable => "unreadable",
        }
    }
}

impl RetryPolicy {
    /// The longest delay that a receiver's `Retry-After` can request. Without a bound one receiver
    /// could park its deliveries for a day with one response.
    pub const MAX_RETRY_AFTER: SignedDuration = SignedDuration::from_hours(1);
    /// See [`RetryPolicy::aging_after`].
    const MIN_AGING: SignedDuration = SignedDuration::from_mins(10);

    /// The age from which on a pending delivery is a sign that something is wrong: ten minutes,
    /// longer than a receiver's restart takes and shorter than people wait for an alert; more where
    /// the first retry comes that late by itself; half of `max_age` where that is short.
    ///
    /// ```
    /// use jiff::SignedDuration;
    /// use reflexarc_delivery::{RetryDelays, RetryPolicy};
    ///
    /// assert_eq!(RetryPolicy::default().aging_after(), SignedDuration::from_mins(10));
    /// let late = RetryPolicy {
    ///     delays: RetryDelays::List(vec![SignedDuration::from_mins(30)]),
    ///     ..RetryPolicy::default()
    /// };
    /// assert_eq!(late.aging_after(), SignedDuration::from_mins(60));
    /// let short = RetryPolicy { max_age: SignedDuration::from_mins(5), ..RetryPolicy::default() };
    /// assert_eq!(short.aging_after(), SignedDuration::from_secs(150));
    /// ```
    pub fn aging_after(&self) -> SignedDuration {
        let first = match &self.delays {
            RetryDelays::Backoff => SignedDuration::from_secs(20),
            RetryDelays::Exponential => SignedDuration::from_secs(1),
            RetryDelays::List(delays) => delays.first().copied().unwrap_or_default(),
        };
        let after = Self::MIN_AGING.max(first.saturating_mul(2));
        after.min(self.max_age / 2)
    }

    /// Decides what happens to `delivery` after attempt number `delivery.attempt` had `outcome`.
    ///
    /// Delays of `Exponential` and `List` are shortened by up to a tenth (jitter), by a number
    /// derived from the delivery's id, so that deliveries that failed together are not retried
    /// together. A receiver's `Retry-After` makes a delay longer, never shorter.
    ///
    /// ```
    /// use jiff::{SignedDuration, Timestamp};
    /// use reflexarc_delivery::{
    ///     Decision, Delivery, Receipt, RetryDelays, RetryPolicy, SendError,
    /// };
    /// use reflexarc_event::{EventIdentity, Json};
    /// use reflexarc_reaction::Action;
    ///
    /// let action = Action::send("t", Json::Null);
    /// let now = Timestamp::UNIX_EPOCH;
    /// let event = EventIdentity::default();
    /// let delivery = Delivery::for_actions(&event, [("r", &action)], now).remove(0);
    /// let policy = RetryPolicy {
    ///     delays: RetryDelays::List(vec![SignedDuration::from_secs(10)]),
    ///     max_age: SignedDuration::from_hours(1),
    /// };
    /// let busy = Err(SendError::transient("busy"));
    /// let Decision::RetryAt(due) = policy.decide(&delivery, &busy, now) else { panic!() };
    /// assert!(due > now && due <= now + SignedDuration::from_secs(10));
    ///
    /// let second = Delivery { attempt: 2, ..delivery };
    /// assert!(matches!(policy.decide(&second, &busy, due), Decision::DeadLetter { .. }));
    /// let sent = Ok(Receipt::complete("ok"));
    /// assert_eq!(policy.decide(&second, &sent, due), Decision::Delivered);
    /// ```
    pub fn decide(
        &self,
        delivery: &Delivery,
        outcome: &Result<Receipt, SendError>,
        now: Timestamp,
    ) -> Decision {
        let error = match outcome {
            Ok(receipt) if receipt.part.is_some() => return Decision::NextPart,
            Ok(_) => return Decision::Delivered,
            // The delivered parts need nothing more; the others are treated as a whole would be.
            Err(SendError::Partial { rest, .. }) => rest,
            Err(error) => error,
        };
        let (reason, requested) = match error {
            SendError::Transient {
                reason,
                retry_after,
            } => (reason, retry_after.unwrap_or_default()),
            SendError::RateLimited { reason, pause } => (reason, *pause),
            // A retry cannot succeed, and the dead letter shows the cause while it is fresh.
            SendError::Misconfigured { .. } => {
                return dead_letter(DeadLetterCause::Misconfigured, error.reason().to_owned());
            }
            SendError::Refused { .. } | SendError::Partial { .. } => {
                return dead_letter(DeadLetterCause::Refused, error.reason().to_owned());
            }
        };
        let seed = delivery.id.seed();
        let Some(delay) = self.delays.after(delivery.attempt, seed) else {
            let reason = format!("gave up after {} attempts: {reason}", delivery.attempt);
            return dead_letter(DeadLetterCause::Exhausted, reason);
        };
        let at = now.saturating_add(delay.max(requested.min(Self::MAX_RETRY_AFTER)));
        // A clock that was set back makes the age negative, which counts as young: nothing is lost.
        // One that was set forward looks like time that passed.
        match at {
            Ok(at) if at.duration_since(delivery.queued_at) <= self.max_age => {
                Decision::RetryAt(at)
            }
            _ => {
                let age = self.max_age;
                let reason = format!("gave up: older than {age:#} at the next attempt: {reason}");
                dead_letter(DeadLetterCause::Expired, reason)
            }
        }
    }
}

impl Default for RetryPolicy {
    /// `Exponential`, for a day.
    fn default() -> Self {
        Self {
            delays: RetryDelays::Exponential,
            max_age: SignedDuration::from_hours(24),
        }
    }
}

impl RetryDelays {
    /// The number of retries after the first attempt.
    pub fn retries(&self) -> usize {
        match self {
            RetryDelays::Backoff => 3,
            // 9 retries after 1 s to 256 s (511 s in all) and 167 after 512 s (85,504 s): 86,015 s,
            // 385 s less than a day. One more retry would be beyond the day.
            RetryDelays::Exponential => 176,
            RetryDelays::List(delays) => delays.len(),
        }
    }

    /// The delay after attempt `attempt` (from 1), jitter included; `None` after the last attempt.
    fn after(&self, attempt: u32, seed: u64) -> Option<SignedDuration> {
        let index = attempt.saturating_sub(1);
        if index as usize >= self.retries() {
            return None;
        }
        // The attempt is mixed into the seed, or a delivery that drew a short delay once would draw
        // one every time. The multiplier is the one of `fraction`.
        let fraction = fraction(seed ^ u64::from(attempt).wrapping_mul(GOLDEN_GAMMA));
        Some(match self {
            // Between 10 and 20 s: the whole interval is jitter, as EventBridge documents it.
            RetryDelays::Backoff => {
                SignedDuration::from_secs(10) + SignedDuration::from_secs(10).mul_f64(fraction)
            }
            // After the 4th attempt: 2^3 = 8 s, shortened to 7.2 s at most. Jitter only shortens,
            // so that 176 retries stay within a day.
            RetryDelays::Exponential => {
                SignedDuration::from_secs(1 << index.min(9)).mul_f64(1.0 - fraction / 10.0)
            }
            RetryDelays::List(delays) => delays[index as usize].mul_f64(1.0 - fraction / 10.0),
        })
    }
}

fn dead_letter(cause: DeadLetterCause, reason: String) -> Decision {
    Decision::DeadLetter { cause, reason }
}

/// 2^64 divided by the golden ratio, odd: the increment of `SplitMix64`.
const GOLDEN_GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// A pseudo-random number from 0.0 up to, not including, 1.0.
///
/// One round of `SplitMix64` (Steele, Lea, Flood: "Fast splittable pseudorandom number
/// generators", 2014). A random number generator would do as well, but then a rehearsal would
/// show other times in every run.
fn fraction(seed: u64) -> f64 {
    let mut z = seed.wrapping_add(GOLDEN_GAMMA);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    // The upper 32 bits are enough for a delay, and an f64 holds them exactly.
    f64::from(u32::try_from(z >> 32).unwrap_or_default()) / 2_f64.powi(32)
}

#[cfg(test)]
mod tests {
    use reflexarc_event::{EventIdentity, Json};
    use reflexarc_reaction::Action;

    use super::*;

    fn delivery(attempt: u32) -> Delivery {
        let action = Action::send("t", Json::Null);
        let event = EventIdentity::default();
        let mut deliveries = Delivery::for_actions(&event, [("r", &action)], Timestamp::UNIX_EPOCH);
        Delivery {
            attempt,
            ..deliveries.remove(0)
        }
    }

    /// The delays before a delivery that always fails is given up, in seconds.
    fn schedule(policy: &RetryPolicy, outcome: &Result<Receipt, SendError>) -> (Vec<f64>, String) {
        let (mut now, mut delays) = (Timestamp::UNIX_EPOCH, Vec::new());
        for attempt in 1.. {
            match policy.decide(&delivery(attempt), outcome, now) {
                Decision::RetryAt(at) => delays.push(at.duration_since(now).as_secs_f64()),
                Decision::DeadLetter { reason, .. } => return (delays, reason),
                Decision::Delivered | Decision::NextPart => panic!("no attempt succeeds"),
            }
            now = now
                .saturating_add(SignedDuration::from_secs_f64(delays[delays.len() - 1]))
                .unwrap();
        }
        unreachable!()
    }

    fn connection_refused() -> Result<Receipt, SendError> {
        Err(SendError::transient("connection refused"))
    }

    #[test]
    fn backoff_retries_three_times_after_10_to_20_seconds() {
        let policy = RetryPolicy {
            delays: RetryDelays::Backoff,
            ..RetryPolicy::default()
        };
        let (delays, reason) = schedule(&policy, &connection_refused());
        assert_eq!(delays.len(), 3);
        assert!(
            delays.iter().all(|delay| (10.0..20.0).contains(delay)),
            "{delays:?}"
        );
        assert!(
            (delays[0] - delays[1]).abs() > 1e-9,
            "no jitter: {delays:?}"
        );
        assert_eq!(reason, "gave up after 4 attempts: connection refused");
    }

    #[test]
    fn exponential_delays_double_up_to_512_seconds() {
        let (delays, _) = schedule(&RetryPolicy::default(), &connection_refused());
        assert_eq!(delays.len(), 176);
        for (i, delay) in delays.iter().enumerate() {
            let nominal = f64::from(1_u32 << i.min(9));
            assert!(
                *delay > nominal * 0.9 - 1e-6 && *delay <= nominal,
                "retry {i}: {delay} for {nominal}"
            );
        }
        assert!(delays.iter().sum::<f64>() <= 86_015.0);
    }

    #[test]
    fn listed_delays_are_followed_and_none_means_one_attempt() {
        let list = |seconds: &[i64]| RetryPolicy {
            delays: RetryDelays::List(
                seconds
                    .iter()
                    .copied()
                    .map(SignedDuration::from_secs)
                    .collect(),
            ),
            ..RetryPolicy::default()
        };
        let (delays, _) = schedule(&list(&[100, 5]), &connection_refused());
        assert!(
            delays.len() == 2 && delays[0] > 90.0 && delays[1] <= 5.0,
            "{delays:?}"
        );
        assert_eq!(
            schedule(&list(&[]), &connection_refused()).0,
            Vec::<f64>::new()
        );
    }

    #[test]
    fn no_attempt_is_made_beyond_the_maximum_age() {
        let policy = RetryPolicy {
            delays: RetryDelays::Exponential,
            max_age: SignedDuration::from_secs(10),
        };
        let (delays, reason) = schedule(&policy, &connection_refused());
        assert!(
            delays.iter().sum::<f64>() <= 10.0 && delays.len() == 3,
            "{delays:?}"
        );
        assert_eq!(
            reason,
            "gave up: older than 10s at the next attempt: connection refused"
        );
    }

    #[test]
    fn retry_after_lengthens_a_delay_up_to_an_hour() {
        let delay = |seconds| {
            let outcome = Err(SendError::Transient {
                reason: String::new(),
                retry_after: Some(SignedDuration::from_secs(seconds)),
            });
            match RetryPolicy::default().decide(&delivery(5), &outcome, Timestamp::UNIX_EPOCH) {
                Decision::RetryAt(at) => at.as_second(),
                other => panic!("{other:?}"),
            }
        };
        assert!(
            (14..=16).contains(&delay(1)),
            "the policy's delay of 16 s is longer"
        );
        assert_eq!(delay(120), 120);
        assert_eq!(delay(86_400), 3_600);
    }

    #[test]
    fn permanent_errors_become_dead_letters_at_once() {
        for error in [
            SendError::Refused {
                reason: "410 Gone".into(),
            },
            SendError::Misconfigured {
                reason: "410 Gone".into(),
            },
        ] {
            let decision =
                RetryPolicy::default().decide(&delivery(1), &Err(error), Timestamp::UNIX_EPOCH);
            assert!(
                matches!(&decision, Decision::DeadLetter { reason, .. } if reason == "410 Gone"),
                "{decision:?}"
            );
        }
        let delivered = Ok(Receipt::complete("ok"));
        assert_eq!(
            RetryPolicy::default().decide(&delivery(1), &delivered, Timestamp::UNIX_EPOCH),
            Decision::Delivered
        );
    }

    #[test]
    fn partial_deliveries_continue_and_retry_like_whole_ones() {
        let part = Ok(Receipt {
            response: "ok".into(),
            part: Some("1/2".into()),
        });
        assert_eq!(
            RetryPolicy::default().decide(&delivery(7), &part, Timestamp::UNIX_EPOCH),
            Decision::NextPart
        );
        let partly = |rest| {
            Err(SendError::Partial {
                delivered: vec!["a".into()],
                rest: Box::new(rest),
            })
        };
        let decide =
            |outcome| RetryPolicy::default().decide(&delivery(1), &outcome, Timestamp::UNIX_EPOCH);
        assert!(matches!(
            decide(partly(SendError::transient("busy"))),
            Decision::RetryAt(_)
        ));
        let refused = partly(SendError::Refused {
            reason: "no b".into(),
        });
        assert_eq!(
            decide(refused),
            dead_letter(DeadLetterCause::Refused, "no b".into())
        );
    }

    #[test]
    fn a_clock_set_back_does_not_age_a_delivery() {
        let before = Timestamp::from_second(-1_000_000).unwrap();
        let decision = RetryPolicy::default().decide(&delivery(1), &connection_refused(), before);
        assert!(matches!(decision, Decision::RetryAt(at) if at < Timestamp::UNIX_EPOCH));
    }

    proptest::proptest! {
        #[test]
        fn every_delay_is_within_its_bounds(seed: u64, attempt in 1_u32..200) {
            let delay = RetryDelays::Exponential.after(attempt, seed);
            let delay = delay.map(|delay| delay.as_secs_f64());
            let nominal = f64::from(1_u32 << (attempt - 1).min(9));
            proptest::prop_assert_eq!(delay.is_some(), attempt <= 176);
            proptest::prop_assert!(
                delay.is_none_or(|delay| delay >= nominal * 0.9 - 1e-6 && delay <= nominal)
            );
        }
    }
}
