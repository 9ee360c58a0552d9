//! Running a scenario: one timeline event after the other, in the order of virtual time.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use reflexarc_event::Operation;

use super::{RuleRequest, Scenario, Step, StepAction, TimelineEvent, World};
use crate::resources::InstanceStatus;
use crate::rpc::{self, Parameters, RpcResponse};
use crate::{Answer, Fault, FaultMode, Reply};

/// The expectation of a step whose request should be accepted, in the place of an error code.
const ACCEPTED: &str = "accepted";

/// A scenario that is running.
#[derive(Debug)]
pub struct Simulation {
    world: World,
    /// The ids of interfaces by the names that the scenario gives them.
    names: BTreeMap<String, String>,
    steps: VecDeque<Step>,
    until: Option<Timestamp>,
    /// What has happened and was not returned yet.
    ready: VecDeque<TimelineEvent>,
    returned: usize,
}

/// What can happen next.
#[derive(Clone, Copy)]
enum Next {
    Completion,
    Step,
}

/// A request that is about to be made.
struct Call {
    at: Timestamp,
    account: String,
    action: String,
    parameters: Parameters,
    rule: Option<String>,
    /// The name of the interface that the request creates.
    name: Option<String>,
    /// The expected error code, or [`ACCEPTED`]; absent when every reply is fine.
    expectation: Option<String>,
}

impl Simulation {
    /// A scenario before its first timeline event.
    pub fn new(scenario: Scenario) -> Self {
        let Scenario {
            world,
            steps,
            until,
            ..
        } = scenario;
        Self {
            names: world.names.clone(),
            steps: steps.into(),
            until,
            ready: VecDeque::new(),
            world,
            returned: 0,
        }
    }

    /// The world in its current state.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The name of an interface in the scenario; its id when it has no name.
    pub fn name_of<'a>(&'a self, interface: &'a str) -> &'a str {
        let named = self.names.iter().find(|(_, id)| *id == interface);
        named.map_or(interface, |(name, _)| name)
    }

