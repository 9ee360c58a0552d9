//! `CreateNetworkInterface`: what must hold, and what it makes.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use reflexarc_event::EniStatus;

use crate::address::Wish;
use crate::cloud::Cloud;
use crate::interface::{Addresses, Interface, InterfaceType};
use crate::{AddressFault, Refusal, Wanted};

/// A secondary interface to make.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CreateInterface {
    /// The vSwitch that gives the addresses.
    pub vswitch: String,
    /// The security groups to join, all in the vSwitch's VPC; at least one.
    pub security_groups: Vec<String>,
    /// The primary address; any free one when absent.
    pub primary: Option<Ipv4Addr>,
    /// Secondary addresses.
    pub secondary: Wanted<Ipv4Addr>,
    /// IPv4 prefixes, each a /28.
    pub ipv4_prefixes: Wanted<Ipv4Net>,
    /// IPv6 addresses.
    pub ipv6: Wanted<Ipv6Addr>,
    /// IPv6 prefixes, each a /80.
    pub ipv6_prefixes: Wanted<Ipv6Net>,
    /// A name, or nothing.
    pub name: String,
    /// Words about it, or nothing.
    pub description: String,
    /// Tags.
    pub tags: Vec<(String, String)>,
    /// A resource group, or nothing.
    pub resource_group: String,
    /// Whether it goes when its instance goes; yes unless said otherwise.
    pub delete_on_release: Option<bool>,
    /// Repeating a request with the token of an accepted one changes nothing and gives the same interface.
    pub client_token: Option<String>,
}

impl CreateInterface {
    /// An interface with one address and nothing else.
    pub fn new<'a>(vswitch: &str, security_groups: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            vswitch: vswitch.to_owned(),
            security_groups: security_groups.into_iter().map(str::to_owned).collect(),
            ..Self::default()
        }
    }
}

impl Cloud {
    /// Makes the interface in status Creating, or refuses; no event yet.
    ///
    /// What a service account makes is managed by that service and belongs to the account whose vSwitch it lies in.
    pub(crate) fn begin_create(
        &mut self,
        caller: &str,
        id: &str,
        wanted: &CreateInterface,
    ) -> Result<(), Refusal> {
        self.check_create_limits(wanted)?;
        let account = self.account(caller)?.clone();
        let vswitch = self.vswitch_for(&account, &wanted.vswitch)?;
        let (owner, vpc, zone) = (
            vswitch.owner.clone(),
            vswitch.vpc.clone(),
            vswitch.zone.clone(),
        );
        for group in &wanted.security_groups {
            let found = self.security_group_for(&account, group)?;
            if found.vpc != vpc {
                let message = format!(
                    "Security group {group} and vSwitch {} are not in one VPC.",
                    wanted.vswitch
                );
                return Err(Refusal::new(403, "InvalidOperation.VpcMismatch", message));
            }
        }
        let existing = self
            .interfaces
            .values()
            .filter(|interface| interface.counts_towards_quota_of(caller))
            .count();
        if account.service.is_none() && existing >= account.quota {
            let message = format!(
                "The account has {existing} network interfaces in the region, as many as its quota allows."
            );
            return Err(Refusal::new(403, "MaxEniCountExceeded", message));
        }
        let addresses = self.take_addresses(&wanted.vswitch, wanted)?;
        if let Err(refusal) = self.check_room_in_groups(&wanted.security_groups, &addresses) {
            self.release_addresses(&wanted.vswitch, &addresses);
            return Err(refusal);
        }
        let interface = Interface {
            id: id.to_owned(),
            owner,
            kind: InterfaceType::Secondary,
            managed_by: account.service.map(|number| (account.id.clone(), number)),
            status: EniStatus::Creating,
            instance: None,
            vswitch: wanted.vswitch.clone(),
            vpc,
            zone,
            security_groups: wanted.security_groups.clone(),
            mac: self.ids.mac(),
            addresses,
            name: wanted.name.clone(),
            description: wanted.description.clone(),
            tags: wanted.tags.clone(),
            resource_group: wanted.resource_group.clone(),
            delete_on_release: wanted.delete_on_release.unwrap_or(true),
            created: self.now(),
            attach_granted: Vec::new(),
        };
        self.insert_interface(interface);
        Ok(())
    }

    /// What becomes of the interface when the creation is done.
    pub(crate) fn finish_create(&mut self, id: &str, success: bool) {
        self.set_status(
            id,
            if success {
                EniStatus::Available
            } else {
                EniStatus::CreateFailed
            },
        );
        if !success {
            let Some(interface) = self.interfaces.get(id) else {
                return;
            };
            let (vswitch, addresses) = (interface.vswitch.clone(), interface.addresses.clone());
            self.release_addresses(&vswitch, &addresses);
            if let Some(interface) = self.interfaces.get_mut(id) {
                interface.addresses = Addresses::default();
            }
        }
    }

