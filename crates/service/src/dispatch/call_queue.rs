//! The queue of a target that takes calls: each call is sent until it has an answer.
//!
//! ```text
//! claim → rule gone? expired? → admitted? → a change: reserved? → send → answer
//!            │          │           │             │               ├──→ refused for now: again later
//!            └──────────┴───────────┴─────────────┴─ answer       └──→ outcome unknown: again, or answer
//! ```
//!
//! Every way ends in exactly one answer; calls do not become dead letters. What may be sent again
//! after an unknown outcome is decided by what the API says of the operation
//! ([`CallAdmission`]), and recorded before it is sent ([`Store::submit_reserve_change`]), so that
//! a crash is an unknown outcome too.
//!
//! [`Store::submit_reserve_change`]: crate::store::Store::submit_reserve_change

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use reflexarc_delivery::config::TargetConfig;
use reflexarc_delivery::{
    CallAdmission, CallError, CallRequest, CallSettings, CallTicket, DeadLetterCause, Decision,
    Delivery, NextCall, Receipt, SendError,
};
use reflexarc_event::Json;
use reflexarc_reaction::{Action, CallAnswer, OwnCode};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::target_gate::{TargetGate, pause_of, stopped_detail};
use super::{
    Call, Claims, DispatchContext, NOT_OURS, POLL_INTERVAL, catch_panic, claim, publish_attempt,
    record_span, recorded, redact, release_claims, set_order_wait, signed, time_until_due,
    until_stored,
};
use crate::store::{AttemptOutcome, ChangePeriod, ChangeReservation, ClaimLimit, EndedAttempt};
use crate::telemetry::{ProblemKind, Redactor};
use crate::timeline::{EndedCall, ServiceTimeline};

/// Serves a target that takes calls until `context.stop` becomes true.
pub(super) async fn serve(
    queue: TargetConfig,
    calls: CallSettings,
    context: DispatchContext,
    timeline: ServiceTimeline,
    wake: Arc<Notify>,
) {
    let gate = context.gates.open(&queue);
    set_order_wait(&queue, &context).await;
    let caller = Caller {
        queue,
        calls,
        context,
        gate,
        timeline,
    };
    CallQueue {
        caller: Arc::new(caller),
        wake,
        calling: JoinSet::new(),
        poll_at: Instant::now(),
    }
    .run()
    .await;
}

/// Sends at most `concurrency` calls at a time.
struct CallQueue {
    caller: Arc<Caller>,
    wake: Arc<Notify>,
    calling: JoinSet<()>,
    /// When the outbox is polled next, unless the queue is woken before.
    poll_at: Instant,
}

/// What each call needs.
struct Caller {
    queue: TargetConfig,
    calls: CallSettings,
    context: DispatchContext,
    gate: Arc<TargetGate>,
    timeline: ServiceTimeline,
}

/// A call as its delivery has it.
struct Called<'d> {
    delivery: &'d Delivery,
    operation: &'d str,
    request: CallRequest<'d>,
    /// Whether an earlier attempt may have been executed.
    sent_before: bool,
    /// Under which it was claimed.
    claims: Claims,
}

/// What becomes of a call.
enum Outcome {
    /// It has an answer: that of the API, or one of our own.
    Answer(CallAnswer),
    /// It is sent again. Whether it may have been executed.
    Again { error: SendError, is_unknown: bool },
}

impl CallQueue {
    /// Runs until the queue is to stop, then finishes the calls that are running.
    async fn run(mut self) {
        let caller = self.caller.clone();
        let mut stop = caller.context.stop.clone();
        loop {
            let stopping = *stop.borrow_and_update() || stop.has_changed().is_err();
            if stopping && self.calling.is_empty() {
                return;
            }
            if !stopping && Instant::now() >= self.poll_at {
                self.start_calls().await;
            }
            let has_room = self.calling.len() < caller.queue.concurrency;
            tokio::select! {
                // Errors are panics, which are caught where a call is made.
                Some(_) = self.calling.join_next() => self.poll_at = Instant::now(),
                () = self.wake.notified(), if !stopping => self.poll_at = Instant::now(),
                () = tokio::time::sleep_until(self.poll_at), if !stopping && has_room => {}
                () = caller.gate.changed() => self.poll_at = Instant::now(),
                _ = stop.changed(), if !stopping => {}
            }
        }
    }

