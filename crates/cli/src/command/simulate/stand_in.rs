//! Who obeys the rules in a rehearsal: stand-ins for the programs behind the targets `ecs`, `eni-operator` and
//! `eni-janitor`, to which rules send documents.
//!
//! | target | document | what its stand-in does |
//! |---|---|---|
//! | `ecs` | `Action` and parameters by their wire names | calls the action |
//! | `eni-operator` | an operation as `action`, `eniId`, `instanceId` or nothing, `wait_seconds` or nothing | waits, calls the action |
//! | `eni-janitor` | `check` an interface, `not_before` in milliseconds | deletes it then, if nobody uses it |
//! | `eni-janitor` | `forget` an interface | does not look at it after all |

use jiff::{SignedDuration, Timestamp};
use reflexarc_eni::rpc::Parameters;
use reflexarc_eni::scenario::{ScheduledRequest, Simulation};
use reflexarc_event::{Json, Operation};
use reflexarc_reaction::Action;

/// The targets that have stand-ins.
pub(super) const TARGETS: [&str; 3] = ["ecs", "eni-operator", "eni-janitor"];

/// Does what a document asks for, in the name of the account on whose bus the rule is; other actions are not ours.
pub(super) fn perform(
    action: &Action,
    at: Timestamp,
    account: &str,
    rule: &str,
    rehearsal: &mut Simulation,
) {
    let Action::Send { target, payload } = action else {
        return;
    };
    let (account, rule) = (account.to_owned(), rule.to_owned());
    let text = |key: &str| payload.get(key).and_then(Json::as_str);
    match target.as_str() {
        "ecs" => {
            let Some(action) = text("Action").map(str::to_owned) else {
                return;
            };
            let mut flat = Vec::new();
            for (key, value) in payload.members().iter().filter(|(key, _)| key != "Action") {
                flatten(key.clone(), value, &mut flat);
            }
            let parameters = with_region(flat, rehearsal);
            rehearsal.schedule(ScheduledRequest {
                at,
                account,
                rule,
                action,
                parameters,
                only_if_unused: false,
            });
        }
        "eni-operator" => {
            // Rules ask this operator for other things too, such as `quarantine`; those are not requests to the cloud.
            let operation = text("action").and_then(Operation::parse);
            let (Some(operation), Some(interface)) = (operation, text("eniId")) else {
                return;
            };
            let action = operation.as_str().to_owned();
            let mut flat = vec![("NetworkInterfaceId".to_owned(), interface.to_owned())];
            // Whoever detaches without saying from where means where it is.
            let carried = rehearsal
                .world()
                .cloud
                .interface(interface)
                .and_then(|found| found.instance.clone());
            let instance = text("instanceId").map(str::to_owned).or(carried);
            flat.extend(instance.map(|instance| ("InstanceId".to_owned(), instance)));
            let wait = payload
                .get("wait_seconds")
                .and_then(Json::as_i64)
                .unwrap_or(0)
                .max(0);
            let at = at
                .checked_add(SignedDuration::from_secs(wait))
                .unwrap_or(Timestamp::MAX);
            let parameters = with_region(flat, rehearsal);
            rehearsal.schedule(ScheduledRequest {
                at,
                account,
                rule,
                action,
                parameters,
                only_if_unused: false,
            });
        }
        "eni-janitor" => {
            if let Some(interface) = text("forget") {
                rehearsal.cancel_scheduled(&account, interface);
            }
            let Some(interface) = text("check") else {
                return;
            };
            let not_before = payload.get("not_before").and_then(Json::as_i64);
            let at = not_before
                .and_then(|at| Timestamp::from_millisecond(at).ok())
                .unwrap_or(at);
            let parameters = with_region(
                vec![("NetworkInterfaceId".to_owned(), interface.to_owned())],
                rehearsal,
            );
            let action = "DeleteNetworkInterface".to_owned();
            rehearsal.schedule(ScheduledRequest {
                at,
                account,
                rule,
                action,
                parameters,
                only_if_unused: true,
            });
        }
        _ => {}
    }
}

/// There is only one region to mean.
fn with_region(mut flat: Vec<(String, String)>, rehearsal: &Simulation) -> Parameters {
    if !flat.iter().any(|(name, _)| name == "RegionId") {
        flat.push((
            "RegionId".to_owned(),
            rehearsal.world().cloud.region().to_owned(),
        ));
    }
    flat.into_iter().collect()
}

/// A JSON value as wire parameters: `Name`, `Name.1`, `Tag.1.Key` …
fn flatten(name: String, value: &Json, into: &mut Vec<(String, String)>) {
    match value {
        Json::Null => {}
        Json::Bool(_) | Json::Number(_) => into.push((name, value.to_string())),
        Json::String(text) => into.push((name, text.clone())),
        Json::Array(elements) => {
            for (i, element) in elements.iter().enumerate() {
                flatten(format!("{name}.{}", i + 1), element, into);
            }
        }
        Json::Object(members) => {
            for (key, member) in members {
                flatten(format!("{name}.{key}"), member, into);
            }
        }
    }
}
