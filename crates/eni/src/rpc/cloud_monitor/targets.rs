//! Targets of rules: `WebhookParameters.1.Url` and its like.

use reflexarc_event::Json;

use super::{RULE_NAME, illegal, quota, rule};
use crate::rpc::Parameters;
use crate::rpc::service_answer::{Answered, Required};
use crate::subscriptions::{MonitorTarget, MonitorTargetKind};
use crate::{ApiError, Cloud};

/// Adds targets to a rule, or replaces those with the same ids.
pub(super) fn put(cloud: &mut Cloud, account: &str, parameters: &Parameters) -> Answered {
    let name = RULE_NAME.of(parameters)?;
    let limit = cloud.limits().targets_per_rule;
    let rule = rule(cloud, account, name)?;
    let mut targets = rule.targets.clone();
    for kind in MonitorTargetKind::ALL {
        for (id, target) in read(parameters, kind)? {
            targets.insert(id, target);
        }
        let of_kind = targets.values().filter(|target| target.kind == kind);
        if of_kind.count() > limit {
            return Err(quota(kind.name(), limit));
        }
    }
    rule.targets = targets;
    Ok(vec![("FailedParameterCount", "0".into())])
}

pub(super) fn delete(cloud: &mut Cloud, account: &str, parameters: &Parameters) -> Answered {
    const IDS: Required = Required {
        name: "Ids",
        code: "MissingIds",
    };
    let (name, ids) = (RULE_NAME.of(parameters)?, IDS.list(parameters)?);
    let rule = rule(cloud, account, name)?;
    if let Some(id) = ids.iter().find(|id| !rule.targets.contains_key(**id)) {
        let id = reflexarc_diagnostic::truncate(id, 64);
        let message = format!("The specified resource is not found: target {id}.");
        return Err(ApiError::new(404, "ResourceNotFound", message));
    }
    rule.targets.retain(|id, _| !ids.contains(&id.as_str()));
    Ok(Vec::new())
}

pub(super) fn list(cloud: &mut Cloud, account: &str, parameters: &Parameters) -> Answered {
    let name = RULE_NAME.of(parameters)?;
    let account_id = account.to_owned();
    let rule = rule(cloud, account, name)?;
    let lists = MonitorTargetKind::ALL.into_iter().map(|kind| {
        let of_kind = rule
            .targets
            .iter()
            .filter(|(_, target)| target.kind == kind);
        let described = of_kind.map(|(id, target)| described(&account_id, id, target));
        let list = Json::object([(kind.listed(), Json::Array(described.collect()))]);
        (kind.name(), list)
    });
    Ok(lists.collect())
}

/// Reads the targets of one kind.
fn read(
    parameters: &Parameters,
    kind: MonitorTargetKind,
) -> Result<Vec<(String, MonitorTarget)>, ApiError> {
    let mut known = vec!["Id"];
    known.extend(kind.members().iter().map(|(name, _)| *name));
    let numbers = parameters.numbers(kind.name(), &known)?.into_iter();
    let targets = numbers.map(|number| {
        let value = |member: &str| {
            let name = format!("{}.{number}.{member}", kind.name());
            parameters.optional(&name).ok_or(name)
        };
        let empty = |name: String| illegal(&format!("{name} is empty."));
        let id = value("Id").map_err(empty)?;
        let mut members = Vec::new();
        for (member, is_required) in kind.members() {
            match value(member) {
                Ok(text) => members.push((*member, text.to_owned())),
                Err(name) if *is_required => return Err(empty(name)),
                Err(_) => {}
            }
        }
        let target = MonitorTarget { kind, members };
        check(&target)?;
        Ok((id.to_owned(), target))
    });
    targets.collect()
}

/// Checks the values of a target.
fn check(target: &MonitorTarget) -> Result<(), ApiError> {
    match target.kind {
        MonitorTargetKind::Webhook => {
            let protocol = target.member("Protocol");
            // The other protocols, telnet and ping, send no event.
            if !matches!(protocol, "http" | "https") {
                return Err(illegal("Protocol: http."));
            }
            let method = target.member("Method");
            if !["GET", "POST"]
                .iter()
                .any(|known| known.eq_ignore_ascii_case(method))
            {
                return Err(illegal("Method: GET or POST."));
            }
            Ok(())
        }
        MonitorTargetKind::Contact if !matches!(target.member("Level"), "2" | "3" | "4") => {
            Err(illegal("Level: 2, 3 or 4."))
        }
        MonitorTargetKind::Mns
            if target.member("Queue").is_empty() && target.member("Topic").is_empty() =>
        {
            Err(illegal("MnsParameters: Queue or Topic is needed."))
        }
        _ => Ok(()),
    }
}

fn described(account: &str, id: &str, target: &MonitorTarget) -> Json {
    let given = target.members.iter();
    // The parameters of an API are not shown, as documented.
    let given = given.filter(|(name, _)| *name != "JsonParams");
    let given = given.map(|(name, value)| (*name, Json::from(value.as_str())));
    let region = target.member("Region");
    let resource = |service: &str, path: String| {
        let arn = format!("acs:{service}:{region}:{account}:{path}");
        Some(("Arn", arn.into()))
    };
    let arn = match target.kind {
        MonitorTargetKind::Mns if target.member("Topic").is_empty() => {
            resource("mns", format!("/queues/{}", target.member("Queue")))
        }
        MonitorTargetKind::Mns => resource("mns", format!("/topics/{}", target.member("Topic"))),
        MonitorTargetKind::Fc => {
            let (service, function) = (target.member("ServiceName"), target.member("FunctionName"));
            resource("fc", format!("services/{service}/functions/{function}"))
        }
        MonitorTargetKind::Sls => {
            let (project, store) = (target.member("Project"), target.member("LogStore"));
            resource("log", format!("project/{project}/logstore/{store}"))
        }
        _ => None,
    };
    Json::object([("Id", id.into())].into_iter().chain(given).chain(arn))
}
