//! When to try again, and when to give up: pure, so that every schedule can be tested without waiting.

use jiff::{SignedDuration, Timestamp};

use crate::delivery::{Delivery, Receipt, SendError};

/// How often a target is tried and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The waits between attempts.
    pub waits: Waits,
    /// A delivery older than this (counted from [`Delivery::since`]) is not tried again.
    pub max_age: SignedDuration,
}

/// The waits between attempts; the first two as Alibaba Cloud EventBridge has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waits {
    /// 3 retries, each after 10 to 20 s.
    Backoff,
    /// 176 retries: after 1, 2, 4 … 256 s, then 512 s each, in all just under a day.
    Exponential,
    /// One retry after each of these.
    List(Vec<SignedDuration>),
}

/// What becomes of a delivery after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It arrived.
    Delivered,
    /// A part of it arrived, and the next is due at once.
    Continue,
    /// It is tried again, not before this instant.
    RetryAt(Timestamp),
    /// It goes to the dead letters, for this reason.
    DeadLetter(String),
}

impl RetryPolicy {
    /// The longest wait a receiver's Retry-After can ask for; a day would let one receiver park our queue.
    pub const LONGEST_REQUESTED_WAIT: SignedDuration = SignedDuration::from_hours(1);

    /// What to do after the attempt `delivery.attempt` had this outcome.
    ///
    /// Waits of `Exponential` and `List` are shortened by up to a tenth, by a number derived from the delivery's id, so
    /// that deliveries which failed together are not retried together. A receiver's Retry-After makes a wait longer,
    /// never shorter.
    pub fn decide(
        &self,
        delivery: &Delivery,
        outcome: &Result<Receipt, SendError>,
        now: Timestamp,
    ) -> Decision {
        let fault = match outcome {
            Ok(receipt) if receipt.part.is_some() => return Decision::Continue,
            Ok(_) => return Decision::Delivered,
            Err(SendError::Partly { rest, .. }) => rest,
            Err(fault) => fault,
        };
        let (reason, requested) = match fault {
            SendError::Later { reason, after } => (reason, after.unwrap_or_default()),
            SendError::Throttled { reason, pause } => (reason, *pause),
            SendError::Configuration { .. }
            | SendError::Refused { .. }
            | SendError::Partly { .. } => {
                return Decision::DeadLetter(fault.reason().to_owned());
            }
        };
        let Some(wait) = self.waits.after(delivery.attempt, delivery.id.seed()) else {
            return Decision::DeadLetter(format!(
                "gave up after {} attempts: {reason}",
                delivery.attempt
            ));
        };
        let at = now.saturating_add(wait.max(requested.min(Self::LONGEST_REQUESTED_WAIT)));
        // A clock that jumped back makes an age negative, which is young; one that jumped ahead cannot be told from time.
        match at {
            Ok(at) if at.duration_since(delivery.since) <= self.max_age => Decision::RetryAt(at),
            _ => Decision::DeadLetter(format!(
                "gave up: older than {:#} at the next attempt: {reason}",
                self.max_age
            )),
        }
    }
}

impl Default for RetryPolicy {
    /// `Exponential`, for a day.
    fn default() -> Self {
        Self {
            waits: Waits::Exponential,
            max_age: SignedDuration::from_hours(24),
        }
    }
}

impl Waits {
    /// How many retries follow the first attempt.
    pub fn retries(&self) -> usize {
        match self {
            Waits::Backoff => 3,
            Waits::Exponential => 176,
            Waits::List(waits) => waits.len(),
        }
    }

