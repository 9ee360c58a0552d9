//! Reading a scenario file: first its tables, then the world, then the steps against that world.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use reflexarc_diagnostic::{Code, Diagnostic, Span};
use reflexarc_event::{Event, Operation};
use toml::Spanned;

use super::findings::Findings;
use super::tables::{FaultTable, File, GrantTable, InstanceChangeTable, StepTable};
use super::{Scenario, Step, StepAction, TargetFault, TargetFaultMode, World};
use crate::FaultMode;
use crate::resources::InstanceStatus;
use crate::rpc::Parameters;

/// The default start: the minute of the event in the service's documentation.
const START: &str = "2019-04-09T04:18:00Z";

/// Reads a scenario.
pub(super) fn scenario(text: &str) -> Result<Scenario, Vec<Diagnostic>> {
    if text.len() > Scenario::MAX_BYTES {
        let message = format!(
            "the file has {} bytes, at most {} allowed",
            text.len(),
            Scenario::MAX_BYTES
        );
        return Err(vec![Diagnostic::error(Code::SCENARIO_LIMIT, 0..0, message)]);
    }
    let file: File = toml::from_str(text).map_err(|error| vec![from_toml(&error)])?;
    let mut findings = Findings::default();
    let start = file
        .start
        .as_ref()
        .and_then(|start| findings.timestamp(start));
    let start = start.unwrap_or_else(|| START.parse().expect("the default start is a timestamp"));
    let world = World::build(&file, start, &mut findings);
    let tick = file.tick.as_ref().and_then(|tick| findings.tick(tick));
    let until = file
        .until
        .as_ref()
        .and_then(|until| findings.duration(until));
    let until = until.map(|offset| start + offset);
    // Without a world, names of accounts and interfaces would all be reported as unknown.
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
    Diagnostic::error(
        Code::SCENARIO_TOML,
        error.span().unwrap_or(0..0),
        error.message(),
    )
}

fn steps(file: &File, world: &World, findings: &mut Findings) -> Vec<Step> {
    if let Some(extra) = file.step.get(Scenario::MAX_STEPS) {
        let message = format!("more than {} steps", Scenario::MAX_STEPS);
        findings.add(Code::SCENARIO_LIMIT, extra.span(), message);
        return Vec::new();
    }
    let mut named: BTreeSet<String> = world.names.keys().cloned().collect();
    let mut steps = Vec::with_capacity(file.step.len());
    let mut last = SignedDuration::ZERO;
    for table in &file.step {
        let Some(offset) = findings.duration(&table.get_ref().at) else {
            continue;
        };
        if offset < last {
            let message = format!("step at {offset:#} after a step at {last:#}");
            let help = "sort the steps by time";
            let span = table.get_ref().at.span();
            findings.add_with_help(Code::SCENARIO_ORDER, span, message, help);
        }
        last = last.max(offset);
        let mut reader = StepReader {
            world,
            named: &named,
            findings,
        };
        let action = reader.action(table);
        // The name is known to the steps below, whether or not the request will be accepted.
        if let Some(StepAction::Call {
            name: Some(name), ..
        }) = &action
            && !named.insert(name.clone())
        {
            let span = table
                .get_ref()
                .name
                .as_ref()
                .map_or(table.span(), Spanned::span);
            let message = format!("duplicate interface name `{name}`");
            findings.add(Code::SCENARIO_TWICE, span, message);
        }
        steps.extend(action.map(|action| Step {
            at: world.start + offset,
            action,
        }));
    }
    steps
}

/// Reads one step against the names that are known by then.
struct StepReader<'a> {
    world: &'a World,
    named: &'a BTreeSet<String>,
    findings: &'a mut Findings,
}

