//! Actions on instances, and the filters of their descriptions.

use std::str::FromStr;

use reflexarc_event::Json;

use super::{client_token, paging, refuse_unsupported, unsupported};
use crate::resources::InstanceStatus;
use crate::rpc::parameters::{self, Parameters};
use crate::{ApiError, InstanceFilter, InstanceOperation, InstanceRequest, Limits, Request};

/// Filters of `DescribeInstances` that the simulation cannot apply. To ignore one would list
/// instances that the caller excludes.
const INSTANCE_FILTERS: &[&str] = &[
    "DeviceAvailable",
    "EipAddresses",
    "Filter",
    "HpcClusterId",
    "HttpEndpoint",
    "HttpPutResponseHopLimit",
    "HttpTokens",
    "ImageId",
    "InnerIpAddresses",
    "InternetChargeType",
    "IoOptimized",
    "Ipv6Address",
    "KeyPairName",
    "LockReason",
    "NeedSaleCycle",
    "PublicIpAddresses",
    "RdmaIpAddresses",
];

/// Filters of `DescribeInstanceTypes` that the simulation cannot apply; also all that begin with
/// `Minimum` or `Maximum`.
const TYPE_FILTERS: &[&str] = &[
    "CpuArchitecture",
    "CpuArchitectures",
    "GPUSpec",
    "GpuSpecs",
    "InstanceCategories",
    "InstanceCategory",
    "InstanceFamilyLevel",
    "LocalStorageCategories",
    "LocalStorageCategory",
    "NvmeSupport",
    "PhysicalProcessorModel",
    "PhysicalProcessorModels",
];

/// An action on one instance.
pub(super) fn change(
    parameters: &Parameters,
    operation: InstanceOperation,
) -> Result<Request, ApiError> {
    let ids = vec![parameters.required("InstanceId")?.to_owned()];
    request(parameters, operation, ids, false)
}

/// The form of an action for several instances.
pub(super) fn change_several(
    parameters: &Parameters,
    operation: InstanceOperation,
) -> Result<Request, ApiError> {
    let ids = parameters.list("InstanceId");
    if ids.is_empty() {
        return Err(parameters::missing("InstanceId"));
    }
    let ids = ids.into_iter().map(str::to_owned).collect();
    request(parameters, operation, ids, true)
}

pub(super) fn describe(parameters: &Parameters, limits: &Limits) -> Result<Request, ApiError> {
    refuse_unsupported(parameters, INSTANCE_FILTERS)?;
    for (name, only) in [
        ("InstanceNetworkType", "vpc"),
        ("InstanceChargeType", "PostPaid"),
    ] {
        if let Some(other) = parameters.optional(name).filter(|value| *value != only) {
            return Err(unsupported(name, other));
        }
    }
    let owned = |name: &str| parameters.optional(name).map(str::to_owned);
    let status = parameters.optional("Status").map(|name| {
        let mut statuses = InstanceStatus::ALL.into_iter();
        let found = statuses.find(|status| status.name() == name);
        found.ok_or_else(|| parameters::invalid("Status", name))
    });
    let filter = InstanceFilter {
        ids: json_list(parameters, "InstanceIds")?,
        name: owned("InstanceName"),
        status: status.transpose()?,
        kind: owned("InstanceType"),
        family: owned("InstanceTypeFamily"),
        vpc: owned("VpcId"),
        vswitch: owned("VSwitchId"),
        zone: owned("ZoneId"),
        security_group: owned("SecurityGroupId"),
        private: json_list(parameters, "PrivateIpAddresses")?,
        resource_group: owned("ResourceGroupId"),
        tags: parameters.tags()?,
    };
    if parameters.flag("DryRun")? == Some(true) {
        let message = "Request validation has been passed with DryRun flag set.";
        return Err(ApiError::new(400, "DryRunOperation", message));
    }
    let paging = paging(parameters, 1, limits.instances)?;
    Ok(Request::DescribeInstances { filter, paging })
}

pub(super) fn describe_types(
    parameters: &Parameters,
    limits: &Limits,
) -> Result<Request, ApiError> {
    refuse_unsupported(parameters, TYPE_FILTERS)?;
    let is_bound = |name: &str| name.starts_with("Minimum") || name.starts_with("Maximum");
    if let Some((name, value)) = parameters.iter().find(|(name, _)| is_bound(name)) {
        return Err(unsupported(name, value));
    }
    let owned = |name: &str| -> Vec<String> {
        parameters
            .list(name)
            .into_iter()
            .map(str::to_owned)
            .collect()
    };
    let one = parameters.optional("InstanceTypeFamily").map(str::to_owned);
    let mut families = owned("InstanceTypeFamilies");
    families.extend(one);
    // Without a page the service lists as many as it may.
    let size = parameters.number("MaxResults", 1, limits.instances)?;
    Ok(Request::DescribeInstanceTypes {
        names: owned("InstanceTypes"),
        families,
        paging: crate::Paging::Token {
            size: size.unwrap_or(limits.instances),
            token: parameters.optional("NextToken").map(str::to_owned),
        },
    })
}

fn request(
    parameters: &Parameters,
    operation: InstanceOperation,
    ids: Vec<String>,
    is_batch: bool,
) -> Result<Request, ApiError> {
    let stopped_mode = match parameters.optional("StoppedMode") {
        // `Not-applicable` is the default of the service, which may be either of the others.
        None | Some("Not-applicable") => None,
        Some(mode @ ("StopCharging" | "KeepCharging")) => Some(mode.to_owned()),
        Some(other) => return Err(parameters::invalid("StoppedMode", other)),
    };
    // A stop or restart by force takes effect as any other does: there is no guest system.
    parameters.flag("ForceStop")?;
    parameters.flag("ForceReboot")?;
    if parameters.flag("Hibernate")? == Some(true) {
        return Err(unsupported("Hibernate", "true"));
    }
    Ok(Request::ChangeInstances(InstanceRequest {
        operation,
        ids,
        is_batch,
        force: parameters.flag("Force")?.unwrap_or(false),
        stopped_mode,
        dry_run: parameters.flag("DryRun")?.unwrap_or(false),
        client_token: client_token(parameters)?,
    }))
}

/// The strings of a JSON array in one parameter: `["i-1", "i-2"]`. Other lists are numbered.
fn json_list<T: FromStr>(parameters: &Parameters, name: &str) -> Result<Vec<T>, ApiError> {
    // The service ignores the numbered form, and then lists every instance.
    if let Some(first) = parameters.list(name).first() {
        return Err(parameters::invalid(&format!("{name}.1"), first));
    }
    let Some(text) = parameters.optional(name) else {
        return Ok(Vec::new());
    };
    let invalid = || parameters::invalid(name, text);
    let Ok(Json::Array(elements)) = Json::parse(text) else {
        return Err(invalid());
    };
    let parsed = elements.iter().map(|element| {
        let text = element.as_str().ok_or_else(invalid)?;
        text.parse().map_err(|_| invalid())
    });
    parsed.collect()
}