    /// The wait after attempt `attempt` (from 1), jitter included; `None` when that was the last one.
    fn after(&self, attempt: u32, seed: u64) -> Option<SignedDuration> {
        let index = attempt.saturating_sub(1);
        if index as usize >= self.retries() {
            return None;
        }
        let fraction = fraction(seed ^ u64::from(attempt).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        Some(match self {
            Waits::Backoff => {
                SignedDuration::from_secs(10) + SignedDuration::from_secs(10).mul_f64(fraction)
            }
            Waits::Exponential => {
                SignedDuration::from_secs(1 << index.min(9)).mul_f64(1.0 - fraction / 10.0)
            }
            Waits::List(waits) => waits[index as usize].mul_f64(1.0 - fraction / 10.0),
        })
    }
}

/// A number in 0.0 .. 1.0 that looks random: one round of `SplitMix64`, its upper 32 bits as a fraction.
fn fraction(seed: u64) -> f64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    // 32 bits are fine enough, and fit a double exactly.
    f64::from(u32::try_from(z >> 32).unwrap_or_default()) / 2_f64.powi(32)
}

#[cfg(test)]
mod tests {
    use reflexarc_event::Json;
    use reflexarc_reaction::Action;

    use super::*;
    use reflexarc_event::EventIdentity;

    use crate::delivery::{DeliveryId, EventName};

    fn delivery(attempt: u32) -> Delivery {
        Delivery {
            id: DeliveryId::derive(&EventIdentity::default(), "r", 0, None),
            event: EventName::default(),
            resource: String::new(),
            rule: "r".into(),
            target: "t".into(),
            action: Action::Send {
                target: "t".into(),
                payload: Json::Null,
            },
            created: Timestamp::UNIX_EPOCH,
            replay: None,
            attempt,
            since: Timestamp::UNIX_EPOCH,
            taken: Vec::new(),
        }
    }

    /// The waits of a target that never answers, in seconds.
    fn schedule(policy: &RetryPolicy, outcome: &Result<Receipt, SendError>) -> (Vec<f64>, String) {
        let (mut now, mut waits) = (Timestamp::UNIX_EPOCH, Vec::new());
        for attempt in 1.. {
            match policy.decide(&delivery(attempt), outcome, now) {
                Decision::RetryAt(at) => waits.push(at.duration_since(now).as_secs_f64()),
                Decision::DeadLetter(reason) => return (waits, reason),
                Decision::Delivered | Decision::Continue => panic!("nobody answered"),
            }
            now = now
                .saturating_add(SignedDuration::from_secs_f64(waits[waits.len() - 1]))
                .unwrap();
        }
        unreachable!()
    }

    fn refused() -> Result<Receipt, SendError> {
        Err(SendError::later("connection refused"))
    }

    #[test]
    fn backoff_waits_three_times_ten_to_twenty_seconds() {
        let policy = RetryPolicy {
            waits: Waits::Backoff,
            ..RetryPolicy::default()
        };
        let (waits, reason) = schedule(&policy, &refused());
        assert_eq!(waits.len(), 3);
        assert!(
            waits.iter().all(|wait| (10.0..20.0).contains(wait)),
            "{waits:?}"
        );
        assert!((waits[0] - waits[1]).abs() > 1e-9, "no jitter: {waits:?}");
        assert_eq!(reason, "gave up after 4 attempts: connection refused");
    }

    #[test]
    fn exponential_doubles_up_to_512_seconds_176_times_within_a_day() {
        let (waits, _) = schedule(&RetryPolicy::default(), &refused());
        assert_eq!(waits.len(), 176);
        for (i, wait) in waits.iter().enumerate() {
            let nominal = f64::from(1_u32 << i.min(9));
            assert!(
                *wait > nominal * 0.9 - 1e-6 && *wait <= nominal,
                "retry {i}: {wait} for {nominal}"
            );
        }
        assert!(waits.iter().sum::<f64>() <= 86_015.0);
    }

    #[test]
    fn an_own_list_is_followed_and_an_empty_one_means_one_attempt() {
        let list = |seconds: &[i64]| RetryPolicy {
            waits: Waits::List(
                seconds
                    .iter()
                    .copied()
                    .map(SignedDuration::from_secs)
                    .collect(),
            ),
            ..RetryPolicy::default()
        };
        let (waits, _) = schedule(&list(&[100, 5]), &refused());
        assert!(
            waits.len() == 2 && waits[0] > 90.0 && waits[1] <= 5.0,
            "{waits:?}"
        );
        assert_eq!(schedule(&list(&[]), &refused()).0, Vec::<f64>::new());
    }

