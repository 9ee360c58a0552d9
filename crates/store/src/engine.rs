//! What a store needs of a database besides connections and statements.

use std::sync::Arc;

use crate::database::Connection;
use crate::nodes::Cluster;
use crate::tree::Tree;
use crate::{StoreError, StoreLock};

/// A database in which a store is.
pub trait Engine: Send + Sync + Sized + 'static {
    /// Whether other processes may store entries between two transactions.
    const IS_SHARED: bool;

    /// The condition on `delivery` of a claim of a node that is gone.
    const LOST_CLAIMS: &str;

    /// How many connections may read at one time, besides those of state readers.
    const MAX_READERS: usize;

    /// Opens a connection that only reads.
    fn open_reader(&self) -> Result<Connection, StoreError>;

    /// Begins a transaction in which no other one of the store writes.
    ///
    /// A connection that was lost is replaced.
    fn begin(&self, connection: &mut Connection) -> Result<(), StoreError>;

    /// Commits the transaction. If that fails, nothing of it is stored.
    fn commit(&self, connection: &mut Connection) -> Result<(), StoreError>;

    /// Whether the database has undone the open transaction itself, so that no savepoint is left.
    fn is_undone(&self, connection: &Connection) -> bool;

    /// Runs before the connection that writes is closed.
    fn close(&self, connection: &Connection);

    /// Adds to an error of the database where that is.
    fn locate(&self, error: StoreError) -> StoreError;

    /// Makes this process the one that delivers, for as long as the lock is held.
    fn lock(self: &Arc<Self>) -> Result<StoreLock, StoreError>;

    /// What it does for nodes, if several share it.
    fn cluster(&self) -> Option<&dyn Cluster>;

    /// Gives up space that is kept for removing something when there is no other. False if there
    /// is none.
    fn give_up_reserve(&self) -> bool;

    /// Keeps space for that again, if there is enough.
    fn keep_reserve(&self);

    /// Writes something, to find out whether that is possible.
    fn probe(&self, connection: &Connection) -> Result<(), StoreError>;

    /// Bytes in use, without those that were freed and not given back.
    fn used_bytes(&self, connection: &Connection) -> Result<u64, StoreError>;

    /// Bytes of the log of commits that are not in the tables yet.
    fn log_bytes(&self) -> Result<u64, StoreError>;

    /// The tables and indexes that a check reads.
    fn trees(&self, connection: &Connection) -> Result<Vec<Tree>, StoreError>;

    /// Checks what of the database a walk over the archive does not read.
    fn check_structure(&self) -> Result<(), StoreError>;
}
