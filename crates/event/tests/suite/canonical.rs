//! Canonical values of ENI events, and which CloudEvents are converted.

use proptest::prelude::*;
use reflexarc_event::{EniNotification, Event, Json, NativeEvent};

const ENI: &str = "NetworkInterface:NetworkInterfaceOperateCompleted";

fn event(name: &str, content: &str) -> Event {
    Event::from_json(format!(r#"{{"name":"{name}","content":{content}}}"#)).unwrap()
}

/// The content that rules see.
fn content(event: &Event) -> String {
    let native = NativeEvent::new(event.clone()).unwrap();
    native.tree().get("content").unwrap().to_string()
}

/// Accepted content and its canonical form.
const VARIANTS: [(&str, &str); 26] = [
    (
        r#"{"eniStatus":"The resource has been deleted."}"#,
        r#"{"eniStatus":"Deleted"}"#,
    ),
    (
        r#"{"eniStatus":"the resource has been deleted"}"#,
        r#"{"eniStatus":"Deleted"}"#,
    ),
    (
        r#"{"eniStatus":"Deletion in progress."}"#,
        r#"{"eniStatus":"Deleting"}"#,
    ),
    (r#"{"eniStatus":" INUSE. "}"#, r#"{"eniStatus":"InUse"}"#),
    (
        r#"{"eniStatus":["createfailed"]}"#,
        r#"{"eniStatus":"CreateFailed"}"#,
    ),
    (
        r#"{"eni\u0053tatus":"in\u0075se"}"#,
        r#"{"eniStatus":"InUse"}"#,
    ),
    (r#"{"result":"accomplished"}"#, r#"{"result":"success"}"#),
    (r#"{"eniStatus":"In use"}"#, r#"{"eniStatus":"InUse"}"#),
    (
        r#"{"eniStatus":"create_failed"}"#,
        r#"{"eniStatus":"CreateFailed"}"#,
    ),
    (
        r#"{"eniStatus":"The resource is detaching."}"#,
        r#"{"eniStatus":"Detaching"}"#,
    ),
    (r#"{"result":"Failed"}"#, r#"{"result":"failed"}"#),
    (
        r#"{"operation":"detachNetworkInterface"}"#,
        r#"{"operation":"DetachNetworkInterface"}"#,
    ),
    (r#"{"result":" failed\t"}"#, r#"{"result":"failed"}"#),
    (
        r#"{"operation":" AttachNetworkInterface "}"#,
        r#"{"operation":"AttachNetworkInterface"}"#,
    ),
    (
        r#"{"primaryPrivateIp":["10.0.0.1 "]}"#,
        r#"{"primaryPrivateIp":"10.0.0.1"}"#,
    ),
    (
        r#"{"eniId":["eni-1"],"requestId":7}"#,
        r#"{"eniId":"eni-1","requestId":"7"}"#,
    ),
    (
        r#"{"secondaryPrivateIp":"10.255.0.2"}"#,
        r#"{"secondaryPrivateIps":["10.255.0.2"]}"#,
    ),
    (
        r#"{"secondaryPrivateIps":"10.255.0.2"}"#,
        r#"{"secondaryPrivateIps":["10.255.0.2"]}"#,
    ),
    (
        r#"{"secondaryPrivateIps":null}"#,
        r#"{"secondaryPrivateIps":[]}"#,
    ),
    (r#"{"ipv6s":""}"#, r#"{"ipv6s":[]}"#),
    (
        r#"{"ipv6s":[" 2001:db8::1 ",null,"",["::1"]]}"#,
        r#"{"ipv6s":["2001:db8::1","::1"]}"#,
    ),
    (
        r#"{"ipv6":["::1","::2"],"x":1}"#,
        r#"{"ipv6s":["::1","::2"],"x":1}"#,
    ),
    (
        r#"{"ipv4Prefix":"10.0.0.0/28"}"#,
        r#"{"ipv4Prefixes":["10.0.0.0/28"]}"#,
    ),
    (
        r#"{"ipv6Prefix":"2001:db8::/32"}"#,
        r#"{"ipv6Prefixes":["2001:db8::/32"]}"#,
    ),
    (
        r#"{"secondaryPrivateIp":"10.0.0.2","secondaryPrivateIps":["10.0.0.1"]}"#,
        r#"{"secondaryPrivateIps":["10.0.0.1","10.0.0.2"]}"#,
    ),
    (
        r#"{"ipv6s":"::1","ipv6s":"::2","eniStatus":"available"}"#,
        r#"{"ipv6s":["::2"],"eniStatus":"Available"}"#,
    ),
];

#[test]
fn rules_see_canonical_values_in_every_envelope() {
    for (accepted, canonical) in VARIANTS {
        let native = event(ENI, accepted);
        assert_eq!(content(&native), canonical, "{accepted}");
        let received = NativeEvent::new(native.clone()).unwrap();
        assert_eq!(
            received.original().bytes(),
            native.bytes(),
            "the archive keeps it"
        );
        let text = Json::from(accepted).to_string();
        for other in [
            format!(r#"{{"name":"{ENI}","content":{text}}}"#),
            format!(r#"{{"name":"{ENI}","traceId":"1","content":{accepted}}}"#),
            format!(
                r#"{{"specversion":"1.0","source":"acs.ecs","type":"ecs:{ENI}","data":{accepted}}}"#
            ),
            format!(r#"{{"alert":{{"eventName":"{ENI}","eventContentMap":{accepted}}}}}"#),
            format!(r#"{{"alert":{{"eventName":"{ENI}","eventRawContent":{text}}}}}"#),
        ] {
            assert_eq!(
                content(&Event::from_json(other.as_str()).unwrap()),
                canonical,
                "{other}"
            );
        }
    }
}

#[test]
fn other_events_have_only_their_lists_converted() {
    let list = r#"{"secondaryPrivateIp":"10.0.0.2","result":"accomplished"}"#;
    let canonical = r#"{"secondaryPrivateIps":["10.0.0.2"],"result":"accomplished"}"#;
    for name in [
        "NetworkInterface:PrivateIPAssigned",
        "Instance:VSwitchChanged",
    ] {
        assert_eq!(content(&event(name, list)), canonical, "{name}");
    }
    for name in [
        "Disk:DiskOperationCompleted",
        "NetworkInterfaces:X",
        "Instance:StateChange",
    ] {
        assert_eq!(content(&event(name, list)), list, "{name}");
    }
}

#[test]
fn identifiers_of_eni_operations_are_texts() {
    let text = format!(
        r#"{{"id":7,"userId":[1690],"regionId":"r","level":["warn"],"resourceId":["x"],
            "eventTime":1715650212345,"name":"{ENI}","content":{{}}}}"#
    );
    let native = NativeEvent::from_json(text).unwrap();
    let expected = format!(
        r#"{{"id":"7","userId":"1690","regionId":"r","level":"WARN","resourceId":"x",
            "eventTime":"20240514T093012.345+0800","name":"{ENI}","content":{{}}}}"#
    );
    assert_eq!(native.tree(), &Json::parse(expected).unwrap());
}

#[test]
fn values_that_are_unknown_stay_as_they_are() {
    for unknown in [
        r#"{"eniStatus":"Linked","result":"fail","operation":"Attach"}"#,
        r#"{"eniStatus":["InUse","Available"],"result":null,"operation":5}"#,
        r#"{"eniId":{"a":1},"secondaryPrivateIps":{"a":1},"ipv6s":true}"#,
        r#"{"primaryPrivateIp":" 10.0.0.256 ","ipv4Prefixes":[true,{"a":1},["a","b"],5]}"#,
        r#"{"eniStatus":"St***ng","secondaryPrivateIps":["192.168.XX.XX"]}"#,
    ] {
        assert_eq!(content(&event(ENI, unknown)), unknown);
    }
}

#[test]
fn canonical_events_share_their_bytes() {
    let text = format!(
        r#"{{"id":"1","level":"INFO","name":"{ENI}","content":{{"eniStatus":"InUse","result":
        "failed","operation":"AttachNetworkInterface","ipv6s":["::1"],"ipv4Prefixes":[]}}}}"#
    );
    let native = NativeEvent::from_json(text.as_str()).unwrap();
    assert_eq!(native.bytes(), text.as_bytes());
}

#[test]
fn data_in_base64_is_the_content() {
    let cloud = |data: &str| {
        let text = format!(
            r#"{{"specversion":"1.0","source":"acs.ecs","type":"ecs:{ENI}",
                "data_base64":"{data}"}}"#
        );
        let native = NativeEvent::from_json(text).unwrap();
        let member = |key| native.tree().get(key).map(ToString::to_string);
        (member("content"), member("data_base64"))
    };
    let content = r#"{"eniStatus":"InUse"}"#.to_owned();
    assert_eq!(cloud("eyJlbmlTdGF0dXMiOiJpbnVzZSJ9"), (Some(content), None));
    assert_eq!(cloud("AAEC"), (None, Some("\"AAEC\"".to_owned())));
}

#[test]
fn only_cloudevents_of_alibaba_cloud_are_converted() {
    let cloud = |attributes: &str| {
        let text = format!(
            r#"{{"specversion":"1.0","type":"com.example.order","id":"1","data":{{"a":1}},
                {attributes}}}"#
        );
        let native = NativeEvent::from_json(text.as_str()).unwrap();
        let converted = native.tree().get("content").is_some();
        assert!(converted || native.bytes() == text.as_bytes(), "{text}");
        converted
    };
    for own in [
        r#""source":"acs.oss""#,
        r#""source":"acs:aliyuncvc""#,
        r#""source":"acs\u002eecs""#,
        r#""source":"/shop","aliyunaccountid":"1""#,
        r#""source":"shop","aliyuneventbusname":"default""#,
    ] {
        assert!(cloud(own), "{own}");
    }
    for other in [
        r#""source":"/shop""#,
        r#""source":"https://acs.example.com""#,
        r#""source":"acs""#,
        r#""source":"aws.ec2","subject":"acs.ecs""#,
        r#""source":"acs.ecs","source":"/shop""#,
        r#""source":"/shop","name":"A:B","content2":1"#,
        r#""source":"/shop","specversion":"0.3""#,
    ] {
        assert!(!cloud(other), "{other}");
    }
}

