//! One target: read from JSON, and described in JSON.

use reflexarc_diagnostic::truncate;
use reflexarc_event::Json;

use super::errors::{error, invalid_json, quota};
use crate::rpc::service_answer::unsupported;
use crate::subscriptions::parse_path;
use crate::subscriptions::{EventBridgeTarget, ParameterForm, RetryStrategy, TargetParameter};
use crate::{ApiError, Limits};

/// The types of targets, as Terraform's provider lists them.
const KINDS: [&str; 24] = [
    "acs.alikafka",
    "acs.api.destination",
    "acs.arms.loki",
    "acs.datahub",
    "acs.dingtalk",
    "acs.eventbridge",
    "acs.eventbridge.olap",
    "acs.eventbus.SLSCloudLens",
    "acs.fc.function",
    "acs.fnf",
    "acs.k8s",
    "acs.mail",
    "acs.mns.queue",
    "acs.mns.topic",
    "acs.openapi",
    "acs.rabbitmq",
    "acs.rds.mysql",
    "acs.rocketmq",
    "acs.sae",
    "acs.sls",
    "acs.sms",
    "http",
    "https",
    "mysql",
];

/// Reads the JSON text of a list of targets.
pub(super) fn parse_list(parameter: &str, text: &str) -> Result<Vec<Json>, ApiError> {
    match Json::parse(text) {
        Ok(Json::Array(targets)) => Ok(targets),
        Ok(other) => Err(invalid_json(
            parameter,
            &format!("expected an array, found {}", other.kind()),
        )),
        Err(invalid) => Err(invalid_json(parameter, &invalid.to_string())),
    }
}

/// Refuses more targets of one rule than its quota.
pub(super) fn check_count(count: usize, limits: &Limits) -> Result<(), ApiError> {
    let limit = limits.targets_per_rule;
    if count > limit {
        return Err(quota(
            "EventTargetCountExceedLimit",
            "event target",
            count,
            limit,
        ));
    }
    Ok(())
}

/// The id of a target, if it has one.
pub(super) fn id_of(target: &Json) -> &str {
    string(target, "Id").unwrap_or_default()
}

/// Reads a target and its id.
pub(super) fn parse(
    target: &Json,
    limits: &Limits,
) -> Result<(String, EventBridgeTarget), ApiError> {
    const KEYS: [&str; 9] = [
        "Id",
        "Type",
        "Endpoint",
        "ErrorsTolerance",
        "PushRetryStrategy",
        "PushSelector",
        "ParamList",
        "DeadLetterQueue",
        "ConcurrentConfig",
    ];
    check_keys("EventTargets", target, &KEYS)?;
    let id = required(target, "Id")?;
    if id.len() > 255 {
        let message = format!("The event target id [{}] is invalid!", truncate(id, 64));
        return Err(error("EventTargetIdInvalid", message));
    }
    let kind = required(target, "Type")?;
    if !KINDS.contains(&kind) {
        let kind = truncate(kind, 64);
        let message = format!("The event target class [{kind}] not existed!");
        return Err(error("EventTargetClassNotExist", message));
    }
    let tolerates_errors = choice(
        target,
        "ErrorsTolerance",
        "ALL or NONE",
        |name| match name {
            "ALL" => Some(true),
            "NONE" => Some(false),
            _ => None,
        },
    )?;
    let strategies = "BACKOFF_RETRY or EXPONENTIAL_DECAY_RETRY";
    let retry = choice(
        target,
        "PushRetryStrategy",
        strategies,
        RetryStrategy::of_name,
    )?;
    let parameters = member(target, "ParamList").map_or(&[][..], Json::elements);
    if parameters.len() > limits.target_parameters {
        let (count, limit) = (parameters.len(), limits.target_parameters);
        return Err(quota(
            "EventTargetParameterCountExceedLimit",
            "parameter",
            count,
            limit,
        ));
    }
    let parameters = parameters
        .iter()
        .map(|given| parameter(given, limits))
        .collect::<Result<_, _>>()?;
    let concurrency = member(target, "ConcurrentConfig")
        .and_then(|given| member(given, "Concurrency"))
        .and_then(Json::as_i64);
    let found = EventBridgeTarget {
        kind: kind.to_owned(),
        endpoint: string(target, "Endpoint").map(str::to_owned),
        tolerates_errors,
        retry,
        parameters,
        dead_letter_queue: member(target, "DeadLetterQueue").cloned(),
        concurrency,
    };
    if found.is_http() && found.address().is_none() {
        return Err(missing("Endpoint"));
    }
    Ok((id.to_owned(), found))
}

/// A target as `GetRule` has it.
pub(super) fn described(id: &str, target: &EventBridgeTarget) -> Json {
    let retry = target.retry.unwrap_or_default().name();
    let mut members = common(id, target);
    members.push(("PushRetryStrategy", retry.into()));
    members.push(("ParamList", parameters(target)));
    let dead = target.dead_letter_queue.clone();
    members.extend(dead.map(|queue| ("DeadLetterQueue", queue)));
    Json::object(members.into_iter().chain(concurrency(target)))
}

/// A target as `ListTargets` has it.
pub(super) fn listed(bus: &str, rule: &str, id: &str, target: &EventBridgeTarget) -> Json {
    let mut members = common(id, target);
    members.push(("EventBusName", bus.into()));
    members.push(("RuleName", rule.into()));
    members.push(("ParamList", parameters(target)));
    Json::object(members.into_iter().chain(concurrency(target)))
}

/// A target as `ListRules` has it.
pub(super) fn summary(id: &str, target: &EventBridgeTarget) -> Json {
    Json::object(common(id, target))
}

