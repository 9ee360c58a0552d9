//! Whether the wall clock was set back since the last writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

use super::micros;

/// The newest time at which this process wrote. Clones share it.
///
/// `due` of a delivery means nothing after the clock was set back: a retry that was due in 8 s is
/// due in an hour and 8 s by a clock that was an hour ahead. Looking for such deliveries reads the
/// whole outbox, so it is done once for each time that the clock was set back, and not at every
/// claim: with 100,000 waiting deliveries of a target that is down, each claim took 70 ms in which
/// the writer did nothing else.
#[derive(Clone)]
pub(super) struct WriteClock(Arc<AtomicI64>);

/// Times are taken before a job is queued, and each node has a clock, so that they may be out of
/// order by this much; so much later a delivery may be due after a smaller step back. In
/// microseconds.
pub(super) const TOLERANCE: i64 = 1_000_000;

impl WriteClock {
    /// Before the first write.
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(i64::MIN)))
    }

    /// Records a write at this time.
    pub(super) fn record(&self, now: Timestamp) {
        self.0.fetch_max(micros(now), Ordering::Relaxed);
    }

    /// Whether the clock was set back since the newest write.
    pub(super) fn was_set_back(&self, now: Timestamp) -> bool {
        self.0.load(Ordering::Relaxed) > micros(now).saturating_add(TOLERANCE)
    }

    /// Forgets later times: deliveries that were written at them have been found and committed.
    pub(super) fn reset(&self, now: Timestamp) {
        self.0.store(micros(now), Ordering::Relaxed);
    }
}
