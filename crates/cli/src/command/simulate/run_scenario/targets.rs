//! Checks of the targets of a simulation.

use reflexarc::{RuleSet, Severity};
use reflexarc_eni::scenario::{Scenario, StepAction};
use reflexarc_service::check_targets;

use super::super::target_queues::TargetQueues;
use crate::exit::Failure;
use crate::output::Output;

/// The service would not start with such rules. A rehearsal goes on, and shows which deliveries
/// fail.
pub(super) fn warn_of_unknown_targets(rules: &RuleSet, queues: &TargetQueues, output: &mut Output) {
    if let Err(unknown) = check_targets(rules, queues.known_targets()) {
        let mut files = unknown.into_files();
        for found in files.iter_mut().flat_map(|file| &mut file.diagnostics) {
            found.severity = Severity::Warning;
        }
        output.diagnostics(&files);
    }
}

/// Checks that the targets that the scenario makes fail exist.
pub(super) fn check_target_faults(
    scenario: &Scenario,
    queues: &TargetQueues,
) -> Result<(), Failure> {
    for step in &scenario.steps {
        if let StepAction::TargetFault(fault) = &step.action
            && let Some(message) = queues.unknown_target(&fault.target)
        {
            return Err(Failure::Invalid(format!(
                "invalid fault in the scenario: {message}"
            )));
        }
    }
    Ok(())
}
