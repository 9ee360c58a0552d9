//! The targets of a configuration that take calls: what they allow, how many changes they make, and
//! their faults, on the virtual clock. Nothing is signed or sent.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use reflexarc_delivery::config::{TargetConfig, unknown_target_message};
use reflexarc_delivery::{
    CallAdmission, CallRequest, CallSettings, ChangeLimit, Decision, Delivery, RetryPolicy,
    SendError,
};
use reflexarc_eni::scenario::{TargetFault, TargetFaultMode};
use reflexarc_event::Json;
use reflexarc_reaction::{Action, CallAnswer, OwnCode};

use super::pending_calls::PendingCall;

/// The version of the API that the simulated cloud has.
const SIMULATED_VERSION: &str = "2014-05-26";

/// All targets, of which some take calls.
pub(super) struct CallTargets {
    targets: BTreeMap<String, CallTarget>,
    /// The names and types of all targets, for messages about those that take no calls.
    known: Vec<(String, &'static str)>,
}

/// What becomes of a call.
pub(super) enum CallDecision {
    /// It is not made, and answered with this.
    Answered(CallAnswer),
    /// The cloud answers it, with these parameters.
    Made(Vec<(String, String)>),
    /// It has failed, and is attempted again.
    RetryAt(Timestamp),
}

struct CallTarget {
    settings: CallSettings,
    policy: RetryPolicy,
    changes: Changes,
    fault: Option<(TargetFaultMode, Option<Timestamp>)>,
}

/// The changes of the last 24 hours.
struct Changes {
    limit: ChangeLimit,
    made: VecDeque<Timestamp>,
    /// Whether it has made as many as it may. An operator would resume it; here it stays so.
    is_stopped: bool,
}

impl CallTargets {
    pub(super) fn new(configured: &[TargetConfig]) -> Self {
        let taking = configured.iter().filter_map(|target| {
            let settings = target.calls.clone()?;
            let changes = Changes {
                limit: settings.changes,
                made: VecDeque::new(),
                is_stopped: false,
            };
            let taking = CallTarget {
                settings,
                policy: target.policy.clone(),
                changes,
                fault: None,
            };
            Some((target.name.clone(), taking))
        });
        Self {
            targets: taking.collect(),
            known: configured
                .iter()
                .map(|target| (target.name.clone(), target.target.kind()))
                .collect(),
        }
    }

    /// Makes a target fail from now on. This replaces an earlier fault of the target.
    pub(super) fn inject(&mut self, at: Timestamp, fault: &TargetFault) {
        if let Some(target) = self.targets.get_mut(&fault.target) {
            let until = fault.duration.map(|duration| at + duration);
            target.fault = Some((fault.mode, until));
        }
    }

    /// Decides about a call that is due, as the service does before it sends one.
    pub(super) fn decide(&mut self, at: Timestamp, call: &PendingCall) -> CallDecision {
        let name = call.action.action.target();
        if let Some(target) = self.targets.get_mut(name) {
            return target.decide(at, call);
        }
        let kind = self.known.iter().find(|(known, _)| known == name);
        let reason = if let Some((_, kind)) = kind {
            format!("{name} is of type {kind}, which takes no calls")
        } else {
            let names: Vec<String> = self.known.iter().map(|(name, _)| name.clone()).collect();
            unknown_target_message(name, &names)
        };
        answered(OwnCode::Undelivered, reason)
    }
}

impl CallTarget {
    fn decide(&mut self, at: Timestamp, call: &PendingCall) -> CallDecision {
        let (
            Action::Call {
                operation,
                parameters,
                ..
            },
            Some(delivery),
        ) = (&call.action.action, &call.action.delivery)
        else {
            return answered(OwnCode::Undelivered, "this is no call".to_owned());
        };
        let expires = self.settings.expires;
        if at.duration_since(call.due) > expires {
            return answered(OwnCode::Expired, format!("not sent within {expires:#}"));
        }
        let admission = self.settings.api.admit(operation);
        if let CallAdmission::NotAllowed(reason) = admission {
            return answered(OwnCode::NotAllowed, reason);
        }
        let request = CallRequest {
            id: delivery.id,
            operation,
            parameters,
        };
        let preview = match self.settings.api.preview(&request) {
            Ok(preview) => preview,
            Err(reason) => return answered(OwnCode::Undelivered, reason),
        };
        if admission == CallAdmission::DryRun {
            let message = "not sent: `dry_run` is set for the target";
            let answer = CallAnswer::own(OwnCode::DryRun, message);
            return CallDecision::Answered(answer.with_body(preview));
        }
        // A further attempt is the same change.
        let is_new_change = matches!(admission, CallAdmission::Change { .. }) && call.attempt == 1;
        if is_new_change && let Err(reason) = self.changes.reserve(at) {
            return answered(OwnCode::ChangeLimit, reason);
        }
        if let Some(failed) = self.fail(at, call, delivery) {
            return failed;
        }
        match flat_parameters(&preview) {
            Some(parameters) => CallDecision::Made(parameters),
            None => answered(
                OwnCode::Undelivered,
                format!("only version {SIMULATED_VERSION} of ECS is simulated"),
            ),
        }
    }

