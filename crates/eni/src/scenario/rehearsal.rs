//! Running a scenario: one moment after the other, in order of virtual time.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use reflexarc_event::{EniStatus, Event, Json};

use super::{Deed, Scenario, Step, TargetFault, World};
use crate::rpc::{self, Parameters};
use crate::{Answer, Cloud, Fault, InterfaceType, Notice, Refusal, Reply, StatusChange};

/// A scenario on its way.
#[derive(Debug)]
pub struct Rehearsal {
    world: World,
    names: BTreeMap<String, String>,
    steps: VecDeque<Step>,
    tick: Option<jiff::SignedDuration>,
    next_tick: Option<Timestamp>,
    end: Timestamp,
    until: Option<Timestamp>,
    ready: VecDeque<Moment>,
    moments: usize,
    reactions: BTreeMap<(Timestamp, u64), Reaction>,
    number: u64,
}

/// A request that a rule's reaction leads to.
#[derive(Debug, Clone)]
pub struct Reaction {
    /// When; at once where this has passed.
    pub at: Timestamp,
    /// In whose name.
    pub account: String,
    /// The rule.
    pub rule: String,
    /// The action.
    pub action: String,
    /// Its parameters; a value `$name` stands for the interface of that name.
    pub parameters: Parameters,
    /// Only if the interface is then a standard secondary one in Available.
    pub only_if_idle: bool,
}

/// What can come next.
#[derive(Clone, Copy)]
enum Turn {
    Completion,
    Reaction,
    Step,
    Tick,
}

/// What stands in the place of a code where a request is accepted.
const ACCEPTED: &str = "accepted";

/// A request that is about to be made.
struct Call {
    at: Timestamp,
    account: String,
    action: String,
    parameters: Parameters,
    rule: Option<String>,
    name: Option<String>,
    /// The code that must come back, or [`ACCEPTED`]; anything will do when absent.
    expectation: Option<String>,
}

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Moment {
    /// A request and its answer.
    Asked {
        /// When.
        at: Timestamp,
        /// Who, by id.
        account: String,
        /// What.
        action: String,
        /// The interface it is about, by id.
        interface: Option<String>,
        /// The request's id.
        request_id: String,
        /// How it was answered.
        result: Result<(), Refusal>,
        /// The rule that asked, when it was a reaction.
        rule: Option<String>,
        /// The code that should have come back, where another answer came; `accepted` for none.
        expected: Option<String>,
    },
    /// An interface came into a status.
    Changed(StatusChange),
    /// A request has ended: an event, or the reason why there is none.
    Told(Notice),
    /// An event that is not the control plane's own went to a bus: a published one, or the clock's.
    Published {
        /// When.
        at: Timestamp,
        /// Whose bus, by id.
        account: String,
        /// The event.
        event: Event,
        /// Whether it is the clock's.
        tick: bool,
    },
    /// A target of the rules' actions takes nothing from now on.
    TargetFault {
        /// When.
        at: Timestamp,
        /// Which, how and for how long.
        fault: TargetFault,
    },
    /// The script changed the world.
    Staged {
        /// When.
        at: Timestamp,
        /// What, in words.
        what: String,
    },
}

impl Rehearsal {
    /// Before the first moment.
    pub fn new(scenario: Scenario) -> Self {
        let Scenario {
            world,
            steps,
            tick,
            until,
            ..
        } = scenario;
        let last = steps.last().map_or(world.start, |step| step.at);
        Self {
            names: world.names.clone(),
            steps: steps.into(),
            next_tick: tick.map(|tick| world.start + tick),
            tick,
            end: until.unwrap_or(last).max(last),
            until,
            ready: VecDeque::new(),
            world,
            moments: 0,
            reactions: BTreeMap::new(),
            number: 0,
        }
    }

    /// The world as it is now.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// What an interface is called: its name in the scenario, else its id.
    pub fn name_of<'a>(&'a self, interface: &'a str) -> &'a str {
        let named = self.names.iter().find(|(_, id)| *id == interface);
        named.map_or(interface, |(name, _)| name)
    }

    /// What happens next; nothing when all is over, or after [`Scenario::MAX_MOMENTS`]: reactions may drive each other
    /// for ever.
    pub fn advance(&mut self) -> Option<Moment> {
        loop {
            if let Some(moment) = self.ready.pop_front() {
                self.moments += 1;
                return (self.moments <= Scenario::MAX_MOMENTS).then_some(moment);
            }
            self.go_on()?;
        }
    }

