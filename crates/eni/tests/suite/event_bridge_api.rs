//! The API of `EventBridge`: buses, rules, targets, events of programs, and deliveries.

use reflexarc_eni::Limits;
use reflexarc_eni::rpc::{AccessKey, Endpoint, HttpResponse, RequestLimits};
use reflexarc_eni::subscriptions::{Destination, RetryStrategy};
use reflexarc_event::Json;

use crate::rpc::{body, endpoint};
use crate::subscriptions::{OPERATIONS, bridge, call_as, code, create_rule, data, http_target};
use crate::world::{USER, at, cloud, text_at};

const DEFAULT: (&str, &str) = ("EventBusName", "default");
const CREATE: [(&str, &str); 2] = [("VSwitchId", "vsw-1001"), ("SecurityGroupId", "sg-1001")];

fn limited(limits: Limits) -> Endpoint {
    let keys = [AccessKey::new("AK1", "secret", USER)];
    Endpoint::new(cloud().with_limits(limits), keys, RequestLimits::DEFAULT)
}

/// Creates an interface, which makes an event.
fn operate(endpoint: &mut Endpoint) -> HttpResponse {
    let response = call_as(
        endpoint,
        "AK1",
        "2014-05-26",
        "CreateNetworkInterface",
        &CREATE,
    );
    assert_eq!(response.status, 200, "{}", response.body);
    response
}

fn names(list: &Json, name: &str) -> Vec<String> {
    let items = list.elements().iter();
    items.map(|item| text_at(item, name).to_owned()).collect()
}

