//! Egress policy: which addresses outbound connections may lead to.
//!
//! A webhook's URL comes from the operator, but the DNS record behind it may belong to another
//! party. Without a policy, such a record that points to 169.254.169.254 or 127.0.0.1 would make
//! this process call a metadata service or a local port with its own credentials (server-side
//! request forgery).

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, ClientBuilder, Url};

use super::error_chain;

/// Which addresses may be called: public ones, and those within `allowed`.
///
/// ```
/// use reflexarc_delivery::http::EgressPolicy;
///
/// let policy = EgressPolicy { allowed: vec!["10.1.0.0/16".parse()?] };
/// assert!(policy.allows("10.1.2.3".parse()?) && policy.allows("8.8.8.8".parse()?));
/// let metadata = "http://169.254.169.254/latest/meta-data".parse()?;
/// let denied = policy.check_url(&metadata).unwrap_err();
/// assert!(denied.to_string().starts_with("169.254.169.254 is not a public address"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EgressPolicy {
    /// Private networks that may be called, such as `10.1.0.0/16`. Link-local addresses and those
    /// of metadata services are called only where a network lists nothing else:
    /// `169.254.1.0/24`, `100.100.100.200/32`, but not `100.64.0.0/10`.
    pub allowed: Vec<IpNet>,
}

/// An address that the egress policy does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EgressDenied {
    /// The host as in the URL.
    pub host: String,
    /// The address.
    pub address: IpAddr,
}

impl fmt::Display for EgressDenied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, address } = self;
        if literal_address(host) == Some(*address) {
            write!(f, "{address}")?;
        } else {
            write!(f, "{host} resolves to {address}, which")?;
        }
        // A proxy to a metadata service would hand out the credentials of this machine.
        f.write_str(if is_metadata(*address) {
            " is not a public address but link-local or a metadata service; list it under `allow` \
             to permit it"
        } else {
            " is not a public address; list its network under `allow` to permit it"
        })
    }
}

impl Error for EgressDenied {}

/// Whether the egress policy denied a connection; its error is one of the causes.
pub(crate) fn is_egress_denied(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(next) = cause {
        // `io::Error` is not the source of what it holds, but passes its source on.
        let held = next
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        if next.is::<EgressDenied>()
            || held.is_some_and(<dyn Error + Send + Sync>::is::<EgressDenied>)
        {
            return true;
        }
        cause = next.source();
    }
    false
}

/// Why an HTTP client cannot be built: a certificate cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ClientError(String);

