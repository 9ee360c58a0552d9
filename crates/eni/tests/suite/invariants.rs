//! Random lives: whatever is asked in whatever order, the status machine holds, and every event obeys the conditions.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::SignedDuration;
use proptest::prelude::*;
use reflexarc_eni::{
    Cloud, Fault, FaultOutcome, InstanceStatus, InstanceType, InterfaceType, Notice, Reply,
    Request, Silence, may_become,
};
use reflexarc_event::{EniStatus, Operation};

use crate::world::{OTHER, PLAIN, QUIET_SERVICE, SERVICE, USER, cloud, content, creation, field};

const CALLERS: [&str; 5] = [USER, PLAIN, OTHER, SERVICE, QUIET_SERVICE];
const OWNERS: [&str; 3] = [USER, PLAIN, OTHER];

#[derive(Debug, Clone)]
enum Step {
    Ask {
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
    Renew {
        owner: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let operation = prop::sample::select(Operation::ALL.to_vec());
    prop_oneof![
        12 => (0..CALLERS.len(), operation.clone(), 0..OWNERS.len(), any::<prop::sample::Index>())
            .prop_map(|(caller, operation, owner, interface)| Step::Ask { caller, operation, owner, interface }),
        4 => (0_i64..4).prop_map(|seconds| Step::Wait { seconds }),
        2 => (operation, any::<bool>()).prop_map(|(operation, fails)| Step::Fault { operation, fails }),
        1 => (any::<prop::sample::Index>(), 0..CALLERS.len())
            .prop_map(|(interface, account)| Step::Grant { interface, account }),
        1 => (0..OWNERS.len(), 0..InstanceStatus::ALL.len())
            .prop_map(|(owner, status)| Step::Instance { owner, status }),
        1 => (0..OWNERS.len()).prop_map(|owner| Step::Renew { owner }),
    ]
}

/// What was asked, kept beside the cloud to judge what it tells.
#[derive(Default)]
struct Ledger {
    asked: BTreeMap<String, (String, Operation, bool)>,
    told: BTreeSet<String>,
    kinds: BTreeMap<String, (InterfaceType, Option<String>)>,
    statuses: BTreeMap<String, EniStatus>,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_sequence_keeps_the_status_machine_and_the_three_conditions(steps in prop::collection::vec(step(), 1..80)) {
        let mut cloud = cloud();
        let mut ledger = Ledger::default();
        ledger.learn(&cloud);
        for step in steps {
            take(&mut cloud, &mut ledger, &step);
            ledger.learn(&cloud);
            ledger.judge(&mut cloud);
            check_space(&cloud);
        }
        while let Some(next) = cloud.next_completion() {
            cloud.advance(next);
        }
        ledger.judge(&mut cloud);
        let silent: Vec<_> = ledger.asked.keys().filter(|id| !ledger.told.contains(*id)).collect();
        prop_assert!(silent.is_empty(), "requests without an end: {silent:?}");
    }
}

fn take(cloud: &mut Cloud, ledger: &mut Ledger, step: &Step) {
    let ids: Vec<String> = cloud
        .interfaces()
        .map(|interface| interface.id.clone())
        .collect();
    match *step {
        Step::Ask {
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
                },
                Operation::Detach => Request::Detach {
                    interface,
                    instance,
                },
                Operation::Delete => Request::Delete { interface },
            };
            let now = cloud.now();
            let Reply { request_id, result } = cloud.call(caller, request, now);
            ledger
                .asked
                .insert(request_id, (caller.to_owned(), operation, result.is_ok()));
        }
        Step::Wait { seconds } => cloud.advance(cloud.now() + SignedDuration::from_secs(seconds)),
        Step::Fault { operation, fails } => {
            let outcome = if fails {
                FaultOutcome::Fail
            } else {
                FaultOutcome::Hang
            };
            cloud
                .inject(Fault {
                    operation,
                    interface: None,
                    outcome,
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
        Step::Renew { owner } => {
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
    fn learn(&mut self, cloud: &Cloud) {
        for interface in cloud.interfaces() {
            let manager = interface
                .managed_by
                .as_ref()
                .map(|(account, _)| account.clone());
            self.kinds
                .insert(interface.id.clone(), (interface.kind, manager));
        }
    }

    fn judge(&mut self, cloud: &mut Cloud) {
        for change in cloud.take_changes() {
            let before = self.statuses.insert(change.interface.clone(), change.to);
            match change.from {
                Some(from) => {
                    assert!(may_become(from, change.to), "{change:?}");
                    assert!(
                        before.is_none_or(|before| before == from),
                        "{before:?} {change:?}"
                    );
                }
                None => assert_eq!(change.to, EniStatus::Creating),
            }
        }
        for notice in cloud.take_notices() {
            self.judge_notice(cloud, &notice);
        }
    }

    fn judge_notice(&mut self, cloud: &Cloud, notice: &Notice) {
        let Some((caller, operation, accepted)) = self.asked.get(&notice.request_id).cloned()
        else {
            // Not asked for: it came with an instance, and such things are never told.
            assert!(
                matches!(
                    notice.verdict,
                    Err(Silence::Primary | Silence::WithInstance)
                ),
                "{notice:?}"
            );
            return;
        };
        assert!(
            self.told.insert(notice.request_id.clone()),
            "told twice: {notice:?}"
        );
        assert_eq!((&notice.caller, notice.operation), (&caller, operation));
        match &notice.verdict {
            Ok(publication) => {
                let (kind, manager) = &self.kinds[notice.interface.as_ref().unwrap()];
                let recipient = manager.as_ref().unwrap_or(&caller);
                let preview = cloud
                    .accounts()
                    .any(|account| &account.id == recipient && account.preview);
                assert!(
                    accepted && preview && *kind == InterfaceType::Secondary,
                    "{notice:?}"
                );
                assert_eq!(
                    (&publication.recipient, &field(notice, "userId")),
                    (recipient, recipient)
                );
                let level = if publication.success {
                    ("success", "INFO")
                } else {
                    ("failed", "WARN")
                };
                assert_eq!(
                    (
                        content(notice, "result").as_str(),
                        field(notice, "level").as_str()
                    ),
                    level
                );
                assert!(
                    plausible(operation, publication.success, publication.status),
                    "{notice:?}"
                );
                assert_eq!(content(notice, "eniStatus"), publication.status.as_str());
                assert_eq!(content(notice, "requestId"), notice.request_id);
            }
            Err(Silence::Refused(_)) => assert!(!accepted, "{notice:?}"),
            Err(Silence::PreviewOff { account }) => {
                assert!(
                    cloud
                        .accounts()
                        .any(|found| &found.id == account && !found.preview),
                    "{notice:?}"
                );
            }
            Err(Silence::NotCompleted { .. }) => assert!(accepted, "{notice:?}"),
            Err(other) => panic!("{other:?} for a request that was made"),
        }
    }
}

/// The combinations that the service's documentation allows.
fn plausible(operation: Operation, success: bool, status: EniStatus) -> bool {
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

/// No address twice, no instance over its limit, and interfaces are on an instance exactly when their status says so.
fn check_space(cloud: &Cloud) {
    let mut seen: BTreeSet<IpAddr> = BTreeSet::new();
    let mut carried: BTreeMap<&str, usize> = BTreeMap::new();
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
            *carried.entry(instance).or_default() += 1;
        }
    }
    for instance in cloud.instances() {
        assert!(
            carried.get(instance.id.as_str()).copied().unwrap_or(0) <= instance.kind.interfaces,
            "{instance:?}"
        );
    }
}
