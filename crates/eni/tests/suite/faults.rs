//! What goes wrong after a request was accepted, and what is told of it.

use reflexarc_eni::{Answer, Fault, FaultOutcome, Limits, Request, Silence};
use reflexarc_event::{EniStatus, Json, Operation};

use crate::world::{
    USER, ask, attach, attached, cloud, code, content, creation, delete, detach, field, made,
    settle,
};

fn fault(operation: Operation, outcome: FaultOutcome, times: usize) -> Fault {
    Fault {
        operation,
        interface: None,
        outcome,
        times,
    }
}

#[test]
fn a_failed_creation_ends_in_create_failed() {
    let mut cloud = cloud();
    cloud
        .inject(fault(Operation::Create, FaultOutcome::Fail, 1))
        .unwrap();
    let reply = ask(&mut cloud, USER, Request::Create(creation(USER)));
    let Ok(Answer::Created(interface)) = reply.result else {
        panic!("{reply:?}")
    };
    assert_eq!(interface.status, EniStatus::Creating);
    let notices = settle(&mut cloud);
    assert_eq!(content(&notices[0], "eniStatus"), "CreateFailed");
    assert_eq!(content(&notices[0], "result"), "failed");
    assert_eq!(field(&notices[0], "level"), "WARN");
    assert_eq!(
        cloud.interface(&interface.id).unwrap().status,
        EniStatus::CreateFailed
    );
    assert_eq!(
        code(&ask(&mut cloud, USER, attach(&interface.id, USER))),
        "InvalidOperation.InvalidEniState"
    );
}

#[test]
fn a_failed_creation_gives_its_addresses_back() {
    let mut cloud = cloud();
    cloud
        .inject(fault(Operation::Create, FaultOutcome::Fail, 1))
        .unwrap();
    ask(&mut cloud, USER, Request::Create(creation(USER)));
    let notices = settle(&mut cloud);
    let next = made(&mut cloud, USER, USER);
    assert_eq!(
        next.addresses.primary.unwrap().to_string(),
        content(&notices[0], "primaryPrivateIp")
    );
}

#[test]
fn a_failed_attachment_falls_back_to_available() {
    let mut cloud = cloud();
    let interface = made(&mut cloud, USER, USER);
    cloud
        .inject(fault(Operation::Attach, FaultOutcome::Fail, 1))
        .unwrap();
    ask(&mut cloud, USER, attach(&interface.id, USER));
    let notices = settle(&mut cloud);
    assert_eq!(
        (
            content(&notices[0], "eniStatus"),
            field(&notices[0], "level")
        ),
        ("Available".into(), "WARN".into())
    );
    let now = cloud.interface(&interface.id).unwrap();
    assert_eq!((now.status, &now.instance), (EniStatus::Available, &None));
}

#[test]
fn a_failed_detachment_stays_in_detaching_until_it_is_repeated() {
    let mut cloud = cloud();
    let interface = attached(&mut cloud, USER, USER);
    cloud
        .inject(fault(Operation::Detach, FaultOutcome::Fail, 1))
        .unwrap();
    ask(&mut cloud, USER, detach(&interface.id, USER));
    let notices = settle(&mut cloud);
    assert_eq!(
        (
            content(&notices[0], "eniStatus"),
            field(&notices[0], "level")
        ),
        ("Detaching".into(), "WARN".into())
    );
    assert_eq!(
        code(&ask(&mut cloud, USER, delete(&interface.id))),
        "InvalidOperation.InvalidEniState"
    );
    cloud.take_notices();
    ask(&mut cloud, USER, detach(&interface.id, USER));
    let notices = settle(&mut cloud);
    assert_eq!(
        (
            content(&notices[0], "eniStatus"),
            field(&notices[0], "level")
        ),
        ("Available".into(), "INFO".into())
    );
}

