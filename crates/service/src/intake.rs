//! Intake: from admitted events to committed ones, by optimistic concurrency control.
//!
//! The state of rules must end as if events were evaluated one after another, but scripts take far
//! longer than reading or writing a state entry. Holding a lock on the state while a script runs
//! would let one event in at a time; so events are evaluated in parallel and checked before commit:
//!
//! 1. **Admit.** A request reserves bytes as they are read and events before they are queued
//!    ([`AdmissionPermit`]); beyond the limits it is refused with 429. What is more than the
//!    workers can do soon waits, and sources take turns (`admission.rs`).
//! 2. **Speculate.** An evaluation worker (`worker.rs`) evaluates the event against the state as
//!    last committed, on its own thread and connection, and records every state entry that was
//!    read.
//! 3. **Sequence.** The commit sequencer (`sequencer.rs`) holds a batch back until all its events
//!    are evaluated and no earlier batch of the same workers is left, then hands it to the store's
//!    writer.
//! 4. **Validate or re-run.** In the writer's transaction the recorded reads are repeated. If all
//!    of them give what they gave before, the speculative evaluation is what an evaluation at this
//!    point would be, and is committed. If not, it is stale, and the scripts run again here. So do
//!    those of an event that rules with a time window match, which are not speculated, because what
//!    they do depends on the position of the event in the archive.
//!
//! # Why a stale evaluation runs again on the writer thread
//!
//! Only the writer changes state, so an evaluation on the writer thread cannot become stale: every
//! event is evaluated at most twice. Handing it back to its worker would open the same race again:
//! with a counter that every event increments, each round would find the counter changed once
//! more, without an upper bound, while the sequencer kept every later batch waiting. The price is
//! that a re-run delays all other commits, by at most the script deadlines of the rules that
//! matched. Matching is repeated only if a reload has replaced the rules since: it depends on the
//! event and the rules, not on state.
//!
//! # Order
//!
//! All events of one resource go to one worker, in the order in which their batches had their turn,
//! and batches that share a worker are committed in that order. Events of different resources may
//! be evaluated in any order, which validation makes invisible.

mod admission;
mod budget;
mod failures;
mod fair_queue;
mod firing;
mod sequencer;
pub(crate) mod stopwatch;
mod weight;
mod window;
mod worker;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use reflexarc::RuleSet;
use sha2::{Digest, Sha256};

use self::admission::Admission;
pub(crate) use self::admission::{AdmissionPermit, Overloaded, Source};
pub(crate) use self::budget::BudgetAccounts;
pub(crate) use self::failures::FailureTracker;
pub(crate) use self::firing::{answer, arm, fire};
use self::sequencer::CommitSequencer;
pub(crate) use self::weight::{release_trees, values_at_most};
use self::worker::{EvaluationWorker, WorkItem};
use crate::clock::ServiceClock;
use crate::deadlines::Deadlines;
use crate::limits::Limits;
use crate::live::LiveBroadcast;
use crate::live_config::LiveConfig;
use crate::store::{
    Accepted, EvaluateInTransaction, Incoming, Reply, ReplySender, Store, StoreError,
};
use crate::telemetry::{Problems, Telemetry};

/// Admits events, evaluates them on its workers and has the store commit them.
///
/// The events of one batch are committed together, in their order, or none of them is.
pub(crate) struct Intake {
    admission: Arc<Admission<Batch>>,
    /// Only the last to be dropped ends the workers.
    dispatcher: Option<Arc<Dispatcher>>,
    worker_count: usize,
    threads: Vec<JoinHandle<()>>,
    rules: Arc<ArcSwap<RuleSet>>,
    failures: Arc<FailureTracker>,
    budgets: Arc<BudgetAccounts>,
}

/// What the intake shares with others.
pub(crate) struct IntakeParts {
    pub(crate) problems: Arc<Problems>,
    pub(crate) clock: ServiceClock,
    pub(crate) deadlines: Arc<Deadlines>,
    pub(crate) broadcast: LiveBroadcast,
}

/// A batch that waits for its turn.
struct Batch {
    events: Vec<Incoming>,
    /// The worker of each event.
    workers: Vec<usize>,
    permit: AdmissionPermit,
    reply: ReplySender<Vec<Accepted>>,
}

/// Hands batches to the workers.
struct Dispatcher {
    workers: Vec<mpsc::Sender<WorkItem>>,
    sequencer: Arc<SharedSequencer>,
    clock: ServiceClock,
}

/// An event and what evaluates it when its batch is committed.
type SequencedEvent = (Incoming, EvaluateInTransaction);

