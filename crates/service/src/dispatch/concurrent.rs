//! The queue of a target without a rate limit.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use reflexarc_delivery::config::TargetConfig;
use reflexarc_delivery::{Batch, Delivery, DeliveryId, NextCall};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::target_gate::{TargetGate, pause_of};
use super::{
    Call, Claim, Claims, DispatchContext, POLL_INTERVAL, Run, claim, release_claims, send, settle,
    time_until_due,
};
use crate::store::ClaimLimit;

/// Sends at most `concurrency` deliveries at a time.
//
// Claiming and settling each wait for a commit that they share with incoming events. If a send
// waited for both, a target that takes 2 ms would get one delivery every 12 ms at a commit time of
// 5 ms. So the three steps overlap: while deliveries are being sent, the next ones are claimed
// ahead (`prefetch`) and the previous ones are settled.
//
//     claim    ├─ 1–8 ─┤        ├─ 9–24 ─┤
//     send             ├─ 1 ─┼─ 2 ─┼─ 3 ─┼─ 4 ─┤ …
//     settle                 ├── 1 ──┤
//                                  ├── 2 ──┤ …
pub(super) struct ConcurrentQueue {
    /// Shared with the sends and claims, which outlive a borrow.
    queue: Arc<TargetConfig>,
    context: DispatchContext,
    gate: Arc<TargetGate>,
    wake: Arc<Notify>,
    /// Each claim with that under which it was made.
    claiming: JoinSet<(Claims, Claim)>,
    /// Claimed, not being sent yet.
    waiting: VecDeque<Run>,
    /// Each call with what it carries: a single delivery, unless the target takes several together
    /// ([`Target::group_size`](reflexarc_delivery::Target::group_size)).
    sending: JoinSet<(Together, Call)>,
    /// What follows the deliveries that are being sent, in the order of their keys.
    behind: BTreeMap<DeliveryId, Run>,
    settling: JoinSet<(Vec<DeliveryId>, bool)>,
    /// How many deliveries are being settled.
    unsettled: usize,
    /// Every delivery that is waiting, being sent or being settled, with its size in bytes.
    // After the clock was set back, the outbox offers claimed deliveries again (see
    // `store::outbox::claim`), and these must not be sent twice.
    in_flight: BTreeMap<DeliveryId, usize>,
    /// The sum of these sizes.
    bytes_in_flight: usize,
    /// Deliveries that were claimed a second time while in flight.
    // A retry may be due so soon that the next claim takes it before this queue has seen the reply
    // of the settlement. That claim cannot be used, as the delivery still counts as in flight, and
    // if it were only forgotten, the retry would wait a quarter of an hour until its lease expires.
    // So it is released when the settlement's reply is there.
    reclaimed: BTreeSet<DeliveryId>,
    /// How many deliveries the next claim takes.
    prefetch: usize,
    /// When the last claim returned that took something.
    claimed_at: Instant,
    /// When the outbox is polled next, unless the queue is woken before.
    poll_at: Instant,
    /// Under which what waits was claimed.
    claims: Claims,
}

/// The deliveries of one call.
struct Together {
    /// Runs, one after another.
    deliveries: Vec<Delivery>,
    /// The length of each run.
    runs: Vec<usize>,
}

/// Largest number of deliveries in one claim, unless `concurrency` is larger.
// Bounds memory besides `Limits::delivery_bytes`, and how long the claim keeps others from the
// store: some milliseconds.
const MAX_PREFETCH: usize = 512;
/// A call takes no further run once what it carries is this large, in bytes: its text is in memory
/// as well.
const GROUP_BYTES: usize = 1 << 20;
/// Largest number of deliveries of one key in a claim.
// They are sent one after another while others are claimed and sent beside them. A claim and a
// settlement for each of them would cost two commits between two sends, 10 ms on a slow disk; so it
// is two commits for 16 sends. More would bring little, and hold what an operator may cancel.
const MAX_RUN: usize = 16;
/// How many claims of the largest size are held at one time, when runs of many keys wait.
const MAX_CLAIMS_HELD: usize = 4;
/// Largest number of deliveries being settled at one time.
// A target that is faster than the disk would otherwise pile up settlements without bound, and all
// of them would be sent again after a crash.
const MAX_SETTLING: usize = 1_024;
/// How long the deliveries of one claim should last.
// A claimed delivery is sent even if an operator cancels it meanwhile, so a claim takes no more
// than is sent soon. Too little would be as bad: each claim costs a commit.
const CLAIM_DURATION: Duration = Duration::from_millis(100);

