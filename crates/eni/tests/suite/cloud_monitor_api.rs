//! The API of Cloud Monitor: rules of system events, their targets, and test events.

use reflexarc_eni::rpc::Endpoint;
use reflexarc_eni::subscriptions::{Destination, RetryStrategy};
use reflexarc_event::{Envelope, Event, Json};

use crate::rpc::{body, endpoint};
use crate::subscriptions::{call_as, code, monitor};
use crate::world::{USER, at, text_at};

pub(crate) const RULE: (&str, &str) = ("RuleName", "r");
pub(crate) const PRODUCT: (&str, &str) = ("EventPattern.1.Product", "ecs");
pub(crate) const WEBHOOK: [(&str, &str); 4] = [
    ("WebhookParameters.1.Id", "1"),
    ("WebhookParameters.1.Protocol", "http"),
    ("WebhookParameters.1.Method", "POST"),
    ("WebhookParameters.1.Url", "http://127.0.0.1:8321/events"),
];

fn accepted(endpoint: &mut Endpoint, action: &str, given: &[(&str, &str)]) -> Json {
    let response = monitor(endpoint, action, given);
    assert_eq!(
        code(&response),
        (200, "200".to_owned()),
        "{}",
        response.body
    );
    let body = body(&response);
    assert_eq!(at(&body, "Success"), &Json::Bool(true));
    body
}

pub(crate) fn put_rule(endpoint: &mut Endpoint, filter: &[(&str, &str)]) {
    let mut given = vec![RULE, PRODUCT];
    given.extend(filter);
    assert_eq!(
        text_at(&accepted(endpoint, "PutEventRule", &given), "Data"),
        "1"
    );
}

pub(crate) fn put_webhook(endpoint: &mut Endpoint) {
    let mut given = vec![RULE];
    given.extend(WEBHOOK);
    let answer = accepted(endpoint, "PutEventRuleTargets", &given);
    assert_eq!(text_at(&answer, "FailedParameterCount"), "0");
}

fn operate(endpoint: &mut Endpoint) {
    let create = [("VSwitchId", "vsw-1001"), ("SecurityGroupId", "sg-1001")];
    call_as(
        endpoint,
        "AK1",
        "2014-05-26",
        "CreateNetworkInterface",
        &create,
    );
}

#[test]
fn an_operation_is_delivered_in_the_form_of_a_callback() {
    let mut endpoint = endpoint();
    put_rule(&mut endpoint, &[]);
    put_webhook(&mut endpoint);
    operate(&mut endpoint);
    let published = endpoint.take_outcomes().remove(0).published.unwrap();
    let deliveries = endpoint.take_deliveries();
    assert_eq!(deliveries.len(), 1);
    let delivery = &deliveries[0];
    assert_eq!(delivery.target.to_string(), "Cloud Monitor/r target 1");
    assert_eq!(delivery.retry, RetryStrategy::CloudMonitor);
    let expected = Destination::Http {
        url: "http://127.0.0.1:8321/events".to_owned(),
        is_get: false,
    };
    assert_eq!(delivery.destination, expected);
    let event = Event::from_json(delivery.body.as_bytes()).unwrap();
    assert_eq!(event.envelope(), Envelope::CloudMonitorFlat);
    assert_eq!(text_at(event.tree(), "ruleName"), "r");
    assert_eq!(
        at(event.tree(), "content"),
        at(published.event.tree(), "content")
    );
}

#[test]
fn each_condition_of_a_filter_counts() {
    for (filter, expected) in [
        (&[][..], 1),
        (&[("EventPattern.1.Product", "ECS")], 1),
        (&[("EventPattern.1.Product", "rds")], 0),
        (&[("EventPattern.1.NameList.1", "Disk:Stalled")], 0),
        (
            &[(
                "EventPattern.1.NameList.1",
                "NetworkInterface:NetworkInterfaceOperateCompleted",
            )],
            1,
        ),
        (&[("EventPattern.1.NameList.1", "*")], 1),
        (&[("EventPattern.1.LevelList.1", "CRITICAL")], 0),
        (
            &[
                ("EventPattern.1.LevelList.1", "CRITICAL"),
                ("EventPattern.1.LevelList.2", "INFO"),
            ],
            1,
        ),
        (
            &[("EventPattern.1.EventTypeList.1", "StatusNotification")],
            1,
        ),
        (&[("EventPattern.1.EventTypeList.1", "Maintenance")], 0),
        (&[("EventPattern.1.StatusList.1", "Normal")], 1),
        (&[("EventPattern.1.StatusList.1", "Failed")], 0),
        (
            &[("EventPattern.1.CustomFilters", "CreateNetworkInterface")],
            1,
        ),
        (
            &[("EventPattern.1.CustomFilters", "nothing of the kind")],
            0,
        ),
        // One of several filters is enough.
        (
            &[
                ("EventPattern.1.LevelList.1", "CRITICAL"),
                ("EventPattern.2.Product", "ecs"),
                ("EventPattern.2.LevelList.1", "INFO"),
            ],
            1,
        ),
    ] {
        let mut endpoint = endpoint();
        put_rule(&mut endpoint, filter);
        put_webhook(&mut endpoint);
        operate(&mut endpoint);
        assert_eq!(endpoint.take_deliveries().len(), expected, "{filter:?}");
    }
}

