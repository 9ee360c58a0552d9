//! Dispatch: one queue for each target, from a claim to a settled attempt.
//!
//! A queue repeats *claim* (take due deliveries out of the outbox), *send*, *decide* (the retry
//! policy) and *settle* (record the attempt). Queues share nothing but the store, so that a target
//! that hangs delays no other. There are two kinds: a `ConcurrentQueue` sends several deliveries at
//! a time, a `RateLimitedQueue` makes one call after another within a target's limits. A target
//! that takes calls of operations has a `CallQueue`, whose calls end in answers. In front
//! of each is a `TargetGate`: while it is shut (the receiver fails, or an operator has paused the
//! target), the queue claims nothing.

mod call_queue;
mod concurrent;
pub(crate) mod dead_letters;
mod queues;
mod rate_limited;
mod target_gate;
mod wake;

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reflexarc_delivery::config::TargetConfig;
use reflexarc_delivery::{
    Batch, CallTicket, Decision, Delivery, DeliveryId, RateLimit, Receipt, SendError, shorten,
};
use reflexarc_reaction::OwnCode;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use self::concurrent::ConcurrentQueue;
pub(crate) use self::queues::Queues;
use self::rate_limited::RateLimitedQueue;
pub use self::target_gate::TargetGates;
pub(crate) use self::target_gate::{TargetGate, TargetStatus, failing, flood_detail};
pub(crate) use self::wake::Wake;
use crate::clock::ServiceClock;
use crate::live::{AttemptEntry, LiveBroadcast, LiveEntry};
use crate::nodes::Nodes;
use crate::shutdown::stopped;
pub use crate::silences::WithholdingChanges;
use crate::store::{AttemptOutcome, ClaimLimit, EndedAttempt, Note, Reply, Sender, Settled, Store};
use crate::telemetry::{Metrics, ProblemKind, Redactor, Span, Stage, Telemetry};

/// What all queues share.
#[derive(Clone)]
pub struct DispatchContext {
    /// The store with the outbox.
    pub store: Arc<dyn Store>,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// By which the age of deliveries is computed.
    pub clock: ServiceClock,
    /// Removes secrets from recorded responses.
    pub redactor: Redactor,
    /// Records a span for each attempt.
    pub telemetry: Telemetry,
    /// When calls of each target may begin.
    pub gates: TargetGates,
    /// The largest total size of the deliveries that a queue has claimed, in bytes.
    pub delivery_bytes: usize,
    /// Where attempts are published.
    pub live: LiveBroadcast,
    /// When what withholds deliveries changed: what is claimed before may be withheld after.
    pub withholding: WithholdingChanges,
    /// Whether what is claimed may be sent.
    pub nodes: Nodes,
    /// True when the queue is to stop: it claims nothing more and finishes what it is sending.
    pub stop: watch::Receiver<bool>,
}

/// Largest part of a receiver's response that is recorded, in bytes.
const RESPONSE_BYTES: usize = 4_096;
/// Longest time between two looks into the outbox. The queues of this process are woken when there
/// is something for them, but other processes write to the outbox too (`reflexarc dlq redrive`).
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How long an operation on claimed deliveries is repeated while the store fails: shorter than
/// their claims last, after which others may have them.
const REPEAT_FOR: Duration = Duration::from_secs(600);

/// Largest number of deliveries that are settled in one job of the store.
const MAX_SETTLED: usize = 1_000;

/// A delivery with those that follow it in the order of its key: see
/// [`crate::store::Claimed::runs`].
type Run = VecDeque<Delivery>;
/// What this process has claimed may be withheld, or of another node, once this is another one; see
/// [`DispatchContext::claims`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Claims {
    withholding: u64,
    nodes: u64,
}

/// The outcome of a claim.
#[derive(Default)]
struct Claim {
    runs: Vec<Run>,
    sender: Sender,
}

/// Why something that was claimed is not sent.
const NOT_OURS: &str = "not sent: another node may have taken it over";

/// Deliveries that are held, by when they are due again.
type Held = BTreeMap<Timestamp, Vec<DeliveryId>>;

/// Serves one target until `context.stop` becomes true.
pub async fn serve(queue: TargetConfig, context: DispatchContext, wake: Arc<Notify>) {
    let gate = context.gates.open(&queue);
    set_order_wait(&queue, &context).await;
    let limit = queue.target.rate_limit();
    if limit.is_none() && queue.firing_limit.is_none() {
        ConcurrentQueue::new(queue, context, gate, wake).run().await;
        return;
    }
    // What may be merged is sent one after another, so `concurrency` is ignored.
    let calls = match limit {
        Some(limit) => earlier_calls(&queue, &context, limit).await,
        None => Vec::new(),
    };
    RateLimitedQueue::new(queue, context, gate, wake, calls)
        .run()
        .await;
}

