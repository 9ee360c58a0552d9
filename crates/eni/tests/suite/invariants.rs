//! Random sequences of requests: the status machine holds, and every event meets the conditions.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::SignedDuration;
use proptest::prelude::*;
use reflexarc_eni::events::{NoEventReason, RequestOutcome};
use reflexarc_eni::resources::{InstanceStatus, InstanceType, InterfaceType, is_valid_transition};
use reflexarc_eni::{Cloud, Fault, FaultMode, Reply, Request};
use reflexarc_event::{EniStatus, Operation};

use crate::world::{OTHER, PLAIN, QUIET_SERVICE, SERVICE, USER, cloud, content, creation, field};

const CALLERS: [&str; 5] = [USER, PLAIN, OTHER, SERVICE, QUIET_SERVICE];
const OWNERS: [&str; 3] = [USER, PLAIN, OTHER];

#[derive(Debug, Clone)]
enum Step {
    Request {
        caller: usize,
        operation: Operation,
        owner: usize,
        interface: prop::sample::Index,
    },
    Wait {
        seconds: i64,
    },
    Fault {
        operation: Operation,
        fails: bool,
    },
    Grant {
        interface: prop::sample::Index,
        account: usize,
    },
    Instance {
        owner: usize,
        status: usize,
    },
    Replace {
        owner: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let operation = prop::sample::select(Operation::ALL.to_vec());
    prop_oneof![
        12 => (0..CALLERS.len(), operation.clone(), 0..OWNERS.len(), any::<prop::sample::Index>())
            .prop_map(|(caller, operation, owner, interface)| {
                Step::Request { caller, operation, owner, interface }
            }),
        4 => (0_i64..4).prop_map(|seconds| Step::Wait { seconds }),
        2 => (operation, any::<bool>())
            .prop_map(|(operation, fails)| Step::Fault { operation, fails }),
        1 => (any::<prop::sample::Index>(), 0..CALLERS.len())
            .prop_map(|(interface, account)| Step::Grant { interface, account }),
        1 => (0..OWNERS.len(), 0..InstanceStatus::ALL.len())
            .prop_map(|(owner, status)| Step::Instance { owner, status }),
        1 => (0..OWNERS.len()).prop_map(|owner| Step::Replace { owner }),
    ]
}

/// The requests that were created, with which the outcomes are compared.
#[derive(Default)]
struct Ledger {
    requests: BTreeMap<String, (String, Operation, bool)>,
    ended: BTreeSet<String>,
    interfaces: BTreeMap<String, (InterfaceType, Option<String>)>,
    statuses: BTreeMap<String, EniStatus>,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn random_requests_keep_the_status_machine_and_conditions(
        steps in prop::collection::vec(step(), 1..80)
    ) {
        let mut cloud = cloud();
        let mut ledger = Ledger::default();
        ledger.update(&cloud);
        for step in steps {
            run(&mut cloud, &mut ledger, &step);
            ledger.update(&cloud);
            ledger.check(&mut cloud);
            check_resources(&cloud);
        }
        while let Some(next) = cloud.next_completion() {
            cloud.advance(next);
        }
        ledger.check(&mut cloud);
        let unended: Vec<_> =
            ledger.requests.keys().filter(|id| !ledger.ended.contains(*id)).collect();
        prop_assert!(unended.is_empty(), "requests without an outcome: {unended:?}");
    }
}

fn run(cloud: &mut Cloud, ledger: &mut Ledger, step: &Step) {
    let ids: Vec<String> = cloud
        .interfaces()
        .map(|interface| interface.id.clone())
        .collect();
    match *step {
        Step::Request {
            caller,
            operation,
            owner,
            ref interface,
        } => {
            let (caller, interface) = (CALLERS[caller], interface.get(&ids).clone());
            let instance = format!("i-{}", OWNERS[owner]);
            let request = match operation {
                Operation::Create => Request::Create(creation(OWNERS[owner])),
                Operation::Attach => Request::Attach {
                    interface,
                    instance,
                    network_card: None,
                },
                Operation::Detach => Request::Detach {
                    interface,
                    instance,
                },
                Operation::Delete => Request::Delete { interface },
            };
            let now = cloud.now();
            let Reply {
                request_id, result, ..
            } = cloud.call(caller, request, now);
            ledger
                .requests
                .insert(request_id, (caller.to_owned(), operation, result.is_ok()));
        }
        Step::Wait { seconds } => cloud.advance(cloud.now() + SignedDuration::from_secs(seconds)),
        Step::Fault { operation, fails } => {
            let mode = if fails {
                FaultMode::Fail
            } else {
                FaultMode::Hang
            };
            cloud
                .inject(Fault {
                    operation,
                    interface: None,
                    mode,
                    times: 1,
                })
                .unwrap();
        }
        Step::Grant {
            ref interface,
            account,
        } => {
            cloud
                .grant_attach(interface.get(&ids).as_str(), CALLERS[account])
                .unwrap();
        }
        Step::Instance { owner, status } => {
            cloud
                .set_instance_status(&format!("i-{}", OWNERS[owner]), InstanceStatus::ALL[status])
                .unwrap();
        }
        Step::Replace { owner } => {
            let owner = OWNERS[owner];
            cloud.release_instance(&format!("i-{owner}")).unwrap();
            let (vswitch, group) = (format!("vsw-{owner}"), format!("sg-{owner}"));
            cloud
                .run_instance(
                    &format!("i-{owner}"),
                    InstanceType::g7_large(),
                    &vswitch,
                    &[&group],
                )
                .unwrap();
        }
    }
}

impl Ledger {
    fn update(&mut self, cloud: &Cloud) {
        for interface in cloud.interfaces() {
            let manager = interface
                .managed_by
                .as_ref()
                .map(|(account, _)| account.clone());
            self.interfaces
                .insert(interface.id.clone(), (interface.kind, manager));
        }
    }

