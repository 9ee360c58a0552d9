//! A scenario on its virtual clock, with rules on every account's bus.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use reflexarc::{Evaluation, RuleEffects, RuleSet};
use reflexarc_eni::scenario::{Scenario, Simulation, StepAction, TimelineEvent, World};
use reflexarc_event::{EniStatus, Event, Json, NativeEvent};
use reflexarc_reaction::MemoryState;
use reflexarc_service::Config;
use reflexarc_service::config::Secrets;

use super::outbox::{Outbox, Parcel};
use super::timeline::{Entry, What};
use super::{Args, plot, stand_in};
use crate::exit::{Exit, Failure};
use crate::output::{Format, Output};

/// Runs the scenario and prints its timeline.
pub(super) fn run(scenario: Scenario, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let config = args
        .config
        .as_deref()
        .map(|path| Config::load(path, Secrets::Blank))
        .transpose();
    let config = config.map_err(|file| Failure::Rules(vec![file]))?;
    let rule_paths = match &config {
        Some(config) if args.rules.is_empty() => &config.rule_paths,
        _ => &args.rules,
    };
    let rules = if rule_paths.is_empty() {
        RuleSet::compile(Vec::<(String, String)>::new())
    } else {
        RuleSet::load_all(rule_paths)
    };
    let rules = rules.map_err(Failure::Rules)?;
    for file in rules.warnings() {
        output.diagnostics(file);
    }
    let (start, description) = (scenario.world.start, scenario.description.clone());
    let outbox = config.map(|config| Outbox::new(config.queues, start));
    if let Some(outbox) = &outbox {
        has_targets(&scenario, outbox)?;
    }
    if args.format == Format::Human && !description.is_empty() {
        output.line(&description)?;
        output.line("")?;
    }
    let before = standing(&scenario.world);
    let rehearsal = Simulation::new(scenario);
    let mut stage = Stage {
        rehearsal,
        rules,
        outbox,
        memory: BTreeMap::new(),
        entries: Vec::new(),
        surprises: 0,
    };
    let mut printed = 0;
    output.begin(args.format)?;
    loop {
        let goes_on = stage.go_on().is_some();
        for entry in &stage.entries[printed..] {
            match args.format {
                Format::Human => entry.print(start, output)?,
                Format::Json | Format::Ndjson => output.element(args.format, entry)?,
            }
        }
        printed = stage.entries.len();
        if !goes_on {
            break;
        }
    }
    output.end(args.format)?;
    if let Some(path) = &args.plot {
        write_plot(
            path,
            &plot::draw(&before, &stage.entries, start, &description),
        )?;
    }
    if stage.is_cut_short() {
        let most = Scenario::MAX_TIMELINE_EVENTS;
        return Err(Failure::Runtime(format!(
            "stopped after {most} moments: do reactions drive each other?"
        )));
    }
    if stage.surprises > 0 {
        output.error(&format!(
            "{} answers were not the expected ones",
            stage.surprises
        ));
        return Ok(Exit::Negative);
    }
    Ok(Exit::Done)
}

/// A target that is to fail must be there.
fn has_targets(scenario: &Scenario, outbox: &Outbox) -> Result<(), Failure> {
    let stranger = scenario.steps.iter().find_map(|step| match &step.action {
        StepAction::TargetFault(fault) => outbox.stranger(&fault.target),
        _ => None,
    });
    stranger.map_or(Ok(()), |words| {
        Err(Failure::Invalid(format!(
            "the scenario has a fault of a target: {words}"
        )))
    })
}

/// The status of every interface that is there before the first step, by name.
fn standing(world: &World) -> BTreeMap<String, EniStatus> {
    let name_of = |id: &str| {
        world
            .names
            .iter()
            .find(|(_, named)| *named == id)
            .map_or(id, |(name, _)| name)
            .to_owned()
    };
    world
        .cloud
        .interfaces()
        .map(|interface| (name_of(&interface.id), interface.status))
        .collect()
}

/// The rehearsal, and what the accounts' rules remember of it.
struct Stage {
    rehearsal: Simulation,
    rules: RuleSet,
    /// What waits for targets; nothing where deliveries are not rehearsed.
    outbox: Option<Outbox>,
    memory: BTreeMap<String, MemoryState>,
    entries: Vec<Entry>,
    /// Answers that were not the expected ones.
    surprises: usize,
}

impl Stage {
    /// Lets the next thing happen. At one instant calls of targets come last, so that they can carry what came before.
    fn go_on(&mut self) -> Option<()> {
        let moment = self.rehearsal.next_at();
        let call = self
            .outbox
            .as_ref()
            .and_then(Outbox::next_at)
            .filter(|at| self.rehearsal.until().is_none_or(|until| *at <= until));
        match (moment, call) {
            (None, None) => {
                self.close();
                None
            }
            (Some(moment), Some(call)) if call < moment => self.call(),
            (None, Some(_)) => self.call(),
            (Some(_), _) => {
                let moment = self.rehearsal.advance()?;
                self.take(&moment);
                Some(())
            }
        }
    }

    /// More happened than a rehearsal tells.
    fn is_cut_short(&self) -> bool {
        self.rehearsal.is_truncated() || self.entries.len() > Scenario::MAX_TIMELINE_EVENTS
    }

