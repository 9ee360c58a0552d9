//! Secondary addresses and attributes of existing interfaces, and their events.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use proptest::prelude::*;
use reflexarc_eni::resources::SecurityGroup;
use reflexarc_eni::{Cloud, Fault, FaultMode};
use reflexarc_event::{Json, Operation, find_name};

use crate::world::{
    OTHER, PLAIN, SERVICE, USER, answer, at, attached, cloud, complete_all, created, notified,
    text_at,
};

/// Short action, parameters and error code of refused requests. `$` stands for the id of an
/// interface with one secondary address, 10.0.1.9, in a vSwitch with IPv6, `CONFIG` for
/// `NetworkInterfaceTrafficConfig`.
const ERRORS: &str = "
Assign4 PrivateIpAddress.1=10.0.1.20 MissingParameter
Assign4 $ MissingParameter
Assign4 $&Ipv6AddressCount=1 MissingParameter
Assign4 $&PrivateIpAddress.1=ten InvalidParameter
Assign4 $&PrivateIpAddress.1=10.0.9.9 InvalidVSwitchId.IpInvalid
Assign4 $&PrivateIpAddress.1=10.0.1.9 InvalidIp.IpAssigned
Assign4 $&PrivateIpAddress.1=10.0.1.20&PrivateIpAddress.2=10.0.1.20 InvalidIp.IpRepeated
Assign4 $&PrivateIpAddress.1=10.0.1.20&SecondaryPrivateIpAddressCount=1 InvalidParameter.Conflict
Assign4 $&SecondaryPrivateIpAddressCount=0 InvalidParameter
Assign4 $&SecondaryPrivateIpAddressCount=50 InvalidParameter
Assign4 $&SecondaryPrivateIpAddressCount=49 InvalidOperation.Ipv4CountExceeded
Assign4 $&Ipv4PrefixCount=11 InvalidParameter
Assign4 $&Ipv4Prefix.1=10.0.1.0/24 InvalidVSwitchId.IpInvalid
Assign4 $&SecondaryPrivateIpAddressCount=1&ClientToken=é InvalidParameter
Assign4 NetworkInterfaceId=eni-none&Ipv4PrefixCount=1 InvalidEniId.NotFound
Assign6 $ MissingParameter
Assign6 $&Ipv6AddressCount=11 InvalidParameter
Assign6 $&Ipv6Address.1=2001:db8:9::9 InvalidIp.Address
Assign6 $&Ipv6Prefix.1=2001:db8:1::/64 InvalidIp.Address
Unassign4 $ MissingParameter
Unassign4 $&PrivateIpAddress.1=10.0.1.20 InvalidIp.IpUnassigned
Unassign4 $&PrivateIpAddress.1=10.0.1.9&PrivateIpAddress.2=10.0.1.9 InvalidIp.IpRepeated
Unassign4 $&PrivateIpAddress.1=10.0.1.9&PrivateIpAddress.2=10.0.1.8 InvalidIp.IpUnassigned
Unassign4 $&Ipv4Prefix.1=10.0.1.16/28 InvalidIp.IpUnassigned
Unassign6 $ MissingParameter
Unassign6 $&Ipv6Address.1=2001:db8:1::9 InvalidIp.IpUnassigned
Modify Description=text MissingParameter
Modify $&NetworkInterfaceName=x InvalidParameter
Modify $&Description=http://example.com InvalidParameter
Modify $&SecurityGroupId.1=sg-none InvalidSecurityGroupId.NotFound
Modify $&SecurityGroupId.1=sg-1003 InvalidSecurityGroupId.NotFound
Modify $&SecurityGroupId.1=sg-elsewhere InvalidOperation.VpcMismatch
Modify $&SecurityGroupId.1=sg-full SecurityGroupInstanceLimitExceed
Modify $&QueueNumber=2049 InvalidParameter
Modify $&QueueNumber=2&CONFIG.QueueNumber=2 InvalidParameter.Conflict
Modify $&RxQueueSize=512 UnsupportedParameter
Modify $&EnhancedNetwork.EnableRss=true UnsupportedParameter
Modify $&CONFIG.NetworkInterfaceTrafficMode=HighPerformance UnsupportedParameter
Modify $&ConnectionTrackingConfiguration.UdpTimeout=11 InvalidParameter
Modify $&SourceDestCheck=perhaps InvalidParameter
Describe NetworkInterfaceId= MissingParameter
Describe NetworkInterfaceId=eni-none InvalidEniId.NotFound
";

