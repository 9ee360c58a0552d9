//! One queue per target: claims what is due, sends it, decides, settles. A dead target delays no other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::delivery::{Delivery, DeliveryId, Receipt, SendError};
use crate::log::Redactor;
use crate::metrics::Metrics;
use crate::pacing::{Pacing, judged, signed};
use crate::retry::RetryPolicy;
use crate::store::{Store, StoreError, Tried};
use crate::target::{Pace, Target, shorten};
use crate::telemetry::{Span, Stage, Telemetry};

/// How a target is served.
#[derive(Clone)]
pub struct Queue {
    /// The target's name.
    pub name: String,
    /// What sends.
    pub target: Arc<dyn Target>,
    /// How many sends at a time, at least 1. A target with a pace gets one at a time.
    pub concurrency: usize,
    /// How long one send may take.
    pub timeout: Duration,
    /// When to try again.
    pub policy: RetryPolicy,
    /// Stands for the settings that it was made from, secrets included: a reload leaves a queue alone that has the same.
    pub settings: Settings,
}

/// A digest of settings.
pub type Settings = [u8; 32];

/// What all queues share.
#[derive(Clone)]
pub struct Exchange {
    /// The outbox.
    pub store: Arc<Store>,
    /// Figures.
    pub metrics: Arc<Metrics>,
    /// Keeps secrets out of what is remembered of receivers' words.
    pub redactor: Redactor,
    /// Takes note of attempts.
    pub telemetry: Telemetry,
    /// Set to true when everything is to end: nothing more is claimed, what is under way is finished.
    pub stop: watch::Receiver<bool>,
}

/// Wakes queues when there is something for them.
#[derive(Clone, Default)]
pub struct Wake {
    queues: Arc<ArcSwap<BTreeMap<String, Arc<Notify>>>>,
}

/// How much of a receiver's words is kept.
const ANSWER_BYTES: usize = 4_096;
/// The longest a queue sleeps without looking: other processes put things into the outbox too (`dlq redrive`).
const LOOK: Duration = Duration::from_secs(1);
/// What one claim brings when deliveries may be merged.
const MERGE: usize = 1_000;

/// Serves one target until told to stop.
pub async fn serve(queue: Queue, exchange: Exchange, wake: Arc<Notify>) {
    match queue.target.pace() {
        Some(pace) => Paced::new(queue, exchange, wake, pace).run().await,
        None => free(queue, exchange, wake).await,
    }
}

/// Sends at most `concurrency` at a time.
async fn free(queue: Queue, mut exchange: Exchange, wake: Arc<Notify>) {
    let mut flying = JoinSet::new();
    // After the clock jumped back a claim looks void; what is under way must not be sent twice for that.
    let mut ids = BTreeSet::new();
    let mut paused_until = Instant::now();
    loop {
        let stopping = exchange.stopping();
        if stopping && flying.is_empty() {
            return;
        }
        let room = queue.concurrency.saturating_sub(flying.len());
        let mut idle = LOOK;
        if !stopping && room > 0 && paused_until <= Instant::now() {
            let claimed = claim(&queue, &exchange, room, &ids).await;
            idle = if claimed.is_empty() { sleep_until_due(&queue, &exchange) } else { Duration::ZERO };
            for delivery in claimed {
                ids.insert(delivery.id);
                let (queue, exchange) = (queue.clone(), exchange.clone());
                flying.spawn(async move {
                    let outcome = attempt(&queue, &exchange, std::slice::from_ref(&delivery)).await;
                    (delivery.id, outcome)
                });
            }
            if idle.is_zero() && flying.len() < queue.concurrency {
                continue;
            }
        }
        tokio::select! {
            Some(done) = flying.join_next() => {
                if let Ok((id, outcome)) = done {
                    ids.remove(&id);
                    if let Err(SendError::Throttled { pause, .. }) = outcome {
                        paused_until = Instant::now() + pause.unsigned_abs();
                    }
                }
            }
            () = wake.notified(), if room > 0 => {}
            () = tokio::time::sleep(idle.max(Duration::from_millis(1))), if !stopping && room > 0 => {}
            _ = exchange.stop.changed(), if !stopping => {}
        }
    }
}

