//! Running a scenario on its virtual clock, with rules on every account's bus.

mod calls;
mod delays;
mod match_steps;
mod targets;

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use reflexarc::{Evaluation, Rule, RuleEffects, RuleSet, WindowKind};
use reflexarc_eni::scenario::{Scenario, Simulation, TimelineEvent, World};
use reflexarc_event::{EniStatus, Event, EventIdentity, NativeEvent};
use reflexarc_reaction::MemoryState;

use self::targets::{check_target_faults, warn_of_unknown_targets};
use super::call_targets::CallTargets;
use super::delayed_actions::DelayedActions;
use super::open_matches::OpenMatches;
use super::pending_calls::PendingCalls;
use super::target_queues::{TargetCall, TargetQueues};
use super::timeline::{Content, Entry, interface_of};
use super::{Args, config, plot};
use crate::exit::{Exit, Failure};
use crate::output::firing::has_fired;
use crate::output::{Format, Output};
use crate::rule_warnings;

/// Runs the scenario and prints its timeline.
pub(super) fn run(scenario: Scenario, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let config = args.config.as_deref().map(config::load).transpose();
    let config = config.map_err(|file| Failure::Rules(vec![file]))?;
    let rule_paths = match &config {
        Some(config) if args.rules().is_empty() => config.rule_paths.as_slice(),
        _ => args.rules(),
    };
    // A scenario without rules is fine: it shows only what the cloud does.
    let rules = if rule_paths.is_empty() {
        RuleSet::compile(Vec::<(String, String)>::new())
    } else {
        RuleSet::load_all(rule_paths)
    };
    let rules = rules?;
    rule_warnings::draw(&rules, output);
    let (start, description) = (scenario.world.start, scenario.description.clone());
    let call_targets = config
        .as_ref()
        .map(|config| CallTargets::new(&config.targets));
    let queues = config.map(|config| TargetQueues::new(config.targets, start));
    if let Some(queues) = &queues {
        warn_of_unknown_targets(&rules, queues, output);
        check_target_faults(&scenario, queues)?;
    }
    if args.format == Format::Human && !description.is_empty() {
        output.line(&description)?;
        output.line("")?;
    }
    let before = interface_statuses(&scenario.world);
    let mut run = ScenarioRun {
        simulation: Simulation::new(scenario),
        rules,
        queues,
        call_targets,
        states: BTreeMap::new(),
        matches: OpenMatches::default(),
        delayed: DelayedActions::default(),
        calls: PendingCalls::default(),
        answers: 0,
        entries: Vec::new(),
        unexpected: 0,
    };
    run.arm(start);
    run.print(start, args.format, output)?;
    if let Some(path) = &args.plot {
        write_plot(
            path,
            &plot::draw(&before, &run.entries, start, &description),
        )?;
    }
    if run.is_truncated() {
        let limit = Scenario::MAX_TIMELINE_EVENTS;
        return Err(Failure::Runtime(format!(
            "stopped after {limit} timeline events; check whether rules react to their own requests"
        )));
    }
    if run.unexpected > 0 {
        output.error(&format!("unexpected replies: {}", run.unexpected));
        return Ok(Exit::Negative);
    }
    Ok(Exit::Done)
}

/// A scenario that is running: the simulated cloud, the rules, and the queues of their targets.
struct ScenarioRun {
    simulation: Simulation,
    rules: RuleSet,
    /// Absent when deliveries are not simulated.
    queues: Option<TargetQueues>,
    /// Absent when the cloud answers every call.
    call_targets: Option<CallTargets>,
    /// The state of the rules, for each account: accounts do not share it.
    states: BTreeMap<String, MemoryState>,
    /// The matches that wait on any bus.
    matches: OpenMatches,
    /// The actions that wait on any bus.
    delayed: DelayedActions,
    /// The calls that are due.
    calls: PendingCalls,
    /// The number of answers so far.
    answers: u64,
    /// The timeline so far.
    entries: Vec<Entry>,
    /// The number of replies that were not the expected ones.
    unexpected: usize,
}

/// The event that an evaluation is about.
struct Cause {
    /// An event without members where there is none.
    native: NativeEvent,
    exists: bool,
}

/// A deadline of a match on the bus of an account.
struct Deadline {
    at: Timestamp,
    account: String,
    rule: String,
    /// As JSON.
    key: String,
}

impl ScenarioRun {
    /// Runs to the end and prints each entry when it is complete.
    fn print(
        &mut self,
        start: Timestamp,
        format: Format,
        output: &mut Output,
    ) -> Result<(), Failure> {
        output.begin(format)?;
        let mut printed = 0;
        loop {
            let has_more = self.run_next().is_some();
            for entry in &self.entries[printed..] {
                match format {
                    Format::Human => entry.print(start, output)?,
                    Format::Json | Format::Ndjson => output.element(format, entry)?,
                }
            }
            printed = self.entries.len();
            if !has_more {
                break;
            }
        }
        output.end(format)
    }

