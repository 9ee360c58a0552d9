//! The documented conditions for an event, its fields and its recipient.

use reflexarc_eni::Request;
use reflexarc_eni::events::NoEventReason;
use reflexarc_eni::resources::AddressSelection;
use reflexarc_event::{Json, Operation};

use crate::world::{
    OTHER, PLAIN, QUIET_SERVICE, SERVICE, USER, after, attach, attached, call, cloud, code,
    complete_all, content, created, creation, delete, detach, field,
};

#[test]
fn each_operation_makes_an_event_when_it_completes() {
    let mut cloud = cloud();
    let created = call(&mut cloud, USER, Request::Create(creation(USER)));
    let first = complete_all(&mut cloud);
    let id = first[0].interface.clone().unwrap();
    let mut ended = vec![(created, first)];
    for request in [attach(&id, USER), detach(&id, USER), delete(&id)] {
        let reply = call(&mut cloud, USER, request);
        assert!(
            cloud.take_outcomes().is_empty(),
            "an outcome before the completion"
        );
        ended.push((reply, complete_all(&mut cloud)));
    }
    let expected = [
        ("Create", "Available"),
        ("Attach", "InUse"),
        ("Detach", "Available"),
        ("Delete", "Deleted"),
    ];
    for ((reply, outcomes), (operation, status)) in ended.iter().zip(expected) {
        let [outcome] = outcomes.as_slice() else {
            panic!("{outcomes:?}")
        };
        assert_eq!(
            content(outcome, "operation"),
            format!("{operation}NetworkInterface")
        );
        assert_eq!(content(outcome, "eniStatus"), status);
        assert_eq!(content(outcome, "eniId"), id);
        assert_eq!(content(outcome, "result"), "success");
        assert_eq!(content(outcome, "requestId"), reply.request_id);
        assert_eq!(field(outcome, "level"), "INFO");
    }
}

#[test]
fn an_event_has_every_documented_field() {
    let mut cloud = cloud();
    let wanted = reflexarc_eni::CreateInterface {
        secondary: AddressSelection::Count(2),
        ipv4_prefixes: AddressSelection::Count(1),
        ipv6: AddressSelection::Count(1),
        ipv6_prefixes: AddressSelection::Count(1),
        ..creation(USER)
    };
    call(&mut cloud, USER, Request::Create(wanted));
    let outcome = complete_all(&mut cloud).remove(0);
    let event = outcome.published.unwrap().event;
    insta::assert_snapshot!(pretty(event.tree()));
}

#[test]
fn empty_lists_are_omitted() {
    let mut cloud = cloud();
    call(&mut cloud, USER, Request::Create(creation(USER)));
    let outcome = complete_all(&mut cloud).remove(0);
    let event = outcome.published.unwrap().event;
    let keys: Vec<&str> = event
        .tree()
        .get("content")
        .unwrap()
        .members()
        .iter()
        .map(|(key, _)| key.as_str())
        .collect();
    assert_eq!(
        keys,
        [
            "eniId",
            "operation",
            "eniStatus",
            "result",
            "requestId",
            "primaryPrivateIp"
        ]
    );
}

#[test]
fn there_is_no_event_without_the_preview() {
    let mut cloud = cloud();
    let reply = call(&mut cloud, PLAIN, Request::Create(creation(PLAIN)));
    assert!(reply.result.is_ok());
    let outcomes = complete_all(&mut cloud);
    let [outcome] = outcomes.as_slice() else {
        panic!("{outcomes:?}")
    };
    assert_eq!(
        outcome.published.as_ref().unwrap_err(),
        &NoEventReason::PreviewOff {
            account: PLAIN.into()
        }
    );
}

#[test]
fn a_primary_interface_makes_no_event() {
    let mut cloud = cloud();
    let group = format!("sg-{USER}");
    cloud
        .run_instance(
            "i-new",
            reflexarc_eni::resources::InstanceType::g7_large(),
            &format!("vsw-{USER}"),
            &[&group],
        )
        .unwrap();
    cloud.release_instance("i-new").unwrap();
    let outcomes = complete_all(&mut cloud);
    assert_eq!(
        outcomes
            .iter()
            .map(|outcome| outcome.operation)
            .collect::<Vec<_>>(),
        [
            Operation::Create,
            Operation::Attach,
            Operation::Detach,
            Operation::Delete
        ]
    );
    assert!(
        outcomes
            .iter()
            .all(|outcome| outcome.published.as_ref().unwrap_err()
                == &NoEventReason::PrimaryInterface),
        "{outcomes:?}"
    );
}

