//! Calls of the module `terraform-aws-modules/eventbridge/aws`, whose argument `rules` has rules.

use super::super::found::{Filter, FoundRule};
use super::super::value::Value;
use super::evaluate::Scope;
use super::module::Block;

/// Reads the rules of a call, if it is one of that module.
pub(super) fn read(call: &Block, prefix: &str, scope: &Scope<'_>, found: &mut Vec<FoundRule>) {
    let source = call.attribute("source").and_then(|source| source.as_str());
    let is_eventbridge = source.is_some_and(|source| {
        source.contains("terraform-aws-modules/eventbridge/aws")
            || source.contains("terraform-aws-modules/terraform-aws-eventbridge")
    });
    let Some(rules) = call.attribute("rules").filter(|_| is_eventbridge) else {
        return;
    };
    let targets = call
        .attribute("targets")
        .map(|targets| scope.value(targets, &[]));
    let name = call.labels.first().map_or("", String::as_str);
    let rules = scope.value(rules, &[]);
    let rule = |name: &str, filter: Filter| FoundRule {
        file: call.file.clone(),
        line: call.line,
        address: name.to_owned(),
        name: name.to_owned(),
        description: String::new(),
        disabled: false,
        filter,
    };
    if let Value::Unknown(reason) = &rules {
        let address = format!("{prefix}module.{name}");
        found.push(rule(
            &address,
            Filter::Unreadable(format!("its rules: {reason}")),
        ));
    }
    for member in rules.members() {
        let text = |key: &str| member.value.get(key).and_then(Value::to_text);
        let pattern = member.value.get("event_pattern").cloned();
        let of_rule = targets
            .as_ref()
            .and_then(|targets| targets.get(&member.key));
        let filter = match (pattern, text("schedule_expression")) {
            (Some(pattern), schedule) => Filter::Aws {
                pattern,
                targets: of_rule.map(describe).unwrap_or_default(),
                schedule,
            },
            (None, Some(schedule)) => Filter::Schedule(schedule),
            (None, None) => Filter::Unreadable("it has no event_pattern".to_owned()),
        };
        let state = text("state").unwrap_or_default();
        let enabled = text("enabled");
        found.push(FoundRule {
            address: format!("{prefix}module.{name}.rules[\"{}\"]", member.key),
            name: text("name").unwrap_or_else(|| member.key.clone()),
            description: text("description").unwrap_or_default(),
            disabled: state.starts_with("DISABLE") || enabled.as_deref() == Some("false"),
            ..rule(&member.key, filter)
        });
    }
}

fn describe(targets: &Value) -> Vec<String> {
    let target = |target: &Value| {
        let text = |key: &str| target.get(key).and_then(Value::to_text);
        let arn = text("arn").unwrap_or_else(|| "of a resource".to_owned());
        text("name").map_or(arn.clone(), |name| format!("{name}: {arn}"))
    };
    targets.elements().iter().map(target).collect()
}
