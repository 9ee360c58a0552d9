//! Intake: from admitted events to committed ones, by optimistic concurrency control.
//!
//! The state of rules must end as if events were evaluated one after another, but scripts take far
//! longer than reading or writing a state entry. Holding a lock on the state while a script runs
//! would let one event in at a time; so events are evaluated in parallel and checked before commit:
//!
//! 1. **Admit.** A request reserves bytes as they are read and events before they are queued
//!    ([`AdmissionPermit`]); beyond the limits it is refused with 429.
//! 2. **Speculate.** An evaluation worker (`worker.rs`) evaluates the event against the state as
//!    last committed, on its own thread and connection, and records every state entry that was
//!    read.
//! 3. **Sequence.** The commit sequencer (`sequencer.rs`) holds a batch back until all its events
//!    are evaluated and no earlier batch of the same workers is left, then hands it to the store's
//!    writer.
//! 4. **Validate or re-run.** In the writer's transaction the recorded reads are repeated. If all
//!    of them give what they gave before, the speculative evaluation is what an evaluation at this
//!    point would be, and is committed. If not, it is stale, and the scripts run again here.
//!
//! # Why a stale evaluation runs again on the writer thread
//!
//! Only the writer changes state, so an evaluation on the writer thread cannot become stale: every
//! event is evaluated at most twice. Handing it back to its worker would open the same race again:
//! with a counter that every event increments, each round would find the counter changed once
//! more, without an upper bound, while the sequencer kept every later batch waiting. The price is
//! that a re-run delays all other commits, by at most the script deadlines of the rules that
//! matched. Matching is not repeated: it depends on the event and the rules, not on state.
//!
//! # Order
//!
//! All events of one resource go to one worker, in the order in which their requests were queued,
//! and batches that share a worker are committed in that order. Events of different resources may
//! be evaluated in any order, which validation makes invisible.

mod budget;
mod failures;
mod sequencer;
mod worker;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use reflexarc::RuleSet;
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) use self::budget::BudgetAccounts;
use self::failures::FailureTracker;
use self::sequencer::CommitSequencer;
use self::worker::{EvaluationWorker, WorkItem};
use crate::limits::Limits;
use crate::live_config::LiveConfig;
use crate::store::{
    Accepted, EvaluateInTransaction, Incoming, Reply, ReplySender, Store, StoreError,
};
use crate::telemetry::{Problems, Telemetry};

/// Admits events, evaluates them on its workers and has the store commit them.
///
/// The events of one batch are committed together, in their order, or none of them is.
pub(crate) struct Intake {
    workers: Vec<mpsc::Sender<WorkItem>>,
    threads: Vec<JoinHandle<()>>,
    sequencer: Arc<SharedSequencer>,
    events: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    /// The part of `bytes` that large requests may use.
    large_bytes: Arc<Semaphore>,
    rules: Arc<ArcSwap<RuleSet>>,
    failures: Arc<FailureTracker>,
    budgets: Arc<BudgetAccounts>,
}

/// As many events or bytes are waiting to be stored as the limits allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many events are waiting to be stored; try again later")]
pub(crate) struct Overloaded;

/// A request's share of the queue, given back when its events are committed.
#[derive(Debug)]
pub(crate) struct AdmissionPermit {
    events: OwnedSemaphorePermit,
    bytes: OwnedSemaphorePermit,
    /// Of `bytes`, what is beyond [`SMALL_REQUEST`].
    large_bytes: OwnedSemaphorePermit,
}

/// Bytes of a request that do not count as those of a large one: about 100 events.
const SMALL_REQUEST: usize = 64 << 10;

/// An event and what evaluates it when its batch is committed.
type SequencedEvent = (Incoming, EvaluateInTransaction);

/// The sequencer, shared between the workers and [`Intake::submit`].
struct SharedSequencer {
    sequencer: Mutex<CommitSequencer<SequencedEvent, BatchContext>>,
}

/// What a batch carries besides its events.
struct BatchContext {
    now: Timestamp,
    permit: AdmissionPermit,
    reply: ReplySender<Vec<Accepted>>,
}