/// Has the store order this target's deliveries as it is configured.
async fn set_order_wait(queue: &TargetConfig, context: &DispatchContext) {
    loop {
        let now = context.clock.now();
        let set = context
            .store
            .submit_order_wait(&queue.name, queue.order_wait, now);
        match set.await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                // The order before stays in effect, until the next start or reload.
                let detail = format!("cannot set `order_wait` of {}: {error}", queue.name);
                context.store_failed("set order_wait", &detail);
                return;
            }
        }
    }
}

/// How long ago the calls ended that a process before this one has made within the rate limit: the
/// receiver counts them too.
async fn earlier_calls(
    queue: &TargetConfig,
    context: &DispatchContext,
    limit: RateLimit,
) -> Vec<SignedDuration> {
    let now = context.clock.now();
    let since = now.saturating_sub(limit.per).unwrap_or(Timestamp::MIN);
    let calls = context
        .store
        .submit_recent_calls(&queue.name, since, now)
        .await;
    let calls = calls.unwrap_or_else(|error| {
        // As if all calls had just been made: too many would cost ten minutes without any.
        let detail = format!(
            "cannot read earlier calls of {}; waiting: {error}",
            queue.name
        );
        context.store_failed("read calls", &detail);
        vec![now; limit.calls]
    });
    // Not in the future, where a clock that was ahead has written them.
    let ages = calls
        .into_iter()
        .map(|at| now.duration_since(at).max(SignedDuration::ZERO));
    ages.collect()
}

/// Claims what is due. If the store fails, logs it and returns nothing after a pause.
async fn claim(queue: &TargetConfig, context: &DispatchContext, limit: ClaimLimit) -> Claim {
    if !context.nodes.may_send() {
        // The database was away, or this process was stopped: with the next beat it goes on.
        tokio::time::sleep(POLL_INTERVAL).await;
        return Claim::default();
    }
    // The lease is longer than anything that is still in order can take: a delivery may wait behind
    // others of the same claim, for one timeout or two, and a store that is busy may settle late.
    // An expired lease leads to a second send, so it is generous. After a crash nothing waits for
    // it: the next process releases all claims (`Store::release_claims`).
    let lease = signed(queue.timeout.saturating_mul(2)) + SignedDuration::from_mins(15);
    let reply = context
        .store
        .submit_claim(&queue.name, context.clock.now(), lease, limit)
        .await;
    match reply {
        Ok(claimed) => {
            let kept_back = u64::try_from(claimed.kept_back).unwrap_or(u64::MAX);
            context.metrics.kept_back.inc_by(kept_back);
            context.gates.record_look(&queue.name);
            if limit.sends_alone && claimed.sender == Sender::Other {
                context.store.notify(Note::Target(queue.name.clone()));
            }
            let runs = claimed.runs.into_iter().map(VecDeque::from).collect();
            let runs = if queue.calls.is_some() {
                runs
            } else {
                without_calls(queue, context, runs)
            };
            Claim {
                runs,
                sender: claimed.sender,
            }
        }
        Err(error) => {
            let detail = format!("cannot claim deliveries for {}: {error}", queue.name);
            context.store_failed("claim", &detail);
            // A store that fails (disk full, locked) fails again at once: without a pause this
            // would spin and fill the log.
            tokio::time::sleep(POLL_INTERVAL).await;
            Claim::default()
        }
    }
}

/// The runs of a target that takes messages, up to the first call of each, which it cannot take.
fn without_calls(queue: &TargetConfig, context: &DispatchContext, mut runs: Vec<Run>) -> Vec<Run> {
    for run in &mut runs {
        let Some(place) = run.iter().position(|one| one.action.is_call()) else {
            continue;
        };
        let rest = run.split_off(place);
        let reason = format!(
            "{} is of type {}, which takes no calls",
            queue.name,
            queue.target.kind()
        );
        let (id, now) = (rest[0].id, context.clock.now());
        // It takes effect when the claim is released. If the store fails, the next claim repeats it.
        drop(
            context
                .store
                .submit_withdraw_call(id, OwnCode::Undelivered, reason, now),
        );
        release_claims(context, rest.iter().map(|one| one.id));
    }
    runs.retain(|run| !run.is_empty());
    runs
}

