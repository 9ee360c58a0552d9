//! The queue of a target that counts nothing: some sends at a time, and the store asked for more meanwhile.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Call, Exchange, LOOK, Queue, claim, send, settle, sleep_until_due};
use reflexarc_delivery::{Delivery, DeliveryId, SendError};

/// Sends at most `concurrency` at a time. Claiming and settling share the store's commits with the events that come in, so
/// they go on beside the sends, which would otherwise wait for two commits each.
pub(super) struct Free {
    queue: Queue,
    exchange: Exchange,
    wake: Arc<Notify>,
    claiming: JoinSet<Vec<Delivery>>,
    /// Claimed and not sent yet.
    waiting: VecDeque<Delivery>,
    sending: JoinSet<(Delivery, Call)>,
    settling: JoinSet<DeliveryId>,
    /// All that is waiting, sent or settled: after the clock jumped back a claim looks void, and what is under way must not
    /// be sent twice for that.
    ids: BTreeSet<DeliveryId>,
    /// Claimed once more while they were under way. When they are settled that claim is given up: it came to nothing if the
    /// delivery arrived, and stands in the way if it is to be tried again.
    twice: BTreeSet<DeliveryId>,
    /// How many are claimed at a time. What is claimed cannot be cancelled, so it is no more than what is soon sent.
    ahead: usize,
    claimed_at: Instant,
    /// When the store is to be asked again, unless somebody says that there is something.
    look_at: Instant,
    paused_until: Instant,
}

/// Most that are claimed at a time.
const AHEAD: usize = 256;
/// Most that are being settled at a time.
const SETTLING: usize = 1_024;
/// What is claimed should be sent within about so long.
const SOON: Duration = Duration::from_millis(100);

impl Free {
    pub(super) fn new(queue: Queue, exchange: Exchange, wake: Arc<Notify>) -> Self {
        let now = Instant::now();
        Self {
            ahead: queue.concurrency,
            queue,
            exchange,
            wake,
            claiming: JoinSet::new(),
            waiting: VecDeque::new(),
            sending: JoinSet::new(),
            settling: JoinSet::new(),
            ids: BTreeSet::new(),
            twice: BTreeSet::new(),
            claimed_at: now,
            look_at: now,
            paused_until: now,
        }
    }

    /// Until told to stop; then what is being sent is finished, and what was only claimed is left to whoever comes next.
    pub(super) async fn run(mut self) {
        loop {
            let stopping = self.exchange.stopping();
            if stopping
                && self.claiming.is_empty()
                && self.sending.is_empty()
                && self.settling.is_empty()
            {
                return;
            }
            if !stopping {
                self.claim();
                self.send();
            }
            let hungry = !stopping
                && self.may_send()
                && self.claiming.is_empty()
                && self.waiting.len() < self.queue.concurrency;
            let paused = !stopping && self.paused_until > Instant::now();
            let rest = if paused {
                self.paused_until
            } else {
                self.look_at
            };
            tokio::select! {
                Some(claimed) = self.claiming.join_next() => self.claimed(claimed.unwrap_or_default()),
                Some(sent) = self.sending.join_next() => {
                    if let Ok((delivery, call)) = sent {
                        self.sent(delivery, call);
                    }
                }
                Some(settled) = self.settling.join_next() => {
                    if let Ok(id) = settled {
                        self.settled(id);
                    }
                }
                () = self.wake.notified(), if hungry => self.look_at = Instant::now(),
                () = tokio::time::sleep_until(rest.max(Instant::now() + Duration::from_millis(1))), if hungry || paused => {}
                _ = self.exchange.stop.changed(), if !stopping => {}
            }
        }
    }

    fn may_send(&self) -> bool {
        self.paused_until <= Instant::now() && self.settling.len() < SETTLING
    }

    fn claim(&mut self) {
        let now = Instant::now();
        let enough = !self.claiming.is_empty() || self.waiting.len() >= self.queue.concurrency;
        if enough || now < self.look_at || !self.may_send() {
            return;
        }
        let took = now.duration_since(self.claimed_at);
        if took < SOON {
            self.ahead = (self.ahead * 2).min(AHEAD.max(self.queue.concurrency));
        } else if took > 4 * SOON {
            self.ahead = (self.ahead / 2).max(self.queue.concurrency);
        }
        let (queue, exchange, limit) = (self.queue.clone(), self.exchange.clone(), self.ahead);
        self.claiming
            .spawn(async move { claim(&queue, &exchange, limit, &BTreeSet::new()).await });
    }

    fn claimed(&mut self, claimed: Vec<Delivery>) {
        self.claimed_at = Instant::now();
        let before = self.waiting.len();
        for delivery in claimed {
            if self.ids.insert(delivery.id) {
                self.waiting.push_back(delivery);
            } else {
                self.twice.insert(delivery.id);
            }
        }
        if self.waiting.len() == before {
            self.look_at = self.claimed_at + sleep_until_due(&self.queue, &self.exchange).min(LOOK);
        }
    }

    fn settled(&mut self, id: DeliveryId) {
        self.ids.remove(&id);
        if self.twice.remove(&id) {
            self.exchange.store.release_claim_soon(id, Timestamp::now());
            self.look_at = Instant::now();
        }
    }

    fn send(&mut self) {
        while self.sending.len() < self.queue.concurrency
            && self.may_send()
            && let Some(delivery) = self.waiting.pop_front()
        {
            let (queue, exchange) = (self.queue.clone(), self.exchange.clone());
            self.sending.spawn(async move {
                let call = send(&queue, &exchange, std::slice::from_ref(&delivery)).await;
                (delivery, call)
            });
        }
    }

    fn sent(&mut self, delivery: Delivery, call: Call) {
        if let Err(SendError::RateLimited { pause, .. }) = call.outcome {
            self.paused_until = Instant::now() + pause.unsigned_abs();
        }
        let (queue, exchange) = (self.queue.clone(), self.exchange.clone());
        self.settling.spawn(async move {
            settle(&queue, &exchange, std::slice::from_ref(&delivery), &call).await;
            delivery.id
        });
    }
}
