//! Elastic network interfaces.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use jiff::Timestamp;
use reflexarc_event::EniStatus;

use super::InterfaceSettings;

/// One interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The interface's id.
    pub id: String,
    /// The id of the account that owns it.
    pub owner: String,
    /// Primary or secondary.
    pub kind: InterfaceType,
    /// The account id and the service number of the cloud service that manages it; absent for a
    /// standard interface.
    pub managed_by: Option<(String, i64)>,
    /// The status.
    pub status: EniStatus,
    /// The id of the instance in the statuses Attaching, `InUse` and Detaching.
    pub instance: Option<String>,
    /// The vSwitch.
    pub vswitch: String,
    /// The VPC.
    pub vpc: String,
    /// The zone.
    pub zone: String,
    /// The security groups.
    pub security_groups: Vec<String>,
    /// The MAC address.
    pub mac: String,
    /// The IP addresses and prefixes.
    pub addresses: Addresses,
    /// The name; may be empty.
    pub name: String,
    /// The description; may be empty.
    pub description: String,
    /// Keys and values of tags, in the order of the request.
    pub tags: Vec<(String, String)>,
    /// The resource group; may be empty.
    pub resource_group: String,
    /// Whether it is deleted when its instance is released.
    pub delete_on_release: bool,
    /// When its creation was accepted.
    pub created: Timestamp,
    /// The ids of other accounts that may attach it to their instances.
    pub attach_granted: Vec<String>,
    /// The settings of its queues and connections.
    pub settings: InterfaceSettings,
    /// The index of the network card that its attachment requests.
    pub network_card: Option<usize>,
}

/// The type of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InterfaceType {
    /// Created and deleted with its instance; cannot be detached.
    Primary,
    /// Created by a request.
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

/// Whether the status machine of an interface has a transition between two statuses.
///
/// ```
/// use reflexarc_eni::resources::is_valid_transition;
/// use reflexarc_event::EniStatus;
///
/// assert!(is_valid_transition(EniStatus::Available, EniStatus::Attaching));
/// assert!(!is_valid_transition(EniStatus::InUse, EniStatus::Deleting));
/// ```
pub fn is_valid_transition(from: EniStatus, to: EniStatus) -> bool {
    use EniStatus::{
        Attaching, Available, CreateFailed, Creating, Deleted, Deleting, Detaching, InUse,
    };
    // A failed attachment returns to Available. A failed detachment or deletion has no transition:
    // the interface stays in Detaching or Deleting until the request is repeated. CreateFailed and
    // Deleted are final.
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

impl Interface {
    /// Whether a cloud service manages it.
    pub fn is_managed(&self) -> bool {
        self.managed_by.is_some()
    }

    /// Whether the account may request operations on it: the service that manages it, or the owner
    /// of a standard interface.
    pub(crate) fn is_operated_by(&self, account: &str) -> bool {
        match &self.managed_by {
            Some((service, _)) => service == account,
            None => self.owner == account,
        }
    }
}

impl InterfaceType {
    /// The name that the API uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Primary => "Primary",
            Self::Secondary => "Secondary",
        }
    }
}

impl Addresses {
    /// Every address, without the prefixes: primary, secondary, IPv6.
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

    /// Whether there is no address and no prefix.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds addresses and prefixes that it does not have, after its own.
    pub(crate) fn extend(&mut self, more: &Self) {
        self.secondary.extend(&more.secondary);
        self.ipv4_prefixes.extend(&more.ipv4_prefixes);
        self.ipv6.extend(&more.ipv6);
        self.ipv6_prefixes.extend(&more.ipv6_prefixes);
    }

    /// Removes addresses and prefixes; the primary address stays.
    pub(crate) fn remove(&mut self, unwanted: &Self) {
        self.secondary
            .retain(|one| !unwanted.secondary.contains(one));
        self.ipv4_prefixes
            .retain(|one| !unwanted.ipv4_prefixes.contains(one));
        self.ipv6.retain(|one| !unwanted.ipv6.contains(one));
        self.ipv6_prefixes
            .retain(|one| !unwanted.ipv6_prefixes.contains(one));
    }

    /// The number of private IPv4 addresses.
    pub fn ipv4_count(&self) -> usize {
        usize::from(self.primary.is_some()) + self.secondary.len()
    }
}