/// Releases claims of deliveries that are not sent now; they are due at once, as far as their order
/// allows.
fn release_claims(context: &DispatchContext, deliveries: impl IntoIterator<Item = DeliveryId>) {
    let ids: Vec<_> = deliveries.into_iter().collect();
    if ids.is_empty() {
        return;
    }
    let context = context.clone();
    let submit = move |context: &DispatchContext| {
        context
            .store
            .submit_release(ids.clone(), context.clock.now())
    };
    // Submitted here, so that later claims of this queue come after it in the writer's order, but
    // not awaited.
    let reply = submit(&context);
    tokio::spawn(async move {
        until_stored(&context, "release", vec![submit], vec![reply]).await;
    });
}

/// Releases claims of firings that are held: they are due again at these times of the clock.
fn hold_claims(queue: &TargetConfig, context: &DispatchContext, held: Held) {
    let (context, target) = (context.clone(), queue.name.clone());
    let (mut submits, mut replies) = (Vec::new(), Vec::new());
    for (until, ids) in held {
        let target = target.clone();
        let submit = move |context: &DispatchContext| {
            let now = context.clock.now();
            context.store.submit_hold(&target, ids.clone(), until, now)
        };
        // As with `release_claims`: submitted here, and not awaited.
        replies.push(submit(&context));
        submits.push(submit);
    }
    if !submits.is_empty() {
        tokio::spawn(async move {
            until_stored(&context, "hold", submits, replies).await;
        });
    }
}

/// Waits for the replies of operations; while the store fails, submits those again that failed.
/// Returns what was stored: less than all if the queue is to stop, or the claims of the deliveries
/// may have ended.
//
// Otherwise a disk that is full for a minute would keep deliveries waiting for the end of their
// claims, a quarter of an hour, and those that have arrived would be sent again then.
async fn until_stored<T>(
    context: &DispatchContext,
    operation: &'static str,
    submit: Vec<impl Fn(&DispatchContext) -> Reply<T>>,
    mut replies: Vec<Reply<T>>,
) -> Vec<T> {
    let begun = Instant::now();
    let (mut stored, mut submit) = (Vec::new(), submit);
    loop {
        let mut failed = Vec::new();
        for (submit, reply) in submit.into_iter().zip(replies) {
            match reply.await {
                Ok(result) => stored.push(result),
                Err(error) => {
                    let detail = format!("{error}; it is repeated until it is stored");
                    context.store_failed(operation, &detail);
                    failed.push(submit);
                }
            }
        }
        if failed.is_empty() || begun.elapsed() > REPEAT_FOR {
            return stored;
        }
        let mut stop = context.stop.clone();
        let pause = tokio::time::timeout(POLL_INTERVAL, stopped(&mut stop)).await;
        if pause.is_ok() {
            // The next process releases all claims.
            return stored;
        }
        replies = failed.iter().map(|submit| submit(context)).collect();
        submit = failed;
    }
}

/// One call to a target and its outcome.
struct Call {
    started: Timestamp,
    duration: Duration,
    outcome: Result<Receipt, SendError>,
}

/// Sends a batch in one call, and records with the gate how it ended. `claims` is what
/// [`DispatchContext::claims`] was when it was taken out of what is claimed.
async fn send(
    queue: &TargetConfig,
    context: &DispatchContext,
    gate: &TargetGate,
    (ticket, claims): (CallTicket, Claims),
    batch: &[Delivery],
) -> Call {
    let (started, clock) = (context.clock.now(), Instant::now());
    // Targets have timeouts of their own for parts of a call (connecting, reading). This one is
    // around all of it, so that no target can hold up its queue.
    // In a block of its own, so that a panic while the future is made is caught too.
    let sending = catch_panic(async {
        // As late as possible: the process may have been stopped since.
        if context.still_has(claims) {
            queue.target.send(batch).await
        } else {
            Err(SendError::transient(NOT_OURS))
        }
    });
    let outcome = match tokio::time::timeout(queue.timeout, sending).await {
        Ok(outcome) => outcome.unwrap_or_else(|| {
            tracing::error!(
                to = queue.name,
                "panic while sending; the attempt counts as failed"
            );
            Err(SendError::transient("internal error while sending"))
        }),
        Err(_) => Err(SendError::transient(format!(
            "no response within {:#}",
            signed(queue.timeout)
        ))),
    };
    let call = Call {
        started,
        duration: clock.elapsed(),
        outcome,
    };
    // A digest is one attempt; what only shares a call is as many.
    let attempts = batch.len().min(queue.target.group_size());
    for _ in 0..attempts {
        context
            .metrics
            .attempt(&queue.name, call.outcome_name(), call.duration);
    }
    // Here and not when the attempt is settled: the next sends must not begin before.
    let redacted = redact(context, &call.outcome);
    gate.record(ticket, &redacted, &context.metrics);
    call
}

