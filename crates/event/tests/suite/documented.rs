//! The corpus has every field and every value of the documented ENI event.

use std::path::Path;

use reflexarc_event::{
    EniNotification, EniStatus, Event, Json, Level, NativeEvent, Operation, OperationResult, Parsed,
};

fn read_notification(event: &Event) -> EniNotification {
    EniNotification::read(&NativeEvent::new(event.clone()).unwrap()).unwrap()
}

/// The documented sample, member by member, in its order.
const SAMPLE: [(&str, &str); 18] = [
    ("id", "\"2256A988-0B26-4E2B-820A-8B********A5\""),
    ("product", "\"ECS\""),
    (
        "resourceId",
        "\"acs:ecs:cn-hangzhou:169070********30:eni/eni-8vb1qo********cdeg2n\"",
    ),
    ("level", "\"INFO\""),
    (
        "name",
        "\"NetworkInterface:NetworkInterfaceOperateCompleted\"",
    ),
    ("userId", "\"169070********30\""),
    ("eventTime", "\"20190409T121826.922+0800\""),
    ("regionId", "\"cn-hangzhou\""),
    ("content.eniId", "\"eni-8vb1qo********cdeg2n\""),
    ("content.operation", "\"AttachNetworkInterface\""),
    ("content.eniStatus", "\"InUse\""),
    ("content.result", "\"success\""),
    (
        "content.requestId",
        "\"59701492-A8F2-3375-B0B9-D9********27\"",
    ),
    ("content.primaryPrivateIp", "\"192.168.XX.XX\""),
    (
        "content.secondaryPrivateIps",
        "[\"192.168.XX.XX\",\"192.168.XX.XX\"]",
    ),
    ("content.ipv4Prefixes", "[\"192.168.XX.XX/24\"]"),
    ("content.ipv6s", "[\"2001:DB8:XXXX:23:8:800:200C:417A\"]"),
    ("content.ipv6Prefixes", "[\"2001:DB8::/32\"]"),
];

/// The examples of the documented table, where they differ from the sample.
const TABLE: [(&str, &str); 3] = [
    ("content.secondaryPrivateIps", "[\"192.168.XX.XX\"]"),
    ("content.ipv4Prefixes", "[\"192.168.XX.XX/14\"]"),
    ("content.ipv6s", "\"2001:DB8:XXXX:23:8:800:200C:417A\""),
];

/// Every documented value, with the case that has it and the result of parsing it.
const VALUES: [(&str, &str, &str); 12] = [
    (
        "operation",
        "CreateNetworkInterface",
        "valid/create-succeeded.json",
    ),
    (
        "operation",
        "AttachNetworkInterface",
        "valid/attach-succeeded.json",
    ),
    (
        "operation",
        "DetachNetworkInterface",
        "valid/detach-succeeded.json",
    ),
    (
        "operation",
        "DeleteNetworkInterface",
        "valid/delete-succeeded.json",
    ),
    ("eniStatus", "Available", "valid/create-succeeded.json"),
    ("eniStatus", "InUse", "valid/attach-succeeded.json"),
    (
        "eniStatus",
        "Detaching",
        "valid/detach-failed-still-detaching.json",
    ),
    (
        "eniStatus",
        "Deletion in progress.",
        "tolerant/status-deletion-in-progress.json",
    ),
    (
        "eniStatus",
        "The resource has been deleted.",
        "tolerant/status-has-been-deleted.json",
    ),
    ("eniStatus", "CreateFailed", "valid/create-failed.json"),
    ("result", "success", "valid/attach-succeeded.json"),
    ("result", "failed", "valid/attach-failed.json"),
];

fn case(name: &str) -> Event {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/corpus/events")
        .join(name);
    Event::from_json(std::fs::read(path).unwrap()).unwrap()
}

fn value<'a>(event: &'a Event, path: &str) -> Option<&'a Json> {
    path.split('.')
        .try_fold(event.tree(), |value, key| value.get(key))
}

