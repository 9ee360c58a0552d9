//! The open connections: how many there may be, and which one is closed for a new one.
//!
//! A full server must not make new clients wait for those that are connected: 1,024 sockets that
//! send nothing would stop it for as long as they like. So every connection is accepted, and beyond
//! a limit the one is closed that has waited longest for its client.
//!
//! | limit | what a new connection replaces |
//! |---|---|
//! | `peer_connections` of one address | the stalest of that address without a valid token |
//! | `connections` | the stalest without a token, of the address with most; else an idle one |
//! | all are working | nothing: it becomes a reserve connection, for `/healthz` and `/readyz` |

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::peers::{PeerKey, is_trusted};
use crate::limits::Limits;
use crate::security::AccessRules;
use crate::telemetry::{ProblemKind, Problems};

/// Connections above the limit that answer `/healthz` and `/readyz` only.
pub(crate) const RESERVE: usize = 16;
/// A connection is not closed for another one of its peer before it had this long to send its first
/// request: a client behind a NAT may open hundreds at once.
const MIN_AGE: Duration = Duration::from_secs(1);

/// One open connection, as the parts that serve it see it.
#[derive(Debug)]
pub(super) struct Connection {
    /// Its number; no other connection has had it.
    pub(super) id: u64,
    /// The address at its other end.
    pub(super) peer: IpAddr,
    /// Whether it only answers health checks.
    pub(super) is_reserve: bool,
    /// Whether a valid token or signature came over it.
    authenticated: AtomicBool,
    /// Whether the client is the one who must do something: send a head, a body, or read.
    waits_for_client: AtomicBool,
    /// Whether a head was seen that a proxy in front may read differently.
    has_framing_fault: AtomicBool,
    /// When it was accepted, or its last request ended.
    since: Mutex<Instant>,
    closed: Notify,
    /// Whether anything came over it.
    has_begun: AtomicBool,
    begun: Notify,
}

/// All open connections.
pub(super) struct Connections {
    limit: usize,
    peer_limit: usize,
    problems: Arc<Problems>,
    open: Mutex<Open>,
}

/// Removes a connection from [`Connections`] when it ends.
pub(super) struct OpenConnection {
    pub(super) connection: Arc<Connection>,
    connections: Arc<Connections>,
}

#[derive(Default)]
struct Open {
    next_id: u64,
    connections: HashMap<u64, Arc<Connection>>,
    /// How many there are of each peer.
    of_peer: HashMap<PeerKey, usize>,
    /// How many of them are reserve connections.
    reserve: usize,
}

impl Connections {
    /// At most `limit` connections and the reserve.
    pub(super) fn new(limit: usize, limits: &Limits, problems: Arc<Problems>) -> Self {
        Self {
            problems,
            limit,
            peer_limit: limits.peer_connections,
            open: Mutex::default(),
        }
    }

    /// Adds a connection from `peer`, and closes another one where a limit requires it. `None` if
    /// none can be closed.
    pub(super) fn open(
        self: &Arc<Self>,
        peer: IpAddr,
        rules: &AccessRules,
    ) -> Option<OpenConnection> {
        let (opened, limited) = self.open_within_limits(peer, rules);
        for (limit, detail) in limited {
            let kind = ProblemKind::ClientsLimited;
            self.problems.report(kind, limit, 1, &detail);
        }
        opened
    }

