//! Deliveries on the virtual clock.
//!
//! One queue for each target, as in the service, and with the service's rules for what a call
//! carries and when it is made (`CallSchedule`, `FloodControl`, `CircuitBreaker`), what a message
//! looks like (`Target::preview`), and what follows from an outcome (`Batch::settle`). Only the
//! clock and the storage differ: nothing is sent, and the queues are in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use reflexarc::Evaluation;
use reflexarc_delivery::config::{KnownTarget, TargetConfig, unknown_target_message};
use reflexarc_delivery::dingtalk::DingTalk;
use reflexarc_delivery::{
    Admission, Batch, BreakerPolicy, CallSchedule, CircuitBreaker, DeadLetterCause, Decision,
    Delivery, FiringLimit, FloodControl, NextCall, Preview, Receipt, RetryPolicy, SendError,
    Target, WaitingDeliveries,
};
use reflexarc_eni::scenario::{TargetFault, TargetFaultMode};
use reflexarc_event::{EventIdentity, Json, NativeEvent};
use reflexarc_service::store::phase_of;

use super::delayed_actions::DelayName;

/// The queues of all targets. All accounts share them, because they share one configuration.
pub(super) struct TargetQueues {
    start: Timestamp,
    queues: BTreeMap<String, TargetQueue>,
    /// The names of the targets, for messages about unknown ones.
    known: Vec<String>,
    /// The same with what each takes.
    known_targets: Vec<KnownTarget>,
    /// The number of deliveries that were queued, retries included: those that are due at one
    /// instant are attempted in this order.
    sequence: u64,
}

/// A delivery that was attempted.
#[derive(Debug)]
pub(super) struct AttemptedDelivery {
    /// The id of the account whose rule made it.
    pub(super) account: String,
    pub(super) delivery: Delivery,
    pub(super) next: Decision,
}

/// One call of a target.
#[derive(Debug)]
pub(super) struct TargetCall {
    pub(super) at: Timestamp,
    pub(super) target: String,
    /// The target's type; `none` where no target has this name.
    pub(super) kind: &'static str,
    /// What it carried; several deliveries in a digest.
    pub(super) deliveries: Vec<AttemptedDelivery>,
    /// How many of them are firings that one message stands for; zero where each has its text.
    pub(super) merged: usize,
    /// What the target would receive; absent when it could not be rendered.
    pub(super) preview: Option<Preview>,
    pub(super) outcome: Result<Receipt, SendError>,
}

/// The queue of one target.
struct TargetQueue {
    target: Arc<dyn Target>,
    policy: RetryPolicy,
    schedule: CallSchedule,
    floods: FloodControl,
    breaker: CircuitBreaker,
    fault: Option<ActiveFault>,
    /// Accounts and deliveries by due time and sequence number.
    waiting: BTreeMap<(Timestamp, u64), (String, Delivery)>,
}

#[derive(Clone, Copy)]
struct ActiveFault {
    mode: TargetFaultMode,
    /// Absent when it lasts to the end of the scenario.
    until: Option<Timestamp>,
}

impl TargetQueues {
    /// A queue for each of the configured targets.
    pub(super) fn new(configured: Vec<TargetConfig>, start: Timestamp) -> Self {
        let known_targets = configured.iter().map(|target| KnownTarget {
            name: target.name.clone(),
            input: target.into(),
        });
        let known_targets = known_targets.collect();
        let queues = configured.into_iter().map(|target| {
            let TargetConfig {
                name,
                target,
                policy,
                breaker,
                firing_limit,
                ..
            } = target;
            (
                name,
                TargetQueue::new(target, policy, breaker, firing_limit),
            )
        });
        let queues: BTreeMap<String, TargetQueue> = queues.collect();
        let known = queues.keys().cloned().collect();
        Self {
            start,
            queues,
            known,
            known_targets,
            sequence: 0,
        }
    }

    /// All targets.
    pub(super) fn known_targets(&self) -> &[KnownTarget] {
        &self.known_targets
    }

    /// A message if there is no such target.
    pub(super) fn unknown_target(&self, target: &str) -> Option<String> {
        (!self.queues.contains_key(target)).then(|| unknown_target_message(target, &self.known))
    }

    /// Makes a target fail from now on. This replaces an earlier fault of the target.
    pub(super) fn inject(&mut self, at: Timestamp, fault: &TargetFault) {
        if let Some(queue) = self.queues.get_mut(&fault.target) {
            let until = fault.duration.map(|duration| at + duration);
            queue.fault = Some(ActiveFault {
                mode: fault.mode,
                until,
            });
        }
    }

