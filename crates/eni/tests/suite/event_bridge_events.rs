//! Events of the simulated cloud in the form in which `EventBridge` delivers them.

use std::collections::BTreeSet;

use reflexarc_eni::events::BusEnvelope;
use reflexarc_eni::rpc::ActionTrail;
use reflexarc_event::{Event, Json, NativeEvent, check, parse_time};

use crate::world::{USER, answer, attached, cloud, complete_all, text_at};

/// The attributes of an event of a cloud service, in the order of the documentation.
const ATTRIBUTES: [&str; 14] = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "aliyunaccountid",
    "aliyunoriginalaccountid",
    "aliyuneventbusname",
    "aliyunregionid",
    "aliyunpublishtime",
    "aliyunpublishaddr",
    "data",
];

/// Native events of every name that the cloud publishes.
fn events() -> Vec<Event> {
    let mut cloud = cloud().with_action_trail(ActionTrail::All);
    let interface = attached(&mut cloud, USER, USER).id;
    let on_interface = format!("NetworkInterfaceId={interface}");
    for (action, query) in [
        (
            "AssignPrivateIpAddresses",
            "SecondaryPrivateIpAddressCount=1",
        ),
        ("AssignIpv6Addresses", "Ipv6AddressCount=1"),
        ("UnassignPrivateIpAddresses", "PrivateIpAddress.1=10.0.1.3"),
        ("UnassignIpv6Addresses", "Ipv6Address.1=2001:db8:1::1"),
    ] {
        let query = format!("{on_interface}&{query}");
        let response = answer(&mut cloud, USER, action, &query);
        assert!(response.is_accepted(), "{action}: {}", response.message);
    }
    answer(&mut cloud, USER, "StopInstance", "InstanceId=i-1001");
    let ended = complete_all(&mut cloud).into_iter();
    let mut events: Vec<Event> = ended
        .filter_map(|outcome| outcome.published.ok())
        .map(|published| published.event)
        .collect();
    answer(&mut cloud, USER, "DetachNetworkInterface", &on_interface);
    let notifications = cloud.take_notifications().into_iter();
    events.extend(notifications.map(|sent| sent.event));
    answer(
        &mut cloud,
        USER,
        "CreateNetworkInterface",
        "VSwitchId=vsw-1001&SecurityGroupId=sg-1001",
    );
    let ended = cloud.take_outcomes().into_iter();
    events.extend(ended.filter_map(|outcome| Some(outcome.published.ok()?.event)));
    events
}

fn keys(event: &Event) -> Vec<&str> {
    let members = event.tree().members().iter();
    members.map(|(key, _)| key.as_str()).collect()
}

#[test]
fn events_of_every_name_have_every_attribute() {
    let mut names = BTreeSet::new();
    for event in events() {
        names.insert(text_at(event.tree(), "name").to_owned());
        let sent = BusEnvelope::EventBridge.wrap(&event);
        let (mut found, mut expected) = (keys(&sent), ATTRIBUTES.to_vec());
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
        assert_eq!(keys(&sent).last(), Some(&"data"));
        let text = |key: &str| text_at(sent.tree(), key).to_owned();
        assert_eq!(text("aliyuneventbusname"), "default");
        assert_eq!(text("aliyunaccountid"), text_at(event.tree(), "userId"));
        assert_eq!(text("aliyunoriginalaccountid"), text("aliyunaccountid"));
        assert_eq!(text("aliyunregionid"), "cn-hangzhou");
        assert_eq!(text("source"), "acs.ecs");
        assert!(text("type").starts_with("ecs:") && text("type").len() <= 64);
        let zone = text("aliyunpublishtime").replace("PRC", "+08:00");
        assert_eq!(
            parse_time(&zone).unwrap(),
            parse_time(&text("time")).unwrap()
        );
        assert!(
            text("aliyunpublishaddr")
                .parse::<std::net::Ipv4Addr>()
                .is_ok()
        );
        assert_eq!(sent.tree().get("data"), event.tree().get("content"));
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "ActionTrail:ApiCall",
            "Instance:StateChange",
            "NetworkInterface:NetworkInterfaceOperateCompleted",
            "NetworkInterface:PrivateIPAssigned",
            "NetworkInterface:PrivateIPUnassigned",
            "NetworkInterface:PrivateIPv6Assigned",
            "NetworkInterface:PrivateIPv6Unassigned",
        ]
    );
}

/// The attributes change neither what an event is nor what the checks say about it.
#[test]
fn events_keep_their_identity_and_pass_the_checks() {
    for event in events() {
        let sent = BusEnvelope::EventBridge.wrap(&event);
        let findings = check(&sent);
        assert!(findings.is_empty(), "{findings:?}");
        let native = NativeEvent::new(event.clone()).unwrap();
        let again = NativeEvent::new(sent).unwrap();
        assert_eq!(again.identity(), native.identity());
        for key in [
            "name",
            "product",
            "resourceId",
            "userId",
            "regionId",
            "eventTime",
        ] {
            assert_eq!(
                text_at(again.tree(), key),
                text_at(native.tree(), key),
                "{key}"
            );
        }
        assert_eq!(again.tree().get("content"), native.tree().get("content"));
        // EventBridge has no attribute for the level. That of an operation follows from its result.
        if text_at(native.tree(), "name").ends_with("OperateCompleted") {
            assert_eq!(
                text_at(again.tree(), "level"),
                text_at(native.tree(), "level")
            );
        }
    }
}

#[test]
fn an_event_of_another_system_is_not_taken_apart() {
    let text = r#"{"shop": "a", "total": 3}"#;
    let sent = BusEnvelope::EventBridge.wrap(&Event::from_json(text).unwrap());
    assert_eq!(text_at(sent.tree(), "aliyuneventbusname"), "default");
    let again = NativeEvent::new(sent).unwrap();
    assert!(again.tree().eq_ignoring_order(&Json::parse(text).unwrap()));
}
