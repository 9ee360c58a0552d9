//! Whether the calls of rules fit the targets that they name: which of them take calls, and which
//! operations they allow.

use reflexarc::{FileDiagnostics, Rule, RuleSet};
use reflexarc_delivery::config::TargetConfig;
use reflexarc_delivery::{CallAdmission, CallSettings};
use reflexarc_diagnostic::{Code, Diagnostic};

/// What does not fit in enabled rules: errors where a target takes no calls, or nothing else;
/// warnings where it does not allow an operation, whose calls would all be answered `NotAllowed`.
/// Unknown targets are not reported, see [`check_targets`](crate::check_targets).
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
    let find = |name: &str| targets.iter().find(|target| target.name == name);
    let calls = rule.calls();
    let mut found = Vec::new();
    for call in &calls {
        let Some(target) = find(&call.target) else {
            continue;
        };
        let (name, operation) = (&call.target, &call.operation);
        match &target.calls {
            None => found.push(
                Diagnostic::error(
                    Code::WRONG_TARGET,
                    call.target_span.clone(),
                    format!(
                        "`{name}` is of type {}, which takes no calls",
                        target.target.kind()
                    ),
                )
                .with_help("name a target of type alibaba or http, or use `send`"),
            ),
            Some(settings) => found.extend(not_allowed(operation, name, settings).map(|fault| {
                let (message, help) = fault;
                let span = call.operation_span.clone();
                Diagnostic::warning(Code::CALL_NOT_ALLOWED, span, message).with_help(help)
            })),
        }
    }
    // The targets of calls are among those that the rule names.
    let is_call = |span: &reflexarc::Span| calls.iter().any(|call| call.target_span == *span);
    for (name, span) in rule
        .targets()
        .into_iter()
        .filter(|(_, span)| !is_call(span))
    {
        if let Some(target) = find(&name).filter(|target| target.calls.is_some()) {
            let kind = target.target.kind();
            let message = format!("`{name}` is of type {kind}, which takes calls only");
            let help = "use `call`, or name a target for messages and documents";
            found.push(Diagnostic::error(Code::WRONG_TARGET, span, message).with_help(help));
        }
    }
    found
}

/// Why an operation is not admitted, and what to do.
fn not_allowed(operation: &str, target: &str, settings: &CallSettings) -> Option<(String, String)> {
    let CallAdmission::NotAllowed(reason) = settings.api.admit(operation) else {
        return None;
    };
    let mut allowed = settings.api.allowed();
    allowed.push(operation.to_owned());
    let quoted: Vec<_> = allowed
        .iter()
        .map(|pattern| format!("{pattern:?}"))
        .collect();
    let help = format!(
        "its calls are answered `NotAllowed`; to allow it, write allow = [{}] in [targets.{target}]",
        quoted.join(", ")
    );
    Some((reason, help))
}