#[test]
fn a_refused_request_makes_no_event() {
    let mut cloud = cloud();
    attached(&mut cloud, USER, USER);
    attached(&mut cloud, USER, USER);
    let third = created(&mut cloud, USER, USER);
    let reply = call(&mut cloud, USER, attach(&third.id, USER));
    assert_eq!(code(&reply), "EniPerInstanceLimitExceeded");
    let outcomes = complete_all(&mut cloud);
    let [outcome] = outcomes.as_slice() else {
        panic!("{outcomes:?}")
    };
    let Err(NoEventReason::Refused(refusal)) = &outcome.published else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        (refusal.code, &outcome.request_id),
        ("EniPerInstanceLimitExceeded", &reply.request_id)
    );
}

#[test]
fn events_of_managed_interfaces_go_to_the_service() {
    let mut cloud = cloud();
    let reply = call(&mut cloud, SERVICE, Request::Create(creation(USER)));
    let mut outcomes = complete_all(&mut cloud);
    let id = outcomes[0].interface.clone().unwrap();
    for request in [attach(&id, USER), detach(&id, USER), delete(&id)] {
        assert!(call(&mut cloud, SERVICE, request).result.is_ok());
        outcomes.extend(complete_all(&mut cloud));
    }
    assert!(reply.result.is_ok());
    assert_eq!(outcomes.len(), 4);
    for outcome in &outcomes {
        assert_eq!(outcome.published.as_ref().unwrap().recipient, SERVICE);
        assert_eq!(field(outcome, "userId"), SERVICE);
        // The interface is owned by the account whose vSwitch it is in.
        assert_eq!(
            field(outcome, "resourceId"),
            format!("acs:ecs:cn-hangzhou:{USER}:eni/{id}")
        );
    }
}

#[test]
fn without_the_service_preview_the_owner_gets_no_event() {
    let mut cloud = cloud();
    call(&mut cloud, QUIET_SERVICE, Request::Create(creation(USER)));
    let outcomes = complete_all(&mut cloud);
    let [outcome] = outcomes.as_slice() else {
        panic!("{outcomes:?}")
    };
    assert_eq!(
        outcome.published.as_ref().unwrap_err(),
        &NoEventReason::PreviewOff {
            account: QUIET_SERVICE.into()
        }
    );
}

#[test]
fn events_of_standard_interfaces_go_to_the_caller() {
    let mut cloud = cloud();
    let interface = created(&mut cloud, USER, USER);
    cloud.grant_attach(&interface.id, OTHER).unwrap();
    let reply = call(&mut cloud, OTHER, attach(&interface.id, OTHER));
    let outcomes = complete_all(&mut cloud);
    let [outcome] = outcomes.as_slice() else {
        panic!("{outcomes:?}")
    };
    let published = outcome.published.as_ref().unwrap();
    assert_eq!(
        (published.recipient.as_str(), &outcome.request_id),
        (OTHER, &reply.request_id)
    );
    assert_eq!(field(outcome, "userId"), OTHER);
    assert_eq!(
        field(outcome, "resourceId"),
        format!("acs:ecs:cn-hangzhou:{USER}:eni/{}", interface.id)
    );
}

#[test]
fn event_time_is_the_completion_in_the_service_zone() {
    let mut cloud = cloud();
    let interface = created(&mut cloud, USER, USER);
    cloud.call(USER, attach(&interface.id, USER), after(10));
    cloud.advance(after(60));
    let outcomes = cloud.take_outcomes();
    assert_eq!(outcomes[0].at, after(12));
    assert_eq!(field(&outcomes[0], "eventTime"), "20260101T080012.000+0800");
}

#[test]
fn seed_and_requests_determine_the_events() {
    let run = || {
        let mut cloud = cloud();
        let interface = attached(&mut cloud, USER, USER);
        call(&mut cloud, USER, detach(&interface.id, USER));
        let outcomes = complete_all(&mut cloud);
        outcomes[0]
            .published
            .as_ref()
            .unwrap()
            .event
            .bytes()
            .to_vec()
    };
    assert_eq!(run(), run());
}

#[test]
fn a_repeated_creation_makes_one_interface_and_event() {
    let mut cloud = cloud();
    let wanted = reflexarc_eni::CreateInterface {
        client_token: Some("t".into()),
        ..creation(USER)
    };
    let first = call(&mut cloud, USER, Request::Create(wanted.clone()));
    let second = call(&mut cloud, USER, Request::Create(wanted.clone()));
    assert_eq!(first.result, second.result);
    assert_ne!(first.request_id, second.request_id);
    let outcomes = complete_all(&mut cloud);
    assert!(outcomes[0].published.is_ok());
    assert_eq!(
        outcomes[1].published.as_ref().unwrap_err(),
        &NoEventReason::Repeated {
            request_id: first.request_id
        }
    );
    let other = reflexarc_eni::CreateInterface {
        name: "other".into(),
        ..wanted
    };
    assert_eq!(
        code(&call(&mut cloud, USER, Request::Create(other))),
        "IdempotentParameterMismatch"
    );
}

fn pretty(value: &Json) -> String {
    value
        .to_string()
        .replace(",\"", ",\n\"")
        .replace('{', "{\n")
}