    /// When the next moment will be, as far as is known now; nothing when all is over.
    pub fn next_at(&self) -> Option<Timestamp> {
        if self.ready.is_empty() {
            self.next_turn().map(|(at, _)| at)
        } else {
            Some(self.world.cloud.now())
        }
    }

    /// When it ends whatever is under way then; when nothing is under way any more where the scenario does not say.
    pub fn until(&self) -> Option<Timestamp> {
        self.until
    }

    /// Whether it ended because too much happened.
    pub fn is_cut_short(&self) -> bool {
        self.moments > Scenario::MAX_MOMENTS
    }

    /// A reaction calls the API, at once or later.
    pub fn react(&mut self, reaction: Reaction) {
        self.number += 1;
        self.reactions.insert(
            (reaction.at.max(self.world.cloud.now()), self.number),
            reaction,
        );
    }

    /// Takes back what an account's reactions were going to do with an interface.
    pub fn forget(&mut self, account: &str, interface: &str) {
        self.reactions.retain(|_, reaction| {
            reaction.account != account
                || reaction.parameters.optional("NetworkInterfaceId") != Some(interface)
        });
    }

    /// What comes next and when: whichever is first, and in this order at one instant.
    fn next_turn(&self) -> Option<(Timestamp, Turn)> {
        // Without an end of its own the scenario goes on while something is under way.
        let in_time = |at: &Timestamp| self.until.is_none_or(|until| *at <= until);
        let turns = [
            (
                self.world.cloud.next_completion().filter(in_time),
                Turn::Completion,
            ),
            (
                self.reactions
                    .first_key_value()
                    .map(|((at, _), _)| *at)
                    .filter(in_time),
                Turn::Reaction,
            ),
            (self.steps.front().map(|step| step.at), Turn::Step),
            (self.next_tick.filter(|tick| *tick <= self.end), Turn::Tick),
        ];
        turns
            .into_iter()
            .filter_map(|(at, turn)| Some((at?, turn)))
            .min_by_key(|(at, _)| *at)
    }

    /// Lets the next completion, reaction, step or tick happen.
    fn go_on(&mut self) -> Option<()> {
        let (at, turn) = self.next_turn()?;
        self.world.cloud.advance(at);
        match turn {
            Turn::Completion => self.collect(),
            Turn::Reaction => {
                let (_, reaction) = self.reactions.pop_first()?;
                self.carry_out(reaction);
            }
            Turn::Step => {
                let step = self.steps.pop_front()?;
                self.take(step);
            }
            Turn::Tick => {
                self.next_tick = self.tick.map(|tick| at + tick);
                self.tick_at(at);
            }
        }
        Some(())
    }

    fn carry_out(&mut self, reaction: Reaction) {
        let Reaction {
            at,
            account,
            rule,
            action,
            parameters,
            only_if_idle,
        } = reaction;
        let interface = parameters
            .optional("NetworkInterfaceId")
            .and_then(|id| self.world.cloud.interface(id));
        let idle = interface.is_some_and(|interface| {
            interface.status == EniStatus::Available
                && interface.kind == InterfaceType::Secondary
                && !interface.is_managed()
        });
        let at = at.max(self.world.cloud.now());
        if only_if_idle && !idle {
            let id = parameters
                .optional("NetworkInterfaceId")
                .unwrap_or_default();
            let what = format!(
                "{} is left alone: it is in use, gone, or not the account's to delete",
                self.name_of(id)
            );
            return self.stage(at, what);
        }
        self.call(Call {
            at,
            account,
            action,
            parameters,
            rule: Some(rule),
            name: None,
            expectation: None,
        });
    }

