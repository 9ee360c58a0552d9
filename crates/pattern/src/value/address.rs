//! Parsing strings as IP addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Parses a whole string as an address; `None` if it is not one.
///
/// Four decimal numbers up to 255 (leading zeros are decimal too: `10.0.0.01` is `10.0.0.1`), or
/// the hexadecimal form of IPv6 without a dotted tail and without a zone. An IPv4-mapped IPv6
/// address, `::ffff:a00:1`, *is* the IPv4 address. The reference engine accepts the same addresses,
/// and it rejects the dotted tail.
pub(crate) fn read(text: &str) -> Option<IpAddr> {
    // The standard parsers cannot be used alone: that of IPv6 accepts a dotted tail, that of IPv4
    // rejects leading zeros.
    if text.contains(':') {
        let only_hexadecimal = text
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b':');
        let address: Ipv6Addr = text.parse().ok().filter(|_| only_hexadecimal)?;
        return Some(
            address
                .to_ipv4_mapped()
                .map_or(IpAddr::V6(address), IpAddr::V4),
        );
    }
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts
            .next()
            .filter(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *octet = part.parse().ok()?;
    }
    // The reference engine accepts no more than the fifteen characters that a plain address can
    // have.
    (parts.next().is_none() && text.len() <= 15).then(|| Ipv4Addr::from(octets).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_several_spellings() {
        let address = |text: &str| text.parse::<IpAddr>().ok();
        assert_eq!(read("10.0.0.1"), address("10.0.0.1"));
        assert_eq!(read("010.000.0.01"), address("10.0.0.1"));
        assert_eq!(read("::ffff:a00:1"), address("10.0.0.1"));
        assert_eq!(read("2001:0DB8:0:0::1"), address("2001:db8::1"));
        assert_eq!(read("::"), address("::"));
    }

    #[test]
    fn strings_that_resemble_addresses_are_rejected() {
        let texts = [
            "",
            ".",
            "10.0.0",
            "10.0.0.1.",
            "10.0.0.1 ",
            " 10.0.0.1",
            "10.0.0.256",
            "10.0.0.+1",
            "10.0.0.",
            "1.2.3.4.5",
            ":",
            ":::",
            "12:30",
            "::ffff:10.0.0.1",
            "fe80::1%eth0",
            "2001:db8::g",
            "00000010.0.0.001",
        ];
        for text in texts {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
