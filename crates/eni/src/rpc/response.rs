//! Responses in JSON, with the members that the API reference documents.

mod instances;
mod interfaces;

use reflexarc_event::Json;

use super::RpcResponse;
use crate::resources::{Addresses, Interface};
use crate::{Answer, ApiError, Listed, Paging, Reply, ResourceTag};

/// The response to an authenticated request.
pub(super) fn write(reply: &Reply, host: &str) -> RpcResponse {
    let mut members = match &reply.result {
        Ok(Answer::Accepted) => Vec::new(),
        Ok(Answer::Created(interface)) => interfaces::created(interface),
        Ok(Answer::Described(page)) => described(page),
        Ok(Answer::Attributes(interface)) => interfaces::attributes(interface),
        Ok(Answer::AssignedPrivate {
            interface,
            addresses,
        }) => assigned_private(interface, addresses),
        Ok(Answer::AssignedIpv6 {
            interface,
            addresses,
        }) => assigned_ipv6(interface, addresses),
        Ok(Answer::InstancesChanged(changed)) => instances::changed(changed),
        Ok(Answer::Instances(page)) => instances::described(page),
        Ok(Answer::InstanceTypes(page)) => instances::types(page),
        Ok(Answer::Tags(page)) => tag_resources(page),
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

fn described(page: &Listed<Interface>) -> Vec<(&'static str, Json)> {
    let sets = page.items.iter();
    let sets: Vec<Json> = sets
        .map(|interface| object(interfaces::described(interface)))
        .collect();
    let sets = object([("NetworkInterfaceSet", sets.into())]);
    listed(page, ("NetworkInterfaceSets", sets))
}

/// The members of a list: the items, their total, and the position of the page.
fn listed<T>(page: &Listed<T>, items: (&'static str, Json)) -> Vec<(&'static str, Json)> {
    let mut members = vec![items, ("TotalCount", number(page.total))];
    match &page.paging {
        Paging::Numbered { number: page, size } => {
            members.extend([("PageNumber", number(*page)), ("PageSize", number(*size))]);
        }
        Paging::Token { .. } => members.push(next_token(page)),
    }
    members
}

/// The token of the next page: on the last page it is empty, not absent.
fn next_token<T>(page: &Listed<T>) -> (&'static str, Json) {
    let token = page.next.as_deref().unwrap_or_default();
    ("NextToken", token.into())
}

fn assigned_private(interface: &str, addresses: &Addresses) -> Vec<(&'static str, Json)> {
    let texts = |values: Vec<String>| -> Json {
        let values: Vec<Json> = values.into_iter().map(Json::from).collect();
        values.into()
    };
    let secondary = addresses
        .secondary
        .iter()
        .map(ToString::to_string)
        .collect();
    let prefixes = addresses
        .ipv4_prefixes
        .iter()
        .map(ToString::to_string)
        .collect();
    let assigned = object([
        ("NetworkInterfaceId", interface.into()),
        (
            "PrivateIpSet",
            object([("PrivateIpAddress", texts(secondary))]),
        ),
        // Unlike everywhere else, the key of the prefixes is in the plural.
        ("Ipv4PrefixSet", object([("Ipv4Prefixes", texts(prefixes))])),
    ]);
    vec![("AssignedPrivateIpAddressesSet", assigned)]
}

fn assigned_ipv6(interface: &str, addresses: &Addresses) -> Vec<(&'static str, Json)> {
    // The addresses have one list level less than in descriptions.
    let texts = |key: &'static str, values: Vec<String>| -> Json {
        let values: Vec<Json> = values.into_iter().map(Json::from).collect();
        object([(key, values.into())])
    };
    let ipv6 = addresses.ipv6.iter().map(ToString::to_string).collect();
    let prefixes = addresses
        .ipv6_prefixes
        .iter()
        .map(ToString::to_string)
        .collect();
    vec![
        ("NetworkInterfaceId", interface.into()),
        ("Ipv6Sets", texts("Ipv6Address", ipv6)),
        ("Ipv6PrefixSets", texts("Ipv6Prefix", prefixes)),
    ]
}

fn tag_resources(page: &Listed<ResourceTag>) -> Vec<(&'static str, Json)> {
    let found = page.items.iter().map(|tag| {
        object([
            ("ResourceType", tag.kind.name().into()),
            ("ResourceId", tag.resource.as_str().into()),
            ("TagKey", tag.key.as_str().into()),
            ("TagValue", tag.value.as_str().into()),
        ])
    });
    let found: Vec<Json> = found.collect();
    let found = object([("TagResource", found.into())]);
    vec![("TagResources", found), next_token(page)]
}

/// The tags of a resource in a description.
fn tags(tags: &[(String, String)]) -> Json {
    let tags = tags.iter().map(|(key, value)| {
        object([
            ("TagKey", key.as_str().into()),
            ("TagValue", value.as_str().into()),
        ])
    });
    object([("Tag", tags.collect::<Vec<_>>().into())])
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