/// Every path to a member that is no object.
fn leaves(prefix: &str, value: &Json, found: &mut Vec<String>) {
    for (key, value) in value.members() {
        let path = if prefix.is_empty() {
            key.clone()
        } else {
            format!("{prefix}.{key}")
        };
        if matches!(value, Json::Object(_)) {
            leaves(&path, value, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn the_sample_has_exactly_the_documented_members() {
    let event = case("tolerant/seed-sample.json");
    let mut found = Vec::new();
    leaves("", event.tree(), &mut found);
    assert_eq!(found, SAMPLE.map(|(path, _)| path));
    for (path, text) in SAMPLE {
        assert_eq!(
            value(&event, path).map(Json::to_string).as_deref(),
            Some(text),
            "{path}"
        );
    }
}

#[test]
fn the_first_example_event_is_the_sample() {
    assert_eq!(
        crate::envelopes::examples()[0].tree(),
        case("tolerant/seed-sample.json").tree()
    );
}

#[test]
fn examples_of_the_table_have_a_case() {
    let event = case("tolerant/seed-table-examples.json");
    for (path, text) in SAMPLE
        .iter()
        .filter(|(path, _)| path.starts_with("content."))
    {
        let text = TABLE
            .iter()
            .find(|(other, _)| other == path)
            .map_or(text, |(_, text)| text);
        assert_eq!(
            value(&event, path).map(Json::to_string).as_deref(),
            Some(*text),
            "{path}"
        );
    }
}

#[test]
fn every_documented_value_has_a_case_and_is_parsed() {
    for (field, text, name) in VALUES {
        let event = case(name);
        assert_eq!(
            value(&event, &format!("content.{field}")).and_then(Json::as_str),
            Some(text),
            "{name}"
        );
        let read = read_notification(&event);
        let clear = match field {
            "operation" => read.operation.value().is_some(),
            "eniStatus" => read.eni_status.value().is_some(),
            _ => read.result.value().is_some(),
        };
        assert!(clear, "{field} {text}");
    }
    assert_eq!(
        Operation::ALL.len(),
        VALUES
            .iter()
            .filter(|(field, ..)| *field == "operation")
            .count()
    );
    assert_eq!(
        OperationResult::ALL.len(),
        VALUES
            .iter()
            .filter(|(field, ..)| *field == "result")
            .count()
    );
}

#[test]
fn results_have_the_documented_levels() {
    for (name, level) in [
        ("valid/attach-succeeded.json", Level::Info),
        ("valid/attach-failed.json", Level::Warn),
    ] {
        let read = read_notification(&case(name));
        assert_eq!(read.level, level.into());
        assert_eq!(
            read.result.value().map(|result| result.level()),
            Some(level)
        );
    }
}

#[test]
fn unmasked_values_of_the_sample_are_parsed() {
    let read = read_notification(&case("tolerant/seed-sample.json"));
    assert_eq!(read.operation, Operation::Attach.into());
    assert_eq!(read.eni_status, EniStatus::InUse.into());
    assert_eq!(read.result, OperationResult::Success.into());
    assert_eq!(read.level, Level::Info.into());
    assert_eq!(read.region_id, "cn-hangzhou".to_owned().into());
    assert_eq!(
        read.event_time.value().map(ToString::to_string).as_deref(),
        Some("2019-04-09T04:18:26.922Z")
    );
    assert_eq!(
        read.ipv6_prefixes,
        vec![Parsed::Value("2001:db8::/32".parse().unwrap())]
    );
    assert!(read.id.is_masked() && read.resource_id.is_masked() && read.user_id.is_masked());
    assert!(
        read.eni_id.is_masked()
            && read.request_id.is_masked()
            && read.primary_private_ip.is_masked()
    );
    assert!(
        read.secondary_private_ips.len() == 2
            && read.secondary_private_ips.iter().all(Parsed::is_masked)
    );
    assert!(read.ipv4_prefixes[0].is_masked() && read.ipv6s[0].is_masked());
    assert!(read.write().is_err(), "masked values are not written");
}