#[test]
fn a_failed_deletion_stays_in_deleting_until_it_is_repeated() {
    let mut cloud = cloud();
    let interface = made(&mut cloud, USER, USER);
    cloud
        .inject(fault(Operation::Delete, FaultOutcome::Fail, 1))
        .unwrap();
    ask(&mut cloud, USER, delete(&interface.id));
    let notices = settle(&mut cloud);
    assert_eq!(
        (
            content(&notices[0], "eniStatus"),
            field(&notices[0], "level")
        ),
        ("Deleting".into(), "WARN".into())
    );
    ask(&mut cloud, USER, delete(&interface.id));
    let notices = settle(&mut cloud);
    assert_eq!(
        (
            content(&notices[0], "eniStatus"),
            field(&notices[0], "level")
        ),
        ("Deleted".into(), "INFO".into())
    );
    assert!(cloud.interface(&interface.id).is_none());
}

#[test]
fn an_operation_that_hangs_is_never_told() {
    let mut cloud = cloud();
    let interface = attached(&mut cloud, USER, USER);
    cloud
        .inject(fault(Operation::Detach, FaultOutcome::Hang, 1))
        .unwrap();
    ask(&mut cloud, USER, detach(&interface.id, USER));
    let notices = settle(&mut cloud);
    let silence = notices[0].verdict.as_ref().unwrap_err();
    assert_eq!(
        silence,
        &Silence::NotCompleted {
            status: Some(EniStatus::Detaching)
        }
    );
    assert_eq!(
        cloud.interface(&interface.id).unwrap().status,
        EniStatus::Detaching
    );
    ask(&mut cloud, USER, detach(&interface.id, USER));
    assert!(settle(&mut cloud)[0].verdict.is_ok());
}

#[test]
fn a_fault_strikes_as_often_as_it_says_and_only_its_interface() {
    let mut cloud = cloud();
    let (first, second) = (made(&mut cloud, USER, USER), made(&mut cloud, USER, USER));
    let struck = Some(first.id.clone());
    cloud
        .inject(Fault {
            interface: struck,
            ..fault(Operation::Attach, FaultOutcome::Fail, 2)
        })
        .unwrap();
    let mut results = Vec::new();
    for id in [&second.id, &first.id, &first.id, &first.id] {
        ask(&mut cloud, USER, attach(id, USER));
        results.push(content(&settle(&mut cloud)[0], "result"));
    }
    assert_eq!(results, ["success", "failed", "failed", "success"]);
}

#[test]
fn requests_for_one_change_are_each_told_of_its_end() {
    let mut cloud = cloud();
    let interface = attached(&mut cloud, USER, USER);
    let first = ask(&mut cloud, USER, detach(&interface.id, USER));
    let second = ask(&mut cloud, USER, detach(&interface.id, USER));
    let told: Vec<String> = settle(&mut cloud)
        .iter()
        .map(|notice| content(notice, "requestId"))
        .collect();
    assert_eq!(told, [first.request_id, second.request_id]);
}

#[test]
fn faults_are_read_and_written_as_json() {
    let read = |text: &str| Fault::from_json(&Json::parse(text).unwrap());
    let full =
        r#"{"operation":"DetachNetworkInterface","outcome":"hang","times":3,"interface":"eni-1"}"#;
    let fault = read(full).unwrap();
    assert_eq!(
        (fault.operation, fault.outcome, fault.times),
        (Operation::Detach, FaultOutcome::Hang, 3)
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
    let told: Vec<String> = wrong
        .iter()
        .map(|text| format!("{text}\n  {}\n", read(text).unwrap_err()))
        .collect();
    insta::assert_snapshot!(told.concat());
}

#[test]
fn faults_that_wait_are_bounded_and_can_be_taken_back() {
    let mut cloud = cloud().with_limits(Limits {
        faults: 2,
        ..Limits::DEFAULT
    });
    let one = || fault(Operation::Delete, FaultOutcome::Fail, 1);
    cloud.inject(Fault { times: 0, ..one() }).unwrap();
    cloud.inject(one()).unwrap();
    cloud.inject(one()).unwrap();
    assert_eq!(
        cloud.inject(one()).unwrap_err().to_string(),
        "2 faults are waiting already"
    );
    assert_eq!(cloud.faults().len(), 2);
    cloud.clear_faults();
    assert!(cloud.faults().is_empty() && cloud.inject(one()).is_ok());
}
