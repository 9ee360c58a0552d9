//! Buses: whose events they carry, and in which form.

use reflexarc_eni::{Bus, BusForm, Fault, FaultOutcome, Publication, Request};
use reflexarc_event::{EniNotification, Envelope, Event, NativeEvent, Operation};

use crate::world::{OTHER, PLAIN, QUIET_SERVICE, SERVICE, USER, ask, cloud, creation, settle};

fn read(event: &Event) -> EniNotification {
    EniNotification::read(&NativeEvent::new(event.clone()).unwrap()).unwrap()
}

/// A success of the user's, a failure of the user's, and a success of the service's.
fn publications() -> Vec<Publication> {
    let mut cloud = cloud();
    ask(&mut cloud, USER, Request::Create(creation(USER)));
    cloud
        .inject(Fault {
            operation: Operation::Create,
            interface: None,
            outcome: FaultOutcome::Fail,
            times: 1,
        })
        .unwrap();
    ask(&mut cloud, USER, Request::Create(creation(USER)));
    ask(&mut cloud, SERVICE, Request::Create(creation(USER)));
    settle(&mut cloud)
        .into_iter()
        .map(|notice| notice.verdict.unwrap())
        .collect()
}

#[test]
fn a_bus_carries_only_what_was_published_to_its_account() {
    let publications = publications();
    let carried = |account: &str| {
        let bus = Bus {
            account: account.to_owned(),
            form: BusForm::Native,
        };
        publications
            .iter()
            .filter_map(|publication| bus.carry(publication))
            .count()
    };
    assert_eq!(
        [USER, SERVICE, OTHER, PLAIN, QUIET_SERVICE].map(carried),
        [2, 1, 0, 0, 0]
    );
}

#[test]
fn every_form_of_a_bus_is_read_back_as_the_same_notification() {
    let expected = [
        (BusForm::Native, Envelope::Native),
        (BusForm::EventBridge, Envelope::CloudEvent),
        (BusForm::CloudMonitorRule, Envelope::CloudMonitorFlat),
        (BusForm::CloudMonitorPolicy, Envelope::CloudMonitor),
    ];
    for publication in publications() {
        let native = read(&publication.event);
        for (form, envelope) in expected {
            let event = form.wrap(&publication.event);
            assert_eq!(event.envelope(), envelope);
            assert_eq!(read(&event), native, "{form:?}");
            let again = NativeEvent::from_json(event.bytes()).unwrap();
            assert_eq!(
                again.tree().get("content"),
                publication.event.tree().get("content"),
                "{form:?}"
            );
        }
    }
    assert_eq!(expected.map(|(form, _)| form), BusForm::ALL);
}
