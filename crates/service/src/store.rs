//! The one file that must not lose anything: archive, rules' state, outbox, dead letters.
//!
//! SQLite in write-ahead mode with `synchronous=FULL`. One thread writes; whatever waits for it shares a transaction and
//! its sync, and is answered after the commit. Readers have connections of their own and never wait for the writer.

mod accept;
mod archive;
mod duplicates;
mod error;
mod outbox;
mod read;
mod schema;
mod state;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};
use reflexarc::Evaluation;
use rusqlite::Connection;
use tokio::sync::oneshot;

pub use self::error::StoreError;
pub(crate) use self::writer::{Shared, lock};
use crate::incoming::Incoming;
use reflexarc_delivery::Decision;
use reflexarc_delivery::{Delivery, DeliveryId};

pub use accept::Accepted;
pub use archive::{Archived, Retention, Selection, Verdict};
pub use outbox::{Attempt, Entry, Status, Tried};
pub(crate) use state::{Reads, StoredState};

/// Evaluates an event when its turn has come, reading state through the connection that writes.
pub(crate) type Turn = Box<dyn FnOnce(&Shared, &Incoming) -> Result<Evaluation, StoreError> + Send>;
/// Where the answer about events that were accepted together goes.
pub(crate) type Answer = oneshot::Sender<Result<Vec<Accepted>, StoreError>>;

/// How a store is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// For how long a second copy of an event is recognised.
    pub duplicates: SignedDuration,
    /// The file never grows beyond this; accepting then fails as on a full disk.
    pub max_bytes: Option<u64>,
    /// Whether an existing file is checked as a whole first, which reads all of it. What is not ours is refused anyway.
    pub check: bool,
}

/// Held by the one process that delivers out of a store; given up when it is dropped, or the process dies.
#[derive(Debug)]
pub struct Ownership {
    _lock: std::fs::File,
}

/// The open store. Share it in an `Arc`; dropping it finishes what was submitted.
pub struct Store {
    path: PathBuf,
    window: i64,
    writer: writer::Writer,
    readers: Mutex<Vec<Connection>>,
}

