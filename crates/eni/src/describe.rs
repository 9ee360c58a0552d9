//! `DescribeNetworkInterfaces`: which interfaces a caller sees, and a page at a time.

use std::net::{Ipv4Addr, Ipv6Addr};

use reflexarc_event::EniStatus;

use crate::cloud::Cloud;
use crate::interface::{Interface, InterfaceType};
use crate::{Account, Refusal};

/// Which interfaces; every part that is given must hold, and any entry of a list will do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// These ids.
    pub ids: Vec<String>,
    /// Attached to this instance.
    pub instance: Option<String>,
    /// In this status.
    pub status: Option<EniStatus>,
    /// Of this type.
    pub kind: Option<InterfaceType>,
    /// Managed, or standard.
    pub managed: Option<bool>,
    /// In this vSwitch.
    pub vswitch: Option<String>,
    /// In this VPC.
    pub vpc: Option<String>,
    /// A secondary interface in this security group.
    pub security_group: Option<String>,
    /// With this primary address.
    pub primary: Option<Ipv4Addr>,
    /// With one of these private addresses.
    pub private: Vec<Ipv4Addr>,
    /// With one of these IPv6 addresses.
    pub ipv6: Vec<Ipv6Addr>,
    /// Of this name.
    pub name: Option<String>,
    /// In this resource group.
    pub resource_group: Option<String>,
    /// With all of these tags; without a value, the key alone counts.
    pub tags: Vec<(String, Option<String>)>,
}

/// How many at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paging {
    /// The older way: page `number`, counted from 1, of `size`.
    Numbered {
        /// Which page.
        number: usize,
        /// How many on a page.
        size: usize,
    },
    /// At most `size`, after what an earlier page's [`Page::next`] says.
    Token {
        /// How many.
        size: usize,
        /// Where to go on; the beginning when absent.
        token: Option<String>,
    },
}

/// Some of the interfaces, by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The interfaces, as the caller may see them: without the instance where a service manages an interface of the caller.
    pub interfaces: Vec<Interface>,
    /// How many there are in all.
    pub total: usize,
    /// The page as asked for.
    pub paging: Paging,
    /// Where to go on; nothing on the last page.
    pub next: Option<String>,
}

impl Default for Paging {
    fn default() -> Self {
        Self::Numbered {
            number: 1,
            size: 10,
        }
    }
}

impl Cloud {
    pub(crate) fn describe(
        &self,
        caller: &str,
        filter: &Filter,
        paging: &Paging,
    ) -> Result<Page, Refusal> {
        let account = self.account(caller)?;
        if filter.ids.len() > self.limits.described_ids {
            let message = format!(
                "NetworkInterfaceId: at most {} ids.",
                self.limits.described_ids
            );
            return Err(Refusal::parameter(message));
        }
        let visible = self
            .interfaces
            .values()
            .filter_map(|interface| seen_by(account, interface));
        let found: Vec<Interface> = visible
            .filter(|interface| filter.admits(interface))
            .collect();
        let total = found.len();
        let page = self.limits.page;
        let (interfaces, next) = match paging {
            Paging::Numbered { number, size } => {
                let skipped = number.saturating_sub(1).saturating_mul(*size);
                (
                    found
                        .into_iter()
                        .skip(skipped)
                        .take((*size).min(page))
                        .collect(),
                    None,
                )
            }
            Paging::Token { size, token } => {
                let after =
                    |interface: &Interface| token.as_ref().is_none_or(|last| interface.id > *last);
                let size = (*size).min(page);
                let mut rest: Vec<Interface> =
                    found.into_iter().filter(after).take(size + 1).collect();
                let more = rest.len() > size;
                rest.truncate(size);
                let next = rest.last().filter(|_| more).map(|last| last.id.clone());
                (rest, next)
            }
        };
        Ok(Page {
            interfaces,
            total,
            paging: paging.clone(),
            next,
        })
    }
}

impl Filter {
    fn admits(&self, interface: &Interface) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        let private = || {
            interface
                .addresses
                .primary
                .iter()
                .chain(&interface.addresses.secondary)
        };
        (self.ids.is_empty() || self.ids.contains(&interface.id))
            && is(
                &self.instance,
                interface.instance.as_deref().unwrap_or_default(),
            )
            && self.status.is_none_or(|status| status == interface.status)
            && self.kind.is_none_or(|kind| kind == interface.kind)
            && self
                .managed
                .is_none_or(|managed| managed == interface.is_managed())
            && is(&self.vswitch, &interface.vswitch)
            && is(&self.vpc, &interface.vpc)
            && self.security_group.as_ref().is_none_or(|group| {
                interface.kind == InterfaceType::Secondary
                    && interface.security_groups.contains(group)
            })
            && self
                .primary
                .is_none_or(|primary| interface.addresses.primary == Some(primary))
            && (self.private.is_empty() || private().any(|address| self.private.contains(address)))
            && (self.ipv6.is_empty()
                || interface
                    .addresses
                    .ipv6
                    .iter()
                    .any(|address| self.ipv6.contains(address)))
            && is(&self.name, &interface.name)
            && is(&self.resource_group, &interface.resource_group)
            && self.tags.iter().all(|(key, value)| {
                let same = |(k, v): &(String, String)| {
                    k == key && value.as_ref().is_none_or(|value| v == value)
                };
                interface.tags.iter().any(same)
            })
    }
}

/// The interface as the account sees it, if it does: its own, and those it manages for others.
fn seen_by(account: &Account, interface: &Interface) -> Option<Interface> {
    if interface.is_operated_by(&account.id) {
        return Some(interface.clone());
    }
    (interface.owner == account.id).then(|| Interface {
        instance: None,
        ..interface.clone()
    })
}
