//! Errors of the API of Cloud Monitor.

use crate::cloud_monitor_api::{PRODUCT, RULE, WEBHOOK, put_rule};
use crate::rpc::endpoint;
use crate::subscriptions::{code, monitor};

/// An action, its parameters, and the status and code with which it is refused.
type Refused = (
    &'static str,
    &'static [(&'static str, &'static str)],
    u16,
    &'static str,
);

const REFUSED: &[Refused] = &[
    ("PutEventRule", &[PRODUCT], 400, "MissingRuleName"),
    (
        "PutEventRule",
        &[RULE],
        400,
        "MissingEventPattern.1.Product",
    ),
    (
        "PutEventRule",
        &[RULE, ("EventPattern.1.NameList.1", "a")],
        400,
        "InvalidParameterValue",
    ),
    (
        "PutEventRule",
        &[RULE, ("EventPattern.x.Product", "a")],
        400,
        "InvalidParameter",
    ),
    (
        "PutEventRule",
        &[RULE, ("EventPattern.1.Colour", "a")],
        400,
        "InvalidParameter",
    ),
    (
        "PutEventRule",
        &[RULE, PRODUCT, ("Colour", "a")],
        400,
        "UnsupportedParameter",
    ),
    (
        "PutEventRule",
        &[RULE, PRODUCT, ("EventPattern.1.LevelList.1", "LOUD")],
        400,
        "InvalidParameterValue",
    ),
    (
        "PutEventRule",
        &[RULE, PRODUCT, ("EventPattern.1.SQLFilter", "a and b")],
        400,
        "UnsupportedParameter",
    ),
    (
        "PutEventRule",
        &[RULE, PRODUCT, ("EventType", "CUSTOM")],
        400,
        "UnsupportedParameter",
    ),
    (
        "PutEventRule",
        &[RULE, PRODUCT, ("GroupId", "17")],
        400,
        "UnsupportedParameter",
    ),
    (
        "PutEventRule",
        &[RULE, PRODUCT, ("State", "ON")],
        400,
        "InvalidParameterValue",
    ),
    (
        "PutEventRule",
        &[RULE, PRODUCT, ("SilenceTime", "-1")],
        400,
        "InvalidParameterValue",
    ),
    (
        "PutEventRuleTargets",
        &[("RuleName", "other")],
        404,
        "ResourceNotFound",
    ),
    (
        "PutEventRuleTargets",
        &[RULE, WEBHOOK[0]],
        400,
        "InvalidParameterValue",
    ),
    (
        "PutEventRuleTargets",
        &[
            RULE,
            WEBHOOK[0],
            ("WebhookParameters.1.Protocol", "ping"),
            WEBHOOK[2],
            WEBHOOK[3],
        ],
        400,
        "InvalidParameterValue",
    ),
    (
        "PutEventRuleTargets",
        &[
            RULE,
            WEBHOOK[0],
            WEBHOOK[1],
            ("WebhookParameters.1.Method", "PUT"),
            WEBHOOK[3],
        ],
        400,
        "InvalidParameterValue",
    ),
    (
        "DescribeEventRuleTargetList",
        &[("RuleName", "other")],
        404,
        "ResourceNotFound",
    ),
    (
        "DescribeEventRuleAttribute",
        &[("RuleName", "other")],
        404,
        "ResourceNotFound",
    ),
    (
        "DescribeEventRuleList",
        &[("PageNumber", "0")],
        400,
        "InvalidParameterValue",
    ),
    (
        "DescribeEventRuleList",
        &[("IsEnable", "maybe")],
        400,
        "InvalidParameterValue",
    ),
    ("DeleteEventRules", &[], 400, "MissingRuleNames"),
    (
        "DeleteEventRules",
        &[("RuleNames.1", "other")],
        404,
        "ResourceNotFound",
    ),
    (
        "EnableEventRules",
        &[("RuleNames.1", "other")],
        404,
        "ResourceNotFound",
    ),
    ("DeleteEventRuleTargets", &[RULE], 400, "MissingIds"),
    (
        "DeleteEventRuleTargets",
        &[RULE, ("Ids.1", "9")],
        404,
        "ResourceNotFound",
    ),
    (
        "SendDryRunSystemEvent",
        &[("EventName", "a")],
        400,
        "MissingProduct",
    ),
    (
        "SendDryRunSystemEvent",
        &[("Product", "ecs")],
        400,
        "MissingEventName",
    ),
    (
        "SendDryRunSystemEvent",
        &[
            ("Product", "ecs"),
            ("EventName", "a"),
            ("EventContent", "[]"),
        ],
        400,
        "InvalidParameterValue",
    ),
    ("DescribeMetricList", &[], 404, "InvalidAction.NotFound"),
];

#[test]
fn each_error_has_its_code() {
    let mut endpoint = endpoint();
    put_rule(&mut endpoint, &[]);
    for (action, given, status, expected) in REFUSED {
        let response = monitor(&mut endpoint, action, given);
        assert_eq!(
            code(&response),
            (*status, (*expected).to_owned()),
            "{action} {given:?}"
        );
    }
}
