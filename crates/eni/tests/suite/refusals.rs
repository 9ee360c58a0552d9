//! The conditions of each operation, and the error codes when they do not hold.

use reflexarc_eni::resources::{
    Account, AddressSelection, InstanceStatus, InstanceType, SecurityGroup, VSwitch,
};
use reflexarc_eni::{Cloud, CreateInterface, Limits, Request};

use crate::world::{
    OTHER, PLAIN, SERVICE, USER, attach, attached, call, cloud, code, complete_all, created,
    creation, delete, detach,
};

#[test]
fn a_creation_requires_its_vswitch_and_groups() {
    let mut cloud = cloud();
    cloud.add_security_group(SecurityGroup::basic("sg-elsewhere", USER, "vpc-b"));
    cloud.add_security_group(SecurityGroup::basic("sg-full", USER, "vpc-a").with_capacity(1));
    cloud.add_security_group(
        SecurityGroup::enterprise("sg-full-enterprise", USER, "vpc-a").with_capacity(0),
    );
    let own = creation(USER);
    let group = |id: &str| CreateInterface {
        security_groups: vec![id.into()],
        ..own.clone()
    };
    let cases = [
        (
            CreateInterface {
                vswitch: "vsw-none".into(),
                ..own.clone()
            },
            "InvalidVSwitchId.NotFound",
        ),
        (creation(OTHER), "InvalidVSwitchId.NotFound"),
        (group("sg-none"), "InvalidSecurityGroupId.NotFound"),
        (
            group(&format!("sg-{OTHER}")),
            "InvalidSecurityGroupId.NotFound",
        ),
        (group("sg-elsewhere"), "InvalidOperation.VpcMismatch"),
        (
            CreateInterface {
                secondary: AddressSelection::Count(1),
                ..group("sg-full")
            },
            "SecurityGroupInstanceLimitExceed",
        ),
        (
            group("sg-full-enterprise"),
            "InvalidOperation.EniCountExceeded",
        ),
        (
            CreateInterface {
                security_groups: vec![],
                ..own.clone()
            },
            "InvalidParameter",
        ),
    ];
    assert_refused(&mut cloud, &cases);
    // The refused requests have not used the capacity of a group.
    assert!(
        call(&mut cloud, USER, Request::Create(group("sg-full")))
            .result
            .is_ok()
    );
}

#[test]
fn a_creation_requires_free_addresses_of_its_vswitch() {
    let mut cloud = cloud();
    cloud.add_vswitch(VSwitch::new(
        "vsw-tiny",
        USER,
        "vpc-a",
        "cn-hangzhou-b",
        "10.1.0.0/29".parse().unwrap(),
    ));
    let own = creation(USER);
    let cases = [
        (
            CreateInterface {
                vswitch: "vsw-tiny".into(),
                secondary: AddressSelection::Count(4),
                ..own.clone()
            },
            "InvalidVSwitchId.IpNotEnough",
        ),
        (
            CreateInterface {
                primary: Some("10.9.9.9".parse().unwrap()),
                ..own.clone()
            },
            "InvalidVSwitchId.IpInvalid",
        ),
        (
            CreateInterface {
                primary: Some("10.0.1.1".parse().unwrap()),
                ..own.clone()
            },
            "InvalidIp.IpAssigned",
        ),
        (
            CreateInterface {
                primary: Some("10.0.1.9".parse().unwrap()),
                secondary: AddressSelection::Explicit(vec!["10.0.1.9".parse().unwrap()]),
                ..own.clone()
            },
            "InvalidIp.IpRepeated",
        ),
    ];
    assert_refused(&mut cloud, &cases);
    // The refused requests have not used an address.
    assert_eq!(
        created(&mut cloud, USER, USER).addresses.primary,
        Some("10.0.1.2".parse().unwrap())
    );
}

/// Each creation is refused with its error code.
fn assert_refused(cloud: &mut Cloud, cases: &[(CreateInterface, &str)]) {
    for (wanted, expected) in cases {
        let reply = call(cloud, USER, Request::Create(wanted.clone()));
        assert_eq!(code(&reply), *expected, "{wanted:?}");
    }
}

#[test]
fn the_quota_counts_only_interfaces_of_the_account() {
    let mut cloud = cloud();
    cloud.add_account(Account::user(USER).with_quota(1));
    created(&mut cloud, SERVICE, USER);
    let interface = created(&mut cloud, USER, USER);
    assert_eq!(
        code(&call(&mut cloud, USER, Request::Create(creation(USER)))),
        "MaxEniCountExceeded"
    );
    call(&mut cloud, USER, delete(&interface.id));
    complete_all(&mut cloud);
    assert!(
        call(&mut cloud, USER, Request::Create(creation(USER)))
            .result
            .is_ok()
    );
}