    /// A target is called; what reaches a stand-in is obeyed.
    fn call(&mut self) -> Option<()> {
        if self.is_cut_short() {
            return None;
        }
        let call = self.outbox.as_mut()?.call()?;
        let account = call
            .parcels
            .first()
            .map(|parcel| self.account_name(&parcel.account));
        if call.outcome.is_ok() {
            for Parcel {
                account, delivery, ..
            } in &call.parcels
            {
                stand_in::perform(
                    &delivery.action,
                    call.at,
                    account,
                    &delivery.rule,
                    &mut self.rehearsal,
                );
            }
        }
        self.entries.push(Entry {
            at: call.at,
            account,
            interface: None,
            what: What::Delivery(Box::new(call)),
        });
        Some(())
    }

    /// Says what is left when the scenario ends.
    fn close(&mut self) {
        let waiting = self.outbox.as_ref().map_or(0, Outbox::waiting);
        if let (Some(at), 1..) = (self.rehearsal.until(), waiting) {
            let words = format!("the scenario ends here; deliveries that still wait: {waiting}");
            self.entries.push(Entry::staged(at, words));
        }
    }

    fn account_name(&self, id: &str) -> String {
        self.rehearsal
            .world()
            .account(id)
            .map_or_else(|| id.to_owned(), |found| found.name.clone())
    }

    fn take(&mut self, moment: &TimelineEvent) {
        self.surprises += usize::from(matches!(
            moment,
            TimelineEvent::Request {
                expected: Some(_),
                ..
            }
        ));
        let name_of = |id: &str| self.rehearsal.name_of(id).to_owned();
        let entry = Entry::of(moment, self.rehearsal.world(), name_of);
        let is_tick = matches!(moment, TimelineEvent::Published { is_tick: true, .. });
        let shown = self.entries.len();
        self.entries.push(entry);
        if let (TimelineEvent::TargetFault { at, fault }, Some(outbox)) = (moment, &mut self.outbox)
        {
            outbox.strike(*at, fault);
        }
        let arrived = match moment {
            TimelineEvent::Ended(outcome) => {
                outcome.published.as_ref().ok().and_then(|publication| {
                    let account = self.rehearsal.world().account(&publication.recipient)?;
                    Some((
                        outcome.at,
                        account.account.id.clone(),
                        account.bus.receive(publication)?,
                    ))
                })
            }
            TimelineEvent::Published {
                at, account, event, ..
            } => Some((*at, account.clone(), event.clone())),
            TimelineEvent::Request { .. }
            | TimelineEvent::StatusChanged(_)
            | TimelineEvent::TargetFault { .. }
            | TimelineEvent::Note { .. } => None,
        };
        if let Some((at, account, event)) = arrived {
            self.react(at, &account, &event);
        }
        // The clock shows only where somebody cared.
        if is_tick && self.entries.len() == shown + 1 {
            self.entries.pop();
        }
    }

    /// The account's rules see the event on its bus; each account has a memory of its own.
    fn react(&mut self, at: Timestamp, account: &str, event: &Event) {
        let event = match NativeEvent::new(event.clone()) {
            Ok(event) => event,
            Err(error) => {
                self.entries.push(Entry::staged(
                    at,
                    format!("the service would refuse this event: {error}"),
                ));
                return;
            }
        };
        let state = self.memory.entry(account.to_owned()).or_default();
        let evaluation = self.rules.evaluate(&event, state, at);
        for effects in &evaluation.rules {
            state.apply(&effects.rule, &effects.changes);
        }
        let lost = if let Some(outbox) = &mut self.outbox {
            outbox.take(at, account, event.clone(), &evaluation)
        } else {
            for (effects, _, action) in evaluation.actions() {
                stand_in::perform(action, at, account, &effects.rule, &mut self.rehearsal);
            }
            Vec::new()
        };
        let Evaluation {
            rules, failures, ..
        } = evaluation;
        let name = Some(self.account_name(account));
        let interface =
            interface_of(event.original()).map(|id| self.rehearsal.name_of(&id).to_owned());
        // A reaction that only looked at the clock is not worth a line.
        let is_clock = is_clock(event.original());
        let quiet = |effects: &RuleEffects| {
            is_clock
                && effects.actions.is_empty()
                && effects.log.is_empty()
                && effects.emitted.is_empty()
        };
        let told = rules
            .into_iter()
            .filter(|effects| !quiet(effects))
            .map(|effects| What::Rule(Box::new(effects)));
        for what in told.chain(failures.into_iter().map(What::RuleFailed)) {
            self.entries.push(Entry {
                at,
                account: name.clone(),
                interface: interface.clone(),
                what,
            });
        }
        for call in lost {
            let what = What::Delivery(Box::new(call));
            self.entries.push(Entry {
                at,
                account: name.clone(),
                interface: None,
                what,
            });
        }
    }
}

fn interface_of(event: &Event) -> Option<String> {
    let content = event
        .tree()
        .get("content")
        .or_else(|| event.tree().get("data"))?;
    content
        .get("eniId")
        .and_then(Json::as_str)
        .map(str::to_owned)
}

fn is_clock(event: &Event) -> bool {
    event.tree().get("name").and_then(Json::as_str) == Some("Clock:Tick")
}

fn write_plot(path: &Path, svg: &str) -> Result<(), Failure> {
    std::fs::write(path, svg)
        .map_err(|error| Failure::Runtime(format!("{}: {error}", path.display())))
}
