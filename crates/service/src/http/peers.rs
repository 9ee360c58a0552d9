//! Clients by their address: how many requests each may have in progress without a valid token, and
//! how long each waits for the answer to a wrong one.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use ipnet::IpNet;

use crate::limits::Limits;
use crate::security::AccessRules;

/// What is counted as one client: an IPv4 address, or the /64 network of an IPv6 address, of which
/// a client has every address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PeerKey(IpAddr);

/// All clients that have requests in progress or gave wrong tokens of late.
#[derive(Debug)]
pub(crate) struct Peers {
    request_limit: usize,
    max_delay: Duration,
    known: Mutex<HashMap<PeerKey, Peer>>,
}

/// A request in progress without a valid token.
#[derive(Debug)]
pub(super) struct RequestSlot {
    peers: Arc<Peers>,
    key: PeerKey,
}

#[derive(Debug, Default)]
struct Peer {
    requests: usize,
    /// Wrong tokens since `first`.
    failures: u32,
    first: Option<Instant>,
}

/// Wrong tokens are forgotten after this time without another one.
const WINDOW: Duration = Duration::from_secs(60);
/// Wrong tokens in a window that are answered without delay: a sender with an old token, or a
/// mistyped one, is no attack.
const FREE_FAILURES: u32 = 10;
/// The delay grows by this for each further one.
const DELAY_STEP: Duration = Duration::from_millis(100);
/// The largest number of clients that are remembered, of about 100 bytes each.
const MAX_PEERS: usize = 10_000;

impl PeerKey {
    /// The client with this address.
    pub(super) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = u128::from(address) >> 64 << 64;
                Self(Ipv6Addr::from(network).into())
            }
            IpAddr::V4(address) => Self(address.into()),
        }
    }
}