    /// The next timeline event; `None` at the end, and after [`Scenario::MAX_TIMELINE_EVENTS`]: two
    /// rules can react to each other's requests for ever.
    pub fn advance(&mut self) -> Option<TimelineEvent> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.returned += 1;
                return (self.returned <= Scenario::MAX_TIMELINE_EVENTS).then_some(event);
            }
            self.run_next()?;
        }
    }

    /// The time of the next timeline event as far as it is known now; `None` at the end.
    pub fn next_at(&self) -> Option<Timestamp> {
        if self.ready.is_empty() {
            self.next().map(|(at, _)| at)
        } else {
            // What is ready happened at the current time; only its return is outstanding.
            Some(self.world.cloud.now())
        }
    }

    /// When the scenario ends even if operations are in progress; when absent, it goes on until
    /// none is.
    pub fn until(&self) -> Option<Timestamp> {
        self.until
    }

    /// Whether it ended because it had too many timeline events.
    pub fn is_truncated(&self) -> bool {
        self.returned > Scenario::MAX_TIMELINE_EVENTS
    }

    /// Makes a request of a rule at once and returns the response, which the timeline shows as a
    /// request of that rule. Operations that are due by `request.at` complete first.
    pub fn answer(&mut self, request: RuleRequest) -> RpcResponse {
        self.world.cloud.advance(request.at);
        self.collect();
        let at = request.at.max(self.world.cloud.now());
        self.call(Call {
            at,
            account: request.account,
            action: request.action,
            parameters: request.parameters,
            rule: Some(request.rule),
            name: None,
            expectation: None,
        })
    }

    /// What happens next and when: the earliest, and at one instant in the order of this list.
    ///
    /// Completions come first, so that a request of the same second finds the interface as it is
    /// then: an attachment that takes 2 s and a detachment 2 s after it work without a refusal.
    fn next(&self) -> Option<(Timestamp, Next)> {
        // `until` cuts off operations; the steps of the script always run.
        let in_time = |at: &Timestamp| self.until.is_none_or(|until| *at <= until);
        let candidates = [
            (
                self.world.cloud.next_completion().filter(in_time),
                Next::Completion,
            ),
            (self.steps.front().map(|step| step.at), Next::Step),
        ];
        // `min_by_key` returns the first of equal elements.
        candidates
            .into_iter()
            .filter_map(|(at, next)| Some((at?, next)))
            .min_by_key(|(at, _)| *at)
    }

    fn run_next(&mut self) -> Option<()> {
        let (at, next) = self.next()?;
        // Completions that are due at this time happen before anything else at this time.
        self.world.cloud.advance(at);
        match next {
            Next::Completion => self.collect(),
            Next::Step => {
                let step = self.steps.pop_front()?;
                self.run_step(step);
            }
        }
        Some(())
    }

    fn run_step(&mut self, Step { at, action }: Step) {
        match action {
            StepAction::Call {
                account,
                action,
                parameters,
                name,
                expect,
            } => {
                let expectation = Some(expect.unwrap_or_else(|| ACCEPTED.to_owned()));
                self.call(Call {
                    at,
                    account,
                    action,
                    parameters,
                    rule: None,
                    name,
                    expectation,
                });
            }
            StepAction::Fault {
                operation,
                interface,
                mode,
                times,
            } => {
                self.inject(at, operation, interface.as_deref(), mode, times);
            }
            StepAction::TargetFault(fault) => {
                self.ready
                    .push_back(TimelineEvent::TargetFault { at, fault });
            }
            StepAction::Instance { id, status } => self.change_instance(at, &id, status),
            StepAction::Grant { interface, account } => {
                // A name without an interface (its creation was refused) becomes an empty id, which
                // is reported.
                let id = self.names.get(&interface).cloned().unwrap_or_default();
                let text = match self.world.cloud.grant_attach(&id, &account) {
                    Ok(()) => {
                        format!(
                            "{} may attach {interface}",
                            self.world.account_name(&account)
                        )
                    }
                    Err(error) => error.to_string(),
                };
                self.note(at, text);
            }
            StepAction::Publish { account, event } => {
                let published = TimelineEvent::Published { at, account, event };
                self.ready.push_back(published);
            }
        }
    }

    fn inject(
        &mut self,
        at: Timestamp,
        operation: Operation,
        name: Option<&str>,
        mode: FaultMode,
        times: usize,
    ) {
        let requests = match times {
            1 => format!("the next {operation} request"),
            _ => format!("the next {times} {operation} requests"),
        };
        let interface = name.map_or_else(String::new, |name| format!(" for {name}"));
        let effect = match mode {
            FaultMode::Fail => "will fail",
            FaultMode::Hang => "will never complete",
        };
        let id = name.map(|name| self.names.get(name).cloned());
        // Without an id, the fault would be one of all interfaces. A name has none if the creation
        // of its interface was refused.
        if id == Some(None) {
            let text = format!("no fault{interface}: it was not created");
            self.note(at, text);
            return;
        }
        let id = id.flatten();
        let fault = Fault {
            operation,
            interface: id,
            mode,
            times,
        };
        let text = match self.world.cloud.inject(fault) {
            Ok(()) => format!("{requests}{interface} {effect}"),
            Err(error) => error.to_string(),
        };
        self.note(at, text);
    }

    fn change_instance(&mut self, at: Timestamp, id: &str, status: Option<InstanceStatus>) {
        let cloud = &mut self.world.cloud;
        let (done, result) = match status {
            Some(status) => (status.name(), cloud.set_instance_status(id, status)),
            None => ("released", cloud.release_instance(id)),
        };
        let text = match result {
            Ok(()) => format!("instance {id} is {done}"),
            Err(error) => error.to_string(),
        };
        self.note(at, text);
        self.collect();
    }

    fn call(&mut self, call: Call) -> RpcResponse {
        let Call {
            at,
            account,
            action,
            parameters,
            rule,
            name,
            expectation,
        } = call;
        let parameters = self.resolve_names(&parameters);
        let mut interface = parameters.optional("NetworkInterfaceId").map(str::to_owned);
        let reply = rpc::perform(&mut self.world.cloud, &account, &action, &parameters, at);
        let response = self.world.cloud.response(&reply);
        let Reply { request_id, result } = reply;
        if let Ok(Answer::Created(created)) = &result {
            interface = Some(created.id.clone());
            if let Some(name) = name {
                self.names.insert(name, created.id.clone());
            }
        }
        // The timeline shows whether a request was accepted, not what it returned.
        let result = result.map(|_| ());
        let code = result.as_ref().err().map_or(ACCEPTED, |error| error.code);
        let expected = expectation.filter(|expected| expected != code);
        self.ready.push_back(TimelineEvent::Request {
            at,
            account,
            action,
            interface,
            request_id,
            result,
            rule,
            expected,
        });
        self.collect();
        response
    }

    /// Replaces `$name` by the interface's id. The name of an interface whose creation was refused
    /// has no id: it stays as it is, and the request is refused in turn.
    fn resolve_names(&self, parameters: &Parameters) -> Parameters {
        let resolved = parameters.iter().map(|(key, value)| {
            let id = value
                .strip_prefix('$')
                .and_then(|name| self.names.get(name));
            (key.to_owned(), id.map_or(value, String::as_str).to_owned())
        });
        resolved.collect()
    }

    fn note(&mut self, at: Timestamp, text: String) {
        self.ready.push_back(TimelineEvent::Note { at, text });
    }

    /// Takes what happened in the region: the status changes before the outcomes, because an event
    /// contains the status after the change, and notifications last.
    fn collect(&mut self) {
        let cloud = &mut self.world.cloud;
        let notifications = cloud.take_notifications();
        self.ready.extend(
            cloud
                .take_changes()
                .into_iter()
                .map(TimelineEvent::StatusChanged),
        );
        self.ready
            .extend(cloud.take_outcomes().into_iter().map(TimelineEvent::Ended));
        for notification in notifications {
            // Only accounts of the world have a bus.
            let Some(account) = self.world.account(&notification.recipient) else {
                continue;
            };
            let published = TimelineEvent::Published {
                at: notification.at,
                account: account.account.id.clone(),
                event: account.bus.envelope.wrap(&notification.event),
            };
            self.ready.push_back(published);
        }
    }
}
