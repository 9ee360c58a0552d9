//! The typed ENI notification: the tolerant reader and the strict writer.

use proptest::prelude::*;
use reflexarc_event::{
    Arn, EniNotification, EniStatus, Event, Json, Level, NativeEvent, Operation, OperationResult,
    Parsed, ReadError, WriteError, check,
};

/// A notification that can be written.
fn complete() -> EniNotification {
    EniNotification {
        id: "7A1126AE-4C1D-4E2B-820A-8B00C0FFEE02".to_owned().into(),
        resource_id: "acs:ecs:cn-hangzhou:1690704567890130:eni/eni-bp1a4k7x"
            .parse::<Arn>()
            .unwrap()
            .into(),
        level: Level::Info.into(),
        user_id: "1690704567890130".to_owned().into(),
        event_time: reflexarc_event::parse_time("20190409T121826.922+0800")
            .unwrap()
            .into(),
        region_id: "cn-hangzhou".to_owned().into(),
        eni_id: "eni-bp1a4k7x".to_owned().into(),
        operation: Operation::Attach.into(),
        eni_status: EniStatus::InUse.into(),
        result: OperationResult::Success.into(),
        request_id: "59701492-A8F2-3375-B0B9-D90027000007".to_owned().into(),
        primary_private_ip: Parsed::Value("192.168.10.5".parse().unwrap()),
        secondary_private_ips: vec![Parsed::Value("192.168.10.6".parse().unwrap())],
        ipv4_prefixes: vec![Parsed::Value("192.168.16.0/28".parse().unwrap())],
        ipv6s: vec![Parsed::Value(
            "2001:db8:10:23:8:800:200c:417a".parse().unwrap(),
        )],
        ipv6_prefixes: vec![Parsed::Value("2001:db8::/32".parse().unwrap())],
    }
}

fn with_content(content: &str) -> Event {
    let name = "NetworkInterface:NetworkInterfaceOperateCompleted";
    Event::from_json(format!(
        r#"{{"product":"ECS","name":"{name}","content":{content}}}"#
    ))
    .unwrap()
}

fn read_event(event: &Event) -> Result<EniNotification, ReadError> {
    EniNotification::read(&NativeEvent::new(event.clone()).unwrap())
}

fn read(content: &str) -> EniNotification {
    read_event(&with_content(content)).unwrap()
}

#[test]
fn written_events_have_the_documented_form() {
    let event = complete().write().unwrap();
    insta::assert_snapshot!(event.tree());
    assert_eq!(check(&event), vec![]);
    assert_eq!(read_event(&event).unwrap(), complete());
    assert_eq!(read_event(&event.to_cloudevent()).unwrap(), complete());
}