#[test]
fn an_operation_is_delivered_to_each_target_of_a_matching_rule() {
    let mut endpoint = endpoint();
    create_rule(&mut endpoint, "operations", OPERATIONS, &["1", "2"]);
    let failed = OPERATIONS.replace('}', r#", "data": {"result": ["failed"]}}"#);
    create_rule(&mut endpoint, "failures", &failed, &["1"]);
    assert!(endpoint.take_deliveries().is_empty());
    operate(&mut endpoint);
    let published = endpoint.take_outcomes().remove(0).published.unwrap();
    let deliveries = endpoint.take_deliveries();
    let targets: Vec<String> = deliveries
        .iter()
        .map(|delivery| delivery.target.to_string())
        .collect();
    assert_eq!(
        targets,
        ["default/operations target 1", "default/operations target 2"]
    );
    let delivery = &deliveries[0];
    assert_eq!(delivery.account, USER);
    assert_eq!(delivery.event, text_at(published.event.tree(), "id"));
    assert_eq!(delivery.content_type, "application/cloudevents+json");
    assert_eq!(delivery.retry, RetryStrategy::ExponentialDecay);
    let Destination::Http { url, is_get: false } = &delivery.destination else {
        panic!("{delivery:?}");
    };
    assert_eq!(url, "http://127.0.0.1:8321/events");
    let event = Json::parse(&delivery.body).unwrap();
    assert_eq!(text_at(&event, "aliyuneventbusname"), "default");
    assert_eq!(at(&event, "data"), at(published.event.tree(), "content"));
    // Each event is delivered once.
    assert!(endpoint.take_deliveries().is_empty());
}

#[test]
fn rules_of_other_accounts_and_disabled_and_deleted_ones_get_nothing() {
    let mut endpoint = endpoint();
    let rule = [DEFAULT, ("RuleName", "r")];
    create_rule(&mut endpoint, "r", OPERATIONS, &["1"]);
    // The service's rule does not see the user's events.
    let other = [DEFAULT, ("RuleName", "r"), ("FilterPattern", OPERATIONS)];
    let response = call_as(&mut endpoint, "AK9", "2020-04-01", "CreateRule", &other);
    assert_eq!(code(&response), (200, "Success".to_owned()));
    operate(&mut endpoint);
    let first = endpoint.take_deliveries();
    assert_eq!(first.len(), 1);
    let is_active = |endpoint: &Endpoint| {
        let cloud = endpoint.cloud();
        cloud.is_subscribed(USER, &first[0].target)
    };
    assert!(is_active(&endpoint));
    for (action, expected) in [("DisableRule", 0), ("EnableRule", 1), ("DeleteRule", 0)] {
        assert_eq!(code(&bridge(&mut endpoint, action, &rule)).1, "Success");
        operate(&mut endpoint);
        assert_eq!(endpoint.take_deliveries().len(), expected, "{action}");
        assert_eq!(is_active(&endpoint), expected == 1, "{action}");
    }
    let gone = bridge(&mut endpoint, "GetRule", &rule);
    assert_eq!(code(&gone), (200, "EventRuleNotExisted".to_owned()));
    assert_eq!(at(&body(&gone), "Success"), &Json::Bool(false));
}

#[test]
fn a_rule_is_shown_as_it_was_created_and_changed() {
    let mut endpoint = endpoint();
    create_rule(&mut endpoint, "r", OPERATIONS, &["1"]);
    let rule = [DEFAULT, ("RuleName", "r")];
    let shown = data(&bridge(&mut endpoint, "GetRule", &rule));
    assert_eq!(text_at(&shown, "FilterPattern"), OPERATIONS);
    assert_eq!(text_at(&shown, "Status"), "ENABLE");
    assert!(at(&shown, "Targets").elements()[0].eq_ignoring_order(&http_target("1")));
    let narrower = r#"{"source": ["acs.vpc"]}"#;
    let mut change = rule.to_vec();
    change.extend([
        ("FilterPattern", narrower),
        ("Status", "DISABLE"),
        ("Description", "of VPC"),
    ]);
    assert_eq!(
        data(&bridge(&mut endpoint, "UpdateRule", &change)),
        Json::Bool(true)
    );
    let shown = data(&bridge(&mut endpoint, "GetRule", &rule));
    assert_eq!(text_at(&shown, "FilterPattern"), narrower);
    assert_eq!(text_at(&shown, "Status"), "DISABLE");
    assert_eq!(text_at(&shown, "Description"), "of VPC");
    assert_eq!(at(&shown, "Targets").elements().len(), 1);
    // An invalid change changes nothing.
    change[2].1 = "{";
    change[3].1 = "ENABLE";
    assert_eq!(
        code(&bridge(&mut endpoint, "UpdateRule", &change)).1,
        "InvalidEventPattern"
    );
    let again = data(&bridge(&mut endpoint, "GetRule", &rule));
    assert_eq!(again, shown);
}

#[test]
fn lists_are_divided_into_pages() {
    let mut endpoint = endpoint();
    for number in 1..=5 {
        create_rule(&mut endpoint, &format!("rule-{number}"), OPERATIONS, &["1"]);
    }
    let (mut found, mut token) = (Vec::new(), String::new());
    loop {
        let request = [DEFAULT, ("Limit", "2"), ("NextToken", &token)];
        let page = data(&bridge(&mut endpoint, "ListRules", &request));
        assert_eq!(at(&page, "Total").as_i64(), Some(5));
        found.extend(names(at(&page, "Rules"), "RuleName"));
        match page.get("NextToken").and_then(Json::as_str) {
            Some(next) => token = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(found, ["rule-1", "rule-2", "rule-3", "rule-4", "rule-5"]);
    let prefix = [DEFAULT, ("RuleNamePrefix", "rule-4")];
    let page = data(&bridge(&mut endpoint, "ListRules", &prefix));
    assert_eq!(names(at(&page, "Rules"), "RuleName"), ["rule-4"]);
    for (parameter, value, expected) in [
        ("Limit", "0", "LimitSizeInvalid"),
        ("Limit", "101", "LimitSizeInvalid"),
        ("NextToken", "x", "NextTokenInvalid"),
    ] {
        let response = bridge(&mut endpoint, "ListRules", &[DEFAULT, (parameter, value)]);
        assert_eq!(code(&response), (200, expected.to_owned()));
    }
    // Beyond the end there is nothing.
    let response = bridge(&mut endpoint, "ListRules", &[DEFAULT, ("NextToken", "99")]);
    assert_eq!(at(&data(&response), "Rules").elements(), []);
}

#[test]
fn each_error_has_its_code_and_leaves_no_trace() {
    let mut endpoint = endpoint();
    create_rule(&mut endpoint, "taken", OPERATIONS, &[]);
    let before = data(&bridge(&mut endpoint, "ListRules", &[DEFAULT]));
    let valid = [DEFAULT, ("RuleName", "new"), ("FilterPattern", OPERATIONS)];
    for (change, status, expected) in [
        (("EventBusName", ""), 400, "MissingEventBusName"),
        (("RuleName", ""), 400, "MissingRuleName"),
        (("FilterPattern", ""), 400, "MissingFilterPattern"),
        (("FilterPatern", "{}"), 400, "UnsupportedParameter"),
        (("EventBusName", "nowhere"), 200, "EventBusNotExist"),
        (("RuleName", "taken"), 200, "EventRuleAlreadyExist"),
        (("RuleName", "a b"), 200, "EventRuleNameInvalid"),
        (("RuleName", "-a"), 200, "EventRuleNameInvalid"),
        (
            ("RuleName", "eventbridge-reserved-a"),
            200,
            "EventRuleNameInvalid",
        ),
        (("Status", "ON"), 200, "EventRuleStatusInvalid"),
        (
            ("FilterPattern", r#"{"source": "acs.ecs"}"#),
            200,
            "InvalidEventPattern",
        ),
        (("FilterPattern", "source == 1"), 200, "InvalidEventPattern"),
        (("EventTargets", "{}"), 200, "JsonAttributeInvalid"),
        (("EventTargets", "[1]"), 200, "JsonAttributeInvalid"),
        (("EventTargets", "[{}]"), 200, "EventTargetMissingAttribute"),
        (
            ("EventTargets", r#"[{"Id":"1","Type":"pigeon"}]"#),
            200,
            "EventTargetClassNotExist",
        ),
        (
            ("EventTargets", r#"[{"Id":"1","Type":"http"}]"#),
            200,
            "EventTargetMissingAttribute",
        ),
        (
            ("EventTargets", r#"[{"Id":"1","Typ":"http"}]"#),
            400,
            "UnsupportedParameter",
        ),
    ] {
        let mut given = valid.to_vec();
        given.retain(|(name, _)| *name != change.0);
        given.push(change);
        let response = bridge(&mut endpoint, "CreateRule", &given);
        assert_eq!(code(&response), (status, expected.to_owned()), "{change:?}");
        assert!(!text_at(&body(&response), "Message").is_empty());
        assert!(!text_at(&body(&response), "RequestId").is_empty());
    }
    let response = bridge(&mut endpoint, "CreateMoon", &[]);
    assert_eq!(code(&response), (404, "InvalidAction.NotFound".to_owned()));
    // The action of another service.
    let response = bridge(&mut endpoint, "CreateNetworkInterface", &CREATE);
    assert_eq!(code(&response), (404, "InvalidAction.NotFound".to_owned()));
    let after = data(&bridge(&mut endpoint, "ListRules", &[DEFAULT]));
    assert_eq!(after, before);
}

#[test]
fn the_message_about_a_pattern_says_what_is_wrong() {
    let mut endpoint = endpoint();
    let pattern = r#"{"source": [{"prefxi": "acs."}]}"#;
    let given = [DEFAULT, ("RuleName", "r"), ("FilterPattern", pattern)];
    let response = bridge(&mut endpoint, "CreateRule", &given);
    let message = text_at(&body(&response), "Message").to_owned();
    assert!(message.contains("prefxi"), "{message}");
}

#[test]
fn targets_are_added_replaced_and_removed() {
    let mut endpoint = endpoint();
    let rule = [DEFAULT, ("RuleName", "r")];
    create_rule(&mut endpoint, "r", OPERATIONS, &["1"]);
    let put = |endpoint: &mut Endpoint, action: &str, targets: &str| {
        let mut given = rule.to_vec();
        given.push(("Targets", targets));
        bridge(endpoint, action, &given)
    };
    // As Terraform's provider spells them.
    let queue = r#"{"id": "2", "type": "acs.mns.queue", "endpoint": "acs:mns:cn-hangzhou:1001:queues/q",
        "paramList": [{"resourceKey": "queue", "form": "CONSTANT", "value": "q"}]}"#;
    let invalid = r#"{"Id": "3", "Type": "pigeon"}"#;
    let answer = data(&put(
        &mut endpoint,
        "PutTargets",
        &format!("[{queue}, {invalid}]"),
    ));
    assert_eq!(at(&answer, "ErrorEntriesCount").as_i64(), Some(1));
    let error = &at(&answer, "ErrorEntries").elements()[0];
    assert_eq!(text_at(error, "EntryId"), "3");
    assert_eq!(text_at(error, "ErrorCode"), "EventTargetClassNotExist");
    let listed = data(&bridge(&mut endpoint, "ListTargets", &rule));
    assert_eq!(names(at(&listed, "Targets"), "Id"), ["1", "2"]);
    assert_eq!(names(at(&listed, "Targets"), "RuleName"), ["r", "r"]);
    let arn = "acs:eventbridge:cn-hangzhou:1001:eventbus/default/rule/r";
    let by_arn = data(&bridge(&mut endpoint, "ListTargets", &[("Arn", arn)]));
    assert_eq!(by_arn, listed);
    // The queue is not simulated, and its delivery says so.
    operate(&mut endpoint);
    let deliveries = endpoint.take_deliveries();
    let Destination::Other {
        kind,
        endpoint: queue_arn,
    } = &deliveries[1].destination
    else {
        panic!("{deliveries:?}");
    };
    assert_eq!(kind, "acs.mns.queue");
    assert_eq!(queue_arn, "acs:mns:cn-hangzhou:1001:queues/q");
    let mut given = rule.to_vec();
    given.push(("TargetIds", r#"["1", "9"]"#));
    let answer = data(&bridge(&mut endpoint, "DeleteTargets", &given));
    assert_eq!(names(at(&answer, "ErrorEntries"), "EntryId"), ["9"]);
    let one = Json::Array(vec![http_target("4")]).to_string();
    data(&put(&mut endpoint, "UpdateTargets", &one));
    let listed = data(&bridge(&mut endpoint, "ListTargets", &rule));
    assert_eq!(names(at(&listed, "Targets"), "Id"), ["4"]);
}

#[test]
fn a_target_gets_what_its_body_says() {
    let mut endpoint = endpoint();
    let rule = [
        DEFAULT,
        ("RuleName", "r"),
        ("FilterPattern", r#"{"source": ["shop"]}"#),
    ];
    bridge(&mut endpoint, "CreateEventBus", &[("EventBusName", "own")]);
    let mut rule = rule.to_vec();
    rule[0].1 = "own";
    for (form, value, template, expected, content_type) in [
        ("CONSTANT", "ping", None, "ping", "text/plain;charset=utf-8"),
        (
            "JSONPATH",
            "$.data.items[1]['sku']",
            None,
            "b",
            "text/plain;charset=utf-8",
        ),
        (
            "JSONPATH",
            "$.data.items",
            None,
            r#"[{"sku":"a"},{"sku":"b"}]"#,
            "application/json",
        ),
        (
            "JSONPATH",
            "$.data.none",
            None,
            "",
            "text/plain;charset=utf-8",
        ),
        (
            "TEMPLATE",
            r#"{"n": "$.data.n", "who": "me", "five": 5}"#,
            Some(r#"{"n": ${n}, "who": "${who}", "five": ${five}, "other": "${other}"}"#),
            r#"{"n": 3, "who": "me", "five": 5, "other": "${other}"}"#,
            "application/json",
        ),
        (
            "TEMPLATE",
            "{}",
            Some("a ${ b"),
            "a ${ b",
            "text/plain;charset=utf-8",
        ),
    ] {
        let parameter = [("ResourceKey", "body"), ("Form", form), ("Value", value)];
        let template = template.map(|template| ("Template", template));
        let parameter = Json::texts(parameter.into_iter().chain(template));
        let target = Json::object([
            ("Id", "1".into()),
            ("Type", "http".into()),
            ("ParamList", Json::Array(vec![parameter, url_parameter()])),
        ]);
        let targets = Json::Array(vec![target]).to_string();
        let mut given = rule.clone();
        given.push(("EventTargets", &targets));
        assert_eq!(
            code(&bridge(&mut endpoint, "CreateRule", &given)).1,
            "Success",
            "{value}"
        );
        let event = r#"[{"Id": "1", "Source": "shop", "Type": "sold", "Data":
            "{\"n\": 3, \"items\": [{\"sku\": \"a\"}, {\"sku\": \"b\"}]}"}]"#;
        let sent = [("EventBusName", "own"), ("EventList", event)];
        let answer = data(&bridge(&mut endpoint, "PutEvents", &sent));
        assert_eq!(at(&answer, "FailedEntryCount").as_i64(), Some(0));
        let delivery = endpoint.take_deliveries().remove(0);
        assert_eq!(delivery.body, expected);
        assert_eq!(delivery.content_type, content_type);
        assert_eq!(delivery.destination.endpoint(), "http://localhost/hook");
        assert_eq!(delivery.retry, RetryStrategy::Backoff);
        assert_eq!(
            code(&bridge(&mut endpoint, "DeleteRule", &rule[..2])).1,
            "Success"
        );
    }
}

fn url_parameter() -> Json {
    Json::texts([
        ("ResourceKey", "URL"),
        ("Form", "CONSTANT"),
        ("Value", "http://localhost/hook"),
    ])
}

#[test]
fn parameters_of_targets_are_checked() {
    let mut endpoint = endpoint();
    for (parameter, expected) in [
        (r#"{"Form": "ORIGINAL"}"#, "EventTargetMissingAttribute"),
        (r#"{"ResourceKey": "Body"}"#, "EventTargetMissingAttribute"),
        (
            r#"{"ResourceKey": "Body", "Form": "HAIKU"}"#,
            "EventTargetIneffectiveAttribute",
        ),
        (
            r#"{"ResourceKey": "Body", "Form": "JSONPATH", "Value": "data"}"#,
            "EventTargetIneffectiveAttribute",
        ),
        (
            r#"{"ResourceKey": "Body", "Form": "JSONPATH", "Value": "$."}"#,
            "EventTargetIneffectiveAttribute",
        ),
        (
            r#"{"ResourceKey": "Body", "Form": "JSONPATH", "Value": "$[x]"}"#,
            "EventTargetIneffectiveAttribute",
        ),
        (
            r#"{"ResourceKey": "Body", "Form": "TEMPLATE", "Value": "{}"}"#,
            "EventTargetMissingAttribute",
        ),
        (
            r#"{"ResourceKey": "Body", "Form": "TEMPLATE", "Value": "[]", "Template": ""}"#,
            "EventTargetIneffectiveAttribute",
        ),
        (
            r#"{"ResourceKey": "Body", "Form": "TEMPLATE", "Value": "{\"a\": \"$a\"}", "Template": ""}"#,
            "EventTargetIneffectiveAttribute",
        ),
    ] {
        let targets = format!(r#"[{{"Id": "1", "Type": "acs.sls", "ParamList": [{parameter}]}}]"#);
        let given = [
            DEFAULT,
            ("RuleName", "r"),
            ("FilterPattern", OPERATIONS),
            ("EventTargets", targets.as_str()),
        ];
        let response = bridge(&mut endpoint, "CreateRule", &given);
        assert_eq!(code(&response), (200, expected.to_owned()), "{parameter}");
    }
    for (member, expected) in [
        (
            r#""ErrorsTolerance": "SOME""#,
            "EventTargetIneffectiveAttribute",
        ),
        (
            r#""PushRetryStrategy": "NEVER""#,
            "EventTargetIneffectiveAttribute",
        ),
    ] {
        let targets = format!(r#"[{{"Id": "1", "Type": "acs.sls", {member}}}]"#);
        let given = [
            DEFAULT,
            ("RuleName", "r"),
            ("FilterPattern", OPERATIONS),
            ("EventTargets", targets.as_str()),
        ];
        let response = bridge(&mut endpoint, "CreateRule", &given);
        assert_eq!(code(&response), (200, expected.to_owned()), "{member}");
    }
}

#[test]
fn buses_are_created_listed_and_deleted() {
    let mut endpoint = endpoint();
    let own = [("EventBusName", "own"), ("Description", "of the shop")];
    let created = data(&bridge(&mut endpoint, "CreateEventBus", &own));
    let arn = "acs:eventbridge:cn-hangzhou:1001:eventbus/own";
    assert_eq!(text_at(&created, "EventBusARN"), arn);
    let listed = data(&bridge(&mut endpoint, "ListEventBuses", &[]));
    assert_eq!(
        names(at(&listed, "EventBuses"), "EventBusName"),
        ["default", "own"]
    );
    let shown = data(&bridge(&mut endpoint, "GetEventBus", &own[..1]));
    assert_eq!(&shown, &at(&listed, "EventBuses").elements()[1]);
    let change = [own[0], ("Description", "changed")];
    assert_eq!(
        code(&bridge(&mut endpoint, "UpdateEventBus", &change)).1,
        "Success"
    );
    let shown = data(&bridge(&mut endpoint, "GetEventBus", &own[..1]));
    assert_eq!(text_at(&shown, "Description"), "changed");
    let rule = [own[0], ("RuleName", "r"), ("FilterPattern", OPERATIONS)];
    assert_eq!(
        code(&bridge(&mut endpoint, "CreateRule", &rule)).1,
        "Success"
    );
    for (action, name, expected) in [
        ("CreateEventBus", "own", "EventBusAlreadyExist"),
        ("CreateEventBus", "default", "EventBusAlreadyExist"),
        ("CreateEventBus", "a/b", "EventBusNameInvalid"),
        ("GetEventBus", "other", "EventBusNotExist"),
        ("UpdateEventBus", "other", "EventBusNotExist"),
        ("DeleteEventBus", "default", "EventBusNameInvalid"),
        ("DeleteEventBus", "own", "EventBusRuleNotEmptyForDelete"),
    ] {
        let response = bridge(&mut endpoint, action, &[("EventBusName", name)]);
        assert_eq!(
            code(&response),
            (200, expected.to_owned()),
            "{action} {name}"
        );
    }
    assert_eq!(
        code(&bridge(&mut endpoint, "DeleteRule", &rule[..2])).1,
        "Success"
    );
    for was_there in [true, false] {
        let response = bridge(&mut endpoint, "DeleteEventBus", &own[..1]);
        assert_eq!(data(&response), Json::Bool(was_there));
    }
}

#[test]
fn events_of_programs_reach_the_rules_of_their_bus() {
    let mut endpoint = endpoint();
    create_rule(
        &mut endpoint,
        "r",
        r#"{"source": [{"prefix": "shop"}]}"#,
        &["1"],
    );
    let events = r#"[
        {"Id": "1", "Source": "shop.a", "Type": "sold", "Subject": "order/1", "Data": {"n": 1},
         "Time": "2026-01-01T08:00:00+08:00"},
        {"Id": "2", "Source": "other", "Type": "sold"},
        {"Id": "3", "Type": "sold"},
        {"Id": "4", "Source": "shop", "Type": "sold", "Time": "yesterday"},
        {"Id": "5", "Source": "shop", "Type": "sold", "SpecVersion": "0.3"},
        {"Id": "6", "Source": "shop", "Type": "sold", "Colour": "red"},
        {"Id": "7", "Source": "shop", "Type": "TOO-LONG"}
    ]"#
    .replace("TOO-LONG", &"t".repeat(65));
    let sent = [DEFAULT, ("EventList", events.as_str())];
    let answer = data(&bridge(&mut endpoint, "PutEvents", &sent));
    assert_eq!(at(&answer, "FailedEntryCount").as_i64(), Some(5));
    let entries = at(&answer, "EntryList");
    assert_eq!(
        names(entries, "EventId"),
        ["1", "2", "3", "4", "5", "6", "7"]
    );
    let failed: Vec<bool> = entries
        .elements()
        .iter()
        .map(|entry| entry.get("ErrorCode").is_some())
        .collect();
    assert_eq!(failed, [false, false, true, true, true, true, true]);
    let deliveries = endpoint.take_deliveries();
    assert_eq!(deliveries.len(), 1);
    let event = Json::parse(&deliveries[0].body).unwrap();
    let text = |key: &str| text_at(&event, key).to_owned();
    assert_eq!(text("subject"), "order/1");
    assert_eq!(text("aliyunaccountid"), USER);
    assert_eq!(text("aliyunregionid"), "cn-hangzhou");
    assert_eq!(text("time"), "2026-01-01T08:00:00+08:00");
    assert_eq!(at(&event, "data.n").as_i64(), Some(1));
    let unknown = [("EventBusName", "nowhere"), sent[1]];
    assert_eq!(
        code(&bridge(&mut endpoint, "PutEvents", &unknown)).1,
        "EventBusNotExist"
    );
}

#[test]
fn a_pattern_is_tested_without_a_rule() {
    let mut endpoint = endpoint();
    let event = r#"{"source": "acs.ecs", "data": {"result": "failed", "tags": ["a", "b"]}}"#;
    for (pattern, expected) in [
        (r#"{"source": ["acs.ecs"]}"#, true),
        (r#"{"source": ["acs.vpc"]}"#, false),
        (r#"{"data": {"tags": [{"suffix": "b"}]}}"#, true),
        (
            r#"{"data": {"result": [{"anything-but": ["failed"]}]}}"#,
            false,
        ),
        (r#"{"data": {"none": [{"exists": false}]}}"#, true),
    ] {
        let given = [("Event", event), ("EventPattern", pattern)];
        let answer = data(&bridge(&mut endpoint, "TestEventPattern", &given));
        assert_eq!(at(&answer, "Result"), &Json::Bool(expected), "{pattern}");
    }
    for (event, pattern, expected) in [
        (event, "{", "InvalidEventPattern"),
        ("[]", r#"{"source": ["a"]}"#, "JsonAttributeInvalid"),
        ("{", r#"{"source": ["a"]}"#, "JsonAttributeInvalid"),
    ] {
        let given = [("Event", event), ("EventPattern", pattern)];
        let response = bridge(&mut endpoint, "TestEventPattern", &given);
        assert_eq!(code(&response), (200, expected.to_owned()));
    }
    let response = bridge(&mut endpoint, "TestEventPattern", &[("Event", event)]);
    assert_eq!(code(&response), (400, "MissingEventPattern".to_owned()));
}

/// Every limit is reached, and the last value within it is accepted.
#[test]
fn limits_bound_what_an_account_can_have() {
    let limits = Limits {
        event_buses: 2,
        rules_per_bus: 3,
        targets_per_rule: 2,
        pattern_bytes: 100,
        template: 10,
        target_parameters: 2,
        subscriptions_page: 2,
        events_per_request: 2,
        event_bytes: 300,
        ..Limits::DEFAULT
    };
    let mut endpoint = limited(limits);
    let refused = |endpoint: &mut Endpoint, action: &str, given: &[(&str, &str)]| -> String {
        let response = bridge(endpoint, action, given);
        assert_eq!(response.status, 200);
        code(&response).1
    };
    for (name, expected) in [
        ("a", "Success"),
        ("b", "Success"),
        ("c", "EventBusCountExceedLimit"),
    ] {
        let given = [("EventBusName", name)];
        assert_eq!(refused(&mut endpoint, "CreateEventBus", &given), expected);
    }
    let short = r#"{"source": ["a"]}"#;
    for (name, expected) in [
        ("a", "Success"),
        ("b", "Success"),
        ("c", "Success"),
        ("d", "EventRuleCountExceedLimit"),
    ] {
        let given = [DEFAULT, ("RuleName", name), ("FilterPattern", short)];
        assert_eq!(refused(&mut endpoint, "CreateRule", &given), expected);
    }
    let padded = |length: usize| format!("{short}{}", " ".repeat(length - short.len()));
    for (length, expected) in [(100, "Success"), (101, "InvalidEventPattern")] {
        let pattern = padded(length);
        let given = [
            DEFAULT,
            ("RuleName", "a"),
            ("FilterPattern", pattern.as_str()),
        ];
        assert_eq!(refused(&mut endpoint, "UpdateRule", &given), expected);
    }
    let rule = [DEFAULT, ("RuleName", "a")];
    for (ids, expected) in [
        (&["1", "2"][..], "Success"),
        (&["3"], "EventTargetCountExceedLimit"),
        // Replacing is no addition.
        (&["2"], "Success"),
    ] {
        let targets = Json::Array(ids.iter().map(|id| http_target(id)).collect()).to_string();
        let mut given = rule.to_vec();
        given.push(("Targets", &targets));
        assert_eq!(refused(&mut endpoint, "PutTargets", &given), expected);
    }
    let constant =
        |value: &str| Json::texts([("ResourceKey", "a"), ("Form", "CONSTANT"), ("Value", value)]);
    for (parameters, expected) in [
        (vec![constant("0123456789"), constant("")], 0),
        (vec![constant("0123456789A")], 1),
        (vec![constant(""), constant(""), constant("")], 1),
    ] {
        let target = Json::object([
            ("Id", "2".into()),
            ("Type", "acs.sls".into()),
            ("ParamList", Json::Array(parameters)),
        ]);
        let targets = Json::Array(vec![target]).to_string();
        let mut given = rule.to_vec();
        given.push(("Targets", &targets));
        let answer = data(&bridge(&mut endpoint, "PutTargets", &given));
        assert_eq!(at(&answer, "ErrorEntriesCount").as_i64(), Some(expected));
    }
    let listed = data(&bridge(&mut endpoint, "ListRules", &[DEFAULT]));
    assert_eq!(at(&listed, "Rules").elements().len(), 2);
    let event = r#"{"Id": "1", "Source": "a", "Type": "t"}"#;
    for (count, expected) in [(2, "Success"), (3, "PutEventsRequestCountExceedLimit")] {
        let events = format!("[{}]", vec![event; count].join(","));
        let given = [DEFAULT, ("EventList", events.as_str())];
        assert_eq!(refused(&mut endpoint, "PutEvents", &given), expected);
    }
    for (length, failed) in [(100, 0), (300, 1)] {
        let data_text = "x".repeat(length);
        let events =
            format!(r#"[{{"Id": "1", "Source": "a", "Type": "t", "Data": "{data_text}"}}]"#);
        let given = [DEFAULT, ("EventList", events.as_str())];
        let answer = data(&bridge(&mut endpoint, "PutEvents", &given));
        assert_eq!(at(&answer, "FailedEntryCount").as_i64(), Some(failed));
    }
}

/// What nobody takes does not fill the memory.
#[test]
fn deliveries_that_are_not_taken_are_bounded() {
    let limits = Limits {
        journal: 3,
        ..Limits::DEFAULT
    };
    let mut endpoint = limited(limits);
    create_rule(&mut endpoint, "r", OPERATIONS, &["1", "2"]);
    operate(&mut endpoint);
    operate(&mut endpoint);
    assert_eq!(endpoint.take_deliveries().len(), 3);
}
