//! Limits of what an account can have in `EventBridge` and Cloud Monitor.

use reflexarc_eni::Limits;
use reflexarc_eni::rpc::{AccessKey, Endpoint, RequestLimits};
use reflexarc_event::Json;

use crate::cloud_monitor_api::{PRODUCT, RULE, WEBHOOK, put_webhook};
use crate::subscriptions::{
    DEFAULT, OPERATIONS, bridge, code, create_rule, data, http_target, monitor, operate,
};
use crate::world::{USER, at, cloud};

fn limited(limits: Limits) -> Endpoint {
    let keys = [AccessKey::new("AK1", "secret", USER)];
    Endpoint::new(cloud().with_limits(limits), keys, RequestLimits::DEFAULT)
}

/// Every limit is reached, and the last value within it is accepted.
#[test]
fn limits_bound_what_event_bridge_keeps() {
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
        // Replacing does not add one.
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

/// Deliveries that are not taken do not fill the memory.
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

/// Every limit is reached, and the last value within it is accepted.
#[test]
fn limits_bound_what_cloud_monitor_keeps() {
    let limits = Limits {
        monitor_rules: 2,
        monitor_filters: 2,
        targets_per_rule: 1,
        ..Limits::DEFAULT
    };
    let mut endpoint = limited(limits);
    let mut put = |given: &[(&str, &str)]| code(&monitor(&mut endpoint, "PutEventRule", given)).1;
    assert_eq!(put(&[RULE, PRODUCT]), "200");
    assert_eq!(put(&[("RuleName", "s"), PRODUCT]), "200");
    assert_eq!(put(&[("RuleName", "t"), PRODUCT]), "ExceedingQuota");
    // Replacing does not add one.
    assert_eq!(put(&[RULE, PRODUCT]), "200");
    let mut given = vec![RULE, PRODUCT, ("EventPattern.2.Product", "rds")];
    assert_eq!(put(&given), "200");
    given.push(("EventPattern.3.Product", "slb"));
    assert_eq!(put(&given), "ExceedingQuota");
    let mut given = vec![RULE, PRODUCT];
    given.extend([
        ("EventPattern.1.NameList.1", "a"),
        ("EventPattern.1.NameList.2", "b"),
    ]);
    assert_eq!(put(&given), "200");
    given.push(("EventPattern.1.NameList.3", "c"));
    assert_eq!(put(&given), "ExceedingQuota");
    put_webhook(&mut endpoint);
    let second = WEBHOOK.map(|(name, value)| (name, if value == "1" { "2" } else { value }));
    let mut given = vec![RULE];
    given.extend(second);
    let response = monitor(&mut endpoint, "PutEventRuleTargets", &given);
    assert_eq!(code(&response), (403, "ExceedingQuota".to_owned()));
}

/// Texts of a length that is not documented, in both services.
#[test]
fn names_and_descriptions_are_bounded() {
    let limits = Limits {
        description: 10,
        ..Limits::DEFAULT
    };
    let mut endpoint = limited(limits);
    let long = "n".repeat(128);
    for (name, description, expected) in [
        (&long[..127], "0123456789", "Success"),
        (&long, "", "EventRuleNameInvalid"),
        ("r", "0123456789A", "DescriptionInvalid"),
    ] {
        let given = [
            DEFAULT,
            ("RuleName", name),
            ("FilterPattern", OPERATIONS),
            ("Description", description),
        ];
        assert_eq!(
            code(&bridge(&mut endpoint, "CreateRule", &given)).1,
            expected
        );
    }
    let long = "n".repeat(256);
    for (name, description, expected) in [
        (&long[..255], "0123456789", "200"),
        (&long, "", "InvalidParameterValue"),
        ("r", "0123456789A", "InvalidParameterValue"),
    ] {
        let given = [("RuleName", name), PRODUCT, ("Description", description)];
        assert_eq!(
            code(&monitor(&mut endpoint, "PutEventRule", &given)).1,
            expected
        );
    }
    for (length, expected) in [(255, 0), (256, 1)] {
        let targets = Json::Array(vec![http_target(&long[..length])]).to_string();
        let given = [
            DEFAULT,
            ("RuleName", &"n".repeat(127)),
            ("Targets", &targets),
        ];
        let answer = data(&bridge(&mut endpoint, "PutTargets", &given));
        assert_eq!(at(&answer, "ErrorEntriesCount").as_i64(), Some(expected));
    }
}
