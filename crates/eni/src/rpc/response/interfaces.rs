//! Interfaces in responses.

use reflexarc_event::Json;

use super::{number, object, set, tags};
use crate::resources::Interface;

/// The members of an interface in a description: those of a creation and more.
pub(super) fn described(interface: &Interface) -> Vec<(&'static str, Json)> {
    let mut members = created(interface);
    let instance = interface.instance.as_deref().unwrap_or_default();
    // The instance is in two places: `InstanceId` is the older member, `Attachment` the newer one.
    let card = interface.network_card;
    let card = card.map(|card| ("NetworkCardIndex", number(card)));
    let attachment = match &interface.instance {
        Some(instance) => object(
            [("InstanceId", Json::from(instance.as_str()))]
                .into_iter()
                .chain(card),
        ),
        None => object([]),
    };
    let settings = &interface.settings;
    let queues = settings
        .queue_number
        .map(|queues| ("QueueNumber", number(queues)));
    let pairs = settings.queue_pair_number;
    let pairs = pairs.map(|pairs| ("QueuePairNumber", number(pairs)));
    members.extend([
        (
            "CreationTime",
            interface
                .created
                .strftime("%Y-%m-%dT%H:%M:%SZ")
                .to_string()
                .into(),
        ),
        ("DeleteOnRelease", interface.delete_on_release.into()),
        ("InstanceId", instance.into()),
        ("Attachment", attachment),
        ("NetworkInterfaceTrafficMode", "Standard".into()),
    ]);
    members.extend(queues.into_iter().chain(pairs));
    members
}

/// The members of a description of one interface: those of a list and more.
pub(super) fn attributes(interface: &Interface) -> Vec<(&'static str, Json)> {
    let mut members = described(interface);
    let settings = &interface.settings;
    // The documented defaults.
    let tracking = [
        (
            "TcpEstablishedTimeout",
            settings.tcp_established_timeout.unwrap_or(910),
        ),
        (
            "TcpClosedAndTimeWaitTimeout",
            settings.tcp_closed_timeout.unwrap_or(3),
        ),
        ("UdpTimeout", settings.udp_timeout.unwrap_or(30)),
    ];
    let tracking = object(tracking.map(|(key, seconds)| (key, number(seconds))));
    let in_config = |key: &str| {
        let keys = [
            "NetworkInterfaceTrafficMode",
            "QueueNumber",
            "QueuePairNumber",
        ];
        keys.contains(&key)
    };
    let config = members.iter().filter(|(key, _)| in_config(key)).cloned();
    let config = object(config.collect::<Vec<_>>());
    members.extend([
        ("ConnectionTrackingConfiguration", tracking),
        ("NetworkInterfaceTrafficConfig", config),
    ]);
    members
}

/// The members of an interface in the response to a creation.
pub(super) fn created(interface: &Interface) -> Vec<(&'static str, Json)> {
    let addresses = &interface.addresses;
    let primary = addresses
        .primary
        .map(|address| address.to_string())
        .unwrap_or_default();
    let private = addresses
        .primary
        .iter()
        .chain(&addresses.secondary)
        .map(|address| {
            let is_primary = addresses.primary == Some(*address);
            object([
                ("PrivateIpAddress", address.to_string().into()),
                ("Primary", is_primary.into()),
            ])
        });
    let has_primary_ipv6 = interface.settings.primary_ipv6 == Some(true);
    let ipv6 = addresses.ipv6.iter().enumerate().map(|(i, address)| {
        let address = ("Ipv6Address", Json::from(address.to_string()));
        let primary = (i == 0 && has_primary_ipv6).then(|| ("Primary", true.into()));
        object([address].into_iter().chain(primary))
    });
    let groups: Vec<Json> = interface
        .security_groups
        .iter()
        .map(|group| group.as_str().into())
        .collect();
    let mut members = vec![
        ("NetworkInterfaceId", interface.id.as_str().into()),
        ("NetworkInterfaceName", interface.name.as_str().into()),
        ("Description", interface.description.as_str().into()),
        ("Status", interface.status.as_str().into()),
        ("Type", interface.kind.name().into()),
        ("VSwitchId", interface.vswitch.as_str().into()),
        ("VpcId", interface.vpc.as_str().into()),
        ("ZoneId", interface.zone.as_str().into()),
        ("MacAddress", interface.mac.as_str().into()),
        ("PrivateIpAddress", primary.into()),
        (
            "PrivateIpSets",
            object([("PrivateIpSet", private.collect::<Vec<_>>().into())]),
        ),
        (
            "Ipv6Sets",
            object([("Ipv6Set", ipv6.collect::<Vec<_>>().into())]),
        ),
        (
            "Ipv4PrefixSets",
            set("Ipv4PrefixSet", "Ipv4Prefix", &addresses.ipv4_prefixes),
        ),
        (
            "Ipv6PrefixSets",
            set("Ipv6PrefixSet", "Ipv6Prefix", &addresses.ipv6_prefixes),
        ),
        (
            "SecurityGroupIds",
            object([("SecurityGroupId", groups.into())]),
        ),
        ("Tags", tags(&interface.tags)),
        (
            "SourceDestCheck",
            interface.settings.source_dest_check.unwrap_or(false).into(),
        ),
        ("ResourceGroupId", interface.resource_group.as_str().into()),
        ("OwnerId", interface.owner.as_str().into()),
        ("ServiceManaged", interface.is_managed().into()),
    ];
    // Only managed interfaces have this member.
    if let Some((_, service)) = &interface.managed_by {
        members.push(("ServiceID", (*service).into()));
    }
    members
}
