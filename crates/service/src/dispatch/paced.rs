//! The queue of a target that counts calls: one call after the other.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Exchange, LOOK, Queue, attempt, claim, signed, sleep_until_due};
use reflexarc_delivery::CallSchedule;
use reflexarc_delivery::Delivery;
use reflexarc_delivery::RateLimit;

/// What one claim brings when deliveries may be merged.
const MERGE: usize = 1_000;

/// Merges deliveries when there are more of them than calls.
pub(super) struct Paced {
    queue: Queue,
    exchange: Exchange,
    wake: Arc<Notify>,
    pacing: CallSchedule,
    /// The zero of the pacing's clock, which is never set back.
    zero: Instant,
    /// Claimed and not sent yet.
    waiting: VecDeque<Delivery>,
}

impl Paced {
    pub(super) fn new(
        queue: Queue,
        exchange: Exchange,
        wake: Arc<Notify>,
        pace: RateLimit,
    ) -> Self {
        let (zero, wall) = (Instant::now(), Timestamp::now());
        // What an earlier process sent counts too.
        let since = wall.saturating_sub(pace.per).unwrap_or(Timestamp::MIN);
        let earlier = exchange.store.calls(&queue.name, since).unwrap_or_default();
        let pacing = CallSchedule::new(
            Some(pace),
            earlier
                .into_iter()
                .map(|at| at.duration_since(wall).min(SignedDuration::ZERO)),
        );
        Self {
            queue,
            exchange,
            wake,
            pacing,
            zero,
            waiting: VecDeque::new(),
        }
    }

    pub(super) async fn run(mut self) {
        while !self.exchange.stopping() {
            let rest = match self.pacing.wait(self.now()) {
                SignedDuration::ZERO => {
                    self.refill().await;
                    if let Some(batch) = self.next_batch() {
                        self.call(batch).await;
                        continue;
                    }
                    if self.waiting.is_empty() {
                        sleep_until_due(&self.queue, &self.exchange)
                    } else {
                        LOOK
                    }
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
            self.waiting.extend(
                claim(
                    &self.queue,
                    &self.exchange,
                    MERGE - self.waiting.len(),
                    &ids,
                )
                .await,
            );
        }
    }

    /// What the next call carries.
    fn next_batch(&mut self) -> Option<Vec<Delivery>> {
        if self.waiting.is_empty() {
            return None;
        }
        let count = self
            .pacing
            .batch_size(&*self.queue.target, self.waiting.make_contiguous());
        Some(self.waiting.drain(..count).collect())
    }

    async fn call(&mut self, batch: Vec<Delivery>) {
        let began = self.now();
        let outcome = attempt(&self.queue, &self.exchange, &batch).await;
        self.pacing.record_call(&batch, &outcome, began, self.now());
    }
}
