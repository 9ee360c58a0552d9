//! Whether the targets of calls allow their operations.

use reflexarc::{FileDiagnostics, Rule, RuleSet};
use reflexarc_delivery::config::TargetConfig;
use reflexarc_delivery::{CallAdmission, CallSettings};
use reflexarc_diagnostic::{Code, Diagnostic};

/// Warnings about calls of enabled rules whose targets do not allow the operation: all of them
/// would be answered `NotAllowed`. Other targets are not reported, see
/// [`check_targets`](crate::check_targets).
pub fn check_calls(rules: &RuleSet, targets: &[TargetConfig]) -> Vec<FileDiagnostics> {
    let enabled = rules.rules().filter(|rule| rule.enabled());
    let files = enabled.map(|rule| FileDiagnostics {
        name: rule.file().to_owned(),
        text: rule.text().to_owned(),
        diagnostics: check_rule(rule, targets),
    });
    files.filter(|file| !file.diagnostics.is_empty()).collect()
}

fn check_rule(rule: &Rule, targets: &[TargetConfig]) -> Vec<Diagnostic> {
    let calls = rule.calls().into_iter();
    let found = calls.filter_map(|call| {
        let target = targets.iter().find(|target| target.name == call.target)?;
        let settings = target.calls.as_ref()?;
        let (message, help) = not_allowed(&call.operation, &call.target, settings)?;
        let warning = Diagnostic::warning(Code::CALL_NOT_ALLOWED, call.operation_span, message);
        Some(warning.with_help(help))
    });
    let mut found: Vec<Diagnostic> = found.collect();
    rule.remove_allowed(&mut found);
    found
}

/// Why an operation is not admitted, and what to do.
fn not_allowed(operation: &str, target: &str, settings: &CallSettings) -> Option<(String, String)> {
    let CallAdmission::NotAllowed(reason) = settings.api.admit(operation) else {
        return None;
    };
    // Without a fix: what may be called is the operator's decision, not that of the rule.
    let mut allowed = settings.api.allowed();
    allowed.push(operation.to_owned());
    let quoted: Vec<_> = allowed
        .iter()
        .map(|pattern| format!("{pattern:?}"))
        .collect();
    let help = format!(
        "its calls are answered `NotAllowed`; to allow it, write allow = [{}] in \
         [targets.{target}]",
        quoted.join(", ")
    );
    Some((reason, help))
}
