//! Reading one step of a scenario file.

use std::collections::{BTreeMap, BTreeSet};

use reflexarc_diagnostic::toml::{DeValue, EmbeddedText, Spanned, TableReader};
use reflexarc_diagnostic::{Code, Diagnostic, Span, nearest};
use reflexarc_event::{Event, Operation};

use super::values::{duration, required};
use super::{StepAction, TargetFault, TargetFaultMode, World};
use crate::FaultMode;
use crate::resources::InstanceStatus;
use crate::rpc::Parameters;

/// The keys of which a step has exactly one.
const ACTIONS: [&str; 5] = ["do", "fault", "instance", "grant", "publish"];

/// Reads a step against the names that are known by then.
pub(super) struct StepReader<'a> {
    pub(super) world: &'a World,
    /// The names of interfaces in the world and in the steps above.
    pub(super) named: &'a BTreeSet<String>,
    pub(super) table: &'a TableReader<'a>,
}

impl StepReader<'_> {
    /// What the step does; `None` when that is not valid, which is reported.
    pub(super) fn action(&self) -> Option<StepAction> {
        let table = self.table;
        // Known wherever they are, so that a key of another action is not reported as unknown.
        table.allow(&["as", "with", "name", "expect"]);
        let present: Vec<&str> = ACTIONS.into_iter().filter(|key| table.has(key)).collect();
        match present.as_slice() {
            ["do"] => self.call(),
            ["fault"] => self.fault(),
            ["instance"] => self.instance(),
            ["grant"] => self.grant(),
            ["publish"] => self.publish(),
            _ => {
                let message = "a step must have exactly one action";
                let help = "give it one of `do`, `fault`, `instance`, `grant` and `publish`";
                let fault = Diagnostic::error(Code::SCENARIO_STEP, table.span(), message);
                table.report(fault.with_help(help));
                None
            }
        }
    }

    fn call(&self) -> Option<StepAction> {
        let table = self.table;
        let account = self.caller();
        let action = table.string("do");
        let mut parameters = BTreeMap::new();
        if let Some(with) = table.table("with") {
            for (name, value) in with.raw() {
                self.flatten(name.get_ref(), value, &mut parameters);
            }
        }
        // There is only one region, so a step need not name it. It may, also with a wrong name, to
        // show the error for that.
        parameters
            .entry("RegionId".to_owned())
            .or_insert_with(|| self.world.cloud.region().to_owned());
        let name = table.string("name");
        let action = action?;
        if name.is_some() && action != Operation::Create.as_str() {
            let message = format!("`name` is allowed only with {}", Operation::Create);
            let span = table.span_of("name");
            table.report(Diagnostic::error(Code::SCENARIO_STEP, span, message));
        }
        Some(StepAction::Call {
            account: account?,
            action,
            parameters: parameters.into_iter().collect::<Parameters>(),
            name,
            expect: table.string("expect"),
        })
    }

    fn fault(&self) -> Option<StepAction> {
        let fault = self.table.table("fault")?;
        let action = match (fault.has("operation"), fault.has("target")) {
            (true, false) => self.operation_fault(&fault),
            (false, true) => target_fault(&fault),
            _ => {
                fault.allow(&["outcome", "interface", "times", "lasts"]);
                let message = "a fault must have either an `operation` or a `target`";
                fault.report(Diagnostic::error(
                    Code::SCENARIO_STEP,
                    fault.span(),
                    message,
                ));
                None
            }
        };
        fault.finish();
        action
    }

    fn operation_fault(&self, fault: &TableReader<'_>) -> Option<StepAction> {
        let operations = Operation::ALL.map(|operation| (operation.as_str(), operation));
        let operation = fault.choice("operation", &operations);
        let modes = FaultMode::ALL.map(|mode| (mode.name(), mode));
        if !fault.has("outcome") {
            fault.missing(
                "outcome",
                "add `outcome = \"fail\"` or `outcome = \"hang\"`",
            );
        }
        let mode = fault.choice("outcome", &modes);
        let help = "use `times`; only a fault of a target has a duration";
        unexpected(fault, "lasts", "a fault of an operation", help);
        let interface = match fault.embedded("interface") {
            Some(name) => Some(self.interface(&name)?),
            None => None,
        };
        // An invalid number must not be read as the default.
        let times = if fault.has("times") {
            fault.integer("times", 0..=u64::MAX)?
        } else {
            1
        };
        Some(StepAction::Fault {
            operation: operation?,
            interface,
            mode: mode?,
            times,
        })
    }

    fn instance(&self) -> Option<StepAction> {
        let change = self.table.table("instance")?;
        let id = required(&change, "id", "add `id = \"i-…\"`");
        if let Some(id) = &id
            && !self
                .world
                .cloud
                .instances()
                .any(|instance| instance.id == id.text())
        {
            let message = format!("unknown instance `{}`", id.text());
            let instances = self.world.cloud.instances();
            let known: Vec<&str> = instances.map(|instance| instance.id.as_str()).collect();
            change.report(unknown(id, message, "instances", &known));
        }
        let statuses = InstanceStatus::ALL.map(|status| (status.name(), status));
        let (has_status, status) = (change.has("status"), change.choice("status", &statuses));
        if has_status == change.boolean("release").unwrap_or(false) {
            let message = "an instance must have either a `status` or `release = true`";
            change.report(Diagnostic::error(
                Code::SCENARIO_STEP,
                change.span(),
                message,
            ));
        }
        change.finish();
        if has_status && status.is_none() {
            return None;
        }
        Some(StepAction::Instance {
            id: id?.into_text(),
            status,
        })
    }

    fn grant(&self) -> Option<StepAction> {
        let grant = self.table.table("grant")?;
        let interface = required(&grant, "interface", "add `interface = \"$…\"`");
        let account = required(
            &grant,
            "to",
            "add the account that may attach the interface",
        );
        grant.finish();
        let interface = interface.and_then(|name| self.interface(&name));
        let account = account.and_then(|name| self.account(&name));
        Some(StepAction::Grant {
            interface: interface?,
            account: account?,
        })
    }

    fn publish(&self) -> Option<StepAction> {
        let account = self.caller();
        let event = self.table.embedded("publish")?;
        let parsed = Event::from_json(event.text().as_bytes());
        let event = self.table.parsed(&event, parsed)?;
        Some(StepAction::Publish {
            account: account?,
            event,
        })
    }

    /// The id of the account that `as` names.
    fn caller(&self) -> Option<String> {
        if !self.table.has("as") {
            let message = "missing key `as`, the account that makes the request";
            let fault = Diagnostic::error(Code::SCENARIO_STEP, self.table.span(), message);
            self.table
                .report_missing("as", fault.with_help("add `as = \"tenant\"`"));
        }
        let name = self.table.embedded("as")?;
        self.account(&name)
    }

    fn account(&self, name: &EmbeddedText) -> Option<String> {
        let found = self
            .world
            .accounts
            .iter()
            .find(|account| account.name == name.text());
        if found.is_none() {
            let message = format!("unknown account `{}`", name.text());
            let accounts = self.world.accounts.iter();
            let known: Vec<&str> = accounts.map(|account| account.name.as_str()).collect();
            self.table
                .report(unknown(name, message, "accounts", &known));
        }
        found.map(|account| account.account.id.clone())
    }

    /// The name of an interface, which is written with or without `$`.
    fn interface(&self, name: &EmbeddedText) -> Option<String> {
        let bare = name.text().strip_prefix('$').unwrap_or(name.text());
        self.check_interface(bare, name.span())
            .then(|| bare.to_owned())
    }

    fn check_interface(&self, name: &str, span: Span) -> bool {
        let is_known = self.named.contains(name);
        if !is_known {
            let message = format!("unknown interface `{name}`");
            let help =
                "name it in an earlier step: `do = \"CreateNetworkInterface\"`, `name = \"…\"`";
            let fault = Diagnostic::error(Code::SCENARIO_NAME, span, message);
            self.table.report(fault.with_help(help));
        }
        is_known
    }

    /// Adds a TOML value as parameters of the API, which has only flat names: an array and the
    /// tables in it are numbered from 1.
    ///
    /// ```text
    /// Tag = [{ Key = "a" }, { Key = "b" }]    Tag.1.Key = a, Tag.2.Key = b
    /// ```
    fn flatten(
        &self,
        name: &str,
        value: &Spanned<DeValue<'_>>,
        parameters: &mut BTreeMap<String, String>,
    ) {
        let text = match value.get_ref() {
            DeValue::String(text) => {
                if let Some(interface) = text.strip_prefix('$') {
                    self.check_interface(interface, value.span());
                }
                Some(text.to_string())
            }
            // The API knows only decimal numbers.
            DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix())
                .ok()
                .map(|n| n.to_string()),
            DeValue::Boolean(flag) => Some(flag.to_string()),
            DeValue::Array(elements) => {
                for (i, element) in elements.iter().enumerate() {
                    self.flatten(&format!("{name}.{}", i + 1), element, parameters);
                }
                return;
            }
            DeValue::Table(members) => {
                for (key, member) in members {
                    self.flatten(&format!("{name}.{}", key.get_ref()), member, parameters);
                }
                return;
            }
            DeValue::Float(_) | DeValue::Datetime(_) => None,
        };
        if let Some(text) = text {
            parameters.insert(name.to_owned(), text);
            return;
        }
        let message = format!("invalid type of parameter `{name}`");
        let help = "use a string, an integer, a boolean, an array or a table";
        let fault = Diagnostic::error(Code::SCENARIO_VALUE, value.span(), message);
        self.table.report(fault.with_help(help));
    }
}

