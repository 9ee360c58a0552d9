//! Reading a scenario file: TOML first, then everything that TOML cannot say.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use reflexarc_diagnostic::{Code, Diagnostic, Span};
use reflexarc_event::{Event, Operation};
use toml::Spanned;

use super::tables::{FaultTable, File, GrantTable, InstanceChangeTable, StepTable};
use super::{Deed, Scenario, Step, TargetFault, TargetOutcome, World, wrong};
use crate::rpc::Parameters;
use crate::{FaultOutcome, InstanceStatus};

/// When a scenario begins that does not say: the minute of the documented example event.
const START: &str = "2019-04-09T04:18:00Z";

/// What went wrong so far; reading goes on to find the rest.
#[derive(Default)]
pub(super) struct Findings(pub(super) Vec<Diagnostic>);

pub(super) fn scenario(text: &str) -> Result<Scenario, Vec<Diagnostic>> {
    if text.len() > Scenario::MAX_BYTES {
        let message = format!(
            "the file has {} bytes, more than the {} allowed",
            text.len(),
            Scenario::MAX_BYTES
        );
        return Err(vec![wrong(Code::SCENARIO_LIMIT, 0..0, message)]);
    }
    let file: File = toml::from_str(text).map_err(|error| vec![from_toml(&error)])?;
    let mut findings = Findings::default();
    let start = file.start.as_ref().and_then(|start| findings.start(start));
    let start = start.unwrap_or_else(|| START.parse().expect("the default start is a timestamp"));
    let world = World::build(&file, start, &mut findings);
    let tick = file.tick.as_ref().and_then(|tick| findings.tick(tick));
    let until = file
        .until
        .as_ref()
        .and_then(|until| findings.offset(until))
        .map(|offset| start + offset);
    let Some(world) = world else {
        return Err(findings.0);
    };
    let steps = steps(&file, &world, &mut findings);
    if findings.0.is_empty() {
        Ok(Scenario {
            description: file.description,
            world,
            tick,
            until,
            steps,
        })
    } else {
        findings.0.sort_by_key(|finding| finding.span.start);
        Err(findings.0)
    }
}

fn from_toml(error: &toml::de::Error) -> Diagnostic {
    wrong(
        Code::SCENARIO_TOML,
        error.span().unwrap_or(0..0),
        error.message(),
    )
}

fn steps(file: &File, world: &World, findings: &mut Findings) -> Vec<Step> {
    if let Some(extra) = file.step.get(Scenario::MAX_STEPS) {
        findings.add(
            Code::SCENARIO_LIMIT,
            extra.span(),
            format!("more than {} steps", Scenario::MAX_STEPS),
        );
        return Vec::new();
    }
    let mut named: BTreeSet<String> = world.names.keys().cloned().collect();
    let mut steps = Vec::with_capacity(file.step.len());
    let mut last = SignedDuration::ZERO;
    for table in &file.step {
        let Some(offset) = findings.offset(&table.get_ref().at) else {
            continue;
        };
        if offset < last {
            let message = format!("this step happens at {offset:#}, the one above at {last:#}");
            findings.add(Code::SCENARIO_ORDER, table.get_ref().at.span(), message);
        }
        last = last.max(offset);
        let what = Reader {
            world,
            named: &named,
            findings,
        }
        .deed(table);
        if let Some(Deed::Call {
            name: Some(name), ..
        }) = &what
            && !named.insert(name.clone())
        {
            let span = table
                .get_ref()
                .name
                .as_ref()
                .map_or(table.span(), Spanned::span);
            findings.add(
                Code::SCENARIO_TWICE,
                span,
                format!("there is an interface named `{name}` already"),
            );
        }
        steps.extend(what.map(|what| Step {
            at: world.start + offset,
            what,
        }));
    }
    steps
}

impl Findings {
    pub(super) fn add(&mut self, code: Code, span: Span, message: impl Into<String>) {
        self.0.push(wrong(code, span, message));
    }

