//! Stand-ins for the programs behind two targets, so that actions of rules have consequences in
//! the simulated cloud.
//!
//! - `ecs`: `Action` and its parameters. Calls the action.
//! - `eni-operator`: an operation as `action`, `eniId`, optionally `instanceId`. Calls the action.

use jiff::Timestamp;
use reflexarc_eni::rpc::Parameters;
use reflexarc_eni::scenario::{ScheduledRequest, Simulation};
use reflexarc_event::{Json, Operation};
use reflexarc_reaction::Action;

/// The targets that have stand-ins.
pub(super) const TARGETS: [&str; 2] = ["ecs", "eni-operator"];

/// Performs the action of a rule on the account's bus, in the name of the account. Actions for
/// other targets, and documents without the required members, have no effect. Returns a note if a
/// document cannot be performed as it is meant.
pub(super) fn perform(
    action: &Action,
    at: Timestamp,
    account: &str,
    rule: &str,
    simulation: &mut Simulation,
) -> Option<String> {
    let Action::Send {
        target, payload, ..
    } = action
    else {
        return None;
    };
    // Requested at once, a rule would seem to work that has to wait.
    if target == "eni-operator" && !matches!(payload.get("wait_seconds"), None | Some(Json::Null)) {
        return Some(format!(
            "eni-operator does not wait: rule {rule} has to delay the action with `after`, \
             without `wait_seconds`"
        ));
    }
    let request = match target.as_str() {
        "ecs" => ecs_request(payload),
        "eni-operator" => operator_request(payload, simulation),
        _ => None,
    };
    let Request {
        action,
        mut parameters,
    } = request?;
    // The stand-ins know their region, as the programs that they replace would.
    if !parameters.iter().any(|(name, _)| name == "RegionId") {
        let region = simulation.world().cloud.region().to_owned();
        parameters.push(("RegionId".to_owned(), region));
    }
    simulation.schedule(ScheduledRequest {
        at,
        account: account.to_owned(),
        rule: rule.to_owned(),
        action,
        parameters: parameters.into_iter().collect::<Parameters>(),
    });
    None
}

/// The request that a document leads to.
struct Request {
    action: String,
    parameters: Vec<(String, String)>,
}

fn ecs_request(payload: &Json) -> Option<Request> {
    let action = text(payload, "Action")?.to_owned();
    let mut parameters = Vec::new();
    for (key, value) in payload.members().iter().filter(|(key, _)| key != "Action") {
        flatten(key.clone(), value, &mut parameters);
    }
    Some(Request { action, parameters })
}

fn operator_request(payload: &Json, simulation: &Simulation) -> Option<Request> {
    // Rules also send this target actions that are no API operations, such as `quarantine`.
    let operation = text(payload, "action")?.parse::<Operation>().ok()?;
    let interface = text(payload, "eniId")?;
    let mut parameters = vec![("NetworkInterfaceId".to_owned(), interface.to_owned())];
    // A document without an instance is a detachment from the current one.
    let current = simulation.world().cloud.interface(interface);
    let current = current.and_then(|found| found.instance.clone());
    let instance = text(payload, "instanceId").map(str::to_owned).or(current);
    parameters.extend(instance.map(|instance| ("InstanceId".to_owned(), instance)));
    Some(Request {
        action: operation.as_str().to_owned(),
        parameters,
    })
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
