//! IP addresses and networks in texts: every spelling of one address is one value.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

/// The length of the prefix `::ffff:0:0/96`, which holds the IPv4-mapped addresses.
const MAPPED_PREFIX: u8 = 96;

/// Parses a whole text as an IP address in any of its spellings; `None` if it is not one.
///
/// IPv4 is four decimal numbers up to 255; leading zeros are decimal too. IPv6 is any form of
/// RFC 4291: eight groups of one to four hexadecimal digits in upper or lower case, `::` for one
/// run of zero groups, and the last two groups also as an IPv4 address. An IPv4-mapped IPv6
/// address *is* the IPv4 address. Zones (`fe80::1%eth0`), brackets, ports, prefix lengths and
/// white space do not belong to an address.
///
/// ```
/// use reflexarc_event::parse_address;
///
/// let address = parse_address("10.2.3.4");
/// assert_eq!(parse_address("::ffff:10.2.3.4"), address);
/// assert_eq!(parse_address("0:0:0:0:0:FFFF:0A02:304"), address);
/// assert_eq!(parse_address("2001:DB8:0::1"), parse_address("2001:db8::1"));
/// assert_eq!(parse_address("fe80::1%eth0"), None);
/// ```
pub fn parse_address(text: &str) -> Option<IpAddr> {
    match text.rfind(':') {
        None => ipv4(text).map(IpAddr::V4),
        Some(colon) => ipv6(text, colon).map(|address| {
            address
                .to_ipv4_mapped()
                .map_or(IpAddr::V6(address), IpAddr::V4)
        }),
    }
}

/// Parses a network in CIDR notation, or an address alone, which is a network of one address. The
/// address may have any of its spellings, and an IPv4-mapped network is the IPv4 network.
///
/// ```
/// use reflexarc_event::parse_network;
///
/// assert_eq!(parse_network("::ffff:10.0.0.0/104"), parse_network("10.0.0.0/8"));
/// assert_eq!(parse_network("2001:DB8::1"), parse_network("2001:db8:0::1/128"));
/// assert_eq!(parse_network("10.0.0.0/33"), None);
/// ```
pub fn parse_network(text: &str) -> Option<IpNet> {
    let Some((address, length)) = text.split_once('/') else {
        return parse_address(text).map(IpNet::from);
    };
    // The prefix length of a mapped address is that of IPv6: `::ffff:10.0.0.0/104` is 10.0.0.0/8.
    let written = match parse_address(address)? {
        IpAddr::V4(v4) if address.contains(':') => IpAddr::V6(v4.to_ipv6_mapped()),
        other => other,
    };
    unmapped_network(IpNet::new(written, length.parse().ok()?).ok()?)
}

/// The network whose addresses are those of `network`: an IPv4-mapped one is the IPv4 network.
///
/// `None` if the address is IPv4-mapped but the prefix is shorter than that of IPv4-mapped
/// addresses: such a network has addresses of both families.
///
/// ```
/// use reflexarc_event::unmapped_network;
///
/// let mapped = "::ffff:10.0.0.0/104".parse()?;
/// assert_eq!(unmapped_network(mapped), "10.0.0.0/8".parse().ok());
/// assert_eq!(unmapped_network("2001:db8::/32".parse()?), "2001:db8::/32".parse().ok());
/// assert_eq!(unmapped_network("::ffff:10.0.0.0/8".parse()?), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn unmapped_network(network: IpNet) -> Option<IpNet> {
    let IpNet::V6(v6) = network else {
        return Some(network);
    };
    let Some(address) = v6.addr().to_ipv4_mapped() else {
        return Some(network);
    };
    let length = v6.prefix_len().checked_sub(MAPPED_PREFIX)?;
    Ipv4Net::new(address, length).ok().map(IpNet::V4)
}

/// Four decimal numbers. No longer than the fifteen characters that a plain address can have, as
/// in the reference engine: `00000010.0.0.1` is a text.
fn ipv4(text: &str) -> Option<Ipv4Addr> {
    // The standard parser rejects leading zeros, which some systems print: `010.000.000.001`.
    const MAX_LENGTH: usize = 15;
    if text.len() > MAX_LENGTH {
        return None;
    }
    let mut octets = [0; 4];
    let (mut place, mut number) = (0, None);
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' => {
                let value = number.unwrap_or(0_u16) * 10 + u16::from(byte - b'0');
                // Before the next digit, so that it cannot overflow.
                octets[place] = u8::try_from(value).ok()?;
                number = Some(value);
            }
            b'.' if place < 3 && number.is_some() => (place, number) = (place + 1, None),
            _ => return None,
        }
    }
    (place == 3 && number.is_some()).then(|| octets.into())
}