impl StepReader<'_> {
    fn action(&mut self, table: &Spanned<StepTable>) -> Option<StepAction> {
        let step = table.get_ref();
        let actions = [
            step.action.is_some(),
            step.fault.is_some(),
            step.instance.is_some(),
            step.grant.is_some(),
            step.publish.is_some(),
        ];
        if actions.iter().filter(|present| **present).count() != 1 {
            let message = "a step must have exactly one action";
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

    fn call(&mut self, table: &Spanned<StepTable>, action: &Spanned<String>) -> Option<StepAction> {
        let step = table.get_ref();
        let account = self.actor(table)?;
        let mut parameters = BTreeMap::new();
        for (name, value) in &step.with {
            self.flatten(name, value.get_ref(), &value.span(), &mut parameters);
        }
        // There is only one region, so a step need not name it. It may, also with a wrong name, to
        // show the error for that.
        parameters
            .entry("RegionId".to_owned())
            .or_insert_with(|| self.world.cloud.region().to_owned());
        let name = step.name.as_ref().map(|name| name.get_ref().clone());
        if name.is_some() && action.get_ref() != Operation::Create.as_str() {
            let message = format!("`name` is allowed only with {}", Operation::Create);
            let span = step.name.as_ref().map_or(table.span(), Spanned::span);
            self.findings.add(Code::SCENARIO_STEP, span, message);
        }
        Some(StepAction::Call {
            account,
            action: action.get_ref().clone(),
            parameters: parameters.into_iter().collect::<Parameters>(),
            name,
            expect: step.expect.as_ref().map(|code| code.get_ref().clone()),
        })
    }

    fn fault(&mut self, table: &Spanned<FaultTable>) -> Option<StepAction> {
        let fault = table.get_ref();
        match (&fault.operation, &fault.target) {
            (Some(operation), None) => self.operation_fault(fault, operation),
            (None, Some(target)) => self.target_fault(fault, target),
            _ => {
                let message = "a fault must have either an `operation` or a `target`";
                self.findings
                    .add(Code::SCENARIO_STEP, table.span(), message);
                None
            }
        }
    }

    fn operation_fault(
        &mut self,
        fault: &FaultTable,
        operation: &Spanned<String>,
    ) -> Option<StepAction> {
        let operations = Operation::ALL.map(|operation| (operation.as_str(), operation));
        let operation = self.findings.choice("operation", operation, &operations);
        let mode = self.findings.choice(
            "outcome",
            &fault.outcome,
            &FaultMode::ALL.map(|mode| (mode.name(), mode)),
        );
        if let Some(lasts) = &fault.lasts {
            let message = "unexpected `lasts` in a fault of an operation";
            let help = "use `times`; only a fault of a target has a duration";
            self.findings
                .add_with_help(Code::SCENARIO_STEP, lasts.span(), message, help);
        }
        let interface = match &fault.interface {
            Some(name) => Some(self.interface(name)?),
            None => None,
        };
        let times = fault.times.as_ref().map_or(1, |times| *times.get_ref());
        Some(StepAction::Fault {
            operation: operation?,
            interface,
            mode: mode?,
            times,
        })
    }

    fn target_fault(&mut self, fault: &FaultTable, target: &Spanned<String>) -> Option<StepAction> {
        let mode = self.findings.choice(
            "outcome",
            &fault.outcome,
            &TargetFaultMode::ALL.map(|mode| (mode.name(), mode)),
        );
        let unexpected = [
            ("times", fault.times.as_ref().map(Spanned::span)),
            ("interface", fault.interface.as_ref().map(Spanned::span)),
        ];
        for (key, span) in unexpected {
            let Some(span) = span else {
                continue;
            };
            let message = format!("unexpected `{key}` in a fault of a target");
            let help = "use `lasts`; only a fault of an operation has `times` and `interface`";
            self.findings
                .add_with_help(Code::SCENARIO_STEP, span, message, help);
        }
        let duration = match &fault.lasts {
            Some(lasts) => Some(self.findings.duration(lasts)?),
            None => None,
        };
        Some(StepAction::TargetFault(TargetFault {
            target: target.get_ref().clone(),
            mode: mode?,
            duration,
        }))
    }

    fn instance(&mut self, change: &Spanned<InstanceChangeTable>) -> Option<StepAction> {
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
            let message = format!("unknown instance `{}`", id.get_ref());
            self.findings.add(Code::SCENARIO_NAME, id.span(), message);
        }
        if status.is_some() == *release {
            let message = "an instance must have either a `status` or `release = true`";
            self.findings
                .add(Code::SCENARIO_STEP, change.span(), message);
        }
        let statuses = InstanceStatus::ALL.map(|status| (status.name(), status));
        let status = match status {
            Some(status) => Some(self.findings.choice("instance status", status, &statuses)?),
            None => None,
        };
        Some(StepAction::Instance {
            id: id.get_ref().clone(),
            status,
        })
    }

    fn grant(&mut self, grant: &GrantTable) -> Option<StepAction> {
        let interface = self.interface(&grant.interface);
        let account = self.account(&grant.to);
        Some(StepAction::Grant {
            interface: interface?,
            account: account?,
        })
    }

    fn publish(
        &mut self,
        table: &Spanned<StepTable>,
        event: &Spanned<String>,
    ) -> Option<StepAction> {
        let account = self.actor(table)?;
        match Event::from_json(event.get_ref().as_bytes()) {
            Ok(event) => Some(StepAction::Publish { account, event }),
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
        let message = "missing key `as`: the account that makes the request";
        self.findings.add_with_help(
            Code::SCENARIO_STEP,
            table.span(),
            message,
            "add `as = \"tenant\"`",
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
            let message = format!("unknown account `{}`", name.get_ref());
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
            let message = format!("unknown interface `{name}`");
            let help =
                "name it in an earlier step: `do = \"CreateNetworkInterface\"`, `name = \"…\"`";
            self.findings
                .add_with_help(Code::SCENARIO_NAME, span, message, help);
        }
        named
    }

    /// Adds a TOML value as parameters: `Name`, `Name.1`, `Tag.1.Key` …
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
                let message = format!("invalid type of parameter `{name}`");
                let help = "use a string, an integer, a boolean, an array or a table";
                self.findings
                    .add_with_help(Code::SCENARIO_VALUE, span.clone(), message, help);
            }
        }
    }
}
