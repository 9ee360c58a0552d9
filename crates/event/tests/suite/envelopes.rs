//! Every envelope becomes the native form, and CloudEvents lead back to it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use reflexarc_event::{Envelope, Event, Json, check};

/// The members that count, without their order.
pub(crate) fn members(event: &Event) -> BTreeMap<&str, &Json> {
    event.tree().members().iter().map(|(key, value)| (key.as_str(), value)).collect()
}

pub(crate) fn round_trip(event: &Event) {
    let native = event.normalize().unwrap();
    let cloud = native.to_cloudevent();
    assert_eq!(cloud.envelope(), Envelope::CloudEvent, "{}", cloud.tree());
    let again = cloud.normalize().unwrap();
    assert_eq!(members(&again), members(&native), "by way of {}", cloud.tree());
    assert_eq!(members(&native.normalize().unwrap()), members(&native), "normalising twice");
}

pub(crate) fn examples() -> Vec<Event> {
    let text = include_str!("../../../../examples/eni-events.ndjson");
    text.lines().map(|line| Event::from_json(line).unwrap()).collect()
}

#[test]
fn every_example_is_normalised_and_comes_back_from_cloudevents() {
    for event in examples() {
        round_trip(&event);
    }
}

#[test]
fn the_examples_come_in_every_envelope() {
    let found: std::collections::BTreeSet<Envelope> = examples().iter().map(Event::envelope).collect();
    assert_eq!(found.len(), 6, "{found:?}");
}

fn texts() -> impl Strategy<Value = Json> {
    prop_oneof![
        Just("ECS"),
        Just("acs.ecs"),
        Just("acs:ecs"),
        Just("reflexarc"),
        Just("1.0"),
        Just("0.3"),
        Just(""),
        Just("WARN"),
        Just("Info"),
        Just("odd"),
        Just("20190409T121826.922+0800"),
        Just("2020-11-19T21:04:41+08:00"),
        Just("2020-08-17T16:04:46.149Asia/Shanghai"),
        Just("2020-11-19T21:04:41.123456Z"),
        Just("no time"),
        Just("Instance:SystemMaintenance.Reboot:Scheduled"),
        Just("Instance:SystemMaintenance.Reboot"),
        Just("NetworkInterface:NetworkInterfaceOperateCompleted"),
        Just("ecs:Instance:SystemMaintenance.Reboot"),
        Just("application/json;charset=utf-8"),
        Just("data"),
        Just("{\"keep\":{\"a\":1},\"absent\":[\"id\"]}"),
        Just("{\"result\":\"failed\"}"),
        Just("Avoided"),
        Just("failed"),
    ]
    .prop_map(Json::from)
    .boxed()
    .prop_union("[a-z\"\\\\é*]{0,6}".prop_map(Json::from).boxed())
}

fn values() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        4 => texts(),
        1 => Just(Json::Null),
        1 => any::<bool>().prop_map(Json::from),
        1 => any::<i64>().prop_map(Json::from),
        1 => Just(Json::parse("1.50").unwrap()),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::vec((keys(), inner), 0..5).prop_map(Json::from_iter),
        ]
    })
}

fn keys() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("id"),
        Just("product"),
        Just("resourceId"),
        Just("level"),
        Just("name"),
        Just("userId"),
        Just("eventTime"),
        Just("regionId"),
        Just("content"),
        Just("ver"),
        Just("specversion"),
        Just("type"),
        Just("source"),
        Just("subject"),
        Just("time"),
        Just("data"),
        Just("datacontenttype"),
        Just("aliyunaccountid"),
        Just("aliyunregionid"),
        Just("aliyunpublishtime"),
        Just("reflexarcnative"),
        Just("cloudEvent"),
        Just("alert"),
        Just("meta"),
        Just("sysEventMeta"),
        Just("eventContentMap"),
        Just("eventRawContent"),
        Just("severity"),
        Just("timestamp"),
        Just("status"),
        Just("eventStatus"),
        Just("eventType"),
        Just("strategyName"),
        Just("ruleName"),
        Just("result"),
        Just("webhook"),
        Just("detail-type"),
        Just("detail"),
        Just("odd key"),
        Just("é"),
        Just(""),
    ]
    .prop_map(str::to_owned)
}

fn objects(required: &'static [&'static str]) -> impl Strategy<Value = Event> {
    let fixed: Vec<_> = required.iter().map(|key| (Just((*key).to_owned()), texts())).collect();
    let more = prop::collection::vec((keys(), values()), 0..9);
    (fixed, more).prop_map(|(fixed, more)| {
        // The required members come last, and the last one of a key counts.
        Event::from_tree(more.into_iter().chain(fixed).collect()).unwrap()
    })
}

fn webhooks() -> impl Strategy<Value = Event> {
    let meta = prop::collection::vec((keys(), values()), 0..8).prop_map(Json::from_iter);
    let alert = (meta, prop::collection::vec((keys(), values()), 0..8)).prop_map(|(meta, mut members)| {
        members.push(("meta".to_owned(), [("sysEventMeta".to_owned(), meta)].into_iter().collect()));
        Json::from_iter(members)
    });
    (alert, prop::collection::vec((keys(), values()), 0..6)).prop_map(|(alert, mut members)| {
        members.push(("alert".to_owned(), alert));
        Event::from_tree(members.into_iter().collect()).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn normalising_converting_and_normalising_again_is_the_identity(event in prop_oneof![
        objects(&["product", "name", "content"]),
        objects(&["specversion", "type", "source", "id"]),
        objects(&["detail-type", "source", "detail"]),
        objects(&[]),
        webhooks(),
    ]) {
        round_trip(&event);
        check(&event);
    }
}
