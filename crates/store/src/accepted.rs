//! The outcome of accepting an event.

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
