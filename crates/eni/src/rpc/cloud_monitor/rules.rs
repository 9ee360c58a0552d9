//! Rules.

use reflexarc_event::Json;

use super::{RULE_NAME, RULE_NAMES, filters, illegal, quota, rule, unknown_rule};
use crate::rpc::Parameters;
use crate::rpc::service_answer::{Answered, unsupported};
use crate::subscriptions::MonitorRule;
use crate::{ApiError, Cloud};

/// Creates a rule, or replaces the one with the same name; its targets stay.
pub(super) fn put(cloud: &mut Cloud, account: &str, parameters: &Parameters) -> Answered {
    let name = RULE_NAME.of(parameters)?;
    let limits = *cloud.limits();
    if name.chars().count() > 255 {
        return Err(illegal("RuleName is longer than 255 characters."));
    }
    for (parameter, only) in [("EventType", "SYSTEM"), ("GroupId", "0")] {
        // Custom events and application groups are not simulated.
        let value = parameters.optional(parameter);
        if let Some(value) = value.filter(|value| *value != only) {
            return Err(unsupported(parameter, value));
        }
    }
    let is_enabled = match parameters.optional("State") {
        None | Some("ENABLED") => true,
        Some("DISABLED") => false,
        Some(_) => return Err(illegal("State: ENABLED or DISABLED.")),
    };
    let silence = parameters.parsed::<u32>("SilenceTime");
    let silence = silence.map_err(|_| illegal("SilenceTime: a number of seconds."))?;
    let description = parameters.optional("Description").unwrap_or_default();
    if description.chars().count() > limits.description {
        let most = limits.description;
        let reason = format!("Description is longer than {most} characters.");
        return Err(illegal(&reason));
    }
    let filters = filters::read(parameters, &limits)?;
    let rules = &mut cloud.subscriptions(account).monitor_rules;
    if !rules.contains_key(name) && rules.len() >= limits.monitor_rules {
        return Err(quota("event rules", limits.monitor_rules));
    }
    let targets = rules.remove(name).map(|rule| rule.targets);
    let rule = MonitorRule {
        description: description.to_owned(),
        is_enabled,
        silence_time: silence.map(i64::from),
        filters,
        targets: targets.unwrap_or_default(),
    };
    rules.insert(name.to_owned(), rule);
    // The number of rules that were changed.
    Ok(vec![("Data", "1".into())])
}

pub(super) fn list(cloud: &mut Cloud, account: &str, parameters: &Parameters) -> Answered {
    let position = |name: &str, default| {
        let number = parameters.number(name, 1, 100_000);
        let number = number.map_err(|_| illegal(&format!("{name}: a positive number.")))?;
        Ok::<usize, ApiError>(number.unwrap_or(default))
    };
    let (page, size) = (position("PageNumber", 1)?, position("PageSize", 10)?);
    let size = size.min(cloud.limits().subscriptions_page);
    let is_enabled = parameters
        .flag("IsEnable")
        .map_err(|_| illegal("IsEnable: true or false."))?;
    let prefix = parameters.optional("NamePrefix").unwrap_or_default();
    let group = parameters.optional("GroupId").unwrap_or("0");
    let rules = cloud.subscriptions(account).monitor_rules.iter();
    let rules: Vec<Json> = rules
        .filter(|(name, rule)| {
            let has_state = is_enabled.is_none_or(|enabled| enabled == rule.is_enabled);
            name.starts_with(prefix) && has_state && group == "0"
        })
        .map(|(name, rule)| listed(name, rule))
        .collect();
    let total = Json::count(rules.len());
    let page: Vec<Json> = rules
        .into_iter()
        .skip((page - 1) * size)
        .take(size)
        .collect();
    let rules = Json::object([("EventRule", Json::Array(page))]);
    Ok(vec![("Total", total), ("EventRules", rules)])
}

pub(super) fn attribute(cloud: &mut Cloud, account: &str, parameters: &Parameters) -> Answered {
    let name = RULE_NAME.of(parameters)?;
    let rule = rule(cloud, account, name)?;
    let mut members = described(name, rule);
    // Unlike in the list of rules, there is only one filter.
    let filter = rule.filters.first().map(filters::described);
    members.extend(filter.map(|filter| ("EventPattern", Json::object(filter))));
    Ok(vec![("Result", Json::object(members))])
}

pub(super) fn enable(cloud: &mut Cloud, account: &str, parameters: &Parameters) -> Answered {
    set_enabled(cloud, account, parameters, true)
}

pub(super) fn disable(cloud: &mut Cloud, account: &str, parameters: &Parameters) -> Answered {
    set_enabled(cloud, account, parameters, false)
}

pub(super) fn delete(cloud: &mut Cloud, account: &str, parameters: &Parameters) -> Answered {
    let names = known_names(cloud, account, parameters)?;
    let rules = &mut cloud.subscriptions(account).monitor_rules;
    rules.retain(|name, _| !names.contains(&name.as_str()));
    Ok(Vec::new())
}

fn set_enabled(
    cloud: &mut Cloud,
    account: &str,
    parameters: &Parameters,
    is_enabled: bool,
) -> Answered {
    for name in known_names(cloud, account, parameters)? {
        rule(cloud, account, name)?.is_enabled = is_enabled;
    }
    Ok(Vec::new())
}

/// The names in a request. If there is no rule with one of them, nothing is changed.
fn known_names<'p>(
    cloud: &mut Cloud,
    account: &str,
    parameters: &'p Parameters,
) -> Result<Vec<&'p str>, ApiError> {
    let names = RULE_NAMES.list(parameters)?;
    let rules = &cloud.subscriptions(account).monitor_rules;
    match names.iter().find(|name| !rules.contains_key(**name)) {
        Some(name) => Err(unknown_rule(name)),
        None => Ok(names),
    }
}

fn listed(name: &str, rule: &MonitorRule) -> Json {
    let mut members = described(name, rule);
    let silence = rule.silence_time;
    members.extend(silence.map(|seconds| ("SilenceTime", seconds.into())));
    let filters = rule.filters.iter();
    let filters = filters.map(|filter| Json::object(filters::described(filter)));
    let filters = Json::object([("EventPattern", Json::Array(filters.collect()))]);
    members.push(("EventPattern", filters));
    Json::object(members)
}

fn described(name: &str, rule: &MonitorRule) -> Vec<(&'static str, Json)> {
    let state = if rule.is_enabled {
        "ENABLED"
    } else {
        "DISABLED"
    };
    vec![
        ("Name", name.into()),
        ("Description", rule.description.as_str().into()),
        ("EventType", "SYSTEM".into()),
        ("GroupId", "0".into()),
        ("State", state.into()),
    ]
}
