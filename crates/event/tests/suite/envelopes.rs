//! Conversion of every envelope to the native form, and to CloudEvents and back.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use reflexarc_diagnostic::Code;
use reflexarc_event::{Envelope, Event, Json, Limits, NativeEvent, check};

/// The members that count, without their order.
pub(crate) fn members(event: &Event) -> BTreeMap<&str, &Json> {
    event
        .tree()
        .members()
        .iter()
        .map(|(key, value)| (key.as_str(), value))
        .collect()
}

/// The event in native form.
pub(crate) fn native(event: &Event) -> Event {
    NativeEvent::new(event.clone()).unwrap().event().clone()
}

pub(crate) fn round_trip(event: &Event) {
    let native_event = native(event);
    let cloud = native_event.to_cloudevent();
    assert_eq!(cloud.envelope(), Envelope::CloudEvent, "{}", cloud.tree());
    let again = native(&cloud);
    assert_eq!(
        members(&again),
        members(&native_event),
        "by way of {}",
        cloud.tree()
    );
    assert_eq!(
        members(&native(&native_event)),
        members(&native_event),
        "normalising twice"
    );
}

pub(crate) fn examples() -> Vec<Event> {
    let text = include_str!("../../../../examples/eni-events.ndjson");
    text.lines()
        .map(|line| Event::from_json(line).unwrap())
        .collect()
}

#[test]
fn examples_survive_conversion_to_cloudevents() {
    for event in examples() {
        round_trip(&event);
    }
}

#[test]
fn only_intended_examples_have_findings() {
    let codes = |event: &Event| {
        check(event)
            .into_iter()
            .map(|found| found.code)
            .collect::<BTreeSet<_>>()
    };
    let found: Vec<_> = examples()
        .iter()
        .map(codes)
        .enumerate()
        .filter(|(_, codes)| !codes.is_empty())
        .collect();
    let expected = [
        // The documented sample, one in tolerated spelling, one of unknown name.
        (0, BTreeSet::from([Code::MASKED_VALUE])),
        (11, BTreeSet::from([Code::TOLERATED_SPELLING])),
        (27, BTreeSet::from([Code::UNKNOWN_EVENT_NAME])),
    ];
    assert_eq!(found, expected);
}

#[test]
fn examples_cover_every_envelope() {
    let found: BTreeSet<Envelope> = examples().iter().map(Event::envelope).collect();
    assert_eq!(found.len(), 6, "{found:?}");
}

#[test]
fn form_and_json_webhooks_are_equivalent() {
    let case = |name| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/corpus/events/valid")
            .join(name);
        std::fs::read(path).unwrap()
    };
    let json = Event::from_json(case("webhook-attach-succeeded.json")).unwrap();
    let form = Event::from_form(&case("webhook-attach-succeeded.form")).unwrap();
    assert_eq!(
        (json.envelope(), form.envelope()),
        (Envelope::CloudMonitor, Envelope::CloudMonitor)
    );
    let (json, form) = (native(&json), native(&form));
    let (json, mut form) = (members(&json), members(&form));
    // Live forms carry more than the documentation shows of the JSON variant.
    form.retain(|key, _| json.contains_key(key));
    assert_eq!(form, json);
}

#[test]
fn identity_is_the_same_in_every_envelope() {
    let native = NativeEvent::from_json(
        r#"{"id":"1","product":"ECS","resourceId":"acs:ecs:r:a:eni/eni-1",
            "name":"NetworkInterface:StateChange","content":{},
            "eventTime":"20190409T121826.000+0800"}"#,
    )
    .unwrap();
    let identity = native.identity().unwrap();
    assert_eq!(
        identity.fields(),
        [
            "acs.ecs",
            "1",
            "NetworkInterface:StateChange",
            "acs:ecs:r:a:eni/eni-1",
            "2019-04-09T04:18:26Z",
        ]
    );
    let cloud = NativeEvent::new(native.event().to_cloudevent()).unwrap();
    assert_eq!(cloud.identity().as_ref(), Some(&identity));
    let later = native.tree().to_string().replace("20190409", "20190410");
    assert_ne!(
        NativeEvent::from_json(later).unwrap().identity(),
        Some(identity),
        "ids alone are reused"
    );
    let masked = NativeEvent::new(examples()[0].clone())
        .unwrap()
        .identity()
        .unwrap();
    assert!(
        masked.id.contains("**"),
        "a masked id needs the other fields"
    );
    assert_eq!(
        NativeEvent::from_json(r#"{"source":"aws.ec2"}"#)
            .unwrap()
            .identity(),
        None
    );
}

