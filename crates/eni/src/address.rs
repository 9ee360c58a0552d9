//! The addresses of a vSwitch: which are free, and taking them all or none.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::Addresses;

/// How long an IPv4 prefix on an interface is; the service hands out no others.
const IPV4_PREFIX: u8 = 28;
/// How long an IPv6 prefix on an interface is.
const IPV6_PREFIX: u8 = 80;

/// Addresses asked for by name, by number, or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Wanted<T> {
    /// None.
    #[default]
    Nothing,
    /// Exactly these.
    These(Vec<T>),
    /// That many, whichever are free.
    Count(usize),
}

/// The address space of a vSwitch. Of IPv4, the first and the last three addresses are the cloud's own.
#[derive(Debug, Clone)]
pub struct Pool {
    ipv4: Ipv4Net,
    ipv6: Option<Ipv6Net>,
    taken: BTreeSet<IpAddr>,
    taken_prefixes: BTreeSet<IpNet>,
}

/// Why addresses cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressFault {
    /// There are not enough free ones.
    #[error("the vSwitch has not enough free addresses")]
    NotEnough,
    /// It lies outside the vSwitch, or the cloud keeps it for itself, or it is no prefix of the length that is handed out.
    #[error("{0} is not an address that the vSwitch hands out")]
    Invalid(String),
    /// It is in use.
    #[error("{0} is in use")]
    Taken(String),
    /// It is asked for twice.
    #[error("{0} is asked for twice")]
    Repeated(String),
    /// The vSwitch has no IPv6.
    #[error("IPv6 is not enabled for the vSwitch")]
    NoIpv6,
}

/// What an interface asks of its vSwitch; the primary address is any free one unless named.
pub(crate) struct Wish<'a> {
    pub(crate) primary: Option<Ipv4Addr>,
    pub(crate) secondary: &'a Wanted<Ipv4Addr>,
    pub(crate) ipv4_prefixes: &'a Wanted<Ipv4Net>,
    pub(crate) ipv6: &'a Wanted<Ipv6Addr>,
    pub(crate) ipv6_prefixes: &'a Wanted<Ipv6Net>,
}

impl Pool {
    /// A pool with everything free.
    pub fn new(ipv4: Ipv4Net, ipv6: Option<Ipv6Net>) -> Self {
        let (ipv4, ipv6) = (ipv4.trunc(), ipv6.map(|net| net.trunc()));
        Self {
            ipv4,
            ipv6,
            taken: BTreeSet::new(),
            taken_prefixes: BTreeSet::new(),
        }
    }

    /// The IPv4 network.
    pub fn ipv4(&self) -> Ipv4Net {
        self.ipv4
    }

    /// Takes everything wished for, or nothing.
    pub(crate) fn take(&mut self, wish: &Wish<'_>) -> Result<Addresses, AddressFault> {
        let mut draft = Draft {
            pool: self,
            addresses: BTreeSet::new(),
            prefixes: BTreeSet::new(),
        };
        // What is named goes first, so that nothing picked at will stands in its way.
        if let Some(primary) = wish.primary {
            draft.name(primary.into())?;
        }
        let mut secondary = draft.named(wish.secondary, IpAddr::V4)?;
        let mut ipv4_prefixes = draft.named_prefixes(wish.ipv4_prefixes, IpNet::V4, IPV4_PREFIX)?;
        let mut ipv6 = draft.named(wish.ipv6, IpAddr::V6)?;
        let mut ipv6_prefixes = draft.named_prefixes(wish.ipv6_prefixes, IpNet::V6, IPV6_PREFIX)?;
        let primary = match wish.primary {
            Some(primary) => primary,
            None => draft.pick_ipv4()?,
        };
        for _ in 0..wish.secondary.count() {
            secondary.push(draft.pick_ipv4()?);
        }
        for _ in 0..wish.ipv4_prefixes.count() {
            ipv4_prefixes.push(draft.pick_ipv4_prefix()?);
        }
        for _ in 0..wish.ipv6.count() {
            ipv6.push(draft.pick_ipv6()?);
        }
        for _ in 0..wish.ipv6_prefixes.count() {
            ipv6_prefixes.push(draft.pick_ipv6_prefix()?);
        }
        let Draft {
            addresses,
            prefixes,
            ..
        } = draft;
        self.taken.extend(addresses);
        self.taken_prefixes.extend(prefixes);
        Ok(Addresses {
            primary: Some(primary),
            secondary,
            ipv4_prefixes,
            ipv6,
            ipv6_prefixes,
        })
    }