#[test]
fn a_name_in_a_filter_may_leave_the_status_out() {
    let name = "Instance:SystemMaintenance.Reboot:Executing";
    let content = r#"{"resourceId": "acs:ecs:cn-hangzhou:1001:instance/i-1", "level": "CRITICAL",
        "content": {"eventStatus": "Executing"}}"#;
    let test = [
        ("Product", "ecs"),
        ("EventName", name),
        ("EventContent", content),
    ];
    for (wanted, expected) in [
        (name, 1),
        ("Instance:SystemMaintenance.Reboot", 1),
        ("Instance:SystemMaintenance", 0),
    ] {
        let mut endpoint = endpoint();
        let filter = [
            ("EventPattern.1.NameList.1", wanted),
            ("EventPattern.1.LevelList.1", "CRITICAL"),
            ("EventPattern.1.StatusList.1", "Executing"),
        ];
        put_rule(&mut endpoint, &filter);
        put_webhook(&mut endpoint);
        accepted(&mut endpoint, "SendDryRunSystemEvent", &test);
        let deliveries = endpoint.take_deliveries();
        assert_eq!(deliveries.len(), expected, "{wanted}");
        for delivery in deliveries {
            let event = Json::parse(&delivery.body).unwrap();
            assert_eq!(text_at(&event, "name"), name);
            assert_eq!(text_at(&event, "product"), "ECS");
            assert_eq!(text_at(&event, "userId"), USER);
            assert_eq!(text_at(&event, "regionId"), "cn-hangzhou");
            assert_eq!(
                text_at(&event, "resourceId"),
                "acs:ecs:cn-hangzhou:1001:instance/i-1"
            );
            assert_eq!(at(&event, "content").members().len(), 1);
        }
    }
}