#[test]
fn statuses_written_as_sentences_are_parsed() {
    for (text, status) in [
        ("Deletion in progress.", EniStatus::Deleting),
        ("  deletion IN progress ", EniStatus::Deleting),
        ("The resource has been deleted.", EniStatus::Deleted),
        ("the resource has been deleted", EniStatus::Deleted),
        ("inuse", EniStatus::InUse),
        ("Available.", EniStatus::Available),
    ] {
        assert_eq!(
            read(&format!(r#"{{"eniStatus":"{text}"}}"#)).eni_status,
            status.into(),
            "{text}"
        );
    }
    for status in EniStatus::ALL {
        assert_eq!(
            read(&format!(r#"{{"eniStatus":"{status}"}}"#)).eni_status,
            status.into()
        );
    }
    assert_eq!(
        read(r#"{"eniStatus":"Linked"}"#).eni_status,
        Parsed::Invalid("Linked".to_owned())
    );
}

#[test]
fn lists_can_be_singular_strings_or_missing() {
    let addresses = |content: &str| read(content).secondary_private_ips;
    let one = vec![Parsed::Value("10.0.0.1".parse().unwrap())];
    assert_eq!(addresses(r#"{"secondaryPrivateIps":["10.0.0.1"]}"#), one);
    assert_eq!(addresses(r#"{"secondaryPrivateIp":["10.0.0.1"]}"#), one);
    assert_eq!(addresses(r#"{"secondaryPrivateIps":"10.0.0.1"}"#), one);
    assert_eq!(addresses(r#"{"secondaryPrivateIp":"10.0.0.1"}"#), one);
    for empty in [
        "{}",
        r#"{"secondaryPrivateIps":[]}"#,
        r#"{"secondaryPrivateIps":""}"#,
        r#"{"secondaryPrivateIps":null}"#,
    ] {
        assert_eq!(addresses(empty), vec![], "{empty}");
    }
    assert_eq!(
        read(r#"{"ipv6s":"2001:db8::1"}"#).ipv6s,
        vec![Parsed::Value("2001:db8::1".parse().unwrap())]
    );
    assert_eq!(
        read(r#"{"ipv6Prefix":"2001:db8::/32"}"#)
            .ipv6_prefixes
            .len(),
        1
    );
    assert_eq!(
        read(r#"{"primaryPrivateIp":["10.0.0.1"]}"#).primary_private_ip,
        one[0]
    );
}

#[test]
fn prefixes_of_any_length_with_host_bits_are_parsed() {
    let read =
        read(r#"{"ipv4Prefixes":["192.168.1.7/24","10.0.0.0/0","10.0.0.1/32","10.0.0.0/33"]}"#)
            .ipv4_prefixes;
    assert_eq!(read[0], Parsed::Value("192.168.1.7/24".parse().unwrap()));
    assert!(read[1].value().is_some() && read[2].value().is_some());
    assert_eq!(read[3], Parsed::Invalid("10.0.0.0/33".to_owned()));
    let mut written = complete();
    written.ipv4_prefixes = read[..1].to_vec();
    let content = written
        .write()
        .unwrap()
        .tree()
        .get("content")
        .unwrap()
        .get("ipv4Prefixes")
        .unwrap()
        .to_string();
    assert_eq!(content, r#"["192.168.1.0/24"]"#);
}

#[test]
fn both_result_spellings_are_parsed() {
    assert_eq!(
        read(r#"{"result":"accomplished"}"#).result,
        OperationResult::Success.into()
    );
    for result in OperationResult::ALL {
        assert_eq!(
            read(&format!(r#"{{"result":"{result}"}}"#)).result,
            result.into()
        );
    }
    assert_eq!(
        read(r#"{"result":"Success?"}"#).result,
        Parsed::Invalid("Success?".to_owned())
    );
}

#[test]
fn the_eni_id_is_that_of_the_content_or_the_arn() {
    let id = |content: &str, kind: &str| {
        let arn = format!("acs:ecs:cn-hangzhou:1:{kind}/x-1");
        let name = reflexarc_event::ENI_OPERATION_COMPLETED;
        let text = format!(r#"{{"name":"{name}","resourceId":"{arn}","content":{content}}}"#);
        read_event(&Event::from_json(text).unwrap()).unwrap().eni_id
    };
    assert_eq!(id(r#"{"eniId":"eni-1"}"#, "eni"), "eni-1".to_owned().into());
    assert_eq!(id("{}", "eni"), "x-1".to_owned().into());
    assert_eq!(id("{}", "instance"), Parsed::Missing);
}

#[test]
fn other_events_are_rejected() {
    let other = Event::from_json(r#"{"product":"ECS","name":"Instance:StateChange","content":{}}"#)
        .unwrap();
    assert_eq!(
        read_event(&other),
        Err(ReadError::OtherEvent {
            name: Some("Instance:StateChange".to_owned())
        })
    );
    let nameless = Event::from_json("{}").unwrap();
    assert_eq!(
        read_event(&nameless),
        Err(ReadError::OtherEvent { name: None })
    );
    assert_eq!(
        read_event(&with_content("[1]")),
        Err(ReadError::NoContent { found: "an array" })
    );
}

#[test]
fn inconsistent_levels_are_not_written() {
    for (level, result, written) in [
        (Level::Info, OperationResult::Success, true),
        (Level::Warn, OperationResult::Success, false),
        (Level::Critical, OperationResult::Success, false),
        (Level::Info, OperationResult::Failed, false),
        (Level::Warn, OperationResult::Failed, true),
        (Level::Critical, OperationResult::Failed, false),
    ] {
        let mut event = complete();
        (event.level, event.result) = (level.into(), result.into());
        event.eni_status = Operation::Attach.resulting_statuses(result)[0].into();
        let outcome = event.write();
        assert_eq!(outcome.is_ok(), written, "{level} {result}");
        assert!(written || matches!(outcome, Err(WriteError::Level { .. })));
    }
}

#[test]
fn inconsistent_statuses_are_not_written() {
    use EniStatus::{Available, CreateFailed, Deleted, Deleting, Detaching, InUse};
    let rows = [
        (Operation::Create, OperationResult::Success, vec![Available]),
        (
            Operation::Create,
            OperationResult::Failed,
            vec![CreateFailed],
        ),
        (Operation::Attach, OperationResult::Success, vec![InUse]),
        (Operation::Attach, OperationResult::Failed, vec![Available]),
        (Operation::Detach, OperationResult::Success, vec![Available]),
        (
            Operation::Detach,
            OperationResult::Failed,
            vec![Detaching, InUse],
        ),
        (Operation::Delete, OperationResult::Success, vec![Deleted]),
        (
            Operation::Delete,
            OperationResult::Failed,
            vec![Deleting, Available],
        ),
    ];
    for (operation, result, left) in rows {
        for status in EniStatus::ALL {
            let mut event = complete();
            event.level = result.level().into();
            (event.operation, event.result, event.eni_status) =
                (operation.into(), result.into(), status.into());
            let outcome = event.write();
            assert_eq!(
                outcome.is_ok(),
                left.contains(&status),
                "{operation} {result} {status}"
            );
            assert!(
                outcome.is_ok()
                    || outcome.is_err_and(|error| matches!(error, WriteError::Status { .. }))
            );
        }
    }
}

#[test]
fn masked_missing_and_invalid_values_are_not_written() {
    type Change = fn(&mut EniNotification);
    let masked = || "eni-8vb1qo********cdeg2n".to_owned();
    let written = complete().write().unwrap();
    assert_eq!(written.envelope(), reflexarc_event::Envelope::Native);
    let changes: [(Change, &str); 10] = [
        (|n| n.id = Parsed::Missing, "missing `id`"),
        (|n| n.id = String::new().into(), "missing `id`"),
        (
            |n| n.request_id = Parsed::Masked("D9********27".to_owned()),
            "`requestId` is masked: `D9********27`",
        ),
        (
            |n| n.user_id = "169070********30".to_owned().into(),
            "`userId` is masked: `169070********30`",
        ),
        (
            |n| n.eni_status = Parsed::Invalid("Linked".to_owned()),
            "invalid `eniStatus`: `Linked`",
        ),
        (
            |n| n.primary_private_ip = Parsed::Masked("192.168.XX.XX".to_owned()),
            "`primaryPrivateIp` is masked: `192.168.XX.XX`",
        ),
        (
            |n| n.ipv4_prefixes = vec![Parsed::Masked("192.168.XX.XX/24".to_owned())],
            "`ipv4Prefixes` is masked: `192.168.XX.XX/24`",
        ),
        (
            |n| n.ipv6s = vec![Parsed::Invalid("::g".to_owned())],
            "invalid `ipv6s`: `::g`",
        ),
        (
            |n| {
                n.resource_id = "acs:ecs:cn-hangzhou:1:eni/eni-other"
                    .parse::<Arn>()
                    .unwrap()
                    .into();
            },
            "resource id `acs:ecs:cn-hangzhou:1:eni/eni-other` does not identify \
             ENI eni-bp1a4k7x in cn-hangzhou",
        ),
        (
            |n| {
                n.resource_id = "acs:ecs:cn-hangzhou:16**30:eni/eni-bp1a4k7x"
                    .parse::<Arn>()
                    .unwrap()
                    .into();
            },
            "`resourceId` is masked: `acs:ecs:cn-hangzhou:16**30:eni/eni-bp1a4k7x`",
        ),
    ];
    for (change, message) in changes {
        let mut event = complete();
        change(&mut event);
        assert_eq!(event.write().unwrap_err().to_string(), message);
    }
    let mut event = complete();
    event.eni_id = masked().into();
    assert_eq!(
        event.write().unwrap_err(),
        WriteError::Masked {
            field: "eniId",
            text: masked()
        }
    );
}

proptest! {
    #[test]
    fn written_events_are_parsed_without_findings(
        which in 0usize..4,
        failed in any::<bool>(),
        milliseconds in 100_000_000_000i64..4_102_444_800_000,
        addresses in prop::collection::vec(any::<[u8; 4]>(), 0..5),
        long in prop::collection::vec(any::<u128>(), 0..5),
    ) {
        let result = if failed { OperationResult::Failed } else { OperationResult::Success };
        let operation = Operation::ALL[which];
        let mut event = complete();
        event.operation = operation.into();
        event.result = result.into();
        event.level = result.level().into();
        event.eni_status = operation.resulting_statuses(result)[0].into();
        event.event_time = jiff_timestamp(milliseconds);
        let address = |&address: &[u8; 4]| Parsed::Value(address.into());
        event.secondary_private_ips = addresses.iter().map(address).collect();
        event.ipv6s = long.iter().map(|&address| Parsed::Value(address.into())).collect();
        let written = event.write().unwrap();
        prop_assert_eq!(check(&written), vec![]);
        prop_assert_eq!(read_event(&written).unwrap(), event.clone());
        prop_assert_eq!(read_event(&written.to_cloudevent()).unwrap(), event);
    }

    #[test]
    fn any_content_is_handled(key in "[a-zA-Z46]{0,20}", text in ".{0,30}") {
        let content = Json::from_iter([(key, Json::from(text))]).to_string();
        let event = with_content(&content);
        prop_assert!(read_event(&event).unwrap().write().is_err());
        check(&event);
    }
}

fn jiff_timestamp(milliseconds: i64) -> Parsed<jiff::Timestamp> {
    Parsed::Value(jiff::Timestamp::from_millisecond(milliseconds).unwrap())
}
