//! The accepted requests whose operations have not ended.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::FaultMode;
use crate::request::RequestOrigin;

/// Accepted requests in the order of their completion.
///
/// The key is the time of completion and a sequence number, so requests that complete at one
/// instant do so in the order in which they were accepted, and a run with the same requests is
/// repeated exactly: with attach requests A and B accepted at 10 s and 2 s each, both are due at 12
/// s, as (12 s, 1) and (12 s, 2).
#[derive(Debug, Clone, Default)]
pub(super) struct PendingRequests {
    by_due: BTreeMap<(Timestamp, u64), PendingRequest>,
    sequence: u64,
}

/// An accepted request whose operation has not ended.
#[derive(Debug, Clone)]
pub(super) struct PendingRequest {
    pub(super) origin: RequestOrigin,
    /// The interface's id.
    pub(super) interface: String,
    /// The injected fault that decides how the operation ends.
    pub(super) fault: Option<FaultMode>,
}

impl PendingRequests {
    pub(super) fn len(&self) -> usize {
        self.by_due.len()
    }

    /// Adds a request that completes at `due`.
    pub(super) fn insert(&mut self, due: Timestamp, request: PendingRequest) {
        self.sequence += 1;
        self.by_due.insert((due, self.sequence), request);
    }

    /// When the next request completes.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.by_due.first_key_value().map(|((due, _), _)| *due)
    }

    /// Removes the next request that completes by `now`, with the time of its completion.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<(Timestamp, PendingRequest)> {
        let entry = self.by_due.first_entry()?;
        let due = entry.key().0;
        (due <= now).then(|| (due, entry.remove()))
    }

    /// Removes the requests that meet a condition, in the order of their completion.
    pub(super) fn extract(
        &mut self,
        condition: impl Fn(&PendingRequest) -> bool,
    ) -> Vec<PendingRequest> {
        let met = self.by_due.iter().filter(|(_, request)| condition(request));
        // Collected first: the map cannot be changed while it is iterated. The keys keep the order.
        let keys: Vec<_> = met.map(|(key, _)| *key).collect();
        keys.iter()
            .filter_map(|key| self.by_due.remove(key))
            .collect()
    }
}