impl Intake {
    /// Starts `workers` evaluation workers, at least one.
    ///
    /// # Errors
    /// If the store cannot be read or a thread cannot be started.
    pub(crate) fn start(
        store: &Arc<dyn Store>,
        live: &LiveConfig,
        workers: usize,
        limits: &Limits,
        telemetry: &Telemetry,
        problems: Arc<Problems>,
    ) -> Result<Self, StoreError> {
        // `available_parallelism` is at least 1, but callers may pass anything.
        let workers = workers.max(1);
        let mut intake = Self {
            workers: Vec::new(),
            threads: Vec::new(),
            sequencer: Arc::new(SharedSequencer {
                sequencer: Mutex::new(CommitSequencer::new(workers)),
            }),
            // Both are bounded: many small events cost more in bookkeeping than their bytes say,
            // few large ones more in bytes than their number says.
            events: Arc::new(Semaphore::new(limits.queue_events)),
            bytes: Arc::new(Semaphore::new(limits.queue_bytes)),
            large_bytes: Arc::new(Semaphore::new(large_bytes(limits))),
            rules: live.rules.clone(),
            failures: Arc::new(FailureTracker::new(problems)),
            budgets: Arc::new(BudgetAccounts::new(live.budgets.clone())),
        };
        for index in 0..workers {
            let (sender, items) = mpsc::channel();
            let worker = EvaluationWorker {
                store: store.clone(),
                rules: intake.rules.clone(),
                state: store.state_reader()?,
                sequencer: intake.sequencer.clone(),
                failures: intake.failures.clone(),
                budgets: intake.budgets.clone(),
                telemetry: telemetry.clone(),
            };
            let thread = std::thread::Builder::new()
                .name(format!("evaluate {index}"))
                .spawn(move || worker.run(&items))
                .map_err(|error| {
                    StoreError::Failed(format!("cannot start an evaluation worker: {error}"))
                })?;
            intake.threads.push(thread);
            intake.workers.push(sender);
        }
        Ok(intake)
    }

    /// The live rules. Storing another rule set here applies it to every event that is evaluated
    /// from then on.
    pub(crate) fn rules(&self) -> &Arc<ArcSwap<RuleSet>> {
        &self.rules
    }

    /// What the rules have used of their budgets.
    pub(crate) fn budgets(&self) -> &BudgetAccounts {
        &self.budgets
    }

    /// The rules that keep failing.
    pub(crate) fn failures(&self) -> &FailureTracker {
        &self.failures
    }

    /// A permit of a request that has reserved nothing yet. Fails if `announced` bytes would not be
    /// free now: better than to have them sent in vain.
    //
    // They are not reserved: the client may announce 8 MiB and send nothing.
    pub(crate) fn admit(&self, announced: usize) -> Result<AdmissionPermit, Overloaded> {
        let large = announced.saturating_sub(SMALL_REQUEST);
        if self.bytes.available_permits() < announced
            || self.large_bytes.available_permits() < large
        {
            return Err(Overloaded);
        }
        Ok(AdmissionPermit {
            bytes: reserve(&self.bytes, 0)?,
            large_bytes: reserve(&self.large_bytes, 0)?,
            // How many events there are is known only when the body has been read.
            events: reserve(&self.events, 0)?,
        })
    }

    /// Adds bytes that were read to the permit.
    pub(crate) fn reserve_bytes(
        &self,
        permit: &mut AdmissionPermit,
        bytes: usize,
    ) -> Result<(), Overloaded> {
        let before = permit.bytes.num_permits();
        let large = (before + bytes).saturating_sub(SMALL_REQUEST.max(before));
        permit.large_bytes.merge(reserve(&self.large_bytes, large)?);
        permit.bytes.merge(reserve(&self.bytes, bytes)?);
        Ok(())
    }

    /// Adds the events that were found in the body to the permit.
    pub(crate) fn reserve_events(
        &self,
        permit: &mut AdmissionPermit,
        events: usize,
    ) -> Result<(), Overloaded> {
        permit.events.merge(reserve(&self.events, events)?);
        Ok(())
    }

