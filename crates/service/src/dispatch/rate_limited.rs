//! The queue of a target with a rate limit: one call after another.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reflexarc_delivery::config::TargetConfig;
use reflexarc_delivery::{CallSchedule, CallTicket, Delivery, NextCall, RateLimit};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::target_gate::{TargetGate, pause_of};
use super::{
    DispatchContext, POLL_INTERVAL, claim, release_claims, send, settle, signed, time_until_due,
};

/// Largest number of claimed deliveries.
// All of them are candidates for the next digest: when 300 alerts come within a minute and 20 calls
// are allowed, the queue must have all 300 at hand to merge them. Beyond 1,000 a digest lists only
// some of them anyway, and the rest stay cancellable in the outbox.
const MAX_CLAIMED: usize = 1_000;

/// A day: a pause without an end is looked at again then, and ends before by a wake-up.
const FOREVER: Duration = Duration::from_secs(86_400);

/// Sends within a rate limit; merges deliveries into digests when there are more of them than
/// calls.
pub(super) struct RateLimitedQueue {
    queue: TargetConfig,
    context: DispatchContext,
    gate: Arc<TargetGate>,
    wake: Arc<Notify>,
    schedule: CallSchedule,
    /// The zero of the rate limit's clock.
    // A monotonic clock: if the wall clock were set back by an hour, calls would seem to lie in the
    // future, and the queue would rest for an hour.
    zero: Instant,
    /// Claimed, not sent yet.
    waiting: VecDeque<Delivery>,
}

impl RateLimitedQueue {
    pub(super) fn new(
        queue: TargetConfig,
        context: DispatchContext,
        gate: Arc<TargetGate>,
        wake: Arc<Notify>,
        limit: RateLimit,
    ) -> Self {
        let (zero, now) = (Instant::now(), Timestamp::now());
        // The receiver counts the calls of an earlier process too, so they are read back from the
        // recorded attempts: a restart must not send 20 calls on top of 20 made a second ago.
        let since = now.saturating_sub(limit.per).unwrap_or(Timestamp::MIN);
        let earlier = context.store.call_times(&queue.name, since);
        let earlier = earlier.unwrap_or_else(|error| {
            // As if all calls had just been made: too many would cost ten minutes without any.
            tracing::error!(to = queue.name, %error, "cannot read earlier calls; waiting");
            vec![now; limit.calls]
        });
        let earlier = earlier
            .into_iter()
            .map(|at| at.duration_since(now).min(SignedDuration::ZERO));
        Self {
            schedule: CallSchedule::new(Some(limit), earlier),
            queue,
            context,
            gate,
            wake,
            zero,
            waiting: VecDeque::new(),
        }
    }

    pub(super) async fn run(mut self) {
        while !self.context.is_stopping() {
            let next = self.gate.next_call();
            if matches!(next, NextCall::After(_) | NextCall::Unknown) {
                // The receiver is down, or an operator has paused the target: what is claimed can
                // be cancelled again.
                let released = self.waiting.drain(..).map(|delivery| delivery.id);
                release_claims(&self.context, released);
                let pause = pause_of(next).unwrap_or(FOREVER);
                self.rest(pause, false).await;
                continue;
            }
            // Claimed only when a call may be made: until then deliveries stay cancellable, and
            // those that come meanwhile go into the same digest.
            let rest = match self.schedule.wait(self.now()) {
                SignedDuration::ZERO => {
                    let probes = next == NextCall::Probe;
                    self.refill(if probes { 1 } else { MAX_CLAIMED }).await;
                    // `begin` fails if an operator has paused the target meanwhile.
                    if !self.waiting.is_empty()
                        && let Some(ticket) = self.gate.begin()
                        && let Some(batch) = self.next_batch(probes)
                    {
                        self.call(ticket, batch).await;
                        continue;
                    }
                    if self.waiting.is_empty() {
                        time_until_due(&self.queue, &self.context)
                    } else {
                        POLL_INTERVAL
                    }
                }
                wait => wait.unsigned_abs(),
            };
            // Waking is useful only if a call may be made then: not while the rate limit rests.
            let may_wake = self.waiting.is_empty() && rest <= POLL_INTERVAL;
            self.rest(rest, may_wake).await;
        }
    }

    /// Waits this long, for a wake-up, for an operator or for the end.
    async fn rest(&mut self, rest: Duration, may_wake: bool) {
        tokio::select! {
            () = self.wake.notified(), if may_wake => {}
            () = tokio::time::sleep(rest) => {}
            () = self.gate.changed() => {}
            _ = self.context.stop.changed() => {}
        }
    }

    fn now(&self) -> SignedDuration {
        signed(self.zero.elapsed())
    }

    /// Claims until `most` are claimed.
    async fn refill(&mut self, most: usize) {
        let missing = most.saturating_sub(self.waiting.len());
        if missing > 0 {
            let claimed_before = self.waiting.iter().map(|delivery| delivery.id).collect();
            let claimed = claim(&self.queue, &self.context, missing, &claimed_before).await;
            self.waiting.extend(claimed);
        }
    }

    /// The deliveries of the next call; a single one where it is a probe, as each attempt counts.
    fn next_batch(&mut self, probes: bool) -> Option<Vec<Delivery>> {
        if self.waiting.is_empty() {
            return None;
        }
        if probes {
            return self.waiting.pop_front().map(|delivery| vec![delivery]);
        }
        let count = self
            .schedule
            .batch_size(&*self.queue.target, self.waiting.make_contiguous());
        // One delivery while calls are left, a digest of as many as fit when they are running out.
        Some(self.waiting.drain(..count).collect())
    }

    async fn call(&mut self, ticket: CallTicket, batch: Vec<Delivery>) {
        // Counted from its start, as the receiver counts it when it arrives.
        let started = self.now();
        let call = send(&self.queue, &self.context, &self.gate, ticket, &batch).await;
        settle(&self.queue, &self.context, &batch, &call).await;
        self.schedule.record_call(&batch, &call.outcome, started);
    }
}