    pub(super) fn add_with_help(
        &mut self,
        code: Code,
        span: Span,
        message: String,
        help: impl Into<String>,
    ) {
        self.0.push(wrong(code, span, message).with_help(help));
    }

    fn start(&mut self, text: &Spanned<String>) -> Option<Timestamp> {
        let start = text.get_ref().parse().ok();
        if start.is_none() {
            let message = format!("`{}` is not an instant", text.get_ref());
            self.add_with_help(
                Code::SCENARIO_VALUE,
                text.span(),
                message,
                "write it as \"2026-01-01T00:00:00Z\"",
            );
        }
        start
    }

    fn tick(&mut self, text: &Spanned<String>) -> Option<SignedDuration> {
        let tick = self.offset(text)?;
        if tick < Scenario::MIN_TICK {
            self.add(
                Code::SCENARIO_VALUE,
                text.span(),
                "a clock ticks at most once a second",
            );
            return None;
        }
        Some(tick)
    }

    /// A stretch of time that is not negative and not longer than a scenario may last.
    pub(super) fn offset(&mut self, text: &Spanned<String>) -> Option<SignedDuration> {
        let Ok(offset) = text.get_ref().parse::<SignedDuration>() else {
            let message = format!("`{}` is not a stretch of time", text.get_ref());
            self.add_with_help(
                Code::SCENARIO_VALUE,
                text.span(),
                message,
                "write it as \"90s\", \"5m\" or \"1h 30m\"",
            );
            return None;
        };
        if offset.is_negative() || offset > Scenario::MAX_SPAN {
            self.add(
                Code::SCENARIO_LIMIT,
                text.span(),
                "a scenario lasts at most 31 days, from its start on",
            );
            return None;
        }
        Some(offset)
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(
        &mut self,
        text: &Spanned<String>,
        words: &[(&str, T)],
    ) -> Option<T> {
        let found = words
            .iter()
            .find(|(word, _)| word == text.get_ref())
            .map(|(_, value)| *value);
        if found.is_none() {
            let known: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            let message = format!("`{}` is none of the words known here", text.get_ref());
            self.add_with_help(
                Code::SCENARIO_VALUE,
                text.span(),
                message,
                format!("one of {}", known.join(", ")),
            );
        }
        found
    }
}

/// Reads one step against what is there by then.
struct Reader<'a> {
    world: &'a World,
    named: &'a BTreeSet<String>,
    findings: &'a mut Findings,
}

