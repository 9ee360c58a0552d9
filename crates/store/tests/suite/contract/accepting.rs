//! Promises about accepting events and recognising copies.

use reflexarc_event::Json;
use reflexarc_reaction::StateChange;
use reflexarc_store::DeliveryStatus;

use super::Backend;
use crate::samples::{at, evaluation, incoming, send};

pub(super) fn accepting_stores_event_state_and_deliveries(backend: &dyn Backend) {
    let store = backend.open();
    let change = StateChange::Set {
        key: "count".into(),
        value: Json::from(3),
        expires: None,
    };
    let accepted = store
        .accept(
            incoming("1"),
            evaluation("r", vec![send("t", 1), send("u", 2)], vec![change]),
            at(0),
        )
        .unwrap();
    assert_eq!((accepted.duplicate, accepted.deliveries.len()), (false, 2));
    assert_eq!(accepted.targets, ["t", "u"]);
    assert_ne!(accepted.deliveries[0], accepted.deliveries[1]);

    drop(store);
    let store = backend.open();
    let found = store.find("1").unwrap();
    assert_eq!(found[0].event.bytes(), incoming("1").native.bytes());
    assert_eq!(
        (found[0].name.source.as_str(), found[0].received),
        ("acs.ecs", at(0))
    );
    let evaluation_json = found[0].evaluation.as_ref().unwrap();
    assert_eq!(
        evaluation_json.get("rules").unwrap().elements()[0]
            .get("log")
            .unwrap()
            .to_string(),
        r#"["a line"]"#
    );
    assert_eq!(
        store.state(at(0)).unwrap(),
        [("r".to_owned(), "count".to_owned(), "3".to_owned())]
    );
    let pending = store.deliveries(DeliveryStatus::Pending, None, 10).unwrap();
    assert_eq!(
        pending
            .iter()
            .map(|entry| entry.delivery.id)
            .collect::<std::collections::BTreeSet<_>>(),
        accepted.deliveries.iter().copied().collect()
    );
}

pub(super) fn a_duplicate_does_nothing_and_after_the_window_is_new(backend: &dyn Backend) {
    let store = backend.open();
    let accept = |second| {
        store
            .accept(
                incoming("1"),
                evaluation("r", vec![send("t", 1)], vec![]),
                at(second),
            )
            .unwrap()
    };
    let first = accept(0);
    let copy = accept(86_399);
    assert_eq!(
        (copy.duplicate, copy.seq, copy.deliveries.len()),
        (true, first.seq, 0)
    );
    let late = accept(86_401);
    // After the window it is another event, and its delivery has another id.
    assert_eq!((late.duplicate, late.deliveries.len()), (false, 1));
    assert_ne!(late.deliveries, first.deliveries);
    assert_eq!(store.find("1").unwrap().len(), 2);
    assert_eq!(
        store
            .deliveries(DeliveryStatus::Pending, None, 10)
            .unwrap()
            .len(),
        2
    );
}

pub(super) fn copies_agree_in_source_id_name_resource_and_time(backend: &dyn Backend) {
    let store = backend.open();
    let accept = |text: &str| {
        let event = reflexarc_event::Event::from_json(text).unwrap();
        let incoming = reflexarc_store::Incoming::new(event).unwrap();
        let evaluation = evaluation("r", vec![send("t", 1)], vec![]);
        let accepted = store.accept(incoming, evaluation, at(0)).unwrap();
        // An event that is accepted is also delivered, though others have its source and id.
        assert_eq!(accepted.deliveries.len(), usize::from(!accepted.duplicate));
        accepted.duplicate
    };
    let event = |id: &str, name: &str, resource: &str, time: &str| {
        format!(
            r#"{{"id":"{id}","product":"ECS","name":"{name}","resourceId":"{resource}",
                "eventTime":"20190409T{time}+0800"}}"#
        )
    };
    let rows = [
        (event("A", "Disk:New", "d-1", "121826.922"), false, "first"),
        (event("A", "Disk:New", "d-1", "121826.922"), true, "a copy"),
        (event("A", "Disk:Old", "d-1", "121826.922"), false, "name"),
        (
            event("A", "Disk:New", "d-2", "121826.922"),
            false,
            "resource",
        ),
        (event("A", "Disk:New", "d-1", "121827.922"), false, "time"),
        (event("B", "Disk:New", "d-1", "121826.922"), false, "id"),
        (
            event("8B****A5", "Disk:New", "d-1", "121826.922"),
            false,
            "masked",
        ),
        (
            event("8B****A5", "Disk:New", "d-2", "121826.922"),
            false,
            "masked, resource",
        ),
        (
            event("8B****A5", "Disk:New", "d-2", "121826.922"),
            true,
            "masked, a copy",
        ),
        (
            r#"{"id":"7","product":"ECS"}"#.to_owned(),
            false,
            "few fields",
        ),
        (r#"{"id":"7","product":"VPC"}"#.to_owned(), false, "source"),
        // The same event by way of EventBridge, whose source is spelled otherwise.
        (
            r#"{"id":"7","source":"acs.ecs"}"#.to_owned(),
            true,
            "source of EventBridge",
        ),
        (
            r#"{"specversion":"1.0","id":"A","source":"acs.ecs","type":"ecs:Disk:New",
                "subject":"d-1","time":"2019-04-09T12:18:26.922+08:00","data":{}}"#
                .to_owned(),
            true,
            "a copy in another envelope",
        ),
        (r#"{"kind":"tick"}"#.to_owned(), false, "no id"),
        (r#"{"kind":"tick"}"#.to_owned(), false, "no id, again"),
    ];
    for (text, duplicate, case) in rows {
        assert_eq!(accept(&text), duplicate, "{case}");
    }
}