impl ConcurrentQueue {
    pub(super) fn new(
        queue: TargetConfig,
        context: DispatchContext,
        gate: Arc<TargetGate>,
        wake: Arc<Notify>,
    ) -> Self {
        let now = Instant::now();
        let claims = context.claims();
        Self {
            prefetch: queue.concurrency,
            queue: Arc::new(queue),
            context,
            gate,
            wake,
            claiming: JoinSet::new(),
            waiting: VecDeque::new(),
            sending: JoinSet::new(),
            behind: BTreeMap::new(),
            settling: JoinSet::new(),
            unsettled: 0,
            in_flight: BTreeMap::new(),
            bytes_in_flight: 0,
            reclaimed: BTreeSet::new(),
            claimed_at: now,
            poll_at: now,
            claims,
        }
    }

    /// Runs until `stop` becomes true, then finishes the sends that are running. Claimed deliveries
    /// are released by the queue or process that comes next.
    pub(super) async fn run(mut self) {
        loop {
            let stopping = self.context.is_stopping();
            let idle = self.claiming.is_empty() && self.sending.is_empty();
            // `waiting` may be non-empty: those deliveries were claimed but not sent.
            if stopping && idle && self.settling.is_empty() {
                return;
            }
            if !stopping {
                self.release_what_may_not_be_sent();
                self.start_claim();
                self.start_sends();
                self.release_waiting();
            }
            // While the gate is shut the queue sleeps until it may open, although something is due.
            // Without a time it is woken by the probe that ends, or by an operator.
            let pause = pause_of(self.gate.next_call()).filter(|_| !stopping);
            let should_poll = pause == Some(Duration::ZERO) && self.needs_more();
            let should_poll = should_poll && self.unsettled < MAX_SETTLING && self.room() > 0;
            let shut = pause.filter(|pause| !pause.is_zero());
            let wake_at = match shut {
                Some(pause) => Instant::now() + pause,
                // At least a millisecond ahead, so that rounding in the timer cannot make this
                // spin.
                None => self.poll_at.max(Instant::now() + Duration::from_millis(1)),
            };
            tokio::select! {
                // An empty JoinSet returns None at once; the pattern disables its branch then. Its
                // errors are panics, which `send` catches; claims and settlements only wait for the
                // store.
                Some(claimed) = self.claiming.join_next() => {
                    if let Ok((claims, claimed)) = claimed {
                        self.finish_claim(claims, claimed.runs);
                    }
                }
                Some(sent) = self.sending.join_next() => {
                    if let Ok((batch, call)) = sent {
                        self.start_settle(batch, &call);
                    }
                }
                Some(settled) = self.settling.join_next() => {
                    if let Ok((ids, next_is_due)) = settled {
                        self.finish_settle(&ids, next_is_due);
                    }
                }
                () = self.wake.notified(), if should_poll => self.poll_at = Instant::now(),
                () = tokio::time::sleep_until(wake_at), if should_poll || shut.is_some() => {}
                () = self.gate.changed() => self.poll_at = Instant::now(),
                _ = self.context.stop.changed(), if !stopping => {}
            }
        }
    }

    /// Whether fewer deliveries may be sent now than can be sent at one time, and none are on their
    /// way.
    // A target that takes several together needs as many while it writes those before: with a claim
    // only when none is left, writing and claiming would take turns.
    fn needs_more(&self) -> bool {
        let few = self.waiting.len() < self.queue.concurrency;
        let is_grouped = self.queue.target.group_size() > 1;
        self.claiming.is_empty() && (few || is_grouped && self.held() < self.enough())
    }

    /// How many held deliveries are enough for the next sends.
    fn enough(&self) -> usize {
        let size = self.queue.target.group_size();
        self.queue.concurrency.max(size)
    }

    /// How many bytes the next claim may take.
    fn room(&self) -> usize {
        let most = self.context.delivery_bytes;
        most.saturating_sub(self.bytes_in_flight)
    }

    /// How many deliveries are claimed and not being sent yet.
    fn held(&self) -> usize {
        let runs = self.waiting.iter().chain(self.behind.values());
        runs.map(VecDeque::len).sum()
    }

