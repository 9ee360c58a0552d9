//! Parses networks in CIDR notation.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use reflexarc_event::{parse_address, unmapped_network};

use crate::Dialect;

/// Parses `address/prefix-length`. In the dialects of reflexarc and Alibaba Cloud an address alone
/// is a network of one address. Bits after the prefix may be set.
///
/// The address may have any of its spellings; AWS rejects IPv6 addresses that end in an IPv4
/// address. The prefix length may have a `+` or leading zeros, because AWS accepts them. A network
/// of IPv4-mapped addresses stays one in the tree, and means the IPv4 network.
///
/// # Errors
/// The message of a diagnostic, and its help.
pub(crate) fn parse(text: &str, dialect: Dialect) -> Result<IpNet, InvalidNetwork> {
    let (address_text, length_text) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let meant = || with_prefix_length(text).map(|network| format!("write `{network}`"));
    let address = address(address_text, dialect).ok_or_else(|| InvalidNetwork {
        message: format!("invalid IP address `{address_text}`"),
        help: meant(),
    })?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let length = match length_text {
        None if dialect == Dialect::Aws => {
            let message = format!("missing prefix length in `{text}`");
            return Err(InvalidNetwork::new(message));
        }
        None => longest,
        Some(_) if dialect == Dialect::Alibaba && address.is_ipv6() => {
            let service = dialect.title();
            let message = format!("{service} does not support IPv6 networks such as `{text}`");
            return Err(InvalidNetwork::new(message));
        }
        Some(length) => prefix_length(length)
            .filter(|length| *length <= longest)
            .ok_or_else(|| InvalidNetwork {
                message: format!("invalid prefix length `{length}`: expected 0 to {longest}"),
                help: meant(),
            })?,
    };
    let network = IpNet::new(address, length)
        .map_err(|_| InvalidNetwork::new(format!("invalid network `{text}`")))?;
    // `::ffff:10.0.0.0/8` has nearly all IPv6 addresses; its author thought of 10.0.0.0/8.
    if unmapped_network(network).is_none() {
        return Err(InvalidNetwork {
            message: format!(
                "invalid prefix length `{length}` of an IPv4-mapped address: expected 96 to 128"
            ),
            help: mapped_help(network),
        });
    }
    Ok(network)
}

/// Why a text is not a network.
pub(crate) struct InvalidNetwork {
    /// What is wrong.
    pub(crate) message: String,
    /// What to write instead, if it is known.
    pub(crate) help: Option<String>,
}

impl InvalidNetwork {
    fn new(message: String) -> Self {
        Self {
            message,
            help: None,
        }
    }
}

fn mapped_help(network: IpNet) -> Option<String> {
    let IpAddr::V6(address) = network.addr() else {
        return None;
    };
    let address = address.to_ipv4_mapped()?;
    let length = network.prefix_len();
    Some(if length <= 32 {
        format!("write the IPv4 network `{address}/{length}`")
    } else {
        format!("write an IPv4 network, such as `{address}/24`")
    })
}

/// The network of a text with a netmask, `10.0.0.0/255.0.0.0`, or with stars, `10.0.*.*`.
fn with_prefix_length(text: &str) -> Option<String> {
    if let Some((address, mask)) = text.split_once('/') {
        let address: Ipv4Addr = address.parse().ok()?;
        let mask: Ipv4Addr = mask.parse().ok()?;
        return IpNet::with_netmask(address.into(), mask.into())
            .ok()
            .map(|net| net.to_string());
    }
    let stars = text.split('.').filter(|part| *part == "*").count();
    let address = text.replace('*', "0");
    let is_network = stars > 0 && text.split('.').rev().take(stars).all(|part| part == "*");
    let address: Ipv4Addr = address.parse().ok().filter(|_| is_network)?;
    Some(format!("{address}/{}", 32 - 8 * stars))
}

fn prefix_length(text: &str) -> Option<u8> {
    byte(text.strip_prefix('+').unwrap_or(text))
}

/// The address as written: an IPv4-mapped one is not unmapped, for its prefix length is that of
/// IPv6.
fn address(text: &str, dialect: Dialect) -> Option<IpAddr> {
    let is_ipv6 = text.contains(':');
    if dialect == Dialect::Aws && is_ipv6 && text.contains('.') {
        return None;
    }
    match parse_address(text)? {
        IpAddr::V4(address) if is_ipv6 => Some(IpAddr::V6(address.to_ipv6_mapped())),
        address => Some(address),
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
