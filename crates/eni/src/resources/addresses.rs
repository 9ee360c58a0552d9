//! The addresses of a vSwitch and their allocation.
//!
//! An interface gets all addresses that it requests, or none. Explicit addresses are checked and
//! reserved first, the rest is taken from the free ones: single addresses from the low end of the
//! network, prefixes from the high end, so that single addresses leave whole prefixes free for as
//! long as possible. In 10.0.0.0/26, from which 10.0.0.1 to 10.0.0.60 are assignable:
//!
//! ```text
//! primary    10.0.0.1          first free address from below
//! prefix 1   10.0.0.32/28      10.0.0.48/28 ends with reserved addresses
//! prefix 2   10.0.0.16/28
//! ```

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::Addresses;

/// The length of the IPv4 prefixes of an interface; the service assigns only /28.
const IPV4_PREFIX: u8 = 28;
/// The length of the IPv6 prefixes of an interface; the service assigns only /80.
const IPV6_PREFIX: u8 = 80;

/// Addresses of one kind that a request selects: none, explicit ones, or a number of free ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AddressSelection<T> {
    /// No addresses.
    #[default]
    None,
    /// Exactly these.
    Explicit(Vec<T>),
    /// That many free ones.
    Count(usize),
}

/// The address space of a vSwitch. The first address and the last three of its IPv4 network, and
/// the first one of its IPv6 network, are reserved by the cloud.
#[derive(Debug, Clone)]
pub struct AddressPool {
    ipv4: Ipv4Net,
    ipv6: Option<Ipv6Net>,
    allocated: BTreeSet<IpAddr>,
    allocated_prefixes: BTreeSet<IpNet>,
}

/// Why addresses cannot be allocated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AllocationError {
    /// There are too few free addresses.
    #[error("not enough free addresses")]
    NotEnough,
    /// An address outside of the vSwitch or reserved by the cloud, or a prefix of another length
    /// than the service assigns.
    #[error("{0} cannot be assigned to an interface")]
    Invalid(String),
    /// The address is allocated.
    #[error("{0} is in use")]
    InUse(String),
    /// The request has the address twice.
    #[error("{0} is requested twice")]
    Duplicate(String),
    /// The vSwitch has no IPv6 network.
    #[error("IPv6 is not enabled")]
    NoIpv6,
}

/// The addresses that an interface requests from its vSwitch.
pub(crate) struct AllocationRequest<'a> {
    pub(crate) primary: PrimaryRequest,
    pub(crate) secondary: &'a AddressSelection<Ipv4Addr>,
    pub(crate) ipv4_prefixes: &'a AddressSelection<Ipv4Net>,
    pub(crate) ipv6: &'a AddressSelection<Ipv6Addr>,
    pub(crate) ipv6_prefixes: &'a AddressSelection<Ipv6Net>,
}

/// Which primary address an interface requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PrimaryRequest {
    /// None: the interface has one.
    None,
    /// Any free one.
    Free,
    /// This one.
    Explicit(Ipv4Addr),
}

impl AddressPool {
    /// A pool without allocations.
    pub fn new(ipv4: Ipv4Net, ipv6: Option<Ipv6Net>) -> Self {
        let (ipv4, ipv6) = (ipv4.trunc(), ipv6.map(|net| net.trunc()));
        Self {
            ipv4,
            ipv6,
            allocated: BTreeSet::new(),
            allocated_prefixes: BTreeSet::new(),
        }
    }

    /// The IPv4 network.
    pub fn ipv4(&self) -> Ipv4Net {
        self.ipv4
    }

    /// Allocates everything in the request, or nothing.
    pub(crate) fn allocate(
        &mut self,
        request: &AllocationRequest<'_>,
    ) -> Result<Addresses, AllocationError> {
        let mut allocation = Allocation {
            pool: self,
            addresses: BTreeSet::new(),
            prefixes: BTreeSet::new(),
        };
        // Explicit addresses first: otherwise a free address picked for this request could be one
        // that the same request names.
        if let PrimaryRequest::Explicit(primary) = request.primary {
            allocation.reserve(primary.into())?;
        }
        let mut secondary = allocation.reserve_all(request.secondary, IpAddr::V4)?;
        let mut ipv4_prefixes =
            allocation.reserve_prefixes(request.ipv4_prefixes, IpNet::V4, IPV4_PREFIX)?;
        let mut ipv6 = allocation.reserve_all(request.ipv6, IpAddr::V6)?;
        let mut ipv6_prefixes =
            allocation.reserve_prefixes(request.ipv6_prefixes, IpNet::V6, IPV6_PREFIX)?;
        let primary = match request.primary {
            PrimaryRequest::None => None,
            PrimaryRequest::Free => Some(allocation.pick_ipv4()?),
            PrimaryRequest::Explicit(primary) => Some(primary),
        };
        for _ in 0..request.secondary.count() {
            secondary.push(allocation.pick_ipv4()?);
        }
        for _ in 0..request.ipv4_prefixes.count() {
            ipv4_prefixes.push(allocation.pick_ipv4_prefix()?);
        }
        for _ in 0..request.ipv6.count() {
            ipv6.push(allocation.pick_ipv6()?);
        }
        for _ in 0..request.ipv6_prefixes.count() {
            ipv6_prefixes.push(allocation.pick_ipv6_prefix()?);
        }
        // Nothing has failed: only now does the pool change.
        let Allocation {
            addresses,
            prefixes,
            ..
        } = allocation;
        self.allocated.extend(addresses);
        self.allocated_prefixes.extend(prefixes);
        Ok(Addresses {
            primary,
            secondary,
            ipv4_prefixes,
            ipv6,
            ipv6_prefixes,
        })
    }