    /// Claims what is due and begins to call, as far as the target may be called.
    async fn start_calls(&mut self) {
        let caller = &self.caller;
        let free = caller.queue.concurrency.saturating_sub(self.calling.len());
        let most = match caller.gate.next_call() {
            NextCall::Now => free,
            // One call is enough to find out whether the API is back.
            NextCall::Probe if self.calling.is_empty() => 1,
            NextCall::Probe => 0,
            shut @ (NextCall::After(_) | NextCall::Unknown) => {
                // What waits expires all the same.
                caller.expire().await;
                let pause = pause_of(shut).unwrap_or(POLL_INTERVAL).min(POLL_INTERVAL);
                self.poll_at = Instant::now() + pause;
                return;
            }
        };
        if most == 0 {
            self.poll_at = Instant::now() + POLL_INTERVAL;
            return;
        }
        let limit = ClaimLimit {
            deliveries: most,
            run: 1,
            bytes: caller.context.delivery_bytes,
            retries_first: caller.gate.prefers_retry(),
            sends_alone: false,
        };
        let claims = caller.context.claims();
        let claimed = claim(&caller.queue, &caller.context, limit).await.runs;
        if claimed.is_empty() {
            let rest = time_until_due(&caller.queue, &caller.context).min(POLL_INTERVAL);
            self.poll_at = Instant::now() + rest;
        }
        for delivery in claimed.into_iter().flatten() {
            let caller = caller.clone();
            self.calling
                .spawn(async move { caller.process(delivery, claims).await });
        }
    }
}

impl Caller {
    /// Brings a claimed call as far as it comes now.
    async fn process(&self, delivery: Delivery, claims: Claims) {
        let Action::Call {
            operation,
            parameters,
            ..
        } = &delivery.action
        else {
            self.refuse(delivery).await;
            return;
        };
        let request = CallRequest {
            id: delivery.id,
            operation,
            parameters,
        };
        if !self.timeline.has_rule(&delivery.rule) && !self.context.nodes.agree() {
            // Another node has the rule.
            return release_claims(&self.context, [delivery.id]);
        }
        if let Some(answer) = self.answer_without_asking(&delivery, &request) {
            self.answer(&delivery, None, answer).await;
            return;
        }
        let admission = self.calls.api.admit(operation);
        let sent_before = match &admission {
            CallAdmission::Change { repeatable } => match self.reserve(&delivery).await {
                Some(ChangeReservation::Reserved) => false,
                Some(ChangeReservation::SentBefore) if *repeatable => true,
                Some(ChangeReservation::SentBefore) => {
                    let message = "sent before, and no response is known; it was not sent again";
                    let answer = CallAnswer::own(OwnCode::OutcomeUnknown, message);
                    return self.answer(&delivery, None, answer).await;
                }
                Some(ChangeReservation::LimitReached { per }) => {
                    let answer = self.change_limit(per);
                    return self.answer(&delivery, None, answer).await;
                }
                // Cancelled since it was claimed, or the store fails.
                Some(ChangeReservation::Withdrawn) | None => {
                    return release_claims(&self.context, [delivery.id]);
                }
            },
            _ => false,
        };
        // Absent if an operator has paused the target meanwhile.
        let Some(ticket) = self.gate.begin() else {
            return self.give_back(&delivery, sent_before).await;
        };
        let called = Called {
            delivery: &delivery,
            operation,
            request,
            sent_before,
            claims,
        };
        let may_repeat = !matches!(admission, CallAdmission::Change { repeatable: false });
        self.call(&called, ticket, may_repeat).await;
    }