    /// Gives addresses back.
    pub(crate) fn release(&mut self, addresses: &Addresses) {
        for address in addresses.all() {
            self.taken.remove(&address);
        }
        for prefix in &addresses.ipv4_prefixes {
            self.taken_prefixes.remove(&IpNet::V4(*prefix));
        }
        for prefix in &addresses.ipv6_prefixes {
            self.taken_prefixes.remove(&IpNet::V6(*prefix));
        }
    }

    /// The addresses that may be handed out: without the first and the last three.
    fn ipv4_range(&self) -> std::ops::RangeInclusive<u32> {
        let (first, last) = (
            u32::from(self.ipv4.network()),
            u32::from(self.ipv4.broadcast()),
        );
        first.saturating_add(1)..=last.saturating_sub(3)
    }

    fn hands_out(&self, address: IpAddr) -> Result<(), AddressFault> {
        let inside = match (address, self.ipv6) {
            (IpAddr::V4(address), _) => self.ipv4_range().contains(&u32::from(address)),
            (IpAddr::V6(_), None) => return Err(AddressFault::NoIpv6),
            (IpAddr::V6(address), Some(net)) => net.contains(&address) && address != net.network(),
        };
        if inside {
            Ok(())
        } else {
            Err(AddressFault::Invalid(address.to_string()))
        }
    }
}

impl<T> Wanted<T> {
    /// How many are asked for, named or not.
    pub fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::These(these) => these.len(),
            Self::Count(count) => *count,
        }
    }

    /// Whether none is asked for.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn count(&self) -> usize {
        if let Self::Count(count) = self {
            *count
        } else {
            0
        }
    }
}

/// What one wish would take, beside what the pool has already given.
struct Draft<'a> {
    pool: &'a Pool,
    addresses: BTreeSet<IpAddr>,
    prefixes: BTreeSet<IpNet>,
}

