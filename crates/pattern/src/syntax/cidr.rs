//! Parses networks in CIDR notation.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::Dialect;

/// Parses `address/prefix-length`. In the dialects of reflexarc and Alibaba Cloud an address alone
/// is a network of one address. Bits after the prefix may be set.
///
/// The numbers of an IPv4 address may have leading zeros, and the prefix length a `+` or leading
/// zeros, because AWS accepts them. AWS rejects IPv6 addresses that end in an IPv4 address.
///
/// # Errors
/// The message of a diagnostic.
pub(crate) fn parse(text: &str, dialect: Dialect) -> Result<IpNet, String> {
    let (address_text, length_text) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address = address(address_text, dialect)
        .ok_or_else(|| format!("invalid IP address `{address_text}`"))?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let length = match length_text {
        None if dialect == Dialect::Aws => {
            return Err(format!("missing prefix length in `{text}`"));
        }
        None => longest,
        Some(_) if dialect == Dialect::Alibaba && address.is_ipv6() => {
            let service = dialect.title();
            return Err(format!(
                "{service} does not support IPv6 networks such as `{text}`"
            ));
        }
        Some(length) => prefix_length(length)
            .filter(|length| *length <= longest)
            .ok_or_else(|| format!("invalid prefix length `{length}`: expected 0 to {longest}"))?,
    };
    IpNet::new(address, length).map_err(|_| format!("invalid network `{text}`"))
}

fn prefix_length(text: &str) -> Option<u8> {
    byte(text.strip_prefix('+').unwrap_or(text))
}

fn address(text: &str, dialect: Dialect) -> Option<IpAddr> {
    if text.contains(':') {
        let ends_in_ipv4 = text.contains('.');
        if dialect == Dialect::Aws && ends_in_ipv4 {
            return None;
        }
        return text.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    // Not `Ipv4Addr::from_str`, which rejects leading zeros (`010.0.0.1`).
    let numbers: Option<Vec<u8>> = text.split('.').map(byte).collect();
    match numbers?.as_slice() {
        &[a, b, c, d] => Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d))),
        _ => None,
    }
}

/// A decimal number from 0 to 255, leading zeros allowed, of at most nine digits.
fn byte(text: &str) -> Option<u8> {
    let is_number = (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number {
        return None;
    }
    text.parse::<u32>().ok()?.try_into().ok()
}
