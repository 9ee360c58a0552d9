//! The queue of a target whose messages may be merged: one call after another.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reflexarc_delivery::config::TargetConfig;
use reflexarc_delivery::{
    Batch, CallSchedule, CallTicket, Delivery, DeliveryId, FloodControl, NextCall, RateLimit,
    Receipt, SendError, WaitingDeliveries,
};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::target_gate::{TargetGate, pause_of};
use super::{
    Call, Claim, Claims, DispatchContext, Held, NOT_OURS, POLL_INTERVAL, Run, claim, earlier_calls,
    hold_claims, release_claims, send, settle, signed, time_until_due,
};
use crate::store::{ClaimLimit, Sender};
use crate::telemetry::TargetLabel;

/// Largest number of claimed deliveries that are sent one by one or listed in a digest.
// All of them are candidates for the next digest: when 300 alerts come within a minute and 20 calls
// are allowed, the queue must have all 300 at hand to merge them. Beyond 1,000 a digest lists only
// some of them anyway, and the rest stay cancellable in the outbox.
const MAX_CLAIMED: usize = 1_000;
/// Largest number of claims before a call.
// Firings that are held or merged make room for others, which must not wait behind them: with
// 100,000 firings of one rule, the message of another rule is found within some seconds.
const MAX_CLAIMS: usize = 16;

/// The shortest time between two claims while another node sends.
const SENDER_PAUSE: Duration = Duration::from_millis(100);

/// A day: a pause without an end is looked at again then, and ends before by a wake-up.
const FOREVER: Duration = Duration::from_secs(86_400);

/// Sends within a rate limit, and merges deliveries into digests when there are more of them than
/// calls; merges the firings of a rule beyond so many a minute.
pub(super) struct RateLimitedQueue {
    queue: TargetConfig,
    context: DispatchContext,
    gate: Arc<TargetGate>,
    wake: Arc<Notify>,
    schedule: CallSchedule,
    limit: Option<RateLimit>,
    floods: FloodControl,
    /// The zero of the clock of both limits.
    // A monotonic clock: if the wall clock were set back by an hour, calls would seem to lie in the
    // future, and the queue would rest for an hour.
    zero: Instant,
    /// Claimed, not sent yet; in the order of their events.
    waiting: WaitingDeliveries,
    /// The first delivery of the run that each of these belongs to.
    runs: BTreeMap<DeliveryId, DeliveryId>,
    /// Under which what waits was claimed.
    claims: Claims,
    /// Whether no other node sends to the target.
    is_sender: bool,
}

impl RateLimitedQueue {
    pub(super) fn new(
        queue: TargetConfig,
        context: DispatchContext,
        gate: Arc<TargetGate>,
        wake: Arc<Notify>,
        calls: Vec<SignedDuration>,
    ) -> Self {
        let limit = queue.target.rate_limit();
        // A call that ended 20 s ago did so at -20 s.
        let earlier = calls.into_iter().map(|age| -age);
        Self {
            schedule: CallSchedule::new(limit, earlier),
            floods: FloodControl::new(queue.firing_limit),
            claims: context.claims(),
            is_sender: true,
            queue,
            context,
            gate,
            wake,
            limit,
            zero: Instant::now(),
            waiting: WaitingDeliveries::default(),
            runs: BTreeMap::new(),
        }
    }