/// The outcome with an error that contains no secrets, shortened.
fn redact(
    context: &DispatchContext,
    outcome: &Result<Receipt, SendError>,
) -> Result<Receipt, SendError> {
    outcome.clone().map_err(|error| {
        let reason = recorded(context, error.reason());
        error.with_reason(reason)
    })
}

/// A receiver's response as it is recorded.
fn recorded(context: &DispatchContext, response: &str) -> String {
    // Redacted before it is shortened: a secret cut in half would not be recognised.
    shorten(&context.redactor.redact(response), RESPONSE_BYTES)
}

/// `None` if the future panics. A panic in a target must not end its queue, which nothing would
/// start again, and must not leave its delivery claimed: it is a failed attempt like any other.
async fn catch_panic<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    // Unwind safe: after a panic the future is not polled again.
    std::future::poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(value)) => Poll::Ready(Some(value)),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}

/// Decides for each delivery of a call and submits that. When it is committed, the future that this
/// returns is ready, with whether deliveries that waited for these may be claimed now.
//
// Submitting does not wait: what the caller submits afterwards comes later in the writer's order.
fn settle(
    queue: &TargetConfig,
    context: &DispatchContext,
    batch: Batch,
    call: &Call,
) -> impl Future<Output = bool> + Send + use<> {
    let outcome = redact(context, &call.outcome);
    let response = match &outcome {
        Ok(receipt) => recorded(context, &receipt.response),
        Err(error) => error.reason().to_owned(),
    };
    let (now, aging_now) = (context.clock.now(), context.clock.aging_now());
    let settlements = batch.settle(&queue.policy, &outcome, aging_now);
    let digest = batch.digest;
    // 10,000 firings in one message are one line of the log.
    let is_logged = batch.merged_firings() == 0;
    if let (false, Some(digest)) = (is_logged, digest) {
        log_merged(queue, &batch, digest, call, &response);
    }
    let settled = batch.deliveries.into_iter().zip(settlements);
    let ended = settled.map(|(mut delivery, mut settlement)| {
        // What is recorded with the attempt: a member of a digest may be sent alone.
        delivery.digest = digest;
        // The age is that without hours in which the machine may have been off; the next attempt
        // is due on the clock that claims compare with, or such hours would make it due at once.
        if let Decision::RetryAt(at) = &mut settlement.decision {
            *at = at
                .saturating_add(now.duration_since(aging_now))
                .unwrap_or(*at);
        }
        if is_logged {
            log_attempt(queue, &delivery, call, &response);
        }
        record_span(queue, context, &delivery, call, &response);
        let outcome = AttemptOutcome {
            started: call.started,
            took: signed(call.duration),
            outcome: call.outcome_name(),
            answer: response.clone(),
            delivered_parts: settlement.delivered_parts,
        };
        publish_attempt(context, &delivery, &outcome, Some(&settlement.decision));
        EndedAttempt {
            delivery,
            outcome,
            decision: settlement.decision,
        }
    });
    // As one job of the store, instead of a savepoint, a message and a reply for each.
    let mut ended: Vec<_> = ended.collect();
    let mut jobs = Vec::new();
    while !ended.is_empty() {
        let rest = ended.split_off(ended.len().min(MAX_SETTLED));
        let part = Arc::new(std::mem::replace(&mut ended, rest));
        let together = context.store.submit_settle_together(part.clone(), now);
        jobs.push((part, together));
    }
    let context = context.clone();
    async move {
        let mut next_is_due = false;
        for (ended, together) in jobs {
            let settled = match together.await {
                Ok(settled) => settled,
                Err(error) => {
                    let detail = format!("{error}; they are settled one by one");
                    context.store_failed("settle", &detail);
                    settle_each(&context, &ended).await
                }
            };
            next_is_due |= settled.iter().any(|settled| settled.next_is_due);
        }
        next_is_due
    }
}

/// Settles attempts one by one: one that cannot be settled, because its row is damaged, must not
/// keep others from it.
async fn settle_each(context: &DispatchContext, ended: &Arc<Vec<EndedAttempt>>) -> Vec<Settled> {
    let submits: Vec<_> = (0..ended.len())
        .map(|place| {
            let ended = ended.clone();
            move |context: &DispatchContext| {
                let EndedAttempt {
                    delivery,
                    outcome,
                    decision,
                } = ended[place].clone();
                let now = context.clock.now();
                let store = &context.store;
                store.submit_settle(delivery, outcome, decision, now)
            }
        })
        .collect();
    // All are submitted before the first reply is awaited, so that they share one commit.
    let replies = submits.iter().map(|submit| submit(context)).collect();
    until_stored(context, "settle", submits, replies).await
}