    /// As [`Connections::open`]; with the limits that had an effect, by name, and which.
    fn open_within_limits(
        self: &Arc<Self>,
        peer: IpAddr,
        rules: &AccessRules,
    ) -> (Option<OpenConnection>, Vec<(&'static str, String)>) {
        let now = Instant::now();
        let mut limited = Vec::new();
        let mut open = self.lock();
        // All clients of a proxy have its address, and all clients of a service without tokens are
        // on this machine.
        let has_own_limit = !is_trusted(peer, &rules.trusted_proxies) && !peer.is_loopback();
        if has_own_limit && open.count_of(PeerKey::of(peer)) >= self.peer_limit {
            let is_closed = open.close_stalest(|connection, _| {
                let since = connection.since();
                let is_old = now.saturating_duration_since(since) >= MIN_AGE;
                let is_of_peer = PeerKey::of(connection.peer) == PeerKey::of(peer);
                (is_of_peer && is_old && connection.is_dispensable()).then_some((0, since))
            });
            if is_closed {
                let detail = format!("an older connection of {peer} was closed for a new one");
                limited.push(("peer_connections", detail));
            }
        }
        let mut is_reserve = false;
        if open.connections.len() - open.reserve >= self.limit {
            is_reserve = !Self::make_space(&mut open, rules);
            let detail = if is_reserve {
                format!("all {} are being worked on; health checks only", self.limit)
            } else {
                format!(
                    "{} are open: the stalest was closed for a new one",
                    self.limit
                )
            };
            limited.push(("connections", detail));
        }
        if is_reserve && open.reserve >= RESERVE {
            let replaced = open.close_stalest(|connection, _| {
                let may_close = connection.is_reserve && connection.waits();
                may_close.then(|| (0, connection.since()))
            });
            if !replaced {
                return (None, limited);
            }
        }
        let connection = Arc::new(Connection {
            id: open.next_id,
            peer,
            is_reserve,
            authenticated: AtomicBool::new(false),
            waits_for_client: AtomicBool::new(true),
            has_framing_fault: AtomicBool::new(false),
            since: Mutex::new(now),
            closed: Notify::new(),
            has_begun: AtomicBool::new(false),
            begun: Notify::new(),
        });
        open.add(connection.clone());
        let opened = OpenConnection {
            connection,
            connections: self.clone(),
        };
        (Some(opened), limited)
    }

    /// Closes one connection that is not a reserve one; whether there was one to close.
    fn make_space(open: &mut Open, rules: &AccessRules) -> bool {
        // One address with 1,000 idle connections loses its own before any other address does. The
        // connections of a proxy are those of many clients.
        open.close_stalest(|connection, of_peer| {
            let may_close = !connection.is_reserve && connection.is_dispensable();
            let is_proxy = is_trusted(connection.peer, &rules.trusted_proxies);
            let crowd = if is_proxy { 0 } else { of_peer };
            may_close.then(|| (crowd, connection.since()))
        }) || open.close_stalest(|connection, _| {
            // With a valid token: idle ones only, which clients open again.
            let may_close = !connection.is_reserve && connection.waits();
            may_close.then(|| (0, connection.since()))
        })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// A valid token or signature came over this connection.
    pub(super) fn set_authenticated(&self) {
        self.authenticated.store(true, Ordering::Relaxed);
    }

    /// A request is being worked on, so the client waits for us.
    pub(super) fn set_working(&self) {
        self.waits_for_client.store(false, Ordering::Relaxed);
    }

    /// We wait for the client: for more of the body.
    pub(super) fn set_waiting(&self) {
        self.waits_for_client.store(true, Ordering::Relaxed);
    }

    /// A request ended: its response is there to be read, then the next request may come.
    pub(super) fn end_request(&self) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.set_waiting();
    }

    /// Notes a head that a proxy in front may read differently.
    pub(super) fn set_framing_fault(&self) {
        self.has_framing_fault.store(true, Ordering::Relaxed);
    }

    /// Whether such a head was seen.
    pub(super) fn has_framing_fault(&self) -> bool {
        self.has_framing_fault.load(Ordering::Relaxed)
    }

    /// Something came over it.
    pub(super) fn set_begun(&self) {
        if !self.has_begun.swap(true, Ordering::Relaxed) {
            // Kept if nothing waits for it yet.
            self.begun.notify_one();
        }
    }

    /// Ends when something has come over it. For one task.
    pub(super) async fn begun(&self) {
        if !self.has_begun.load(Ordering::Relaxed) {
            self.begun.notified().await;
        }
    }

    /// Ends when the connection must be closed for another one.
    pub(super) async fn closed(&self) {
        self.closed.notified().await;
    }

    fn waits(&self) -> bool {
        self.waits_for_client.load(Ordering::Relaxed)
    }

    fn is_dispensable(&self) -> bool {
        self.waits() && !self.authenticated.load(Ordering::Relaxed)
    }

    fn since(&self) -> Instant {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.connections.lock().remove(self.connection.id);
    }
}

impl Open {
    fn count_of(&self, peer: PeerKey) -> usize {
        self.of_peer.get(&peer).copied().unwrap_or_default()
    }