/// Groups, the last two of which may be an IPv4 address. `colon` is the position of the last one.
fn ipv6(text: &str, colon: usize) -> Option<Ipv6Addr> {
    let tail = &text[colon + 1..];
    if !tail.contains('.') {
        return text.parse().ok();
    }
    // The dotted tail is read like an IPv4 address of its own, so that leading zeros mean the same
    // in both, and the standard parser sees it as two groups: `::ffff:010.0.0.1` is parsed as
    // `::ffff:0.0.0.0`, then the last 32 bits are filled in.
    let low = u128::from(ipv4(tail)?.to_bits());
    let head: Ipv6Addr = format!("{}:0:0", &text[..colon]).parse().ok()?;
    Some(Ipv6Addr::from_bits(head.to_bits() | low))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The naive twin: each part is digits that make a number up to 255.
    fn ipv4_by_parts(text: &str) -> Option<Ipv4Addr> {
        let part = |part: &str| {
            let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| part.parse::<u8>().ok())?
        };
        let parts: Vec<u8> = text.split('.').map(part).collect::<Option<_>>()?;
        let octets: [u8; 4] = parts.try_into().ok()?;
        (text.len() <= 15).then(|| octets.into())
    }

    proptest! {
        #[test]
        fn an_ipv4_address_is_four_numbers(
            text in "([0-9]{0,4}\\.){2,4}[0-9]{0,3}|([012]?[0-9]{1,2}\\.){3}[0-9]+|\\PC{0,9}",
            address in any::<[u8; 4]>(),
        ) {
            prop_assert_eq!(ipv4(&text), ipv4_by_parts(&text), "{}", text);
            let address = Ipv4Addr::from(address);
            prop_assert_eq!(ipv4(&address.to_string()), Some(address));
        }
    }

    #[test]
    fn every_spelling_of_an_address_is_that_address() {
        let spellings = [
            (
                "10.0.0.1",
                &["010.000.0.01", "::ffff:a00:1", "::FFFF:10.0.0.1"][..],
            ),
            (
                "10.0.0.1",
                &["0:0:0:0:0:ffff:0a00:0001", "0::0:ffff:010.0.0.1"],
            ),
            (
                "2001:db8::1",
                &["2001:0DB8:0:0::1", "2001:db8:0:0:0:0:0.0.0.1"],
            ),
            (
                "::",
                &[
                    "0::",
                    "::0",
                    "0:0:0:0:0:0:0:0",
                    "::0.0.0.0",
                    "0:0:0:0:0:0:0::",
                ],
            ),
            ("::10.0.0.1", &["::a00:1", "0:0:0:0:0:0:10.0.0.1"]),
            ("64:ff9b::192.0.2.33", &["64:ff9b::c000:221"]),
        ];
        for (address, others) in spellings {
            let expected = address.parse::<IpAddr>().ok();
            assert_eq!(parse_address(address), expected, "{address}");
            for other in others {
                assert_eq!(parse_address(other), expected, "{other}");
            }
        }
    }

    #[test]
    fn texts_that_resemble_addresses_are_not_addresses() {
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
            "00000010.0.0.001",
            "0x0a.0.0.1",
            "10.0.0.1/32",
            "10.0.0.1:80",
            ":",
            ":::",
            "12:30",
            "::ffff:10.0.0",
            "::ffff:10.0.0.256",
            "::10.0.0.1:1",
            "1::2::3",
            "fe80::1%eth0",
            "[::1]",
            "::1/128",
            " ::1",
            "::1 ",
            "2001:db8::g",
            "00001::",
            "1:2:3:4:5:6:7:8:9",
            "1:2:3:4:5:6:7:1.2.3.4",
            "1:2:3:4:5:6:7",
            "::ffff:.0.0.1",
            "10.0.0.1:10.0.0.1",
            "1.2.3.4::",
            "1:2:3:4:5:6::7:8",
        ];
        for text in texts {
            assert_eq!(parse_address(text), None, "{text}");
        }
    }

    #[test]
    fn a_mapped_network_is_an_ipv4_network() {
        let unmapped = |text: &str| unmapped_network(text.parse().expect("a network"));
        let network = |text: &str| text.parse::<IpNet>().ok();
        assert_eq!(unmapped("::ffff:0:0/96"), network("0.0.0.0/0"));
        assert_eq!(unmapped("::ffff:10.0.0.1/128"), network("10.0.0.1/32"));
        assert_eq!(unmapped("::ffff:10.0.0.1/104"), network("10.0.0.1/8"));
        assert_eq!(unmapped("::ffff:0:0/95"), None);
        assert_eq!(unmapped("::/0"), network("::/0"));
        assert_eq!(unmapped("10.0.0.0/8"), network("10.0.0.0/8"));
    }
}
