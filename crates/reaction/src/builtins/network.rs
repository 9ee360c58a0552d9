//! `cidr_contains`: addresses in networks.

use reflexarc_event::{parse_address, parse_network};
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
    let network = parse_network(net).ok_or_else(|| {
        format!("invalid network `{net}` in `cidr_contains`; write it as 10.0.0.0/8")
    })?;
    Ok(parse_address(ip).is_some_and(|ip| network.contains(&ip)))
}
