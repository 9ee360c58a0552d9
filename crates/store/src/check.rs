//! Checking a whole store for damage while it is in use.

use crate::database_store::CheckPlace;

/// The largest number of [`StoreCheck::damage`].
// A disk that fails may damage every event; the rest is counted.
pub const MAX_LISTED_DAMAGE: usize = 64;

/// How far a check of a store has come, and what it has found. The default is its beginning.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct StoreCheck {
    /// Whether everything was read.
    pub is_done: bool,
    /// Number of rows that were read, those of indexes too.
    pub rows: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// What is damaged, at most [`MAX_LISTED_DAMAGE`].
    pub damage: Vec<Damage>,
    /// Number of all that is damaged.
    pub damaged: u64,
    /// Where the next step begins.
    pub(crate) place: CheckPlace,
}

/// A part of the store that is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The table or index.
    pub part: String,
    /// Which rows, and what is wrong.
    pub detail: String,
}

impl StoreCheck {
    /// Adds damage.
    pub(crate) fn found(&mut self, part: &str, detail: String) {
        self.damaged += 1;
        if self.damage.len() < MAX_LISTED_DAMAGE {
            self.damage.push(Damage {
                part: part.to_owned(),
                detail,
            });
        }
    }
}
