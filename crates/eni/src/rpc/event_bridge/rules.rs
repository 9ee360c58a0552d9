//! Rules.

use std::collections::BTreeMap;

use reflexarc_event::Json;
use reflexarc_pattern::{Dialect, Pattern};

use super::buses::{arn, description, found, milliseconds};
use super::errors::{check_name, error, quota, unknown_rule};
use super::{EVENT_BUS_NAME, RULE_NAME, paging, target};
use crate::rpc::Parameters;
use crate::rpc::service_answer::{Answered, Required};
use crate::subscriptions::{EventBridgeTarget, EventRule};
use crate::{ApiError, Cloud, Limits};

const FILTER_PATTERN: Required = Required {
    name: "FilterPattern",
    code: "MissingFilterPattern",
};

pub(super) fn create(cloud: &mut Cloud, account: &str, parameters: &Parameters) -> Answered {
    let (bus_name, name) = (EVENT_BUS_NAME.of(parameters)?, RULE_NAME.of(parameters)?);
    let pattern = FILTER_PATTERN.of(parameters)?;
    let (limits, now) = (*cloud.limits(), cloud.now());
    let bus = found(cloud, account, bus_name)?;
    check_name("EventRuleNameInvalid", "event rule", name)?;
    if bus.rules.contains_key(name) {
        let message = format!("The event rule [{name}] of event bus [{bus_name}] already existed!");
        return Err(error("EventRuleAlreadyExist", message));
    }
    let (count, limit) = (bus.rules.len(), limits.rules_per_bus);
    if count >= limit {
        return Err(quota(
            "EventRuleCountExceedLimit",
            "event rule",
            count,
            limit,
        ));
    }
    let rule = EventRule {
        description: description(parameters, &limits)?,
        pattern: parse_pattern(pattern, &limits)?,
        is_enabled: status(parameters)?.unwrap_or(true),
        created: now,
        targets: targets(parameters, &limits)?,
    };
    bus.rules.insert(name.to_owned(), rule);
    let arn = rule_arn(cloud.region(), account, bus_name, name);
    Ok(vec![("Data", Json::object([("RuleARN", arn.into())]))])
}

pub(super) fn get(cloud: &mut Cloud, account: &str, parameters: &Parameters) -> Answered {
    let (bus, name) = (EVENT_BUS_NAME.of(parameters)?, RULE_NAME.of(parameters)?);
    let arn = rule_arn(cloud.region(), account, bus, name);
    let rule = rule(cloud, account, bus, name)?;
    let mut members = described(bus, name, rule, arn);
    let targets = rule.targets.iter();
    let targets = targets.map(|(id, found)| target::described(id, found));
    members.push(("Targets", Json::Array(targets.collect())));
    Ok(vec![("Data", Json::object(members))])
}

pub(super) fn list(cloud: &mut Cloud, account: &str, parameters: &Parameters) -> Answered {
    let bus_name = EVENT_BUS_NAME.of(parameters)?;
    let prefix = parameters.optional("RuleNamePrefix").unwrap_or_default();
    let (limits, region) = (*cloud.limits(), cloud.region().to_owned());
    let rules = found(cloud, account, bus_name)?.rules.iter();
    let rules = rules.filter(|(name, _)| name.starts_with(prefix));
    let items = rules.map(|(name, rule)| {
        let arn = rule_arn(&region, account, bus_name, name);
        let mut members = described(bus_name, name, rule, arn);
        let targets = rule.targets.iter();
        let targets = targets.map(|(id, found)| target::summary(id, found));
        members.push(("Targets", Json::Array(targets.collect())));
        Json::object(members)
    });
    let data = paging::page("Rules", items.collect(), parameters, &limits)?;
    Ok(vec![("Data", data)])
}

pub(super) fn update(cloud: &mut Cloud, account: &str, parameters: &Parameters) -> Answered {
    let (bus, name) = (EVENT_BUS_NAME.of(parameters)?, RULE_NAME.of(parameters)?);
    let pattern = FILTER_PATTERN.of(parameters)?;
    let limits = *cloud.limits();
    let rule = rule(cloud, account, bus, name)?;
    // Everything is checked before anything is changed.
    let pattern = parse_pattern(pattern, &limits)?;
    let status = status(parameters)?;
    let description = description(parameters, &limits)?;
    rule.pattern = pattern;
    rule.is_enabled = status.unwrap_or(rule.is_enabled);
    if parameters.is_given("Description") {
        rule.description = description;
    }
    Ok(vec![("Data", true.into())])
}

