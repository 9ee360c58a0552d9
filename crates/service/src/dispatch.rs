//! One queue per target: claims what is due, sends it, decides, settles. A dead target delays no other.

mod free;
mod paced;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use self::free::Free;
use self::paced::Paced;
use crate::log::Redactor;
use crate::metrics::Metrics;
use crate::store::{Store, StoreError, Tried};
use crate::telemetry::{Span, Stage, Telemetry};
use reflexarc_delivery::RetryPolicy;
use reflexarc_delivery::{Delivery, DeliveryId, Receipt, SendError};
use reflexarc_delivery::{Target, shorten};

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

/// Serves one target until told to stop.
pub async fn serve(queue: Queue, exchange: Exchange, wake: Arc<Notify>) {
    match queue.target.rate_limit() {
        Some(pace) => Paced::new(queue, exchange, wake, pace).run().await,
        None => Free::new(queue, exchange, wake).run().await,
    }
}

/// What is due and not in `ids`. A store that fails is logged and asked again later.
async fn claim(
    queue: &Queue,
    exchange: &Exchange,
    limit: usize,
    ids: &BTreeSet<DeliveryId>,
) -> Vec<Delivery> {
    // Longer than a send can take; a killed process does not wait for it, see `Store::release_claims`.
    let lease = signed(queue.timeout.saturating_mul(2)) + SignedDuration::from_mins(15);
    let answer = exchange
        .store
        .claim_soon(&queue.name, Timestamp::now(), lease, limit)
        .await;
    match answer.unwrap_or(Err(StoreError::Closed)) {
        Ok(claimed) => claimed
            .into_iter()
            .filter(|delivery| !ids.contains(&delivery.id))
            .collect(),
        Err(error) => {
            tracing::error!(to = queue.name, %error, "cannot claim deliveries");
            tokio::time::sleep(LOOK).await;
            Vec::new()
        }
    }
}

/// One call: sends, decides for each delivery, settles.
async fn attempt(
    queue: &Queue,
    exchange: &Exchange,
    batch: &[Delivery],
) -> Result<Receipt, SendError> {
    let call = send(queue, exchange, batch).await;
    settle(queue, exchange, batch, &call).await;
    call.outcome
}

/// A call that was made.
struct Call {
    started: Timestamp,
    took: Duration,
    outcome: Result<Receipt, SendError>,
}

async fn send(queue: &Queue, exchange: &Exchange, batch: &[Delivery]) -> Call {
    let (started, clock) = (Timestamp::now(), Instant::now());
    let outcome = match tokio::time::timeout(queue.timeout, queue.target.send(batch)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(SendError::transient(format!(
            "no answer within {:#}",
            signed(queue.timeout)
        ))),
    };
    let call = Call {
        started,
        took: clock.elapsed(),
        outcome,
    };
    exchange
        .metrics
        .attempt(&queue.name, call.word(), call.took);
    call
}

/// Decides for each delivery of a call, and has it remembered; returns after the commit.
async fn settle(queue: &Queue, exchange: &Exchange, batch: &[Delivery], call: &Call) {
    let (
        word,
        Call {
            started,
            took,
            outcome,
        },
    ) = (call.word(), call);
    let answer = match outcome {
        Ok(receipt) => receipt.response.as_str(),
        Err(error) => error.reason(),
    };
    let answer = shorten(&exchange.redactor.redact(answer), ANSWER_BYTES);
    let redacted = outcome
        .clone()
        .map_err(|error| error.with_reason(answer.clone()));
    let mut settling = Vec::new();
    for delivery in batch {
        let now = Timestamp::now();
        let settlement =
            reflexarc_delivery::settle(&queue.policy, delivery, &redacted, batch.len(), now);
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
            began: *started,
            took: *took,
            facts: vec![
                ("delivery.id", delivery.id.to_string().into()),
                ("delivery.target", queue.name.as_str().into()),
                ("delivery.rule", delivery.rule.as_str().into()),
                ("delivery.attempt", i64::from(delivery.attempt).into()),
                ("delivery.outcome", word.into()),
            ],
            fault: outcome.is_err().then(|| answer.clone()),
        });
        let tried = Tried {
            started: *started,
            took: signed(*took),
            outcome: word,
            answer: answer.clone(),
            taken: settlement.delivered_parts,
        };
        settling.push((
            delivery.id,
            exchange
                .store
                .settle_soon(delivery.clone(), tried, settlement.decision, now),
        ));
    }
    for (id, settled) in settling {
        if let Err(error) = settled.await.unwrap_or(Err(StoreError::Closed)) {
            tracing::error!(delivery = %id, %error, "cannot settle; it will be sent again under the same id");
        }
    }
}

/// A length of time that can be compared with differences.
fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// Until the next delivery is due, within [`LOOK`].
fn sleep_until_due(queue: &Queue, exchange: &Exchange) -> Duration {
    let due = exchange.store.next_due(&queue.name).ok().flatten();
    due.map_or(LOOK, |due| {
        due.duration_since(Timestamp::now())
            .try_into()
            .unwrap_or(Duration::ZERO)
            .min(LOOK)
    })
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
        let list = if known.is_empty() {
            "there is none".to_owned()
        } else {
            format!("there are {}", known.join(", "))
        };
        format!("there is no target `{target}` in the configuration; {list}")
    }
}

impl Call {
    fn word(&self) -> &'static str {
        self.outcome
            .as_ref()
            .map_or_else(SendError::outcome, Receipt::outcome)
    }
}

impl Exchange {
    /// Told to stop, or left by whoever could tell.
    fn stopping(&mut self) -> bool {
        *self.stop.borrow_and_update() || self.stop.has_changed().is_err()
    }
}
