//! Where interfaces live: vSwitches and security groups.

use std::net::IpAddr;

use ipnet::{Ipv4Net, Ipv6Net};

use crate::Pool;

/// A subnet of a VPC in one zone, with the addresses it still has.
#[derive(Debug, Clone)]
pub struct VSwitch {
    /// Its id.
    pub id: String,
    /// The account it belongs to.
    pub owner: String,
    /// Its VPC.
    pub vpc: String,
    /// Its zone.
    pub zone: String,
    /// Its addresses.
    pub pool: Pool,
}

impl VSwitch {
    /// A vSwitch with IPv4 only.
    pub fn new(id: &str, owner: &str, vpc: &str, zone: &str, ipv4: Ipv4Net) -> Self {
        Self {
            id: id.to_owned(),
            owner: owner.to_owned(),
            vpc: vpc.to_owned(),
            zone: zone.to_owned(),
            pool: Pool::new(ipv4, None),
        }
    }

    /// The same with IPv6 on.
    #[must_use]
    pub fn with_ipv6(mut self, ipv6: Ipv6Net) -> Self {
        self.pool = Pool::new(self.pool.ipv4(), Some(ipv6));
        self
    }
}

/// A security group, as far as it bounds how many interfaces may join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityGroup {
    /// Its id.
    pub id: String,
    /// The account it belongs to.
    pub owner: String,
    /// Its VPC.
    pub vpc: String,
    /// Whether it is an enterprise group: those count interfaces, basic ones count private addresses.
    pub enterprise: bool,
    /// How many it takes of what it counts.
    pub capacity: usize,
}

impl SecurityGroup {
    /// A basic group: 6,000 private addresses.
    pub fn basic(id: &str, owner: &str, vpc: &str) -> Self {
        Self {
            id: id.to_owned(),
            owner: owner.to_owned(),
            vpc: vpc.to_owned(),
            enterprise: false,
            capacity: 6_000,
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

    /// The same with another capacity.
    #[must_use]
    pub fn with_capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        self
    }

    /// What an interface with these addresses adds to the group.
    pub(crate) fn weight(&self, addresses: &[IpAddr]) -> usize {
        if self.enterprise {
            1
        } else {
            addresses.iter().filter(|address| address.is_ipv4()).count()
        }
    }
}