#[test]
fn levels_of_tested_events_are_known_ones() {
    let mut endpoint = endpoint();
    for (level, expected) in [
        ("CRITICAL", 200),
        ("WARN", 200),
        ("INFO", 200),
        ("high", 400),
    ] {
        let content = format!(r#"{{"level": "{level}", "content": {{}}}}"#);
        let test = [
            ("Product", "ecs"),
            ("EventName", "Instance:StateChange"),
            ("EventContent", content.as_str()),
        ];
        let response = monitor(&mut endpoint, "SendDryRunSystemEvent", &test);
        assert_eq!(code(&response).0, expected, "{level}");
    }
}

#[test]
fn disabled_and_deleted_rules_and_targets_get_nothing() {
    let mut endpoint = endpoint();
    put_rule(&mut endpoint, &[]);
    put_webhook(&mut endpoint);
    let names = [("RuleNames.1", "r")];
    let sent = |endpoint: &mut Endpoint| {
        operate(endpoint);
        endpoint.take_deliveries()
    };
    let first = sent(&mut endpoint).remove(0);
    accepted(&mut endpoint, "DisableEventRules", &names);
    assert!(sent(&mut endpoint).is_empty());
    assert!(!endpoint.cloud().is_subscribed(USER, &first.target));
    accepted(&mut endpoint, "EnableEventRules", &names);
    assert_eq!(sent(&mut endpoint).len(), 1);
    assert!(endpoint.cloud().is_subscribed(USER, &first.target));
    accepted(
        &mut endpoint,
        "DeleteEventRuleTargets",
        &[RULE, ("Ids.1", "1")],
    );
    assert!(sent(&mut endpoint).is_empty());
    accepted(&mut endpoint, "DeleteEventRules", &names);
    let listed = accepted(&mut endpoint, "DescribeEventRuleList", &[]);
    assert_eq!(at(&listed, "Total").as_i64(), Some(0));
}

#[test]
fn rules_and_targets_are_described_as_they_were_put() {
    let mut endpoint = endpoint();
    let filter = [
        ("EventPattern.1.NameList.1", "A"),
        ("EventPattern.1.NameList.2", "B"),
        ("EventPattern.1.LevelList.1", "WARN"),
        ("EventPattern.1.EventTypeList.1", "*"),
        ("EventPattern.1.StatusList.1", "Failed"),
        ("EventPattern.1.CustomFilters", "eni"),
        ("State", "DISABLED"),
        ("SilenceTime", "60"),
        ("Description", "of interfaces"),
        ("EventType", "SYSTEM"),
    ];
    put_rule(&mut endpoint, &filter);
    let listed = accepted(
        &mut endpoint,
        "DescribeEventRuleList",
        &[("NamePrefix", "r")],
    );
    let expected = Json::parse(
        r#"{"Name": "r", "Description": "of interfaces", "EventType": "SYSTEM", "GroupId": "0",
            "State": "DISABLED", "SilenceTime": 60, "EventPattern": {"EventPattern": [{
                "Product": "ecs", "NameList": {"NameList": ["A", "B"]},
                "LevelList": {"LevelList": ["WARN"]}, "EventTypeList": {"EventTypeList": ["*"]},
                "StatusList": {"StatusList": ["Failed"]}, "CustomFilters": "eni"}]}}"#,
    );
    let rule = &at(&listed, "EventRules.EventRule").elements()[0];
    assert!(rule.eq_ignoring_order(&expected.unwrap()), "{rule}");
    let shown = accepted(&mut endpoint, "DescribeEventRuleAttribute", &[RULE]);
    let filter = &at(rule, "EventPattern.EventPattern").elements()[0];
    assert_eq!(at(&shown, "Result.EventPattern"), filter);
    let targets = [
        RULE,
        ("ContactParameters.1.Id", "1"),
        ("ContactParameters.1.ContactGroupName", "ops"),
        ("ContactParameters.1.Level", "3"),
        ("FcParameters.1.Id", "2"),
        ("FcParameters.1.Region", "cn-hangzhou"),
        ("FcParameters.1.ServiceName", "s"),
        ("FcParameters.1.FunctionName", "f"),
        ("MnsParameters.1.Id", "3"),
        ("MnsParameters.1.Region", "cn-hangzhou"),
        ("MnsParameters.1.Queue", "q"),
        ("OpenApiParameters.1.Id", "4"),
        ("OpenApiParameters.1.Product", "Ecs"),
        ("OpenApiParameters.1.Action", "DeleteNetworkInterface"),
        ("OpenApiParameters.1.Version", "2014-05-26"),
        ("SlsParameters.1.Id", "5"),
        ("SlsParameters.1.Region", "cn-hangzhou"),
        ("SlsParameters.1.Project", "p"),
        ("SlsParameters.1.LogStore", "l"),
    ];
    accepted(&mut endpoint, "PutEventRuleTargets", &targets);
    let shown = accepted(&mut endpoint, "DescribeEventRuleTargetList", &[RULE]);
    for (path, expected) in [
        (
            "ContactParameters.ContactParameter",
            r#"{"Id": "1", "ContactGroupName": "ops", "Level": "3"}"#,
        ),
        (
            "FcParameters.FCParameter",
            r#"{"Id": "2", "Region": "cn-hangzhou", "ServiceName": "s", "FunctionName": "f",
                "Arn": "acs:fc:cn-hangzhou:1001:services/s/functions/f"}"#,
        ),
        (
            "MnsParameters.MnsParameter",
            r#"{"Id": "3", "Region": "cn-hangzhou", "Queue": "q",
                "Arn": "acs:mns:cn-hangzhou:1001:/queues/q"}"#,
        ),
        (
            "OpenApiParameters.OpenApiParameters",
            r#"{"Id": "4", "Product": "Ecs", "Action": "DeleteNetworkInterface",
                "Version": "2014-05-26"}"#,
        ),
        (
            "SlsParameters.SlsParameter",
            r#"{"Id": "5", "Region": "cn-hangzhou", "Project": "p", "LogStore": "l",
                "Arn": "acs:log:cn-hangzhou:1001:project/p/logstore/l"}"#,
        ),
    ] {
        let found = &at(&shown, path).elements()[0];
        let expected = Json::parse(expected).unwrap();
        assert!(found.eq_ignoring_order(&expected), "{found}");
    }
    assert_eq!(
        at(&shown, "WebhookParameters.WebhookParameter").elements(),
        []
    );
    // A rule that is put again keeps its targets.
    put_rule(&mut endpoint, &[]);
    operate(&mut endpoint);
    let kinds: Vec<String> = endpoint
        .take_deliveries()
        .into_iter()
        .map(|delivery| match delivery.destination {
            Destination::Other { kind, endpoint } => format!("{kind} {endpoint}"),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds.len(), 5);
    assert_eq!(kinds[2], "MnsParameters cn-hangzhou/q");
}

#[test]
fn lists_of_rules_have_pages() {
    let mut endpoint = endpoint();
    for name in ["a", "b", "c"] {
        let state = if name == "b" { "DISABLED" } else { "ENABLED" };
        let given = [("RuleName", name), PRODUCT, ("State", state)];
        accepted(&mut endpoint, "PutEventRule", &given);
    }
    for (given, expected) in [
        (&[][..], &["a", "b", "c"][..]),
        (&[("PageSize", "2")], &["a", "b"]),
        (&[("PageSize", "2"), ("PageNumber", "2")], &["c"]),
        (&[("PageSize", "2"), ("PageNumber", "3")], &[]),
        (&[("IsEnable", "true")], &["a", "c"]),
        (&[("IsEnable", "false")], &["b"]),
        (&[("NamePrefix", "c")], &["c"]),
        (&[("GroupId", "7")], &[]),
    ] {
        let listed = accepted(&mut endpoint, "DescribeEventRuleList", given);
        let rules = at(&listed, "EventRules.EventRule").elements().iter();
        let names: Vec<&str> = rules.map(|rule| text_at(rule, "Name")).collect();
        assert_eq!(names, expected, "{given:?}");
    }
}