    /// The answer to a call that is not sent, if it is not.
    fn answer_without_asking(
        &self,
        delivery: &Delivery,
        request: &CallRequest<'_>,
    ) -> Option<CallAnswer> {
        let own = |code, message: String| Some(CallAnswer::own(code, message));
        if !self.timeline.has_rule(&delivery.rule) {
            let message = format!("rule {} was removed or disabled", delivery.rule);
            return own(OwnCode::RuleGone, message);
        }
        // Counted without hours in which the machine may have been off, as every age is.
        if self.expires_at(delivery) <= self.context.clock.aging_now() {
            let message = format!("not sent within {:#}", self.calls.expires);
            return own(OwnCode::Expired, message);
        }
        let admission = self.calls.api.admit(request.operation);
        if let CallAdmission::NotAllowed(reason) = admission {
            return own(OwnCode::NotAllowed, reason);
        }
        match (self.calls.api.preview(request), admission) {
            (Err(reason), _) => own(OwnCode::Undelivered, reason),
            (Ok(preview), CallAdmission::DryRun) => {
                let message = "not sent: `dry_run` is set for the target".to_owned();
                Some(CallAnswer::own(OwnCode::DryRun, message).with_body(preview))
            }
            (Ok(_), _) => None,
        }
    }

    /// Records that a change is about to be sent. `None` if the store fails.
    async fn reserve(&self, delivery: &Delivery) -> Option<ChangeReservation> {
        let Self { queue, context, .. } = self;
        let (limit, now) = (self.calls.changes, context.clock.now());
        let reserved = context
            .store
            .submit_reserve_change(&queue.name, delivery.id, limit, now)
            .await;
        match reserved {
            Ok(reservation) => Some(reservation),
            Err(error) => {
                let detail = format!("cannot record a change at {}: {error}", queue.name);
                context.store_failed("reserve change", &detail);
                // A store that fails now fails again at once.
                tokio::time::sleep(POLL_INTERVAL).await;
                None
            }
        }
    }

    /// The answer to a change beyond the limit, which stops the target.
    fn change_limit(&self, per: ChangePeriod) -> CallAnswer {
        let most = match per {
            ChangePeriod::Minute => self.calls.changes.per_minute,
            ChangePeriod::Day => self.calls.changes.per_day,
        };
        let name = &self.queue.name;
        let detail = stopped_detail(most, per);
        let problems = &self.context.metrics.problems;
        if problems.holds(ProblemKind::ChangesStopped, name, &detail) {
            tracing::warn!(
                to = name,
                per = per.as_str(),
                limit = most,
                "the target has made as many changes as it may: further ones are answered \
                 ChangeLimit until it is resumed"
            );
        }
        self.context.gates.stop_changes(name, detail.clone());
        let message = format!("{detail}; it makes no more until `reflexarc target resume {name}`");
        CallAnswer::own(OwnCode::ChangeLimit, message)
    }

    /// Sends the request once, and settles how it ended.
    async fn call(&self, called: &Called<'_>, ticket: CallTicket, may_repeat: bool) {
        let Self { queue, context, .. } = self;
        let (started, clock) = (context.clock.now(), Instant::now());
        let sending = catch_panic(async {
            // As late as possible: another node may have it by now, and then answers it.
            if context.still_has(called.claims) {
                self.calls.api.call(&called.request).await
            } else {
                Err(CallError::NotSent {
                    reason: NOT_OURS.to_owned(),
                    retry_after: None,
                })
            }
        });
        let outcome = match tokio::time::timeout(queue.timeout, sending).await {
            Ok(Some(outcome)) => outcome,
            Ok(None) => {
                tracing::error!(
                    to = queue.name,
                    "panic while sending; the attempt counts as failed"
                );
                // It may have been sent before the panic.
                Err(CallError::Unknown {
                    reason: "internal error while sending".to_owned(),
                })
            }
            Err(_) => Err(CallError::Unknown {
                reason: format!("no response within {:#}", signed(queue.timeout)),
            }),
        };
        let outcome = match outcome {
            Ok(answer) => Outcome::Answer(self.without_secrets(answer)),
            Err(CallError::NotSent {
                reason,
                retry_after,
            }) => Outcome::Again {
                error: SendError::Transient {
                    reason,
                    retry_after,
                },
                is_unknown: called.sent_before,
            },
            Err(CallError::Unknown { reason }) => Outcome::Again {
                error: SendError::transient(reason),
                is_unknown: true,
            },
        };
        let call = Call {
            started,
            duration: clock.elapsed(),
            outcome: match &outcome {
                Outcome::Answer(answer) => Ok(Receipt::complete(answer.summary())),
                Outcome::Again { error, .. } => redact(context, &Err(error.clone())),
            },
        };
        self.gate.record(ticket, &call.outcome, &context.metrics);
        let outcome = self.decide(called, outcome, may_repeat);
        self.settle(called, call, outcome).await;
    }

