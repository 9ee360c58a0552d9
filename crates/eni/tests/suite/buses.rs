//! Buses: whose events they carry, and in which envelope.

use reflexarc_eni::events::{Bus, BusEnvelope, PublishedEvent};
use reflexarc_eni::{Fault, FaultMode, Request};
use reflexarc_event::{EniNotification, Envelope, Event, NativeEvent, Operation};

use crate::world::{
    OTHER, PLAIN, QUIET_SERVICE, SERVICE, USER, call, cloud, complete_all, creation,
};

fn read(event: &Event) -> EniNotification {
    EniNotification::read(&NativeEvent::new(event.clone()).unwrap()).unwrap()
}

/// The events of a success and a failure of the user, and of a success of the service.
fn publications() -> Vec<PublishedEvent> {
    let mut cloud = cloud();
    call(&mut cloud, USER, Request::Create(creation(USER)));
    cloud
        .inject(Fault {
            operation: Operation::Create,
            interface: None,
            mode: FaultMode::Fail,
            times: 1,
        })
        .unwrap();
    call(&mut cloud, USER, Request::Create(creation(USER)));
    call(&mut cloud, SERVICE, Request::Create(creation(USER)));
    complete_all(&mut cloud)
        .into_iter()
        .map(|outcome| outcome.published.unwrap())
        .collect()
}

#[test]
fn a_bus_carries_only_events_of_its_account() {
    let publications = publications();
    let carried = |account: &str| {
        let bus = Bus {
            account: account.to_owned(),
            envelope: BusEnvelope::Native,
        };
        publications
            .iter()
            .filter_map(|publication| bus.receive(publication))
            .count()
    };
    assert_eq!(
        [USER, SERVICE, OTHER, PLAIN, QUIET_SERVICE].map(carried),
        [2, 1, 0, 0, 0]
    );
}

#[test]
fn every_envelope_contains_the_same_notification() {
    let expected = [
        (BusEnvelope::Native, Envelope::Native),
        (BusEnvelope::EventBridge, Envelope::CloudEvent),
        (BusEnvelope::CloudMonitorRule, Envelope::CloudMonitorFlat),
        (BusEnvelope::CloudMonitorPolicy, Envelope::CloudMonitor),
    ];
    for publication in publications() {
        let native = read(&publication.event);
        for (bus_envelope, envelope) in expected {
            let event = bus_envelope.wrap(&publication.event);
            assert_eq!(event.envelope(), envelope);
            assert_eq!(read(&event), native, "{bus_envelope:?}");
            let again = NativeEvent::from_json(event.bytes()).unwrap();
            assert_eq!(
                again.tree().get("content"),
                publication.event.tree().get("content"),
                "{bus_envelope:?}"
            );
        }
    }
    assert_eq!(
        expected.map(|(bus_envelope, _)| bus_envelope),
        BusEnvelope::ALL
    );
}
