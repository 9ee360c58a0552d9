//! The latest time of an entry of the archive.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

use super::{archive, instant, micros};
use crate::StoreError;
use crate::database::Connection;

/// The time up to which entries have come, for the writer. Clones share it.
///
/// Each event that a rule with a window matches is applied at this time or later. The archive has
/// it, at the end of its index of times, but not while the clock was set back: then that end are
/// the entries from before, and hours of them would be passed over for each event.
#[derive(Clone)]
pub(super) struct EntryClock(Arc<AtomicI64>);

/// It has to be read from the archive. No entry has this time.
const UNKNOWN: i64 = i64::MAX;

impl EntryClock {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(UNKNOWN)))
    }

    /// The latest time of an entry since the clock was set.
    pub(super) fn read(&self, connection: &Connection) -> Result<Timestamp, StoreError> {
        let known = self.0.load(Ordering::Relaxed);
        if known != UNKNOWN {
            return Ok(instant(known));
        }
        let found = archive::clock(connection)?;
        self.0.store(micros(found), Ordering::Relaxed);
        Ok(found)
    }

    /// An entry of this time was stored.
    pub(super) fn record(&self, at: Timestamp) {
        if self.0.load(Ordering::Relaxed) != UNKNOWN {
            self.0.fetch_max(micros(at), Ordering::Relaxed);
        }
    }

    /// Entries were undone, or the clock was set.
    pub(super) fn forget(&self) {
        self.0.store(UNKNOWN, Ordering::Relaxed);
    }
}