    /// The largest number of deliveries in one claim.
    fn most(&self) -> usize {
        MAX_PREFETCH.max(self.queue.concurrency)
    }

    /// How many deliveries a claim may take now: 0 while the gate is shut or the store does not
    /// keep up with settling.
    fn claimable(&self) -> usize {
        match self.gate.next_call() {
            _ if self.unsettled >= MAX_SETTLING || self.room() == 0 => 0,
            // Runs of many keys together must not be without bound.
            NextCall::Now => {
                let most_held = MAX_CLAIMS_HELD * self.most();
                self.prefetch.min(most_held.saturating_sub(self.held()))
            }
            // One delivery is enough to find out whether the receiver is back.
            NextCall::Probe if self.waiting.is_empty() => 1,
            NextCall::Probe | NextCall::After(_) | NextCall::Unknown => 0,
        }
    }

    /// Claims the next deliveries in the background.
    fn start_claim(&mut self) {
        let now = Instant::now();
        if !self.needs_more() || now < self.poll_at || self.claimable() == 0 {
            return;
        }
        // `prefetch` follows the target's speed: it doubles when the last claim lasted less than
        // CLAIM_DURATION and halves when it lasted more than four times that; in between it stays,
        // so that it does not swing. Example: 4 sends at a time of 10 ms each are 400 deliveries a
        // second. The first claim takes 8, which last 20 ms, so the next ones take 16, 32 and 64;
        // 64 last 160 ms, and it stays at 64. If the target slows down to 100 ms a send, 64 last
        // 1.6 s, and the next claims take 32 (0.8 s) and 16 (0.4 s).
        let lasted = now.duration_since(self.claimed_at);
        if self.held() >= self.enough() {
            // What was claimed last is not sent yet: it waits in the order of its keys.
        } else if lasted < CLAIM_DURATION {
            self.prefetch = (self.prefetch * 2).min(self.most());
        } else if lasted > 4 * CLAIM_DURATION {
            self.prefetch = (self.prefetch / 2).max(self.queue.concurrency);
        }
        let (queue, context) = (self.queue.clone(), self.context.clone());
        let limit = ClaimLimit {
            deliveries: self.claimable(),
            run: MAX_RUN,
            bytes: self.room(),
            retries_first: self.gate.prefers_retry(),
            sends_alone: false,
        };
        self.claiming
            .spawn(async move { (context.claims(), claim(&queue, &context, limit).await) });
    }

    fn finish_claim(&mut self, claims: Claims, claimed: Vec<Run>) {
        let now = Instant::now();
        if !self.context.may_send(claims) {
            release_claims(
                &self.context,
                claimed.into_iter().flatten().map(|one| one.id),
            );
            self.poll_at = now;
            return;
        }
        let before = self.waiting.len();
        for mut run in claimed {
            // From a delivery that is in flight on, the run is left out: the order of the others is
            // decided when that one is settled.
            let known = run
                .iter()
                .position(|one| self.in_flight.contains_key(&one.id));
            let others = run.split_off(known.unwrap_or(run.len())).into_iter();
            let (known, others): (Vec<_>, Vec<_>) = others
                .map(|one| one.id)
                .partition(|id| self.in_flight.contains_key(id));
            self.reclaimed.extend(known);
            release_claims(&self.context, others);
            for one in &run {
                let bytes = one.bytes();
                self.bytes_in_flight += bytes;
                self.in_flight.insert(one.id, bytes);
            }
            if !run.is_empty() {
                self.waiting.push_back(run);
            }
        }
        // Nothing new: rest until something is due. Otherwise the next claim follows at once.
        if self.waiting.len() == before {
            let rest = time_until_due(&self.queue, &self.context).min(POLL_INTERVAL);
            self.poll_at = now + rest;
        } else {
            self.claimed_at = now;
        }
    }

    fn start_sends(&mut self) {
        while self.sending.len() < self.queue.concurrency
            && self.unsettled < MAX_SETTLING
            && !self.waiting.is_empty()
            && let is_probe = self.gate.next_call() == NextCall::Probe
            && let Some(ticket) = self.gate.begin()
        {
            let batch = self.next_call(is_probe);
            let (queue, context) = (self.queue.clone(), self.context.clone());
            let (gate, right) = (self.gate.clone(), (ticket, self.claims));
            self.sending.spawn(async move {
                let call = send(&queue, &context, &gate, right, &batch.deliveries).await;
                (batch, call)
            });
        }
    }