fn log_attempt(queue: &TargetConfig, delivery: &Delivery, call: &Call, response: &str) {
    tracing::info!(
        to = queue.name,
        delivery = %delivery.id,
        event = delivery.event.id,
        rule = delivery.rule,
        attempt = delivery.attempt,
        outcome = call.outcome_name(),
        answer = response,
        "attempt"
    );
}

/// Shows an attempt to those who listen.
fn publish_attempt(
    context: &DispatchContext,
    delivery: &Delivery,
    outcome: &AttemptOutcome,
    decision: Option<&Decision>,
) {
    if context.live.is_active() {
        let entry = AttemptEntry::new(delivery, outcome, decision.cloned());
        context.live.publish([LiveEntry::attempt(entry)]);
    }
}

/// Logs an attempt to send the message in place of merged firings.
fn log_merged(
    queue: &TargetConfig,
    batch: &Batch,
    digest: DeliveryId,
    call: &Call,
    response: &str,
) {
    let rule = batch.deliveries.first().map(|one| one.rule.as_str());
    tracing::info!(
        to = queue.name,
        %digest,
        rule,
        firings = batch.merged_firings(),
        outcome = call.outcome_name(),
        answer = response,
        "attempt"
    );
}

/// Records the span of an attempt.
fn record_span(
    queue: &TargetConfig,
    context: &DispatchContext,
    delivery: &Delivery,
    call: &Call,
    response: &str,
) {
    let outcome = call.outcome_name();
    if !context.telemetry.is_sampled(&delivery.event) {
        return;
    }
    context.telemetry.record(&Span {
        event: &delivery.event,
        stage: Stage::Deliver(delivery.id),
        started: call.started,
        duration: call.duration,
        attributes: vec![
            ("delivery.id", delivery.id.to_string().into()),
            ("delivery.target", queue.name.as_str().into()),
            ("delivery.rule", delivery.rule.as_str().into()),
            ("delivery.attempt", i64::from(delivery.attempt).into()),
            ("delivery.outcome", outcome.into()),
        ],
        error: call.outcome.is_err().then(|| response.to_owned()),
    });
}

/// How long until the next delivery is due, at most [`POLL_INTERVAL`].
fn time_until_due(queue: &TargetConfig, context: &DispatchContext) -> Duration {
    // A store that cannot be read is no reason to stop: the claim that follows reports the error.
    let due = context.store.next_due(&queue.name).ok().flatten();
    due.map_or(POLL_INTERVAL, |due| {
        due.duration_since(context.clock.now())
            .try_into()
            .unwrap_or(Duration::ZERO)
            .min(POLL_INTERVAL)
    })
}

/// A duration that can be compared with differences of instants.
fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

impl Call {
    /// Whether all of it was delivered: what follows in the order of its key may be sent.
    fn is_delivered(&self) -> bool {
        matches!(&self.outcome, Ok(receipt) if receipt.part.is_none())
    }

    fn outcome_name(&self) -> &'static str {
        self.outcome
            .as_ref()
            .map_or_else(SendError::outcome, Receipt::outcome)
    }
}

impl DispatchContext {
    /// What is claimed now is claimed under this.
    fn claims(&self) -> Claims {
        Claims {
            withholding: self.withholding.current(),
            nodes: self.nodes.generation(),
        }
    }

    /// Whether no other node has what this process had claimed.
    fn still_has(&self, claims: Claims) -> bool {
        self.nodes.may_send() && self.nodes.generation() == claims.nodes
    }

    /// Whether what was claimed may still be sent: nothing has begun since that may withhold it, and
    /// no other node may have it.
    fn may_send(&self, claims: Claims) -> bool {
        self.still_has(claims) && self.claims() == claims
    }

    /// Reports an operation of the store that failed.
    fn store_failed(&self, operation: &str, detail: &str) {
        let kind = ProblemKind::StoreOperationFailed;
        self.metrics.problems.report(kind, operation, 1, detail);
    }

    /// Whether `stop` is true, or its sender is gone.
    fn is_stopping(&mut self) -> bool {
        // `has_changed` fails when the sender was dropped, which happens if `Queues` is dropped
        // without `stop`.
        *self.stop.borrow_and_update() || self.stop.has_changed().is_err()
    }
}