    /// The deliveries of an evaluation, in the order of its actions.
    pub(super) fn deliveries(
        &mut self,
        at: Timestamp,
        event: &NativeEvent,
        identity: Option<EventIdentity>,
        evaluation: &Evaluation,
    ) -> Vec<Delivery> {
        // The service gives an event without an id a random one; a simulation must not be random.
        let identity = identity.unwrap_or_else(|| {
            EventIdentity::with_id(event, format!("rehearsed-{}", self.sequence))
        });
        self.sequence += 1;
        let actions = evaluation
            .actions()
            .map(|(effects, _, action)| (effects.rule.as_str(), action));
        let mut deliveries = Delivery::for_actions(&identity, actions, at);
        let origins = evaluation.actions().map(|(effects, ..)| effects);
        for (delivery, effects) in deliveries.iter_mut().zip(origins) {
            delivery.key = effects.key.as_ref().map(Json::to_string);
            delivery.phase = phase_of(effects.firing.as_ref());
        }
        deliveries
    }

    /// Queues a delivery that is due. One for an unknown target is returned as a call that failed:
    /// it is a dead letter at once, as in the service.
    pub(super) fn enqueue(
        &mut self,
        at: Timestamp,
        account: &str,
        delivery: Delivery,
    ) -> Option<TargetCall> {
        self.sequence += 1;
        let account = account.to_owned();
        if let Some(queue) = self.queues.get_mut(&delivery.target) {
            let key = (at, self.sequence);
            queue.waiting.insert(key, (account, delivery));
            return None;
        }
        let reason = unknown_target_message(&delivery.target, &self.known);
        Some(undeliverable(at, account, delivery, reason))
    }

    /// Removes what waits under a name: what was delayed is due, and its target was not called
    /// since.
    pub(super) fn cancel(&mut self, name: &DelayName<'_>) {
        for queue in self.queues.values_mut() {
            queue.waiting.retain(|_, (account, delivery)| {
                let is_named = delivery.action.key() == Some(name.key)
                    && account == name.account
                    && delivery.rule == name.rule
                    && delivery.key.as_deref() == name.scope;
                !is_named
            });
        }
    }

    /// When the next call is made, as far as is known now.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.next().map(|(at, _)| at)
    }

    /// Holds the firings that are due with the next call and must not be sent yet. Returns whether
    /// there are any; then the next call is another one.
    pub(super) fn hold_firings(&mut self) -> bool {
        let Some((at, name)) = self.next() else {
            return false;
        };
        let (name, start) = (name.to_owned(), self.start);
        let queue = self.queues.get_mut(&name);
        queue.is_some_and(|queue| queue.hold_firings(at, start))
    }

    /// Makes the next call and settles its deliveries.
    pub(super) fn call_next(&mut self) -> Option<TargetCall> {
        let (at, name) = self.next()?;
        let name = name.to_owned();
        // A call takes no time on the virtual clock: it begins and ends at this instant.
        let clock = at.duration_since(self.start);
        let queue = self.queues.get_mut(&name)?;
        // Begins before the batch is taken: `next` has waited until the breaker allows a call.
        let probes = queue.breaker.next_call(clock) == NextCall::Probe;
        let ticket = queue.breaker.begin(clock)?;
        let (accounts, batch) = queue.take_batch(at, clock, probes)?;
        let messages = batch.messages();
        let (preview, outcome) = queue.attempt(at, &messages);
        queue.schedule.record_call(&messages, &outcome, clock);
        queue.breaker.record(ticket, &outcome, clock);
        let settlements = batch.settle(&queue.policy, &outcome, at);
        let next_digest = batch.next_digest(&outcome);
        let merged = batch.merged_firings();
        let mut deliveries = Vec::new();
        let attempted = accounts.into_iter().zip(batch.deliveries);
        for ((account, delivery), settlement) in attempted.zip(settlements) {
            if let Some((due, mut next)) = settlement.next_attempt(&delivery, at) {
                next.digest = next_digest;
                self.sequence += 1;
                queue
                    .waiting
                    .insert((due, self.sequence), (account.clone(), next));
            }
            deliveries.push(AttemptedDelivery {
                account,
                delivery,
                next: settlement.decision,
            });
        }
        let kind = queue.target.kind();
        Some(TargetCall {
            at,
            target: name,
            kind,
            merged,
            deliveries,
            preview,
            outcome,
        })
    }

    /// The number of deliveries that wait.
    pub(super) fn waiting(&self) -> usize {
        self.queues.values().map(|queue| queue.waiting.len()).sum()
    }

    /// The queue with the earliest call; of several at one instant, the first by name.
    fn next(&self) -> Option<(Timestamp, &str)> {
        let calls = self
            .queues
            .iter()
            .filter_map(|(name, queue)| Some((queue.next_at(self.start)?, name.as_str())));
        calls.min()
    }
}

impl TargetQueue {
    fn new(
        target: Arc<dyn Target>,
        policy: RetryPolicy,
        breaker: BreakerPolicy,
        firings: Option<FiringLimit>,
    ) -> Self {
        let limit = target.rate_limit();
        Self {
            target,
            policy,
            schedule: CallSchedule::new(limit, []),
            floods: FloodControl::new(firings),
            breaker: CircuitBreaker::new(breaker),
            fault: None,
            waiting: BTreeMap::new(),
        }
    }

