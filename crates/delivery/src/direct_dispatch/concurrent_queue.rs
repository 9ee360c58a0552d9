//! The queue of a target that takes several deliveries at a time, or calls.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::call_attempt::{CallAttempt, CallNext, Caller};
use super::change_counter::ChangeCounter;
use super::job::Job;
use super::ordered_jobs::{Number, OrderedJobs};
use super::queue_clock::{QueueClock, instant_after};
use super::send::send;
use super::settle_batch::settle_batch;
use super::{DirectOutcome, Redact};
use crate::batch::Batch;
use crate::circuit_breaker::{CallTicket, CircuitBreaker, NextCall};
use crate::config::TargetConfig;
use crate::delivery::Delivery;
use crate::outcome::{Receipt, SendError};

/// A call takes no further delivery once what it carries is this large, in bytes.
const GROUP_BYTES: usize = 1 << 20;
/// How often a queue of calls looks for those that expire while the API is not called.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(1);

/// Sends at most `concurrency` deliveries at a time.
pub(super) struct ConcurrentQueue {
    target: Arc<TargetConfig>,
    /// Of a target that takes calls.
    caller: Option<Arc<Caller>>,
    redact: Redact,
    incoming: UnboundedReceiver<Job>,
    /// Whether no more jobs come.
    is_closed: bool,
    jobs: OrderedJobs,
    breaker: CircuitBreaker,
    clock: QueueClock,
    sending: JoinSet<Sent>,
}

/// What was sent in one call, and how that ended.
struct Sent {
    numbers: Vec<Number>,
    deliveries: Vec<Delivery>,
    ticket: CallTicket,
    outcome: Outcome,
}

enum Outcome {
    Messages(Result<Receipt, SendError>),
    Call(CallAttempt),
}

impl ConcurrentQueue {
    pub(super) fn new(
        target: TargetConfig,
        redact: Redact,
        incoming: UnboundedReceiver<Job>,
        changes: Arc<Mutex<ChangeCounter>>,
    ) -> Self {
        let target = Arc::new(target);
        let caller = target.calls.clone().map(|calls| {
            Arc::new(Caller {
                target: target.clone(),
                calls,
                redact: redact.clone(),
                changes,
            })
        });
        Self {
            jobs: OrderedJobs::new(target.order_wait.unsigned_abs()),
            breaker: CircuitBreaker::new(target.breaker),
            target,
            caller,
            redact,
            incoming,
            is_closed: false,
            clock: QueueClock::start(),
            sending: JoinSet::new(),
        }
    }

    /// Runs until no more jobs come and all have ended.
    pub(super) async fn run(mut self) {
        while !(self.is_closed && self.jobs.is_empty()) {
            self.jobs.advance(Instant::now());
            let wake_at = self.start_sends();
            let wake_at = [wake_at, self.jobs.next_due()].into_iter().flatten().min();
            tokio::select! {
                job = self.incoming.recv(), if !self.is_closed => match job {
                    Some(job) => self.jobs.add(job),
                    None => self.is_closed = true,
                },
                Some(sent) = self.sending.join_next() => {
                    // Errors are panics, which are caught where a call is made.
                    if let Ok(sent) = sent {
                        self.settle(sent);
                    }
                }
                () = sleep_until(wake_at), if wake_at.is_some() => {}
            }
            // All that came at once is in the queue before the next call, which may carry several.
            while let Ok(job) = self.incoming.try_recv() {
                self.jobs.add(job);
            }
        }
    }

    /// Begins as many calls as may begin now. Returns when the circuit breaker lets the next one
    /// begin, if it does not now.
    fn start_sends(&mut self) -> Option<Instant> {
        while self.sending.len() < self.target.concurrency && self.jobs.has_ready() {
            let is_probe = match self.breaker.next_call(self.clock.elapsed()) {
                NextCall::Now => false,
                NextCall::Probe => true,
                NextCall::After(wait) => {
                    let opens = instant_after(wait);
                    return Some(self.expire_calls(opens));
                }
                // The end of the probe wakes the queue.
                NextCall::Unknown => return None,
            };
            let numbers = self.next_call(is_probe);
            if self.is_answered_unsent(&numbers) || numbers.is_empty() {
                continue;
            }
            if let Some(ticket) = self.breaker.begin(self.clock.elapsed()) {
                self.start_send(numbers, ticket);
            }
        }
        None
    }