    /// Makes addresses free again.
    pub(crate) fn release(&mut self, addresses: &Addresses) {
        for address in addresses.all() {
            self.allocated.remove(&address);
        }
        for prefix in &addresses.ipv4_prefixes {
            self.allocated_prefixes.remove(&IpNet::V4(*prefix));
        }
        for prefix in &addresses.ipv6_prefixes {
            self.allocated_prefixes.remove(&IpNet::V6(*prefix));
        }
    }

    /// The assignable IPv4 addresses. In a /29 these are the second to the fifth of eight.
    fn assignable_ipv4(&self) -> std::ops::RangeInclusive<u32> {
        let first = u32::from(self.ipv4.network());
        let last = u32::from(self.ipv4.broadcast());
        first.saturating_add(1)..=last.saturating_sub(3)
    }

    fn check_assignable(&self, address: IpAddr) -> Result<(), AllocationError> {
        let assignable = match (address, self.ipv6) {
            (IpAddr::V4(address), _) => self.assignable_ipv4().contains(&u32::from(address)),
            (IpAddr::V6(_), None) => return Err(AllocationError::NoIpv6),
            (IpAddr::V6(address), Some(net)) => net.contains(&address) && address != net.network(),
        };
        if assignable {
            Ok(())
        } else {
            Err(AllocationError::Invalid(address.to_string()))
        }
    }
}

impl<T> AddressSelection<T> {
    /// The number of selected addresses.
    pub fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Explicit(explicit) => explicit.len(),
            Self::Count(count) => *count,
        }
    }

    /// Whether no address is selected.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of free addresses to pick.
    fn count(&self) -> usize {
        if let Self::Count(count) = self {
            *count
        } else {
            0
        }
    }
}

/// An allocation in progress: what one request has reserved, not yet recorded in the pool.
struct Allocation<'a> {
    pool: &'a AddressPool,
    addresses: BTreeSet<IpAddr>,
    prefixes: BTreeSet<IpNet>,
}