    /// Takes what the next call carries: the next delivery or, where the target takes several
    /// together, as many whole runs as fit. A probe carries one.
    //
    // Whole runs, because the order of a key is that of the call; and because a target of one
    // resource would else get one delivery for each sync.
    fn next_call(&mut self, is_probe: bool) -> Together {
        let size = self.queue.target.group_size();
        let mut batch = Together {
            deliveries: Vec::new(),
            runs: Vec::new(),
        };
        let mut bytes = 0;
        while size > 1
            && !is_probe
            && bytes < GROUP_BYTES
            && let Some(run) = self.waiting.front()
            && batch.deliveries.len() + run.len() <= size
        {
            bytes += run.iter().map(Delivery::bytes).sum::<usize>();
            batch.runs.push(run.len());
            batch
                .deliveries
                .extend(self.waiting.pop_front().into_iter().flatten());
        }
        if batch.runs.is_empty()
            && let Some(mut run) = self.waiting.pop_front()
            && let Some(first) = run.pop_front()
        {
            if !run.is_empty() {
                self.behind.insert(first.id, run);
            }
            batch.runs.push(1);
            batch.deliveries.push(first);
        }
        batch
    }

    /// Releases what was claimed before the gate shut: it may be shut for an hour, in which an
    /// operator can cancel these deliveries, and their claims would expire.
    fn release_waiting(&mut self) {
        let shut = matches!(
            self.gate.next_call(),
            NextCall::After(_) | NextCall::Unknown
        );
        if shut {
            let released: Vec<_> = self.waiting.drain(..).flatten().collect();
            self.release(released);
        }
    }

    /// Releases what was claimed before a silence began, as the next claim asks about it, and what
    /// another node may have.
    fn release_what_may_not_be_sent(&mut self) {
        if !self.context.may_send(self.claims) {
            self.claims = self.context.claims();
            let mut released: Vec<_> = self.waiting.drain(..).flatten().collect();
            let behind = std::mem::take(&mut self.behind);
            released.extend(behind.into_values().flatten());
            self.release(released);
            self.poll_at = Instant::now();
        }
    }

    fn release(&mut self, deliveries: impl IntoIterator<Item = Delivery>) {
        let ids: Vec<_> = deliveries.into_iter().map(|delivery| delivery.id).collect();
        for id in &ids {
            self.leave(*id);
        }
        release_claims(&self.context, ids);
    }

    /// A delivery is not in flight any more.
    fn leave(&mut self, id: DeliveryId) {
        self.bytes_in_flight -= self.in_flight.remove(&id).unwrap_or_default();
    }

    /// Settles the deliveries of a call. What follows a delivery in the order of its key is sent if
    /// it was delivered, and released otherwise: only the first of each run has failed then.
    //
    // It is sent before the settlement is committed. If the process is killed between the two, both
    // are sent again in the next process, in their order, under the same ids.
    fn start_settle(&mut self, batch: Together, call: &Call) {
        let Together { deliveries, runs } = batch;
        let (mut ended, mut behind) = (deliveries, Vec::new());
        if !call.is_delivered() {
            let mut all = ended.into_iter();
            ended = Vec::new();
            for length in runs {
                ended.extend(all.next());
                behind.extend(all.by_ref().take(length.saturating_sub(1)));
            }
        }
        let ids: Vec<_> = ended.iter().map(|delivery| delivery.id).collect();
        for id in &ids {
            match self.behind.remove(id) {
                // At the end: other keys have their turn in between.
                Some(run) if call.is_delivered() => self.waiting.push_back(run),
                Some(run) => behind.extend(run),
                None => {}
            }
        }
        let ended = Batch::separate(ended);
        let settled = settle(&self.queue, &self.context, ended, call);
        self.unsettled += ids.len();
        self.settling.spawn(async move { (ids, settled.await) });
        // After the settlement in the writer's order, which tells the store how long it waits.
        self.release(behind);
    }

    fn finish_settle(&mut self, ids: &[DeliveryId], next_is_due: bool) {
        self.unsettled -= ids.len();
        let mut reclaimed = Vec::new();
        for id in ids {
            self.leave(*id);
            if self.reclaimed.remove(id) {
                reclaimed.push(*id);
            }
        }
        if next_is_due || !reclaimed.is_empty() {
            self.poll_at = Instant::now();
        }
        release_claims(&self.context, reclaimed);
    }
}