    /// Answers calls that have waited for too long behind an open circuit breaker. Returns when to
    /// look again, `opens` at the latest.
    fn expire_calls(&mut self, opens: Instant) -> Instant {
        let Some(caller) = &self.caller else {
            return opens;
        };
        let now = self.clock.now();
        for number in self.jobs.ready() {
            let job = self.jobs.get(number);
            let expired = job.and_then(|job| caller.expired(&job.delivery, now));
            if let Some(answer) = expired
                && let Some(job) = self.jobs.end(number)
            {
                job.end(&DirectOutcome::Answered(answer));
            }
        }
        opens.min(Instant::now() + EXPIRY_INTERVAL)
    }

    /// Ends a call that is not sent: not allowed, too old, a change too many.
    fn is_answered_unsent(&mut self, numbers: &[Number]) -> bool {
        let (Some(caller), [number]) = (&self.caller, numbers) else {
            return false;
        };
        let job = self.jobs.get(*number);
        let now = self.clock.now();
        let outcome = job.and_then(|job| caller.without_sending(&job.delivery, &job.progress, now));
        let Some(outcome) = outcome else {
            return false;
        };
        if let Some(job) = self.jobs.end(*number) {
            job.end(&outcome);
        }
        true
    }

    /// What the next call carries: one delivery, or as many as the target takes together. A probe
    /// carries one.
    fn next_call(&mut self, is_probe: bool) -> Vec<Number> {
        let most = if is_probe || self.caller.is_some() {
            1
        } else {
            self.target.target.group_size()
        };
        let (mut numbers, mut bytes) = (Vec::new(), 0);
        while numbers.len() < most
            && bytes < GROUP_BYTES
            && let Some(number) = self.jobs.take_ready()
        {
            let job = self.jobs.get(number);
            bytes += job.map_or(0, |job| job.delivery.bytes());
            numbers.push(number);
        }
        numbers
    }

    fn start_send(&mut self, numbers: Vec<Number>, ticket: CallTicket) {
        let jobs = numbers.iter().filter_map(|number| self.jobs.get(*number));
        let jobs: Vec<&Job> = jobs.collect();
        let deliveries: Vec<Delivery> = jobs.iter().map(|job| job.delivery.clone()).collect();
        let progress = jobs.first().map(|job| job.progress.clone());
        let (target, redact, now) = (self.target.clone(), self.redact.clone(), self.clock.now());
        let caller = self.caller.clone().zip(progress);
        self.sending.spawn(async move {
            let outcome = match (caller, deliveries.first()) {
                (Some((caller, progress)), Some(delivery)) => {
                    Outcome::Call(caller.call(delivery, &progress, now).await)
                }
                _ => Outcome::Messages(send(&target, &redact, &deliveries).await),
            };
            Sent {
                numbers,
                deliveries,
                ticket,
                outcome,
            }
        });
    }

    fn settle(&mut self, sent: Sent) {
        let elapsed = self.clock.elapsed();
        match sent.outcome {
            Outcome::Call(attempt) => {
                self.breaker.record(sent.ticket, &attempt.sent, elapsed);
                let calls = sent.numbers.into_iter().zip(sent.deliveries);
                for (number, delivery) in calls {
                    self.settle_call(number, delivery, &attempt.next);
                }
            }
            Outcome::Messages(outcome) => {
                self.breaker.record(sent.ticket, &outcome, elapsed);
                let batch = Batch::separate(sent.deliveries);
                let numbers = sent.numbers.into_iter().map(Some);
                settle_batch(
                    &mut self.jobs,
                    &self.clock,
                    &self.target.policy,
                    &batch,
                    numbers,
                    &outcome,
                );
            }
        }
    }

    fn settle_call(&mut self, number: Number, delivery: Delivery, next: &CallNext) {
        match next {
            CallNext::RetryAt(at) => {
                let at = self.clock.instant(*at);
                let delivery = Delivery {
                    attempt: delivery.attempt + 1,
                    ..delivery
                };
                let failed = Some(Instant::now());
                self.jobs.retry(number, delivery, at, failed);
            }
            CallNext::Ended(answer) => {
                if let Some(job) = self.jobs.end(number) {
                    job.end(&DirectOutcome::Answered(answer.clone()));
                }
            }
        }
    }
}

/// Sleeps until this time; `None` is never waited for.
pub(super) async fn sleep_until(at: Option<Instant>) {
    if let Some(at) = at {
        tokio::time::sleep_until(at).await;
    }
}