impl Reader<'_> {
    fn deed(&mut self, table: &Spanned<StepTable>) -> Option<Deed> {
        let step = table.get_ref();
        let deeds = [
            step.action.is_some(),
            step.fault.is_some(),
            step.instance.is_some(),
            step.grant.is_some(),
            step.publish.is_some(),
        ];
        if deeds.iter().filter(|does| **does).count() != 1 {
            let message = "a step does exactly one thing".to_owned();
            let help = "give it one of `do`, `fault`, `instance`, `grant` and `publish`";
            self.findings
                .add_with_help(Code::SCENARIO_STEP, table.span(), message, help);
            return None;
        }
        if let Some(action) = &step.action {
            return self.call(table, action);
        }
        if let Some(fault) = &step.fault {
            return self.fault(fault);
        }
        if let Some(change) = &step.instance {
            return self.instance(change);
        }
        if let Some(grant) = &step.grant {
            return self.grant(grant.get_ref());
        }
        step.publish
            .as_ref()
            .and_then(|event| self.publish(table, event))
    }

    fn call(&mut self, table: &Spanned<StepTable>, action: &Spanned<String>) -> Option<Deed> {
        let step = table.get_ref();
        let account = self.actor(table)?;
        let mut parameters = BTreeMap::new();
        for (name, value) in &step.with {
            self.flatten(name, value.get_ref(), &value.span(), &mut parameters);
        }
        // The region is the only one there is; a step may still name it, rightly or wrongly.
        parameters
            .entry("RegionId".to_owned())
            .or_insert_with(|| self.world.cloud.region().to_owned());
        let name = step.name.as_ref().map(|name| name.get_ref().clone());
        if name.is_some() && action.get_ref() != Operation::Create.as_str() {
            let message = format!("only {} makes an interface to name", Operation::Create);
            let span = step.name.as_ref().map_or(table.span(), Spanned::span);
            self.findings.add(Code::SCENARIO_STEP, span, message);
        }
        Some(Deed::Call {
            account,
            action: action.get_ref().clone(),
            parameters: parameters.into_iter().collect::<Parameters>(),
            name,
            expect: step.expect.as_ref().map(|code| code.get_ref().clone()),
        })
    }

    fn fault(&mut self, table: &Spanned<FaultTable>) -> Option<Deed> {
        let fault = table.get_ref();
        match (&fault.operation, &fault.target) {
            (Some(operation), None) => self.operation_fault(fault, operation),
            (None, Some(target)) => self.target_fault(fault, target),
            _ => {
                let message = "a fault strikes either an `operation` or a `target`";
                self.findings
                    .add(Code::SCENARIO_STEP, table.span(), message);
                None
            }
        }
    }

    fn operation_fault(&mut self, fault: &FaultTable, operation: &Spanned<String>) -> Option<Deed> {
        let operations = Operation::ALL.map(|operation| (operation.as_str(), operation));
        let operation = self.findings.word(operation, &operations);
        let outcome = self.findings.word(
            &fault.outcome,
            &FaultOutcome::ALL.map(|outcome| (outcome.name(), outcome)),
        );
        if let Some(lasts) = &fault.lasts {
            let message =
                "a fault of an operation strikes so many `times`; only one of a target `lasts`";
            self.findings
                .add(Code::SCENARIO_STEP, lasts.span(), message);
        }
        let interface = match &fault.interface {
            Some(name) => Some(self.interface(name)?),
            None => None,
        };
        let times = fault.times.as_ref().map_or(1, |times| *times.get_ref());
        Some(Deed::Fault {
            operation: operation?,
            interface,
            outcome: outcome?,
            times,
        })
    }

    fn target_fault(&mut self, fault: &FaultTable, target: &Spanned<String>) -> Option<Deed> {
        let outcome = self.findings.word(
            &fault.outcome,
            &TargetOutcome::ALL.map(|outcome| (outcome.name(), outcome)),
        );
        let misplaced = [
            fault.times.as_ref().map(Spanned::span),
            fault.interface.as_ref().map(Spanned::span),
        ];
        for span in misplaced.into_iter().flatten() {
            let message = "a fault of a target `lasts` a while; `times` and `interface` belong to an operation";
            self.findings.add(Code::SCENARIO_STEP, span, message);
        }
        let lasts = match &fault.lasts {
            Some(lasts) => Some(self.findings.offset(lasts)?),
            None => None,
        };
        Some(Deed::TargetFault(TargetFault {
            target: target.get_ref().clone(),
            outcome: outcome?,
            lasts,
        }))
    }

    fn instance(&mut self, change: &Spanned<InstanceChangeTable>) -> Option<Deed> {
        let InstanceChangeTable {
            id,
            status,
            release,
        } = change.get_ref();
        if !self
            .world
            .cloud
            .instances()
            .any(|instance| instance.id == *id.get_ref())
        {
            let message = format!("there is no instance `{}`", id.get_ref());
            self.findings.add(Code::SCENARIO_NAME, id.span(), message);
        }
        if status.is_some() == *release {
            let message = "an instance gets a `status`, or is released with `release = true`";
            self.findings
                .add(Code::SCENARIO_STEP, change.span(), message);
        }
        let statuses = InstanceStatus::ALL.map(|status| (status.name(), status));
        let status = match status {
            Some(status) => Some(self.findings.word(status, &statuses)?),
            None => None,
        };
        Some(Deed::Instance {
            id: id.get_ref().clone(),
            status,
        })
    }

    fn grant(&mut self, grant: &GrantTable) -> Option<Deed> {
        let interface = self.interface(&grant.interface);
        let account = self.account(&grant.to);
        Some(Deed::Grant {
            interface: interface?,
            account: account?,
        })
    }

    fn publish(&mut self, table: &Spanned<StepTable>, event: &Spanned<String>) -> Option<Deed> {
        let account = self.actor(table)?;
        match Event::from_json(event.get_ref().as_bytes()) {
            Ok(event) => Some(Deed::Publish { account, event }),
            Err(error) => {
                self.findings
                    .add(Code::SCENARIO_VALUE, event.span(), error.to_string());
                None
            }
        }
    }

    /// The account that `as` names.
    fn actor(&mut self, table: &Spanned<StepTable>) -> Option<String> {
        if let Some(name) = &table.get_ref().account {
            return self.account(name);
        }
        let message = "this step needs an account".to_owned();
        self.findings.add_with_help(
            Code::SCENARIO_STEP,
            table.span(),
            message,
            "say `as = \"tenant\"`",
        );
        None
    }

    fn account(&mut self, name: &Spanned<String>) -> Option<String> {
        let found = self
            .world
            .accounts
            .iter()
            .find(|account| account.name == *name.get_ref());
        if found.is_none() {
            let known: Vec<String> = self
                .world
                .accounts
                .iter()
                .map(|found| format!("`{}`", found.name))
                .collect();
            let message = format!("there is no account `{}`", name.get_ref());
            let help = format!("the accounts are {}", known.join(", "));
            self.findings
                .add_with_help(Code::SCENARIO_NAME, name.span(), message, help);
        }
        found.map(|account| account.account.id.clone())
    }

    /// An interface's name, with or without its `$`.
    fn interface(&mut self, name: &Spanned<String>) -> Option<String> {
        let bare = name.get_ref().strip_prefix('$').unwrap_or(name.get_ref());
        self.is_named(bare, name.span()).then(|| bare.to_owned())
    }

    fn is_named(&mut self, name: &str, span: Span) -> bool {
        let named = self.named.contains(name);
        if !named {
            let message = format!("no interface is named `{name}` by now");
            let help =
                "an earlier step names it: `do = \"CreateNetworkInterface\"`, `name = \"…\"`";
            self.findings
                .add_with_help(Code::SCENARIO_NAME, span, message, help);
        }
        named
    }

    /// A TOML value as wire parameters: `Name`, `Name.1`, `Tag.1.Key` …
    fn flatten(
        &mut self,
        name: &str,
        value: &toml::Value,
        span: &Span,
        into: &mut BTreeMap<String, String>,
    ) {
        match value {
            toml::Value::String(text) => {
                if let Some(interface) = text.strip_prefix('$') {
                    self.is_named(interface, span.clone());
                }
                into.insert(name.to_owned(), text.clone());
            }
            toml::Value::Integer(number) => {
                into.insert(name.to_owned(), number.to_string());
            }
            toml::Value::Boolean(flag) => {
                into.insert(name.to_owned(), flag.to_string());
            }
            toml::Value::Array(elements) => {
                for (i, element) in elements.iter().enumerate() {
                    self.flatten(&format!("{name}.{}", i + 1), element, span, into);
                }
            }
            toml::Value::Table(members) => {
                for (key, member) in members {
                    self.flatten(&format!("{name}.{key}"), member, span, into);
                }
            }
            toml::Value::Float(_) | toml::Value::Datetime(_) => {
                let message = format!("the API knows no parameter like `{name}` with such a value");
                self.findings
                    .add(Code::SCENARIO_VALUE, span.clone(), message);
            }
        }
    }
}