/// A target that counts calls: one after the other, and merged when there are more deliveries than calls.
struct Paced {
    queue: Queue,
    exchange: Exchange,
    wake: Arc<Notify>,
    pacing: Pacing,
    /// The zero of the pacing's clock, which is never set back.
    zero: Instant,
    /// Claimed and not sent yet.
    waiting: VecDeque<Delivery>,
}

impl Paced {
    fn new(queue: Queue, exchange: Exchange, wake: Arc<Notify>, pace: Pace) -> Self {
        let (zero, wall) = (Instant::now(), Timestamp::now());
        // What an earlier process sent counts too.
        let since = wall.saturating_sub(signed(pace.per)).unwrap_or(Timestamp::MIN);
        let earlier = exchange.store.calls(&queue.name, since).unwrap_or_default();
        let pacing = Pacing::new(pace, earlier.into_iter().map(|at| at.duration_since(wall).min(SignedDuration::ZERO)));
        Self { queue, exchange, wake, pacing, zero, waiting: VecDeque::new() }
    }

    async fn run(mut self) {
        while !self.exchange.stopping() {
            let rest = match self.pacing.wait(self.now()) {
                SignedDuration::ZERO => {
                    self.refill().await;
                    if let Some(batch) = self.next_batch() {
                        self.call(batch).await;
                        continue;
                    }
                    if self.waiting.is_empty() { sleep_until_due(&self.queue, &self.exchange) } else { LOOK }
                }
                wait => wait.unsigned_abs(),
            };
            tokio::select! {
                () = self.wake.notified(), if self.waiting.is_empty() && rest <= LOOK => {}
                () = tokio::time::sleep(rest) => {}
                _ = self.exchange.stop.changed() => {}
            }
        }
    }

    fn now(&self) -> SignedDuration {
        signed(self.zero.elapsed())
    }

    async fn refill(&mut self) {
        if self.waiting.len() < MERGE {
            let ids = self.waiting.iter().map(|delivery| delivery.id).collect();
            self.waiting.extend(claim(&self.queue, &self.exchange, MERGE - self.waiting.len(), &ids).await);
        }
    }

    /// What the next call carries.
    fn next_batch(&mut self) -> Option<Vec<Delivery>> {
        if self.waiting.is_empty() {
            return None;
        }
        let count = self.pacing.batch(&*self.queue.target, self.waiting.make_contiguous());
        Some(self.waiting.drain(..count).collect())
    }

    async fn call(&mut self, batch: Vec<Delivery>) {
        let began = self.now();
        let outcome = attempt(&self.queue, &self.exchange, &batch).await;
        self.pacing.called(&batch, &outcome, began, self.now());
    }
}

/// What is due and not in `ids`. A store that fails is logged and asked again later.
async fn claim(queue: &Queue, exchange: &Exchange, limit: usize, ids: &BTreeSet<DeliveryId>) -> Vec<Delivery> {
    // Longer than a send can take; a killed process does not wait for it, see `Store::release_claims`.
    let lease = signed(queue.timeout.saturating_mul(2)) + SignedDuration::from_mins(15);
    let answer = exchange.store.claim_soon(&queue.name, Timestamp::now(), lease, limit).await;
    match answer.unwrap_or(Err(StoreError::Closed)) {
        Ok(claimed) => claimed.into_iter().filter(|delivery| !ids.contains(&delivery.id)).collect(),
        Err(error) => {
            tracing::error!(to = queue.name, %error, "cannot claim deliveries");
            tokio::time::sleep(LOOK).await;
            Vec::new()
        }
    }
}

