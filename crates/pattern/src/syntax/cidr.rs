//! Networks as text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::Dialect;

/// Reads `address/bits`; in our own and Alibaba's dialect a bare address stands for itself alone. Host bits may be set.
///
/// The decimal numbers of an IPv4 address may have leading zeros, and the bits a `+` or leading zeros, as AWS reads
/// them. AWS refuses an IPv6 address that ends in an IPv4 one.
///
/// # Errors
/// With what is wrong, as half a sentence that begins with the text.
pub(crate) fn parse(text: &str, dialect: Dialect) -> Result<IpNet, String> {
    let (address_text, bits_text) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let address = address(address_text, dialect)
        .ok_or_else(|| format!("`{address_text}` is no IP address"))?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = match bits_text {
        None if dialect == Dialect::Aws => {
            return Err(format!("`{text}` has no `/` and number of bits"));
        }
        None => most,
        Some(_) if dialect == Dialect::Alibaba && address.is_ipv6() => {
            return Err(format!(
                "`{text}` is an IPv6 network, which {} does not take",
                dialect.title()
            ));
        }
        Some(bits) => number_of_bits(bits)
            .filter(|bits| *bits <= most)
            .ok_or_else(|| format!("`{bits}` is no number of bits from 0 to {most}"))?,
    };
    IpNet::new(address, bits).map_err(|_| format!("`{text}` is no network"))
}

fn number_of_bits(text: &str) -> Option<u8> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits
        .parse::<u32>()
        .ok()
        .and_then(|bits| u8::try_from(bits).ok())
}

fn address(text: &str, dialect: Dialect) -> Option<IpAddr> {
    if text.contains(':') {
        let refused = dialect == Dialect::Aws && text.contains('.');
        return if refused {
            None
        } else {
            text.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
        };
    }
    let parts: Vec<&str> = text.split('.').collect();
    let numbers: Option<Vec<u8>> = parts
        .iter()
        .map(|part| {
            let digits = !part.is_empty()
                && part.len() <= 9
                && part.bytes().all(|byte| byte.is_ascii_digit());
            if digits {
                part.parse::<u32>()
                    .ok()
                    .and_then(|number| u8::try_from(number).ok())
            } else {
                None
            }
        })
        .collect();
    match numbers?.as_slice() {
        &[a, b, c, d] => Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d))),
        _ => None,
    }
}