impl Allocation<'_> {
    fn reserve_all<T: Copy>(
        &mut self,
        selection: &AddressSelection<T>,
        to_address: impl Fn(T) -> IpAddr,
    ) -> Result<Vec<T>, AllocationError> {
        let AddressSelection::Explicit(explicit) = selection else {
            return Ok(Vec::new());
        };
        explicit
            .iter()
            .map(|&one| self.reserve(to_address(one)).map(|()| one))
            .collect()
    }

    fn reserve_prefixes<T: Copy>(
        &mut self,
        selection: &AddressSelection<T>,
        to_prefix: impl Fn(T) -> IpNet,
        length: u8,
    ) -> Result<Vec<T>, AllocationError> {
        let AddressSelection::Explicit(explicit) = selection else {
            return Ok(Vec::new());
        };
        let mut reserve = |one| self.reserve_prefix(to_prefix(one), length).map(|()| one);
        explicit.iter().map(|&one| reserve(one)).collect()
    }

    fn reserve(&mut self, address: IpAddr) -> Result<(), AllocationError> {
        self.pool.check_assignable(address)?;
        if self.addresses.contains(&address) {
            return Err(AllocationError::Duplicate(address.to_string()));
        }
        if !self.is_free(address) {
            return Err(AllocationError::InUse(address.to_string()));
        }
        self.addresses.insert(address);
        Ok(())
    }

    fn reserve_prefix(&mut self, prefix: IpNet, length: u8) -> Result<(), AllocationError> {
        // Only the last address is checked: the first prefix of the network, with its one reserved
        // address, can be assigned; the last prefix, with three of them, cannot.
        self.pool.check_assignable(prefix.broadcast())?;
        if prefix.prefix_len() != length || prefix.trunc() != prefix {
            return Err(AllocationError::Invalid(prefix.to_string()));
        }
        if self.prefixes.contains(&prefix) {
            return Err(AllocationError::Duplicate(prefix.to_string()));
        }
        if !self.is_free_prefix(prefix) {
            return Err(AllocationError::InUse(prefix.to_string()));
        }
        self.prefixes.insert(prefix);
        Ok(())
    }

    /// The lowest free address.
    fn pick_ipv4(&mut self) -> Result<Ipv4Addr, AllocationError> {
        let mut addresses = self.pool.assignable_ipv4().map(Ipv4Addr::from);
        let found = addresses.find(|&address| self.is_free(address.into()));
        let address = found.ok_or(AllocationError::NotEnough)?;
        self.addresses.insert(address.into());
        Ok(address)
    }

    /// The highest free prefix.
    fn pick_ipv4_prefix(&mut self) -> Result<Ipv4Net, AllocationError> {
        let not_enough = |_| AllocationError::NotEnough;
        let blocks: Vec<Ipv4Net> = self
            .pool
            .ipv4
            .subnets(IPV4_PREFIX)
            .map_err(not_enough)?
            .collect();
        let found = blocks.into_iter().rev().find(|&block| {
            self.pool.check_assignable(block.broadcast().into()).is_ok()
                && self.is_free_prefix(IpNet::V4(block))
        });
        let prefix = found.ok_or(AllocationError::NotEnough)?;
        self.prefixes.insert(IpNet::V4(prefix));
        Ok(prefix)
    }

    /// The lowest free address.
    fn pick_ipv6(&mut self) -> Result<Ipv6Addr, AllocationError> {
        let net = self.pool.ipv6.ok_or(AllocationError::NoIpv6)?;
        let first = u128::from(net.network()) + 1;
        let last = u128::from(net.broadcast());
        let mut addresses = (first..=last).map(Ipv6Addr::from);
        let found = addresses.find(|&address| self.is_free(address.into()));
        let address = found.ok_or(AllocationError::NotEnough)?;
        self.addresses.insert(address.into());
        Ok(address)
    }

    /// The highest free prefix.
    fn pick_ipv6_prefix(&mut self) -> Result<Ipv6Net, AllocationError> {
        let net = self.pool.ipv6.ok_or(AllocationError::NoIpv6)?;
        let size = 1_u128 << (128 - IPV6_PREFIX);
        let (first, last) = (u128::from(net.network()), u128::from(net.broadcast()));
        // Counting down by hand: `Ipv6Net::subnets` has no reverse iteration, and collecting the
        // 65,536 prefixes of a /64 for each request would be wasteful.
        let mut at = last & !(size - 1);
        while at >= first {
            let block = Ipv6Net::new_assert(at.into(), IPV6_PREFIX);
            if net.contains(&block) && self.is_free_prefix(IpNet::V6(block)) {
                self.prefixes.insert(IpNet::V6(block));
                return Ok(block);
            }
            let Some(below) = at.checked_sub(size) else {
                break;
            };
            at = below;
        }
        Err(AllocationError::NotEnough)
    }

    fn is_free(&self, address: IpAddr) -> bool {
        let in_prefix =
            |prefixes: &BTreeSet<IpNet>| prefixes.iter().any(|prefix| prefix.contains(&address));
        !self.pool.allocated.contains(&address)
            && !self.addresses.contains(&address)
            && !in_prefix(&self.pool.allocated_prefixes)
            && !in_prefix(&self.prefixes)
    }

    fn is_free_prefix(&self, prefix: IpNet) -> bool {
        // All prefixes have one length, so two of them are the same or do not overlap.
        let range = prefix.network()..=prefix.broadcast();
        self.pool.allocated.range(range.clone()).next().is_none()
            && self.addresses.range(range).next().is_none()
            && !self.pool.allocated_prefixes.contains(&prefix)
            && !self.prefixes.contains(&prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request<'a>(
        secondary: &'a AddressSelection<Ipv4Addr>,
        prefixes: &'a AddressSelection<Ipv4Net>,
    ) -> AllocationRequest<'a> {
        AllocationRequest {
            primary: PrimaryRequest::Free,
            secondary,
            ipv4_prefixes: prefixes,
            ipv6: &AddressSelection::None,
            ipv6_prefixes: &AddressSelection::None,
        }
    }

    #[test]
    fn the_first_and_last_three_addresses_are_reserved() {
        let mut pool = AddressPool::new("10.0.0.0/29".parse().unwrap(), None);
        let allocated = pool
            .allocate(&request(
                &AddressSelection::Count(3),
                &AddressSelection::None,
            ))
            .unwrap();
        assert_eq!(allocated.primary, Some("10.0.0.1".parse().unwrap()));
        assert_eq!(
            allocated.secondary.last(),
            Some(&"10.0.0.4".parse().unwrap())
        );
        assert_eq!(
            pool.allocate(&request(&AddressSelection::None, &AddressSelection::None)),
            Err(AllocationError::NotEnough)
        );
        pool.release(&allocated);
        assert!(
            pool.allocate(&request(
                &AddressSelection::Count(3),
                &AddressSelection::None
            ))
            .is_ok()
        );
    }

    #[test]
    fn a_failed_request_allocates_nothing() {
        let mut pool = AddressPool::new("10.0.0.0/29".parse().unwrap(), None);
        assert_eq!(
            pool.allocate(&request(
                &AddressSelection::Count(4),
                &AddressSelection::None
            )),
            Err(AllocationError::NotEnough)
        );
        assert!(
            pool.allocate(&request(
                &AddressSelection::Count(3),
                &AddressSelection::None
            ))
            .is_ok()
        );
    }

    #[test]
    fn addresses_and_prefixes_do_not_overlap() {
        let mut pool = AddressPool::new("10.0.0.0/26".parse().unwrap(), None);
        let allocated = pool
            .allocate(&request(
                &AddressSelection::None,
                &AddressSelection::Count(2),
            ))
            .unwrap();
        assert_eq!(
            allocated.ipv4_prefixes,
            [
                "10.0.0.32/28".parse().unwrap(),
                "10.0.0.16/28".parse().unwrap()
            ]
        );
        let more = pool
            .allocate(&request(
                &AddressSelection::Count(20),
                &AddressSelection::None,
            ))
            .unwrap();
        assert!(more.all().iter().all(|address| {
            match address {
                IpAddr::V4(address) => !allocated
                    .ipv4_prefixes
                    .iter()
                    .any(|prefix| prefix.contains(address)),
                IpAddr::V6(_) => false,
            }
        }));
        let inside = "10.0.0.40".parse().unwrap();
        let explicit = AddressSelection::Explicit(vec![inside]);
        assert_eq!(
            pool.allocate(&request(&explicit, &AddressSelection::None)),
            Err(AllocationError::InUse(inside.to_string()))
        );
    }

    #[test]
    fn explicit_addresses_must_be_free_and_distinct() {
        let mut pool = AddressPool::new("10.0.0.0/24".parse().unwrap(), None);
        let mut allocate = |text: &[&str]| {
            let explicit =
                AddressSelection::Explicit(text.iter().map(|t| t.parse().unwrap()).collect());
            pool.allocate(&request(&explicit, &AddressSelection::None))
        };
        assert_eq!(
            allocate(&["10.0.1.9"]),
            Err(AllocationError::Invalid("10.0.1.9".into()))
        );
        assert_eq!(
            allocate(&["10.0.0.253"]),
            Err(AllocationError::Invalid("10.0.0.253".into()))
        );
        assert_eq!(
            allocate(&["10.0.0.9", "10.0.0.9"]),
            Err(AllocationError::Duplicate("10.0.0.9".into()))
        );
        assert!(allocate(&["10.0.0.9"]).is_ok());
        assert_eq!(
            allocate(&["10.0.0.9"]),
            Err(AllocationError::InUse("10.0.0.9".into()))
        );
    }

    #[test]
    fn ipv6_requires_a_vswitch_with_ipv6() {
        let six = |pool: &mut AddressPool| {
            pool.allocate(&AllocationRequest {
                ipv6: &AddressSelection::Count(2),
                ipv6_prefixes: &AddressSelection::Count(1),
                ..request(&AddressSelection::None, &AddressSelection::None)
            })
        };
        let mut without = AddressPool::new("10.0.0.0/24".parse().unwrap(), None);
        assert_eq!(six(&mut without), Err(AllocationError::NoIpv6));
        let mut pool = AddressPool::new(
            "10.0.0.0/24".parse().unwrap(),
            Some("2001:db8::/64".parse().unwrap()),
        );
        let allocated = six(&mut pool).unwrap();
        assert_eq!(
            allocated.ipv6,
            [
                "2001:db8::1".parse::<Ipv6Addr>().unwrap(),
                "2001:db8::2".parse().unwrap()
            ]
        );
        assert_eq!(
            allocated.ipv6_prefixes,
            ["2001:db8:0:0:ffff::/80".parse().unwrap()]
        );
    }
}