fn describe(cloud: &mut Cloud, caller: &str, interface: &str) -> Json {
    let query = format!("NetworkInterfaceId={interface}");
    answer(cloud, caller, "DescribeNetworkInterfaceAttribute", &query).body
}

#[test]
fn each_refused_request_has_its_code_and_no_effect() {
    let mut cloud = cloud();
    let interface = created(&mut cloud, USER, USER).id;
    let own = format!("NetworkInterfaceId={interface}");
    let assign = format!("{own}&PrivateIpAddress.1=10.0.1.9");
    let assigned = answer(&mut cloud, USER, "AssignPrivateIpAddresses", &assign);
    assert!(assigned.is_accepted(), "{}", assigned.message);
    let full = SecurityGroup::basic("sg-full", USER, "vpc-a").with_capacity(1);
    cloud.add_security_group(full);
    cloud.add_security_group(SecurityGroup::basic("sg-elsewhere", USER, "vpc-b"));
    let before = describe(&mut cloud, USER, &interface);
    notified(&mut cloud);
    for line in ERRORS.lines().filter(|line| !line.is_empty()) {
        let [action, query, expected] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let action = match action {
            "Assign4" => "AssignPrivateIpAddresses",
            "Assign6" => "AssignIpv6Addresses",
            "Unassign4" => "UnassignPrivateIpAddresses",
            "Unassign6" => "UnassignIpv6Addresses",
            "Modify" => "ModifyNetworkInterfaceAttribute",
            _ => "DescribeNetworkInterfaceAttribute",
        };
        let query = query.replace("CONFIG", "NetworkInterfaceTrafficConfig");
        let response = answer(&mut cloud, USER, action, &query.replace('$', &own));
        assert_eq!(response.code, expected, "{line}: {}", response.message);
    }
    let shown = |json: &Json| json.get("PrivateIpSets").cloned();
    let after = describe(&mut cloud, USER, &interface);
    assert_eq!(shown(&after), shown(&before));
    assert_eq!(text_at(&after, "Description"), "");
    assert_eq!(notified(&mut cloud), []);
}