fn target_fault(fault: &TableReader<'_>) -> Option<StepAction> {
    let target = fault.string("target");
    let modes = TargetFaultMode::ALL.map(|mode| (mode.name(), mode));
    if !fault.has("outcome") {
        fault.missing(
            "outcome",
            "add `outcome = \"down\"`, `\"throttle\"` or `\"refuse\"`",
        );
    }
    let mode = fault.choice("outcome", &modes);
    let help = "use `lasts`; only a fault of an operation has `times` and `interface`";
    unexpected(fault, "times", "a fault of a target", help);
    unexpected(fault, "interface", "a fault of a target", help);
    // Without this check an invalid duration would be read as none: until the end.
    let duration = if fault.has("lasts") {
        Some(duration(fault, "lasts")?)
    } else {
        None
    };
    Some(StepAction::TargetFault(TargetFault {
        target: target?,
        mode: mode?,
        duration,
    }))
}

/// Reports a key that belongs to another kind of table.
fn unexpected(table: &TableReader<'_>, key: &str, kind: &str, help: &str) {
    if table.has(key) {
        let message = format!("unexpected `{key}` in {kind}");
        table.fault(key, Code::SCENARIO_STEP, message, help);
    }
}

/// A name that is not defined, with the ones that are.
fn unknown(name: &EmbeddedText, message: String, plural: &str, known: &[&str]) -> Diagnostic {
    let fault = Diagnostic::error(Code::SCENARIO_NAME, name.span(), message);
    if let Some(similar) = nearest(name.text(), known.iter().copied()) {
        return fault
            .with_help(format!("did you mean `{similar}`?"))
            .with_fix(name.span(), format!("\"{similar}\""));
    }
    let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    if known.is_empty() {
        fault.with_help(format!("there are no {plural}"))
    } else {
        fault.with_help(format!("the {plural} are {}", known.join(", ")))
    }
}
