//! The store: archive, rule state, outbox and dead letters in one SQLite file.
//!
//! SQLite runs in write-ahead mode (WAL) with `synchronous=FULL`. One thread writes; the jobs that
//! are waiting for it share a transaction and its sync (group commit), and each gets its reply
//! after the commit. Readers have connections of their own and never wait for the writer: in WAL
//! mode a reader sees the file as of the last commit before it began.
//!
//! SQLite allows one write transaction at a time anyway, so more writing threads would only wait
//! for each other.

mod accept;
mod archive;
mod compression;
mod dead_letters;
mod duplicates;
mod error;
mod evaluation_json;
mod outbox;
mod read;
mod records;
mod retention;
mod schema;
mod state;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};
use reflexarc::Evaluation;
use reflexarc_delivery::{Decision, Delivery, DeliveryId};
use rusqlite::Connection;
use tokio::sync::oneshot;

pub use self::accept::Accepted;
pub use self::archive::{Archived, Selection, VerifyReport};
pub use self::dead_letters::{DeadLetter, DeadLetterObserver, DeadLetterReport, MAX_LISTED};
pub use self::error::StoreError;
pub use self::evaluation_json::evaluation_to_json;
pub use self::records::{Attempt, AttemptOutcome, DeliveryRecord, DeliveryStatus};
pub use self::retention::Retention;
pub(crate) use self::state::{ReadSet, StoredState};
pub(crate) use self::writer::{SharedConnection, lock};
use crate::incoming::Incoming;

/// Evaluates an event inside the writer's transaction, reading state through its connection.
pub(crate) type EvaluateInTransaction =
    Box<dyn FnOnce(&SharedConnection, &Incoming) -> Result<Evaluation, StoreError> + Send>;
/// Receives the outcome of a batch after its commit.
pub(crate) type BatchReply = oneshot::Sender<Result<Vec<Accepted>, StoreError>>;

/// How a store is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// The duplicate window: how long after an event a copy of it is recognised.
    pub duplicate_window: SignedDuration,
    /// Largest size of the file in bytes. Accepting an event beyond it fails as on a full disk.
    pub max_bytes: Option<u64>,
    /// Whether an existing file is checked for damage as a whole, which reads all of it. A file of
    /// another program or of a newer version is always refused.
    pub integrity_check: bool,
}

/// The exclusive lock of the one process that delivers from a store. It is released when this is
/// dropped or the process dies.
#[derive(Debug)]
pub struct StoreLock {
    _file: std::fs::File,
}

/// An open store. Share it in an `Arc`; dropping it finishes what was submitted.
pub struct Store {
    path: PathBuf,
    /// The duplicate window in microseconds.
    duplicate_window: i64,
    writer: writer::Writer,
    dead_letters: dead_letters::Observed,
    /// Read-only connections that are not in use.
    // Grows to the largest number of readers at one time and stays there. Opening one costs a few
    // file operations and compiling its statements again, more than most queries.
    readers: Mutex<Vec<Connection>>,
}

impl Store {
    /// Opens the file or creates it. An existing file is checked first, through a connection that
    /// cannot write.
    ///
    /// # Errors
    /// If it is damaged, of another program, of a newer version, or not writable; it is left as it
    /// was.
    pub fn open(path: &Path, options: &StoreOptions) -> Result<Self, StoreError> {
        let connection = schema::open_writer(path, options)?;
        // An absurdly long window from the configuration becomes the longest there is.
        let window = options.duplicate_window.as_micros();
        Ok(Self {
            path: path.to_owned(),
            duplicate_window: i64::try_from(window).unwrap_or(i64::MAX),
            writer: writer::Writer::start(connection)?,
            dead_letters: dead_letters::Observed::default(),
            readers: Mutex::default(),
        })
    }

    /// Checks whether [`Store::open`] can open or create a store at this path, without changing
    /// anything and without reading an existing store as a whole.
    ///
    /// ```
    /// use reflexarc_service::Store;
    ///
    /// let folder = tempfile::tempdir()?;
    /// assert!(Store::check_location(&folder.path().join("reflexarc.db")).is_ok());
    /// assert!(Store::check_location(&folder.path().join("missing/reflexarc.db")).is_err());
    /// assert!(Store::check_location(folder.path()).is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn check_location(path: &Path) -> Result<(), StoreError> {
        schema::check_location(path)
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Calls `observer` with every delivery that becomes a dead letter from now on, after the
    /// commit and in place of an earlier observer.
    pub fn observe_dead_letters(&self, observer: DeadLetterObserver) {
        self.dead_letters.set(observer);
    }

