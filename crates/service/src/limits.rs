//! Resource limits for untrusted input.

use std::time::Duration;

/// Bounds on what clients can make the service hold or wait for, the same in debug and release
/// builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Largest body of one request in bytes; 8 MiB.
    pub body_bytes: usize,
    /// Largest number of events in one request; 10,000.
    pub batch_events: usize,
    /// Largest number of events waiting to be evaluated and stored; 20,000.
    pub queue_events: usize,
    /// Largest total size of such events in bytes; 64 MiB.
    pub queue_bytes: usize,
    /// Largest total size of the deliveries that the queue of one target has claimed, in bytes of
    /// memory; 8 MiB. A single delivery may be larger.
    pub delivery_bytes: usize,
    /// Largest number of connections at one time; 1,024.
    pub connections: usize,
    /// Longest time for the head of a request, and for the TLS handshake; 10 s.
    pub head: Duration,
    /// Longest time for the body of a request; 30 s.
    pub body: Duration,
    /// Longest time for a client to read 64 KiB of a response; 10 s.
    pub write: Duration,
    /// Largest number of connections of one client without a valid token; 256.
    pub peer_connections: usize,
    /// Largest number of requests of one client without a valid token at one time; 64.
    pub peer_requests: usize,
    /// Longest delay of the answer to a wrong token; 2 s.
    pub token_delay: Duration,
}

impl Limits {
    /// The defaults.
    pub const DEFAULT: Self = Self {
        body_bytes: 8 << 20,
        batch_events: 10_000,
        queue_events: 20_000,
        queue_bytes: 64 << 20,
        delivery_bytes: 8 << 20,
        connections: 1_024,
        head: Duration::from_secs(10),
        body: Duration::from_secs(30),
        write: Duration::from_secs(10),
        peer_connections: 256,
        peer_requests: 64,
        token_delay: Duration::from_secs(2),
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