impl EgressPolicy {
    /// A policy for hosts that the operator names and no event or script can change: all addresses
    /// but link-local ones and those of metadata services, which no operator means and to which a
    /// DNS record could lead.
    ///
    /// ```
    /// use reflexarc_delivery::http::EgressPolicy;
    ///
    /// let policy = EgressPolicy::operator_hosts();
    /// assert!(policy.allows("10.1.2.3".parse()?) && policy.allows("::1".parse()?));
    /// assert!(!policy.allows("169.254.169.254".parse()?));
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    pub fn operator_hosts() -> Self {
        Self {
            allowed: vec![
                IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0)),
                IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0)),
            ],
        }
    }

    /// Whether this address may be called.
    pub fn allows(&self, address: IpAddr) -> bool {
        let special = metadata_networks().find(|network| leads_into(address, network));
        let address = embedded_ipv4(address);
        let mut allowed = self.allowed.iter();
        match special {
            // `100.64.0.0/10` is meant for services in the shared network, and has Alibaba Cloud's
            // metadata service in it: only a network that is part of the special one counts.
            Some(special) => {
                allowed.any(|network| network.contains(&address) && special.contains(network))
            }
            None => is_public(address) || allowed.any(|network| network.contains(&address)),
        }
    }

    /// The addresses of a host that may be called, with this port. They are what a caller must
    /// connect to: resolving the name again could give others.
    ///
    /// # Errors
    /// When the host cannot be resolved, or none of its addresses may be called; the error is then
    /// an [`EgressDenied`].
    pub async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let found: Vec<SocketAddr> = tokio::net::lookup_host((bare, port)).await?.collect();
        let is_allowed = |address: &&SocketAddr| self.allows(address.ip());
        let allowed: Vec<_> = found.iter().filter(is_allowed).copied().collect();
        match found.first() {
            Some(first) if allowed.is_empty() => Err(io::Error::other(EgressDenied {
                host: host.to_owned(),
                address: first.ip(),
            })),
            _ => Ok(allowed),
        }
    }

    /// Checks a host that is an address, as [`EgressPolicy::check_url`] does.
    ///
    /// # Errors
    /// When the address may not be called.
    pub fn check_host(&self, host: &str) -> Result<(), EgressDenied> {
        match literal_address(host) {
            Some(address) if !self.allows(address) => Err(EgressDenied {
                host: host.to_owned(),
                address,
            }),
            _ => Ok(()),
        }
    }

    /// Checks a URL whose host is an address. Host names are checked when they are resolved, each
    /// address again.
    ///
    /// # Errors
    /// When the address may not be called.
    pub fn check_url(&self, url: &Url) -> Result<(), EgressDenied> {
        // The URL parser has already turned other spellings of IPv4 (`0x7f.1`, `2130706433`) into
        // four decimal numbers.
        self.check_host(url.host_str().unwrap_or_default())
    }

    /// A client that connects to allowed addresses only. `authorities` are certificates in PEM that
    /// are trusted besides the system's.
    ///
    /// # Errors
    /// When a certificate cannot be read, or the system has none.
    pub fn client(&self, authorities: Option<&[u8]>) -> Result<Client, ClientError> {
        let builder = self.builder(authorities)?;
        builder.build().map_err(ClientError::new)
    }

    /// The same for this server only. If its scheme is `http`, the certificates of the system are
    /// not read: that takes a while, and a container may have none.
    ///
    /// # Errors
    /// When a certificate cannot be read, or there are none for `https`.
    pub fn client_of(
        &self,
        server: &Url,
        authorities: Option<&[u8]>,
    ) -> Result<Client, ClientError> {
        let builder = self.builder_of(server, authorities)?;
        builder.build().map_err(ClientError::new)
    }

    /// The same, with a connection for each request, and `connect` as the longest time to connect.
    ///
    /// An idle connection may be closed by the other side while a request is written: whether it
    /// was executed is then unknown. On a new connection that is rare.
    pub(crate) fn single_use_client(
        &self,
        server: &Url,
        authorities: Option<&[u8]>,
        connect: Duration,
    ) -> Result<Client, ClientError> {
        let builder = self.builder_of(server, authorities)?;
        let builder = builder.pool_max_idle_per_host(0);
        let builder = builder.connect_timeout(connect.min(CONNECT_TIMEOUT));
        builder.build().map_err(ClientError::new)
    }

    fn builder_of(
        &self,
        server: &Url,
        authorities: Option<&[u8]>,
    ) -> Result<ClientBuilder, ClientError> {
        let builder = self.builder(authorities)?;
        // Redirects are not followed, so nothing is called over TLS.
        Ok(match server.scheme() {
            "http" => builder.tls_certs_only([]),
            _ => builder,
        })
    }

    fn builder(&self, authorities: Option<&[u8]>) -> Result<ClientBuilder, ClientError> {
        // It fails only when a provider was installed before, which does as well.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut builder = Client::builder()
            // A redirect could lead to an address that the URL check has not seen.
            .redirect(reqwest::redirect::Policy::none())
            // A proxy would resolve the name itself, past the policy.
            .no_proxy()
            // The URL may hold a token.
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("reflexarc/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(PolicyResolver {
                policy: self.clone(),
            }));
        if let Some(pem) = authorities {
            builder = builder.tls_certs_merge(certificates(pem)?);
        }
        Ok(builder)
    }
}

/// The certificates in a file in PEM.
///
/// # Errors
/// When it has none, or one of them cannot be read.
pub fn certificates(pem: &[u8]) -> Result<Vec<Certificate>, ClientError> {
    let found = Certificate::from_pem_bundle(pem).map_err(ClientError::new)?;
    // Else a wrong file, such as one in DER, would count as no file.
    if found.is_empty() {
        return Err(ClientError("there is no certificate in PEM".to_owned()));
    }
    Ok(found)
}

impl ClientError {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the signature that map_err needs"
    )]
    fn new(error: reqwest::Error) -> Self {
        Self(error_chain(&error))
    }
}

