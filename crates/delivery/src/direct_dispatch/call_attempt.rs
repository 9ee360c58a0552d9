//! One attempt of a call: whether it is sent, and what follows from its outcome.
//!
//! The decisions are those of the service: what may have been executed is sent again only where the
//! API recognises copies, and every call has one answer.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use reflexarc_event::Json;
use reflexarc_reaction::{Action, CallAnswer, OwnCode};
use tokio::time::Instant;

use super::change_counter::ChangeCounter;
use super::job::Progress;
use super::send::{INTERNAL_ERROR, catch_panic, no_response, recorded};
use super::{DirectOutcome, Redact};
use crate::call::{CallAdmission, CallError, CallRequest, CallSettings};
use crate::config::TargetConfig;
use crate::delivery::Delivery;
use crate::outcome::{Receipt, SendError};
use crate::retry::{DeadLetterCause, Decision};

/// What every attempt at one target needs.
pub(super) struct Caller {
    pub(super) target: Arc<TargetConfig>,
    pub(super) calls: CallSettings,
    pub(super) redact: Redact,
    pub(super) changes: Arc<Mutex<ChangeCounter>>,
}

/// How an attempt ended.
pub(super) struct CallAttempt {
    /// What it says about the API.
    pub(super) sent: Result<Receipt, SendError>,
    pub(super) next: CallNext,
}

/// What follows.
pub(super) enum CallNext {
    Ended(CallAnswer),
    RetryAt(Timestamp),
}

impl Caller {
    /// The outcome of a delivery that is not sent, if it is not. `now` is the time that its age is
    /// compared with.
    pub(super) fn without_sending(
        &self,
        delivery: &Delivery,
        progress: &Mutex<Progress>,
        now: Timestamp,
    ) -> Option<DirectOutcome> {
        let Some(request) = request(delivery) else {
            let name = &self.target.name;
            return Some(DirectOutcome::Undeliverable {
                cause: DeadLetterCause::Misconfigured,
                reason: format!("{name} takes calls of operations, no messages and documents"),
            });
        };
        let answer = self
            .expired(delivery, now)
            .or_else(|| self.answer_without_asking(&request, progress))?;
        Some(DirectOutcome::Answered(answer))
    }

    /// The answer to a call that has waited for too long, if it has.
    pub(super) fn expired(&self, delivery: &Delivery, now: Timestamp) -> Option<CallAnswer> {
        let expires = self.calls.expires;
        let is_expired = now.duration_since(delivery.queued_at) >= expires;
        let message = format!("not sent within {expires:#}");
        is_expired.then(|| CallAnswer::own(OwnCode::Expired, message))
    }

    fn answer_without_asking(
        &self,
        request: &CallRequest<'_>,
        progress: &Mutex<Progress>,
    ) -> Option<CallAnswer> {
        let admission = self.calls.api.admit(request.operation);
        if let CallAdmission::NotAllowed(reason) = admission {
            return Some(CallAnswer::own(OwnCode::NotAllowed, reason));
        }
        let preview = match self.calls.api.preview(request) {
            Ok(preview) => preview,
            Err(reason) => return Some(CallAnswer::own(OwnCode::Undelivered, reason)),
        };
        match admission {
            CallAdmission::DryRun => {
                let message = "not sent: `dry_run` is set for the target";
                Some(CallAnswer::own(OwnCode::DryRun, message).with_body(preview))
            }
            CallAdmission::Change { .. } => self.reserve_change(progress),
            CallAdmission::NotAllowed(_) | CallAdmission::Read => None,
        }
    }

    /// Counts a change that is about to be sent; one that is sent again counts once. The answer if
    /// the target makes no more changes.
    fn reserve_change(&self, progress: &Mutex<Progress>) -> Option<CallAnswer> {
        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let reserved = if progress.may_be_executed {
            // That it was not sent would be untrue.
            Ok(())
        } else if progress.is_counted {
            changes.check()
        } else {
            changes.reserve(self.calls.changes, Instant::now())
        };
        progress.is_counted = true;
        let detail = reserved.err()?;
        let message = format!("{detail}; the target makes no more until it is resumed");
        Some(CallAnswer::own(OwnCode::ChangeLimit, message))
    }