    /// Whether a call without an answer is sent again; else the answer that it has without one.
    fn decide(&self, called: &Called<'_>, outcome: Outcome, may_repeat: bool) -> Outcome {
        let Outcome::Again { error, is_unknown } = &outcome else {
            return outcome;
        };
        let reason = recorded(&self.context, error.reason());
        if *is_unknown && !may_repeat {
            return Outcome::Answer(CallAnswer::own(OwnCode::OutcomeUnknown, reason));
        }
        let aging_now = self.context.clock.aging_now();
        let error = Err(error.clone());
        let decision = self.queue.policy.decide(called.delivery, &error, aging_now);
        let code = match decision {
            Decision::RetryAt(at) if at < self.expires_at(called.delivery) => return outcome,
            Decision::RetryAt(_) => OwnCode::Expired,
            _ => OwnCode::Undelivered,
        };
        // A read changes nothing, whether it was executed or not.
        let is_change = matches!(
            self.calls.api.admit(called.operation),
            CallAdmission::Change { .. }
        );
        let code = if *is_unknown && is_change {
            OwnCode::OutcomeUnknown
        } else {
            code
        };
        Outcome::Answer(CallAnswer::own(code, reason))
    }

    /// Records an attempt, and what follows from it.
    async fn settle(&self, called: &Called<'_>, call: Call, outcome: Outcome) {
        let (queue, context, delivery) = (&self.queue, &self.context, called.delivery);
        let name = match (&outcome, &call.outcome) {
            (_, Ok(_)) => "answered",
            (
                Outcome::Again {
                    is_unknown: true, ..
                },
                Err(_),
            ) => "unknown",
            (_, Err(error)) => error.outcome(),
        };
        let response = match &call.outcome {
            Ok(receipt) => recorded(context, &receipt.response),
            Err(error) => error.reason().to_owned(),
        };
        context.metrics.attempt(&queue.name, name, call.duration);
        tracing::info!(
            to = queue.name,
            delivery = %delivery.id,
            event = delivery.event.id,
            rule = delivery.rule,
            operation = called.operation,
            attempt = delivery.attempt,
            outcome = name,
            answer = response,
            "attempt"
        );
        record_span(queue, context, delivery, &call, &response);
        let attempt = AttemptOutcome {
            started: call.started,
            took: signed(call.duration),
            outcome: name,
            answer: response,
            delivered_parts: Vec::new(),
        };
        match outcome {
            Outcome::Answer(answer) => {
                publish_attempt(context, delivery, &attempt, None);
                self.answer(delivery, Some(attempt), answer).await;
            }
            Outcome::Again { error, .. } => {
                let due = self.retry_at(delivery, &error);
                publish_attempt(context, delivery, &attempt, Some(&Decision::RetryAt(due)));
                self.retry(delivery, attempt, due).await;
            }
        }
    }

    /// When a call is sent again, on the clock that claims compare with.
    fn retry_at(&self, delivery: &Delivery, error: &SendError) -> Timestamp {
        let (now, aging_now) = (self.context.clock.now(), self.context.clock.aging_now());
        let error = Err(error.clone());
        match self.queue.policy.decide(delivery, &error, aging_now) {
            Decision::RetryAt(at) => at
                .saturating_add(now.duration_since(aging_now))
                .unwrap_or(at),
            // Decided otherwise a moment ago: then it expires.
            _ => now,
        }
    }