    /// Makes this process the one that delivers from the store. Other processes may still read it
    /// and cancel, redrive and drop deliveries.
    ///
    /// # Errors
    /// If another process holds the lock.
    pub fn lock_exclusive(&self) -> Result<StoreLock, StoreError> {
        // A file beside the store and not the store itself: SQLite takes its own locks on that, and
        // closing any descriptor of a file releases all POSIX locks that the process has on it.
        let path = PathBuf::from(format!("{}.lock", self.path.display()));
        let failed = |reason: String| StoreError::NotWritable {
            path: Some(path.clone()),
            reason,
        };
        let file = std::fs::File::create(&path).map_err(|error| failed(error.to_string()))?;
        // The kernel releases the lock when the process ends in whatever way, so there is never a
        // stale lock to be removed by hand, as there would be with a pid file.
        match file.try_lock() {
            Ok(()) => Ok(StoreLock { _file: file }),
            Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::InUse {
                path: self.path.clone(),
            }),
            Err(std::fs::TryLockError::Error(error)) => Err(failed(error.to_string())),
        }
    }

    /// Stores an evaluated event with its state changes and deliveries in one transaction, and
    /// waits for the commit. Accepting a duplicate does nothing.
    ///
    /// # Errors
    /// If nothing was stored.
    pub fn accept(
        &self,
        incoming: Incoming,
        evaluation: Evaluation,
        now: Timestamp,
    ) -> Result<Accepted, StoreError> {
        let window = self.duplicate_window;
        wait(self.writer.submit(move |connection| {
            match accept::find_duplicate(connection, &incoming, now, window)? {
                Some(seq) => Ok(Accepted::duplicate_of(seq)),
                None => accept::insert(connection, &incoming, &evaluation, now),
            }
        }))
    }

    /// As [`Store::accept`] for a batch that is stored as a whole or not at all. Each event is
    /// evaluated inside the transaction, after the events before it; duplicates are not evaluated.
    /// `permit` is dropped when the transaction has ended.
    pub(crate) fn accept_together(
        &self,
        events: Vec<(Incoming, EvaluateInTransaction)>,
        now: Timestamp,
        permit: impl Send + 'static,
        reply: BatchReply,
    ) {
        let window = self.duplicate_window;
        // A batch weighs as much as its events, so that the writer does not add 2,000 batches of
        // 10,000 events to one transaction.
        let weight = events.len();
        let job = move |connection: &SharedConnection| {
            // Moved into the job: the queue space is free again only when the events are committed,
            // or when the writer is gone and drops the job. Freeing it earlier would unbound what
            // waits in the writer's channel.
            let _permit = permit;
            let mut accepted = Vec::with_capacity(weight);
            for (incoming, evaluate) in events {
                // The connection is locked anew for each step, because `evaluate` locks it too.
                let duplicate = accept::find_duplicate(&lock(connection), &incoming, now, window)?;
                if let Some(seq) = duplicate {
                    accepted.push(Accepted::duplicate_of(seq));
                    continue;
                }
                let evaluation = evaluate(connection, &incoming)?;
                let inserted = accept::insert(&lock(connection), &incoming, &evaluation, now)?;
                accepted.push(inserted);
            }
            Ok(accepted)
        };
        self.writer.submit_to(reply, weight, job, |_| {});
    }

    /// Puts the actions of a replayed event into the outbox, under the replay's name.
    ///
    /// # Errors
    /// If nothing was stored.
    pub fn accept_replay(
        &self,
        archived: &Archived,
        incoming: Incoming,
        evaluation: Evaluation,
        replay: String,
        now: Timestamp,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        let seq = archived.seq;
        wait(self.writer.submit(move |connection| {
            let replay = Some(replay.as_str());
            accept::enqueue(connection, seq, &incoming, &evaluation, replay, now)
                .map(|(deliveries, _)| deliveries)
        }))
    }

    /// Claims up to `limit` deliveries of `target` that are due: they are not claimed again before
    /// `now + lease`.
    ///
    /// # Errors
    /// If nothing was claimed.
    pub fn claim(
        &self,
        target: &str,
        now: Timestamp,
        lease: SignedDuration,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        wait(self.submit_claim(target, now, lease, limit)).map(|claimed| claimed.deliveries)
    }

    /// As [`Store::claim`] for async code.
    pub(crate) fn submit_claim(
        &self,
        target: &str,
        now: Timestamp,
        lease: SignedDuration,
        limit: usize,
    ) -> oneshot::Receiver<Result<outbox::Claimed, StoreError>> {
        let (target, observed) = (target.to_owned(), self.dead_letters.clone());
        self.writer.submit_observed(
            move |connection| outbox::claim(connection, &target, now, lease, limit),
            move |claimed| observed.report(&claimed.unreadable),
        )
    }

    /// Records an attempt and applies the decision.
    ///
    /// # Errors
    /// If nothing was stored; the delivery is due again when its claim expires.
    pub fn settle(
        &self,
        delivery: Delivery,
        attempt: AttemptOutcome,
        decision: Decision,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        wait(self.submit_settle(delivery, attempt, decision, now)).map(drop)
    }

    /// As [`Store::settle`] for async code.
    pub(crate) fn submit_settle(
        &self,
        delivery: Delivery,
        attempt: AttemptOutcome,
        decision: Decision,
        now: Timestamp,
    ) -> oneshot::Receiver<Result<Option<DeadLetterReport>, StoreError>> {
        let observed = self.dead_letters.clone();
        self.writer.submit_observed(
            move |connection| outbox::settle(connection, &delivery, &attempt, &decision, now),
            move |report| observed.report(report),
        )
    }

    /// Releases the claims of an earlier process. Only for the process that holds the
    /// [`StoreLock`]. Returns how many there were.
    ///
    /// # Errors
    /// If the store fails.
    pub fn release_claims(&self, now: Timestamp) -> Result<usize, StoreError> {
        wait(
            self.writer
                .submit(move |connection| outbox::release(connection, None, now)),
        )
    }

    /// As [`Store::release_claims`] for one target, whose queue has ended.
    pub(crate) fn submit_release_claims(
        &self,
        target: &str,
        now: Timestamp,
    ) -> oneshot::Receiver<Result<usize, StoreError>> {
        let target = target.to_owned();
        self.writer
            .submit(move |connection| outbox::release(connection, Some(&target), now))
    }

    /// Releases the claim of one delivery if it is claimed and pending. Does not wait.
    pub(crate) fn submit_release_claim(&self, id: DeliveryId, now: Timestamp) {
        drop(
            self.writer
                .submit(move |connection| outbox::release_one(connection, id, now)),
        );
    }

    /// Moves the pending deliveries of a target that does not exist to the dead letters. Returns
    /// how many there were.
    ///
    /// # Errors
    /// If the store fails.
    pub fn dead_letter_target(
        &self,
        target: &str,
        reason: String,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let report = wait(self.submit_dead_letter_target(target, reason, now))?;
        Ok(report.map_or(0, |report| report.count))
    }

    /// As [`Store::dead_letter_target`] for async code.
    pub(crate) fn submit_dead_letter_target(
        &self,
        target: &str,
        reason: String,
        now: Timestamp,
    ) -> oneshot::Receiver<Result<Option<DeadLetterReport>, StoreError>> {
        let (target, observed) = (target.to_owned(), self.dead_letters.clone());
        self.writer.submit_observed(
            move |connection| outbox::dead_letter_target(connection, &target, &reason, now),
            move |report| observed.report(report),
        )
    }

    /// Cancels a pending delivery. Returns whether it was pending.
    ///
    /// # Errors
    /// If the store fails.
    pub fn cancel(&self, id: DeliveryId, now: Timestamp) -> Result<bool, StoreError> {
        // A delivery that is being sent is pending too and can be cancelled: it is then not
        // retried, but the attempt that runs is not interrupted (see `outbox::settle`).
        let reason = Some("cancelled by an operator");
        let (from, to) = (DeliveryStatus::Pending, DeliveryStatus::Cancelled);
        self.transfer(id, from, to, reason, now)
    }

    /// Puts a dead letter back into the outbox with a new series of attempts. Returns whether it
    /// was a dead letter.
    ///
    /// # Errors
    /// If the store fails.
    pub fn redrive(&self, id: DeliveryId, now: Timestamp) -> Result<bool, StoreError> {
        let (from, to) = (DeliveryStatus::Dead, DeliveryStatus::Pending);
        self.transfer(id, from, to, None, now)
    }

    /// Drops a dead letter. Returns whether it was one.
    ///
    /// # Errors
    /// If the store fails.
    pub fn drop_dead_letter(&self, id: DeliveryId, now: Timestamp) -> Result<bool, StoreError> {
        let reason = Some("dropped by an operator");
        let (from, to) = (DeliveryStatus::Dead, DeliveryStatus::Dropped);
        self.transfer(id, from, to, reason, now)
    }

    fn transfer(
        &self,
        id: DeliveryId,
        from: DeliveryStatus,
        to: DeliveryStatus,
        reason: Option<&'static str>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        wait(
            self.writer
                .submit(move |connection| outbox::transfer(connection, id, from, to, reason, now)),
        )
    }
}

/// Blocks until the writer replies. Must not be called from async code.
fn wait<T>(reply: oneshot::Receiver<Result<T, StoreError>>) -> Result<T, StoreError> {
    reply.blocking_recv().unwrap_or(Err(StoreError::Closed))
}

/// An instant as it is stored: whole microseconds since 1970.
fn micros(instant: Timestamp) -> i64 {
    instant.as_microsecond()
}

/// The inverse of [`micros`]; a value outside the calendar becomes its nearest end.
fn instant(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(if micros < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}
