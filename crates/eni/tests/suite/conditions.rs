//! The seed's sentences: when there is an event, what it says, and whose it is.

use reflexarc_eni::{Request, Silence, Wanted};
use reflexarc_event::{Json, Operation};

use crate::world::{
    OTHER, PLAIN, QUIET_SERVICE, SERVICE, USER, after, ask, attach, attached, cloud, code, content,
    creation, delete, detach, field, made, settle,
};

#[test]
fn each_of_the_four_operations_tells_when_it_is_complete() {
    let mut cloud = cloud();
    let created = ask(&mut cloud, USER, Request::Create(creation(USER)));
    let first = settle(&mut cloud);
    let id = first[0].interface.clone().unwrap();
    let mut told = vec![(created, first)];
    for request in [attach(&id, USER), detach(&id, USER), delete(&id)] {
        let reply = ask(&mut cloud, USER, request);
        assert!(
            cloud.take_notices().is_empty(),
            "told before it was complete"
        );
        told.push((reply, settle(&mut cloud)));
    }
    let expected = [
        ("Create", "Available"),
        ("Attach", "InUse"),
        ("Detach", "Available"),
        ("Delete", "Deleted"),
    ];
    for ((reply, notices), (operation, status)) in told.iter().zip(expected) {
        let [notice] = notices.as_slice() else {
            panic!("{notices:?}")
        };
        assert_eq!(
            content(notice, "operation"),
            format!("{operation}NetworkInterface")
        );
        assert_eq!(content(notice, "eniStatus"), status);
        assert_eq!(content(notice, "eniId"), id);
        assert_eq!(content(notice, "result"), "success");
        assert_eq!(content(notice, "requestId"), reply.request_id);
        assert_eq!(field(notice, "level"), "INFO");
    }
}

#[test]
fn an_event_carries_every_field_of_the_table() {
    let mut cloud = cloud();
    let wanted = reflexarc_eni::CreateInterface {
        secondary: Wanted::Count(2),
        ipv4_prefixes: Wanted::Count(1),
        ipv6: Wanted::Count(1),
        ipv6_prefixes: Wanted::Count(1),
        ..creation(USER)
    };
    ask(&mut cloud, USER, Request::Create(wanted));
    let notice = settle(&mut cloud).remove(0);
    let event = notice.verdict.unwrap().event;
    insta::assert_snapshot!(pretty(event.tree()));
}

