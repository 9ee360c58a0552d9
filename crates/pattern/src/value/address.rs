//! What counts as an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Reads a whole string as an address; `None` when it is none.
///
/// Four decimal numbers up to 255 (leading zeros are decimal too: `10.0.0.01` is `10.0.0.1`), or the hexadecimal form of
/// IPv6 without a dotted tail and without a zone. An IPv6 address that maps an IPv4 one, `::ffff:a00:1`, *is* that IPv4
/// address. This is what the reference engine takes for an address; the dotted tail it refuses.
pub(crate) fn read(text: &str) -> Option<IpAddr> {
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
    // The reference engine looks at no more than the fifteen characters that a plain address can have.
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
    fn what_only_looks_like_an_address_is_none() {
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
