//! `cidr_contains`: addresses in networks.

use std::net::IpAddr;

use ipnet::IpNet;
use rhai::{Engine, ImmutableString};

use crate::run::BuiltinResult;

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

fn contains(net: &str, ip: &str) -> BuiltinResult<bool> {
    // An invalid network is an error, because the script wrote it. An invalid address comes from
    // the event, for example a masked one (`10.***125`) or a missing one, and is in no network.
    let network = net
        .parse::<IpNet>()
        .or_else(|_| net.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| {
            format!("invalid network `{net}` in `cidr_contains`; write it as 10.0.0.0/8")
        })?;
    Ok(ip.parse::<IpAddr>().is_ok_and(|ip| network.contains(&ip)))
}