    /// What the active fault makes of a call.
    fn fail(&self, at: Timestamp, call: &PendingCall, delivery: &Delivery) -> Option<CallDecision> {
        let (mode, until) = self.fault?;
        if until.is_some_and(|until| at >= until) {
            return None;
        }
        let reason = match mode {
            TargetFaultMode::Down => "no response",
            TargetFaultMode::Throttle => "called too often",
            TargetFaultMode::Refuse => {
                let message = "rejected by the target";
                let answer = CallAnswer::refused(403, "Forbidden", message, Json::Null);
                return Some(CallDecision::Answered(answer));
            }
        };
        let attempt = Delivery {
            attempt: call.attempt,
            queued_at: call.due,
            ..delivery.clone()
        };
        let decision = self
            .policy
            .decide(&attempt, &Err(SendError::transient(reason)), at);
        Some(match decision {
            Decision::RetryAt(next) if next.duration_since(call.due) < self.settings.expires => {
                CallDecision::RetryAt(next)
            }
            Decision::RetryAt(_) => answered(OwnCode::Expired, reason.to_owned()),
            Decision::DeadLetter { reason, .. } => answered(OwnCode::Undelivered, reason),
            Decision::Delivered | Decision::NextPart => return None,
        })
    }
}

impl Changes {
    /// Counts a change.
    ///
    /// # Errors
    /// Why it must not be made.
    fn reserve(&mut self, at: Timestamp) -> Result<(), String> {
        let since = |period: SignedDuration| at.checked_sub(period).unwrap_or(Timestamp::MIN);
        let (minute, day) = (SignedDuration::from_mins(1), SignedDuration::from_hours(24));
        while self.made.front().is_some_and(|first| *first <= since(day)) {
            self.made.pop_front();
        }
        let recent = self.made.iter().rev();
        let recent = recent.take_while(|made| **made > since(minute)).count();
        let ChangeLimit {
            per_minute,
            per_day,
        } = self.limit;
        let is_full =
            |count: usize, limit: u32| u32::try_from(count).is_ok_and(|count| count >= limit);
        self.is_stopped |= is_full(recent, per_minute) || is_full(self.made.len(), per_day);
        if self.is_stopped {
            return Err(format!(
                "as many changes were made as are allowed: {per_minute} a minute, {per_day} a day; \
                 it makes no more until an operator resumes it"
            ));
        }
        self.made.push_back(at);
        Ok(())
    }
}

fn answered(code: OwnCode, reason: String) -> CallDecision {
    CallDecision::Answered(CallAnswer::own(code, reason))
}

/// The parameters that a target would send; `None` if it would send them to another API than the
/// one that is simulated.
fn flat_parameters(preview: &Json) -> Option<Vec<(String, String)>> {
    if preview.get("version").and_then(Json::as_str) != Some(SIMULATED_VERSION) {
        return None;
    }
    let parameters = preview.get("parameters")?.members().iter();
    let text = |value: &Json| value.as_str().map(str::to_owned);
    parameters
        .map(|(name, value)| Some((name.clone(), text(value)?)))
        .collect()
}
