//! The queue of a target with a rate limit: one call after another.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reflexarc_delivery::config::TargetConfig;
use reflexarc_delivery::{CallSchedule, CallTicket, Delivery, DeliveryId, NextCall, RateLimit};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::target_gate::{TargetGate, pause_of};
use super::{
    DispatchContext, POLL_INTERVAL, Run, claim, release_claims, send, settle, signed,
    time_until_due,
};
use crate::store::ClaimLimit;

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
    limit: RateLimit,
    /// The zero of the rate limit's clock.
    // A monotonic clock: if the wall clock were set back by an hour, calls would seem to lie in the
    // future, and the queue would rest for an hour.
    zero: Instant,
    /// Claimed, not sent yet; in the order of their events.
    waiting: VecDeque<Delivery>,
    /// The first delivery of the run that each of these belongs to.
    runs: BTreeMap<DeliveryId, DeliveryId>,
}

impl RateLimitedQueue {
    pub(super) fn new(
        queue: TargetConfig,
        context: DispatchContext,
        gate: Arc<TargetGate>,
        wake: Arc<Notify>,
        limit: RateLimit,
        calls: Vec<SignedDuration>,
    ) -> Self {
        // A call that ended 20 s ago did so at -20 s.
        let earlier = calls.into_iter().map(|age| -age);
        Self {
            schedule: CallSchedule::new(Some(limit), earlier),
            queue,
            context,
            gate,
            wake,
            limit,
            zero: Instant::now(),
            waiting: VecDeque::new(),
            runs: BTreeMap::new(),
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
                self.runs.clear();
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
        if missing == 0 || self.held() >= self.context.delivery_bytes {
            return;
        }
        // Whole runs, so that a flood of one key goes into a digest as any other.
        let limit = ClaimLimit {
            deliveries: missing,
            run: missing,
            bytes: self.context.delivery_bytes.saturating_sub(self.held()),
            retries_first: self.gate.prefers_retry(),
        };
        let mut claimed = claim(&self.queue, &self.context, limit).await;
        let firsts: Vec<_> = claimed
            .iter()
            .map(|run| run.front().map(|one| one.id))
            .collect();
        // Merged by age: people read a digest from the oldest message on.
        let next = |run: &Run, index| run.front().map(|one| Reverse((one.created, index)));
        let mut heap: BinaryHeap<_> = (0..)
            .zip(&claimed)
            .filter_map(|(index, run)| next(run, index))
            .collect();
        while let Some(Reverse((_, index))) = heap.pop() {
            let run = &mut claimed[index];
            let (Some(delivery), Some(first)) = (run.pop_front(), firsts[index]) else {
                continue;
            };
            heap.extend(next(run, index));
            // After the clock was set back, the outbox offers claimed deliveries again.
            if self.runs.insert(delivery.id, first).is_none() {
                self.waiting.push_back(delivery);
            }
        }
    }

    /// How many bytes of deliveries wait.
    fn held(&self) -> usize {
        self.waiting.iter().map(Delivery::bytes).sum()
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
        // Recorded before it begins: if the process is killed during the call, the next one counts
        // it all the same.
        let began = self.context.clock.now();
        let since = began
            .saturating_sub(self.limit.per)
            .unwrap_or(Timestamp::MIN);
        let store = self.context.store.clone();
        if let Err(error) = store.submit_call(&self.queue.name, began, since).await {
            let detail = format!(
                "cannot record a call of {}; after a restart its rate limit may be exceeded: {error}",
                self.queue.name
            );
            self.context.store_failed("record call", &detail);
        }
        let call = send(&self.queue, &self.context, &self.gate, ticket, &batch).await;
        // The receiver counts the call when it arrives, which is before the response: counted from
        // here, no window of the receiver has more calls than one of ours.
        let ended = self.now();
        drop(store.submit_call_end(&self.queue.name, began, self.context.clock.now()));
        let settled = settle(&self.queue, &self.context, batch.clone(), &call);
        if !call.is_delivered() {
            self.release_runs_of(&batch);
        }
        for delivery in &batch {
            self.runs.remove(&delivery.id);
        }
        settled.await;
        self.schedule.record_call(&batch, &call.outcome, ended);
    }

    /// Releases what follows these deliveries in the order of their keys: they failed.
    fn release_runs_of(&mut self, batch: &[Delivery]) {
        let failed = batch.iter().map(|delivery| self.runs.get(&delivery.id));
        let failed: BTreeSet<DeliveryId> = failed.flatten().copied().collect();
        let mut released = Vec::new();
        self.waiting.retain(|delivery| {
            let run = self.runs.get(&delivery.id);
            let is_released = run.is_some_and(|run| failed.contains(run));
            if is_released {
                released.push(delivery.id);
            }
            !is_released
        });
        for id in &released {
            self.runs.remove(id);
        }
        release_claims(&self.context, released);
    }
}
