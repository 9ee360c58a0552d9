//! Responses in JSON, with the members that the API reference documents.

use reflexarc_event::Json;

use super::RpcResponse;
use crate::resources::Interface;
use crate::{Answer, ApiError, Page, Paging, Reply};

/// The response to an authenticated request.
pub(super) fn write(reply: &Reply, host: &str) -> RpcResponse {
    let mut members = match &reply.result {
        Ok(Answer::Accepted) => Vec::new(),
        Ok(Answer::Created(interface)) => created_interface(interface),
        Ok(Answer::Described(page)) => described(page),
        Err(failure) => return error(failure, reply.request_id.clone(), host),
    };
    members.insert(0, ("RequestId", reply.request_id.as_str().into()));
    RpcResponse {
        status: 200,
        request_id: reply.request_id.clone(),
        code: "",
        message: String::new(),
        body: object(members),
    }
}

/// The response to a refused request.
pub(super) fn error(error: &ApiError, request_id: String, host: &str) -> RpcResponse {
    let body = object([
        ("RequestId", request_id.as_str().into()),
        ("HostId", host.into()),
        ("Code", error.code.into()),
        ("Message", error.message.as_str().into()),
    ]);
    RpcResponse {
        status: error.status,
        request_id,
        code: error.code,
        message: error.message.clone(),
        body,
    }
}

fn described(page: &Page) -> Vec<(&'static str, Json)> {
    let sets: Vec<Json> = page
        .interfaces
        .iter()
        .map(|interface| object(described_interface(interface)))
        .collect();
    let mut members = vec![
        (
            "NetworkInterfaceSets",
            object([("NetworkInterfaceSet", sets.into())]),
        ),
        ("TotalCount", number(page.total)),
    ];
    match &page.paging {
        Paging::Numbered { number: page, size } => {
            members.extend([("PageNumber", number(*page)), ("PageSize", number(*size))]);
        }
        Paging::Token { .. } => {
            // On the last page the token is empty, not absent.
            members.push(("NextToken", page.next.as_deref().unwrap_or_default().into()));
        }
    }
    members
}

/// The members of an interface in a description: those of a creation and more.
fn described_interface(interface: &Interface) -> Vec<(&'static str, Json)> {
    let mut members = created_interface(interface);
    let instance = interface.instance.as_deref().unwrap_or_default();
    // The instance is in two places: `InstanceId` is the older member, `Attachment` the newer one.
    let attachment = match &interface.instance {
        Some(instance) => object([("InstanceId", instance.as_str().into())]),
        None => object([]),
    };
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
    members
}

/// The members of an interface in the response to a creation.
fn created_interface(interface: &Interface) -> Vec<(&'static str, Json)> {
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
    let tags = interface.tags.iter().map(|(key, value)| {
        object([
            ("TagKey", key.as_str().into()),
            ("TagValue", value.as_str().into()),
        ])
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
        ("Ipv6Sets", set("Ipv6Set", "Ipv6Address", &addresses.ipv6)),
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
        ("Tags", object([("Tag", tags.collect::<Vec<_>>().into())])),
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

/// `{outer: [{inner: value}, …]}`: the API wraps each list into an object.
fn set(outer: &'static str, inner: &'static str, values: &[impl ToString]) -> Json {
    let values: Vec<Json> = values
        .iter()
        .map(|value| object([(inner, value.to_string().into())]))
        .collect();
    object([(outer, values.into())])
}

fn number(value: usize) -> Json {
    i64::try_from(value).unwrap_or(i64::MAX).into()
}

fn object(members: impl IntoIterator<Item = (&'static str, Json)>) -> Json {
    members
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}
