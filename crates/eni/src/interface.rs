//! An elastic network interface.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use jiff::Timestamp;
use reflexarc_event::EniStatus;

/// One interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its id.
    pub id: String,
    /// The account it belongs to.
    pub owner: String,
    /// Primary or secondary.
    pub kind: InterfaceType,
    /// Who manages it: the account and the number of a cloud service; nobody for a standard interface.
    pub managed_by: Option<(String, i64)>,
    /// What it does.
    pub status: EniStatus,
    /// The instance it is, or is becoming, or is ceasing to be attached to.
    pub instance: Option<String>,
    /// Its vSwitch.
    pub vswitch: String,
    /// Its VPC.
    pub vpc: String,
    /// Its zone.
    pub zone: String,
    /// Its security groups.
    pub security_groups: Vec<String>,
    /// Its hardware address.
    pub mac: String,
    /// Its addresses.
    pub addresses: Addresses,
    /// Its name, or nothing.
    pub name: String,
    /// Words about it, or nothing.
    pub description: String,
    /// Its tags, in the order they were given.
    pub tags: Vec<(String, String)>,
    /// Its resource group, or nothing.
    pub resource_group: String,
    /// Whether it goes when its instance goes.
    pub delete_on_release: bool,
    /// When its creation was accepted.
    pub created: Timestamp,
    /// Accounts other than the owner that may attach it to an instance of theirs.
    pub attach_granted: Vec<String>,
}

/// What kind of interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InterfaceType {
    /// Lives and dies with its instance and cannot be detached.
    Primary,
    /// Everything that a caller creates.
    Secondary,
}

/// The addresses of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Addresses {
    /// The primary private address.
    pub primary: Option<Ipv4Addr>,
    /// The secondary private addresses.
    pub secondary: Vec<Ipv4Addr>,
    /// The IPv4 prefixes.
    pub ipv4_prefixes: Vec<Ipv4Net>,
    /// The IPv6 addresses.
    pub ipv6: Vec<Ipv6Addr>,
    /// The IPv6 prefixes.
    pub ipv6_prefixes: Vec<Ipv6Net>,
}

impl Interface {
    /// Whether a cloud service manages it.
    pub fn is_managed(&self) -> bool {
        self.managed_by.is_some()
    }

    /// Whether `account` may operate on it as if it were its own: the manager of a managed interface, else the owner.
    pub(crate) fn is_operated_by(&self, account: &str) -> bool {
        match &self.managed_by {
            Some((service, _)) => service == account,
            None => self.owner == account,
        }
    }
}

impl InterfaceType {
    /// The word that the API uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Primary => "Primary",
            Self::Secondary => "Secondary",
        }
    }
}

/// Whether the status machine knows a step from one status to another.
pub fn may_become(from: EniStatus, to: EniStatus) -> bool {
    use EniStatus::{
        Attaching, Available, CreateFailed, Creating, Deleted, Deleting, Detaching, InUse,
    };
    matches!(
        (from, to),
        (Creating, Available | CreateFailed)
            | (Available, Attaching | Deleting)
            | (Attaching, InUse | Available)
            | (InUse, Detaching)
            | (Detaching, Available)
            | (Deleting, Deleted)
    )
}

impl Addresses {
    /// Every single address: primary, secondary, IPv6.
    pub fn all(&self) -> Vec<IpAddr> {
        let ipv4 = self
            .primary
            .iter()
            .chain(&self.secondary)
            .copied()
            .map(IpAddr::V4);
        ipv4.chain(self.ipv6.iter().copied().map(IpAddr::V6))
            .collect()
    }

    /// How many private IPv4 addresses there are.
    pub fn ipv4_count(&self) -> usize {
        usize::from(self.primary.is_some()) + self.secondary.len()
    }
}
