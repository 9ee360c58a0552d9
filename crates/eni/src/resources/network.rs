//! Networks that interfaces belong to: vSwitches and security groups.

use std::net::IpAddr;

use ipnet::{Ipv4Net, Ipv6Net};

use super::AddressPool;

/// A subnet of a VPC in one zone.
#[derive(Debug, Clone)]
pub struct VSwitch {
    /// The vSwitch's id.
    pub id: String,
    /// The id of the account that owns it.
    pub owner: String,
    /// The VPC.
    pub vpc: String,
    /// The zone.
    pub zone: String,
    /// The addresses of its networks, free and allocated.
    pub pool: AddressPool,
}

impl VSwitch {
    /// A vSwitch with IPv4 only.
    pub fn new(id: &str, owner: &str, vpc: &str, zone: &str, ipv4: Ipv4Net) -> Self {
        Self {
            id: id.to_owned(),
            owner: owner.to_owned(),
            vpc: vpc.to_owned(),
            zone: zone.to_owned(),
            pool: AddressPool::new(ipv4, None),
        }
    }

    /// Enables IPv6.
    #[must_use]
    pub fn with_ipv6(mut self, ipv6: Ipv6Net) -> Self {
        self.pool = AddressPool::new(self.pool.ipv4(), Some(ipv6));
        self
    }
}

/// A security group, as far as it limits the interfaces that join it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityGroup {
    /// The group's id.
    pub id: String,
    /// The id of the account that owns it.
    pub owner: String,
    /// The VPC.
    pub vpc: String,
    /// Whether it is an enterprise group, which counts interfaces; a basic group counts their
    /// private addresses.
    pub enterprise: bool,
    /// The maximum of what the group counts.
    pub capacity: usize,
    /// Keys and values of tags.
    pub tags: Vec<(String, String)>,
}

impl SecurityGroup {
    /// A basic group: 6,000 private addresses.
    pub fn basic(id: &str, owner: &str, vpc: &str) -> Self {
        Self {
            id: id.to_owned(),
            owner: owner.to_owned(),
            vpc: vpc.to_owned(),
            enterprise: false,
            // The documented capacity of a basic group in a VPC.
            capacity: 6_000,
            tags: Vec::new(),
        }
    }

    /// An enterprise group: 65,536 interfaces.
    pub fn enterprise(id: &str, owner: &str, vpc: &str) -> Self {
        Self {
            enterprise: true,
            capacity: 65_536,
            ..Self::basic(id, owner, vpc)
        }
    }

    /// Replaces the capacity.
    #[must_use]
    pub fn with_capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        self
    }

    /// How much of the capacity an interface with these addresses uses.
    pub(crate) fn weight(&self, addresses: &[IpAddr]) -> usize {
        if self.enterprise {
            // An enterprise group counts the interface once, whatever its addresses.
            1
        } else {
            addresses.iter().filter(|address| address.is_ipv4()).count()
        }
    }
}
