//! Plans and states of Terraform, as `terraform show -json` writes them: all values are known, or
//! known after deployment.

use super::super::found::{Filter, FoundRule};
use super::super::value::Value;
use super::requests;

/// Whether the document is a plan or a state.
pub(in super::super) fn is_plan(root: &Value) -> bool {
    root.get("terraform_version").is_some() || root.get("planned_values").is_some()
}

/// The rules of a plan or state.
pub(in super::super) fn rules(file: &str, root: &Value) -> Vec<FoundRule> {
    let values = root.get("planned_values").or_else(|| root.get("values"));
    let module = values.and_then(|values| values.get("root_module"));
    let mut resources = Vec::new();
    if let Some(module) = module {
        collect(module, &mut resources);
    }
    let targets: Vec<&Value> = resources
        .iter()
        .filter(|resource| kind(resource) == "aws_cloudwatch_event_target")
        .filter_map(|resource| resource.get("values"))
        .collect();
    resources
        .iter()
        .filter_map(|resource| read(file, resource, &targets))
        .collect()
}

fn collect<'a>(module: &'a Value, resources: &mut Vec<&'a Value>) {
    let list = |key| module.get(key).map(Value::elements).unwrap_or_default();
    resources.extend(list("resources"));
    for child in list("child_modules") {
        collect(child, resources);
    }
}

fn kind(resource: &Value) -> &str {
    resource
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn read(file: &str, resource: &Value, targets: &[&Value]) -> Option<FoundRule> {
    let values = resource.get("values")?;
    let text = |key: &str| values.get(key).and_then(Value::to_text).unwrap_or_default();
    let value = |key: &str| {
        let after = || Value::Unknown(format!("`{key}` is known after deployment"));
        values.get(key).cloned().unwrap_or_else(after)
    };
    let member = resource.member("address")?;
    let address = member.value.to_text()?;
    let rule = |name: String, disabled, filter| FoundRule {
        file: file.to_owned(),
        line: member.line,
        address: address.clone(),
        name,
        description: text("description"),
        disabled,
        filter,
    };
    let fallback = |name: String| {
        let of_resource = || resource.get("name").and_then(Value::to_text);
        Some(name)
            .filter(|name| !name.is_empty())
            .or_else(of_resource)
    };
    match kind(resource) {
        "aws_cloudwatch_event_rule" => {
            let name = fallback(text("name"))?;
            let disabled = text("state").starts_with("DISABLE") || text("is_enabled") == "false";
            let of_rule = targets
                .iter()
                .filter(|target| target.get("rule").and_then(Value::as_str) == Some(name.as_str()));
            let targets = of_rule.map(|target| {
                let text = |key: &str| target.get(key).and_then(Value::to_text);
                let arn = text("arn").unwrap_or_else(|| "known after deployment".to_owned());
                text("target_id").map_or(arn.clone(), |id| format!("{id}: {arn}"))
            });
            let schedule = values.get("schedule_expression").and_then(Value::to_text);
            let filter = match (value("event_pattern"), schedule) {
                (Value::Null, Some(schedule)) => Filter::Schedule(schedule),
                (pattern, schedule) => Filter::Aws {
                    pattern,
                    targets: targets.collect(),
                    schedule,
                },
            };
            Some(rule(name, disabled, filter))
        }
        "alicloud_event_bridge_rule" => {
            let name = fallback(text("rule_name"))?;
            let filter = requests::eventbridge(&|key| values.get(key).cloned());
            Some(rule(name, false, filter))
        }
        "alicloud_cms_event_rule" => {
            let name = fallback(text("rule_name"))?;
            let filter = requests::cloud_monitor(&|key| values.get(key).cloned());
            Some(rule(name, false, filter))
        }
        _ => None,
    }
}
