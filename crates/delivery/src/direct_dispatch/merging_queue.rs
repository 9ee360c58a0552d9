//! The queue of a target with a rate limit or a firing limit: one call after another, with digests.

use jiff::SignedDuration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

use super::Redact;
use super::concurrent_queue::sleep_until;
use super::job::Job;
use super::ordered_jobs::OrderedJobs;
use super::queue_clock::{QueueClock, instant_after};
use super::send::send;
use super::settle_batch::settle_batch;
use crate::batch::{Batch, WaitingDeliveries};
use crate::call_schedule::CallSchedule;
use crate::circuit_breaker::{CircuitBreaker, NextCall};
use crate::config::TargetConfig;
use crate::flood_control::FloodControl;

/// Sends within a rate limit, and merges deliveries into digests when there are more of them than
/// calls; merges the firings of a rule beyond so many a minute.
pub(super) struct MergingQueue {
    target: TargetConfig,
    redact: Redact,
    incoming: UnboundedReceiver<Job>,
    /// Whether no more jobs come.
    is_closed: bool,
    jobs: OrderedJobs,
    /// Taken out of `jobs`, not sent yet.
    waiting: WaitingDeliveries,
    schedule: CallSchedule,
    floods: FloodControl,
    breaker: CircuitBreaker,
    clock: QueueClock,
}

impl MergingQueue {
    pub(super) fn new(
        target: TargetConfig,
        redact: Redact,
        incoming: UnboundedReceiver<Job>,
    ) -> Self {
        Self {
            jobs: OrderedJobs::new(target.order_wait.unsigned_abs()),
            waiting: WaitingDeliveries::default(),
            schedule: CallSchedule::new(target.target.rate_limit(), []),
            floods: FloodControl::new(target.firing_limit),
            breaker: CircuitBreaker::new(target.breaker),
            target,
            redact,
            incoming,
            is_closed: false,
            clock: QueueClock::start(),
        }
    }

    /// Runs until no more jobs come and all have ended.
    pub(super) async fn run(mut self) {
        while !(self.is_closed && self.jobs.is_empty()) {
            while let Ok(job) = self.incoming.try_recv() {
                self.jobs.add(job);
            }
            self.jobs.advance(Instant::now());
            let pause = self.pause();
            if pause.is_none()
                && let Some(batch) = self.next_batch()
            {
                self.call(batch).await;
                continue;
            }
            let pause = pause.map(instant_after);
            let has_work = self.jobs.has_ready() || !self.waiting.is_empty();
            let pause = pause.filter(|_| has_work);
            let wake_at = [pause, self.jobs.next_due()].into_iter().flatten().min();
            tokio::select! {
                job = self.incoming.recv(), if !self.is_closed => match job {
                    Some(job) => self.jobs.add(job),
                    None => self.is_closed = true,
                },
                () = sleep_until(wake_at), if wake_at.is_some() => {}
            }
        }
    }

    /// How long no call may begin; `None` where one may.
    fn pause(&mut self) -> Option<SignedDuration> {
        let now = self.clock.elapsed();
        let breaker = match self.breaker.next_call(now) {
            NextCall::After(wait) => wait,
            // A probe is never under way here: each call is awaited.
            NextCall::Now | NextCall::Probe | NextCall::Unknown => SignedDuration::ZERO,
        };
        let pause = self.schedule.wait(now).max(breaker);
        pause.is_positive().then_some(pause)
    }

    /// The deliveries of the next call: of all that may be sent now, or of one if it is a probe.
    fn next_batch(&mut self) -> Option<Batch> {
        let now = self.clock.elapsed();
        while let Some(number) = self.jobs.take_ready() {
            let Some(delivery) = self.jobs.get(number).map(|job| job.delivery.clone()) else {
                continue;
            };
            if let Err(later) = self.waiting.add(delivery, &mut self.floods, now) {
                let (delivery, until) = *later;
                let at = instant_after(until - now);
                self.jobs.retry(number, delivery, at, None);
            }
        }
        self.drop_abandoned();
        let is_probe = self.breaker.next_call(now) == NextCall::Probe;
        let target = &*self.target.target;
        let floods = &mut self.floods;
        self.waiting
            .next_batch(&self.schedule, target, floods, is_probe, now)
    }

    /// Drops abandoned deliveries, whose callers have stopped waiting.
    fn drop_abandoned(&mut self) {
        let (jobs, mut abandoned) = (&self.jobs, Vec::new());
        self.waiting.retain(|delivery| {
            let number = jobs.number_of(delivery.id);
            let job = number.and_then(|number| jobs.get(number));
            let is_waited_for = job.is_some_and(|job| !job.is_abandoned());
            if !is_waited_for {
                abandoned.extend(number);
            }
            is_waited_for
        });
        for number in abandoned {
            drop(self.jobs.end(number));
        }
    }

    async fn call(&mut self, batch: Batch) {
        let Some(ticket) = self.breaker.begin(self.clock.elapsed()) else {
            return;
        };
        let messages = batch.messages();
        let outcome = send(&self.target, &self.redact, &messages).await;
        // The receiver counts the call when it arrives, which is before the response.
        let ended = self.clock.elapsed();
        self.breaker.record(ticket, &outcome, ended);
        self.schedule.record_call(&messages, &outcome, ended);
        let numbers = batch.deliveries.iter();
        let numbers: Vec<_> = numbers.map(|one| self.jobs.number_of(one.id)).collect();
        settle_batch(
            &mut self.jobs,
            &self.clock,
            &self.target.policy,
            &batch,
            numbers.into_iter(),
            &outcome,
        );
    }
}
