//! Addresses and networks as bytes, so that a network is looked up like a text.

use std::net::{IpAddr, Ipv4Addr};

use crate::value;

/// The bytes of a network: its mask length, then its octets with everything behind the mask zero.
pub(super) fn network(address: IpAddr, bits: u8) -> ([u8; 17], usize) {
    let mut bytes = [0; 17];
    bytes[0] = bits;
    let length = match address {
        IpAddr::V4(address) => {
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

/// Reads a string as an address, most often a plain IPv4 one; gives what `value::address::read` gives.
pub(super) fn address(bytes: &[u8]) -> Option<IpAddr> {
    plain_v4(bytes).map(IpAddr::V4).or_else(|| {
        std::str::from_utf8(bytes)
            .ok()
            .and_then(value::address::read)
    })
}

/// Whether the address lies in the network of these bytes.
pub(super) fn in_network(address: IpAddr, wanted: &[u8]) -> bool {
    let (bytes, length) = network(
        address,
        wanted[0].min(if address.is_ipv4() { 32 } else { 128 }),
    );
    bytes[..length] == *wanted
}

fn plain_v4(bytes: &[u8]) -> Option<Ipv4Addr> {
    if bytes.len() > 15 {
        return None;
    }
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
        fn the_quick_way_to_read_an_address_changes_nothing(text in "[0-9]{1,4}(\\.[0-9]{0,4}){0,4}|[0-9a-f:.]{0,16}") {
            prop_assert_eq!(address(text.as_bytes()), value::address::read(&text));
        }
    }
}
