//! Every error code that the API reference lists for the four operations and that the simulation
//! can reach: the situation, the code, and the HTTP status.

use reflexarc_eni::resources::{
    Account, AddressSelection, InstanceStatus, InstanceType, Interface, InterfaceType,
    SecurityGroup, VSwitch,
};
use reflexarc_eni::{Cloud, CreateInterface, Limits, Reply, Request};

use crate::world::{
    OTHER, SERVICE, USER, attach, attached, call, cloud, complete_all, created, creation, delete,
    detach,
};

/// HTTP status, code, and a request that gets it.
type Row = (u16, &'static str, fn(&mut Cloud) -> Reply);

const CREATE: [Row; 19] = [
    (400, "MissingParameter", |cloud| {
        call_action(
            cloud,
            "CreateNetworkInterface",
            &[("SecurityGroupId", "sg-1001")],
        )
    }),
    (400, "InvalidParameter", |cloud| {
        create(cloud, |own| own.secondary = AddressSelection::Count(50))
    }),
    (400, "InvalidParameter.Conflict", |cloud| {
        let both = [
            ("VSwitchId", "vsw-1001"),
            ("SecurityGroupId", "sg-1001"),
            ("SecurityGroupIds.1", "sg-1001"),
        ];
        call_action(cloud, "CreateNetworkInterface", &both)
    }),
    (400, "UnsupportedParameter", |cloud| {
        let trunk = [
            ("VSwitchId", "vsw-1001"),
            ("SecurityGroupId", "sg-1001"),
            ("InstanceType", "Trunk"),
        ];
        call_action(cloud, "CreateNetworkInterface", &trunk)
    }),
    (403, "Abs.InvalidAccount.NotFound", |cloud| {
        call(cloud, "4711", Request::Create(creation(USER)))
    }),
    (404, "InvalidVSwitchId.NotFound", |cloud| {
        create(cloud, |own| own.vswitch = "vsw-none".into())
    }),
    (404, "InvalidSecurityGroupId.NotFound", |cloud| {
        create(cloud, |own| own.security_groups = vec!["sg-x".into()])
    }),
    (403, "InvalidOperation.VpcMismatch", |cloud| {
        cloud.add_security_group(SecurityGroup::basic("sg-b", USER, "vpc-b"));
        create(cloud, |own| own.security_groups = vec!["sg-b".into()])
    }),
    (403, "MaxEniCountExceeded", |cloud| {
        cloud.add_account(Account::user(USER).with_quota(0));
        create(cloud, |_| ())
    }),
    (403, "SecurityGroupInstanceLimitExceed", |cloud| {
        cloud.add_security_group(SecurityGroup::basic("sg-full", USER, "vpc-a").with_capacity(0));
        create(cloud, |own| own.security_groups = vec!["sg-full".into()])
    }),
    (403, "InvalidOperation.EniCountExceeded", |cloud| {
        cloud.add_security_group(
            SecurityGroup::enterprise("sg-full", USER, "vpc-a").with_capacity(0),
        );
        create(cloud, |own| own.security_groups = vec!["sg-full".into()])
    }),
    (403, "InvalidVSwitchId.IpNotEnough", |cloud| {
        let tiny = "10.1.0.0/29".parse().unwrap();
        cloud.add_vswitch(VSwitch::new(
            "vsw-tiny",
            USER,
            "vpc-a",
            "cn-hangzhou-b",
            tiny,
        ));
        create(cloud, |own| {
            (own.vswitch, own.secondary) = ("vsw-tiny".into(), AddressSelection::Count(4));
        })
    }),
    (403, "InvalidVSwitchId.IpInvalid", |cloud| {
        create(cloud, |own| own.primary = Some("10.9.9.9".parse().unwrap()))
    }),
    (403, "InvalidIp.Address", |cloud| {
        create(cloud, |own| {
            own.ipv6 = AddressSelection::Explicit(vec!["2001:db8:99::1".parse().unwrap()]);
        })
    }),
    (403, "InvalidIp.IpAssigned", |cloud| {
        create(cloud, |own| own.primary = Some("10.0.1.1".parse().unwrap()))
    }),
    (403, "InvalidIp.IpRepeated", |cloud| {
        create(cloud, |own| {
            own.primary = Some("10.0.1.9".parse().unwrap());
            own.secondary = AddressSelection::Explicit(vec!["10.0.1.9".parse().unwrap()]);
        })
    }),
    (400, "Duplicate.TagKey", |cloud| {
        create(cloud, |own| own.tags = vec![("k".into(), "v".into()); 2])
    }),
    (403, "QuotaExceed.Tags", |cloud| {
        let tags = (0..=Limits::DEFAULT.tags)
            .map(|n| (n.to_string(), String::new()))
            .collect();
        create(cloud, |own| own.tags = tags)
    }),
    (400, "IdempotentParameterMismatch", |cloud| {
        assert!(
            create(cloud, |own| own.client_token = Some("t".into()))
                .result
                .is_ok()
        );
        create(cloud, |own| {
            (own.client_token, own.name) = (Some("t".into()), "other".into());
        })
    }),
];

const ATTACH: [Row; 12] = [
    (400, "MissingParameter", |cloud| {
        call_action(cloud, "AttachNetworkInterface", &[("InstanceId", "i-1001")])
    }),
    (404, "InvalidEniId.NotFound", |cloud| {
        call(cloud, USER, attach("eni-none", USER))
    }),
    (404, "InvalidEcsId.NotFound", |cloud| {
        let interface = created(cloud, USER, USER);
        call(cloud, USER, attach(&interface.id, OTHER))
    }),
    (403, "InvalidOperation.EniServiceManaged", |cloud| {
        let interface = created(cloud, SERVICE, USER);
        call(cloud, USER, attach(&interface.id, USER))
    }),
    (403, "InvalidOperation.InvalidEniType", |cloud| {
        let primary = primary(cloud);
        call(cloud, USER, attach(&primary, USER))
    }),
    (400, "InvalidOperation.InvalidEniState", |cloud| {
        let interface = attached(cloud, USER, USER);
        call(cloud, USER, attach(&interface.id, USER))
    }),
    (400, "InvalidOperation.InvalidEcsState", |cloud| {
        let interface = created(cloud, USER, USER);
        cloud
            .set_instance_status("i-1001", InstanceStatus::Starting)
            .unwrap();
        call(cloud, USER, attach(&interface.id, USER))
    }),
    (403, "InvalidOperation.VpcMismatch", |cloud| {
        cloud.add_vswitch(VSwitch::new(
            "vsw-b",
            USER,
            "vpc-b",
            "cn-hangzhou-b",
            "10.7.0.0/24".parse().unwrap(),
        ));
        cloud.add_security_group(SecurityGroup::basic("sg-b", USER, "vpc-b"));
        create_and_attach(cloud, |own| {
            (own.vswitch, own.security_groups) = ("vsw-b".into(), vec!["sg-b".into()]);
        })
    }),
    (403, "InvalidOperation.AvailabilityZoneMismatch", |cloud| {
        cloud.add_vswitch(VSwitch::new(
            "vsw-c",
            USER,
            "vpc-a",
            "cn-hangzhou-c",
            "10.8.0.0/24".parse().unwrap(),
        ));
        create_and_attach(cloud, |own| own.vswitch = "vsw-c".into())
    }),
    (403, "InvalidOperation.Ipv4CountExceeded", |cloud| {
        create_and_attach(cloud, |own| {
            own.secondary = AddressSelection::Count(InstanceType::g7_large().ipv4);
        })
    }),
    (403, "InvalidOperation.Ipv6CountExceeded", |cloud| {
        create_and_attach(cloud, |own| {
            own.ipv6 = AddressSelection::Count(InstanceType::g7_large().ipv6 + 1);
        })
    }),
    (403, "EniPerInstanceLimitExceeded", |cloud| {
        // One of the interfaces is the primary one.
        for _ in 1..InstanceType::g7_large().interfaces {
            attached(cloud, USER, USER);
        }
        create_and_attach(cloud, |_| ())
    }),
];

const DETACH: [Row; 8] = [
    (400, "MissingParameter", |cloud| {
        call_action(cloud, "DetachNetworkInterface", &[("InstanceId", "i-1001")])
    }),
    (404, "InvalidEniId.NotFound", |cloud| {
        call(cloud, USER, detach("eni-none", USER))
    }),
    (404, "InvalidEcsId.NotFound", |cloud| {
        let interface = attached(cloud, USER, USER);
        call(
            cloud,
            USER,
            Request::Detach {
                interface: interface.id,
                instance: "i-none".into(),
            },
        )
    }),
    (403, "InvalidInstanceId.NotFound", |cloud| {
        let interface = attached(cloud, USER, USER);
        cloud
            .run_instance(
                "i-second",
                InstanceType::g7_large(),
                "vsw-1001",
                &["sg-1001"],
            )
            .unwrap();
        call(
            cloud,
            USER,
            Request::Detach {
                interface: interface.id,
                instance: "i-second".into(),
            },
        )
    }),
    (403, "InvalidOperation.EniServiceManaged", |cloud| {
        let interface = attached(cloud, SERVICE, USER);
        call(cloud, USER, detach(&interface.id, USER))
    }),
    (
        400,
        "InvalidOperation.DetachPrimaryEniNotAllowed",
        |cloud| {
            let primary = primary(cloud);
            call(cloud, USER, detach(&primary, USER))
        },
    ),
    (400, "InvalidOperation.InvalidEniState", |cloud| {
        let interface = created(cloud, USER, USER);
        call(cloud, USER, detach(&interface.id, USER))
    }),
    (400, "InvalidOperation.InvalidEcsState", |cloud| {
        let interface = attached(cloud, USER, USER);
        cloud
            .set_instance_status("i-1001", InstanceStatus::Stopping)
            .unwrap();
        call(cloud, USER, detach(&interface.id, USER))
    }),
];

const DELETE: [Row; 6] = [
    (400, "MissingParameter", |cloud| {
        call_action(cloud, "DeleteNetworkInterface", &[])
    }),
    (404, "InvalidEniId.NotFound", |cloud| {
        call(cloud, USER, delete("eni-none"))
    }),
    (403, "InvalidOperation.EniServiceManaged", |cloud| {
        let interface = created(cloud, SERVICE, USER);
        call(cloud, USER, delete(&interface.id))
    }),
    (403, "InvalidOperation.InvalidEniType", |cloud| {
        let primary = primary(cloud);
        call(cloud, USER, delete(&primary))
    }),
    (400, "InvalidOperation.InvalidEniState", |cloud| {
        let interface = attached(cloud, USER, USER);
        call(cloud, USER, delete(&interface.id))
    }),
    (400, "Throttling", |cloud| {
        let interface = created(cloud, USER, USER);
        *cloud = cloud.clone().with_limits(Limits {
            pending: 0,
            ..Limits::DEFAULT
        });
        call(cloud, USER, delete(&interface.id))
    }),
];

#[test]
fn each_error_has_its_code_and_status_and_no_event() {
    for (operation, rows) in [
        ("Create", &CREATE[..]),
        ("Attach", &ATTACH),
        ("Detach", &DETACH),
        ("Delete", &DELETE),
    ] {
        for (status, code, fails) in rows {
            let mut cloud = cloud();
            let error = fails(&mut cloud).result.expect_err(code);
            assert_eq!(
                (error.status, error.code),
                (*status, *code),
                "{operation}: {}",
                error.message
            );
            assert!(!error.message.is_empty(), "{operation}: {code}");
            let outcomes = complete_all(&mut cloud);
            let last = outcomes.last().expect("a refused request has an outcome");
            assert!(last.published.is_err(), "{operation}: {last:?}");
        }
    }
}

fn create(cloud: &mut Cloud, change: impl FnOnce(&mut CreateInterface)) -> Reply {
    let mut wanted = creation(USER);
    change(&mut wanted);
    call(cloud, USER, Request::Create(wanted))
}

/// Creates an interface and requests its attachment.
fn create_and_attach(cloud: &mut Cloud, change: impl FnOnce(&mut CreateInterface)) -> Reply {
    assert!(create(cloud, change).result.is_ok());
    let interface = complete_all(cloud)
        .pop()
        .and_then(|outcome| outcome.interface)
        .unwrap();
    call(cloud, USER, attach(&interface, USER))
}

/// Calls an action with parameters as they are sent over HTTP.
fn call_action(cloud: &mut Cloud, action: &str, parameters: &[(&str, &str)]) -> Reply {
    let parameters = parameters
        .iter()
        .copied()
        .chain([("RegionId", "cn-hangzhou")])
        .collect();
    let now = cloud.now();
    reflexarc_eni::rpc::perform(cloud, USER, action, &parameters, now)
}

fn primary(cloud: &Cloud) -> String {
    let is_primary = |interface: &&Interface| {
        interface.kind == InterfaceType::Primary && interface.instance.as_deref() == Some("i-1001")
    };
    cloud
        .interfaces()
        .find(is_primary)
        .expect("every instance has one")
        .id
        .clone()
}
