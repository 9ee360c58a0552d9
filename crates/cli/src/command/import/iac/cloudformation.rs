//! Templates of CloudFormation, also those of SAM and those that CDK writes.

mod conditions;
mod functions;

use super::found::{Filter, FoundRule, Settings};
use super::limits::IacLimits;
use super::value::{Member, Value};

use self::functions::{Resolver, describe};

/// Whether the document is a template.
pub(super) fn is_template(root: &Value) -> bool {
    matches!(root.get("Resources"), Some(Value::Map(_)))
}

/// The rules of a template.
pub(super) fn rules(
    file: &str,
    root: &Value,
    settings: &Settings,
    limits: &IacLimits,
) -> Vec<FoundRule> {
    let resolver = Resolver::new(root, settings, limits);
    let mut found = Vec::new();
    let resources = root.get("Resources").map(Value::members);
    for resource in resources.unwrap_or_default() {
        if resource.key.starts_with("Fn::ForEach::") {
            read_loop(file, resource, &mut found);
            continue;
        }
        let properties = resource.value.get("Properties").unwrap_or(&Value::Null);
        match resource.value.get("Type").and_then(Value::as_str) {
            Some("AWS::Events::Rule") => {
                found.push(read_rule(file, resource, properties, &resolver));
            }
            Some(kind @ ("AWS::Serverless::Function" | "AWS::Serverless::StateMachine")) => {
                let what = match kind {
                    "AWS::Serverless::Function" => "function",
                    _ => "state machine",
                };
                let events = properties.get("Events").map(Value::members);
                for event in events.unwrap_or_default() {
                    let target = format!("{what} {}", resource.key);
                    found.extend(read_event(file, &resource.key, event, &target, &resolver));
                }
            }
            _ => {}
        }
    }
    found
}

fn read_rule(
    file: &str,
    resource: &Member,
    properties: &Value,
    resolver: &Resolver<'_>,
) -> FoundRule {
    let text = |key| {
        let value = properties.get(key).map(|value| resolver.resolve(value));
        value.and_then(|value| value.to_text()).unwrap_or_default()
    };
    let name = text("Name");
    let targets = properties.get("Targets").map(|targets| match targets {
        Value::List(targets) => targets.iter().map(|one| target(one, resolver)).collect(),
        other => vec![describe(other)],
    });
    FoundRule {
        file: file.to_owned(),
        line: resource.line,
        address: resource.key.clone(),
        name: if name.trim().is_empty() {
            resource.key.clone()
        } else {
            name
        },
        description: text("Description"),
        disabled: text("State").starts_with("DISABLE"),
        filter: filter(
            properties.get("EventPattern"),
            properties.get("ScheduleExpression"),
            targets.unwrap_or_default(),
            resolver,
        ),
    }
}

/// An event of a function of SAM.
fn read_event(
    file: &str,
    owner: &str,
    event: &Member,
    target: &str,
    resolver: &Resolver<'_>,
) -> Option<FoundRule> {
    let properties = event.value.get("Properties").unwrap_or(&Value::Null);
    let schedule = match event.value.get("Type").and_then(Value::as_str)? {
        "EventBridgeRule" | "CloudWatchEvent" => None,
        "Schedule" | "ScheduleV2" => Some(
            ["Schedule", "ScheduleExpression"]
                .iter()
                .find_map(|key| properties.get(key))?,
        ),
        _ => return None,
    };
    let value = |key| properties.get(key).map(|value| resolver.resolve(value));
    let state = value("State").and_then(|state| state.to_text());
    Some(FoundRule {
        file: file.to_owned(),
        line: event.line,
        address: format!("{owner}.{}", event.key),
        name: match value("RuleName").and_then(|name| name.to_text()) {
            Some(name) => name,
            None => format!("{owner}-{}", event.key),
        },
        description: value("Description")
            .and_then(|text| text.to_text())
            .unwrap_or_default(),
        disabled: state.is_some_and(|state| state.starts_with("DISABLE"))
            || value("Enabled") == Some(Value::Bool(false)),
        filter: filter(
            properties.get("Pattern"),
            schedule,
            vec![target.to_owned()],
            resolver,
        ),
    })
}

fn filter(
    pattern: Option<&Value>,
    schedule: Option<&Value>,
    targets: Vec<String>,
    resolver: &Resolver<'_>,
) -> Filter {
    let schedule = schedule
        .map(|schedule| (resolver.resolve(schedule), schedule))
        .filter(|(resolved, _)| !matches!(resolved, Value::Null))
        .map(|(resolved, written)| resolved.to_text().unwrap_or_else(|| describe(written)));
    let pattern = pattern
        .map(|pattern| resolver.resolve(pattern))
        .filter(|pattern| !matches!(pattern, Value::Null));
    match (pattern, schedule) {
        (Some(pattern), schedule) => Filter::Aws {
            pattern,
            targets,
            schedule,
        },
        (None, Some(schedule)) => Filter::Schedule(schedule),
        (None, None) => Filter::Unreadable("it has no pattern".to_owned()),
    }
}

/// A target as its id and what it is.
fn target(target: &Value, resolver: &Resolver<'_>) -> String {
    let text = |key| {
        let written = target.get(key)?;
        let resolved = resolver.resolve(written).to_text();
        Some(resolved.unwrap_or_else(|| describe(written)))
    };
    match (text("Id"), text("Arn")) {
        (Some(id), Some(arn)) => format!("{id}: {arn}"),
        (None, Some(arn)) => arn,
        _ => describe(target),
    }
}

/// A loop that makes resources: nothing of it is imported, but it is reported.
fn read_loop(file: &str, resource: &Member, found: &mut Vec<FoundRule>) {
    if !mentions_rule(&resource.value) {
        return;
    }
    found.push(FoundRule {
        file: file.to_owned(),
        line: resource.line,
        address: resource.key.clone(),
        name: resource.key.clone(),
        description: String::new(),
        disabled: false,
        filter: Filter::Unreadable(
            "Fn::ForEach is not supported; import the template that it expands to".to_owned(),
        ),
    });
}

fn mentions_rule(value: &Value) -> bool {
    match value {
        Value::Text(text) => text == "AWS::Events::Rule",
        Value::List(elements) => elements.iter().any(mentions_rule),
        Value::Map(members) => members.iter().any(|member| mentions_rule(&member.value)),
        _ => false,
    }
}
