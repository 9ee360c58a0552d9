//! The outcome of accepting an event, or the actions of a replayed one.

use reflexarc_delivery::DeliveryId;

/// The outcome of accepting an event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// Archive position, counted in the order of acceptance; for a duplicate that of the first
    /// copy.
    pub seq: i64,
    /// Whether it is a duplicate: then nothing was stored.
    pub duplicate: bool,
    /// Rules that matched and whose reactions succeeded.
    pub matched: usize,
    /// Reactions that failed.
    pub failures: usize,
    /// Deliveries that were put into the outbox.
    pub deliveries: Vec<DeliveryId>,
    /// The targets of those deliveries, each once.
    pub targets: Vec<String>,
}

/// The outcome of putting the actions of a replayed event into the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ReplayAccepted {
    /// The new deliveries.
    pub deliveries: Vec<DeliveryId>,
    /// Number of deliveries that an earlier replay of this name had put there.
    pub repeated: usize,
    /// Number of calls that were left out: they are not replayed.
    pub calls: usize,
}

impl Accepted {
    /// A duplicate of the event at this archive position.
    pub(crate) fn duplicate_of(seq: i64) -> Self {
        Self {
            seq,
            duplicate: true,
            matched: 0,
            failures: 0,
            deliveries: Vec::new(),
            targets: Vec::new(),
        }
    }
}
