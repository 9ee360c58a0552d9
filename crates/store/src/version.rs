//! The version of a store's tables.

/// The version of a store's tables, and the one of this program. Each kind of database counts its
/// own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreVersion {
    /// The version of the tables; `None` if there are none yet.
    pub found: Option<i64>,
    /// The version that this program creates.
    pub newest: i64,
}

impl StoreVersion {
    /// Whether opening the store creates or changes tables.
    pub fn needs_migration(&self) -> bool {
        self.found.is_none_or(|found| found < self.newest)
    }
}
