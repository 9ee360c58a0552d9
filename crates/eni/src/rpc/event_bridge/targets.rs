//! Targets of rules.

use std::collections::BTreeMap;

use reflexarc_event::Json;

use super::errors::{invalid_json, unknown_target};
use super::rules::rule;
use super::{EVENT_BUS_NAME, RULE_NAME, paging, target};
use crate::rpc::Parameters;
use crate::rpc::service_answer::{Answered, Required};
use crate::{ApiError, Cloud};

const TARGETS: Required = Required {
    name: "Targets",
    code: "MissingTargets",
};

/// Creates targets, or replaces those with the same ids. Those that are invalid are in the answer,
/// the others take effect.
pub(super) fn put(cloud: &mut Cloud, account: &str, parameters: &Parameters) -> Answered {
    change(cloud, account, parameters, false)
}

/// The same, and removes all other targets.
pub(super) fn replace(cloud: &mut Cloud, account: &str, parameters: &Parameters) -> Answered {
    change(cloud, account, parameters, true)
}

pub(super) fn delete(cloud: &mut Cloud, account: &str, parameters: &Parameters) -> Answered {
    const TARGET_IDS: Required = Required {
        name: "TargetIds",
        code: "MissingTargetIds",
    };
    let (bus, name) = (EVENT_BUS_NAME.of(parameters)?, RULE_NAME.of(parameters)?);
    let ids = match Json::parse(TARGET_IDS.of(parameters)?) {
        Ok(Json::Array(ids)) if ids.iter().all(|id| id.as_str().is_some()) => ids,
        _ => return Err(invalid_json("TargetIds", "expected an array of strings")),
    };
    let rule = rule(cloud, account, bus, name)?;
    let mut errors = Vec::new();
    for id in ids.iter().filter_map(Json::as_str) {
        if rule.targets.remove(id).is_none() {
            errors.push(entry(id, &unknown_target(bus, name, id)));
        }
    }
    Ok(vec![("Data", entries(errors))])
}

pub(super) fn list(cloud: &mut Cloud, account: &str, parameters: &Parameters) -> Answered {
    let arn = parameters.optional("Arn").unwrap_or_default();
    // The resource name of a rule ends with `:eventbus/NAME/rule/NAME`.
    let named = arn
        .split_once(":eventbus/")
        .and_then(|(_, rest)| rest.split_once("/rule/"));
    let (bus, name) = match named {
        Some(named) => named,
        None => (EVENT_BUS_NAME.of(parameters)?, RULE_NAME.of(parameters)?),
    };
    let limits = *cloud.limits();
    let targets = rule(cloud, account, bus, name)?.targets.iter();
    let items = targets.map(|(id, found)| target::listed(bus, name, id, found));
    let data = paging::page("Targets", items.collect(), parameters, &limits)?;
    Ok(vec![("Data", data)])
}

fn change(
    cloud: &mut Cloud,
    account: &str,
    parameters: &Parameters,
    replaces_all: bool,
) -> Answered {
    let (bus, name) = (EVENT_BUS_NAME.of(parameters)?, RULE_NAME.of(parameters)?);
    let given = target::parse_list("Targets", TARGETS.of(parameters)?)?;
    let limits = *cloud.limits();
    let rule = rule(cloud, account, bus, name)?;
    let mut targets = if replaces_all {
        BTreeMap::new()
    } else {
        rule.targets.clone()
    };
    let mut errors = Vec::new();
    for given in &given {
        match target::parse(given, &limits) {
            Ok((id, found)) => {
                targets.insert(id, found);
            }
            Err(error) => errors.push(entry(target::id_of(given), &error)),
        }
    }
    target::check_count(targets.len(), &limits)?;
    rule.targets = targets;
    Ok(vec![("Data", entries(errors))])
}

/// The part of the answer about targets that are invalid.
fn entries(errors: Vec<Json>) -> Json {
    Json::object([
        ("ErrorEntriesCount", Json::count(errors.len())),
        ("ErrorEntries", Json::Array(errors)),
    ])
}

fn entry(id: &str, error: &ApiError) -> Json {
    Json::object([
        ("EntryId", id.into()),
        ("ErrorCode", error.code.into()),
        ("ErrorMessage", error.message.as_str().into()),
    ])
}