    fn is_robot(&self) -> bool {
        self.target.kind() == "dingtalk"
    }

    /// When the first delivery may be sent: once it is due and the rate limit allows a call.
    fn next_at(&self, start: Timestamp) -> Option<Timestamp> {
        let ((due, _), _) = self.waiting.first_key_value()?;
        let mut at = *due;
        // `wait` discards calls that are older than the period of the rate limit at the given time.
        // This looks ahead to times at which they are older than they are now, so it works on a
        // copy.
        let mut schedule = self.schedule.clone();
        loop {
            let now = at.duration_since(start);
            // Calls take no time here, so that no probe is ever under way.
            let pause = match self.breaker.next_call(now) {
                NextCall::After(pause) => pause,
                NextCall::Now | NextCall::Probe | NextCall::Unknown => SignedDuration::ZERO,
            };
            let wait = schedule.wait(now).max(pause);
            if wait.is_zero() {
                return Some(at);
            }
            at = at.saturating_add(wait).ok()?;
        }
    }

    /// Gives the firings that are held at this time the one at which they may be sent. Returns
    /// whether there are any.
    fn hold_firings(&mut self, at: Timestamp, start: Timestamp) -> bool {
        let now = at.duration_since(start);
        let mut held = Vec::new();
        for (key, (_, delivery)) in self.waiting.range(..=(at, u64::MAX)) {
            // A digest is attempted again as it was.
            if delivery.digest.is_none()
                && let Admission::Held(until) = self.floods.admit(delivery, now)
            {
                held.push((*key, until));
            }
        }
        for (key, until) in &held {
            if let Some(delivery) = self.waiting.remove(key) {
                let due = start.saturating_add(*until).unwrap_or(Timestamp::MAX);
                self.waiting.insert((due, key.1), delivery);
            }
        }
        !held.is_empty()
    }

    /// Removes the deliveries that the next call carries, with their accounts; a single one where
    /// it is a probe.
    fn take_batch(
        &mut self,
        at: Timestamp,
        clock: SignedDuration,
        probes: bool,
    ) -> Option<(Vec<String>, Batch)> {
        let target = Arc::clone(&self.target);
        // Discards calls that do not count any more, before the batch size is computed.
        self.schedule.wait(clock);
        let mut due = WaitingDeliveries::default();
        for (_, delivery) in self.waiting.range(..=(at, u64::MAX)).map(|(_, one)| one) {
            // None is held: those were given a later time.
            drop(due.add(delivery.clone(), &mut self.floods, clock));
        }
        let batch = due.next_batch(&self.schedule, &*target, &mut self.floods, probes, clock)?;
        let mut accounts = Vec::new();
        for delivery in &batch.deliveries {
            // Two accounts may have deliveries of one id, of one event: each is removed once.
            let mut waiting = self.waiting.iter();
            let key = waiting.find(|(_, (_, one))| one.id == delivery.id);
            let key = key.map(|(key, _)| *key);
            let (account, _) = key.and_then(|key| self.waiting.remove(&key))?;
            accounts.push(account);
        }
        Some((accounts, batch))
    }

    /// Renders the batch and decides how the call ends: with the active fault, else with success.
    fn attempt(
        &self,
        at: Timestamp,
        batch: &[Delivery],
    ) -> (Option<Preview>, Result<Receipt, SendError>) {
        let preview = match self.target.preview(batch) {
            Ok(preview) => preview,
            Err(error) => return (None, Err(error)),
        };
        let is_active = |fault: &ActiveFault| fault.until.is_none_or(|until| at < until);
        let outcome = match self.fault.filter(is_active).map(|fault| fault.mode) {
            None => Ok(Receipt {
                response: String::new(),
                part: preview.part.clone(),
            }),
            Some(TargetFaultMode::Down) => Err(SendError::transient("no response")),
            Some(TargetFaultMode::Refuse) => Err(SendError::Refused {
                reason: "rejected by the target".to_owned(),
            }),
            // DingTalk's robots are blocked for ten minutes; other targets only fail.
            Some(TargetFaultMode::Throttle) if self.is_robot() => Err(SendError::RateLimited {
                reason: "called too often".to_owned(),
                pause: DingTalk::RATE_LIMIT_PENALTY,
            }),
            Some(TargetFaultMode::Throttle) => Err(SendError::transient("called too often")),
        };
        (Some(preview), outcome)
    }
}

/// The failed call of a target that does not exist.
fn undeliverable(at: Timestamp, account: String, delivery: Delivery, reason: String) -> TargetCall {
    let target = delivery.target.clone();
    let outcome = Err(SendError::Misconfigured {
        reason: reason.clone(),
    });
    let next = Decision::DeadLetter {
        cause: DeadLetterCause::UnknownTarget,
        reason,
    };
    let deliveries = vec![AttemptedDelivery {
        account,
        delivery,
        next,
    }];
    TargetCall {
        at,
        target,
        kind: "none",
        deliveries,
        merged: 0,
        preview: None,
        outcome,
    }
}