    /// Queues a batch; its place in the order of commits is fixed when this returns. The reply
    /// comes after the commit of all its events, or when none was stored. `permit` must hold
    /// reservations for them.
    pub(crate) fn submit(
        &self,
        events: Vec<Incoming>,
        now: Timestamp,
        permit: AdmissionPermit,
    ) -> Reply<Vec<Accepted>> {
        let (reply, receiver) = Reply::channel();
        if events.is_empty() {
            // An empty batch would never be completed by a worker.
            reply.send(Ok(Vec::new()));
            return receiver;
        }
        let workers: Vec<usize> = events
            .iter()
            .map(|incoming| worker_index(incoming, self.workers.len()))
            .collect();
        // The lock is held until every event is in its worker's channel: otherwise batch 2 could
        // overtake batch 1 in a channel although the sequencer has them in the other order, and
        // each would wait for the other.
        let mut sequencer = self.sequencer.lock();
        let context = BatchContext { now, permit, reply };
        let batch = sequencer.enqueue(&workers, context);
        for (position, (incoming, worker)) in events.into_iter().zip(workers).enumerate() {
            // Fails only if the worker is gone, which happens when intake is dropped; then the
            // reply channel is dropped too, and the caller sees a closed store.
            drop(self.workers[worker].send(WorkItem {
                batch,
                position,
                incoming,
                now,
            }));
        }
        receiver
    }

    /// Queues a batch and blocks until it is committed. Must not be called from async code.
    ///
    /// # Errors
    /// If the limits or the store do not allow it; none of the events is stored then.
    pub(crate) fn accept_all(
        &self,
        events: Vec<Incoming>,
        now: Timestamp,
    ) -> Result<Vec<Accepted>, StoreError> {
        // A feed has one caller that waits for each batch, so the queue is empty here; it is full
        // only if a batch is larger than the limits.
        let full = |overloaded: Overloaded| StoreError::Failed(overloaded.to_string());
        let mut permit = self.admit(0).map_err(full)?;
        self.reserve_events(&mut permit, events.len())
            .map_err(full)?;
        self.submit(events, now, permit).wait()
    }
}

impl Drop for Intake {
    /// Finishes what was submitted.
    fn drop(&mut self) {
        // Closing the channels ends the workers once they have emptied them.
        self.workers.clear();
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

impl SharedSequencer {
    fn lock(&self) -> MutexGuard<'_, CommitSequencer<SequencedEvent, BatchContext>> {
        self.sequencer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The index of the evaluation worker, of `workers`, that evaluates an event. One resource always
/// has the same worker, which keeps its events in order; events without a resource are spread.
fn worker_index(incoming: &Incoming, workers: usize) -> usize {
    let identity = &incoming.identity;
    let key = if identity.resource.is_empty() {
        &identity.id
    } else {
        &identity.resource
    };
    // The first byte of a good hash spreads well enough: there are as many workers as
    // processors, and with, say, 12 of them four get 1/256 more of the resources than the rest.
    let digest = Sha256::digest(key.as_bytes());
    digest[0] as usize % workers
}

/// How many of the bytes in the queue may be beyond [`SMALL_REQUEST`] of their requests: three
/// quarters, but one request of the largest size in any case.
//
// Clients that send most of 8 MiB each and then stop have what they sent reserved until their time
// is over. Alerts come in small requests, and the rest is theirs.
fn large_bytes(limits: &Limits) -> usize {
    (limits.queue_bytes / 4 * 3).max(limits.body_bytes)
}

/// Reserves without waiting: a full queue is reported to the client, which can slow down, rather
/// than kept from it by an open connection.
fn reserve(semaphore: &Arc<Semaphore>, count: usize) -> Result<OwnedSemaphorePermit, Overloaded> {
    let count = u32::try_from(count).map_err(|_| Overloaded)?;
    semaphore
        .clone()
        .try_acquire_many_owned(count)
        .map_err(|_| Overloaded)
}