/// The sequencer, shared between the workers and the [`Dispatcher`].
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
        shared: IntakeParts,
    ) -> Result<Self, StoreError> {
        let IntakeParts {
            problems,
            clock,
            deadlines,
            broadcast,
        } = shared;
        // `available_parallelism` is at least 1, but callers may pass anything.
        let worker_count = workers.max(1);
        let failures = Arc::new(FailureTracker::new(problems));
        let budgets = Arc::new(BudgetAccounts::new(live.budgets.clone()));
        let sequencer = Arc::new(SharedSequencer {
            sequencer: Mutex::new(CommitSequencer::new(worker_count)),
        });
        let admission = Arc::new(Admission::new(limits, worker_count));
        let (mut workers, mut threads) = (Vec::new(), Vec::new());
        for index in 0..worker_count {
            let (sender, items) = mpsc::channel();
            let worker = EvaluationWorker {
                store: store.clone(),
                rules: live.rules.clone(),
                state: store.state_reader()?,
                sequencer: sequencer.clone(),
                failures: failures.clone(),
                admission: admission.clone(),
                budgets: budgets.clone(),
                deadlines: deadlines.clone(),
                telemetry: telemetry.clone(),
                broadcast: broadcast.clone(),
            };
            threads.push(spawn(format!("evaluate {index}"), move || {
                worker.run(&items);
            })?);
            workers.push(sender);
        }
        let dispatcher = Arc::new(Dispatcher {
            workers,
            sequencer,
            clock,
        });
        let (waiting, handing) = (admission.clone(), dispatcher.clone());
        // First, because the workers end only after it.
        threads.insert(
            0,
            spawn("admit".to_owned(), move || {
                while let Some(batch) = waiting.next() {
                    handing.dispatch(batch);
                }
            })?,
        );
        Ok(Self {
            admission,
            dispatcher: Some(dispatcher),
            worker_count,
            threads,
            rules: live.rules.clone(),
            failures,
            budgets,
        })
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
    pub(crate) fn failures(&self) -> &Arc<FailureTracker> {
        &self.failures
    }

    /// A permit of a request of `source` that has reserved nothing yet. Fails if `announced` bytes
    /// would not be free now.
    pub(crate) fn admit(
        &self,
        source: Source,
        announced: usize,
    ) -> Result<AdmissionPermit, Overloaded> {
        self.admission.admit(source, announced)
    }

    /// Adds bytes that were read to the permit.
    pub(crate) fn reserve_bytes(
        &self,
        permit: &mut AdmissionPermit,
        bytes: usize,
    ) -> Result<(), Overloaded> {
        self.admission.reserve(permit, 0, bytes)
    }

    /// Adds the events that were found in the body to the permit.
    pub(crate) fn reserve_events(
        &self,
        permit: &mut AdmissionPermit,
        events: usize,
    ) -> Result<(), Overloaded> {
        self.admission.reserve(permit, events, 0)
    }

    /// Whether this many events and bytes of `source` would be admitted now.
    #[cfg(feature = "cluster")]
    pub(crate) fn has_room(&self, source: Source, events: usize, bytes: usize) -> bool {
        let Ok(mut probe) = self.admit(source, bytes) else {
            return false;
        };
        self.admission.reserve(&mut probe, events, bytes).is_ok()
    }

    /// Queues a batch; its place among those of its source is fixed when this returns. The reply
    /// comes after the commit of all its events, or when none was stored. `permit` must hold
    /// reservations for them.
    pub(crate) fn submit(
        &self,
        events: Vec<Incoming>,
        permit: AdmissionPermit,
    ) -> Reply<Vec<Accepted>> {
        let (reply, receiver) = Reply::channel();
        if events.is_empty() {
            // An empty batch would never be completed by a worker.
            reply.send(Ok(Vec::new()));
            return receiver;
        }
        let workers = events
            .iter()
            .map(|incoming| worker_index(incoming, self.worker_count))
            .collect();
        let batch = |permit| Batch {
            events,
            workers,
            permit,
            reply,
        };
        // At once where nothing waits: another thread would have to be woken for it.
        if let (Some(batch), Some(dispatcher)) =
            (self.admission.enqueue(permit, batch), &self.dispatcher)
        {
            dispatcher.dispatch(batch);
        }
        receiver
    }

    /// Queues a batch and blocks until it is committed. Must not be called from async code.
    ///
    /// # Errors
    /// If the limits or the store do not allow it; none of the events is stored then.
    pub(crate) fn accept_all(&self, events: Vec<Incoming>) -> Result<Vec<Accepted>, StoreError> {
        // A feed has one caller that waits for each batch, so the queue is empty here; it is full
        // only if a batch is larger than the limits.
        let full = |overloaded: Overloaded| StoreError::Failed(overloaded.to_string());
        let mut permit = self.admit(Source::Feed, 0).map_err(full)?;
        self.reserve_events(&mut permit, events.len())
            .map_err(full)?;
        self.submit(events, permit).wait()
    }
}

impl Drop for Intake {
    /// Finishes what was submitted.
    fn drop(&mut self) {
        // What waits is handed to the workers first. Then the channels are closed, which ends the
        // workers once they have emptied them.
        self.admission.close();
        self.dispatcher = None;
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

impl Dispatcher {
    fn dispatch(&self, batch: Batch) {
        let Batch {
            events,
            workers,
            permit,
            reply,
        } = batch;
        // The lock is held until every event is in its worker's channel: otherwise batch 2 could
        // overtake batch 1 in a channel although the sequencer has them in the other order, and
        // each would wait for the other.
        let mut sequencer = self.sequencer.lock();
        // One time for the batch: its events came together, and rules compare times. Taken here
        // and not when the batch came, so that times go on from batch to batch.
        let now = self.clock.now();
        let context = BatchContext { now, permit, reply };
        let batch = sequencer.enqueue(&workers, context);
        for (position, (incoming, worker)) in events.into_iter().zip(workers).enumerate() {
            // Fails only if the worker is gone, which happens when it panicked; then the reply
            // channel is dropped too, and the caller sees a closed store.
            drop(self.workers[worker].send(WorkItem {
                batch,
                position,
                incoming,
                now,
            }));
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

fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    let thread = std::thread::Builder::new().name(name).spawn(run);
    thread.map_err(|error| StoreError::Failed(format!("cannot start a thread of intake: {error}")))
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
