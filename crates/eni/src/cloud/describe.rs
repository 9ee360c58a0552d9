//! `DescribeNetworkInterfaces`.

use super::Cloud;
use super::paging::page_of;
use crate::resources::{Account, Interface, InterfaceType};
use crate::{ApiError, DescribeFilter, Listed, Paging};

impl Cloud {
    /// The interfaces that the caller may see and that match the filter, one page of them.
    pub(super) fn describe(
        &self,
        caller: &str,
        filter: &DescribeFilter,
        paging: &Paging,
    ) -> Result<Listed<Interface>, ApiError> {
        let account = self.account(caller)?;
        if filter.ids.len() > self.limits.described_ids {
            let message = format!(
                "NetworkInterfaceId: at most {} ids.",
                self.limits.described_ids
            );
            return Err(ApiError::invalid_parameter(message));
        }
        // Visibility comes before the filter: what is hidden from the caller must not be found by
        // filtering for it either, such as the instance of a managed interface.
        let found: Vec<Interface> = self
            .interfaces
            .values()
            .filter_map(|interface| visible_to(account, interface))
            .filter(|interface| filter.matches(interface))
            .collect();
        let key = |interface: &Interface| interface.id.clone();
        page_of(found, key, paging, self.limits.page)
    }
}

impl DescribeFilter {
    fn matches(&self, interface: &Interface) -> bool {
        let addresses = &interface.addresses;
        let equals = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        let in_group = |group: &String| {
            interface.kind == InterfaceType::Secondary && interface.security_groups.contains(group)
        };
        let mut private = addresses.primary.iter().chain(&addresses.secondary);
        let mut ipv6 = addresses.ipv6.iter();
        (self.ids.is_empty() || self.ids.contains(&interface.id))
            && equals(
                &self.instance,
                interface.instance.as_deref().unwrap_or_default(),
            )
            && self.status.is_none_or(|status| status == interface.status)
            && self.kind.is_none_or(|kind| kind == interface.kind)
            && self
                .managed
                .is_none_or(|managed| managed == interface.is_managed())
            && equals(&self.vswitch, &interface.vswitch)
            && equals(&self.vpc, &interface.vpc)
            && self.security_group.as_ref().is_none_or(in_group)
            && self
                .primary
                .is_none_or(|primary| addresses.primary == Some(primary))
            && (self.private.is_empty() || private.any(|found| self.private.contains(found)))
            && (self.ipv6.is_empty() || ipv6.any(|found| self.ipv6.contains(found)))
            && equals(&self.name, &interface.name)
            && equals(&self.resource_group, &interface.resource_group)
            && self
                .tags
                .iter()
                .all(|(key, value)| has_tag(interface, key, value.as_deref()))
    }
}

/// The interface as the account sees it: it sees its own and those it manages for other accounts.
pub(super) fn visible_to(account: &Account, interface: &Interface) -> Option<Interface> {
    if interface.is_operated_by(&account.id) {
        return Some(interface.clone());
    }
    (interface.owner == account.id).then(|| Interface {
        instance: None,
        ..interface.clone()
    })
}

fn has_tag(interface: &Interface, key: &str, value: Option<&str>) -> bool {
    interface
        .tags
        .iter()
        .any(|(k, v)| k == key && value.is_none_or(|value| v == value))
}