/// Shorter than the send timeout of 30 s, so that an address that drops packets is reported as such
/// and not as a receiver that does not respond.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Resolves host names to allowed addresses only.
///
/// The check is inside the resolver because the addresses that are checked are then the ones that
/// are connected to. A check before the request would resolve the name a second time, and a DNS
/// server could answer with a public address first and with 127.0.0.1 then (DNS rebinding).
struct PolicyResolver {
    policy: EgressPolicy,
}

impl Resolve for PolicyResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.policy.clone();
        Box::pin(async move {
            // The client replaces the port.
            let allowed = policy.resolve(name.as_str(), 0).await?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// The address that a URL's host is, if it is not a name; IPv6 addresses are in brackets.
fn literal_address(host: &str) -> Option<IpAddr> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok()
}

/// The IPv4 address within an IPv6 one that leads to it: mapped (`::ffff:127.0.0.1`) or NAT64
/// (`64:ff9b::7f00:1`); any other address as it is. Without this a private IPv4 address would pass
/// in the form of a global IPv6 one.
fn embedded_ipv4(address: IpAddr) -> IpAddr {
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

/// Link-local networks and the addresses of metadata services, which hand out the credentials of a
/// machine to whatever runs on it.
fn metadata_networks() -> impl Iterator<Item = IpNet> {
    const V4: [([u8; 4], u8); 4] = [
        ([169, 254, 0, 0], 16), // link-local; AWS, Azure, Google, Tencent and others
        ([100, 100, 100, 200], 32), // Alibaba Cloud
        ([168, 63, 129, 16], 32), // Azure, a public address that only its machines reach
        ([192, 0, 0, 192], 32), // Oracle Cloud
    ];
    const V6: [([u16; 8], u8); 3] = [
        ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),          // link-local
        ([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128), // AWS
        ([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128),  // Google Cloud
    ];
    let v4 = V4
        .into_iter()
        .map(|(octets, bits)| Ipv4Net::new_assert(octets.into(), bits).into());
    let v6 = V6
        .into_iter()
        .map(|(parts, bits)| Ipv6Net::new_assert(parts.into(), bits).into());
    v4.chain(v6)
}

fn is_metadata(address: IpAddr) -> bool {
    metadata_networks().any(|network| leads_into(address, &network))
}

/// Whether an address is in a network, or is one of IPv6 that a gateway may translate to one in it.
fn leads_into(address: IpAddr, network: &IpNet) -> bool {
    if network.contains(&embedded_ipv4(address)) {
        return true;
    }
    let IpAddr::V6(v6) = address else {
        return false;
    };
    // 6to4 (`2002:a9fe:a9fe::`) has it after the first two bytes; the deprecated compatible
    // addresses (`::169.254.169.254`), local NAT64 prefixes (`64:ff9b:1::/48`) and ISATAP
    // (`…:5efe:a9fe:a9fe`) have it at the end.
    let octets = v6.octets();
    let at = |start: usize| {
        let [a, b, c, d] = [0, 1, 2, 3].map(|offset| octets[start + offset]);
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    let segments = v6.segments();
    let at_end =
        segments[..6] == [0; 6] || segments[..3] == [0x64, 0xff9b, 1] || segments[5] == 0x5efe;
    (segments[0] == 0x2002 && network.contains(&at(2))) || (at_end && network.contains(&at(12)))
}

/// Whether an address is neither this machine nor in a private or special network.
///
/// The ranges are those of the IANA special-purpose address registries
/// (<https://www.iana.org/assignments/iana-ipv4-special-registry>, `…/iana-ipv6-special-registry`).
/// `IpAddr::is_global` of the standard library is not stable.
fn is_public(address: IpAddr) -> bool {
    const V4: [([u8; 4], u8); 14] = [
        ([0, 0, 0, 0], 8),       // this network; Linux connects 0.0.0.0 to itself
        ([10, 0, 0, 0], 8),      // private
        ([100, 64, 0, 0], 10),   // shared; has Alibaba Cloud's metadata service, 100.100.100.200
        ([127, 0, 0, 0], 8),     // loopback
        ([169, 254, 0, 0], 16),  // link-local; has the other clouds' metadata, 169.254.169.254
        ([172, 16, 0, 0], 12),   // private
        ([192, 0, 0, 0], 24),    // protocol assignments
        ([192, 0, 2, 0], 24),    // documentation
        ([192, 88, 99, 0], 24),  // 6to4 relay, deprecated
        ([192, 168, 0, 0], 16),  // private
        ([198, 18, 0, 0], 15),   // benchmarks
        ([198, 51, 100, 0], 24), // documentation
        ([203, 0, 113, 0], 24),  // documentation
        ([224, 0, 0, 0], 3),     // multicast, reserved, broadcast
    ];
    match address {
        IpAddr::V4(v4) => V4
            .iter()
            .all(|(octets, bits)| !Ipv4Net::new_assert((*octets).into(), *bits).contains(&v4)),
        // For IPv6 the other way round: only 2000::/3 is assigned as global unicast, and within it
        // some ranges are tunnels or documentation.
        IpAddr::V6(v6) => {
            let global = Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
            let special = [
                // Protocol assignments, Teredo among them.
                Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
                // Documentation.
                Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
                // 6to4, which can lead to any IPv4 address: 2002:7f00:1:: is 127.0.0.1.
                Ipv6Net::new_assert(Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
                // Documentation.
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
    fn public_addresses_and_allowed_networks_are_called() {
        let policy = EgressPolicy {
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
            assert!(!policy.allows(private.parse().unwrap()), "{private}");
        }
        for public in [
            "8.8.8.8",
            "47.74.206.1",
            "172.32.0.1",
            "10.1.2.3",
            "::ffff:10.1.2.3",
            "2400:3200::1",
            "100.128.0.1",
        ] {
            assert!(policy.allows(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn operators_hosts_are_all_but_link_local_and_metadata() {
        let policy = EgressPolicy::operator_hosts();
        for denied in [
            "169.254.169.254",
            "169.254.0.23",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "fe80::1",
            "febf::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "::ffff:169.254.169.254",
            "::ffff:100.100.100.200",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "::169.254.169.254",
            "2400:3200::5efe:a9fe:a9fe",
        ] {
            let address = denied.parse().unwrap();
            assert!(!policy.allows(address), "{denied}");
            assert!(!EgressPolicy::default().allows(address), "{denied}");
        }
        for allowed in [
            "127.0.0.1",
            "10.1.2.3",
            "192.168.1.1",
            "100.100.100.201",
            "8.8.8.8",
            "::1",
            "fd00::1",
            "fd00:ec2::253",
        ] {
            assert!(policy.allows(allowed.parse().unwrap()), "{allowed}");
        }
    }

    #[test]
    fn metadata_is_allowed_only_where_it_is_listed() {
        let allows = |network: &str, address: &str| {
            let allowed = vec![network.parse().unwrap()];
            EgressPolicy { allowed }.allows(address.parse().unwrap())
        };
        assert!(allows("100.64.0.0/10", "100.64.1.1"));
        assert!(!allows("100.64.0.0/10", "100.100.100.200"));
        assert!(allows("100.100.100.200/32", "100.100.100.200"));
        assert!(allows("169.254.1.0/24", "169.254.1.9"));
        assert!(allows("169.254.0.0/16", "169.254.169.254"));
        assert!(!allows("0.0.0.0/0", "169.254.169.254"));
        assert!(!allows("fd00::/8", "fd00:ec2::254"));
    }

    /// `getaddrinfo` reads spellings that are no literal address of a URL.
    #[tokio::test]
    async fn resolved_addresses_are_checked() {
        let policy = EgressPolicy::operator_hosts();
        for host in ["2852039166", "0xa9fea9fe", "169.254.43518", "[fe80::1]"] {
            let error = policy.resolve(host, 25).await.unwrap_err();
            assert!(is_egress_denied(&error), "{host}: {error}");
        }
        let here = policy.resolve("localhost", 25).await.unwrap();
        assert!(here.iter().all(|address| address.port() == 25));
        let error = EgressPolicy::default().resolve("localhost", 25).await;
        assert!(is_egress_denied(&error.unwrap_err()));
    }

    #[test]
    fn addresses_in_urls_are_checked_in_every_spelling() {
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
                EgressPolicy::default()
                    .check_url(&url.parse().unwrap())
                    .is_err(),
                "{url}"
            );
        }
        assert_eq!(
            EgressPolicy::default().check_url(&"https://example.com/".parse().unwrap()),
            Ok(())
        );
    }
}
