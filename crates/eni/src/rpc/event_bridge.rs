//! The API of `EventBridge`, version 2020-04-01: buses, rules, targets, and events of programs.
//!
//! Errors of the service have the HTTP status 200 and `Success` false, as the official SDKs and the
//! Terraform provider expect; those of the gateway before it (a missing parameter, an unknown
//! action) have a status of their own. The codes are those of the open-source version of the service
//! (`EventBridgeErrorCode` of Apache `RocketMQ` `EventBridge`), except `EventRuleNotExisted`, which has
//! another name there.

mod buses;
mod errors;
mod events;
mod paging;
mod rules;
mod target;
mod targets;

use super::service_answer::{Action, Required, perform, respond};
use super::{Parameters, RpcResponse};
use crate::Cloud;

const EVENT_BUS_NAME: Required = Required {
    name: "EventBusName",
    code: "MissingEventBusName",
};
const RULE_NAME: Required = Required {
    name: "RuleName",
    code: "MissingRuleName",
};

/// Every action.
const ACTIONS: [Action<Cloud>; 18] = [
    Action {
        name: "CreateEventBus",
        parameters: &["EventBusName", "Description"],
        perform: buses::create,
    },
    Action {
        name: "GetEventBus",
        parameters: &["EventBusName"],
        perform: buses::get,
    },
    Action {
        name: "ListEventBuses",
        parameters: &["NamePrefix", "Limit", "NextToken"],
        perform: buses::list,
    },
    Action {
        name: "UpdateEventBus",
        parameters: &["EventBusName", "Description"],
        perform: buses::update,
    },
    Action {
        name: "DeleteEventBus",
        parameters: &["EventBusName"],
        perform: buses::delete,
    },
    Action {
        name: "CreateRule",
        parameters: &[
            "EventBusName",
            "RuleName",
            "Description",
            "Status",
            "FilterPattern",
            "EventTargets",
            // The name that Terraform's provider uses.
            "Targets",
        ],
        perform: rules::create,
    },
    Action {
        name: "GetRule",
        parameters: &["EventBusName", "RuleName"],
        perform: rules::get,
    },
    Action {
        name: "ListRules",
        parameters: &["EventBusName", "RuleNamePrefix", "Limit", "NextToken"],
        perform: rules::list,
    },
    Action {
        name: "UpdateRule",
        parameters: &[
            "EventBusName",
            "RuleName",
            "Description",
            "Status",
            "FilterPattern",
        ],
        perform: rules::update,
    },
    Action {
        name: "EnableRule",
        parameters: &["EventBusName", "RuleName"],
        perform: rules::enable,
    },
    Action {
        name: "DisableRule",
        parameters: &["EventBusName", "RuleName"],
        perform: rules::disable,
    },
    Action {
        name: "DeleteRule",
        parameters: &["EventBusName", "RuleName"],
        perform: rules::delete,
    },
    Action {
        name: "PutTargets",
        parameters: &["EventBusName", "RuleName", "Targets"],
        perform: targets::put,
    },
    Action {
        // Terraform's provider calls it by this name.
        name: "UpdateTargets",
        parameters: &["EventBusName", "RuleName", "Targets"],
        perform: targets::replace,
    },
    Action {
        name: "DeleteTargets",
        parameters: &["EventBusName", "RuleName", "TargetIds"],
        perform: targets::delete,
    },
    Action {
        name: "ListTargets",
        parameters: &["EventBusName", "RuleName", "Arn", "Limit", "NextToken"],
        perform: targets::list,
    },
    Action {
        name: "PutEvents",
        parameters: &["EventBusName", "EventList"],
        perform: events::put,
    },
    Action {
        name: "TestEventPattern",
        parameters: &["Event", "EventPattern"],
        perform: events::test_pattern,
    },
];

/// Answers a call of an action by an account.
pub(super) fn answer(
    cloud: &mut Cloud,
    account: &str,
    action: &str,
    parameters: &Parameters,
    host: &str,
) -> RpcResponse {
    let request_id = cloud.new_request_id();
    let answered = perform(&ACTIONS, cloud, account, action, parameters);
    respond(answered, "Success", request_id, host)
}
