//! Actions on tags.

use crate::rpc::parameters::{self, Parameters};
use crate::{ApiError, Limits, ListTags, Request, TaggedKind, TaggedResources};

pub(super) fn tag(parameters: &Parameters, limits: &Limits) -> Result<Request, ApiError> {
    let resources = resources(parameters, limits)?;
    let tags = parameters.tags()?;
    if tags.is_empty() {
        return Err(parameters::missing("Tag.1.Key"));
    }
    let tags = tags.into_iter();
    Ok(Request::Tag {
        resources,
        tags: tags
            .map(|(key, value)| (key, value.unwrap_or_default()))
            .collect(),
    })
}

pub(super) fn untag(parameters: &Parameters, limits: &Limits) -> Result<Request, ApiError> {
    let resources = resources(parameters, limits)?;
    let keys = parameters.list("TagKey");
    let is_all = parameters.flag("All")?.unwrap_or(false);
    // With keys, `All` has no effect, as documented.
    let keys = match (keys.is_empty(), is_all) {
        (false, _) => Some(keys.into_iter().map(str::to_owned).collect()),
        (true, true) => None,
        (true, false) => return Err(parameters::missing("TagKey.1")),
    };
    Ok(Request::Untag { resources, keys })
}

pub(super) fn list(parameters: &Parameters, limits: &Limits) -> Result<Request, ApiError> {
    // Tags with patterns in their values.
    super::refuse_unsupported(parameters, &["TagFilter"])?;
    let resources = some_resources(parameters, limits)?;
    let tags = parameters.tags()?;
    if resources.ids.is_empty() && tags.is_empty() {
        return Err(parameters::missing("ResourceId.1"));
    }
    Ok(Request::ListTags(ListTags {
        resources,
        tags,
        token: parameters.optional("NextToken").map(str::to_owned),
    }))
}

/// The resources, of which there must be one.
fn resources(parameters: &Parameters, limits: &Limits) -> Result<TaggedResources, ApiError> {
    let resources = some_resources(parameters, limits)?;
    if resources.ids.is_empty() {
        return Err(parameters::missing("ResourceId.1"));
    }
    Ok(resources)
}

fn some_resources(parameters: &Parameters, limits: &Limits) -> Result<TaggedResources, ApiError> {
    let name = parameters.required("ResourceType")?;
    let mut kinds = TaggedKind::ALL.into_iter();
    let kind = kinds.find(|kind| kind.name() == name).ok_or_else(|| {
        let message = "The ResourceType provided does not exist in our records.";
        ApiError::new(404, "InvalidResourceType.NotFound", message)
    })?;
    let ids = parameters.list("ResourceId");
    if ids.len() > limits.tagged {
        let message = format!(
            "The ResourceIds parameter's number is more than {}.",
            limits.tagged
        );
        return Err(ApiError::new(400, "NumberExceed.ResourceIds", message));
    }
    let ids = ids.into_iter().map(str::to_owned).collect();
    Ok(TaggedResources { kind, ids })
}
