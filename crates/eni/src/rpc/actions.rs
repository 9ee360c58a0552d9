//! The actions: parameters become a request to the control plane.

mod addresses;
mod instances;
mod interfaces;
mod tags;

use jiff::Timestamp;
use reflexarc_event::Operation;

use super::Caller;
use super::parameters::{self, Parameters};
use crate::{ApiError, Cloud, InstanceOperation, Limits, Paging, Reply, Request};

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
    perform_for(cloud, &Caller::of_account(account), action, parameters, now)
}

/// Performs an action of the caller, and records it for `ActionTrail`.
pub(super) fn perform_for(
    cloud: &mut Cloud,
    caller: &Caller,
    action: &str,
    parameters: &Parameters,
    now: Timestamp,
) -> Reply {
    let reply = match read(cloud, action, parameters) {
        Ok(request) => cloud.call(&caller.account, request, now),
        Err(error) => {
            let operation = Operation::ALL
                .into_iter()
                .find(|known| known.as_str() == action);
            let interface = parameters.optional("NetworkInterfaceId");
            cloud.refuse(&caller.account, operation, interface, error, now)
        }
    };
    // A call of an action that does not exist reaches no service that could record it.
    if reader(action).is_some() {
        cloud.record_api_call(caller, action, parameters, &reply);
    }
    reply
}

/// Reads the parameters of an action.
type Reader = fn(&Parameters, &Limits) -> Result<Request, ApiError>;

/// The reader of an action, and whether the action requires `RegionId`.
fn reader(action: &str) -> Option<(Reader, bool)> {
    let found: (Reader, bool) = match action {
        "CreateNetworkInterface" => (
            |parameters, limits| interfaces::create(parameters, limits).map(Request::Create),
            true,
        ),
        "AttachNetworkInterface" => (|parameters, _| interfaces::attach(parameters), true),
        "DetachNetworkInterface" => (|parameters, _| interfaces::detach(parameters), true),
        "DeleteNetworkInterface" => (
            |parameters, _| {
                let interface = parameters.required("NetworkInterfaceId")?.to_owned();
                Ok(Request::Delete { interface })
            },
            true,
        ),
        "DescribeNetworkInterfaces" => (
            |parameters, limits| {
                let filter = interfaces::filter(parameters)?;
                let paging = paging(parameters, 10, limits.page)?;
                Ok(Request::Describe { filter, paging })
            },
            true,
        ),
        "ModifyNetworkInterfaceAttribute" => (
            |parameters, _| interfaces::modify(parameters).map(Request::Modify),
            true,
        ),
        "DescribeNetworkInterfaceAttribute" => (
            |parameters, _| {
                let interface = parameters.required("NetworkInterfaceId")?.to_owned();
                Ok(Request::DescribeAttribute { interface })
            },
            true,
        ),
        "AssignPrivateIpAddresses" => (addresses::assign_private, true),
        "UnassignPrivateIpAddresses" => (
            |parameters, _| addresses::unassign_private(parameters),
            true,
        ),
        "AssignIpv6Addresses" => (addresses::assign_ipv6, true),
        "UnassignIpv6Addresses" => (|parameters, _| addresses::unassign_ipv6(parameters), true),
        "TagResources" => (tags::tag, true),
        "UntagResources" => (tags::untag, true),
        "ListTagResources" => (tags::list, true),
        _ => return instance_reader(action),
    };
    Some(found)
}

/// The reader of an action on instances. Those on one instance have no `RegionId`: the id of the
/// instance is enough.
fn instance_reader(action: &str) -> Option<(Reader, bool)> {
    use InstanceOperation::{Release, Restart, Start, Stop};
    let found: (Reader, bool) = match action {
        "DescribeInstances" => (instances::describe, true),
        "DescribeInstanceTypes" => (instances::describe_types, false),
        "StartInstance" => (|parameters, _| instances::change(parameters, Start), false),
        "StopInstance" => (|parameters, _| instances::change(parameters, Stop), false),
        "RebootInstance" => (
            |parameters, _| instances::change(parameters, Restart),
            false,
        ),
        "DeleteInstance" => (
            |parameters, _| instances::change(parameters, Release),
            false,
        ),
        "StartInstances" => (
            |parameters, _| instances::change_several(parameters, Start),
            true,
        ),
        "StopInstances" => (
            |parameters, _| instances::change_several(parameters, Stop),
            true,
        ),
        "RebootInstances" => (
            |parameters, _| instances::change_several(parameters, Restart),
            true,
        ),
        "DeleteInstances" => (
            |parameters, _| instances::change_several(parameters, Release),
            true,
        ),
        _ => return None,
    };
    Some(found)
}

fn read(cloud: &Cloud, action: &str, parameters: &Parameters) -> Result<Request, ApiError> {
    let Some((read, needs_region)) = reader(action) else {
        let message = "Specified api is not found, please check your url and method.";
        return Err(ApiError::new(404, "InvalidAction.NotFound", message));
    };
    let region = parameters.optional("RegionId");
    if let Some(region) = region.filter(|region| *region != cloud.region()) {
        let message = format!("The specified RegionId {region} does not exist.");
        return Err(ApiError::new(404, "InvalidRegionId.NotFound", message));
    }
    let request = read(parameters, cloud.limits())?;
    if needs_region {
        parameters.required("RegionId")?;
    }
    Ok(request)
}

/// Reads the page. Tokens take precedence over page numbers, which the service has deprecated.
fn paging(parameters: &Parameters, min: usize, max: usize) -> Result<Paging, ApiError> {
    let size = parameters.number("MaxResults", min, max)?;
    let token = parameters.optional("NextToken").map(str::to_owned);
    let number = parameters.number("PageNumber", 1, usize::MAX)?;
    let page_size = parameters.number("PageSize", 1, max)?;
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

/// The client token in the documented form.
fn client_token(parameters: &Parameters) -> Result<Option<String>, ApiError> {
    let token = parameters.optional("ClientToken");
    match token.filter(|token| token.len() > 64 || !token.is_ascii()) {
        Some(token) => Err(parameters::invalid("ClientToken", token)),
        None => Ok(token.map(str::to_owned)),
    }
}

/// Refuses parameters, and groups of parameters, that the service has and the simulation does not:
/// to accept one and do nothing would hide from a client that it is wrong here.
fn refuse_unsupported(parameters: &Parameters, names: &[&str]) -> Result<(), ApiError> {
    let is_unsupported = |given: &str| {
        let mut names = names.iter();
        names.any(|name| {
            let rest = given.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    };
    let found = parameters
        .iter()
        .find(|(name, value)| !value.is_empty() && is_unsupported(name));
    match found {
        Some((name, value)) => Err(unsupported(name, value)),
        None => Ok(()),
    }
}

/// The error for a value that the service supports and the simulation does not.
fn unsupported(name: &str, value: &str) -> ApiError {
    let value = reflexarc_diagnostic::truncate(value, 64);
    ApiError::new(
        400,
        "UnsupportedParameter",
        format!("The parameter {name} does not support {value} here."),
    )
}