    async fn retry(&self, delivery: &Delivery, attempt: AttemptOutcome, due: Timestamp) {
        let ended = EndedAttempt {
            delivery: delivery.clone(),
            outcome: attempt,
            decision: Decision::RetryAt(due),
        };
        let submit = move |context: &DispatchContext| {
            let EndedAttempt {
                delivery,
                outcome,
                decision,
            } = ended.clone();
            let now = context.clock.now();
            context
                .store
                .submit_settle(delivery, outcome, decision, now)
        };
        let reply = submit(&self.context);
        until_stored(&self.context, "settle", vec![submit], vec![reply]).await;
    }

    /// Ends the call with its answer. Repeated until the store works: the answer of an API that has
    /// changed something must not get lost.
    async fn answer(
        &self,
        delivery: &Delivery,
        attempt: Option<AttemptOutcome>,
        answer: CallAnswer,
    ) {
        let ended = EndedCall {
            id: delivery.id,
            attempt,
            answer,
        };
        let timeline = self.timeline.clone();
        let submit = move |_: &DispatchContext| timeline.submit_answer(ended.clone());
        let reply = submit(&self.context);
        until_stored(&self.context, "answer", vec![submit], vec![reply]).await;
    }

    /// Gives back a call that was not sent, for which a change may be reserved: it was not made.
    async fn give_back(&self, delivery: &Delivery, sent_before: bool) {
        if sent_before {
            release_claims(&self.context, [delivery.id]);
            return;
        }
        // A settled attempt closes the reservation. Without it, the call would seem to have been
        // sent.
        let attempt = AttemptOutcome {
            started: self.context.clock.now(),
            took: SignedDuration::ZERO,
            outcome: "failed",
            answer: "not sent: the target was paused".to_owned(),
            delivered_parts: Vec::new(),
        };
        self.retry(delivery, attempt, self.context.clock.now())
            .await;
    }

    /// A message or document, which a target for calls cannot take: a script has computed its name.
    async fn refuse(&self, delivery: Delivery) {
        let reason = format!(
            "{} takes calls of operations, no messages and documents",
            self.queue.name
        );
        let outcome = AttemptOutcome {
            started: self.context.clock.now(),
            took: SignedDuration::ZERO,
            outcome: "misconfigured",
            answer: reason.clone(),
            delivered_parts: Vec::new(),
        };
        let decision = Decision::DeadLetter {
            cause: DeadLetterCause::Misconfigured,
            reason,
        };
        let submit = move |context: &DispatchContext| {
            let now = context.clock.now();
            let (delivery, outcome) = (delivery.clone(), outcome.clone());
            context
                .store
                .submit_settle(delivery, outcome, decision.clone(), now)
        };
        let reply = submit(&self.context);
        until_stored(&self.context, "settle", vec![submit], vec![reply]).await;
    }

    /// Lets calls expire that wait for too long.
    async fn expire(&self) {
        let Self { queue, context, .. } = self;
        let now = context.clock.now();
        let before = context.clock.aging_now().saturating_sub(self.calls.expires);
        let expired = context
            .store
            .submit_expire_calls(&queue.name, before.unwrap_or(Timestamp::MIN), now)
            .await;
        if let Err(error) = expired {
            let detail = format!("cannot let calls of {} expire: {error}", queue.name);
            context.store_failed("expire", &detail);
        }
    }

    /// When a call that was not sent by then expires.
    fn expires_at(&self, delivery: &Delivery) -> Timestamp {
        let at = delivery.queued_at.saturating_add(self.calls.expires);
        at.unwrap_or(Timestamp::MAX)
    }

    /// The answer without secrets of this configuration, which an API may repeat in its messages.
    fn without_secrets(&self, mut answer: CallAnswer) -> CallAnswer {
        let redactor = &self.context.redactor;
        answer.message = redactor.redact(&answer.message);
        redact_texts(&mut answer.body, redactor);
        answer
    }
}

/// Removes secrets from the texts of a document.
fn redact_texts(json: &mut Json, redactor: &Redactor) {
    match json {
        Json::String(text) => *text = redactor.redact(text),
        Json::Array(elements) => {
            for element in elements {
                redact_texts(element, redactor);
            }
        }
        Json::Object(members) => {
            for (_, value) in members {
                redact_texts(value, redactor);
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}
