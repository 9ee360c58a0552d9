//! Resources of Alibaba Cloud's provider as requests of the API.

use super::super::found::Filter;
use super::super::value::Value;

/// Reads an attribute, or the blocks of a name as a list.
pub(super) type Attributes<'a> = &'a dyn Fn(&str) -> Option<Value>;

/// The names of the provider, and those of the API.
const NAMES: [(&str, &str); 34] = [
    // alicloud_event_bridge_rule
    ("target_id", "Id"),
    ("type", "Type"),
    ("endpoint", "Endpoint"),
    ("push_retry_strategy", "PushRetryStrategy"),
    ("dead_letter_queue", "DeadLetterQueue"),
    ("param_list", "ParamList"),
    ("resource_key", "ResourceKey"),
    ("form", "Form"),
    ("value", "Value"),
    ("template", "Template"),
    ("arn", "Arn"),
    // alicloud_cms_event_rule
    ("product", "Product"),
    ("name_list", "NameList"),
    ("level_list", "LevelList"),
    ("event_type_list", "EventTypeList"),
    ("status_list", "StatusList"),
    ("sql_filter", "SQLFilter"),
    ("custom_filters", "CustomFilters"),
    ("contact_parameters_id", "Id"),
    ("webhook_parameters_id", "Id"),
    ("mns_parameters_id", "Id"),
    ("fc_parameters_id", "Id"),
    ("sls_parameters_id", "Id"),
    ("open_api_parameters_id", "Id"),
    ("contact_group_name", "ContactGroupName"),
    ("level", "Level"),
    ("url", "Url"),
    ("method", "Method"),
    ("protocol", "Protocol"),
    ("queue", "Queue"),
    ("topic", "Topic"),
    ("function_name", "FunctionName"),
    ("log_store", "LogStore"),
    ("action", "Action"),
];

/// `alicloud_event_bridge_rule` as a request of `CreateRule`.
pub(super) fn eventbridge(get: Attributes<'_>) -> Filter {
    let text = |key: &str| get(key).unwrap_or(Value::Null);
    let mut targets = match get("targets").map(|targets| renamed(&targets)) {
        Some(Value::List(targets)) => targets,
        Some(target @ Value::Map(_)) => vec![target],
        _ => Vec::new(),
    };
    for target in &mut targets {
        mark_unknown(target);
    }
    Filter::EventBridge(Value::map([
        ("RuleName".to_owned(), text("rule_name")),
        ("EventBusName".to_owned(), text("event_bus_name")),
        ("Description".to_owned(), text("description")),
        ("Status".to_owned(), text("status")),
        ("FilterPattern".to_owned(), text("filter_pattern")),
        ("EventTargets".to_owned(), Value::List(targets)),
    ]))
}

/// `alicloud_cms_event_rule` as requests of `PutEventRule` and `PutEventRuleTargets`.
pub(super) fn cloud_monitor(get: Attributes<'_>) -> Filter {
    let value = |key: &str| get(key).unwrap_or(Value::Null);
    let known_text = |key: &str| match value(key) {
        Value::Unknown(_) => Value::Null,
        known => known,
    };
    let silence = match value("silence_time") {
        Value::Text(text) if text.parse::<u64>().is_ok() => Value::Number(text),
        silence => silence,
    };
    let rule = Value::map([
        ("RuleName".to_owned(), known_text("rule_name")),
        ("Description".to_owned(), known_text("description")),
        ("GroupId".to_owned(), value("group_id")),
        ("SilenceTime".to_owned(), silence),
        ("State".to_owned(), value("status")),
        ("EventPattern".to_owned(), renamed(&value("event_pattern"))),
    ]);
    let kinds = [
        ("contact_parameters", "ContactParameters"),
        ("webhook_parameters", "WebhookParameters"),
        ("mns_parameters", "MnsParameters"),
        ("fc_parameters", "FcParameters"),
        ("sls_parameters", "SlsParameters"),
        ("open_api_parameters", "OpenApiParameters"),
    ];
    let list = |(block, kind): (&str, &str)| {
        let targets = match renamed(&value(block)) {
            target @ Value::Map(_) => Value::List(vec![target]),
            targets => targets,
        };
        (kind.to_owned(), targets)
    };
    Filter::CloudMonitor {
        rule,
        targets: Value::map(kinds.map(list)),
    }
}

/// The value with the names of the API.
fn renamed(value: &Value) -> Value {
    match value {
        Value::List(parts) => Value::List(parts.iter().map(renamed).collect()),
        Value::Map(members) => Value::map(members.iter().map(|member| {
            let name = NAMES.iter().find(|(from, _)| *from == member.key);
            let name = name.map_or(member.key.as_str(), |(_, to)| to);
            (name.to_owned(), renamed(&member.value))
        })),
        scalar => scalar.clone(),
    }
}

/// A target of which a part is not known is not imported: its type says so. The address and the
/// key of a robot are secrets, which are not imported anyway.
fn mark_unknown(target: &mut Value) {
    if target.get("Type").and_then(Value::as_str) == Some("acs.dingtalk") {
        forget_secrets(target);
    }
    let Some(reason) = target.unknown().map(str::to_owned) else {
        return;
    };
    if let Value::Map(members) = target {
        for member in members.iter_mut().filter(|member| member.key == "Type") {
            let kind = member.value.to_text().unwrap_or_default();
            member.value = Value::Text(format!("{kind}, of which a part is not known ({reason}),"));
        }
    }
}

fn forget_secrets(target: &mut Value) {
    let Value::Map(members) = target else {
        return;
    };
    for member in members
        .iter_mut()
        .filter(|member| member.key == "ParamList")
    {
        let Value::List(parameters) = &mut member.value else {
            continue;
        };
        for parameter in parameters {
            let key = parameter.get("ResourceKey").and_then(Value::as_str);
            let is_secret = matches!(key, Some("URL" | "SecretKey"));
            if let Value::Map(parts) = parameter
                && is_secret
            {
                parts.retain(|part| part.key != "Value");
            }
        }
    }
}