    /// Sends a call once, for which [`Caller::without_sending`] has no outcome.
    pub(super) async fn call(
        &self,
        delivery: &Delivery,
        progress: &Mutex<Progress>,
        now: Timestamp,
    ) -> CallAttempt {
        let Some(request) = request(delivery) else {
            let answer = CallAnswer::own(OwnCode::Undelivered, "no call");
            return CallAttempt::answered(answer);
        };
        let lock = || progress.lock().unwrap_or_else(PoisonError::into_inner);
        let admission = self.calls.api.admit(request.operation);
        let is_change = matches!(admission, CallAdmission::Change { .. });
        let sent_before = {
            let mut progress = lock();
            progress.attempts += 1;
            // Before it is sent: a caller that gives up meanwhile does not know the outcome.
            std::mem::replace(&mut progress.may_be_executed, is_change)
        };
        let sending = catch_panic(async { self.calls.api.call(&request).await });
        let outcome = match tokio::time::timeout(self.target.timeout, sending).await {
            Ok(Some(outcome)) => outcome,
            // It may have been sent before the panic.
            Ok(None) => Err(unknown(INTERNAL_ERROR.to_owned())),
            Err(_) => Err(unknown(no_response(&self.target))),
        };
        let (reason, retry_after, is_unknown) = match outcome {
            Ok(answer) => return CallAttempt::answered(self.without_secrets(answer)),
            Err(CallError::NotSent {
                reason,
                retry_after,
            }) => (reason, retry_after, sent_before),
            Err(CallError::Unknown { reason }) => (reason, None, true),
        };
        let reason = recorded(&self.redact, &reason);
        {
            let mut progress = lock();
            progress.may_be_executed = is_change && is_unknown;
            progress.last_error = Some(reason.clone());
        }
        let error = SendError::Transient {
            reason,
            retry_after,
        };
        let next = self.next(delivery, &admission, &error, is_unknown, now);
        CallAttempt {
            sent: Err(error),
            next,
        }
    }

    /// Whether a call without an answer is sent again; else the answer that it has without one.
    fn next(
        &self,
        delivery: &Delivery,
        admission: &CallAdmission,
        error: &SendError,
        is_unknown: bool,
        now: Timestamp,
    ) -> CallNext {
        let own = |code| CallNext::Ended(CallAnswer::own(code, error.reason()));
        if is_unknown && *admission == (CallAdmission::Change { repeatable: false }) {
            return own(OwnCode::OutcomeUnknown);
        }
        let outcome = Err(error.clone());
        let decision = self.target.policy.decide(delivery, &outcome, now);
        let expires = delivery.queued_at.saturating_add(self.calls.expires);
        let code = match decision {
            Decision::RetryAt(at) if at < expires.unwrap_or(Timestamp::MAX) => {
                return CallNext::RetryAt(at);
            }
            Decision::RetryAt(_) => OwnCode::Expired,
            _ => OwnCode::Undelivered,
        };
        // A read changes nothing, whether it was executed or not.
        let is_change = matches!(admission, CallAdmission::Change { .. });
        own(if is_unknown && is_change {
            OwnCode::OutcomeUnknown
        } else {
            code
        })
    }

    /// The answer without secrets of the configuration, which an API may repeat in its messages.
    fn without_secrets(&self, mut answer: CallAnswer) -> CallAnswer {
        answer.message = (self.redact)(&answer.message);
        redact_texts(&mut answer.body, &self.redact);
        answer
    }
}

impl CallAttempt {
    fn answered(answer: CallAnswer) -> Self {
        Self {
            sent: Ok(Receipt::complete(answer.summary())),
            next: CallNext::Ended(answer),
        }
    }
}

/// The request of a delivery; `None` if it is not a call.
fn request(delivery: &Delivery) -> Option<CallRequest<'_>> {
    match &delivery.action {
        Action::Call {
            operation,
            parameters,
            ..
        } => Some(CallRequest {
            id: delivery.id,
            operation,
            parameters,
        }),
        _ => None,
    }
}

fn unknown(reason: String) -> CallError {
    CallError::Unknown { reason }
}

/// Removes secrets from the texts of a document.
fn redact_texts(json: &mut Json, redact: &Redact) {
    match json {
        Json::String(text) => *text = redact(text),
        Json::Array(elements) => {
            for element in elements {
                redact_texts(element, redact);
            }
        }
        Json::Object(members) => {
            for (_, value) in members {
                redact_texts(value, redact);
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}