/// A member of the content with a value of any spelling.
fn member() -> impl Strategy<Value = (String, Json)> {
    let keys = prop::sample::select(vec![
        "eniStatus",
        "operation",
        "result",
        "eniId",
        "requestId",
        "primaryPrivateIp",
        "secondaryPrivateIps",
        "secondaryPrivateIp",
        "ipv6s",
        "ipv6",
        "ipv4Prefixes",
        "ipv4Prefix",
        "ipv6Prefixes",
        "ipv6Prefix",
        "other",
    ]);
    let texts = prop::sample::select(vec![
        "InUse",
        "inuse",
        "The resource has been deleted.",
        "success",
        "FAILED",
        "in_use",
        "accomplished",
        " failed",
        "attachNetworkInterface",
        "AttachNetworkInterface",
        "10.0.0.1",
        " 10.0.0.1",
        "::1",
        "",
        "x",
        "\u{a0}10.0.0.1",
        "a\\b",
    ]);
    let leaf = prop_oneof![
        5 => texts.prop_map(Json::from),
        1 => Just(Json::Null),
        1 => any::<i64>().prop_map(Json::from),
        1 => any::<bool>().prop_map(Json::from),
    ];
    let value = leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            3 => prop::collection::vec(inner.clone(), 0..3).prop_map(Json::from),
            1 => inner.prop_map(|value| Json::object([("a", value)])),
        ]
    });
    (keys.prop_map(str::to_owned), value)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// The flat form always goes through a tree; the native form only if validation says so.
    #[test]
    fn validation_finds_every_variant(members in prop::collection::vec(member(), 0..6)) {
        let members = Json::Object(members).to_string();
        let native = event(ENI, &members);
        let flat = format!(r#"{{"name":"{ENI}","traceId":"1","content":{members}}}"#);
        prop_assert_eq!(content(&native), content(&Event::from_json(flat).unwrap()));
        let once = NativeEvent::new(native).unwrap().event().clone();
        let again = Event::from_json(once.bytes()).unwrap();
        prop_assert_eq!(content(&again), content(&once), "canonical twice");
    }

    #[test]
    fn the_reader_finds_the_same_in_canonical_events(
        members in prop::collection::vec(member(), 0..6),
    ) {
        let event = event(ENI, &Json::Object(members).to_string());
        // As text, because masked values equal nothing.
        let read = |event: NativeEvent| format!("{:?}", EniNotification::read(&event).unwrap());
        let canonical = NativeEvent::new(event.clone()).unwrap();
        prop_assert_eq!(read(canonical), read(NativeEvent::as_is(event)));
    }
}
