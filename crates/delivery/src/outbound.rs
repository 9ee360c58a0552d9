//! HTTP towards strangers: no redirects, no proxies, bounded answers, and no way into private networks.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use jiff::{SignedDuration, Timestamp};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, Client, Response, Url};

/// Which addresses may be called: public ones, and those within `allowed`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Private networks that are meant, such as `10.1.0.0/16`.
    pub allowed: Vec<IpNet>,
}

/// An address that must not be called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{host} leads to {address}, which is not a public address; list its network under `allow` if this is meant"
)]
pub struct Forbidden {
    /// The host as the URL has it.
    pub host: String,
    /// Where it leads.
    pub address: IpAddr,
}

/// How much of an answer is read.
const ANSWER_BYTES: usize = 16 << 10;

impl Reach {
    /// Every address, for what the operator names and no stranger can.
    pub fn everywhere() -> Self {
        Self {
            allowed: ["0.0.0.0/0", "::/0"]
                .iter()
                .filter_map(|network| network.parse().ok())
                .collect(),
        }
    }

    /// Whether this address may be called.
    pub fn permits(&self, address: IpAddr) -> bool {
        let address = plain(address);
        is_public(address)
            || self
                .allowed
                .iter()
                .any(|network| network.contains(&address))
    }

    /// Judges a URL whose host is an address; names are judged when they are resolved, each address anew.
    ///
    /// # Errors
    /// When it may not be called.
    pub fn check(&self, url: &Url) -> Result<(), Forbidden> {
        let host = url.host_str().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match bare.parse::<IpAddr>() {
            Ok(address) if !self.permits(address) => Err(Forbidden {
                host: host.to_owned(),
                address,
            }),
            _ => Ok(()),
        }
    }

    /// A client that calls nothing else. `authorities` are certificates in PEM trusted besides the system's.
    ///
    /// # Errors
    /// When a certificate cannot be read.
    pub fn client(&self, authorities: Option<&[u8]>) -> Result<Client, String> {
        // Fails only when a provider was chosen before, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut builder = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(Duration::from_secs(10))
            .user_agent(concat!("reflexarc/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(Guard {
                reach: self.clone(),
            }));
        if let Some(pem) = authorities {
            let certificates = Certificate::from_pem_bundle(pem).map_err(|error| chain(&error))?;
            builder = builder.tls_certs_merge(certificates);
        }
        builder.build().map_err(|error| chain(&error))
    }
}

/// An answer, read as far as anybody wants to know.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The response headers.
    pub headers: HeaderMap,
    /// The body, at most 16 KiB of it.
    pub text: String,
}

impl Answer {
    /// Reads at most 16 KiB of the body; a body that breaks off is taken as far as it came.
    pub async fn read(mut response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut bytes = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            bytes.extend_from_slice(&chunk[..chunk.len().min(ANSWER_BYTES - bytes.len())]);
            if bytes.len() >= ANSWER_BYTES {
                break;
            }
        }
        Self {
            status,
            headers,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// Status and words, for people.
    pub fn words(&self) -> String {
        let text = self.text.trim();
        if text.is_empty() {
            format!("HTTP {}", self.status)
        } else {
            format!("HTTP {}: {text}", self.status)
        }
    }

    /// What Retry-After asks for: seconds, or an HTTP date.
    pub fn retry_after(&self, now: Timestamp) -> Option<SignedDuration> {
        let value = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if let Ok(seconds) = value.parse::<u32>() {
            return Some(SignedDuration::from_secs(i64::from(seconds)));
        }
        let date = jiff::fmt::rfc2822::DateTimeParser::new()
            .parse_timestamp(value)
            .ok()?;
        Some(date.duration_since(now).max(SignedDuration::ZERO))
    }
}

/// An error and its causes in one line, without the URL, which may hold a secret.
pub fn fault(error: reqwest::Error) -> String {
    chain(&error.without_url())
}

/// An error and its causes in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let words = next.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = next.source();
    }
    text
}