impl Draft<'_> {
    fn named<T: Copy>(
        &mut self,
        wanted: &Wanted<T>,
        address: impl Fn(T) -> IpAddr,
    ) -> Result<Vec<T>, AddressFault> {
        let Wanted::These(these) = wanted else {
            return Ok(Vec::new());
        };
        these
            .iter()
            .map(|&one| self.name(address(one)).map(|()| one))
            .collect()
    }

    fn named_prefixes<T: Copy>(
        &mut self,
        wanted: &Wanted<T>,
        prefix: impl Fn(T) -> IpNet,
        length: u8,
    ) -> Result<Vec<T>, AddressFault> {
        let Wanted::These(these) = wanted else {
            return Ok(Vec::new());
        };
        these
            .iter()
            .map(|&one| self.name_prefix(prefix(one), length).map(|()| one))
            .collect()
    }

    fn name(&mut self, address: IpAddr) -> Result<(), AddressFault> {
        self.pool.hands_out(address)?;
        if self.addresses.contains(&address) {
            return Err(AddressFault::Repeated(address.to_string()));
        }
        if !self.is_free(address) {
            return Err(AddressFault::Taken(address.to_string()));
        }
        self.addresses.insert(address);
        Ok(())
    }

    fn name_prefix(&mut self, prefix: IpNet, length: u8) -> Result<(), AddressFault> {
        self.pool.hands_out(prefix.broadcast())?;
        if prefix.prefix_len() != length || prefix.trunc() != prefix {
            return Err(AddressFault::Invalid(prefix.to_string()));
        }
        if self.prefixes.contains(&prefix) {
            return Err(AddressFault::Repeated(prefix.to_string()));
        }
        if !self.is_free_prefix(prefix) {
            return Err(AddressFault::Taken(prefix.to_string()));
        }
        self.prefixes.insert(prefix);
        Ok(())
    }

    fn pick_ipv4(&mut self) -> Result<Ipv4Addr, AddressFault> {
        let found = self
            .pool
            .ipv4_range()
            .map(Ipv4Addr::from)
            .find(|&address| self.is_free(address.into()));
        let address = found.ok_or(AddressFault::NotEnough)?;
        self.addresses.insert(address.into());
        Ok(address)
    }

    /// From the far end, so that prefixes and single addresses meet as late as possible.
    fn pick_ipv4_prefix(&mut self) -> Result<Ipv4Net, AddressFault> {
        let blocks = self
            .pool
            .ipv4
            .subnets(IPV4_PREFIX)
            .map_err(|_| AddressFault::NotEnough)?;
        let found = blocks.collect::<Vec<_>>().into_iter().rev().find(|&block| {
            self.pool.hands_out(block.broadcast().into()).is_ok()
                && self.is_free_prefix(IpNet::V4(block))
        });
        let prefix = found.ok_or(AddressFault::NotEnough)?;
        self.prefixes.insert(IpNet::V4(prefix));
        Ok(prefix)
    }

    fn pick_ipv6(&mut self) -> Result<Ipv6Addr, AddressFault> {
        let net = self.pool.ipv6.ok_or(AddressFault::NoIpv6)?;
        let first = u128::from(net.network()) + 1;
        let last = u128::from(net.broadcast());
        let found = (first..=last)
            .map(Ipv6Addr::from)
            .find(|&address| self.is_free(address.into()));
        let address = found.ok_or(AddressFault::NotEnough)?;
        self.addresses.insert(address.into());
        Ok(address)
    }

    /// From the far end, as for IPv4.
    fn pick_ipv6_prefix(&mut self) -> Result<Ipv6Net, AddressFault> {
        let net = self.pool.ipv6.ok_or(AddressFault::NoIpv6)?;
        let size = 1_u128 << (128 - IPV6_PREFIX);
        let (first, last) = (u128::from(net.network()), u128::from(net.broadcast()));
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
        Err(AddressFault::NotEnough)
    }

    fn is_free(&self, address: IpAddr) -> bool {
        let in_prefix =
            |prefixes: &BTreeSet<IpNet>| prefixes.iter().any(|prefix| prefix.contains(&address));
        !self.pool.taken.contains(&address)
            && !self.addresses.contains(&address)
            && !in_prefix(&self.pool.taken_prefixes)
            && !in_prefix(&self.prefixes)
    }

    fn is_free_prefix(&self, prefix: IpNet) -> bool {
        let range = prefix.network()..=prefix.broadcast();
        self.pool.taken.range(range.clone()).next().is_none()
            && self.addresses.range(range).next().is_none()
            && !self.pool.taken_prefixes.contains(&prefix)
            && !self.prefixes.contains(&prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish<'a>(secondary: &'a Wanted<Ipv4Addr>, prefixes: &'a Wanted<Ipv4Net>) -> Wish<'a> {
        Wish {
            primary: None,
            secondary,
            ipv4_prefixes: prefixes,
            ipv6: &Wanted::Nothing,
            ipv6_prefixes: &Wanted::Nothing,
        }
    }

    #[test]
    fn the_first_and_the_last_three_addresses_are_never_handed_out() {
        let mut pool = Pool::new("10.0.0.0/29".parse().unwrap(), None);
        let taken = pool
            .take(&wish(&Wanted::Count(3), &Wanted::Nothing))
            .unwrap();
        assert_eq!(taken.primary, Some("10.0.0.1".parse().unwrap()));
        assert_eq!(taken.secondary.last(), Some(&"10.0.0.4".parse().unwrap()));
        assert_eq!(
            pool.take(&wish(&Wanted::Nothing, &Wanted::Nothing)),
            Err(AddressFault::NotEnough)
        );
        pool.release(&taken);
        assert!(
            pool.take(&wish(&Wanted::Count(3), &Wanted::Nothing))
                .is_ok()
        );
    }

    #[test]
    fn a_wish_that_fails_takes_nothing() {
        let mut pool = Pool::new("10.0.0.0/29".parse().unwrap(), None);
        assert_eq!(
            pool.take(&wish(&Wanted::Count(4), &Wanted::Nothing)),
            Err(AddressFault::NotEnough)
        );
        assert!(
            pool.take(&wish(&Wanted::Count(3), &Wanted::Nothing))
                .is_ok()
        );
    }

    #[test]
    fn addresses_never_lie_in_a_prefix() {
        let mut pool = Pool::new("10.0.0.0/26".parse().unwrap(), None);
        let taken = pool
            .take(&wish(&Wanted::Nothing, &Wanted::Count(2)))
            .unwrap();
        assert_eq!(
            taken.ipv4_prefixes,
            [
                "10.0.0.32/28".parse().unwrap(),
                "10.0.0.16/28".parse().unwrap()
            ]
        );
        let more = pool
            .take(&wish(&Wanted::Count(20), &Wanted::Nothing))
            .unwrap();
        assert!(more.all().iter().all(|address| {
            match address {
                IpAddr::V4(address) => !taken
                    .ipv4_prefixes
                    .iter()
                    .any(|prefix| prefix.contains(address)),
                IpAddr::V6(_) => false,
            }
        }));
        let inside = "10.0.0.40".parse().unwrap();
        let named = Wanted::These(vec![inside]);
        assert_eq!(
            pool.take(&wish(&named, &Wanted::Nothing)),
            Err(AddressFault::Taken(inside.to_string()))
        );
    }

    #[test]
    fn named_addresses_must_be_free_inside_and_named_once() {
        let mut pool = Pool::new("10.0.0.0/24".parse().unwrap(), None);
        let mut take = |text: &[&str]| {
            let these = Wanted::These(text.iter().map(|t| t.parse().unwrap()).collect());
            pool.take(&wish(&these, &Wanted::Nothing))
        };
        assert_eq!(
            take(&["10.0.1.9"]),
            Err(AddressFault::Invalid("10.0.1.9".into()))
        );
        assert_eq!(
            take(&["10.0.0.253"]),
            Err(AddressFault::Invalid("10.0.0.253".into()))
        );
        assert_eq!(
            take(&["10.0.0.9", "10.0.0.9"]),
            Err(AddressFault::Repeated("10.0.0.9".into()))
        );
        assert!(take(&["10.0.0.9"]).is_ok());
        assert_eq!(
            take(&["10.0.0.9"]),
            Err(AddressFault::Taken("10.0.0.9".into()))
        );
    }

    #[test]
    fn ipv6_needs_a_vswitch_that_has_it() {
        let six = |pool: &mut Pool| {
            pool.take(&Wish {
                ipv6: &Wanted::Count(2),
                ipv6_prefixes: &Wanted::Count(1),
                ..wish(&Wanted::Nothing, &Wanted::Nothing)
            })
        };
        let mut without = Pool::new("10.0.0.0/24".parse().unwrap(), None);
        assert_eq!(six(&mut without), Err(AddressFault::NoIpv6));
        let mut pool = Pool::new(
            "10.0.0.0/24".parse().unwrap(),
            Some("2001:db8::/64".parse().unwrap()),
        );
        let taken = six(&mut pool).unwrap();
        assert_eq!(
            taken.ipv6,
            [
                "2001:db8::1".parse::<Ipv6Addr>().unwrap(),
                "2001:db8::2".parse().unwrap()
            ]
        );
        assert_eq!(
            taken.ipv6_prefixes,
            ["2001:db8:0:0:ffff::/80".parse().unwrap()]
        );
    }
}
