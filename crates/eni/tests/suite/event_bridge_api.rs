//! The API of `EventBridge`: rules, buses, events of programs, and deliveries.

use reflexarc_eni::rpc::Endpoint;
use reflexarc_eni::subscriptions::{Destination, RetryStrategy};
use reflexarc_event::Json;

use crate::rpc::{body, endpoint};
use crate::subscriptions::{
    CREATE, DEFAULT, OPERATIONS, bridge, call_as, code, create_rule, data, http_target, names,
    operate,
};
use crate::world::{USER, at, text_at};

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
