//! Calls of rules: the simulated cloud answers them, and the answer goes back to the rule.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use reflexarc::{AnsweredCall, RuleSet};
use reflexarc_delivery::alibaba;
use reflexarc_eni::rpc::RpcResponse;
use reflexarc_eni::scenario::{RuleRequest, TimelineEvent};
use reflexarc_event::EventIdentity;
use reflexarc_reaction::{Action, CallAnswer, OwnCode};

use super::super::call_targets::CallDecision;
use super::super::delayed_actions::{DelayStep, RuleAction};
use super::super::pending_calls::PendingCall;
use super::super::timeline::{Content, Entry};
use super::{Cause, ScenarioRun};

impl ScenarioRun {
    /// Queues a call that is due.
    pub(super) fn queue_call(&mut self, at: Timestamp, mut action: RuleAction) {
        let Some(origin) = action.call.take() else {
            return;
        };
        let call = PendingCall {
            action,
            origin,
            due: at,
            attempt: 1,
            withdrawn: None,
        };
        self.calls.add(at, call);
    }

    /// Shows that an action was cancelled; a call is answered with that.
    pub(super) fn withdraw(&mut self, at: Timestamp, mut action: RuleAction) {
        self.add_delay_step(at, &action, DelayStep::Cancelled);
        let Some(origin) = action.call.take() else {
            return;
        };
        let reason = "the rule has cancelled or replaced the call";
        let call = PendingCall {
            action,
            origin,
            due: at,
            attempt: 1,
            withdrawn: Some(CallAnswer::own(OwnCode::Cancelled, reason)),
        };
        self.calls.add(at, call);
    }

    /// Makes the next call and processes its answer.
    pub(super) fn make_call(&mut self) -> Option<()> {
        if self.is_truncated() {
            return None;
        }
        let (at, mut call) = self.calls.take_next()?;
        let decision = match call.withdrawn.take() {
            Some(answer) => CallDecision::Answered(answer),
            None => self.decide(at, &call),
        };
        match decision {
            CallDecision::Answered(answer) => self.process_answer(at, call, answer),
            CallDecision::Made(parameters) => {
                let answer = self.ask_cloud(at, &call.action, parameters);
                self.process_answer(at, call, answer);
            }
            CallDecision::RetryAt(next) => {
                call.attempt += 1;
                self.calls.add(next, call);
            }
        }
        Some(())
    }

    /// Adds an entry with the operations that a configuration has to allow: those that the rules
    /// can call, whether or not they did in this scenario.
    pub(super) fn report_operations(&mut self) {
        let reached = self.entries.iter().map(|entry| entry.at).max();
        let end = self.simulation.until().max(reached);
        let at = end.unwrap_or(self.simulation.world().start);
        for (target, operations) in operations(&self.rules) {
            self.entries.push(Entry {
                at,
                account: None,
                interface: None,
                content: Content::Allow { target, operations },
            });
        }
    }

    fn decide(&mut self, at: Timestamp, call: &PendingCall) -> CallDecision {
        if let Some(targets) = &mut self.call_targets {
            return targets.decide(at, call);
        }
        let Action::Call {
            operation,
            parameters,
            ..
        } = &call.action.action
        else {
            return CallDecision::Made(Vec::new());
        };
        // `GET /enis/{id}` is an operation of a target of type `http`.
        if !operation.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            let reason = "only the operations of ECS are simulated";
            return CallDecision::Answered(CallAnswer::own(OwnCode::Undelivered, reason));
        }
        match alibaba::flatten(parameters) {
            Ok(flat) => CallDecision::Made(flat.into_iter().collect()),
            Err(reason) => CallDecision::Answered(CallAnswer::own(OwnCode::Undelivered, reason)),
        }
    }

    /// The answer of the cloud, in the name of the account on whose bus the rule is.
    fn ask_cloud(
        &mut self,
        at: Timestamp,
        action: &RuleAction,
        mut parameters: Vec<(String, String)>,
    ) -> CallAnswer {
        let Action::Call { operation, .. } = &action.action else {
            return CallAnswer::own(OwnCode::Undelivered, "this is no call");
        };
        // As a target does that has a region.
        if !parameters.iter().any(|(name, _)| name == "RegionId") {
            let region = self.simulation.world().cloud.region().to_owned();
            parameters.push(("RegionId".to_owned(), region));
        }
        let response = self.simulation.answer(RuleRequest {
            at,
            account: action.account.clone(),
            rule: action.rule.clone(),
            action: operation.clone(),
            parameters: parameters.into_iter().collect(),
        });
        // The request comes before its answer. What it leads to comes after it: that takes time.
        while let Some(event) = self.simulation.advance() {
            let is_request = matches!(
                &event,
                TimelineEvent::Request { request_id, .. } if *request_id == response.request_id
            );
            self.add_event(&event);
            if is_request {
                break;
            }
        }
        answer_of(response)
    }

    fn process_answer(&mut self, at: Timestamp, call: PendingCall, answer: CallAnswer) {
        let PendingCall { action, origin, .. } = call;
        let RuleAction {
            account,
            rule,
            interface,
            action,
            ..
        } = action;
        let Action::Call {
            target,
            operation,
            parameters,
            ..
        } = action
        else {
            return;
        };
        self.entries.push(Entry {
            at,
            account: Some(self.account_name(&account)),
            interface,
            content: Content::Answer {
                rule: rule.clone(),
                target: target.clone(),
                operation: operation.clone(),
                parameters: parameters.clone(),
                answer: answer.clone(),
            },
        });
        if !answer.ok && !self.rules.processes_answers(&rule) {
            let text =
                format!("the rule {rule} does not process this answer: it has no `answered`");
            self.entries.push(Entry::note(at, text));
        }
        let (event, hop) = (origin.event.clone(), origin.hop);
        let answered =
            AnsweredCall::new(&rule, origin.event, target, operation, parameters, answer);
        let answered = answered.with_key(origin.key).with_hop(hop);
        let state = self.states.entry(account.clone()).or_default();
        state.advance(at);
        let evaluation = self.rules.answer(&answered, state, at);
        for effects in &evaluation.rules {
            state.apply(&effects.rule, &effects.changes);
        }
        self.answers += 1;
        let id = format!("answer-{}", self.answers);
        let cause = Cause::new(event);
        let identity = EventIdentity::with_id(&cause.native, id);
        self.perform(at, &account, &cause, Some(identity), evaluation);
    }
}

/// The response of the cloud as a rule gets it.
fn answer_of(response: RpcResponse) -> CallAnswer {
    if response.is_accepted() {
        CallAnswer::ok(response.status, response.body)
    } else {
        CallAnswer::refused(
            response.status,
            response.code,
            response.message,
            response.body,
        )
    }
}

/// The operations that enabled rules can call, by target.
fn operations(rules: &RuleSet) -> BTreeMap<String, Vec<String>> {
    let mut operations: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for call in rules
        .rules()
        .filter(|rule| rule.enabled())
        .flat_map(reflexarc::Rule::calls)
    {
        operations
            .entry(call.target)
            .or_default()
            .insert(call.operation);
    }
    let sorted = operations.into_iter();
    sorted
        .map(|(target, operations)| (target, operations.into_iter().collect()))
        .collect()
}
