//! The API of Cloud Monitor, version 2019-01-01: rules of system events, and test events.
//!
//! Errors of the service have HTTP statuses; an answer has the code `200`.

mod events;
mod filters;
mod rules;
mod targets;

use super::service_answer::{Action, Required, perform, respond};
use super::{Parameters, RpcResponse};
use crate::subscriptions::MonitorRule;
use crate::{ApiError, Cloud};

const RULE_NAME: Required = Required {
    name: "RuleName",
    code: "MissingRuleName",
};
const RULE_NAMES: Required = Required {
    name: "RuleNames",
    code: "MissingRuleNames",
};

/// Every action.
const ACTIONS: [Action<Cloud>; 10] = [
    Action {
        name: "PutEventRule",
        parameters: &[
            "RuleName",
            "EventPattern",
            "EventType",
            "State",
            "GroupId",
            "SilenceTime",
            "Description",
        ],
        perform: rules::put,
    },
    Action {
        name: "PutEventRuleTargets",
        parameters: &[
            "RuleName",
            "ContactParameters",
            "FcParameters",
            "MnsParameters",
            "OpenApiParameters",
            "SlsParameters",
            "WebhookParameters",
        ],
        perform: targets::put,
    },
    Action {
        name: "DescribeEventRuleList",
        parameters: &[
            "NamePrefix",
            "GroupId",
            "IsEnable",
            "PageNumber",
            "PageSize",
        ],
        perform: rules::list,
    },
    Action {
        name: "DescribeEventRuleAttribute",
        parameters: &["RuleName", "SilenceTime"],
        perform: rules::attribute,
    },
    Action {
        name: "DescribeEventRuleTargetList",
        parameters: &["RuleName"],
        perform: targets::list,
    },
    Action {
        name: "EnableEventRules",
        parameters: &["RuleNames"],
        perform: rules::enable,
    },
    Action {
        name: "DisableEventRules",
        parameters: &["RuleNames"],
        perform: rules::disable,
    },
    Action {
        name: "DeleteEventRules",
        parameters: &["RuleNames"],
        perform: rules::delete,
    },
    Action {
        name: "DeleteEventRuleTargets",
        parameters: &["RuleName", "Ids"],
        perform: targets::delete,
    },
    Action {
        name: "SendDryRunSystemEvent",
        parameters: &["Product", "EventName", "EventContent", "GroupId"],
        perform: events::send,
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
    respond(answered, "200", request_id, host)
}

/// The rule with that name.
fn rule<'c>(
    cloud: &'c mut Cloud,
    account: &str,
    name: &str,
) -> Result<&'c mut MonitorRule, ApiError> {
    let rules = &mut cloud.subscriptions(account).monitor_rules;
    rules.get_mut(name).ok_or_else(|| unknown_rule(name))
}

fn unknown_rule(name: &str) -> ApiError {
    let name = reflexarc_diagnostic::truncate(name, 64);
    let message = format!("The specified resource is not found: event rule {name}.");
    ApiError::new(404, "ResourceNotFound", message)
}

fn illegal(reason: &str) -> ApiError {
    let message = format!("Illegal parameters. {reason}");
    ApiError::new(400, "InvalidParameterValue", message)
}

/// More than the quota allows.
fn quota(what: &str, limit: usize) -> ApiError {
    let message = format!("The quota for {what} is exceeded: at most {limit}.");
    ApiError::new(403, "ExceedingQuota", message)
}