    pub(super) async fn run(mut self) {
        while !self.context.is_stopping() {
            let flooding = self.floods.flooding(self.now());
            self.gate.set_flooding(flooding, &self.context.metrics);
            self.release_what_may_not_be_sent();
            self.admit_test();
            let next = self.gate.next_call();
            if matches!(next, NextCall::After(_) | NextCall::Unknown) {
                // The receiver is down, or an operator has paused the target: what is claimed can
                // be cancelled again.
                let released = std::mem::take(&mut self.waiting);
                release_claims(&self.context, released.iter().map(|one| one.id));
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
                        // Not if it was taken over, and the other node has just called.
                        && self.schedule.wait(self.now()) == SignedDuration::ZERO
                        && let Some(ticket) = self.gate.begin()
                        && let Some(batch) = self.next_batch(probes)
                    {
                        self.call(ticket, batch).await;
                        continue;
                    }
                    if !self.is_sender {
                        // Each claim has sent that node a note.
                        tokio::time::sleep(SENDER_PAUSE).await;
                        POLL_INTERVAL
                    } else if self.waiting.is_empty() {
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

    /// Lets a test that an operator waits for begin when the rate limit allows a call: before all
    /// that waits in the outbox, and also while the receiver fails.
    fn admit_test(&mut self) {
        let now = self.now();
        let may_call = self.gate.has_test() && self.schedule.wait(now) == SignedDuration::ZERO;
        if may_call && self.gate.admit_test() {
            self.schedule
                .record_call(&[], &Ok(Receipt::complete("")), now);
        }
    }

    /// Releases what was claimed before a silence began, as the next claim asks about it, and what
    /// another node may have.
    fn release_what_may_not_be_sent(&mut self) {
        if !self.context.may_send(self.claims) {
            self.claims = self.context.claims();
            let released = std::mem::take(&mut self.waiting);
            release_claims(&self.context, released.iter().map(|one| one.id));
            self.runs.clear();
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

    /// Claims until `most` are claimed that are sent one by one, or nothing more is due.
    async fn refill(&mut self, most: usize) {
        for _ in 0..MAX_CLAIMS {
            let missing = most.saturating_sub(self.waiting.singles());
            // A probe needs one, of whatever kind.
            let is_full = missing == 0 || most == 1 && !self.waiting.is_empty();
            if is_full || self.held_bytes() >= self.context.delivery_bytes {
                return;
            }
            // Whole runs, so that a flood of one key goes into a digest as any other.
            let limit = ClaimLimit {
                deliveries: missing,
                run: missing,
                bytes: self
                    .context
                    .delivery_bytes
                    .saturating_sub(self.held_bytes()),
                retries_first: self.gate.prefers_retry(),
                // The limit is that of the target, and in the memory of who sends.
                sends_alone: true,
            };
            let Claim {
                runs: claimed,
                sender,
            } = claim(&self.queue, &self.context, limit).await;
            self.is_sender = sender != Sender::Other;
            if sender == Sender::TakenOver {
                self.take_over().await;
            }
            let count: usize = claimed.iter().map(Run::len).sum();
            self.add(claimed);
            // All that is due is claimed.
            if count < missing {
                return;
            }
        }
    }

    /// Begins to send to a target to which another node has sent: within its limit, its calls count.
    async fn take_over(&mut self) {
        let calls = match self.limit {
            Some(limit) => earlier_calls(&self.queue, &self.context, limit).await,
            None => Vec::new(),
        };
        let now = self.now();
        let earlier = calls.into_iter().map(|age| now - age);
        self.schedule = CallSchedule::new(self.limit, earlier);
        self.floods = FloodControl::new(self.queue.firing_limit);
    }

    /// Adds what was claimed, and releases firings that are held.
    fn add(&mut self, mut claimed: Vec<Run>) {
        let (now, wall) = (self.now(), self.context.clock.now());
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
        let mut held = Held::new();
        while let Some(Reverse((_, index))) = heap.pop() {
            let run = &mut claimed[index];
            let (Some(delivery), Some(first)) = (run.pop_front(), firsts[index]) else {
                continue;
            };
            heap.extend(next(run, index));
            let id = delivery.id;
            // After the clock was set back, the outbox offers claimed deliveries again.
            if self.runs.insert(id, first).is_some() {
                continue;
            }
            if let Err(later) = self.waiting.add(delivery, &mut self.floods, now) {
                let (_, until) = *later;
                // A millisecond later: what is held must not come back before its time because of
                // how the two clocks are rounded.
                let wait = (until - now).saturating_add(SignedDuration::from_millis(1));
                let due = wall.saturating_add(wait).unwrap_or(Timestamp::MAX);
                held.entry(due).or_default().push(id);
                self.runs.remove(&id);
            }
        }
        hold_claims(&self.queue, &self.context, held);
    }

    /// How many bytes of deliveries wait.
    fn held_bytes(&self) -> usize {
        self.waiting.iter().map(Delivery::bytes).sum()
    }

    /// The deliveries of the next call.
    fn next_batch(&mut self, is_probe: bool) -> Option<Batch> {
        let (target, now) = (&*self.queue.target, self.now());
        let floods = &mut self.floods;
        self.waiting
            .next_batch(&self.schedule, target, floods, is_probe, now)
    }

    async fn call(&mut self, ticket: CallTicket, batch: Batch) {
        let began = self.context.clock.now();
        let right = (ticket, self.claims);
        let is_recorded = self.record_beginning(&batch, began).await;
        if !is_recorded && self.context.nodes.are_shared() {
            // Another node may send now, within the same limit.
            let outcome = Err(SendError::transient(NOT_OURS));
            self.gate.record(ticket, &outcome, &self.context.metrics);
            release_claims(&self.context, ids(&batch));
            self.release_runs_of(&batch.deliveries);
            for delivery in &batch.deliveries {
                self.runs.remove(&delivery.id);
            }
            return;
        }
        let messages = batch.messages();
        let call = send(&self.queue, &self.context, &self.gate, right, &messages).await;
        // The receiver counts the call when it arrives, which is before the response: counted from
        // here, no window of the receiver has more calls than one of ours.
        let ended = self.now();
        self.record_end(&batch, began, &call);
        let settled = settle(&self.queue, &self.context, batch.clone(), &call);
        if !call.is_delivered() {
            self.release_runs_of(&batch.deliveries);
        }
        for delivery in &batch.deliveries {
            self.runs.remove(&delivery.id);
        }
        settled.await;
        self.schedule.record_call(&messages, &call.outcome, ended);
    }

    /// Records a call before it begins: if the process is killed during the call, the next one
    /// counts it all the same, and sends a digest again as the same one. Returns whether it counts.
    async fn record_beginning(&self, batch: &Batch, began: Timestamp) -> bool {
        let (store, name) = (&self.context.store, &self.queue.name);
        let is_new = |one: &Delivery| one.digest != batch.digest;
        let is_recorded = batch.digest.is_none() || !batch.deliveries.iter().any(is_new);
        let digest = (!is_recorded).then(|| store.submit_digest(ids(batch), batch.digest));
        let call = self.limit.map(|limit| {
            let since = began.saturating_sub(limit.per).unwrap_or(Timestamp::MIN);
            store.submit_call(name, began, since)
        });
        // Both are submitted before the first reply is awaited, so that they share a commit.
        if let Some(digest) = digest
            && let Err(error) = digest.await
        {
            let detail = format!(
                "cannot record a digest of {name}; after a crash its messages may be sent again \
                 under other ids: {error}"
            );
            self.context.store_failed("record digest", &detail);
        }
        if let Some(call) = call
            && let Err(error) = call.await
        {
            let consequence = if self.context.nodes.are_shared() {
                "it is not made"
            } else {
                "after a restart its rate limit may be exceeded"
            };
            let detail = format!("cannot record a call of {name}; {consequence}: {error}");
            self.context.store_failed("record call", &detail);
            return false;
        }
        true
    }

    /// Records that a call has ended, before its deliveries are settled.
    fn record_end(&self, batch: &Batch, began: Timestamp, call: &Call) {
        let (store, name) = (&self.context.store, &self.queue.name);
        if self.limit.is_some() {
            drop(store.submit_call_end(name, began, self.context.clock.now()));
        }
        let next = batch.next_digest(&call.outcome);
        if next != batch.digest {
            // Should it fail, the same digest is refused once more.
            drop(store.submit_digest(ids(batch), next));
        }
        let merged = batch.merged_firings();
        if merged > 0 && call.is_delivered() {
            let label = TargetLabel {
                target: name.clone(),
            };
            let counter = self.context.metrics.firings_merged.get_or_create(&label);
            counter.inc_by(u64::try_from(merged).unwrap_or(u64::MAX));
        }
    }

    /// Releases what follows these deliveries in the order of their keys: they failed.
    fn release_runs_of(&mut self, batch: &[Delivery]) {
        let failed = batch.iter().map(|delivery| self.runs.get(&delivery.id));
        let failed: BTreeSet<DeliveryId> = failed.flatten().copied().collect();
        let mut released = Vec::new();
        let runs = &self.runs;
        self.waiting.retain(|delivery| {
            let run = runs.get(&delivery.id);
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

fn ids(batch: &Batch) -> Vec<DeliveryId> {
    batch
        .deliveries
        .iter()
        .map(|delivery| delivery.id)
        .collect()
}