#[test]
fn each_change_of_addresses_has_an_event() {
    let mut cloud = cloud();
    let interface = created(&mut cloud, USER, USER);
    // The addresses of a creation are in the event of that operation.
    assert_eq!(notified(&mut cloud), []);
    let own = format!("NetworkInterfaceId={}", interface.id);
    for (action, query) in [
        ("AssignPrivateIpAddresses", "PrivateIpAddress.1=10.0.1.9"),
        ("AssignPrivateIpAddresses", "Ipv4Prefix.1=10.0.1.64/28"),
        ("UnassignPrivateIpAddresses", "PrivateIpAddress.1=10.0.1.9"),
        ("AssignIpv6Addresses", "Ipv6Address.1=2001:db8:1::9"),
        ("AssignIpv6Addresses", "Ipv6Prefix.1=2001:db8:1:0:7::/80"),
        ("UnassignIpv6Addresses", "Ipv6Address.1=2001:db8:1::9"),
    ] {
        let response = answer(&mut cloud, USER, action, &format!("{own}&{query}"));
        assert!(response.is_accepted(), "{action}: {}", response.message);
    }
    let primary = interface.addresses.primary.unwrap();
    let content = |rest: &str| {
        let text = format!(r#"{{"eniId":"{}"{rest}}}"#, interface.id);
        Json::parse(text).unwrap()
    };
    let ipv4 = |rest: &str| content(&format!(r#","primaryPrivateIp":"{primary}"{rest}"#));
    let (address, prefix) = (
        r#","secondaryPrivateIps":["10.0.1.9"]"#,
        r#","ipv4Prefixes":["10.0.1.64/28"]"#,
    );
    let prefix6 = r#","ipv6Prefixes":["2001:db8:1:0:7::/80"]"#;
    let expected = [
        ("PrivateIPAssigned", ipv4(address)),
        ("PrivateIPAssigned", ipv4(&format!("{address}{prefix}"))),
        ("PrivateIPUnassigned", ipv4(prefix)),
        (
            "PrivateIPv6Assigned",
            content(r#","ipv6s":["2001:db8:1::9"]"#),
        ),
        (
            "PrivateIPv6Assigned",
            content(&format!(r#","ipv6s":["2001:db8:1::9"]{prefix6}"#)),
        ),
        ("PrivateIPv6Unassigned", content(prefix6)),
    ];
    let expected = expected.map(|(name, content)| (format!("NetworkInterface:{name}"), content));
    assert_eq!(notified(&mut cloud), expected);
    for (name, _) in expected {
        assert!(find_name(&name).is_some(), "{name}");
    }
    assert!(answer(&mut cloud, USER, "DeleteNetworkInterface", &own).is_accepted());
    complete_all(&mut cloud);
    assert_eq!(notified(&mut cloud), []);
}

#[test]
fn the_event_of_a_managed_interface_goes_to_the_service() {
    let mut cloud = cloud();
    let interface = created(&mut cloud, SERVICE, USER);
    let query = format!("NetworkInterfaceId={}&Ipv4PrefixCount=1", interface.id);
    let refused = answer(&mut cloud, USER, "AssignPrivateIpAddresses", &query);
    assert_eq!(refused.code, "InvalidOperation.EniServiceManaged");
    assert!(answer(&mut cloud, SERVICE, "AssignPrivateIpAddresses", &query).is_accepted());
    let sent = cloud.take_notifications().remove(0);
    assert_eq!(sent.recipient, SERVICE);
    // The account in the resource's name is that of the owner.
    let resource = text_at(sent.event.tree(), "resourceId");
    assert_eq!(
        resource,
        format!("acs:ecs:cn-hangzhou:{USER}:eni/{}", interface.id)
    );
}

#[test]
fn accounts_without_the_preview_get_events_of_addresses() {
    let mut cloud = cloud();
    let interface = created(&mut cloud, PLAIN, PLAIN);
    let query = format!("NetworkInterfaceId={}&Ipv4PrefixCount=1", interface.id);
    assert!(answer(&mut cloud, PLAIN, "AssignPrivateIpAddresses", &query).is_accepted());
    assert_eq!(notified(&mut cloud).len(), 1);
}

#[test]
fn a_repeated_assignment_changes_nothing() {
    let mut cloud = cloud();
    let interface = created(&mut cloud, USER, USER);
    let query = |count: usize| {
        let id = &interface.id;
        format!("NetworkInterfaceId={id}&SecondaryPrivateIpAddressCount={count}&ClientToken=t")
    };
    let action = "AssignPrivateIpAddresses";
    let first = answer(&mut cloud, USER, action, &query(2));
    let second = answer(&mut cloud, USER, action, &query(2));
    let set = |response: &reflexarc_eni::rpc::RpcResponse| {
        at(&response.body, "AssignedPrivateIpAddressesSet").clone()
    };
    assert_eq!(set(&first), set(&second));
    assert_ne!(first.request_id, second.request_id);
    let other = answer(&mut cloud, USER, action, &query(3));
    assert_eq!(other.code, "IdempotentParameterMismatch");
    assert_eq!(notified(&mut cloud).len(), 1);
    let secondary = &cloud.interface(&interface.id).unwrap().addresses.secondary;
    assert_eq!(secondary.len(), 2);
}

#[test]
fn addresses_change_only_in_some_statuses() {
    let mut cloud = cloud();
    let interface = attached(&mut cloud, USER, USER);
    let own = format!("NetworkInterfaceId={}", interface.id);
    let assign = |cloud: &mut Cloud| {
        let query = format!("{own}&SecondaryPrivateIpAddressCount=1");
        answer(cloud, USER, "AssignPrivateIpAddresses", &query).code
    };
    assert_eq!(assign(&mut cloud), "");
    cloud
        .inject(Fault {
            operation: Operation::Detach,
            interface: None,
            mode: FaultMode::Hang,
            times: 1,
        })
        .unwrap();
    let query = format!("{own}&InstanceId=i-1001");
    answer(&mut cloud, USER, "DetachNetworkInterface", &query);
    complete_all(&mut cloud);
    let refused = "InvalidOperation.InvalidEniState";
    assert_eq!(assign(&mut cloud), refused);
    let modify = format!("{own}&Description=text");
    let modified = answer(&mut cloud, USER, "ModifyNetworkInterfaceAttribute", &modify);
    assert_eq!(modified.code, refused);
}

#[test]
fn addresses_of_primary_interfaces_need_a_steady_instance() {
    let mut cloud = cloud();
    let primary = cloud.interfaces().find(|found| found.owner == USER);
    let query = format!(
        "NetworkInterfaceId={}&SecondaryPrivateIpAddressCount=1",
        primary.unwrap().id
    );
    let action = "AssignPrivateIpAddresses";
    assert!(answer(&mut cloud, USER, action, &query).is_accepted());
    answer(&mut cloud, USER, "StopInstance", "InstanceId=i-1001");
    let refused = answer(&mut cloud, USER, action, &query);
    assert_eq!(refused.code, "InvalidOperation.InvalidEcsState");
    let groups = query.replace(
        "SecondaryPrivateIpAddressCount=1",
        "SecurityGroupId.1=sg-1001",
    );
    let refused = answer(&mut cloud, USER, "ModifyNetworkInterfaceAttribute", &groups);
    assert_eq!(refused.code, "InvalidOperation.InvalidEniType");
}

#[test]
fn basic_security_groups_count_assigned_addresses() {
    let mut cloud = cloud();
    let interface = created(&mut cloud, USER, USER);
    // The primary interface of the instance and this one have an address each.
    let group = SecurityGroup::basic("sg-1001", USER, "vpc-a").with_capacity(3);
    cloud.add_security_group(group);
    let assign = |cloud: &mut Cloud, address: &str| {
        let id = &interface.id;
        let query = format!("NetworkInterfaceId={id}&PrivateIpAddress.1={address}");
        answer(cloud, USER, "AssignPrivateIpAddresses", &query).code
    };
    assert_eq!(assign(&mut cloud, "10.0.1.20"), "");
    assert_eq!(
        assign(&mut cloud, "10.0.1.21"),
        "SecurityGroupInstanceLimitExceed"
    );
    // The refused request gave its address back.
    let group = SecurityGroup::basic("sg-1001", USER, "vpc-a");
    cloud.add_security_group(group);
    assert_eq!(assign(&mut cloud, "10.0.1.21"), "");
}

#[test]
fn returned_addresses_are_free_again() {
    let mut cloud = cloud();
    let (one, two) = (
        created(&mut cloud, USER, USER),
        created(&mut cloud, USER, USER),
    );
    let call = |cloud: &mut Cloud, action: &str, id: &str| {
        let query = format!("NetworkInterfaceId={id}&PrivateIpAddress.1=10.0.1.20");
        answer(cloud, USER, action, &query).code
    };
    assert_eq!(call(&mut cloud, "AssignPrivateIpAddresses", &one.id), "");
    let in_use = call(&mut cloud, "AssignPrivateIpAddresses", &two.id);
    assert_eq!(in_use, "InvalidIp.IpAssigned");
    assert_eq!(call(&mut cloud, "UnassignPrivateIpAddresses", &one.id), "");
    assert_eq!(call(&mut cloud, "AssignPrivateIpAddresses", &two.id), "");
}

#[test]
fn a_vswitch_without_ipv6_has_a_code_of_its_own() {
    let mut cloud = cloud();
    let network = "10.0.7.0/24".parse().unwrap();
    let vswitch = reflexarc_eni::resources::VSwitch::new(
        "vsw-four",
        OTHER,
        "vpc-a",
        "cn-hangzhou-b",
        network,
    );
    cloud.add_vswitch(vswitch);
    let query = "VSwitchId=vsw-four&SecurityGroupId=sg-1003";
    let made = answer(&mut cloud, OTHER, "CreateNetworkInterface", query);
    let id = text_at(&made.body, "NetworkInterfaceId");
    let query = format!("NetworkInterfaceId={id}&Ipv6AddressCount=1");
    let refused = answer(&mut cloud, OTHER, "AssignIpv6Addresses", &query);
    assert_eq!(
        (refused.status, refused.code),
        (403, "InvalidVSwitch.Ipv6NotTurnOn")
    );
}

#[test]
fn modified_attributes_are_shown_and_cleared() {
    let mut cloud = cloud();
    let interface = created(&mut cloud, USER, USER).id;
    let modify = |cloud: &mut Cloud, query: &str| {
        let query = format!("NetworkInterfaceId={interface}&{query}");
        let response = answer(cloud, USER, "ModifyNetworkInterfaceAttribute", &query);
        assert!(response.is_accepted(), "{query}: {}", response.message);
    };
    modify(
        &mut cloud,
        "NetworkInterfaceName=web&Description=old&EnablePrimaryIPv6=true",
    );
    modify(
        &mut cloud,
        "Description=&DeleteOnRelease=false&SourceDestCheck=true",
    );
    let query = format!("NetworkInterfaceId={interface}&Ipv6AddressCount=2");
    assert!(answer(&mut cloud, USER, "AssignIpv6Addresses", &query).is_accepted());
    let shown = describe(&mut cloud, USER, &interface);
    assert_eq!(text_at(&shown, "NetworkInterfaceName"), "web");
    assert_eq!(text_at(&shown, "Description"), "");
    assert_eq!(at(&shown, "DeleteOnRelease").as_bool(), Some(false));
    assert_eq!(at(&shown, "SourceDestCheck").as_bool(), Some(true));
    assert_eq!(
        at(&shown, "Ipv6Sets.Ipv6Set.0.Primary").as_bool(),
        Some(true)
    );
    assert_eq!(at(&shown, "Ipv6Sets.Ipv6Set.1.Primary"), &Json::Null);
    // Others do not see it.
    let query = format!("NetworkInterfaceId={interface}");
    let hidden = answer(
        &mut cloud,
        OTHER,
        "DescribeNetworkInterfaceAttribute",
        &query,
    );
    assert_eq!(hidden.code, "InvalidEniId.NotFound");
}

/// A change of the addresses of one of two interfaces. Addresses are few, so that requests collide.
#[derive(Debug, Clone)]
struct Change {
    interface: usize,
    is_assignment: bool,
    /// The last part of an address; 0 for any free one.
    address: u8,
}

fn change() -> impl Strategy<Value = Change> {
    (0..2_usize, any::<bool>(), 0..8_u8).prop_map(|(interface, is_assignment, address)| Change {
        interface,
        is_assignment,
        address,
    })
}

proptest! {
    /// The naive twin keeps only who has which address, and decides by it which requests succeed.
    #[test]
    fn random_changes_never_share_or_lose_an_address(
        changes in prop::collection::vec(change(), 0..40),
    ) {
        let mut cloud = cloud();
        let ids = [created(&mut cloud, USER, USER).id, created(&mut cloud, USER, USER).id];
        let mut owners: BTreeMap<Ipv4Addr, usize> = BTreeMap::new();
        for (owner, id) in ids.iter().enumerate() {
            owners.extend(cloud.interface(id).unwrap().addresses.primary.map(|one| (one, owner)));
        }
        let primaries: Vec<Ipv4Addr> = owners.keys().copied().collect();
        // The primary interface of the instance has the first one.
        owners.insert("10.0.1.1".parse().unwrap(), 2);
        for Change { interface, is_assignment, address } in changes {
            let own = format!("NetworkInterfaceId={}", ids[interface]);
            let named = Ipv4Addr::new(10, 0, 1, address);
            if !is_assignment {
                let query = format!("{own}&PrivateIpAddress.1={named}");
                let done = answer(&mut cloud, USER, "UnassignPrivateIpAddresses", &query);
                let has = owners.get(&named) == Some(&interface) && !primaries.contains(&named);
                prop_assert_eq!(done.is_accepted(), has);
                if has {
                    owners.remove(&named);
                }
            } else if address == 0 {
                let query = format!("{own}&SecondaryPrivateIpAddressCount=1");
                let done = answer(&mut cloud, USER, "AssignPrivateIpAddresses", &query);
                prop_assert!(done.is_accepted());
                let path = "AssignedPrivateIpAddressesSet.PrivateIpSet.PrivateIpAddress.0";
                let found: Ipv4Addr = text_at(&done.body, path).parse().unwrap();
                prop_assert_eq!(owners.insert(found, interface), None);
            } else {
                let query = format!("{own}&PrivateIpAddress.1={named}");
                let done = answer(&mut cloud, USER, "AssignPrivateIpAddresses", &query);
                prop_assert_eq!(done.is_accepted(), !owners.contains_key(&named));
                owners.entry(named).or_insert(interface);
            }
        }
        for (owner, id) in ids.iter().enumerate() {
            let addresses = &cloud.interface(id).unwrap().addresses;
            let mut found: Vec<Ipv4Addr> = addresses.secondary.clone();
            found.extend(addresses.primary);
            found.sort_unstable();
            let expected = owners.iter().filter(|(_, of)| **of == owner);
            let expected: Vec<Ipv4Addr> = expected.map(|(address, _)| *address).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