    /// Addresses for an interface in the vSwitch, in the service's words when there are none.
    pub(crate) fn take_addresses(
        &mut self,
        vswitch: &str,
        wanted: &CreateInterface,
    ) -> Result<Addresses, Refusal> {
        let Some(found) = self.vswitches.get_mut(vswitch) else {
            return Err(Refusal::unknown_vswitch(vswitch));
        };
        let wish = Wish {
            primary: wanted.primary,
            secondary: &wanted.secondary,
            ipv4_prefixes: &wanted.ipv4_prefixes,
            ipv6: &wanted.ipv6,
            ipv6_prefixes: &wanted.ipv6_prefixes,
        };
        found.pool.take(&wish).map_err(|fault| {
            let (status, code) = match &fault {
                AddressFault::NotEnough => (403, "InvalidVSwitchId.IpNotEnough"),
                AddressFault::Invalid(address) if address.contains(':') => {
                    (403, "InvalidIp.Address")
                }
                AddressFault::Invalid(_) => (403, "InvalidVSwitchId.IpInvalid"),
                AddressFault::Taken(_) => (403, "InvalidIp.IpAssigned"),
                AddressFault::Repeated(_) => (403, "InvalidIp.IpRepeated"),
                AddressFault::NoIpv6 => (400, "InvalidParameter"),
            };
            Refusal::new(status, code, format!("vSwitch {vswitch}: {fault}."))
        })
    }

    fn check_create_limits(&self, wanted: &CreateInterface) -> Result<(), Refusal> {
        let limits = &self.limits;
        let secondary = match &wanted.secondary {
            Wanted::Count(_) => limits.secondary_counted,
            Wanted::Nothing | Wanted::These(_) => limits.secondary_named,
        };
        if wanted.security_groups.is_empty() {
            return Err(Refusal::parameter(
                "SecurityGroupId: at least one security group is needed.",
            ));
        }
        let bounded = [
            (
                "SecurityGroupIds",
                wanted.security_groups.len(),
                limits.security_groups,
            ),
            (
                "secondary private addresses",
                wanted.secondary.len(),
                secondary,
            ),
            ("IPv4 prefixes", wanted.ipv4_prefixes.len(), limits.prefixes),
            ("IPv6 addresses", wanted.ipv6.len(), limits.ipv6),
            ("IPv6 prefixes", wanted.ipv6_prefixes.len(), limits.prefixes),
        ];
        if let Some((what, asked, allowed)) = bounded
            .into_iter()
            .find(|(_, asked, allowed)| asked > allowed)
        {
            return Err(Refusal::parameter(format!(
                "{what}: {asked} asked for, at most {allowed} allowed."
            )));
        }
        if wanted.tags.len() > limits.tags {
            let message = format!(
                "{} tags asked for, at most {} allowed.",
                wanted.tags.len(),
                limits.tags
            );
            return Err(Refusal::new(403, "QuotaExceed.Tags", message));
        }
        let mut keys = BTreeSet::new();
        match wanted.tags.iter().find(|(key, _)| !keys.insert(key)) {
            Some((key, _)) => Err(Refusal::new(
                400,
                "Duplicate.TagKey",
                format!("There are two tags {key}."),
            )),
            None => Ok(()),
        }
    }

    /// Basic groups count private addresses, enterprise groups count interfaces.
    fn check_room_in_groups(
        &self,
        groups: &[String],
        addresses: &Addresses,
    ) -> Result<(), Refusal> {
        for id in groups {
            let Some(group) = self.security_groups.get(id) else {
                continue;
            };
            let members = self
                .interfaces
                .values()
                .filter(|interface| interface.security_groups.contains(id));
            let taken: usize = members
                .map(|interface| group.weight(&interface.addresses.all()))
                .sum();
            if taken + group.weight(&addresses.all()) > group.capacity {
                let code = if group.enterprise {
                    "InvalidOperation.EniCountExceeded"
                } else {
                    "SecurityGroupInstanceLimitExceed"
                };
                return Err(Refusal::new(
                    403,
                    code,
                    format!("Security group {id} is full."),
                ));
            }
        }
        Ok(())
    }
}

impl Interface {
    fn counts_towards_quota_of(&self, account: &str) -> bool {
        self.owner == account
            && self.kind == InterfaceType::Secondary
            && !self.is_managed()
            && self.status != EniStatus::CreateFailed
    }
}