impl Peers {
    /// No clients yet.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            request_limit: limits.peer_requests,
            max_delay: limits.token_delay,
            known: Mutex::default(),
        }
    }

    /// Counts a request in progress; `None` if the client has as many as it may have.
    pub(super) fn begin(self: &Arc<Self>, address: IpAddr) -> Option<RequestSlot> {
        let key = PeerKey::of(address);
        let mut peers = self.lock();
        let peer = peers.entry(key).or_default();
        if peer.requests >= self.request_limit {
            return None;
        }
        peer.requests += 1;
        Some(RequestSlot {
            peers: self.clone(),
            key,
        })
    }

    /// Counts a wrong token of this client. Returns how long it waits for the answer.
    pub(super) fn fail(&self, address: IpAddr, now: Instant) -> Duration {
        let mut peers = self.lock();
        if peers.len() >= MAX_PEERS {
            peers.retain(|_, peer| !peer.is_forgotten(now));
        }
        let is_full = peers.len() >= MAX_PEERS;
        let key = PeerKey::of(address);
        let peer = if is_full {
            peers.get_mut(&key)
        } else {
            Some(peers.entry(key).or_default())
        };
        let Some(peer) = peer else {
            // 10,000 addresses gave wrong tokens within a minute: all others are suspects too.
            return self.max_delay;
        };
        if peer.is_old(now) {
            peer.failures = 0;
        }
        peer.first = Some(now);
        peer.failures = peer.failures.saturating_add(1);
        let over = peer.failures.saturating_sub(FREE_FAILURES);
        DELAY_STEP.saturating_mul(over).min(self.max_delay)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PeerKey, Peer>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peer {
    fn is_old(&self, now: Instant) -> bool {
        let is_old = |last| now.saturating_duration_since(last) >= WINDOW;
        self.first.is_none_or(is_old)
    }

    fn is_forgotten(&self, now: Instant) -> bool {
        self.requests == 0 && self.is_old(now)
    }
}

impl Drop for RequestSlot {
    fn drop(&mut self) {
        let mut peers = self.peers.lock();
        if let Some(peer) = peers.get_mut(&self.key) {
            peer.requests -= 1;
            if peer.requests == 0 && peer.first.is_none() {
                peers.remove(&self.key);
            }
        }
    }
}

/// Whether an address is one of the trusted proxies.
pub(super) fn is_trusted(address: IpAddr, proxies: &[IpNet]) -> bool {
    let address = address.to_canonical();
    proxies.iter().any(|network| network.contains(&address))
}

/// The address of the client: that at the other end of the connection or, if that is a trusted
/// proxy, the last one in `X-Forwarded-For` (else `Forwarded`) that is not.
//
// Each proxy appends the address that it saw, so the list is true from its end up to the first
// address that is no proxy of ours; what is before it, that client may have made up.
// `X-Forwarded-For: 1.2.3.4, 198.51.100.7, 10.0.0.9` of the proxy 10.0.0.8 with
// `trusted_proxies = ["10.0.0.0/8"]` means 198.51.100.7.
pub(super) fn client_address(peer: IpAddr, headers: &HeaderMap, rules: &AccessRules) -> IpAddr {
    let proxies = rules.trusted_proxies.as_slice();
    if !is_trusted(peer, proxies) {
        return peer;
    }
    let mut client = peer;
    for address in forwarded(headers).into_iter().rev() {
        // Whatever is before an element without an address cannot be trusted.
        let Some(address) = address else { break };
        client = address;
        if !is_trusted(address, proxies) {
            break;
        }
    }
    client
}

/// The forwarded addresses in their order; `None` for one that cannot be read.
fn forwarded(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let elements = |name| {
        let values = headers.get_all(name).iter();
        values.flat_map(|value| value.to_str().unwrap_or("?").split(','))
    };
    let listed: Vec<_> = elements("x-forwarded-for").map(address).collect();
    if !listed.is_empty() {
        return listed;
    }
    let of_element = |element: &str| {
        let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
        let mut pairs = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
        address(pairs.next()?.1)
    };
    elements("forwarded").map(of_element).collect()
}

/// An address with or without a port, quotation marks and brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let whole = text.parse().ok();
    whole.or_else(|| match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0.parse().ok(),
        None => text.rsplit_once(':')?.0.parse().ok(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_name_clients() {
        let rules = AccessRules {
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
            ..AccessRules::default()
        };
        let client = |peer: &str, headers: &[(&'static str, &str)]| {
            let headers = headers
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            let headers: HeaderMap = headers.collect();
            client_address(peer.parse().unwrap(), &headers, &rules).to_string()
        };
        let xff = "x-forwarded-for";
        for (peer, headers, expected) in [
            ("192.0.2.1", vec![(xff, "1.2.3.4")], "192.0.2.1"),
            ("10.0.0.8", vec![], "10.0.0.8"),
            ("10.0.0.8", vec![(xff, "1.2.3.4")], "1.2.3.4"),
            ("::ffff:10.0.0.8", vec![(xff, "1.2.3.4")], "1.2.3.4"),
            (
                "10.0.0.8",
                vec![(xff, "1.2.3.4, 198.51.100.7, 10.0.0.9")],
                "198.51.100.7",
            ),
            (
                "10.0.0.8",
                vec![(xff, "1.2.3.4"), (xff, "198.51.100.7:4711")],
                "198.51.100.7",
            ),
            ("10.0.0.8", vec![(xff, "1.2.3.4, unknown")], "10.0.0.8"),
            ("10.0.0.8", vec![(xff, "10.0.0.7")], "10.0.0.7"),
            (
                "fd00::1",
                vec![(
                    "forwarded",
                    "for=1.2.3.4, For=\"[2001:db8::7]:80\";proto=https",
                )],
                "2001:db8::7",
            ),
            ("10.0.0.8", vec![("forwarded", "proto=https")], "10.0.0.8"),
        ] {
            assert_eq!(client(peer, &headers), expected, "{peer} {headers:?}");
        }
    }

    #[test]
    fn requests_in_progress_are_bounded_per_client() {
        let limits = Limits {
            peer_requests: 2,
            ..Limits::DEFAULT
        };
        let peers = Arc::new(Peers::new(&limits));
        let begin = |address: &str| peers.begin(address.parse().unwrap());
        let first = (begin("2001:db8::1"), begin("2001:db8::2"));
        assert!(first.0.is_some() && first.1.is_some());
        assert!(begin("2001:db8::3").is_none() && begin("2001:db8:0:1::3").is_some());
        drop(first);
        assert!(begin("2001:db8::3").is_some());
        assert!(peers.lock().is_empty());
    }

    #[test]
    fn wrong_tokens_are_slowed() {
        let peers = Peers::new(&Limits::DEFAULT);
        let address = "192.0.2.1".parse().unwrap();
        let start = Instant::now();
        let all: Vec<_> = (0..100).map(|_| peers.fail(address, start)).collect();
        assert_eq!(all[9], Duration::ZERO);
        assert_eq!(all[10], DELAY_STEP);
        assert_eq!(all[99], Limits::DEFAULT.token_delay);
        assert_eq!(peers.fail(address, start + WINDOW), Duration::ZERO);
    }

    #[test]
    fn remembered_clients_are_bounded() {
        let peers = Peers::new(&Limits::DEFAULT);
        let start = Instant::now();
        for number in 0..=u32::try_from(MAX_PEERS).unwrap() {
            peers.fail(std::net::Ipv4Addr::from(number).into(), start);
        }
        assert_eq!(peers.lock().len(), MAX_PEERS);
        peers.fail("192.0.2.1".parse().unwrap(), start + WINDOW);
        assert_eq!(peers.lock().len(), 1);
    }
}
