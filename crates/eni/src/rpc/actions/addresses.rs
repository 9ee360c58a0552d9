//! Actions that assign and unassign secondary addresses.

use std::str::FromStr;

use crate::resources::{AddressSelection, Addresses};
use crate::rpc::parameters::{self, Parameters};
use crate::{ApiError, AssignAddresses, Limits, Request};

use super::client_token;

pub(super) fn assign_private(
    parameters: &Parameters,
    limits: &Limits,
) -> Result<Request, ApiError> {
    let count = "SecondaryPrivateIpAddressCount";
    let wanted = AssignAddresses {
        secondary: parameters.selection("PrivateIpAddress", count, limits.secondary_counted)?,
        ipv4_prefixes: parameters.selection("Ipv4Prefix", "Ipv4PrefixCount", limits.prefixes)?,
        ..common(parameters)?
    };
    if wanted.secondary.is_empty() && wanted.ipv4_prefixes.is_empty() {
        return Err(parameters::missing(count));
    }
    limit(
        "PrivateIpAddress",
        &wanted.secondary,
        limits.secondary_counted,
    )?;
    limit("Ipv4Prefix", &wanted.ipv4_prefixes, limits.prefixes)?;
    Ok(Request::Assign(wanted))
}

pub(super) fn assign_ipv6(parameters: &Parameters, limits: &Limits) -> Result<Request, ApiError> {
    let count = "Ipv6AddressCount";
    let wanted = AssignAddresses {
        is_ipv6: true,
        ipv6: parameters.selection("Ipv6Address", count, limits.ipv6)?,
        ipv6_prefixes: parameters.selection("Ipv6Prefix", "Ipv6PrefixCount", limits.prefixes)?,
        ..common(parameters)?
    };
    if wanted.ipv6.is_empty() && wanted.ipv6_prefixes.is_empty() {
        return Err(parameters::missing(count));
    }
    limit("Ipv6Address", &wanted.ipv6, limits.ipv6)?;
    limit("Ipv6Prefix", &wanted.ipv6_prefixes, limits.prefixes)?;
    Ok(Request::Assign(wanted))
}

pub(super) fn unassign_private(parameters: &Parameters) -> Result<Request, ApiError> {
    let addresses = Addresses {
        secondary: parameters.parsed_list("PrivateIpAddress")?,
        ipv4_prefixes: parameters.parsed_list("Ipv4Prefix")?,
        ..Addresses::default()
    };
    unassign(parameters, addresses, "PrivateIpAddress")
}

pub(super) fn unassign_ipv6(parameters: &Parameters) -> Result<Request, ApiError> {
    let addresses = Addresses {
        ipv6: parameters.parsed_list("Ipv6Address")?,
        ipv6_prefixes: parameters.parsed_list("Ipv6Prefix")?,
        ..Addresses::default()
    };
    unassign(parameters, addresses, "Ipv6Address")
}

fn unassign(
    parameters: &Parameters,
    addresses: Addresses,
    name: &str,
) -> Result<Request, ApiError> {
    let interface = parameters.required("NetworkInterfaceId")?.to_owned();
    if addresses.is_empty() {
        return Err(parameters::missing(name));
    }
    Ok(Request::Unassign {
        interface,
        addresses,
    })
}

fn common(parameters: &Parameters) -> Result<AssignAddresses, ApiError> {
    Ok(AssignAddresses {
        interface: parameters.required("NetworkInterfaceId")?.to_owned(),
        client_token: client_token(parameters)?,
        ..AssignAddresses::default()
    })
}

/// Checks the number of explicit values; a count is checked where it is read.
fn limit<T: FromStr>(
    name: &str,
    selection: &AddressSelection<T>,
    most: usize,
) -> Result<(), ApiError> {
    if selection.len() <= most {
        return Ok(());
    }
    let count = selection.len();
    let message = format!("{name}: {count} requested, at most {most} allowed.");
    Err(ApiError::invalid_parameter(message))
}
