//! Stand-ins for the programs behind two targets, so that actions of rules have consequences in
//! the simulated cloud.
//!
//! - `ecs`: `Action` and its parameters. Calls the action.
//! - `eni-operator`: an operation as `action`, `eniId`, optionally `instanceId` and `wait_seconds`.
//!   Waits, then calls the action.

use jiff::{SignedDuration, Timestamp};
use reflexarc_eni::rpc::Parameters;
use reflexarc_eni::scenario::{ScheduledRequest, Simulation};
use reflexarc_event::{Json, Operation};
use reflexarc_reaction::Action;

/// The targets that have stand-ins.
pub(super) const TARGETS: [&str; 2] = ["ecs", "eni-operator"];

/// Performs the action of a rule on the account's bus, in the name of the account. Actions for
/// other targets, and documents without the required members or with a `wait_seconds` that is no
/// time, have no effect.
pub(super) fn perform(
    action: &Action,
    at: Timestamp,
    account: &str,
    rule: &str,
    simulation: &mut Simulation,
) {
    let Action::Send {
        target, payload, ..
    } = action
    else {
        return;
    };
    let request = match target.as_str() {
        "ecs" => ecs_request(payload),
        "eni-operator" => operator_request(payload, at, simulation),
        _ => None,
    };
    let Some(Request {
        action,
        mut parameters,
        not_before,
    }) = request
    else {
        return;
    };
    // The stand-ins know their region, as the programs that they replace would.
    if !parameters.iter().any(|(name, _)| name == "RegionId") {
        let region = simulation.world().cloud.region().to_owned();
        parameters.push(("RegionId".to_owned(), region));
    }
    simulation.schedule(ScheduledRequest {
        at: not_before.unwrap_or(at),
        account: account.to_owned(),
        rule: rule.to_owned(),
        action,
        parameters: parameters.into_iter().collect::<Parameters>(),
    });
}

/// The request that a document leads to.
struct Request {
    action: String,
    parameters: Vec<(String, String)>,
    not_before: Option<Timestamp>,
}

fn ecs_request(payload: &Json) -> Option<Request> {
    let action = text(payload, "Action")?.to_owned();
    let mut parameters = Vec::new();
    for (key, value) in payload.members().iter().filter(|(key, _)| key != "Action") {
        flatten(key.clone(), value, &mut parameters);
    }
    Some(Request {
        action,
        parameters,
        not_before: None,
    })
}

fn operator_request(payload: &Json, at: Timestamp, simulation: &Simulation) -> Option<Request> {
    // Rules also send this target actions that are no API operations, such as `quarantine`.
    let operation = text(payload, "action")?.parse::<Operation>().ok()?;
    let interface = text(payload, "eniId")?;
    let mut parameters = vec![("NetworkInterfaceId".to_owned(), interface.to_owned())];
    // A document without an instance is a detachment from the current one.
    let current = simulation.world().cloud.interface(interface);
    let current = current.and_then(|found| found.instance.clone());
    let instance = text(payload, "instanceId").map(str::to_owned).or(current);
    parameters.extend(instance.map(|instance| ("InstanceId".to_owned(), instance)));
    let wait = integer(payload, "wait_seconds").ok()?.unwrap_or(0).max(0);
    let then = at
        .checked_add(SignedDuration::from_secs(wait))
        .unwrap_or(Timestamp::MAX);
    Some(Request {
        action: operation.as_str().to_owned(),
        parameters,
        not_before: Some(then),
    })
}

/// A member that must be an integer is something else.
#[derive(Debug, PartialEq, Eq)]
struct NotAnInteger;

/// The integer of a member, if it is present.
fn integer(payload: &Json, key: &str) -> Result<Option<i64>, NotAnInteger> {
    // `wait_seconds: "60"` must not mean 0: the request would come too early, and a rule would
    // seem to work that the real program refuses.
    match payload.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or(NotAnInteger),
    }
}

fn text<'a>(payload: &'a Json, key: &str) -> Option<&'a str> {
    payload.get(key).and_then(Json::as_str)
}

/// Adds a JSON value as parameters of the API, which has only flat names: `Name`, `Name.1`,
/// `Tag.1.Key` …
fn flatten(name: String, value: &Json, parameters: &mut Vec<(String, String)>) {
    match value {
        // A parameter without a value is left out, as SDKs do.
        Json::Null => {}
        Json::Bool(_) | Json::Number(_) => parameters.push((name, value.to_string())),
        Json::String(text) => parameters.push((name, text.clone())),
        Json::Array(elements) => {
            for (i, element) in elements.iter().enumerate() {
                flatten(format!("{name}.{}", i + 1), element, parameters);
            }
        }
        Json::Object(members) => {
            for (key, member) in members {
                flatten(format!("{name}.{key}"), member, parameters);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_is_no_integer_is_not_taken_as_none() {
        let wait = |value: &str| {
            let payload = Json::parse(format!(r#"{{"wait_seconds": {value}}}"#)).unwrap();
            integer(&payload, "wait_seconds")
        };
        assert_eq!(wait("60"), Ok(Some(60)));
        assert_eq!(wait("null"), Ok(None));
        assert_eq!(
            (wait("\"60\""), wait("1.5")),
            (Err(NotAnInteger), Err(NotAnInteger))
        );
    }
}