#[test]
fn an_attachment_checks_interface_and_instance() {
    let mut cloud = cloud();
    let ipv4 = "10.0.1.0/24".parse().unwrap();
    cloud.add_vswitch(VSwitch::new(
        "vsw-zone",
        USER,
        "vpc-a",
        "cn-hangzhou-c",
        "10.3.0.0/24".parse().unwrap(),
    ));
    cloud.add_vswitch(VSwitch::new(
        "vsw-vpc",
        USER,
        "vpc-b",
        "cn-hangzhou-b",
        ipv4,
    ));
    cloud.add_security_group(SecurityGroup::basic("sg-vpc", USER, "vpc-b"));
    let group = format!("sg-{USER}");
    let mut make = |wanted: CreateInterface| {
        call(&mut cloud, USER, Request::Create(wanted));
        complete_all(&mut cloud)[0].interface.clone().unwrap()
    };
    let zone = make(CreateInterface::new("vsw-zone", [group.as_str()]));
    let vpc = make(CreateInterface::new("vsw-vpc", ["sg-vpc"]));
    let many = make(CreateInterface {
        secondary: AddressSelection::Count(6),
        ..creation(USER)
    });
    let many6 = make(CreateInterface {
        ipv6: AddressSelection::Count(7),
        ..creation(USER)
    });
    let plain = make(creation(USER));
    let used = attached(&mut cloud, USER, USER);
    let primary = primary_of(&cloud, "i-1001");
    let managed = created(&mut cloud, SERVICE, USER);
    let foreign = created(&mut cloud, OTHER, OTHER);
    let to_own = |id: &str| attach(id, USER);
    let cases = [
        (to_own("eni-none"), "InvalidEniId.NotFound"),
        (to_own(&foreign.id), "InvalidEniId.NotFound"),
        (attach(&plain, "none"), "InvalidEcsId.NotFound"),
        (attach(&plain, OTHER), "InvalidEcsId.NotFound"),
        (to_own(&managed.id), "InvalidOperation.EniServiceManaged"),
        (to_own(&primary), "InvalidOperation.InvalidEniType"),
        (to_own(&used.id), "InvalidOperation.InvalidEniState"),
        (to_own(&zone), "InvalidOperation.AvailabilityZoneMismatch"),
        (to_own(&vpc), "InvalidOperation.VpcMismatch"),
        (to_own(&many), "InvalidOperation.Ipv4CountExceeded"),
        (to_own(&many6), "InvalidOperation.Ipv6CountExceeded"),
    ];
    for (request, expected) in cases {
        let reply = call(&mut cloud, USER, request.clone());
        assert_eq!(code(&reply), expected, "{request:?}");
    }
    for status in InstanceStatus::ALL {
        cloud.set_instance_status("i-1001", status).unwrap();
        let reply = call(&mut cloud, USER, to_own(&plain));
        if status.accepts_interfaces() {
            assert!(reply.result.is_ok(), "{status:?}");
            complete_all(&mut cloud);
            call(&mut cloud, USER, detach(&plain, USER));
            complete_all(&mut cloud);
        } else {
            assert_eq!(
                code(&reply),
                "InvalidOperation.InvalidEcsState",
                "{status:?}"
            );
        }
    }
}

#[test]
fn a_detachment_requires_an_attached_secondary_interface() {
    let mut cloud = cloud();
    let group = format!("sg-{USER}");
    cloud
        .run_instance(
            "i-second",
            InstanceType::g7_large(),
            &format!("vsw-{USER}"),
            &[&group],
        )
        .unwrap();
    let available = created(&mut cloud, USER, USER);
    let used = attached(&mut cloud, USER, USER);
    let managed = attached(&mut cloud, SERVICE, USER);
    let primary = primary_of(&cloud, "i-1001");
    let from = |id: &str, instance: &str| Request::Detach {
        interface: id.into(),
        instance: instance.into(),
    };
    let cases = [
        (from("eni-none", "i-1001"), "InvalidEniId.NotFound"),
        (from(&used.id, "i-none"), "InvalidEcsId.NotFound"),
        (from(&used.id, "i-second"), "InvalidInstanceId.NotFound"),
        (
            from(&available.id, "i-1001"),
            "InvalidOperation.InvalidEniState",
        ),
        (
            from(&primary, "i-1001"),
            "InvalidOperation.DetachPrimaryEniNotAllowed",
        ),
        (
            from(&managed.id, "i-1001"),
            "InvalidOperation.EniServiceManaged",
        ),
    ];
    for (request, expected) in cases {
        assert_eq!(
            code(&call(&mut cloud, USER, request.clone())),
            expected,
            "{request:?}"
        );
    }
    cloud
        .set_instance_status("i-1001", InstanceStatus::Starting)
        .unwrap();
    assert_eq!(
        code(&call(&mut cloud, USER, from(&used.id, "i-1001"))),
        "InvalidOperation.InvalidEcsState"
    );
}

