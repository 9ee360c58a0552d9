//! Deliveries on the virtual clock: the service's own rendering, pace and retries; nothing leaves the machine.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use reflexarc::Evaluation;
use reflexarc_delivery::dingtalk::DingTalk;
use reflexarc_delivery::{
    CallSchedule, Decision, Delivery, Preview, Receipt, RetryPolicy, SendError, Target, settle,
};
use reflexarc_eni::scenario::{TargetFault, TargetFaultMode};
use reflexarc_event::NativeEvent;
use reflexarc_service::Incoming;
use reflexarc_service::dispatch::{QueueConfig, unknown_target_message};

use super::stand_in;

/// What waits for the targets, those of every account together: they share the targets of one configuration.
pub(super) struct Outbox {
    start: Timestamp,
    lines: BTreeMap<String, Line>,
    /// The names of the targets, for messages about one that does not exist.
    known: Vec<String>,
    /// How much was put in so far: what is due at one instant is sent in this order.
    number: u64,
}

/// A delivery, and whose rule asked for it.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) account: String,
    pub(super) delivery: Delivery,
    /// What becomes of it after the call.
    pub(super) next: Decision,
}

/// One call of a target, and what came of it.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) at: Timestamp,
    pub(super) target: String,
    /// The target's type; `stand-in` where only a stand-in is there, `none` where nobody is.
    pub(super) kind: &'static str,
    /// What it carried; more than one delivery in a digest.
    pub(super) parcels: Vec<Parcel>,
    /// What the target would get, where it could be made.
    pub(super) preview: Option<Preview>,
    pub(super) outcome: Result<Receipt, SendError>,
}

/// What waits for one target.
struct Line {
    target: Option<std::sync::Arc<dyn Target>>,
    policy: RetryPolicy,
    schedule: CallSchedule,
    fault: Option<(TargetFaultMode, Option<Timestamp>)>,
    waiting: BTreeMap<(Timestamp, u64), (String, Delivery)>,
}

impl Outbox {
    /// A queue for each of these targets, and for the stand-ins that are not among them.
    pub(super) fn new(queues: Vec<QueueConfig>, start: Timestamp) -> Self {
        let mut lines: BTreeMap<String, Line> = stand_in::TARGETS
            .iter()
            .map(|name| ((*name).to_owned(), Line::new(None, RetryPolicy::default())))
            .collect();
        lines.extend(
            queues
                .into_iter()
                .map(|queue| (queue.name, Line::new(Some(queue.target), queue.policy))),
        );
        let known = lines.keys().cloned().collect();
        Self {
            start,
            lines,
            known,
            number: 0,
        }
    }

    /// Why this target cannot fail: it does not exist.
    pub(super) fn stranger(&self, target: &str) -> Option<String> {
        (!self.lines.contains_key(target)).then(|| unknown_target_message(target, &self.known))
    }

    /// Lets a target fail from now on; an earlier fault of it ends.
    pub(super) fn strike(&mut self, at: Timestamp, fault: &TargetFault) {
        if let Some(line) = self.lines.get_mut(&fault.target) {
            line.fault = Some((fault.mode, fault.duration.map(|lasts| at + lasts)));
        }
    }

    /// Takes in what an account's rules ask for after an event. What goes to targets that do not exist comes back, as it
    /// goes to the dead letters at once.
    pub(super) fn take(
        &mut self,
        at: Timestamp,
        account: &str,
        event: NativeEvent,
        evaluation: &Evaluation,
    ) -> Vec<Call> {
        let mut incoming = Incoming::from_native(event);
        if incoming.native.original().tree().get("id").is_none() {
            // The service names such an event at random; a rehearsal is the same each time.
            incoming.set_id(&format!("rehearsed-{}", self.number));
        }
        let mut lost = Vec::new();
        for delivery in incoming.deliveries(evaluation, at) {
            self.number += 1;
            let account = account.to_owned();
            if let Some(line) = self.lines.get_mut(&delivery.target) {
                line.waiting.insert((at, self.number), (account, delivery));
                continue;
            }
            let (target, reason) = (
                delivery.target.clone(),
                unknown_target_message(&delivery.target, &self.known),
            );
            let outcome = Err(SendError::Misconfigured {
                reason: reason.clone(),
            });
            let parcels = vec![Parcel {
                account,
                delivery,
                next: Decision::DeadLetter(reason),
            }];
            lost.push(Call {
                at,
                target,
                kind: "none",
                parcels,
                preview: None,
                outcome,
            });
        }
        lost
    }