pub(super) fn enable(cloud: &mut Cloud, account: &str, parameters: &Parameters) -> Answered {
    set_enabled(cloud, account, parameters, true)
}

pub(super) fn disable(cloud: &mut Cloud, account: &str, parameters: &Parameters) -> Answered {
    set_enabled(cloud, account, parameters, false)
}

pub(super) fn delete(cloud: &mut Cloud, account: &str, parameters: &Parameters) -> Answered {
    let (bus, name) = (EVENT_BUS_NAME.of(parameters)?, RULE_NAME.of(parameters)?);
    let rules = &mut found(cloud, account, bus)?.rules;
    match rules.remove(name) {
        Some(_) => Ok(Vec::new()),
        None => Err(unknown_rule(bus, name)),
    }
}

/// The rule with that name on that bus.
pub(super) fn rule<'c>(
    cloud: &'c mut Cloud,
    account: &str,
    bus: &str,
    name: &str,
) -> Result<&'c mut EventRule, ApiError> {
    let rules = &mut found(cloud, account, bus)?.rules;
    rules.get_mut(name).ok_or_else(|| unknown_rule(bus, name))
}

/// The pattern of a text. The message of an error has every error in the text.
pub(super) fn parse_pattern(text: &str, limits: &Limits) -> Result<Pattern, ApiError> {
    if text.len() > limits.pattern_bytes {
        let message = format!(
            "The event pattern is invalid: it has {} bytes, and at most {} are supported",
            text.len(),
            limits.pattern_bytes
        );
        return Err(error("InvalidEventPattern", message));
    }
    Pattern::parse(text, Dialect::Alibaba).map_err(|invalid| {
        let mut reasons: Vec<&str> = invalid
            .diagnostics()
            .iter()
            .filter(|found| found.severity == reflexarc_diagnostic::Severity::Error)
            .map(|found| found.message.as_str())
            .collect();
        reasons.truncate(5);
        let message = format!("The event pattern is invalid: {}", reasons.join("; "));
        error("InvalidEventPattern", message)
    })
}

/// Whether a rule is enabled, if the request says so.
fn status(parameters: &Parameters) -> Result<Option<bool>, ApiError> {
    match parameters.optional("Status") {
        None => Ok(None),
        Some("ENABLE") => Ok(Some(true)),
        Some("DISABLE") => Ok(Some(false)),
        Some(status) => {
            let status = reflexarc_diagnostic::truncate(status, 64);
            let message =
                format!("The event rule status [{status}] is invalid: ENABLE or DISABLE.");
            Err(error("EventRuleStatusInvalid", message))
        }
    }
}

/// The targets of a creation. Unlike in `PutTargets`, one that is invalid refuses the request.
fn targets(
    parameters: &Parameters,
    limits: &Limits,
) -> Result<BTreeMap<String, EventBridgeTarget>, ApiError> {
    let name = ["EventTargets", "Targets"];
    let name = name.into_iter().find(|name| parameters.is_given(name));
    let Some(text) = name.and_then(|name| parameters.optional(name)) else {
        return Ok(BTreeMap::new());
    };
    let mut targets = BTreeMap::new();
    for given in &target::parse_list(name.unwrap_or_default(), text)? {
        let (id, found) = target::parse(given, limits)?;
        if targets.insert(id.clone(), found).is_some() {
            let message = format!("The event target [{id}] already existed!");
            return Err(error("EventTargetAlreadyExist", message));
        }
    }
    target::check_count(targets.len(), limits)?;
    Ok(targets)
}

fn set_enabled(
    cloud: &mut Cloud,
    account: &str,
    parameters: &Parameters,
    is_enabled: bool,
) -> Answered {
    let (bus, name) = (EVENT_BUS_NAME.of(parameters)?, RULE_NAME.of(parameters)?);
    rule(cloud, account, bus, name)?.is_enabled = is_enabled;
    Ok(Vec::new())
}

fn described(bus: &str, name: &str, rule: &EventRule, arn: String) -> Vec<(&'static str, Json)> {
    let status = if rule.is_enabled { "ENABLE" } else { "DISABLE" };
    vec![
        ("EventBusName", bus.into()),
        ("RuleName", name.into()),
        ("RuleARN", arn.into()),
        ("Description", rule.description.as_str().into()),
        ("Status", status.into()),
        ("FilterPattern", rule.pattern.source().into()),
        ("CreatedTimestamp", milliseconds(rule.created)),
    ]
}

fn rule_arn(region: &str, account: &str, bus: &str, rule: &str) -> String {
    format!("{}/rule/{rule}", arn(region, account, bus))
}
