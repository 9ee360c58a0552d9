//! A store in a database.
//!
//! One thread writes; the jobs that are waiting for it share a transaction and its sync (group
//! commit), and each gets its reply after the commit. Readers have connections of their own and
//! never wait for the writer.

mod accept;
mod answers;
mod archive;
mod archived_event;
mod attempts;
pub(crate) mod audit;
mod bulk;
pub(crate) mod calls;
pub(crate) mod changes;
mod check;
mod claim;
pub(crate) mod compression;
mod copies;
mod damage;
mod deadlines;
mod delays;
mod digests;
mod due_list;
mod entries;
mod entry_clock;
mod filtered;
mod incident_messages;
pub(crate) mod incidents;
mod key;
mod listing;
mod match_list;
pub(crate) mod matches;
mod operations;
pub(crate) mod order;
mod outbox;
mod pages;
#[cfg(test)]
mod plans;
mod program_state;
mod readers;
mod records;
mod references;
mod removal;
mod resume;
mod retention;
mod senders;
pub(crate) mod silences;
pub(crate) mod state;
#[cfg(test)]
pub(crate) mod statements;
mod targets;
mod timeline;
mod withdrawn;
mod withheld;
mod write_clock;
mod writer;

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, RwLock};

use jiff::Timestamp;

pub(crate) use self::check::CheckPlace;
use self::entry_clock::EntryClock;
use self::readers::Readers;
use self::withdrawn::WithdrawnCalls;
use self::write_clock::WriteClock;
use crate::database::Connection;
use crate::dead_letters::Observed;
use crate::engine::Engine;
use crate::{Pruned, StoreError, StoreOptions, Withholding};

/// A store in a database. Dropping it finishes what was submitted.
pub struct DatabaseStore<E: Engine> {
    /// The duplicate window in microseconds.
    duplicate_window: i64,
    writer: writer::Writer<E>,
    clock: WriteClock,
    entry_clock: EntryClock,
    /// Events accepted since the last step of retention.
    accepted: Arc<AtomicUsize>,
    /// What retention has removed and not reported yet.
    pruned: Mutex<Pruned>,
    dead_letters: Observed,
    withdrawn_calls: WithdrawnCalls,
    timeline: timeline::SharedTimeline,
    /// What decides which deliveries are withheld, once there is something.
    withholding: Arc<RwLock<Option<Arc<dyn Withholding>>>>,
    readers: Readers,
    // The last field: it must outlive the connections.
    engine: Arc<E>,
}

impl<E: Engine> DatabaseStore<E> {
    /// The store in a database to which this connection writes.
    pub(crate) fn with_engine(
        engine: E,
        connection: Connection,
        options: &StoreOptions,
    ) -> Result<Self, StoreError> {
        let engine = Arc::new(engine);
        // An absurdly long window from the configuration becomes the longest there is.
        let window = options.duplicate_window.as_micros();
        let entry_clock = EntryClock::new();
        let undone = entry_clock.clone();
        let withdrawn_calls = WithdrawnCalls::default();
        let committed = withdrawn_calls.clone();
        Ok(Self {
            duplicate_window: i64::try_from(window).unwrap_or(i64::MAX),
            writer: writer::Writer::start(
                connection,
                engine.clone(),
                move || undone.forget(),
                move || committed.committed(),
            )?,
            clock: WriteClock::new(),
            entry_clock,
            accepted: Arc::default(),
            pruned: Mutex::default(),
            dead_letters: Observed::default(),
            withdrawn_calls,
            timeline: timeline::SharedTimeline::default(),
            withholding: Arc::default(),
            readers: Readers::default(),
            engine,
        })
    }

    pub(crate) fn engine(&self) -> &E {
        &self.engine
    }

    /// Runs what removes something. If the disk is full, it gives up the reserve and tries again:
    /// otherwise nothing could be removed from a full disk, because that is written to the log
    /// first.
    fn free_space<T>(&self, remove: impl Fn() -> Result<T, StoreError>) -> Result<T, StoreError> {
        match remove() {
            Err(StoreError::Full) if self.engine.give_up_reserve() => remove(),
            result => result,
        }
    }

    /// Runs a query on a pooled connection.
    fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.readers.read(&*self.engine, query)
    }
}

/// An instant as it is stored: whole microseconds since 1970.
fn micros(instant: Timestamp) -> i64 {
    instant.as_microsecond()
}

/// The inverse of [`micros`]; a value outside the calendar becomes its nearest end.
pub(crate) fn instant(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(if micros < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}