    /// Runs the next timeline event, the next deadline of a match, the next call of a rule or the
    /// next delivery; `None` at the end.
    ///
    /// At one instant deadlines come first, as in the service, then timeline events, delayed
    /// actions, calls, and deliveries, so that a digest can carry those of all of them.
    fn run_next(&mut self) -> Option<()> {
        let event = self.simulation.next_at();
        let until = self.simulation.until();
        let in_time = |at: &Timestamp| until.is_none_or(|until| *at <= until);
        let delivery = self.queues.as_ref().and_then(TargetQueues::next_at);
        let delivery = delivery.filter(in_time);
        let delayed = self.delayed.next_at().filter(in_time);
        let call = self.calls.next_at().filter(in_time);
        let next = [event, delivery, delayed, call].into_iter().flatten().min();
        if let Some(deadline) = self.next_deadline(next) {
            self.close_expired(deadline.at);
            return self.fire(deadline);
        }
        if let Some(at) = next {
            self.close_expired(at);
        }
        if next.is_none() {
            self.report_pending();
            self.report_waiting();
            if self.call_targets.is_none() {
                self.report_operations();
            }
            return None;
        }
        // At one instant, an event that cancels an action comes before it.
        if next == event {
            let event = self.simulation.advance()?;
            self.add_event(&event);
            return Some(());
        }
        if next == delayed {
            return self.deliver_delayed();
        }
        if next == call {
            return self.make_call();
        }
        self.call_target()
    }

    /// The earliest deadline that comes before the next event or call, or, without one, before the
    /// end.
    fn next_deadline(&self, next: Option<Timestamp>) -> Option<Deadline> {
        let before = next.or(self.simulation.until());
        // Without an end the scenario goes on until nothing happens any more. That then no event
        // comes either says nothing.
        let counts = |rule: &str| {
            let window = self.rules.get(rule).and_then(Rule::window);
            before.is_some() || window != Some(WindowKind::AbsentFor)
        };
        let first = self.states.iter().filter_map(|(account, state)| {
            let mut due = state.due(before.unwrap_or(Timestamp::MAX));
            let (at, rule, key) = due.find(|(_, rule, _)| counts(rule))?;
            Some((at, account, rule, key))
        });
        let (at, account, rule, key) = first.min()?;
        Some(Deadline {
            at,
            account: account.clone(),
            rule: rule.to_owned(),
            key: key.to_owned(),
        })
    }

    /// Fires a deadline, and queues or performs the actions.
    fn fire(&mut self, deadline: Deadline) -> Option<()> {
        if self.is_truncated() {
            return None;
        }
        let Deadline {
            at,
            account,
            rule,
            key,
        } = deadline;
        let state = self.states.entry(account.clone()).or_default();
        state.advance(at);
        let evaluation = self.rules.fire(&rule, &key, state, at);
        for (name, changes) in evaluation.changes() {
            state.apply(name, changes);
        }
        // A late event may only have moved it.
        if !has_fired(&evaluation) {
            for (id, step) in self.matches.observe(&account, &evaluation, &self.rules) {
                self.add_match_step(at, &id, step);
            }
            return Some(());
        }
        // Without an event, of `absent_for`, the deliveries are about none.
        let event = evaluation.rules.first();
        // It was native when the match kept it.
        let event = event.and_then(|effects| effects.event.clone());
        let cause = Cause::new(event.map(NativeEvent::as_is));
        self.entries.push(Entry {
            at,
            account: Some(self.account_name(&account)),
            interface: interface_of(cause.native.original())
                .map(|id| self.simulation.name_of(id).to_owned()),
            content: Content::Deadline {
                rule: rule.clone(),
                key: key.clone(),
                name: self.name_of_key(&key),
            },
        });
        let identity = EventIdentity::with_id(&cause.native, format!("fired-{rule}-{key}-{at}"));
        self.perform(at, &account, &cause, Some(identity), evaluation);
        Some(())
    }

    /// Whether it ended because the timeline became too long.
    fn is_truncated(&self) -> bool {
        self.simulation.is_truncated() || self.entries.len() > Scenario::MAX_TIMELINE_EVENTS
    }

    /// Sends the next deliveries to their target.
    fn call_target(&mut self) -> Option<()> {
        if self.is_truncated() {
            return None;
        }
        let queues = self.queues.as_mut()?;
        // What is held is due later: perhaps after the next event.
        if queues.hold_firings() {
            return Some(());
        }
        let call = queues.call_next()?;
        self.add_call(call);
        Some(())
    }

    fn add_call(&mut self, call: TargetCall) {
        // A digest of several accounts is shown with the account of its first delivery.
        let account = call
            .deliveries
            .first()
            .map(|one| self.account_name(&one.account));
        self.entries.push(Entry {
            at: call.at,
            account,
            interface: None,
            content: Content::Delivery(Box::new(call)),
        });
    }