    fn check(&mut self, cloud: &mut Cloud) {
        for change in cloud.take_changes() {
            let before = self.statuses.insert(change.interface.clone(), change.to);
            match change.from {
                Some(from) => {
                    assert!(is_valid_transition(from, change.to), "{change:?}");
                    assert!(
                        before.is_none_or(|before| before == from),
                        "{before:?} {change:?}"
                    );
                }
                None => assert_eq!(change.to, EniStatus::Creating),
            }
        }
        for outcome in cloud.take_outcomes() {
            self.check_outcome(cloud, &outcome);
        }
    }

    fn check_outcome(&mut self, cloud: &Cloud, outcome: &RequestOutcome) {
        let Some((caller, operation, accepted)) = self.requests.get(&outcome.request_id).cloned()
        else {
            // No request: the operation was part of an instance's start or release, and has no
            // event.
            assert!(
                matches!(
                    outcome.published,
                    Err(NoEventReason::PrimaryInterface | NoEventReason::InstanceRelease)
                ),
                "{outcome:?}"
            );
            return;
        };
        assert!(
            self.ended.insert(outcome.request_id.clone()),
            "ended twice: {outcome:?}"
        );
        assert_eq!((&outcome.caller, outcome.operation), (&caller, operation));
        match &outcome.published {
            Ok(publication) => {
                let (kind, manager) = &self.interfaces[outcome.interface.as_ref().unwrap()];
                let recipient = manager.as_ref().unwrap_or(&caller);
                let preview = cloud
                    .accounts()
                    .any(|account| &account.id == recipient && account.preview);
                assert!(
                    accepted && preview && *kind == InterfaceType::Secondary,
                    "{outcome:?}"
                );
                assert_eq!(
                    (&publication.recipient, &field(outcome, "userId")),
                    (recipient, recipient)
                );
                let level = if publication.success {
                    ("success", "INFO")
                } else {
                    ("failed", "WARN")
                };
                assert_eq!(
                    (
                        content(outcome, "result").as_str(),
                        field(outcome, "level").as_str()
                    ),
                    level
                );
                assert!(
                    is_documented(operation, publication.success, publication.status),
                    "{outcome:?}"
                );
                assert_eq!(content(outcome, "eniStatus"), publication.status.as_str());
                assert_eq!(content(outcome, "requestId"), outcome.request_id);
            }
            Err(NoEventReason::Refused(_)) => assert!(!accepted, "{outcome:?}"),
            Err(NoEventReason::PreviewOff { account }) => {
                assert!(
                    cloud
                        .accounts()
                        .any(|found| &found.id == account && !found.preview),
                    "{outcome:?}"
                );
            }
            Err(NoEventReason::NotCompleted { .. }) => assert!(accepted, "{outcome:?}"),
            Err(other) => panic!("{other:?} for a request of an account"),
        }
    }
}

/// Whether the service's documentation has this combination.
fn is_documented(operation: Operation, success: bool, status: EniStatus) -> bool {
    let expected = match (operation, success) {
        (Operation::Create | Operation::Detach, true) | (Operation::Attach, false) => {
            EniStatus::Available
        }
        (Operation::Create, false) => EniStatus::CreateFailed,
        (Operation::Attach, true) => EniStatus::InUse,
        (Operation::Detach, false) => EniStatus::Detaching,
        (Operation::Delete, true) => EniStatus::Deleted,
        (Operation::Delete, false) => EniStatus::Deleting,
    };
    status == expected
}

/// Addresses are unique, instances within their limits, and an interface has an instance exactly in
/// the statuses of an attachment.
fn check_resources(cloud: &Cloud) {
    let mut seen: BTreeSet<IpAddr> = BTreeSet::new();
    let mut attached: BTreeMap<&str, usize> = BTreeMap::new();
    for interface in cloud.interfaces() {
        assert!(
            interface
                .addresses
                .all()
                .into_iter()
                .all(|address| seen.insert(address)),
            "{interface:?}"
        );
        let on_instance = matches!(
            interface.status,
            EniStatus::Attaching | EniStatus::InUse | EniStatus::Detaching
        );
        assert_eq!(interface.instance.is_some(), on_instance, "{interface:?}");
        if let Some(instance) = &interface.instance {
            *attached.entry(instance).or_default() += 1;
        }
    }
    for instance in cloud.instances() {
        assert!(
            attached.get(instance.id.as_str()).copied().unwrap_or(0) <= instance.kind.interfaces,
            "{instance:?}"
        );
    }
}
