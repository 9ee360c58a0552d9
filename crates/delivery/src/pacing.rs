//! When a receiver that counts calls may be called, and what a call carries: pure, so that a rehearsal plans as the
//! service does.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use jiff::SignedDuration;

use crate::delivery::{Delivery, DeliveryId, Receipt, SendError};
use crate::target::{Pace, Target};

/// What is to be known of the calls of one receiver. Instants are counted from a zero that the caller chooses and keeps.
#[derive(Debug, Clone)]
pub struct Pacing {
    pace: Pace,
    /// When the calls of the last stretch began, oldest first.
    calls: VecDeque<SignedDuration>,
    /// Members of a digest that was refused: sent alone, so that one that nobody takes does not bury the others.
    alone: BTreeSet<DeliveryId>,
    paused_until: SignedDuration,
}

impl Pacing {
    /// After these earlier calls, oldest first.
    pub fn new(pace: Pace, earlier: impl IntoIterator<Item = SignedDuration>) -> Self {
        let calls = earlier.into_iter().collect();
        Self {
            pace,
            calls,
            alone: BTreeSet::new(),
            paused_until: SignedDuration::MIN,
        }
    }

    /// How long until the next call may begin; zero when it may begin now.
    pub fn wait(&mut self, now: SignedDuration) -> SignedDuration {
        let per = signed(self.pace.per);
        while self.calls.front().is_some_and(|first| now - *first >= per) {
            self.calls.pop_front();
        }
        let full = self.calls.len() >= self.pace.calls;
        let next = self
            .calls
            .front()
            .filter(|_| full)
            .map_or(now, |first| *first + per);
        let spread = match self.calls.back() {
            // Only the reserve is left: it is spread over the stretch, so that each digest gathers what came meanwhile.
            Some(last) if self.single_calls() == 0 => {
                *last + per / i32::try_from(self.pace.calls).unwrap_or(1)
            }
            _ => now,
        };
        next.max(spread).max(self.paused_until) - now
    }

    /// How many of the first of `waiting`, which is not empty, the next call carries.
    pub fn batch(&self, target: &dyn Target, waiting: &[Delivery]) -> usize {
        let together = waiting
            .iter()
            .take_while(|delivery| !self.alone.contains(&delivery.id))
            .count();
        if together == 0 || waiting.len() <= self.single_calls() {
            return 1;
        }
        target.pack(&waiting[..together]).clamp(1, together)
    }

    /// Takes account of a call that began at `began` and has just ended, at `now`.
    pub fn called(
        &mut self,
        batch: &[Delivery],
        outcome: &Result<Receipt, SendError>,
        began: SignedDuration,
        now: SignedDuration,
    ) {
        self.calls.push_back(began);
        if batch.len() > 1 && matches!(outcome, Err(SendError::Refused { .. })) {
            self.alone.extend(batch.iter().map(|delivery| delivery.id));
        } else {
            for delivery in batch {
                self.alone.remove(&delivery.id);
            }
        }
        if let Err(SendError::Throttled { pause, .. }) = outcome {
            self.paused_until = now.saturating_add(*pause);
        }
    }

    /// How many calls may carry one delivery each; the last quarter of the calls is kept for digests.
    fn single_calls(&self) -> usize {
        (self.pace.calls - self.pace.calls.div_ceil(4).min(self.pace.calls - 1))
            .saturating_sub(self.calls.len())
    }
}

/// What a call's outcome says of each delivery that it carried. A refused digest says nothing about any one of its
/// members: each is tried again, alone.
///
/// # Errors
/// With what kept the delivery from arriving.
pub fn judged(outcome: &Result<Receipt, SendError>, carried: usize) -> Result<Receipt, SendError> {
    match outcome {
        Err(SendError::Refused { .. }) if carried > 1 => {
            Err(SendError::later("refused as part of a digest"))
        }
        outcome => outcome.clone(),
    }
}

/// A length of time that can be compared with differences.
pub(crate) fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