    fn add(&mut self, connection: Arc<Connection>) {
        self.next_id = connection.id + 1;
        *self
            .of_peer
            .entry(PeerKey::of(connection.peer))
            .or_default() += 1;
        self.reserve += usize::from(connection.is_reserve);
        self.connections.insert(connection.id, connection);
    }

    fn remove(&mut self, id: u64) {
        // It may have been removed before, when it was closed for another one.
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        self.reserve -= usize::from(connection.is_reserve);
        let peer = PeerKey::of(connection.peer);
        if let Some(count) = self.of_peer.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                self.of_peer.remove(&peer);
            }
        }
    }

    /// Closes the connection with the highest rank, and of these the stalest. `rank` is `None` for
    /// those that stay; its second argument is how many connections there are of the peer. Whether
    /// there was one.
    fn close_stalest(
        &mut self,
        rank: impl Fn(&Connection, usize) -> Option<(usize, Instant)>,
    ) -> bool {
        let ranked = self.connections.iter().filter_map(|(id, connection)| {
            let of_peer = self.count_of(PeerKey::of(connection.peer));
            let (crowd, since) = rank(connection, of_peer)?;
            Some((crowd, std::cmp::Reverse(since), *id))
        });
        let Some((_, _, id)) = ranked.max() else {
            return false;
        };
        if let Some(connection) = self.connections.get(&id) {
            connection.closed.notify_one();
        }
        // At once, so that the next new connection does not choose it again.
        self.remove(id);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use prometheus_client::registry::Registry;

    use super::*;

    fn address(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    fn connections(limit: usize, peer_connections: usize) -> Arc<Connections> {
        let limits = Limits {
            peer_connections,
            ..Limits::DEFAULT
        };
        let problems = Problems::register(&mut Registry::default());
        Arc::new(Connections::new(limit, &limits, Arc::new(problems)))
    }

    fn is_open(connections: &Connections, one: &OpenConnection) -> bool {
        connections
            .lock()
            .connections
            .contains_key(&one.connection.id)
    }

    #[test]
    fn the_stalest_of_the_largest_crowd_is_closed() {
        let connections = connections(4, 100);
        let rules = AccessRules::default();
        let open = |last| connections.open(address(last), &rules).unwrap();
        let other = open(2);
        let crowd = [open(1), open(1), open(1)];
        let new = open(3);
        let is_open = |one| is_open(&connections, one);
        assert!(is_open(&other) && is_open(&new) && !new.connection.is_reserve);
        assert_eq!(crowd.each_ref().map(is_open), [false, true, true]);
    }

    #[test]
    fn working_connections_stay_and_the_reserve_is_bounded() {
        let connections = connections(2, 100);
        let rules = AccessRules::default();
        let open = || connections.open(address(1), &rules);
        let working = [open().unwrap(), open().unwrap()];
        for one in &working {
            one.connection.set_working();
        }
        let reserve: Vec<_> = (0..RESERVE * 3).map(|_| open().unwrap()).collect();
        assert!(reserve.iter().all(|one| one.connection.is_reserve));
        let still_open = reserve.iter().filter(|one| is_open(&connections, one));
        assert_eq!(still_open.count(), RESERVE);
        assert!(working.iter().all(|one| is_open(&connections, one)));
        for one in &reserve {
            one.connection.set_working();
        }
        assert!(open().is_none());
        // An idle one with a valid token gives way to a new one, rather than to the reserve.
        working[0].connection.set_authenticated();
        working[0].connection.end_request();
        assert!(!open().unwrap().connection.is_reserve);
    }

    #[test]
    fn old_connections_of_a_peer_give_way_beyond_its_limit() {
        let connections = connections(100, 2);
        let rules = AccessRules::default();
        let open = |last| connections.open(address(last), &rules).unwrap();
        let all = [open(1), open(1), open(1)];
        // They are all young: a burst is no attack.
        assert!(all.iter().all(|one| is_open(&connections, one)));
        for one in &all {
            *one.connection.since.lock().unwrap() =
                Instant::now().checked_sub(2 * MIN_AGE).unwrap();
        }
        all[0].connection.set_authenticated();
        let new = open(1);
        let open = all.each_ref().map(|one| is_open(&connections, one));
        assert_eq!(
            (open, is_open(&connections, &new)),
            ([true, false, true], true)
        );
        drop((all, new));
        assert!(connections.lock().of_peer.is_empty());
    }
}
