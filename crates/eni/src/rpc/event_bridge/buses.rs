//! Buses.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reflexarc_event::Json;

use super::errors::{check_name, error, quota, unknown_bus};
use super::{EVENT_BUS_NAME, paging};
use crate::events::DEFAULT_BUS;
use crate::rpc::Parameters;
use crate::rpc::service_answer::Answered;
use crate::subscriptions::EventBus;
use crate::{ApiError, Cloud, Limits};

pub(super) fn create(cloud: &mut Cloud, account: &str, parameters: &Parameters) -> Answered {
    let name = EVENT_BUS_NAME.of(parameters)?;
    check_name("EventBusNameInvalid", "event bus", name)?;
    let (limits, now) = (*cloud.limits(), cloud.now());
    let limit = limits.event_buses;
    let buses = &mut cloud.subscriptions(account).buses;
    if buses.contains_key(name) {
        let message = format!("The event bus [{name}] already existed!");
        return Err(error("EventBusAlreadyExist", message));
    }
    let own = buses.keys().filter(|name| *name != DEFAULT_BUS).count();
    if own >= limit {
        return Err(quota("EventBusCountExceedLimit", "event bus", own, limit));
    }
    let bus = EventBus {
        description: description(parameters, &limits)?,
        created: Some(now),
        rules: BTreeMap::new(),
    };
    buses.insert(name.to_owned(), bus);
    let arn = arn(cloud.region(), account, name);
    let data = Json::object([("EventBusARN", arn.into())]);
    Ok(vec![("Data", data)])
}

pub(super) fn get(cloud: &mut Cloud, account: &str, parameters: &Parameters) -> Answered {
    let name = EVENT_BUS_NAME.of(parameters)?;
    let arn = arn(cloud.region(), account, name);
    let bus = found(cloud, account, name)?;
    Ok(vec![("Data", described(name, bus, arn))])
}

pub(super) fn list(cloud: &mut Cloud, account: &str, parameters: &Parameters) -> Answered {
    let prefix = parameters.optional("NamePrefix").unwrap_or_default();
    let (limits, region) = (*cloud.limits(), cloud.region().to_owned());
    let buses = cloud.subscriptions(account).buses.iter();
    let items = buses
        .filter(|(name, _)| name.starts_with(prefix))
        .map(|(name, bus)| described(name, bus, arn(&region, account, name)));
    let data = paging::page("EventBuses", items.collect(), parameters, &limits)?;
    Ok(vec![("Data", data)])
}

pub(super) fn update(cloud: &mut Cloud, account: &str, parameters: &Parameters) -> Answered {
    let name = EVENT_BUS_NAME.of(parameters)?;
    let description = description(parameters, cloud.limits())?;
    found(cloud, account, name)?.description = description;
    Ok(Vec::new())
}

/// A bus that does not exist is not an error, as documented: `Data` says whether it did.
pub(super) fn delete(cloud: &mut Cloud, account: &str, parameters: &Parameters) -> Answered {
    let name = EVENT_BUS_NAME.of(parameters)?;
    if name == DEFAULT_BUS {
        let message = format!("The event bus name [{name}] is invalid!");
        return Err(error("EventBusNameInvalid", message));
    }
    let buses = &mut cloud.subscriptions(account).buses;
    if buses.get(name).is_some_and(|bus| !bus.rules.is_empty()) {
        let message = format!(
            "The rules of eventbus [{name}] exist, please delete them before delete event bus."
        );
        return Err(error("EventBusRuleNotEmptyForDelete", message));
    }
    let was_there = buses.remove(name).is_some();
    Ok(vec![("Data", was_there.into())])
}

/// The bus with that name.
pub(super) fn found<'c>(
    cloud: &'c mut Cloud,
    account: &str,
    name: &str,
) -> Result<&'c mut EventBus, ApiError> {
    let buses = &mut cloud.subscriptions(account).buses;
    buses.get_mut(name).ok_or_else(|| unknown_bus(name))
}

/// The description in a request; its length is not documented.
pub(super) fn description(parameters: &Parameters, limits: &Limits) -> Result<String, ApiError> {
    let most = limits.description;
    let text = parameters.optional("Description").unwrap_or_default();
    if text.chars().count() > most {
        let message = format!("The description is longer than {most} characters.");
        return Err(error("DescriptionInvalid", message));
    }
    Ok(text.to_owned())
}

/// The resource name of a bus.
pub(super) fn arn(region: &str, account: &str, bus: &str) -> String {
    format!("acs:eventbridge:{region}:{account}:eventbus/{bus}")
}

/// Milliseconds since 1970.
pub(super) fn milliseconds(at: Timestamp) -> Json {
    at.as_millisecond().into()
}

fn described(name: &str, bus: &EventBus, arn: String) -> Json {
    let created = bus.created.map(|at| ("CreateTimestamp", milliseconds(at)));
    let members = [
        ("EventBusName", name.into()),
        ("EventBusARN", arn.into()),
        ("Description", bus.description.as_str().into()),
    ];
    Json::object(members.into_iter().chain(created))
}
