//! When the next call of a target may begin and how many deliveries it carries.
//!
//! Like the retry policy it is pure: the service's dispatch runs it on the machine's clock, a
//! rehearsal on the scenario's.

use std::collections::{BTreeSet, VecDeque};

use jiff::SignedDuration;

use crate::delivery::{Delivery, DeliveryId};
use crate::outcome::{Receipt, SendError};
use crate::target::{RateLimit, Target};

/// The recent calls of one target. Times are counted from a zero that the caller chooses and never
/// changes, so that setting the wall clock does not disturb a rate limit.
///
/// With a limit of 20 calls in 60 s, a quarter of the calls (5) is reserved for digests. A burst of
/// 100 messages is sent as follows:
///
/// | time | calls |
/// |---|---|
/// | 0 s | 15 calls with one message each |
/// | 3, 6, 9, 12, 15 s | 5 digests that carry all messages that wait then |
/// | 60 s | the first 15 calls are older than 60 s: single calls again |
///
/// A few messages thus arrive at once and separately, and a flood arrives within seconds in few
/// messages instead of waiting for minutes. The reserve is spread (60 s / 20 = 3 s apart) because a
/// digest that is sent at once holds little, and the reserve would be used up within one second.
///
/// ```
/// use jiff::SignedDuration;
/// use reflexarc_delivery::{CallSchedule, RateLimit, Receipt};
///
/// let seconds = SignedDuration::from_secs;
/// let limit = RateLimit { calls: 1, per: seconds(60) };
/// let mut schedule = CallSchedule::new(Some(limit), []);
/// assert_eq!(schedule.wait(seconds(0)), SignedDuration::ZERO);
/// schedule.record_call(&[], &Ok(Receipt::complete("ok")), seconds(0));
/// assert_eq!(schedule.wait(seconds(20)), seconds(40));
/// ```
#[derive(Debug, Clone)]
pub struct CallSchedule {
    limit: Option<RateLimit>,
    /// When the calls of the last [`RateLimit::per`] began, oldest first; empty without a limit.
    calls: VecDeque<SignedDuration>,
    /// Members of a digest that was refused. They are sent alone, so that the one that the receiver
    /// does not accept does not take the others to the dead letters with it.
    alone: BTreeSet<DeliveryId>,
}

impl CallSchedule {
    /// A schedule that starts after these `earlier` calls, oldest first; calls of a process before
    /// this one count towards the receiver's limit too.
    pub fn new(
        limit: Option<RateLimit>,
        earlier: impl IntoIterator<Item = SignedDuration>,
    ) -> Self {
        Self {
            limit,
            calls: limit
                .map(|_| earlier.into_iter().collect())
                .unwrap_or_default(),
            alone: BTreeSet::new(),
        }
    }

    /// Whether the target has a rate limit.
    pub fn is_rate_limited(&self) -> bool {
        self.limit.is_some()
    }

    /// The time until the next call may begin; zero when it may begin now.
    pub fn wait(&mut self, now: SignedDuration) -> SignedDuration {
        let allowed = match self.limit {
            Some(limit) => self.allowed_at(limit, now),
            None => now,
        };
        allowed - now
    }

    /// How many of the first of `waiting`, which must not be empty, the next call carries.
    pub fn batch_size(&self, target: &dyn Target, waiting: &[Delivery]) -> usize {
        let Some(limit) = self.limit else { return 1 };
        // Stops at the first member of a refused digest, so that the order of deliveries is kept.
        let together = waiting
            .iter()
            .take_while(|delivery| !self.alone.contains(&delivery.id))
            .count();
        // Few enough for a call each: 3 messages with 15 single calls left are sent separately.
        if together == 0 || waiting.len() <= self.single_calls(limit) {
            return 1;
        }
        target.max_batch(&waiting[..together]).clamp(1, together)
    }

    /// Records a call that began at `began`.
    pub fn record_call(
        &mut self,
        batch: &[Delivery],
        outcome: &Result<Receipt, SendError>,
        began: SignedDuration,
    ) {
        if self.limit.is_some() {
            self.calls.push_back(began);
        }
        // The call counts whatever its outcome: the receiver counted it as well.
        if batch.len() > 1 && matches!(outcome, Err(SendError::Refused { .. })) {
            self.alone.extend(batch.iter().map(|delivery| delivery.id));
        } else {
            // Sent alone with any outcome, so the next attempt may be part of a digest again.
            for delivery in batch {
                self.alone.remove(&delivery.id);
            }
        }
    }

    /// When the rate limit allows the next call: `now`, or later.
    fn allowed_at(&mut self, limit: RateLimit, now: SignedDuration) -> SignedDuration {
        while self
            .calls
            .front()
            .is_some_and(|first| now - *first >= limit.per)
        {
            self.calls.pop_front();
        }
        // A sliding window, not one call every 3 s: with 20 calls in the last 60 s the next one may
        // begin when the oldest of them is 60 s ago.
        let window = match self.calls.front() {
            Some(first) if self.calls.len() >= limit.calls => *first + limit.per,
            _ => now,
        };
        let spread = match self.calls.back() {
            // Only the reserve is left: it is spread, so that each digest gathers what comes until
            // then.
            Some(last) if self.single_calls(limit) == 0 => {
                // More calls than an `i32` are as good as no spread.
                *last + limit.per / i32::try_from(limit.calls).unwrap_or(i32::MAX)
            }
            _ => now,
        };
        window.max(spread)
    }

    /// How many calls may carry one delivery each before only the reserve for digests is left.
    fn single_calls(&self, limit: RateLimit) -> usize {
        // A quarter, rounded up: 5 of 20, 1 of 4, 1 of 2. A receiver that accepts one call in a
        // while has no reserve, or a single message would never be sent alone.
        let reserve = limit.calls.div_ceil(4).min(limit.calls - 1);
        (limit.calls - reserve).saturating_sub(self.calls.len())
    }
}
