//! Instances and their types in responses.

use reflexarc_event::Json;

use super::{listed, next_token, number, object, set, tags};
use crate::resources::{InstanceStatus, InstanceType, Interface};
use crate::{InstanceDetails, Listed};

pub(super) fn described(page: &Listed<InstanceDetails>) -> Vec<(&'static str, Json)> {
    let instances = page.items.iter().map(|details| object(instance(details)));
    let instances: Vec<Json> = instances.collect();
    let instances = object([("Instance", instances.into())]);
    listed(page, ("Instances", instances))
}

pub(super) fn types(page: &Listed<InstanceType>) -> Vec<(&'static str, Json)> {
    let types = page.items.iter().map(|kind| {
        object([
            ("InstanceTypeId", kind.name.as_str().into()),
            ("InstanceTypeFamily", kind.family().into()),
            ("CpuCoreCount", number(kind.cpus)),
            ("MemorySize", number(kind.memory)),
            ("CpuArchitecture", "X86".into()),
            ("EniQuantity", number(kind.interfaces)),
            // There are no trunk and member interfaces, which would count here only.
            ("EniTotalQuantity", number(kind.interfaces)),
            ("EniTrunkSupported", false.into()),
            ("EniPrivateIpAddressQuantity", number(kind.ipv4)),
            ("EniIpv6AddressQuantity", number(kind.ipv6)),
            ("EriQuantity", number(0)),
            ("MaximumQueueNumberPerEni", number(kind.queues)),
            ("PrimaryEniQueueNumber", number(kind.queues)),
            ("SecondaryEniQueueNumber", number(kind.queues)),
            (
                "TotalEniQueueQuantity",
                number(kind.queues * kind.interfaces),
            ),
            ("NetworkCardQuantity", number(1)),
        ])
    });
    let types: Vec<Json> = types.collect();
    let types = object([("InstanceType", types.into())]);
    vec![("InstanceTypes", types), next_token(page)]
}

/// The result of a request for several instances.
pub(super) fn changed(
    changed: &[(String, InstanceStatus, InstanceStatus)],
) -> Vec<(&'static str, Json)> {
    let responses = changed.iter().map(|(instance, before, after)| {
        object([
            ("InstanceId", instance.as_str().into()),
            ("PreviousStatus", before.name().into()),
            ("CurrentStatus", after.name().into()),
            ("Code", "200".into()),
            ("Message", "success".into()),
        ])
    });
    let responses: Vec<Json> = responses.collect();
    let responses = object([("InstanceResponse", responses.into())]);
    vec![("InstanceResponses", responses)]
}

fn instance(details: &InstanceDetails) -> Vec<(&'static str, Json)> {
    let InstanceDetails {
        region,
        instance,
        interfaces,
    } = details;
    let primary = details.primary();
    let groups: Vec<Json> = primary.map_or_else(Vec::new, |primary| {
        let groups = primary.security_groups.iter();
        groups.map(|group| group.as_str().into()).collect()
    });
    let address = primary.and_then(|primary| primary.addresses.primary);
    let addresses: Vec<Json> = address.iter().map(|one| one.to_string().into()).collect();
    let vpc = object([
        ("VpcId", instance.vpc.as_str().into()),
        (
            "VSwitchId",
            primary.map_or("", |primary| &primary.vswitch).into(),
        ),
        (
            "PrivateIpAddress",
            object([("IpAddress", addresses.into())]),
        ),
        ("NatIpAddress", "".into()),
    ]);
    let attached: Vec<Json> = interfaces.iter().map(attached).collect();
    let none = || object([("IpAddress", Json::Array(Vec::new()))]);
    let stopped_mode = instance.stopped_mode.as_deref().unwrap_or("Not-applicable");
    vec![
        ("InstanceId", instance.id.as_str().into()),
        ("InstanceName", instance.name.as_str().into()),
        ("Description", "".into()),
        ("Status", instance.status.name().into()),
        ("InstanceType", instance.kind.name.as_str().into()),
        ("InstanceTypeFamily", instance.kind.family().into()),
        ("Cpu", number(instance.kind.cpus)),
        // Here in MiB, unlike in a description of the type.
        ("Memory", number(instance.kind.memory * 1024)),
        ("RegionId", region.as_str().into()),
        ("ZoneId", instance.zone.as_str().into()),
        ("CreationTime", minute(instance.created).into()),
        ("StartTime", minute(instance.started).into()),
        ("StoppedMode", stopped_mode.into()),
        ("InstanceNetworkType", "vpc".into()),
        ("InstanceChargeType", "PostPaid".into()),
        ("DeletionProtection", false.into()),
        ("ResourceGroupId", instance.resource_group.as_str().into()),
        ("VpcAttributes", vpc),
        (
            "SecurityGroupIds",
            object([("SecurityGroupId", groups.into())]),
        ),
        (
            "NetworkInterfaces",
            object([("NetworkInterface", attached.into())]),
        ),
        ("Tags", tags(&instance.tags)),
        ("PublicIpAddress", none()),
        ("InnerIpAddress", none()),
    ]
}

/// An interface in the description of its instance.
fn attached(interface: &Interface) -> Json {
    let addresses = &interface.addresses;
    let primary = addresses.primary;
    let private = primary.iter().chain(&addresses.secondary).map(|address| {
        object([
            ("PrivateIpAddress", address.to_string().into()),
            ("Primary", (primary == Some(*address)).into()),
        ])
    });
    let private: Vec<Json> = private.collect();
    object([
        ("NetworkInterfaceId", interface.id.as_str().into()),
        ("Type", interface.kind.name().into()),
        ("MacAddress", interface.mac.as_str().into()),
        (
            "PrimaryIpAddress",
            primary
                .map(|address| address.to_string())
                .unwrap_or_default()
                .into(),
        ),
        ("PrivateIpSets", object([("PrivateIpSet", private.into())])),
        ("Ipv6Sets", set("Ipv6Set", "Ipv6Address", &addresses.ipv6)),
        (
            "Ipv4PrefixSets",
            set("Ipv4PrefixSet", "Ipv4Prefix", &addresses.ipv4_prefixes),
        ),
        (
            "Ipv6PrefixSets",
            set("Ipv6PrefixSet", "Ipv6Prefix", &addresses.ipv6_prefixes),
        ),
    ])
}

/// Times of instances have no seconds.
fn minute(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%MZ").to_string()
}