#[test]
fn a_deletion_requires_an_available_secondary_interface() {
    let mut cloud = cloud();
    let used = attached(&mut cloud, USER, USER);
    let managed = created(&mut cloud, SERVICE, USER);
    let primary = primary_of(&cloud, "i-1001");
    let foreign = created(&mut cloud, OTHER, OTHER);
    let cases = [
        ("eni-none", "InvalidEniId.NotFound"),
        (&foreign.id, "InvalidEniId.NotFound"),
        (&used.id, "InvalidOperation.InvalidEniState"),
        (&managed.id, "InvalidOperation.EniServiceManaged"),
        (&primary, "InvalidOperation.InvalidEniType"),
    ];
    for (id, expected) in cases {
        assert_eq!(code(&call(&mut cloud, USER, delete(id))), expected, "{id}");
    }
}

#[test]
fn requests_of_unknown_accounts_are_refused() {
    let mut cloud = cloud();
    assert_eq!(
        code(&call(&mut cloud, "4711", Request::Create(creation(USER)))),
        "Abs.InvalidAccount.NotFound"
    );
}

#[test]
fn a_creation_can_use_every_limit_in_full() {
    let mut cloud = cloud();
    let limits = Limits::DEFAULT;
    let own = creation(PLAIN);
    let addresses = |n: usize| {
        (0..n)
            .map(|i| format!("10.0.2.{}", 10 + i).parse().unwrap())
            .collect()
    };
    let over = [
        CreateInterface {
            security_groups: vec![format!("sg-{PLAIN}"); limits.security_groups + 1],
            ..own.clone()
        },
        CreateInterface {
            secondary: AddressSelection::Explicit(addresses(limits.secondary_named + 1)),
            ..own.clone()
        },
        CreateInterface {
            secondary: AddressSelection::Count(limits.secondary_counted + 1),
            ..own.clone()
        },
        CreateInterface {
            ipv6: AddressSelection::Count(limits.ipv6 + 1),
            ..own.clone()
        },
        CreateInterface {
            ipv4_prefixes: AddressSelection::Count(limits.prefixes + 1),
            ..own.clone()
        },
        CreateInterface {
            ipv6_prefixes: AddressSelection::Count(limits.prefixes + 1),
            ..own.clone()
        },
    ];
    for wanted in over {
        assert_eq!(
            code(&call(&mut cloud, PLAIN, Request::Create(wanted.clone()))),
            "InvalidParameter",
            "{wanted:?}"
        );
    }
    let most = CreateInterface {
        secondary: AddressSelection::Count(limits.secondary_counted),
        ipv6: AddressSelection::Count(limits.ipv6),
        ipv4_prefixes: AddressSelection::Count(limits.prefixes),
        ipv6_prefixes: AddressSelection::Count(limits.prefixes),
        ..own
    };
    assert!(
        call(&mut cloud, PLAIN, Request::Create(most))
            .result
            .is_ok()
    );
}

#[test]
fn requests_in_progress_and_journal_are_limited() {
    let mut cloud = cloud().with_limits(Limits {
        pending: 1,
        journal: 2,
        ..Limits::DEFAULT
    });
    let (first, second) = (
        created(&mut cloud, USER, USER),
        created(&mut cloud, USER, USER),
    );
    assert!(
        call(&mut cloud, USER, attach(&first.id, USER))
            .result
            .is_ok()
    );
    assert_eq!(
        code(&call(&mut cloud, USER, attach(&second.id, USER))),
        "Throttling"
    );
    for _ in 0..5 {
        call(&mut cloud, USER, attach(&second.id, USER));
    }
    assert_eq!(cloud.take_outcomes().len(), 2);
    assert_eq!(cloud.take_changes().len(), 2);
}

fn primary_of(cloud: &reflexarc_eni::Cloud, instance: &str) -> String {
    let primary = |interface: &&reflexarc_eni::resources::Interface| {
        interface.kind == reflexarc_eni::resources::InterfaceType::Primary
            && interface.instance.as_deref() == Some(instance)
    };
    cloud
        .interfaces()
        .find(primary)
        .expect("every instance has one")
        .id
        .clone()
}
