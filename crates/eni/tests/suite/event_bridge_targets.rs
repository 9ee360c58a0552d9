//! Targets of rules of `EventBridge`: changes, forms of what they get, and errors.

use reflexarc_eni::rpc::Endpoint;
use reflexarc_eni::subscriptions::{Destination, RetryStrategy};
use reflexarc_event::Json;

use crate::rpc::endpoint;
use crate::subscriptions::{
    DEFAULT, OPERATIONS, bridge, code, create_rule, data, http_target, names, operate,
};
use crate::world::{at, text_at};

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
fn retries_follow_the_documented_strategies() {
    let delays = |strategy: RetryStrategy, random: u64| -> Vec<u64> {
        (1..)
            .map_while(|retry| strategy.delay(retry, random))
            .collect()
    };
    // 23 hours, 53 minutes and 35 seconds in all.
    let decay = delays(RetryStrategy::ExponentialDecay, 7);
    assert_eq!(decay.len(), 176);
    assert_eq!(decay[..10], [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]);
    assert_eq!(decay.iter().sum::<u64>(), 86_015);
    for random in 0..50 {
        let backoff = delays(RetryStrategy::Backoff, random);
        assert_eq!(backoff.len(), 3);
        assert!(backoff.iter().all(|delay| (10..=20).contains(delay)));
    }
    assert_eq!(delays(RetryStrategy::CloudMonitor, 0), [1, 2, 4]);
    assert_eq!(RetryStrategy::Backoff.delay(0, 0), None);
}
