//! `TagResources`, `UntagResources` and `ListTagResources`.

use std::collections::BTreeSet;

use super::Cloud;
use super::describe::visible_to;
use super::paging::page_of;
use crate::resources::Account;
use crate::{Answer, ApiError, ListTags, Paging, ResourceTag, TaggedKind, TaggedResources};

/// The keys and values of a resource.
type Tags = Vec<(String, String)>;

impl Cloud {
    /// Adds tags to every resource, or to none.
    pub(super) fn tag(
        &mut self,
        caller: &str,
        resources: &TaggedResources,
        tags: &[(String, String)],
    ) -> Result<Answer, ApiError> {
        if tags.len() > self.limits.tags {
            let message = format!(
                "The Tags parameter's number is more than {}.",
                self.limits.tags
            );
            return Err(ApiError::new(400, "NumberExceed.Tags", message));
        }
        check_duplicates(tags)?;
        for id in &resources.ids {
            let own = self.tags_for_change(caller, resources.kind, id)?;
            let is_new = |tag: &&(String, String)| !own.iter().any(|(key, _)| *key == tag.0);
            let total = own.len() + tags.iter().filter(is_new).count();
            if total > self.limits.tags {
                let most = self.limits.tags;
                let message = format!("Resource {id} would have {total} tags, at most {most}.");
                return Err(ApiError::new(403, "QuotaExceed.TagsPerResource", message));
            }
        }
        for id in &resources.ids {
            let own = self.tags_for_change(caller, resources.kind, id)?;
            for (key, value) in tags {
                match own.iter_mut().find(|(found, _)| found == key) {
                    Some((_, found)) => found.clone_from(value),
                    None => own.push((key.clone(), value.clone())),
                }
            }
        }
        Ok(Answer::Accepted)
    }

    /// Removes tags from every resource, or from none; a key that a resource lacks is ignored.
    pub(super) fn untag(
        &mut self,
        caller: &str,
        resources: &TaggedResources,
        keys: Option<&[String]>,
    ) -> Result<Answer, ApiError> {
        for id in &resources.ids {
            self.tags_for_change(caller, resources.kind, id)?;
        }
        for id in &resources.ids {
            let own = self.tags_for_change(caller, resources.kind, id)?;
            own.retain(|(key, _)| keys.is_some_and(|keys| !keys.contains(key)));
        }
        Ok(Answer::Accepted)
    }

    /// The tags of the caller's resources. A resource that does not exist has none.
    pub(super) fn list_tags(&self, caller: &str, wanted: &ListTags) -> Result<Answer, ApiError> {
        let account = self.account(caller)?;
        let TaggedResources { kind, ids } = &wanted.resources;
        let has = |tags: &Tags, (key, value): &(String, Option<String>)| {
            let is_wanted = |(k, v): &(String, String)| {
                k == key && value.as_ref().is_none_or(|value| value == v)
            };
            tags.iter().any(is_wanted)
        };
        let mut found = Vec::new();
        for (id, tags) in self.tagged(account, *kind) {
            let is_wanted = ids.is_empty() || ids.contains(&id);
            if is_wanted && wanted.tags.iter().all(|tag| has(&tags, tag)) {
                found.extend(tags.into_iter().map(|(key, value)| ResourceTag {
                    kind: *kind,
                    resource: id.clone(),
                    key,
                    value,
                }));
            }
        }
        let key = |tag: &ResourceTag| format!("{}\0{}", tag.resource, tag.key);
        found.sort_by_key(key);
        let paging = Paging::Token {
            size: self.limits.tags_page,
            token: wanted.token.clone(),
        };
        page_of(found, key, &paging, self.limits.tags_page).map(Answer::Tags)
    }

    /// The ids and tags of the resources of a kind that the account sees.
    fn tagged(&self, account: &Account, kind: TaggedKind) -> Vec<(String, Tags)> {
        match kind {
            TaggedKind::Interface => {
                let found = self.interfaces.values();
                let found = found.filter_map(|found| visible_to(account, found));
                found.map(|found| (found.id, found.tags)).collect()
            }
            TaggedKind::Instance => {
                let found = self.instances.values();
                let found = found.filter(|found| found.owner == account.id);
                found
                    .map(|found| (found.id.clone(), found.tags.clone()))
                    .collect()
            }
            TaggedKind::SecurityGroup => {
                let found = self.security_groups.values();
                let found = found.filter(|found| found.owner == account.id);
                found
                    .map(|found| (found.id.clone(), found.tags.clone()))
                    .collect()
            }
        }
    }

    /// The tags of a resource that the caller may change.
    fn tags_for_change(
        &mut self,
        caller: &str,
        kind: TaggedKind,
        id: &str,
    ) -> Result<&mut Tags, ApiError> {
        let unknown = || {
            let message = format!("The specified ResourceIds are not found: {id}.");
            ApiError::new(404, "InvalidResourceId.NotFound", message)
        };
        let account = self.account(caller)?;
        let allowed = match kind {
            TaggedKind::Interface => self.interface_for(account, id).map(|_| ()),
            TaggedKind::Instance => self.instance_for(account, id).map(|_| ()),
            TaggedKind::SecurityGroup => self.security_group_for(account, id).map(|_| ()),
        };
        // The owner of a managed interface gets its own error: it sees the interface.
        allowed.map_err(|error| {
            if error.status == 404 {
                unknown()
            } else {
                error
            }
        })?;
        let tags = match kind {
            TaggedKind::Interface => self.interfaces.get_mut(id).map(|found| &mut found.tags),
            TaggedKind::Instance => self.instances.get_mut(id).map(|found| &mut found.tags),
            TaggedKind::SecurityGroup => self
                .security_groups
                .get_mut(id)
                .map(|found| &mut found.tags),
        };
        tags.ok_or_else(unknown)
    }
}

/// Checks that no key is there twice.
pub(super) fn check_duplicates(tags: &[(String, String)]) -> Result<(), ApiError> {
    let mut keys = BTreeSet::new();
    match tags.iter().find(|(key, _)| !keys.insert(key)) {
        Some((key, _)) => {
            let message = format!("There are two tags {key}.");
            Err(ApiError::new(400, "Duplicate.TagKey", message))
        }
        None => Ok(()),
    }
}
