//! Regions of IP addresses on which every predicate about addresses is constant.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use reflexarc_event::unmapped_network;

use super::atoms::Atom;
use crate::Predicate;

/// The first and the last IPv4-mapped IPv6 address. Such an address is read as the IPv4 address, so
/// it is no IPv6 value.
const MAPPED: [u128; 2] = [0xffff_0000_0000, 0xffff_ffff_ffff];

/// Consecutive addresses of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) first: IpAddr,
    pub(super) last: IpAddr,
}

/// Divides all addresses at the ends of the networks and at the addresses of these predicates.
// Example: 10.0.0.0/8 and 10.1.2.3 divide IPv4 into five regions: before 10.0.0.0, up to 10.1.2.2,
// the address itself, up to 10.255.255.255, and the rest. The families are divided each on its own.
pub(super) fn regions<'a>(atoms: impl Iterator<Item = &'a Atom>) -> Vec<Region> {
    let mut v4 = BTreeSet::from([0_u128]);
    let mut v6 = BTreeSet::from([0, MAPPED[0], MAPPED[1] + 1]);
    for atom in atoms {
        let (first, last) = match (&atom.predicate, atom.address()) {
            (_, Some(address)) => (address, address),
            (Predicate::Cidr(network), None) => ends(*network),
            _ => continue,
        };
        let cuts = if first.is_ipv4() { &mut v4 } else { &mut v6 };
        cuts.insert(number(first));
        cuts.extend(number(last).checked_add(1));
    }
    let v4 = between(&v4, u32::MAX.into());
    let v6 = between(&v6, u128::MAX).filter(|(first, _)| !(MAPPED[0]..=MAPPED[1]).contains(first));
    let v4 = v4.map(|(first, last)| Region {
        first: v4_address(first),
        last: v4_address(last),
    });
    let v6 = v6.map(|(first, last)| Region {
        first: IpAddr::V6(Ipv6Addr::from(first)),
        last: IpAddr::V6(Ipv6Addr::from(last)),
    });
    v4.chain(v6).collect()
}

impl Region {
    /// A regular expression that every spelling of every address of the region matches. It matches
    /// other strings too, where that keeps it small.
    pub(super) fn spellings(&self) -> String {
        // An IPv6 address, or an IPv4 address written as an IPv4-mapped one. Dots are only in a
        // tail after the last colon.
        let with_colon = "[0-9A-Fa-f]*:[0-9A-Fa-f:]*[0-9.]*";
        let (IpAddr::V4(first), IpAddr::V4(last)) = (self.first, self.last) else {
            return with_colon.to_owned();
        };
        // 10.0.0.0 to 10.63.255.255: the first octet is 10, the second 0 to 63, the others any.
        let mut octets = Vec::new();
        let mut is_open = false;
        for (low, high) in first.octets().into_iter().zip(last.octets()) {
            if is_open {
                octets.push("[0-9]+".to_owned());
                continue;
            }
            is_open = low != high;
            let numbers: Vec<String> = (low..=high).map(|octet| octet.to_string()).collect();
            octets.push(format!("0*(?:{})", numbers.join("|")));
        }
        format!("(?:{}|{with_colon})", octets.join("\\."))
    }
}

fn ends(network: IpNet) -> (IpAddr, IpAddr) {
    let network = unmapped_network(network).unwrap_or(network);
    (network.network(), network.broadcast())
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

fn v4_address(number: u128) -> IpAddr {
    // Every cut of IPv4 comes from a u32 or is one more than its largest value.
    IpAddr::V4(Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX)))
}

/// The stretches between cuts, up to `last`.
fn between(cuts: &BTreeSet<u128>, last: u128) -> impl Iterator<Item = (u128, u128)> {
    let ends = cuts.iter().skip(1).map(|cut| cut - 1).chain([last]);
    cuts.iter()
        .copied()
        .zip(ends)
        .filter(move |(first, end)| first <= end && *first <= last)
}
