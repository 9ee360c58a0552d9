//! The longest network that contains an address.

use std::cmp::Reverse;
use std::net::IpAddr;

use ipnet::IpNet;

/// Networks, each with the number of its row.
#[derive(Debug, Default)]
pub(super) struct PrefixRanges {
    v4: Ranges,
    v6: Ranges,
}

/// The addresses of one family, cut where another network becomes the longest one.
//
// Networks contain one another or have no address in common, so that the address space is a row of
// ranges, each with one answer. A lookup is a binary search in one array; a trie of bits would
// follow up to 128 references.
//
//     10.0.0.0/8    a          from 10.0.0.0    a
//     10.1.0.0/16   b          from 10.1.0.0    b
//                              from 10.2.0.0    a
//                              from 11.0.0.0    none
#[derive(Debug, Default)]
struct Ranges {
    /// The first addresses, ascending; what is before the first range has no network.
    starts: Vec<u128>,
    /// The row of each range; [`NONE`] where no network has its addresses.
    rows: Vec<u32>,
}

/// The row of a range without a network.
const NONE: u32 = u32::MAX;

/// A network as its first and last address.
#[derive(Debug, Clone, Copy)]
struct Range {
    first: u128,
    last: u128,
    row: u32,
}

impl PrefixRanges {
    /// The networks with their rows, which are numbers below [`u32::MAX`], and each pair of rows
    /// that have the same network, the earlier one first.
    pub(super) fn new(networks: impl IntoIterator<Item = (IpNet, u32)>) -> (Self, Vec<(u32, u32)>) {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (network, row) in networks {
            let (first, last) = (network.network(), network.broadcast());
            let family = if network.addr().is_ipv4() {
                &mut v4
            } else {
                &mut v6
            };
            family.push(Range {
                first: bits(first),
                last: bits(last),
                row,
            });
        }
        let mut same = Vec::new();
        let ranges = Self {
            v4: Ranges::new(v4, &mut same),
            v6: Ranges::new(v6, &mut same),
        };
        (ranges, same)
    }

    /// The row of the longest network that contains the address.
    pub(super) fn find(&self, address: IpAddr) -> Option<u32> {
        let ranges = if address.is_ipv4() {
            &self.v4
        } else {
            &self.v6
        };
        ranges.find(bits(address))
    }
}

impl Ranges {
    fn new(mut networks: Vec<Range>, same: &mut Vec<(u32, u32)>) -> Self {
        // A network comes before those that it contains: they begin with it or later, and the
        // larger one of two that begin together ends later.
        let order = |network: &Range| (network.first, Reverse(network.last), network.row);
        networks.sort_unstable_by_key(order);
        let mut ranges = Self::default();
        // The networks that contain the address which the ranges have reached, the longest last.
        let mut open: Vec<Range> = Vec::new();
        for network in networks {
            ranges.close_before(&mut open, Some(network.first));
            if let Some(around) = open.last()
                && (around.first, around.last) == (network.first, network.last)
            {
                same.push((around.row, network.row));
                continue;
            }
            ranges.push(network.first, network.row);
            open.push(network);
        }
        ranges.close_before(&mut open, None);
        ranges.starts.shrink_to_fit();
        ranges.rows.shrink_to_fit();
        ranges
    }

    /// Ends the open networks that have no address from this one on; all of them without one.
    fn close_before(&mut self, open: &mut Vec<Range>, first: Option<u128>) {
        while let Some(last) = open.last().map(|network| network.last)
            && first.is_none_or(|first| last < first)
        {
            open.pop();
            // Nothing begins after the last address.
            if let Some(next) = last.checked_add(1) {
                self.push(next, open.last().map_or(NONE, |network| network.row));
            }
        }
    }

    /// From this address on, the answer is this row.
    fn push(&mut self, start: u128, row: u32) {
        // Two networks that end together, or one that begins where another ends.
        if self.starts.last() == Some(&start) {
            self.starts.pop();
            self.rows.pop();
        }
        self.starts.push(start);
        self.rows.push(row);
    }

    fn find(&self, address: u128) -> Option<u32> {
        let after = self.starts.partition_point(|start| *start <= address);
        let row = self.rows[after.checked_sub(1)?];
        (row != NONE).then_some(row)
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use ipnet::{Ipv4Net, Ipv6Net};
    use proptest::prelude::*;

    use super::*;

    /// The naive twin: of all networks that contain the address, the longest.
    fn naive(networks: &[IpNet], address: IpAddr) -> Option<u32> {
        let numbered = networks.iter().zip(0..);
        let containing = numbered.filter(|(network, _)| network.contains(&address));
        let longest = containing.max_by_key(|(network, _)| network.prefix_len());
        longest.map(|(_, row)| row)
    }

    // Few different bits, so that networks contain one another and addresses are at their ends.
    fn v4() -> impl Strategy<Value = u32> {
        let byte = || prop::sample::select(vec![0_u8, 1, 127, 128, 254, 255]);
        [byte(), byte(), byte(), byte()].prop_map(u32::from_be_bytes)
    }

    fn v6() -> impl Strategy<Value = u128> {
        let part = || prop::sample::select(vec![0_u32, 1, u32::MAX, 1 << 31]);
        let parts = [part(), part(), part(), part()];
        parts.prop_map(|parts| {
            parts
                .iter()
                .fold(0, |all, part| all << 32 | u128::from(*part))
        })
    }

    fn network() -> impl Strategy<Value = IpNet> {
        let of_v4 = (v4(), 0..=32_u8).prop_map(|(bits, length)| {
            IpNet::from(Ipv4Net::new_assert(Ipv4Addr::from(bits), length).trunc())
        });
        let of_v6 = (v6(), 0..=128_u8).prop_map(|(bits, length)| {
            IpNet::from(Ipv6Net::new_assert(Ipv6Addr::from(bits), length).trunc())
        });
        prop_oneof![3 => of_v4, 1 => of_v6]
    }

    fn address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            3 => v4().prop_map(|bits| IpAddr::from(Ipv4Addr::from(bits))),
            1 => v6().prop_map(|bits| IpAddr::from(Ipv6Addr::from(bits))),
        ]
    }

    proptest! {
        #[test]
        fn the_longest_network_is_that_of_a_linear_search(
            mut networks in prop::collection::vec(network(), 0..40),
            addresses in prop::collection::vec(address(), 1..40),
        ) {
            let repeated = networks.clone();
            networks.sort();
            networks.dedup();
            let (ranges, same) = PrefixRanges::new(networks.iter().copied().zip(0..));
            prop_assert_eq!(same, []);
            let (_, same) = PrefixRanges::new(repeated.iter().copied().zip(0..));
            prop_assert_eq!(same.len(), repeated.len() - networks.len());
            for (one, other) in same {
                prop_assert_eq!(repeated[one as usize], repeated[other as usize]);
                prop_assert!(one < other);
            }
            let ends = networks.iter().flat_map(|one| [one.network(), one.broadcast()]);
            for address in addresses.into_iter().chain(ends) {
                let expected = naive(&networks, address);
                prop_assert_eq!(ranges.find(address), expected, "{} {:?}", address, networks);
            }
        }
    }
}