#[test]
fn ids_are_computed_for_events_without_one() {
    let id = |text: &str| {
        Event::from_json(text)
            .unwrap()
            .to_cloudevent()
            .tree()
            .get("id")
            .cloned()
    };
    let (one, two) = (
        r#"{"name":"A:B","content":1}"#,
        r#"{"name":"A:B","content":2}"#,
    );
    assert_eq!(id(one), id(one));
    assert_ne!(id(one), id(two));
    assert_eq!(id("{}"), Some("08f44b07b5901a25".into()));
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
    let fixed: Vec<_> = required
        .iter()
        .map(|key| (Just((*key).to_owned()), texts()))
        .collect();
    let more = prop::collection::vec((keys(), values()), 0..9);
    (fixed, more).prop_map(|(fixed, more)| {
        // The required members come last, and the last one of a key counts.
        Event::from_tree(more.into_iter().chain(fixed).collect()).unwrap()
    })
}

fn webhooks() -> impl Strategy<Value = Event> {
    let meta = prop::collection::vec((keys(), values()), 0..8).prop_map(Json::from_iter);
    let alert =
        (meta, prop::collection::vec((keys(), values()), 0..8)).prop_map(|(meta, mut members)| {
            members.push((
                "meta".to_owned(),
                [("sysEventMeta".to_owned(), meta)].into_iter().collect(),
            ));
            Json::from_iter(members)
        });
    (alert, prop::collection::vec((keys(), values()), 0..6)).prop_map(|(alert, mut members)| {
        members.push(("alert".to_owned(), alert));
        Event::from_tree(members.into_iter().collect()).unwrap()
    })
}

fn cloudevents() -> impl Strategy<Value = Event> {
    let simple = prop_oneof![
        texts(),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from)
    ];
    let names = [
        "subject",
        "time",
        "aliyunaccountid",
        "aliyunregionid",
        "dataschema",
        "product",
        "name",
        "content",
        "ver",
        "status",
        "x1",
    ];
    let optional = prop::collection::btree_map(prop::sample::select(names.to_vec()), simple, 0..8);
    let required = (texts(), texts(), texts(), values());
    (required, optional).prop_map(|((id, source, kind, data), optional)| {
        let fixed = [
            ("specversion", "1.0".into()),
            ("id", id),
            ("source", source),
            ("type", kind),
            ("data", data),
        ];
        let typed = ("datacontenttype", "application/json".into());
        let members = fixed.into_iter().chain([typed]).chain(optional);
        Event::from_tree(
            members
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
        )
        .unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn cloudevents_keep_all_their_attributes(event in cloudevents()) {
        let again = native(&event).to_cloudevent();
        let again = members(&again);
        for (key, value) in members(&event) {
            let empty = value.as_str() == Some("");
            let text_of_data = key == "data" && value.as_str().is_some();
            let kept = again.get(key);
            prop_assert!(
                empty || text_of_data || kept == Some(&value),
                "{key}: {value} became {kept:?}"
            );
        }
    }

    #[test]
    fn conversion_to_cloudevents_and_back_is_lossless(event in prop_oneof![
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

#[test]
fn native_forms_above_the_limits_are_errors() {
    let text = r#"{"product":"ECS","name":"Instance:SystemFailure.Reboot",
        "status":"Executing","content":{}}"#
        .replace(char::is_whitespace, "");
    let limits = Limits {
        bytes: text.len(),
        ..Limits::DEFAULT
    };
    let event = Event::from_json_within(text.as_str(), &limits).unwrap();
    let Err(error) = NativeEvent::new(event.clone()) else {
        panic!("the status makes the name longer");
    };
    assert_eq!(
        error.to_string(),
        format!(
            "the event cannot be converted to the native form: the event has {} bytes, \
             more than the {} allowed",
            text.len() + ":Executing".len(),
            text.len()
        )
    );
    assert_eq!(error.offset(), None);
    let codes: Vec<_> = check(&event).iter().map(|found| found.code).collect();
    assert_eq!(codes, [Code::EVENT_TOO_LARGE]);
    assert_eq!(NativeEvent::as_is(event.clone()).bytes(), event.bytes());
    let whole = event.to_cloudevent();
    assert_eq!(
        whole.tree().get("data"),
        Some(event.tree()),
        "nothing is lost"
    );
}