#[test]
fn empty_lists_are_left_out() {
    let mut cloud = cloud();
    ask(&mut cloud, USER, Request::Create(creation(USER)));
    let notice = settle(&mut cloud).remove(0);
    let event = notice.verdict.unwrap().event;
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
fn without_the_preview_there_is_no_event() {
    let mut cloud = cloud();
    let reply = ask(&mut cloud, PLAIN, Request::Create(creation(PLAIN)));
    assert!(reply.result.is_ok());
    let notices = settle(&mut cloud);
    let [notice] = notices.as_slice() else {
        panic!("{notices:?}")
    };
    assert_eq!(
        notice.verdict.as_ref().unwrap_err(),
        &Silence::PreviewOff {
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
            reflexarc_eni::InstanceType::g7_large(),
            &format!("vsw-{USER}"),
            &[&group],
        )
        .unwrap();
    cloud.release_instance("i-new").unwrap();
    let notices = settle(&mut cloud);
    assert_eq!(
        notices
            .iter()
            .map(|notice| notice.operation)
            .collect::<Vec<_>>(),
        [
            Operation::Create,
            Operation::Attach,
            Operation::Detach,
            Operation::Delete
        ]
    );
    assert!(
        notices
            .iter()
            .all(|notice| notice.verdict.as_ref().unwrap_err() == &Silence::Primary),
        "{notices:?}"
    );
}

#[test]
fn a_refused_request_makes_no_event() {
    let mut cloud = cloud();
    attached(&mut cloud, USER, USER);
    attached(&mut cloud, USER, USER);
    let third = made(&mut cloud, USER, USER);
    let reply = ask(&mut cloud, USER, attach(&third.id, USER));
    assert_eq!(code(&reply), "EniPerInstanceLimitExceeded");
    let notices = settle(&mut cloud);
    let [notice] = notices.as_slice() else {
        panic!("{notices:?}")
    };
    let Err(Silence::Refused(refusal)) = &notice.verdict else {
        panic!("{notice:?}")
    };
    assert_eq!(
        (refusal.code, &notice.request_id),
        ("EniPerInstanceLimitExceeded", &reply.request_id)
    );
}

#[test]
fn a_managed_interface_tells_the_service_and_nobody_else() {
    let mut cloud = cloud();
    let reply = ask(&mut cloud, SERVICE, Request::Create(creation(USER)));
    let mut notices = settle(&mut cloud);
    let id = notices[0].interface.clone().unwrap();
    for request in [attach(&id, USER), detach(&id, USER), delete(&id)] {
        assert!(ask(&mut cloud, SERVICE, request).result.is_ok());
        notices.extend(settle(&mut cloud));
    }
    assert!(reply.result.is_ok());
    assert_eq!(notices.len(), 4);
    for notice in &notices {
        assert_eq!(notice.verdict.as_ref().unwrap().recipient, SERVICE);
        assert_eq!(field(notice, "userId"), SERVICE);
        // The interface belongs to the account whose vSwitch it lies in.
        assert_eq!(
            field(notice, "resourceId"),
            format!("acs:ecs:cn-hangzhou:{USER}:eni/{id}")
        );
    }
}

#[test]
fn a_service_without_the_preview_is_not_told_and_the_owner_is_not_either() {
    let mut cloud = cloud();
    ask(&mut cloud, QUIET_SERVICE, Request::Create(creation(USER)));
    let notices = settle(&mut cloud);
    let [notice] = notices.as_slice() else {
        panic!("{notices:?}")
    };
    assert_eq!(
        notice.verdict.as_ref().unwrap_err(),
        &Silence::PreviewOff {
            account: QUIET_SERVICE.into()
        }
    );
}

#[test]
fn a_standard_interface_tells_whoever_asked() {
    let mut cloud = cloud();
    let interface = made(&mut cloud, USER, USER);
    cloud.grant_attach(&interface.id, OTHER).unwrap();
    let reply = ask(&mut cloud, OTHER, attach(&interface.id, OTHER));
    let notices = settle(&mut cloud);
    let [notice] = notices.as_slice() else {
        panic!("{notices:?}")
    };
    let publication = notice.verdict.as_ref().unwrap();
    assert_eq!(
        (publication.recipient.as_str(), &notice.request_id),
        (OTHER, &reply.request_id)
    );
    assert_eq!(field(notice, "userId"), OTHER);
    assert_eq!(
        field(notice, "resourceId"),
        format!("acs:ecs:cn-hangzhou:{USER}:eni/{}", interface.id)
    );
}

#[test]
fn an_event_is_timed_by_its_completion_in_the_clouds_zone() {
    let mut cloud = cloud();
    let interface = made(&mut cloud, USER, USER);
    cloud.call(USER, attach(&interface.id, USER), after(10));
    cloud.advance(after(60));
    let notices = cloud.take_notices();
    assert_eq!(notices[0].at, after(12));
    assert_eq!(field(&notices[0], "eventTime"), "20260101T080012.000+0800");
}

#[test]
fn the_same_seed_and_requests_give_the_same_events() {
    let run = || {
        let mut cloud = cloud();
        let interface = attached(&mut cloud, USER, USER);
        ask(&mut cloud, USER, detach(&interface.id, USER));
        let notices = settle(&mut cloud);
        notices[0].verdict.as_ref().unwrap().event.bytes().to_vec()
    };
    assert_eq!(run(), run());
}

#[test]
fn a_repeated_creation_gives_the_same_interface_and_one_event() {
    let mut cloud = cloud();
    let wanted = reflexarc_eni::CreateInterface {
        client_token: Some("t".into()),
        ..creation(USER)
    };
    let first = ask(&mut cloud, USER, Request::Create(wanted.clone()));
    let second = ask(&mut cloud, USER, Request::Create(wanted.clone()));
    assert_eq!(first.result, second.result);
    assert_ne!(first.request_id, second.request_id);
    let notices = settle(&mut cloud);
    assert!(notices[0].verdict.is_ok());
    assert_eq!(
        notices[1].verdict.as_ref().unwrap_err(),
        &Silence::Repeated {
            request_id: first.request_id
        }
    );
    let other = reflexarc_eni::CreateInterface {
        name: "other".into(),
        ..wanted
    };
    assert_eq!(
        code(&ask(&mut cloud, USER, Request::Create(other))),
        "IdempotentParameterMismatch"
    );
}

fn pretty(value: &Json) -> String {
    value
        .to_string()
        .replace(",\"", ",\n\"")
        .replace('{', "{\n")
}