/// One call: sends, decides for each delivery, settles.
async fn attempt(queue: &Queue, exchange: &Exchange, batch: &[Delivery]) -> Result<Receipt, SendError> {
    let (started, clock) = (Timestamp::now(), Instant::now());
    let outcome = match tokio::time::timeout(queue.timeout, queue.target.send(batch)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(SendError::later(format!("no answer within {:#}", signed(queue.timeout)))),
    };
    let took = clock.elapsed();
    let (word, answer) = match &outcome {
        Ok(receipt) => (receipt.outcome(), receipt.answer.as_str()),
        Err(error) => (error.outcome(), error.reason()),
    };
    let answer = shorten(&exchange.redactor.redact(answer), ANSWER_BYTES);
    exchange.metrics.attempt(&queue.name, word, took);
    let redacted = outcome.clone().map_err(|error| error.with_reason(answer.clone()));
    let judged = judged(&redacted, batch.len());
    let taken = match &outcome {
        Ok(Receipt { part: Some(part), .. }) => vec![part.clone()],
        Err(SendError::Partly { taken, .. }) => taken.clone(),
        _ => Vec::new(),
    };
    for delivery in batch {
        let now = Timestamp::now();
        let decision = queue.policy.decide(delivery, &judged, now);
        tracing::info!(
            to = queue.name,
            delivery = %delivery.id,
            event = delivery.event.id,
            rule = delivery.rule,
            attempt = delivery.attempt,
            outcome = word,
            answer,
            "attempt"
        );
        exchange.telemetry.note(&Span {
            event: &delivery.event,
            stage: Stage::Deliver(delivery.id),
            began: started,
            took,
            facts: vec![
                ("delivery.id", delivery.id.to_string().into()),
                ("delivery.target", queue.name.as_str().into()),
                ("delivery.rule", delivery.rule.as_str().into()),
                ("delivery.attempt", i64::from(delivery.attempt).into()),
                ("delivery.outcome", word.into()),
            ],
            fault: outcome.is_err().then(|| answer.clone()),
        });
        let tried = Tried { started, took: signed(took), outcome: word, answer: answer.clone(), taken: taken.clone() };
        let settled = exchange.store.settle_soon(delivery.clone(), tried, decision, now).await;
        if let Err(error) = settled.unwrap_or(Err(StoreError::Closed)) {
            tracing::error!(delivery = %delivery.id, %error, "cannot settle; it will be sent again under the same id");
        }
    }
    outcome
}

/// Until the next delivery is due, within [`LOOK`].
fn sleep_until_due(queue: &Queue, exchange: &Exchange) -> Duration {
    let due = exchange.store.next_due(&queue.name).ok().flatten();
    due.map_or(LOOK, |due| due.duration_since(Timestamp::now()).try_into().unwrap_or(Duration::ZERO).min(LOOK))
}

impl Wake {
    /// For the queues of these names.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        let wake = Self::default();
        wake.set(names);
        wake
    }

    /// From now on there are the queues of these names; one that was there before is woken as before.
    pub fn set(&self, names: impl IntoIterator<Item = String>) {
        let queues = names.into_iter().map(|name| {
            let notify = self.of(&name).unwrap_or_default();
            (name, notify)
        });
        self.queues.store(Arc::new(queues.collect()));
    }

    /// What the queue of this name waits for.
    pub fn of(&self, name: &str) -> Option<Arc<Notify>> {
        self.queues.load().get(name).cloned()
    }

    /// The names of the queues.
    pub fn names(&self) -> Vec<String> {
        self.queues.load().keys().cloned().collect()
    }

    /// Wakes the queues of these targets; what waits for a target that does not exist goes to the dead letters.
    pub fn wake(&self, targets: &[String], store: &Store, now: Timestamp) {
        for target in targets {
            match self.of(target) {
                Some(queue) => queue.notify_one(),
                None => store.bury_soon(target, self.stranger(target), now),
            }
        }
    }

    /// Why what waits for this target cannot be delivered.
    pub fn stranger(&self, target: &str) -> String {
        let known = self.names();
        let list =
            if known.is_empty() { "there is none".to_owned() } else { format!("there are {}", known.join(", ")) };
        format!("there is no target `{target}` in the configuration; {list}")
    }
}

impl Exchange {
    /// Told to stop, or left by whoever could tell.
    fn stopping(&mut self) -> bool {
        *self.stop.borrow_and_update() || self.stop.has_changed().is_err()
    }
}
