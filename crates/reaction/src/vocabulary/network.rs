//! `cidr_contains`: addresses.

use std::net::IpAddr;

use ipnet::IpNet;
use rhai::{Engine, ImmutableString};

use crate::run::Answer;

pub(super) fn register(engine: &mut Engine) {
    engine
        .register_fn(
            "cidr_contains",
            |net: ImmutableString, ip: ImmutableString| contains(&net, &ip),
        )
        .register_fn("cidr_contains", |net: ImmutableString, _missing: ()| {
            contains(&net, "")
        });
}

/// A network that is none is the script's fault; an address that is none (a masked one, say) is the event's, and lies in
/// no network.
fn contains(net: &str, ip: &str) -> Answer<bool> {
    let network = net
        .parse::<IpNet>()
        .or_else(|_| net.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| {
            format!("`cidr_contains` wants a network such as 10.0.0.0/8, but got `{net}`")
        })?;
    Ok(ip.parse::<IpAddr>().is_ok_and(|ip| network.contains(&ip)))
}
