//! Actions on interfaces: creation, attachment, attributes, and the filters of descriptions.

use reflexarc_event::EniStatus;

use super::{client_token, refuse_unsupported, unsupported};
use crate::resources::{InterfaceSettings, InterfaceType};
use crate::rpc::parameters::{self, Parameters};
use crate::{ApiError, CreateInterface, DescribeFilter, Limits, ModifyInterface, Request};

pub(super) fn create(
    parameters: &Parameters,
    limits: &Limits,
) -> Result<CreateInterface, ApiError> {
    // Two forms of one parameter: the older one takes a single group, the newer one a list.
    let one_group = parameters.optional("SecurityGroupId");
    let groups = parameters.list("SecurityGroupIds");
    let security_groups = match (one_group, groups.is_empty()) {
        (Some(_), false) => {
            return Err(parameters::conflict(
                "SecurityGroupId",
                "SecurityGroupIds.N",
            ));
        }
        (None, true) => return Err(parameters::missing("SecurityGroupId")),
        (Some(group), true) => vec![group.to_owned()],
        (None, false) => groups.into_iter().map(str::to_owned).collect(),
    };
    // The API has this name for the type of the interface, not of an instance.
    match parameters.optional("InstanceType") {
        None | Some("Secondary") => {}
        Some("Trunk") => return Err(unsupported("InstanceType", "Trunk")),
        Some(other) => return Err(parameters::invalid("InstanceType", other)),
    }
    refuse_unsupported(
        parameters,
        &["EnhancedNetwork", "RxQueueSize", "TxQueueSize"],
    )?;
    let tags = parameters
        .tags()?
        .into_iter()
        .map(|(key, value)| (key, value.unwrap_or_default()))
        .collect();
    let owned = |text: Option<&str>| text.unwrap_or_default().to_owned();
    Ok(CreateInterface {
        vswitch: parameters.required("VSwitchId")?.to_owned(),
        security_groups,
        primary: parameters.parsed("PrimaryIpAddress")?,
        secondary: parameters.selection(
            "PrivateIpAddress",
            "SecondaryPrivateIpAddressCount",
            limits.secondary_counted,
        )?,
        ipv4_prefixes: parameters.selection("Ipv4Prefix", "Ipv4PrefixCount", limits.prefixes)?,
        ipv6: parameters.selection("Ipv6Address", "Ipv6AddressCount", limits.ipv6)?,
        ipv6_prefixes: parameters.selection("Ipv6Prefix", "Ipv6PrefixCount", limits.prefixes)?,
        name: owned(parameters.text("NetworkInterfaceName", 2, 128)?),
        description: owned(parameters.text("Description", 2, 256)?),
        tags,
        resource_group: owned(parameters.optional("ResourceGroupId")),
        delete_on_release: parameters.flag("DeleteOnRelease")?,
        client_token: client_token(parameters)?,
        settings: settings(parameters)?,
    })
}

pub(super) fn attach(parameters: &Parameters) -> Result<Request, ApiError> {
    let (interface, instance) = interface_and_instance(parameters)?;
    Ok(Request::Attach {
        interface,
        instance,
        network_card: parameters.number("NetworkCardIndex", 0, 63)?,
    })
}

pub(super) fn detach(parameters: &Parameters) -> Result<Request, ApiError> {
    let (interface, instance) = interface_and_instance(parameters)?;
    Ok(Request::Detach {
        interface,
        instance,
    })
}

/// The changes of `ModifyNetworkInterfaceAttribute`.
pub(super) fn modify(parameters: &Parameters) -> Result<ModifyInterface, ApiError> {
    refuse_unsupported(
        parameters,
        &["EnhancedNetwork", "RxQueueSize", "TxQueueSize"],
    )?;
    // A text that is given and empty removes the one that is there.
    let text = |name: &str, max: usize| -> Result<Option<String>, ApiError> {
        let text = parameters.text(name, 2, max)?;
        let is_given = parameters.is_given(name);
        Ok(is_given.then(|| text.unwrap_or_default().to_owned()))
    };
    let groups = parameters.list("SecurityGroupId");
    Ok(ModifyInterface {
        interface: parameters.required("NetworkInterfaceId")?.to_owned(),
        name: text("NetworkInterfaceName", 128)?,
        description: text("Description", 256)?,
        security_groups: groups.into_iter().map(str::to_owned).collect(),
        delete_on_release: parameters.flag("DeleteOnRelease")?,
        settings: settings(parameters)?,
    })
}