    /// When the next call begins, as far as is known now.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.next().map(|(at, _)| at)
    }

    /// Makes the next call.
    pub(super) fn call(&mut self) -> Option<Call> {
        let (at, name) = self.next()?;
        let name = name.to_owned();
        let clock = at.duration_since(self.start);
        let line = self.lines.get_mut(&name)?;
        let (accounts, batch): (Vec<String>, Vec<Delivery>) =
            line.due(at, clock).into_iter().unzip();
        let (preview, outcome) = line.attempt(at, &batch);
        line.schedule.record_call(&batch, &outcome, clock, clock);
        let batch_size = batch.len();
        let mut parcels = Vec::new();
        for (account, delivery) in accounts.into_iter().zip(batch) {
            let settlement = settle(&line.policy, &delivery, &outcome, batch_size, at);
            if let Some((due, again)) = settlement.next_attempt(&delivery, at) {
                self.number += 1;
                line.waiting
                    .insert((due, self.number), (account.clone(), again));
            }
            parcels.push(Parcel {
                account,
                delivery,
                next: settlement.decision,
            });
        }
        let kind = line
            .target
            .as_ref()
            .map_or("stand-in", |target| target.kind());
        Some(Call {
            at,
            target: name,
            kind,
            parcels,
            preview,
            outcome,
        })
    }

    /// How many deliveries wait.
    pub(super) fn waiting(&self) -> usize {
        self.lines.values().map(|line| line.waiting.len()).sum()
    }

    fn next(&self) -> Option<(Timestamp, &str)> {
        let calls = self
            .lines
            .iter()
            .filter_map(|(name, line)| Some((line.next_at(self.start)?, name.as_str())));
        calls.min()
    }
}

impl Line {
    fn new(target: Option<std::sync::Arc<dyn Target>>, policy: RetryPolicy) -> Self {
        let limit = target.as_ref().and_then(|target| target.rate_limit());
        Self {
            target,
            policy,
            schedule: CallSchedule::new(limit, []),
            fault: None,
            waiting: BTreeMap::new(),
        }
    }

    fn next_at(&self, start: Timestamp) -> Option<Timestamp> {
        let ((due, _), _) = self.waiting.first_key_value()?;
        let mut at = *due;
        // A schedule forgets calls that are older than the rate limit's period at the time that it is given. They are not
        // that old yet when a later time is tried, so a copy of the schedule is used.
        let mut schedule = self.schedule.clone();
        loop {
            let wait = schedule.wait(at.duration_since(start));
            if wait.is_zero() {
                return Some(at);
            }
            at = at.saturating_add(wait).ok()?;
        }
    }

    /// What the next call carries.
    fn due(&mut self, at: Timestamp, clock: SignedDuration) -> Vec<(String, Delivery)> {
        let keys: Vec<(Timestamp, u64)> = self
            .waiting
            .range(..=(at, u64::MAX))
            .map(|(key, _)| *key)
            .collect();
        let mut count = 1;
        if let Some(target) = &self.target {
            // Forgets calls that no longer count.
            self.schedule.wait(clock);
            let due: Vec<Delivery> = keys
                .iter()
                .filter_map(|key| self.waiting.get(key))
                .map(|(_, delivery)| delivery.clone())
                .collect();
            count = self.schedule.batch_size(&**target, &due);
        }
        keys.iter()
            .take(count)
            .filter_map(|key| self.waiting.remove(key))
            .collect()
    }

    fn attempt(
        &self,
        at: Timestamp,
        batch: &[Delivery],
    ) -> (Option<Preview>, Result<Receipt, SendError>) {
        let preview = match &self.target {
            Some(target) => match target.preview(batch) {
                Ok(preview) => Some(preview),
                Err(error) => return (None, Err(error)),
            },
            None => None,
        };
        let fault = self
            .fault
            .filter(|(_, until)| until.is_none_or(|until| at < until));
        let outcome = match fault.map(|(outcome, _)| outcome) {
            None => Ok(Receipt {
                response: String::new(),
                part: preview.as_ref().and_then(|preview| preview.part.clone()),
            }),
            Some(TargetFaultMode::Down) => Err(SendError::transient("nobody answers")),
            Some(TargetFaultMode::Refuse) => Err(SendError::Refused {
                reason: "it refuses this".to_owned(),
            }),
            Some(TargetFaultMode::Throttle) if self.schedule.is_rate_limited() => {
                Err(SendError::RateLimited {
                    reason: "called too often".to_owned(),
                    pause: DingTalk::RATE_LIMIT_PENALTY,
                })
            }
            Some(TargetFaultMode::Throttle) => Err(SendError::transient("called too often")),
        };
        (preview, outcome)
    }
}