impl Store {
    /// Opens the file, or creates it. An existing file is checked first through a connection that cannot write.
    ///
    /// # Errors
    /// When it is damaged, not ours, too new, or cannot be written; it is left as it was.
    pub fn open(path: &Path, options: &StoreOptions) -> Result<Self, StoreError> {
        let connection = schema::open_writer(path, options)?;
        Ok(Self {
            path: path.to_owned(),
            window: i64::try_from(options.duplicates.as_micros()).unwrap_or(i64::MAX),
            writer: writer::Writer::start(connection)?,
            readers: Mutex::default(),
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes this process the one that delivers out of the store. Others may read it, cancel, redrive and drop meanwhile.
    ///
    /// # Errors
    /// When another process is that already.
    pub fn own(&self) -> Result<Ownership, StoreError> {
        let path = PathBuf::from(format!("{}.lock", self.path.display()));
        let failed = |what: String| StoreError::NotWritable {
            path: Some(path.clone()),
            what,
        };
        let lock = std::fs::File::create(&path).map_err(|error| failed(error.to_string()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Ownership { _lock: lock }),
            Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::Owned {
                path: self.path.clone(),
            }),
            Err(std::fs::TryLockError::Error(error)) => Err(failed(error.to_string())),
        }
    }

    /// Records an evaluated event and all that follows from it in one transaction, and waits for the commit. Accepting a
    /// copy does nothing.
    ///
    /// # Errors
    /// When nothing was stored.
    pub fn accept(
        &self,
        incoming: Incoming,
        evaluation: Evaluation,
        now: Timestamp,
    ) -> Result<Accepted, StoreError> {
        let window = self.window;
        wait(self.writer.submit(move |connection| {
            match accept::earlier(connection, &incoming, now, window)? {
                Some(seq) => Ok(Accepted::duplicate_of(seq)),
                None => accept::record(connection, &incoming, &evaluation, now),
            }
        }))
    }

    /// As [`Store::accept`] for events that are stored together or not at all, each evaluated in its turn, from the state
    /// as it is then; no duplicate is evaluated. `held` is dropped when all is done.
    pub(crate) fn accept_together(
        &self,
        events: Vec<(Incoming, Turn)>,
        now: Timestamp,
        held: impl Send + 'static,
        answer: Answer,
    ) {
        let window = self.window;
        let weight = events.len();
        self.writer.submit_to(answer, weight, move |connection| {
            let _held = held;
            let mut accepted = Vec::with_capacity(weight);
            for (incoming, evaluate) in events {
                let earlier = accept::earlier(&lock(connection), &incoming, now, window)?;
                if let Some(seq) = earlier {
                    accepted.push(Accepted::duplicate_of(seq));
                    continue;
                }
                let evaluation = evaluate(connection, &incoming)?;
                accepted.push(accept::record(
                    &lock(connection),
                    &incoming,
                    &evaluation,
                    now,
                )?);
            }
            Ok(accepted)
        });
    }

    /// Puts the actions of a replayed event into the outbox, under the replay's name.
    ///
    /// # Errors
    /// When nothing was stored.
    pub fn accept_replay(
        &self,
        archived: &Archived,
        incoming: Incoming,
        evaluation: Evaluation,
        replay: String,
        now: Timestamp,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        let seq = archived.seq;
        let job = move |connection: &Connection| {
            accept::enqueue(connection, seq, &incoming, &evaluation, Some(&replay), now)
                .map(|(deliveries, _)| deliveries)
        };
        wait(self.writer.submit(job))
    }

    /// Up to `limit` deliveries of `target` that are due; nobody else gets them before `now + lease`.
    ///
    /// # Errors
    /// When nothing was claimed.
    pub fn claim(
        &self,
        target: &str,
        now: Timestamp,
        lease: SignedDuration,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        wait(self.claim_soon(target, now, lease, limit))
    }

    /// As [`Store::claim`], for those who must not block.
    pub(crate) fn claim_soon(
        &self,
        target: &str,
        now: Timestamp,
        lease: SignedDuration,
        limit: usize,
    ) -> oneshot::Receiver<Result<Vec<Delivery>, StoreError>> {
        let target = target.to_owned();
        self.writer
            .submit(move |connection| outbox::claim(connection, &target, now, lease, limit))
    }

    /// Remembers an attempt and does what was decided.
    ///
    /// # Errors
    /// When nothing was stored; the delivery is then due again at the end of its claim.
    pub fn settle(
        &self,
        delivery: Delivery,
        tried: Tried,
        decision: Decision,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        wait(self.settle_soon(delivery, tried, decision, now))
    }

    /// As [`Store::settle`], for those who must not block.
    pub(crate) fn settle_soon(
        &self,
        delivery: Delivery,
        tried: Tried,
        decision: Decision,
        now: Timestamp,
    ) -> oneshot::Receiver<Result<(), StoreError>> {
        self.writer
            .submit(move |connection| outbox::settle(connection, &delivery, &tried, &decision, now))
    }

    /// Makes the claims of an earlier process void. Only for the one process that delivers.
    ///
    /// # Errors
    /// When the store fails.
    pub fn release_claims(&self, now: Timestamp) -> Result<usize, StoreError> {
        wait(
            self.writer
                .submit(move |connection| outbox::release(connection, None, now)),
        )
    }

    /// As [`Store::release_claims`] for one target, whose queue has ended.
    pub(crate) fn release_claims_of(
        &self,
        target: &str,
        now: Timestamp,
    ) -> oneshot::Receiver<Result<usize, StoreError>> {
        let target = target.to_owned();
        self.writer
            .submit(move |connection| outbox::release(connection, Some(&target), now))
    }

    /// Makes the claim of one delivery void, if it is claimed and still pending.
    pub(crate) fn release_claim_soon(&self, id: DeliveryId, now: Timestamp) {
        drop(
            self.writer
                .submit(move |connection| outbox::release_one(connection, id, now)),
        );
    }

    /// Sends what waits for a target that does not exist to the dead letters.
    ///
    /// # Errors
    /// When the store fails.
    pub fn bury(&self, target: &str, reason: String, now: Timestamp) -> Result<usize, StoreError> {
        let target = target.to_owned();
        wait(
            self.writer
                .submit(move |connection| outbox::bury(connection, &target, &reason, now)),
        )
    }

    /// As [`Store::bury`], for those who must not block and need no answer.
    pub(crate) fn bury_soon(&self, target: &str, reason: String, now: Timestamp) {
        let target = target.to_owned();
        drop(
            self.writer
                .submit(move |connection| outbox::bury(connection, &target, &reason, now)),
        );
    }

    /// Takes a pending delivery out of the outbox; whether it was pending.
    ///
    /// # Errors
    /// When the store fails.
    pub fn cancel(&self, id: DeliveryId, now: Timestamp) -> Result<bool, StoreError> {
        self.transfer(
            id,
            Status::Pending,
            Status::Cancelled,
            Some("cancelled by an operator"),
            now,
        )
    }

    /// Puts a dead letter back into the outbox with a fresh series of attempts; whether it was one.
    ///
    /// # Errors
    /// When the store fails.
    pub fn redrive(&self, id: DeliveryId, now: Timestamp) -> Result<bool, StoreError> {
        self.transfer(id, Status::Dead, Status::Pending, None, now)
    }

    /// Ends a dead letter for good; whether it was one.
    ///
    /// # Errors
    /// When the store fails.
    pub fn drop_dead(&self, id: DeliveryId, now: Timestamp) -> Result<bool, StoreError> {
        self.transfer(
            id,
            Status::Dead,
            Status::Dropped,
            Some("dropped by an operator"),
            now,
        )
    }

    /// Removes what is older than the retention allows, in steps that let others write in between; how many events went.
    ///
    /// # Errors
    /// When the store fails.
    pub fn prune(&self, keep: &Retention, now: Timestamp) -> Result<u64, StoreError> {
        const STEP: usize = 500;
        let window = self.window;
        wait(
            self.writer
                .submit(move |connection| archive::forget(connection, now, window)),
        )?;
        let before = now.saturating_sub(keep.age).unwrap_or(Timestamp::MIN);
        let mut gone = 0;
        loop {
            let step = wait(
                self.writer
                    .submit(move |connection| archive::prune(connection, before, STEP)),
            )?;
            gone += step as u64;
            if step < STEP {
                break;
            }
        }
        while let Some(bytes) = keep.bytes
            && self.used_bytes()? > bytes
        {
            let step = wait(
                self.writer
                    .submit(move |connection| archive::prune(connection, Timestamp::MAX, STEP)),
            )?;
            if step == 0 {
                break;
            }
            gone += step as u64;
        }
        Ok(gone)
    }

    fn transfer(
        &self,
        id: DeliveryId,
        from: Status,
        to: Status,
        reason: Option<&'static str>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        wait(
            self.writer
                .submit(move |connection| outbox::transfer(connection, id, from, to, reason, now)),
        )
    }
}

/// Blocks until the writer answers. Not for the inside of an async function.
fn wait<T>(answer: oneshot::Receiver<Result<T, StoreError>>) -> Result<T, StoreError> {
    answer.blocking_recv().unwrap_or(Err(StoreError::Closed))
}

/// An instant as the store keeps it: whole microseconds since 1970.
fn micros(instant: Timestamp) -> i64 {
    instant.as_microsecond()
}

/// The inverse of [`micros`]; what no calendar knows becomes its nearest end.
fn instant(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(if micros < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

/// zstd with a checksum, so that damage inside a page is found.
fn pack(bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
    thread_local! {
        static COMPRESSOR: std::cell::RefCell<Option<zstd::bulk::Compressor<'static>>> = const { std::cell::RefCell::new(None) };
    }
    let failed = |error: std::io::Error| StoreError::Failed(format!("cannot compress: {error}"));
    COMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            let mut compressor = zstd::bulk::Compressor::new(3).map_err(failed)?;
            compressor.include_checksum(true).map_err(failed)?;
            *slot = Some(compressor);
        }
        match slot {
            Some(compressor) => compressor.compress(bytes).map_err(failed),
            None => Err(StoreError::Failed("no compressor".into())),
        }
    })
}

/// The inverse of [`pack`], for what was at most `limit` bytes.
fn unpack(packed: &[u8], limit: usize) -> Result<Vec<u8>, String> {
    use std::io::Read;
    let decoder =
        zstd::stream::read::Decoder::with_buffer(packed).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    decoder
        .take(limit as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() > limit {
        Err(format!("more than {limit} bytes"))
    } else {
        Ok(bytes)
    }
}
