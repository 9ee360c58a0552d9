//! From an event at the door to its place in the store: evaluated in order per resource, in parallel across resources.

mod lane;
mod line;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use reflexarc::RuleSet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use self::lane::{Lane, Work};
use self::line::Line;
use crate::failing::Failing;
use crate::incoming::Incoming;
use crate::limits::Limits;
use crate::store::{Accepted, Answer, Store, StoreError, Turn};
use crate::telemetry::Telemetry;

/// Takes events, evaluates them on its lanes and has the store record them.
///
/// A lane is a thread; all events about one resource go through one lane and so stay in order. Each is evaluated against
/// the state as committed, while others are being committed; if its turn shows that it read something stale, it is
/// evaluated again then. What a reaction asks for is thus what it would have asked for had events come one by one.
///
/// Events that came together are stored together: all of them, in their order, or none.
pub struct Intake {
    lanes: Vec<mpsc::Sender<Work>>,
    threads: Vec<JoinHandle<()>>,
    waiting: Arc<Waiting>,
    events: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    rules: Arc<ArcSwap<RuleSet>>,
    failing: Arc<Failing>,
}

/// There is no room for more: as many events or bytes wait as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too much is waiting to be stored")]
pub struct Overloaded;

/// The place of a request in the queue, given back when it is stored.
#[derive(Debug)]
pub(crate) struct Room {
    events: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

/// The batches on their way through the lanes.
struct Waiting {
    line: Mutex<Line<(Incoming, Turn), Rest>>,
}

/// What belongs to a batch besides its events.
struct Rest {
    now: Timestamp,
    room: Room,
    answer: Answer,
}

impl Intake {
    /// Starts `lanes` lanes.
    ///
    /// # Errors
    /// When the store cannot be read or threads cannot be started.
    pub fn start(
        store: &Arc<Store>,
        rules: Arc<ArcSwap<RuleSet>>,
        lanes: usize,
        limits: &Limits,
        telemetry: &Telemetry,
    ) -> Result<Self, StoreError> {
        let lanes = lanes.max(1);
        let mut intake = Self {
            lanes: Vec::new(),
            threads: Vec::new(),
            waiting: Arc::new(Waiting {
                line: Mutex::new(Line::new(lanes)),
            }),
            events: Arc::new(Semaphore::new(limits.queue_events)),
            bytes: Arc::new(Semaphore::new(limits.queue_bytes)),
            rules,
            failing: Arc::default(),
        };
        for number in 0..lanes {
            let (sender, queue) = mpsc::channel();
            let lane = Lane {
                store: store.clone(),
                rules: intake.rules.clone(),
                state: Mutex::new(store.reader()?),
                waiting: intake.waiting.clone(),
                failing: intake.failing.clone(),
                telemetry: telemetry.clone(),
            };
            let thread = std::thread::Builder::new()
                .name(format!("lane {number}"))
                .spawn(move || lane.run(&queue));
            intake
                .threads
                .push(thread.map_err(|error| {
                    StoreError::Failed(format!("cannot start a lane: {error}"))
                })?);
            intake.lanes.push(sender);
        }
        Ok(intake)
    }

    /// The rules in force; storing others here puts those in force for every event evaluated from then on.
    pub fn rules(&self) -> &Arc<ArcSwap<RuleSet>> {
        &self.rules
    }

    /// The rules that go wrong again and again.
    pub(crate) fn failing(&self) -> &Failing {
        &self.failing
    }

    /// Makes room for so many bytes of a request, before they are read.
    pub(crate) fn room(&self, bytes: usize) -> Result<Room, Overloaded> {
        let count = u32::try_from(bytes).map_err(|_| Overloaded)?;
        let bytes = self
            .bytes
            .clone()
            .try_acquire_many_owned(count)
            .map_err(|_| Overloaded)?;
        let events = self
            .events
            .clone()
            .try_acquire_many_owned(0)
            .map_err(|_| Overloaded)?;
        Ok(Room {
            events,
            _bytes: bytes,
        })
    }

    /// Makes room for so many events in what was read.
    pub(crate) fn widen(&self, room: &mut Room, events: usize) -> Result<(), Overloaded> {
        let count = u32::try_from(events).map_err(|_| Overloaded)?;
        room.events.merge(
            self.events
                .clone()
                .try_acquire_many_owned(count)
                .map_err(|_| Overloaded)?,
        );
        Ok(())
    }

    /// Sends events on their way: they have their place in the order when this returns. The answer comes after the commit
    /// of all of them, or when none was stored. `room` must have been widened for them.
    pub(crate) fn submit(
        &self,
        events: Vec<Incoming>,
        now: Timestamp,
        room: Room,
    ) -> oneshot::Receiver<Result<Vec<Accepted>, StoreError>> {
        let (answer, waiting) = oneshot::channel();
        if events.is_empty() {
            drop(answer.send(Ok(Vec::new())));
            return waiting;
        }
        let lanes: Vec<usize> = events
            .iter()
            .map(|incoming| incoming.lane(self.lanes.len()))
            .collect();
        let mut line = self.waiting.lock();
        let batch = line.join(&lanes, Rest { now, room, answer });
        for (place, (incoming, lane)) in events.into_iter().zip(lanes).enumerate() {
            drop(self.lanes[lane].send(Work {
                batch,
                place,
                incoming,
                now,
            }));
        }
        waiting
    }

    /// Takes events in this order and waits until all are stored, for those who have a thread to wait in.
    ///
    /// # Errors
    /// When the store fails; none of them is stored then.
    pub(crate) fn accept_all(
        &self,
        events: Vec<Incoming>,
        now: Timestamp,
    ) -> Result<Vec<Accepted>, StoreError> {
        let full = |overloaded: Overloaded| StoreError::Failed(overloaded.to_string());
        let mut room = self.room(0).map_err(full)?;
        self.widen(&mut room, events.len()).map_err(full)?;
        self.submit(events, now, room)
            .blocking_recv()
            .unwrap_or(Err(StoreError::Closed))
    }
}

impl Drop for Intake {
    /// Finishes what was submitted.
    fn drop(&mut self) {
        self.lanes.clear();
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Line<(Incoming, Turn), Rest>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