fn settings(parameters: &Parameters) -> Result<InterfaceSettings, ApiError> {
    // The same settings are in two places, alone and in a group of parameters.
    const GROUP: &str = "NetworkInterfaceTrafficConfig";
    refuse_unsupported(
        parameters,
        &[
            "NetworkInterfaceTrafficConfig.RxQueueSize",
            "NetworkInterfaceTrafficConfig.TxQueueSize",
        ],
    )?;
    traffic_mode(parameters, "NetworkInterfaceTrafficMode")?;
    traffic_mode(
        parameters,
        "NetworkInterfaceTrafficConfig.NetworkInterfaceTrafficMode",
    )?;
    let queues = |name: &str| -> Result<Option<usize>, ApiError> {
        let grouped = format!("{GROUP}.{name}");
        match (
            parameters.number(name, 1, 2048)?,
            parameters.number(&grouped, 1, 2048)?,
        ) {
            (Some(_), Some(_)) => Err(parameters::conflict(name, &grouped)),
            (alone, grouped) => Ok(alone.or(grouped)),
        }
    };
    let timeout = |name: &str, allowed: &[usize]| -> Result<Option<usize>, ApiError> {
        let name = format!("ConnectionTrackingConfiguration.{name}");
        match parameters.parsed::<usize>(&name)? {
            Some(seconds) if !allowed.contains(&seconds) => {
                Err(parameters::invalid(&name, &seconds.to_string()))
            }
            seconds => Ok(seconds),
        }
    };
    Ok(InterfaceSettings {
        queue_number: queues("QueueNumber")?,
        queue_pair_number: queues("QueuePairNumber")?,
        source_dest_check: parameters.flag("SourceDestCheck")?,
        primary_ipv6: parameters.flag("EnablePrimaryIPv6")?,
        // The documented values.
        tcp_established_timeout: timeout(
            "TcpEstablishedTimeout",
            &[30, 60, 80, 100, 200, 300, 500, 700, 910],
        )?,
        tcp_closed_timeout: timeout(
            "TcpClosedAndTimeWaitTimeout",
            &[3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        )?,
        udp_timeout: timeout("UdpTimeout", &[10, 20, 30, 60, 80, 100])?,
    })
}

fn traffic_mode(parameters: &Parameters, name: &str) -> Result<(), ApiError> {
    match parameters.optional(name) {
        None | Some("Standard") => Ok(()),
        Some("HighPerformance") => Err(unsupported(name, "HighPerformance")),
        Some(other) => Err(parameters::invalid(name, other)),
    }
}

fn interface_and_instance(parameters: &Parameters) -> Result<(String, String), ApiError> {
    // Attaches to a trunk interface, which is not simulated. Ignoring it would attach to the
    // instance.
    if let Some(trunk) = parameters.optional("TrunkNetworkInstanceId") {
        return Err(unsupported("TrunkNetworkInstanceId", trunk));
    }
    let interface = parameters.required("NetworkInterfaceId")?.to_owned();
    Ok((interface, parameters.required("InstanceId")?.to_owned()))
}

pub(super) fn filter(parameters: &Parameters) -> Result<DescribeFilter, ApiError> {
    let owned = |name: &str| parameters.optional(name).map(str::to_owned);
    let status = parameters.optional("Status").map(|name| {
        let found = EniStatus::ALL
            .into_iter()
            .find(|status| status.as_str() == name);
        found.ok_or_else(|| parameters::invalid("Status", name))
    });
    let kind = parameters.optional("Type").map(|name| match name {
        "Primary" => Ok(InterfaceType::Primary),
        "Secondary" => Ok(InterfaceType::Secondary),
        "Trunk" | "Member" => Err(unsupported("Type", name)),
        other => Err(parameters::invalid("Type", other)),
    });
    Ok(DescribeFilter {
        ids: parameters
            .list("NetworkInterfaceId")
            .into_iter()
            .map(str::to_owned)
            .collect(),
        instance: owned("InstanceId"),
        status: status.transpose()?,
        kind: kind.transpose()?,
        managed: parameters.flag("ServiceManaged")?,
        vswitch: owned("VSwitchId"),
        vpc: owned("VpcId"),
        security_group: owned("SecurityGroupId"),
        primary: parameters.parsed("PrimaryIpAddress")?,
        private: parameters.parsed_list("PrivateIpAddress")?,
        ipv6: parameters.parsed_list("Ipv6Address")?,
        name: owned("NetworkInterfaceName"),
        resource_group: owned("ResourceGroupId"),
        tags: parameters.tags()?,
    })
}
