//! How a store is opened.

use jiff::SignedDuration;

/// How a store is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// The duplicate window: how long after an event a copy of it is recognised.
    pub duplicate_window: SignedDuration,
    /// Largest size of the file in bytes. Accepting an event beyond it fails as on a full disk.
    pub max_bytes: Option<u64>,
}

impl Default for StoreOptions {
    /// A duplicate window of 24 hours, no bound on the size.
    fn default() -> Self {
        Self {
            duplicate_window: SignedDuration::from_hours(24),
            max_bytes: None,
        }
    }
}
