//! Addresses and networks as bytes, so that a network is looked up in a hash table like a text.

// Example. 10.1.2.0/24 is the bytes 24, 10, 1, 2, 0. Whether the address 10.1.2.3 is in any /24 of
// the patterns is one probe: mask the address to 24 bits and look up 24, 10, 1, 2, 0. The probes
// are as many as there are distinct mask lengths at the path, whatever the number of networks. A
// trie of bits would find all lengths in one descent, but each of its levels is another place in
// memory (by reasoning, not measured): patterns use few lengths, mostly /8, /16, /24 and single
// addresses.

use std::net::{IpAddr, Ipv4Addr};

use reflexarc_event::parse_address;

/// The bytes of a network and how many they are: the mask length, then the octets with the bits
/// after the mask cleared.
pub(super) fn network(address: IpAddr, bits: u8) -> ([u8; 17], usize) {
    let mut bytes = [0; 17];
    bytes[0] = bits;
    let length = match address {
        IpAddr::V4(address) => {
            // A shift by the whole width (mask /0) overflows; the mask is then empty.
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            bytes[1..5].copy_from_slice(&(address.to_bits() & mask).to_be_bytes());
            5
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            bytes[1..].copy_from_slice(&(address.to_bits() & mask).to_be_bytes());
            17
        }
    };
    (bytes, length)
}

/// The octets of an address and how many they are.
pub(super) fn octets(address: IpAddr) -> ([u8; 16], usize) {
    match address {
        IpAddr::V4(address) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&address.octets());
            (bytes, 4)
        }
        IpAddr::V6(address) => (address.octets(), 16),
    }
}

/// Parses a string as an address; the same as `parse_address`, but quicker for plain IPv4.
pub(super) fn address(bytes: &[u8]) -> Option<IpAddr> {
    plain_v4(bytes)
        .map(IpAddr::V4)
        .or_else(|| std::str::from_utf8(bytes).ok().and_then(parse_address))
}

/// Whether the address is in the network with these bytes.
pub(super) fn in_network(address: IpAddr, wanted: &[u8]) -> bool {
    let (bytes, length) = network(
        address,
        wanted[0].min(if address.is_ipv4() { 32 } else { 128 }),
    );
    bytes[..length] == *wanted
}

/// Four decimal numbers in one loop: 200 instructions an event in the benchmark, against 750 for
/// splitting and parsing with the standard library (benches/RESULTS.md, "Rejected").
fn plain_v4(bytes: &[u8]) -> Option<Ipv4Addr> {
    if bytes.len() > 15 {
        return None;
    }
    // Up to three digits each, so that `00001.2.3.4` is left to `parse_address`, which
    // follows the reference engine.
    let (mut octets, mut octet, mut digits) = ([0; 4], 0u32, 0);
    let mut number = 0;
    for &byte in bytes {
        match byte {
            b'0'..=b'9' if digits < 3 => {
                octet = octet * 10 + u32::from(byte - b'0');
                digits += 1;
            }
            b'.' if digits > 0 && number < 3 => {
                octets[number] = u8::try_from(octet).ok()?;
                number += 1;
                (octet, digits) = (0, 0);
            }
            _ => return None,
        }
    }
    octets[3] = u8::try_from(octet)
        .ok()
        .filter(|_| digits > 0 && number == 3)?;
    Some(octets.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_fast_path_for_ipv4_changes_no_result(
            text in "[0-9]{1,4}(\\.[0-9]{0,4}){0,4}|[0-9a-f:.]{0,16}|::ffff:[0-9.]{7}",
        ) {
            prop_assert_eq!(address(text.as_bytes()), parse_address(&text));
        }
    }
}
