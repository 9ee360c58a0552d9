//! Faults after a request was accepted, and their events.

use reflexarc_eni::events::NoEventReason;
use reflexarc_eni::{Answer, Fault, FaultMode, Limits, Request};
use reflexarc_event::{EniStatus, Json, Operation};

use crate::world::{
    USER, attach, attached, call, cloud, code, complete_all, content, created, creation, delete,
    detach, field,
};

fn fault(operation: Operation, mode: FaultMode, times: usize) -> Fault {
    Fault {
        operation,
        interface: None,
        mode,
        times,
    }
}

#[test]
fn a_failed_creation_ends_in_create_failed() {
    let mut cloud = cloud();
    cloud
        .inject(fault(Operation::Create, FaultMode::Fail, 1))
        .unwrap();
    let reply = call(&mut cloud, USER, Request::Create(creation(USER)));
    let Ok(Answer::Created(interface)) = reply.result else {
        panic!("{reply:?}")
    };
    assert_eq!(interface.status, EniStatus::Creating);
    let outcomes = complete_all(&mut cloud);
    assert_eq!(content(&outcomes[0], "eniStatus"), "CreateFailed");
    assert_eq!(content(&outcomes[0], "result"), "failed");
    assert_eq!(field(&outcomes[0], "level"), "WARN");
    assert_eq!(
        cloud.interface(&interface.id).unwrap().status,
        EniStatus::CreateFailed
    );
    assert_eq!(
        code(&call(&mut cloud, USER, attach(&interface.id, USER))),
        "InvalidOperation.InvalidEniState"
    );
}

#[test]
fn a_failed_creation_releases_its_addresses() {
    let mut cloud = cloud();
    cloud
        .inject(fault(Operation::Create, FaultMode::Fail, 1))
        .unwrap();
    call(&mut cloud, USER, Request::Create(creation(USER)));
    let outcomes = complete_all(&mut cloud);
    let next = created(&mut cloud, USER, USER);
    assert_eq!(
        next.addresses.primary.unwrap().to_string(),
        content(&outcomes[0], "primaryPrivateIp")
    );
}

#[test]
fn a_failed_attachment_returns_to_available() {
    let mut cloud = cloud();
    let interface = created(&mut cloud, USER, USER);
    cloud
        .inject(fault(Operation::Attach, FaultMode::Fail, 1))
        .unwrap();
    call(&mut cloud, USER, attach(&interface.id, USER));
    let outcomes = complete_all(&mut cloud);
    assert_eq!(
        (
            content(&outcomes[0], "eniStatus"),
            field(&outcomes[0], "level")
        ),
        ("Available".into(), "WARN".into())
    );
    let now = cloud.interface(&interface.id).unwrap();
    assert_eq!((now.status, &now.instance), (EniStatus::Available, &None));
}

#[test]
fn a_failed_detachment_stays_detaching_until_repeated() {
    let mut cloud = cloud();
    let interface = attached(&mut cloud, USER, USER);
    cloud
        .inject(fault(Operation::Detach, FaultMode::Fail, 1))
        .unwrap();
    call(&mut cloud, USER, detach(&interface.id, USER));
    let outcomes = complete_all(&mut cloud);
    assert_eq!(
        (
            content(&outcomes[0], "eniStatus"),
            field(&outcomes[0], "level")
        ),
        ("Detaching".into(), "WARN".into())
    );
    assert_eq!(
        code(&call(&mut cloud, USER, delete(&interface.id))),
        "InvalidOperation.InvalidEniState"
    );
    cloud.take_outcomes();
    call(&mut cloud, USER, detach(&interface.id, USER));
    let outcomes = complete_all(&mut cloud);
    assert_eq!(
        (
            content(&outcomes[0], "eniStatus"),
            field(&outcomes[0], "level")
        ),
        ("Available".into(), "INFO".into())
    );
}

#[test]
fn a_failed_deletion_stays_deleting_until_repeated() {
    let mut cloud = cloud();
    let interface = created(&mut cloud, USER, USER);
    cloud
        .inject(fault(Operation::Delete, FaultMode::Fail, 1))
        .unwrap();
    call(&mut cloud, USER, delete(&interface.id));
    let outcomes = complete_all(&mut cloud);
    assert_eq!(
        (
            content(&outcomes[0], "eniStatus"),
            field(&outcomes[0], "level")
        ),
        ("Deleting".into(), "WARN".into())
    );
    call(&mut cloud, USER, delete(&interface.id));
    let outcomes = complete_all(&mut cloud);
    assert_eq!(
        (
            content(&outcomes[0], "eniStatus"),
            field(&outcomes[0], "level")
        ),
        ("Deleted".into(), "INFO".into())
    );
    assert!(cloud.interface(&interface.id).is_none());
}

