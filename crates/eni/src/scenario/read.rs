//! Reading a scenario file: its settings, the world, then the steps against that world.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use reflexarc_diagnostic::toml::{Document, FaultCodes, TableReader};
use reflexarc_diagnostic::{Code, Diagnostic};

use super::build::build_world;
use super::step::StepReader;
use super::values::duration;
use super::{Scenario, Step, StepAction, World};

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
    let document = Document::parse(text, "the scenario", FaultCodes::SCENARIO);
    if document.has_syntax_errors() {
        return Err(document.into_diagnostics());
    }
    let scenario = read(document.root());
    let diagnostics = document.into_diagnostics();
    match scenario {
        Some(scenario) if diagnostics.is_empty() => Ok(scenario),
        _ => Err(diagnostics),
    }
}

/// The scenario as far as it can be read; `None` when its world cannot be built.
fn read(root: TableReader<'_>) -> Option<Scenario> {
    let description = root.string("description").unwrap_or_default();
    let default_start = || START.parse().expect("the default start is a timestamp");
    let start = root.timestamp("start").unwrap_or_else(default_start);
    refuse_tick(&root);
    let until = duration(&root, "until").map(|offset| start + offset);
    let world = build_world(&root, start);
    // Without a world, every name of an account or an interface would be reported as unknown.
    let steps = if let Some(world) = &world {
        steps(&root, world, start)
    } else {
        root.allow(&["step"]);
        Vec::new()
    };
    root.finish();
    Some(Scenario {
        description,
        world: world?,
        until,
        steps,
    })
}

/// Scenarios of 0.1 had clock events. Without this, the key would be an unknown one, with the
/// advice to write another.
fn refuse_tick(root: &TableReader<'_>) {
    if root.has("tick") {
        root.allow(&["tick"]);
        root.fault(
            "tick",
            Code::SCENARIO_VALUE,
            "`tick` is not supported any more: there are no clock events",
            "remove it; rules with `absent_for` or `not_followed_by` react to what did not happen",
        );
    }
}

fn steps(root: &TableReader<'_>, world: &World, start: Timestamp) -> Vec<Step> {
    let tables = root.tables("step");
    if let Some(extra) = tables.get(Scenario::MAX_STEPS) {
        let message = format!("more than {} steps", Scenario::MAX_STEPS);
        root.report(Diagnostic::error(
            Code::SCENARIO_LIMIT,
            extra.span(),
            message,
        ));
        return Vec::new();
    }
    let mut named: BTreeSet<String> = world.names.keys().cloned().collect();
    let mut steps = Vec::with_capacity(tables.len());
    let mut last = SignedDuration::ZERO;
    for table in tables {
        if !table.has("at") {
            table.missing("at", "add the time from the start, such as `at = \"90s\"`");
        }
        let offset = duration(&table, "at");
        if let Some(offset) = offset.filter(|offset| *offset < last) {
            let message = format!("step at {offset:#} after a step at {last:#}");
            table.fault(
                "at",
                Code::SCENARIO_ORDER,
                message,
                "sort the steps by time",
            );
        }
        last = last.max(offset.unwrap_or(last));
        let action = StepReader {
            world,
            named: &named,
            table: &table,
        }
        .action();
        // The steps below may use the name, whether or not the request will be accepted.
        if let Some(StepAction::Call {
            name: Some(name), ..
        }) = &action
            && !named.insert(name.clone())
        {
            let message = format!("duplicate interface name `{name}`");
            let span = table.span_of("name");
            table.report(Diagnostic::error(Code::SCENARIO_DUPLICATE, span, message));
        }
        if let (Some(offset), Some(action)) = (offset, action) {
            steps.push(Step {
                at: start + offset,
                action,
            });
        }
        table.finish();
    }
    steps
}
