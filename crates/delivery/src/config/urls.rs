//! URLs of the configuration, which may hold secrets: the path of a chat's webhook, a key in the
//! query, a password before the host.

use reflexarc_diagnostic::Code;
use reflexarc_diagnostic::toml::DeValue;
use reqwest::Url;
use secrecy::ExposeSecret;

use super::ConfigTable;

/// Shortest value in a query, and shortest segment of a path, that may be a secret.
// Shorter ones are words such as `json` or `events`, which logs are full of.
const SHORTEST_VALUE: usize = 8;
const SHORTEST_SEGMENT: usize = 16;

/// The URL of a key: written in the configuration or, if it is a secret, by reference as
/// `{ env = "NAME" }` or `{ file = "path" }`. What may be a secret in it is redacted wherever it
/// appears.
pub fn url_or_reference(keys: &ConfigTable<'_>, key: &str, help: &str) -> Option<Url> {
    let is_reference = keys
        .lookup(key)
        .is_some_and(|value| matches!(value.get_ref(), DeValue::Table(_)));
    if keys.is_recording() {
        keys.secret(key);
    }
    if !is_reference {
        let text = keys.required_string(key, help)?;
        let url = url(keys, key, &text)?;
        keys.context().record_secrets(parts(&url));
        return Some(url);
    }
    secret_url(keys, key, help)
}

/// The URL of a key that is always a secret, by reference.
pub(super) fn secret_url(keys: &ConfigTable<'_>, key: &str, help: &str) -> Option<Url> {
    if !keys.has(key) {
        keys.missing(key, help);
    }
    let secret = keys.secret(key)?;
    if !keys.context().resolves_secrets() {
        // Nothing is sent, see `Secrets`; the name is reserved, so that nothing could be.
        return Url::parse("https://secret.invalid/").ok();
    }
    // Not by `url`, whose message quotes the text.
    let url = Url::parse(secret.expose_secret().trim()).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(url) = url else {
        let message = format!("the secret `{key}` is not a URL: expected http or https and a host");
        let help = "store all of it, such as https://example.com/hook";
        keys.fault(key, Code::CONFIG_SECRET, message, help);
        return None;
    };
    let mut secrets = parts(&url);
    // Here the author says that it is secret as a whole.
    let path = url.path().trim_matches('/');
    secrets.extend((path.len() >= SHORTEST_VALUE).then(|| path.to_owned()));
    keys.context().record_secrets(secrets);
    Some(url)
}

/// The text of a key as an HTTP or HTTPS URL.
pub fn url(keys: &ConfigTable<'_>, key: &str, text: &str) -> Option<Url> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(url),
        _ => {
            keys.fault(
                key,
                Code::CONFIG_VALUE,
                format!("invalid URL `{text}`: expected http or https and a host"),
                "write it as \"https://example.com/hook\"",
            );
            None
        }
    }
}

/// Whether a URL leads to this machine: `localhost`, or a loopback address.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address: Option<std::net::IpAddr> = bare.parse().ok();
    host == "localhost" || address.is_some_and(|address| address.is_loopback())
}

/// The parts of a URL that look like secrets.
fn parts(url: &Url) -> Vec<String> {
    let decode = |text: &str| {
        let decoded = percent_encoding::percent_decode_str(text);
        decoded.decode_utf8_lossy().into_owned()
    };
    // Both as written and decoded: receivers' responses have either.
    let mut found = Vec::new();
    let mut add = |text: &str| found.extend([text.to_owned(), decode(text)]);
    url.password().into_iter().for_each(&mut add);
    let segments = url.path().split('/');
    // `T0123/B0123/XXXXXXXX…` of Slack, not `customer-notifications`.
    let is_random = |segment: &&str| {
        segment.len() >= SHORTEST_SEGMENT
            && segment
                .bytes()
                .any(|byte| !byte.is_ascii_lowercase() && byte != b'-')
    };
    segments.filter(is_random).for_each(&mut add);
    let pairs = url.query().into_iter().flat_map(|query| query.split('&'));
    let values = pairs.map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
    values
        .filter(|value| value.len() >= SHORTEST_VALUE)
        .for_each(&mut add);
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_a_secret_is_one() {
        for (url, expected) in [
            ("https://example.com/events?format=json", vec![]),
            ("https://example.com/customer-notifications/v1", vec![]),
            (
                "https://hooks.example.com/T012/B012/Xq3v9Lk2mN8pR4sT6uW",
                vec!["Xq3v9Lk2mN8pR4sT6uW"],
            ),
            ("https://u:pa%2Fss@example.com/", vec!["pa%2Fss", "pa/ss"]),
            ("https://example.com/x?key=abcdefgh&a=b", vec!["abcdefgh"]),
        ] {
            assert_eq!(parts(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }
}