    fn account_name(&self, id: &str) -> String {
        self.simulation.world().account_name(id).to_owned()
    }

    /// Adds a timeline event and, if it is an event on a bus, evaluates it.
    fn add_event(&mut self, event: &TimelineEvent) {
        if matches!(
            event,
            TimelineEvent::Request {
                expected: Some(_),
                ..
            }
        ) {
            self.unexpected += 1;
        }
        let name_of = |id: &str| self.simulation.name_of(id).to_owned();
        let entry = Entry::new(event, self.simulation.world(), name_of);
        self.entries.push(entry);
        if let TimelineEvent::TargetFault { at, fault } = event {
            if let Some(queues) = &mut self.queues {
                queues.inject(*at, fault);
            }
            if let Some(targets) = &mut self.call_targets {
                targets.inject(*at, fault);
            }
        }
        if let Some((at, account, event)) = self.received(event) {
            self.evaluate(at, &account, &event);
        }
    }

    /// The event that an account's bus received, with the account's id.
    fn received(&self, event: &TimelineEvent) -> Option<(Timestamp, String, Event)> {
        match event {
            TimelineEvent::Ended(outcome) => {
                let published = outcome.published.as_ref().ok()?;
                let account = self.simulation.world().account(&published.recipient)?;
                let event = account.bus.receive(published)?;
                Some((outcome.at, account.account.id.clone(), event))
            }
            TimelineEvent::Published {
                at, account, event, ..
            } => Some((*at, account.clone(), event.clone())),
            TimelineEvent::Request { .. }
            | TimelineEvent::StatusChanged(_)
            | TimelineEvent::TargetFault { .. }
            | TimelineEvent::Note { .. } => None,
        }
    }

    /// Evaluates an event on an account's bus and queues or performs the actions.
    fn evaluate(&mut self, at: Timestamp, account: &str, event: &Event) {
        let event = match NativeEvent::new(event.clone()) {
            Ok(event) => event,
            Err(error) => {
                let text = format!("the service would reject this event: {error}");
                self.entries.push(Entry::note(at, text));
                return;
            }
        };
        let state = self.states.entry(account.to_owned()).or_default();
        state.advance(at);
        let evaluation = self.rules.evaluate(&event, state, at);
        for effects in &evaluation.rules {
            state.apply(&effects.rule, &effects.changes);
        }
        let identity = event.identity();
        self.perform(at, account, &Cause::new(Some(event)), identity, evaluation);
    }

    /// Queues or performs the actions of an evaluation, and adds it to the timeline.
    fn perform(
        &mut self,
        at: Timestamp,
        account: &str,
        cause: &Cause,
        identity: Option<EventIdentity>,
        evaluation: Evaluation,
    ) {
        let (actions, cancelled) = self.delay(at, account, cause, identity, &evaluation);
        let steps = self.matches.observe(account, &evaluation, &self.rules);
        self.add_evaluation(at, account, cause.native.original(), evaluation);
        for (id, step) in steps {
            self.add_match_step(at, &id, step);
        }
        for action in cancelled {
            self.withdraw(at, action);
        }
        for action in actions {
            self.deliver(at, action);
        }
    }

    fn add_evaluation(
        &mut self,
        at: Timestamp,
        account: &str,
        event: &Event,
        evaluation: Evaluation,
    ) {
        let Evaluation {
            rules, failures, ..
        } = evaluation;
        let account = Some(self.account_name(account));
        let interface = interface_of(event).map(|id| self.simulation.name_of(id).to_owned());
        let rules: Vec<RuleEffects> = rules
            .into_iter()
            .filter_map(Self::without_match_steps)
            .collect();
        let reactions = rules
            .into_iter()
            .map(|effects| Content::Rule(Box::new(effects)));
        for content in reactions.chain(failures.into_iter().map(Content::RuleFailed)) {
            let (account, interface) = (account.clone(), interface.clone());
            self.entries.push(Entry {
                at,
                account,
                interface,
                content,
            });
        }
    }
}

impl Cause {
    fn new(event: Option<NativeEvent>) -> Self {
        Self {
            exists: event.is_some(),
            native: event
                .unwrap_or_else(|| NativeEvent::from_json("{}").expect("an object is an event")),
        }
    }

    fn event(&self) -> Option<NativeEvent> {
        self.exists.then(|| self.native.clone())
    }
}

/// The status of every interface before the first step, by name.
fn interface_statuses(world: &World) -> BTreeMap<String, EniStatus> {
    let name_of = |id: &str| {
        let named = world.names.iter().find(|(_, named)| *named == id);
        named.map_or(id, |(name, _)| name).to_owned()
    };
    let interfaces = world.cloud.interfaces();
    interfaces
        .map(|interface| (name_of(&interface.id), interface.status))
        .collect()
}

fn write_plot(path: &Path, svg: &str) -> Result<(), Failure> {
    std::fs::write(path, svg)
        .map_err(|error| Failure::Runtime(format!("{}: {error}", path.display())))
}
