//! The five actions: parameters become a request to the control plane.

use jiff::Timestamp;
use reflexarc_event::{EniStatus, Operation};

use super::parameters::{self, Parameters};
use crate::resources::InterfaceType;
use crate::{ApiError, Cloud, CreateInterface, DescribeFilter, Limits, Paging, Reply, Request};

/// Performs an action of the account at `now`. A request with invalid parameters is refused like
/// any other.
///
/// ```
/// use reflexarc_eni::Cloud;
/// use reflexarc_eni::rpc::{Parameters, perform};
///
/// let start = "2026-01-01T00:00:00Z".parse()?;
/// let mut cloud = Cloud::new("cn-hangzhou", 7, start);
/// let parameters: Parameters = [("RegionId", "cn-hangzhou")].into_iter().collect();
/// let reply = perform(&mut cloud, "1001", "DeleteNetworkInterface", &parameters, start);
/// assert_eq!(reply.result.unwrap_err().code, "MissingParameter");
/// # Ok::<(), jiff::Error>(())
/// ```
pub fn perform(
    cloud: &mut Cloud,
    account: &str,
    action: &str,
    parameters: &Parameters,
    now: Timestamp,
) -> Reply {
    match read(cloud, action, parameters) {
        Ok(request) => cloud.call(account, request, now),
        Err(error) => {
            let operation = Operation::ALL
                .into_iter()
                .find(|known| known.as_str() == action);
            let interface = parameters.optional("NetworkInterfaceId");
            cloud.refuse(account, operation, interface, error, now)
        }
    }
}

fn read(cloud: &Cloud, action: &str, parameters: &Parameters) -> Result<Request, ApiError> {
    type Read = fn(&Parameters, &Limits) -> Result<Request, ApiError>;
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
            let (filter, paging) = (filter(parameters)?, paging(parameters, limits)?);
            Ok(Request::Describe { filter, paging })
        },
        _ => {
            let message = "Specified api is not found, please check your url and method.";
            return Err(ApiError::new(404, "InvalidAction.NotFound", message));
        }
    };
    let region = parameters.optional("RegionId");
    if let Some(region) = region.filter(|region| *region != cloud.region()) {
        let message = format!("The specified RegionId {region} does not exist.");
        return Err(ApiError::new(404, "InvalidRegionId.NotFound", message));
    }
    let request = read(parameters, cloud.limits())?;
    parameters.required("RegionId")?;
    Ok(request)
}

fn create(parameters: &Parameters, limits: &Limits) -> Result<CreateInterface, ApiError> {
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
    // Checked and then ignored: queues have no effect on statuses and events.
    parameters.number("QueueNumber", 1, 2048)?;
    let client_token = parameters.optional("ClientToken");
    // The documented form of client tokens.
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
        client_token: client_token.map(str::to_owned),
    })
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

fn filter(parameters: &Parameters) -> Result<DescribeFilter, ApiError> {
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

/// Reads the page. Tokens take precedence over page numbers, which the service has deprecated.
fn paging(parameters: &Parameters, limits: &Limits) -> Result<Paging, ApiError> {
    let size = parameters.number("MaxResults", 10, limits.page)?;
    let token = parameters.optional("NextToken").map(str::to_owned);
    let number = parameters.number("PageNumber", 1, usize::MAX)?;
    let page_size = parameters.number("PageSize", 1, limits.page)?;
    // `MaxResults` without a token is the first page of the newer form.
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

/// The error for a value that the service supports and the simulation does not.
fn unsupported(name: &str, value: &str) -> ApiError {
    ApiError::new(
        400,
        "UnsupportedParameter",
        format!("The parameter {name} does not support {value} here."),
    )
}