/// Resolves a name and hands out only addresses that may be called: what is checked is what is connected to.
struct Guard {
    reach: Reach,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.reach.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let permitted: Vec<_> = found
                .iter()
                .copied()
                .filter(|address| reach.permits(address.ip()))
                .collect();
            match found.first() {
                Some(first) if permitted.is_empty() => Err(Forbidden {
                    host,
                    address: first.ip(),
                }
                .into()),
                _ => Ok(Box::new(permitted.into_iter()) as Addrs),
            }
        })
    }
}

/// IPv4 in whatever IPv6 clothes: mapped, NAT64.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return IpAddr::V4(v4);
    }
    let [.., a, b, c, d] = v6.octets();
    let nat64 = Ipv6Net::new_assert(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);
    if nat64.contains(&v6) {
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    } else {
        address
    }
}

/// Neither this machine nor a network behind the border: the special ranges of the IANA registries. The clouds' metadata
/// services (169.254.169.254, 100.100.100.200) lie in them.
fn is_public(address: IpAddr) -> bool {
    const V4: [([u8; 4], u8); 14] = [
        ([0, 0, 0, 0], 8),
        ([10, 0, 0, 0], 8),
        ([100, 64, 0, 0], 10),
        ([127, 0, 0, 0], 8),
        ([169, 254, 0, 0], 16),
        ([172, 16, 0, 0], 12),
        ([192, 0, 0, 0], 24),
        ([192, 0, 2, 0], 24),
        ([192, 88, 99, 0], 24),
        ([192, 168, 0, 0], 16),
        ([198, 18, 0, 0], 15),
        ([198, 51, 100, 0], 24),
        ([203, 0, 113, 0], 24),
        ([224, 0, 0, 0], 3),
    ];
    match address {
        IpAddr::V4(v4) => V4
            .iter()
            .all(|(octets, bits)| !Ipv4Net::new_assert((*octets).into(), *bits).contains(&v4)),
        // Only global unicast, without documentation, Teredo, 6to4 and the other tunnels that lead elsewhere.
        IpAddr::V6(v6) => {
            let global = Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
            let special = [
                Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
                Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
                Ipv6Net::new_assert(Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
                Ipv6Net::new_assert(Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
            ];
            global.contains(&v6) && special.iter().all(|network| !network.contains(&v6))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_and_allowed_networks_are_called() {
        let reach = Reach {
            allowed: vec!["10.1.0.0/16".parse().unwrap()],
        };
        for private in [
            "127.0.0.1",
            "0.0.0.0",
            "10.2.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.100.100.200",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fc00::1",
            "fe80::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:192.168.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "::127.0.0.1",
        ] {
            assert!(!reach.permits(private.parse().unwrap()), "{private}");
        }
        for fine in [
            "8.8.8.8",
            "47.74.206.1",
            "172.32.0.1",
            "10.1.2.3",
            "::ffff:10.1.2.3",
            "2400:3200::1",
            "100.128.0.1",
        ] {
            assert!(reach.permits(fine.parse().unwrap()), "{fine}");
        }
    }

    #[test]
    fn an_address_in_a_url_is_judged_in_every_spelling() {
        for url in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://[::1]:8080/",
            "http://[::ffff:7f00:1]/",
            "https://169.254.169.254/latest/meta-data",
            "http://127.1/",
        ] {
            assert!(
                Reach::default().check(&url.parse().unwrap()).is_err(),
                "{url}"
            );
        }
        assert_eq!(
            Reach::default().check(&"https://example.com/".parse().unwrap()),
            Ok(())
        );
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let asked = |value: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            Answer {
                status: 429,
                headers,
                text: String::new(),
            }
            .retry_after(Timestamp::UNIX_EPOCH)
        };
        assert_eq!(asked("120"), Some(SignedDuration::from_secs(120)));
        assert_eq!(
            asked("Thu, 01 Jan 1970 00:01:00 GMT"),
            Some(SignedDuration::from_secs(60))
        );
        assert_eq!(
            asked("Wed, 31 Dec 1969 00:00:00 GMT"),
            Some(SignedDuration::ZERO)
        );
        assert_eq!(asked("soon"), None);
    }
}
