//! A scenario on its virtual clock, with rules on every account's bus.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use reflexarc_engine::{Evaluation, RuleSet};
use reflexarc_eni::scenario::{Moment, Rehearsal, Scenario, World};
use reflexarc_event::{EniStatus, Event, Json};
use reflexarc_reaction::MemoryState;

use super::timeline::{Entry, What};
use super::{Args, plot, stand_in};
use crate::exit::{Exit, Failure};
use crate::output::{Format, Output};

/// Runs the scenario and prints its timeline.
pub(super) fn run(scenario: Scenario, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let rules = if args.rules.is_empty() {
        RuleSet::compile(Vec::<(String, String)>::new())
    } else {
        RuleSet::load_all(&args.rules)
    };
    let rules = rules.map_err(Failure::Rules)?;
    for file in rules.warnings() {
        output.diagnostics(file);
    }
    let (start, description) = (scenario.world.start, scenario.description.clone());
    if args.format == Format::Human && !description.is_empty() {
        output.line(&description)?;
        output.line("")?;
    }
    let before = standing(&scenario.world);
    let mut stage = Stage { rehearsal: Rehearsal::new(scenario), rules, memory: BTreeMap::new(), entries: Vec::new() };
    let mut printed = 0;
    let mut surprises = 0_usize;
    output.begin(args.format)?;
    while let Some(moment) = stage.rehearsal.advance() {
        surprises += usize::from(matches!(&moment, Moment::Asked { expected: Some(_), .. }));
        stage.take(&moment);
        for entry in &stage.entries[printed..] {
            match args.format {
                Format::Human => entry.print(start, output)?,
                Format::Json | Format::Ndjson => output.element(args.format, entry)?,
            }
        }
        printed = stage.entries.len();
    }
    output.end(args.format)?;
    if let Some(path) = &args.plot {
        write_plot(path, &plot::draw(&before, &stage.entries, start, &description))?;
    }
    if stage.rehearsal.is_cut_short() {
        let most = Scenario::MAX_MOMENTS;
        return Err(Failure::Runtime(format!("stopped after {most} moments: do reactions drive each other?")));
    }
    if surprises > 0 {
        output.complain(&format!("{surprises} answers were not the expected ones"));
        return Ok(Exit::Negative);
    }
    Ok(Exit::Done)
}

/// The status of every interface that is there before the first step, by name.
fn standing(world: &World) -> BTreeMap<String, EniStatus> {
    let name_of = |id: &str| world.names.iter().find(|(_, named)| *named == id).map_or(id, |(name, _)| name).to_owned();
    world.cloud.interfaces().map(|interface| (name_of(&interface.id), interface.status)).collect()
}

/// The rehearsal, and what the accounts' rules remember of it.
struct Stage {
    rehearsal: Rehearsal,
    rules: RuleSet,
    memory: BTreeMap<String, MemoryState>,
    entries: Vec<Entry>,
}

impl Stage {
    fn take(&mut self, moment: &Moment) {
        let name_of = |id: &str| self.rehearsal.name_of(id).to_owned();
        let entry = Entry::of(moment, self.rehearsal.world(), name_of);
        let is_tick = matches!(moment, Moment::Published { tick: true, .. });
        let shown = self.entries.len();
        self.entries.push(entry);
        let arrived = match moment {
            Moment::Told(notice) => notice.verdict.as_ref().ok().and_then(|publication| {
                let account = self.rehearsal.world().account(&publication.recipient)?;
                Some((notice.at, account.account.id.clone(), account.bus.carry(publication)?))
            }),
            Moment::Published { at, account, event, .. } => Some((*at, account.clone(), event.clone())),
            Moment::Asked { .. } | Moment::Changed(_) | Moment::Staged { .. } => None,
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
        let state = self.memory.entry(account.to_owned()).or_default();
        let evaluation = self.rules.evaluate(event, state, at);
        for effects in &evaluation.rules {
            state.apply(&effects.rule, &effects.changes);
        }
        let Evaluation { rules, failures, .. } = evaluation;
        let name = self.rehearsal.world().account(account).map(|found| found.name.clone());
        let interface = interface_of(event).map(|id| self.rehearsal.name_of(&id).to_owned());
        for effects in rules {
            // A reaction that only looked at the clock is not worth a line.
            let quiet = effects.actions.is_empty() && effects.log.is_empty() && effects.emitted.is_empty();
            if quiet && is_clock(event) {
                continue;
            }
            for action in &effects.actions {
                stand_in::perform(action, at, account, &effects.rule, &mut self.rehearsal);
            }
            let what = What::Rule(Box::new(effects));
            self.entries.push(Entry { at, account: name.clone(), interface: interface.clone(), what });
        }
        for failure in failures {
            let what = What::RuleFailed(failure);
            self.entries.push(Entry { at, account: name.clone(), interface: interface.clone(), what });
        }
    }
}

fn interface_of(event: &Event) -> Option<String> {
    let content = event.tree().get("content").or_else(|| event.tree().get("data"))?;
    content.get("eniId").and_then(Json::as_str).map(str::to_owned)
}

fn is_clock(event: &Event) -> bool {
    event.tree().get("name").and_then(Json::as_str) == Some("Clock:Tick")
}

fn write_plot(path: &Path, svg: &str) -> Result<(), Failure> {
    std::fs::write(path, svg).map_err(|error| Failure::Runtime(format!("{}: {error}", path.display())))
}
