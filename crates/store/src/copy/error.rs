//! Why a store was not copied.

use crate::StoreError;

/// Why a store was not copied. The source is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// There is something in the target already.
    #[error(
        "{target} is not empty: its table `{table}` has rows; copy to a new file, or to a schema \
         without tables"
    )]
    NotEmpty {
        /// The target.
        target: String,
        /// The table.
        table: String,
    },
    /// A copy of another source was begun in the target, or the source has changed since.
    #[error(
        "{target} has the beginning of a copy of another store, or {source_name} was used since \
         then; remove what is there and copy again"
    )]
    OtherSource {
        /// The target.
        target: String,
        /// The source.
        source_name: String,
    },
    /// Source and target are the same store.
    #[error("{store} cannot be copied to itself")]
    SameStore {
        /// The store.
        store: String,
    },
    /// The stores do not have the same tables, so that something would be left out.
    #[error("the stores have other tables than this program creates: {difference}")]
    Schema {
        /// What is different.
        difference: String,
    },
    /// A row that is damaged.
    #[error(
        "cannot copy the row {row} of the table `{table}`: {reason}; repair or remove that row, or \
         use a backup, then copy again: rows before it are not copied twice"
    )]
    Damaged {
        /// The table.
        table: String,
        /// The key of the row.
        row: String,
        /// What is wrong.
        reason: String,
    },
    /// Rows that the target does not take.
    #[error("cannot copy rows of the table `{table}` from {first} on: {reason}")]
    Batch {
        /// The table.
        table: String,
        /// The key of the first of them.
        first: String,
        /// The error of the target.
        reason: StoreError,
    },
    /// The copy is not equal to the source.
    #[error(
        "the copy differs from {source_name} in the table `{table}`: {row}; the source was used \
         meanwhile, or a disk fails: remove the copy and copy again"
    )]
    Differs {
        /// The table.
        table: String,
        /// The key of the first row that differs.
        row: String,
        /// The source.
        source_name: String,
    },
    /// Something uses the source or the target.
    #[error("the store {store} is in use by {users}; stop what uses it, then copy")]
    InUse {
        /// The store.
        store: String,
        /// What uses it.
        users: String,
    },
    /// There is no source.
    #[error("there is no store at {store}")]
    Missing {
        /// Where it should be.
        store: String,
    },
    /// The connection to a database was lost.
    #[error("the database does not answer: {reason}; copy again: what was copied before is kept")]
    Lost {
        /// What happened.
        reason: String,
    },
    /// Another error of one of the stores.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for CopyError {
    fn from(error: StoreError) -> Self {
        match error {
            // A service tries again; a copy does not.
            StoreError::Unavailable { reason } => Self::Lost { reason },
            other => Self::Store(other),
        }
    }
}

impl From<crate::database::Error> for CopyError {
    fn from(error: crate::database::Error) -> Self {
        StoreError::from(error).into()
    }
}