    #[test]
    fn nothing_is_tried_beyond_its_maximum_age() {
        let policy = RetryPolicy {
            waits: Waits::Exponential,
            max_age: SignedDuration::from_secs(10),
        };
        let (waits, reason) = schedule(&policy, &refused());
        assert!(
            waits.iter().sum::<f64>() <= 10.0 && waits.len() == 3,
            "{waits:?}"
        );
        assert_eq!(
            reason,
            "gave up: older than 10s at the next attempt: connection refused"
        );
    }

    #[test]
    fn retry_after_lengthens_a_wait_up_to_an_hour_and_never_shortens_it() {
        let wait = |seconds| {
            let outcome = Err(SendError::Later {
                reason: String::new(),
                after: Some(SignedDuration::from_secs(seconds)),
            });
            match RetryPolicy::default().decide(&delivery(5), &outcome, Timestamp::UNIX_EPOCH) {
                Decision::RetryAt(at) => at.as_second(),
                other => panic!("{other:?}"),
            }
        };
        assert!((14..=16).contains(&wait(1)), "own wait of 16 s counts");
        assert_eq!(wait(120), 120);
        assert_eq!(wait(86_400), 3_600);
    }

    #[test]
    fn what_cannot_pass_goes_to_the_dead_letters_at_once() {
        for error in [
            SendError::Refused {
                reason: "410 Gone".into(),
            },
            SendError::Configuration {
                reason: "410 Gone".into(),
            },
        ] {
            let decision =
                RetryPolicy::default().decide(&delivery(1), &Err(error), Timestamp::UNIX_EPOCH);
            assert_eq!(decision, Decision::DeadLetter("410 Gone".into()));
        }
        let taken = Ok(Receipt::whole("ok"));
        assert_eq!(
            RetryPolicy::default().decide(&delivery(1), &taken, Timestamp::UNIX_EPOCH),
            Decision::Delivered
        );
    }

    #[test]
    fn what_went_in_part_continues_at_once_and_its_faults_are_judged_as_those_of_a_whole() {
        let part = Ok(Receipt {
            answer: "ok".into(),
            part: Some("1/2".into()),
        });
        assert_eq!(
            RetryPolicy::default().decide(&delivery(7), &part, Timestamp::UNIX_EPOCH),
            Decision::Continue
        );
        let partly = |rest| {
            Err(SendError::Partly {
                taken: vec!["a".into()],
                rest: Box::new(rest),
            })
        };
        let decide =
            |outcome| RetryPolicy::default().decide(&delivery(1), &outcome, Timestamp::UNIX_EPOCH);
        assert!(matches!(
            decide(partly(SendError::later("busy"))),
            Decision::RetryAt(_)
        ));
        let refused = partly(SendError::Refused {
            reason: "no b".into(),
        });
        assert_eq!(decide(refused), Decision::DeadLetter("no b".into()));
    }

    #[test]
    fn a_clock_that_jumped_back_does_not_make_a_delivery_old() {
        let before = Timestamp::from_second(-1_000_000).unwrap();
        assert!(
            matches!(RetryPolicy::default().decide(&delivery(1), &refused(), before), Decision::RetryAt(at) if at < Timestamp::UNIX_EPOCH)
        );
    }

    proptest::proptest! {
        #[test]
        fn every_wait_lies_in_its_bounds(seed: u64, attempt in 1_u32..200) {
            let wait = Waits::Exponential.after(attempt, seed).map(|wait| wait.as_secs_f64());
            let nominal = f64::from(1_u32 << (attempt - 1).min(9));
            proptest::prop_assert_eq!(wait.is_some(), attempt <= 176);
            proptest::prop_assert!(wait.is_none_or(|wait| wait >= nominal * 0.9 - 1e-6 && wait <= nominal));
        }
    }
}