    fn take(&mut self, Step { at, what }: Step) {
        match what {
            Deed::Call {
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
            Deed::Fault {
                operation,
                interface,
                outcome,
                times,
            } => {
                let whose = interface
                    .as_ref()
                    .map_or_else(String::new, |name| format!(" of {name}"));
                let how = match outcome {
                    crate::FaultOutcome::Fail => "will fail",
                    crate::FaultOutcome::Hang => "will never complete",
                };
                let which = if times == 1 {
                    "the next".to_owned()
                } else {
                    format!("the next {times}")
                };
                let interface = interface.and_then(|name| self.names.get(&name).cloned());
                let injected = self.world.cloud.inject(Fault {
                    operation,
                    interface,
                    outcome,
                    times,
                });
                let what = injected.map_or_else(
                    |full| full.to_string(),
                    |()| format!("{which} {operation}{whose} {how}"),
                );
                self.stage(at, what);
            }
            Deed::TargetFault(fault) => self.ready.push_back(Moment::TargetFault { at, fault }),
            Deed::Instance { id, status } => {
                let (what, done) = match status {
                    Some(status) => (
                        status.name().to_owned(),
                        self.world.cloud.set_instance_status(&id, status),
                    ),
                    None => (
                        "released".to_owned(),
                        self.world.cloud.release_instance(&id),
                    ),
                };
                self.stage(
                    at,
                    match done {
                        Ok(()) => format!("instance {id} is {what}"),
                        Err(refusal) => refusal.to_string(),
                    },
                );
                self.collect();
            }
            Deed::Grant { interface, account } => {
                let id = self.names.get(&interface).cloned().unwrap_or_default();
                let done = self.world.cloud.grant_attach(&id, &account);
                let name = self
                    .world
                    .account(&account)
                    .map_or(account.as_str(), |found| found.name.as_str());
                let what = match done {
                    Ok(()) => format!("{name} may attach {interface}"),
                    Err(refusal) => refusal.to_string(),
                };
                self.stage(at, what);
            }
            Deed::Publish { account, event } => {
                self.ready.push_back(Moment::Published {
                    at,
                    account,
                    event,
                    tick: false,
                });
            }
        }
    }

    fn call(&mut self, call: Call) {
        let Call {
            at,
            account,
            action,
            parameters,
            rule,
            name,
            expectation,
        } = call;
        let parameters = self.resolve(&parameters);
        let mut interface = parameters.optional("NetworkInterfaceId").map(str::to_owned);
        let Reply { request_id, result } =
            rpc::perform(&mut self.world.cloud, &account, &action, &parameters, at);
        if let Ok(Answer::Created(made)) = &result {
            interface = Some(made.id.clone());
            if let Some(name) = name {
                self.names.insert(name, made.id.clone());
            }
        }
        let result = result.map(|_| ());
        let got = result
            .as_ref()
            .err()
            .map_or(ACCEPTED, |refusal| refusal.code);
        let expected = expectation.filter(|wanted| wanted != got);
        self.ready.push_back(Moment::Asked {
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
    }

    /// Puts the ids of interfaces in the place of their names; a name that means nothing yet stays, and is refused.
    fn resolve(&self, parameters: &Parameters) -> Parameters {
        let resolved = parameters.iter().map(|(key, value)| {
            let named = value
                .strip_prefix('$')
                .and_then(|name| self.names.get(name));
            (
                key.to_owned(),
                named.map_or(value, String::as_str).to_owned(),
            )
        });
        resolved.collect()
    }

    fn stage(&mut self, at: Timestamp, what: String) {
        self.ready.push_back(Moment::Staged { at, what });
    }

    fn tick_at(&mut self, at: Timestamp) {
        for account in &self.world.accounts {
            let event = clock_event(&self.world.cloud, &account.account.id, at);
            let account = account.account.id.clone();
            self.ready.push_back(Moment::Published {
                at,
                account,
                event,
                tick: true,
            });
        }
    }

    /// Takes over what the cloud has to say: first what changed, then who is told.
    fn collect(&mut self) {
        self.ready.extend(
            self.world
                .cloud
                .take_changes()
                .into_iter()
                .map(Moment::Changed),
        );
        self.ready.extend(
            self.world
                .cloud
                .take_notices()
                .into_iter()
                .map(Moment::Told),
        );
    }
}

/// The clock as an event, so that rules can notice what did not happen.
fn clock_event(cloud: &Cloud, account: &str, at: Timestamp) -> Event {
    let time = at
        .to_zoned(TimeZone::fixed(Offset::constant(8)))
        .strftime("%Y%m%dT%H%M%S.%3f%z")
        .to_string();
    let members = [
        ("id", format!("clock-{account}-{at}")),
        ("product", "reflexarc".to_owned()),
        ("name", "Clock:Tick".to_owned()),
        ("level", "INFO".to_owned()),
        ("userId", account.to_owned()),
        ("eventTime", time),
        ("regionId", cloud.region().to_owned()),
    ];
    let members = members
        .into_iter()
        .map(|(key, value)| (key.to_owned(), Json::from(value)));
    let tree: Json = members
        .chain([("content".to_owned(), Json::Object(Vec::new()))])
        .collect();
    Event::from_json(tree.to_string()).expect("a small JSON object is an event")
}
