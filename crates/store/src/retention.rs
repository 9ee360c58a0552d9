//! How long events are kept.

use jiff::SignedDuration;

/// How long events are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Older events are removed, with their deliveries.
    pub age: SignedDuration,
    /// When the pages in use are more than this many bytes, the oldest events are removed.
    pub bytes: Option<u64>,
}

impl Default for Retention {
    /// 30 days, without a bound on the size.
    fn default() -> Self {
        Self {
            age: SignedDuration::from_hours(30 * 24),
            bytes: None,
        }
    }
}
