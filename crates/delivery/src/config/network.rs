//! Where a target may connect to, which certificates it trusts, and the headers it sends.

use ipnet::IpNet;
use reflexarc_diagnostic::Code;
use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};
use secrecy::ExposeSecret;

use super::ConfigTable;
use crate::http::{ClientError, EgressDenied, EgressPolicy, certificates};
use crate::target::denied_text;

/// The table `headers`: names with values or secrets.
pub fn headers(keys: &ConfigTable<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    for (name, value) in keys.map("headers") {
        match (
            name.parse::<HeaderName>(),
            HeaderValue::from_str(value.expose_secret()),
        ) {
            (Ok(name), Ok(mut value)) => {
                // `Debug` output of requests then omits it: it may be a bearer token.
                value.set_sensitive(true);
                headers.push((name, value));
            }
            _ => keys.fault(
                "headers",
                Code::CONFIG_VALUE,
                format!("invalid header `{name}`"),
                "a name is of letters, digits and `-`; a value is one line",
            ),
        }
    }
    headers
}

/// The networks of a key that may be called although they are private.
pub(super) fn networks(keys: &ConfigTable<'_>, key: &str) -> Vec<IpNet> {
    let mut allowed = Vec::new();
    for text in keys.nonempty_strings(key).unwrap_or_default() {
        let parsed = text.text().parse::<IpNet>();
        let message = |_| {
            format!(
                "invalid network `{}`; write it as \"10.1.0.0/16\"",
                text.text()
            )
        };
        allowed.extend(keys.parsed(&text, parsed.map_err(message)));
    }
    allowed
}

/// The egress policy with the networks of `allow`, and a client of `server` that trusts
/// `authorities`. `None` if there is no such server, or a fault of these keys.
pub fn egress(
    keys: &ConfigTable<'_>,
    server: Option<&Url>,
) -> Option<(EgressPolicy, reqwest::Client)> {
    let policy = EgressPolicy {
        allowed: networks(keys, "allow"),
    };
    let authorities = authorities(keys)?;
    // A client reads the certificates of the system, which takes a while.
    if keys.is_recording() {
        return None;
    }
    let client = policy.client_of(server?, authorities.as_deref());
    let client = client.map_err(|error| report_client(keys, &error)).ok()?;
    Some((policy, client))
}

/// The file of `authorities` for a server of the operator's, which may be anywhere. A client of it
/// that could not be created is reported.
pub fn usable_authorities(keys: &ConfigTable<'_>, server: Option<&Url>) -> Option<Vec<u8>> {
    let authorities = authorities(keys)?;
    if let Some(server) = server
        && !keys.is_recording()
    {
        let client = EgressPolicy::operator_hosts().client_of(server, authorities.as_deref());
        client.map_err(|error| report_client(keys, &error)).ok()?;
    }
    authorities
}

/// Reports that there is no client, because the certificates cannot be used, or the system has none.
pub(super) fn report_client(keys: &ConfigTable<'_>, error: &ClientError) {
    let help = if keys.has("authorities") {
        "use certificates of authorities in PEM"
    } else {
        "install the certificates of the system (`ca-certificates`), or name a file: authorities = \
         \"ca.pem\""
    };
    keys.fault("authorities", Code::CONFIG_VALUE, error.to_string(), help);
}

/// The file of `authorities`: `Some(None)` without the key, `None` when the file cannot be read or has
/// no certificates.
#[expect(
    clippy::option_option,
    reason = "`?` ends the reading of a target whose file cannot be read"
)]
pub(super) fn authorities(keys: &ConfigTable<'_>) -> Option<Option<Vec<u8>>> {
    if !keys.has("authorities") {
        return Some(None);
    }
    let pem = keys.file("authorities")?;
    if certificates(&pem).is_err() {
        let message = "`authorities` has no certificates";
        let help = "use certificates in PEM";
        keys.fault("authorities", Code::CONFIG_VALUE, message, help);
        return None;
    }
    Some(Some(pem))
}

/// Reports an address that may never be called.
pub fn check_address(keys: &ConfigTable<'_>, key: &str, checked: Result<(), EgressDenied>) {
    if let Err(denied) = checked {
        let help = "permit a private network with `allow`: allow = [\"10.1.0.0/16\"]";
        keys.fault(key, Code::CONFIG_VALUE, denied.to_string(), help);
    }
}

/// The same for a target that takes calls, whose `allow` has operations.
pub(super) fn check_call_address(
    keys: &ConfigTable<'_>,
    key: &str,
    checked: Result<(), EgressDenied>,
) {
    if let Err(denied) = checked {
        let help = "permit a private network with `networks`: networks = [\"10.1.0.0/16\"]";
        let message = denied_text(&denied.to_string());
        keys.fault(key, Code::CONFIG_VALUE, message, help);
    }
}