fn common(id: &str, target: &EventBridgeTarget) -> Vec<(&'static str, Json)> {
    let tolerance = match target.tolerates_errors {
        Some(false) => "NONE",
        _ => "ALL",
    };
    let mut members = vec![("Id", id.into()), ("Type", target.kind.as_str().into())];
    let endpoint = target.endpoint.as_deref();
    members.extend(endpoint.map(|endpoint| ("Endpoint", endpoint.into())));
    members.push(("ErrorsTolerance", tolerance.into()));
    members
}

fn parameters(target: &EventBridgeTarget) -> Json {
    let parameters = target.parameters.iter().map(|parameter| {
        let optional = [
            ("Value", &parameter.value),
            ("Template", &parameter.template),
        ];
        let optional = optional.into_iter();
        let optional = optional.filter_map(|(name, text)| Some((name, text.as_deref()?.into())));
        let members = [
            ("ResourceKey", parameter.key.as_str().into()),
            ("Form", parameter.form.name().into()),
        ];
        Json::object(members.into_iter().chain(optional))
    });
    Json::Array(parameters.collect())
}

fn concurrency(target: &EventBridgeTarget) -> Option<(&'static str, Json)> {
    let concurrency = target.concurrency?;
    let config = Json::object([("Concurrency", concurrency.into())]);
    Some(("ConcurrentConfig", config))
}

/// Reads a parameter of a target.
fn parameter(given: &Json, limits: &Limits) -> Result<TargetParameter, ApiError> {
    check_keys(
        "ParamList",
        given,
        &["ResourceKey", "Form", "Value", "Template"],
    )?;
    let key = required(given, "ResourceKey")?;
    let forms = "ORIGINAL, JSONPATH, CONSTANT or TEMPLATE";
    let form = choice(given, "Form", forms, ParameterForm::of_name)?;
    let form = form.ok_or_else(|| missing(&format!("{key}:Form")))?;
    let text = |name: &str| -> Result<Option<String>, ApiError> {
        let text = string(given, name).map(str::to_owned);
        let length = text.as_ref().map_or(0, |text| text.chars().count());
        if length > limits.template {
            let message = format!(
                "The {name} of {key} has {length} characters, which will exceed the limit quota \
                 [{}]",
                limits.template
            );
            return Err(error("EventTargetParameterExceedLimit", message));
        }
        Ok(text)
    };
    let (value, template) = (text("Value")?, text("Template")?);
    let given_value = value.as_deref().unwrap_or_default();
    match form {
        ParameterForm::JsonPath if parse_path(given_value).is_none() => {
            return Err(ineffective(
                &format!("{key}:Value"),
                "a JSONPath such as $.data.eniId",
            ));
        }
        ParameterForm::Template if template.is_none() => {
            return Err(missing(&format!("{key}:Template")));
        }
        ParameterForm::Template if !has_valid_variables(given_value) => {
            let expected = "a JSON object of JSONPaths and fixed values";
            return Err(ineffective(&format!("{key}:Value"), expected));
        }
        _ => {}
    }
    Ok(TargetParameter {
        key: key.to_owned(),
        form,
        value,
        template,
    })
}

/// Whether the variables of a template are an object, and its paths are valid.
fn has_valid_variables(text: &str) -> bool {
    let Ok(Json::Object(members)) = Json::parse(text) else {
        return false;
    };
    members.iter().all(|(_, value)| {
        let path = value.as_str().filter(|text| text.starts_with('$'));
        path.is_none_or(|path| parse_path(path).is_some())
    })
}

/// Reads one of several values, which are described by `expected`.
fn choice<T>(
    json: &Json,
    name: &'static str,
    expected: &str,
    of_name: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, ApiError> {
    let Some(text) = string(json, name) else {
        return Ok(None);
    };
    match of_name(text) {
        Some(value) => Ok(Some(value)),
        None => Err(ineffective(name, expected)),
    }
}

/// Refuses members that have no effect here.
fn check_keys(parameter: &str, json: &Json, known: &[&str]) -> Result<(), ApiError> {
    if !matches!(json, Json::Object(_)) {
        let reason = format!("expected an object, found {}", json.kind());
        return Err(invalid_json(parameter, &reason));
    }
    let is_known = |key: &str| known.iter().any(|known| known.eq_ignore_ascii_case(key));
    let mut members = json.members().iter();
    match members.find(|(key, _)| !is_known(key)) {
        Some((key, value)) => Err(unsupported(
            &format!("{parameter}.{key}"),
            &value.to_string(),
        )),
        None => Ok(()),
    }
}

/// The value of a member, whose name Terraform's provider begins with a small letter.
fn member<'j>(json: &'j Json, name: &str) -> Option<&'j Json> {
    let mut members = json.members().iter();
    let found = members.find(|(key, _)| key.eq_ignore_ascii_case(name));
    found
        .map(|(_, value)| value)
        .filter(|value| **value != Json::Null)
}

fn string<'j>(json: &'j Json, name: &str) -> Option<&'j str> {
    member(json, name).and_then(Json::as_str)
}

fn required<'j>(json: &'j Json, name: &str) -> Result<&'j str, ApiError> {
    let text = string(json, name).filter(|text| !text.is_empty());
    text.ok_or_else(|| missing(name))
}

fn missing(name: &str) -> ApiError {
    let message = format!("Missing the attribute [{}] ", truncate(name, 64));
    error("EventTargetMissingAttribute", message)
}

fn ineffective(name: &str, expected: &str) -> ApiError {
    let name = truncate(name, 64);
    let message = format!(
        "The attribute [{name}] is ineffective, which effective attribute is [{expected}]."
    );
    error("EventTargetIneffectiveAttribute", message)
}