#[test]
fn an_operation_that_hangs_makes_no_event() {
    let mut cloud = cloud();
    let interface = attached(&mut cloud, USER, USER);
    cloud
        .inject(fault(Operation::Detach, FaultMode::Hang, 1))
        .unwrap();
    call(&mut cloud, USER, detach(&interface.id, USER));
    let outcomes = complete_all(&mut cloud);
    let reason = outcomes[0].published.as_ref().unwrap_err();
    assert_eq!(
        reason,
        &NoEventReason::NotCompleted {
            status: Some(EniStatus::Detaching)
        }
    );
    assert_eq!(
        cloud.interface(&interface.id).unwrap().status,
        EniStatus::Detaching
    );
    call(&mut cloud, USER, detach(&interface.id, USER));
    assert!(complete_all(&mut cloud)[0].published.is_ok());
}

#[test]
fn a_fault_applies_to_its_interface_the_given_times() {
    let mut cloud = cloud();
    let (first, second) = (
        created(&mut cloud, USER, USER),
        created(&mut cloud, USER, USER),
    );
    let interface = Some(first.id.clone());
    cloud
        .inject(Fault {
            interface,
            ..fault(Operation::Attach, FaultMode::Fail, 2)
        })
        .unwrap();
    let mut results = Vec::new();
    for id in [&second.id, &first.id, &first.id, &first.id] {
        call(&mut cloud, USER, attach(id, USER));
        results.push(content(&complete_all(&mut cloud)[0], "result"));
    }
    assert_eq!(results, ["success", "failed", "failed", "success"]);
}

#[test]
fn repeated_requests_each_have_an_event() {
    let mut cloud = cloud();
    let interface = attached(&mut cloud, USER, USER);
    let first = call(&mut cloud, USER, detach(&interface.id, USER));
    let second = call(&mut cloud, USER, detach(&interface.id, USER));
    let request_ids: Vec<String> = complete_all(&mut cloud)
        .iter()
        .map(|outcome| content(outcome, "requestId"))
        .collect();
    assert_eq!(request_ids, [first.request_id, second.request_id]);
}

#[test]
fn faults_are_read_and_written_as_json() {
    let read = |text: &str| Fault::from_json(&Json::parse(text).unwrap());
    let full =
        r#"{"operation":"DetachNetworkInterface","outcome":"hang","times":3,"interface":"eni-1"}"#;
    let fault = read(full).unwrap();
    assert_eq!(
        (fault.operation, fault.mode, fault.times),
        (Operation::Detach, FaultMode::Hang, 3)
    );
    assert_eq!(fault.to_json().to_string(), full);
    let short = read(r#"{"operation":"CreateNetworkInterface","outcome":"fail"}"#).unwrap();
    assert_eq!((short.times, short.interface), (1, None));
    let wrong = [
        "[]",
        r#"{"outcome":"fail"}"#,
        r#"{"operation":"CreateNetworkInterface"}"#,
        r#"{"operation":"Create","outcome":"fail"}"#,
        r#"{"operation":"CreateNetworkInterface","outcome":"explode"}"#,
        r#"{"operation":"CreateNetworkInterface","outcome":"fail","times":0}"#,
        r#"{"operation":"CreateNetworkInterface","outcome":"fail","times":"3"}"#,
        r#"{"operation":"CreateNetworkInterface","outcome":7}"#,
        r#"{"operation":"CreateNetworkInterface","outcome":"fail","time":3}"#,
    ];
    let messages: Vec<String> = wrong
        .iter()
        .map(|text| format!("{text}\n  {}\n", read(text).unwrap_err()))
        .collect();
    insta::assert_snapshot!(messages.concat());
}

#[test]
fn active_faults_are_limited_and_can_be_cleared() {
    let mut cloud = cloud().with_limits(Limits {
        faults: 2,
        ..Limits::DEFAULT
    });
    let one = || fault(Operation::Delete, FaultMode::Fail, 1);
    cloud.inject(Fault { times: 0, ..one() }).unwrap();
    cloud.inject(one()).unwrap();
    cloud.inject(one()).unwrap();
    assert_eq!(
        cloud.inject(one()).unwrap_err().to_string(),
        "2 faults are active already, the maximum"
    );
    assert_eq!(cloud.faults().len(), 2);
    cloud.clear_faults();
    assert!(cloud.faults().is_empty() && cloud.inject(one()).is_ok());
}
