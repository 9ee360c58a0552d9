//! The five actions: parameters become a request to the control plane.

use jiff::Timestamp;
use reflexarc_event::{EniStatus, Operation};

use super::parameters::{self, Parameters};
use super::refused;
use crate::{
    Cloud, CreateInterface, Filter, InterfaceType, Limits, Paging, Refusal, Reply, Request,
};

/// Performs an action in the name of an account. A request whose parameters are wrong is refused like any other.
pub fn perform(
    cloud: &mut Cloud,
    account: &str,
    action: &str,
    parameters: &Parameters,
    now: Timestamp,
) -> Reply {
    match read(cloud, action, parameters) {
        Ok(request) => cloud.call(account, request, now),
        Err(refusal) => {
            let operation = Operation::ALL
                .into_iter()
                .find(|operation| operation.as_str() == action);
            cloud.refuse(
                account,
                operation,
                parameters.optional("NetworkInterfaceId"),
                refusal,
                now,
            )
        }
    }
}

fn read(cloud: &Cloud, action: &str, parameters: &Parameters) -> Result<Request, Refusal> {
    type Read = fn(&Parameters, &Limits) -> Result<Request, Refusal>;
    let read: Read = match action {
        "CreateNetworkInterface" => {
            |parameters, limits| create(parameters, limits).map(Request::Create)
        }
        "AttachNetworkInterface" => |parameters, _| {
            let (interface, instance) = interface_and_instance(parameters)?;
            Ok(Request::Attach {
                interface,
                instance,
            })
        },
        "DetachNetworkInterface" => |parameters, _| {
            let (interface, instance) = interface_and_instance(parameters)?;
            Ok(Request::Detach {
                interface,
                instance,
            })
        },
        "DeleteNetworkInterface" => |parameters, _| {
            let interface = parameters.required("NetworkInterfaceId")?.to_owned();
            Ok(Request::Delete { interface })
        },
        "DescribeNetworkInterfaces" => |parameters, limits| {
            Ok(Request::Describe {
                filter: filter(parameters)?,
                paging: paging(parameters, limits)?,
            })
        },
        _ => {
            let message = "Specified api is not found, please check your url and method.";
            return refused(404, "InvalidAction.NotFound", message);
        }
    };
    if let Some(region) = parameters
        .optional("RegionId")
        .filter(|region| *region != cloud.region())
    {
        return refused(
            404,
            "InvalidRegionId.NotFound",
            format!("The specified RegionId {region} does not exist."),
        );
    }
    let request = read(parameters, &cloud.limits)?;
    parameters.required("RegionId")?;
    Ok(request)
}

fn create(parameters: &Parameters, limits: &Limits) -> Result<CreateInterface, Refusal> {
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
    match parameters.optional("InstanceType") {
        None | Some("Secondary") => {}
        Some("Trunk") => return Err(unsupported("InstanceType", "Trunk")),
        Some(other) => return Err(parameters::invalid("InstanceType", other)),
    }
    match parameters.optional("NetworkInterfaceTrafficMode") {
        None | Some("Standard") => {}
        Some("HighPerformance") => {
            return Err(unsupported(
                "NetworkInterfaceTrafficMode",
                "HighPerformance",
            ));
        }
        Some(other) => return Err(parameters::invalid("NetworkInterfaceTrafficMode", other)),
    }
    parameters.number("QueueNumber", 1, 2048)?;
    let client_token = parameters.optional("ClientToken");
    if let Some(token) = client_token.filter(|token| token.len() > 64 || !token.is_ascii()) {
        return Err(parameters::invalid("ClientToken", token));
    }
    let tags = parameters
        .tags()?
        .into_iter()
        .map(|(key, value)| (key, value.unwrap_or_default()))
        .collect();
    let owned = |text: Option<&str>| text.unwrap_or_default().to_owned();
    Ok(CreateInterface {
        vswitch: parameters.required("VSwitchId")?.to_owned(),
        security_groups,
        primary: parameters.typed("PrimaryIpAddress")?,
        secondary: parameters.wanted(
            "PrivateIpAddress",
            "SecondaryPrivateIpAddressCount",
            limits.secondary_counted,
        )?,
        ipv4_prefixes: parameters.wanted("Ipv4Prefix", "Ipv4PrefixCount", limits.prefixes)?,
        ipv6: parameters.wanted("Ipv6Address", "Ipv6AddressCount", limits.ipv6)?,
        ipv6_prefixes: parameters.wanted("Ipv6Prefix", "Ipv6PrefixCount", limits.prefixes)?,
        name: owned(parameters.text("NetworkInterfaceName", 2, 128)?),
        description: owned(parameters.text("Description", 2, 256)?),
        tags,
        resource_group: owned(parameters.optional("ResourceGroupId")),
        delete_on_release: parameters.flag("DeleteOnRelease")?,
        client_token: client_token.map(str::to_owned),
    })
}

fn interface_and_instance(parameters: &Parameters) -> Result<(String, String), Refusal> {
    if let Some(trunk) = parameters.optional("TrunkNetworkInstanceId") {
        return Err(unsupported("TrunkNetworkInstanceId", trunk));
    }
    let interface = parameters.required("NetworkInterfaceId")?.to_owned();
    Ok((interface, parameters.required("InstanceId")?.to_owned()))
}

fn filter(parameters: &Parameters) -> Result<Filter, Refusal> {
    let owned = |name: &str| parameters.optional(name).map(str::to_owned);
    let status = parameters.optional("Status").map(|word| {
        let found = EniStatus::ALL
            .into_iter()
            .find(|status| status.as_str() == word);
        found.ok_or_else(|| parameters::invalid("Status", word))
    });
    let kind = parameters.optional("Type").map(|word| match word {
        "Primary" => Ok(InterfaceType::Primary),
        "Secondary" => Ok(InterfaceType::Secondary),
        "Trunk" | "Member" => Err(unsupported("Type", word)),
        other => Err(parameters::invalid("Type", other)),
    });
    Ok(Filter {
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
        primary: parameters.typed("PrimaryIpAddress")?,
        private: parameters.typed_list("PrivateIpAddress")?,
        ipv6: parameters.typed_list("Ipv6Address")?,
        name: owned("NetworkInterfaceName"),
        resource_group: owned("ResourceGroupId"),
        tags: parameters.tags()?,
    })
}

/// Tokens win over page numbers, which the service deprecates.
fn paging(parameters: &Parameters, limits: &Limits) -> Result<Paging, Refusal> {
    let size = parameters.number("MaxResults", 10, limits.page)?;
    let token = parameters.optional("NextToken").map(str::to_owned);
    let number = parameters.number("PageNumber", 1, usize::MAX)?;
    let page_size = parameters.number("PageSize", 1, limits.page)?;
    Ok(match (size, token) {
        (None, None) => Paging::Numbered {
            number: number.unwrap_or(1),
            size: page_size.unwrap_or(10),
        },
        (size, token) => Paging::Token {
            size: size.unwrap_or(10),
            token,
        },
    })
}

/// Something the real service knows and this one does not.
fn unsupported(name: &str, value: &str) -> Refusal {
    Refusal::new(
        400,
        "UnsupportedParameter",
        format!("The parameter {name} does not support {value} here."),
    )
}
