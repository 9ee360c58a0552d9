//! `DescribeInstances` and `DescribeInstanceTypes`.

use std::collections::BTreeMap;

use super::Cloud;
use super::paging::page_of;
use crate::resources::{Instance, InstanceType, Interface, InterfaceType};
use crate::{Answer, ApiError, InstanceDetails, InstanceFilter, Paging};

impl Cloud {
    /// The caller's instances that match the filter, one page of them.
    pub(super) fn describe_instances(
        &self,
        caller: &str,
        filter: &InstanceFilter,
        paging: &Paging,
    ) -> Result<Answer, ApiError> {
        let account = self.account(caller)?;
        let most = self.limits.instances;
        if filter.ids.len() > most {
            let message = format!("InstanceIds: at most {most} ids.");
            return Err(ApiError::invalid_parameter(message));
        }
        let own = self
            .instances
            .values()
            .filter(|found| found.owner == account.id);
        let found: Vec<InstanceDetails> = own
            .map(|instance| self.details(instance))
            .filter(|details| filter.matches(details))
            .collect();
        let key = |details: &InstanceDetails| details.instance.id.clone();
        page_of(found, key, paging, most).map(Answer::Instances)
    }

    /// The instance types of the region, one page of them.
    pub(super) fn describe_instance_types(
        &self,
        caller: &str,
        names: &[String],
        families: &[String],
        paging: &Paging,
    ) -> Result<Answer, ApiError> {
        self.account(caller)?;
        let mut types: BTreeMap<String, InstanceType> = BTreeMap::new();
        let own = self
            .instances
            .values()
            .map(|instance| instance.kind.clone());
        // A scenario can replace the limits of a type for its instances. A client that reads the
        // limits has to find those that apply to the instances, so they come last.
        for kind in InstanceType::all().into_iter().chain(own) {
            types.insert(kind.name.clone(), kind);
        }
        let is_wanted = |kind: &InstanceType| {
            (names.is_empty() || names.contains(&kind.name))
                && (families.is_empty() || families.iter().any(|family| family == kind.family()))
        };
        let found = types.into_values().filter(is_wanted).collect();
        let key = |kind: &InstanceType| kind.name.clone();
        page_of(found, key, paging, self.limits.instances).map(Answer::InstanceTypes)
    }

    fn details(&self, instance: &Instance) -> InstanceDetails {
        let mut interfaces: Vec<Interface> = self.interfaces_of(&instance.id).cloned().collect();
        interfaces.sort_by_key(|interface| interface.kind);
        InstanceDetails {
            region: self.region.clone(),
            instance: instance.clone(),
            interfaces,
        }
    }
}

impl InstanceDetails {
    /// The primary interface, which every instance has.
    pub(crate) fn primary(&self) -> Option<&Interface> {
        let mut interfaces = self.interfaces.iter();
        interfaces.find(|interface| interface.kind == InterfaceType::Primary)
    }
}

impl InstanceFilter {
    fn matches(&self, details: &InstanceDetails) -> bool {
        let InstanceDetails { instance, .. } = details;
        let primary = details.primary();
        let equals = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        let in_group =
            |group: &String| primary.is_some_and(|primary| primary.security_groups.contains(group));
        let address = primary.and_then(|primary| primary.addresses.primary);
        let has_tag = |(key, value): &(String, Option<String>)| {
            let mut tags = instance.tags.iter();
            tags.any(|(k, v)| k == key && value.as_ref().is_none_or(|value| value == v))
        };
        (self.ids.is_empty() || self.ids.contains(&instance.id))
            && self
                .name
                .as_deref()
                .is_none_or(|name| is_like(&instance.name, name))
            && self.status.is_none_or(|status| status == instance.status)
            && equals(&self.kind, &instance.kind.name)
            && equals(&self.family, instance.kind.family())
            && equals(&self.vpc, &instance.vpc)
            && equals(
                &self.vswitch,
                primary.map_or("", |primary| &primary.vswitch),
            )
            && equals(&self.zone, &instance.zone)
            && self.security_group.as_ref().is_none_or(in_group)
            && (self.private.is_empty()
                || address.is_some_and(|address| self.private.contains(&address)))
            && equals(&self.resource_group, &instance.resource_group)
            && self.tags.iter().all(has_tag)
    }
}

/// Whether a name matches a pattern in which `*` stands for any text.
///
/// The parts between the stars must come in this order, the first one at the start and the last one
/// at the end: `web-*-a*` needs `web-`, then `-a`.
fn is_like(name: &str, pattern: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return name == pattern;
    };
    let Some(mut name) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match name.find(part) {
            Some(at) => name = &name[at + part.len()..],
            None => return false,
        }
    }
    name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::is_like;

    #[test]
    fn a_star_in_a_name_stands_for_any_text() {
        for pattern in ["web-1", "web*", "*-1", "*", "w*b*1", "web-1*", "w**1"] {
            assert!(is_like("web-1", pattern), "{pattern}");
        }
        for pattern in ["web", "*web", "web-1-*", "w*1*b", "Web*", ""] {
            assert!(!is_like("web-1", pattern), "{pattern}");
        }
    }
}
