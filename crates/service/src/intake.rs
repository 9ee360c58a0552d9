//! From an event at the door to its place in the store: evaluated in order per resource, in parallel across resources.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use reflexarc_engine::{Evaluation, Failure, Matched, RuleSet};
use reflexarc_reaction::State;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::incoming::Incoming;
use crate::limits::Limits;
use crate::store::{Accepted, Store, StoreError, StoredState, lock};

/// Takes events, evaluates them on its lanes and has the store record them.
///
/// A lane is a thread; all events about one resource go through one lane and so stay in order. Each is evaluated against
/// the state as committed, while others are being committed; if its turn shows that it read something stale, it is
/// evaluated again then. What a reaction asks for is thus what it would have asked for had events come one by one.
pub struct Intake {
    lanes: Vec<Option<mpsc::Sender<Work>>>,
    threads: Vec<JoinHandle<()>>,
    events: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    rules: Arc<ArcSwap<RuleSet>>,
}

/// There is no room for more: as many events or bytes wait as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too much is waiting to be stored")]
pub struct Overloaded;

/// The place of a request in the queue. That of its bytes is given back when its last event is recorded.
pub(crate) struct Room {
    events: OwnedSemaphorePermit,
    bytes: Arc<OwnedSemaphorePermit>,
}

type Answer = oneshot::Receiver<Result<Accepted, StoreError>>;

struct Work {
    incoming: Incoming,
    now: Timestamp,
    room: Room,
    answer: oneshot::Sender<Answer>,
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
    ) -> Result<Self, StoreError> {
        let mut intake = Self {
            lanes: Vec::new(),
            threads: Vec::new(),
            events: Arc::new(Semaphore::new(limits.queue_events)),
            bytes: Arc::new(Semaphore::new(limits.queue_bytes)),
            rules,
        };
        for number in 0..lanes.max(1) {
            let (sender, queue) = mpsc::channel();
            let lane = Lane { store: store.clone(), rules: intake.rules.clone(), state: Mutex::new(store.reader()?) };
            let thread = std::thread::Builder::new().name(format!("lane {number}")).spawn(move || lane.run(&queue));
            intake.threads.push(thread.map_err(|error| StoreError::Failed(format!("cannot start a lane: {error}")))?);
            intake.lanes.push(Some(sender));
        }
        Ok(intake)
    }

    /// The rules in force; storing others here puts those in force for every event evaluated from then on.
    pub fn rules(&self) -> &Arc<ArcSwap<RuleSet>> {
        &self.rules
    }

    /// Makes room for so many bytes of a request, before they are read.
    pub(crate) fn room(&self, bytes: usize) -> Result<Room, Overloaded> {
        let count = u32::try_from(bytes).map_err(|_| Overloaded)?;
        let bytes = self.bytes.clone().try_acquire_many_owned(count).map_err(|_| Overloaded)?;
        let events = self.events.clone().try_acquire_many_owned(0).map_err(|_| Overloaded)?;
        Ok(Room { events, bytes: Arc::new(bytes) })
    }

    /// Makes room for so many events in what was read.
    pub(crate) fn widen(&self, room: &mut Room, events: usize) -> Result<(), Overloaded> {
        let count = u32::try_from(events).map_err(|_| Overloaded)?;
        room.events.merge(self.events.clone().try_acquire_many_owned(count).map_err(|_| Overloaded)?);
        Ok(())
    }

    /// Sends an event on its way: it has its place in the order when this returns. The answer comes after the commit.
    /// `room` must have been widened for it.
    pub(crate) fn submit(&self, incoming: Incoming, now: Timestamp, room: &mut Room) -> oneshot::Receiver<Answer> {
        let (answer, waiting) = oneshot::channel();
        let room = room.part();
        let lane = &self.lanes[incoming.lane(self.lanes.len())];
        if let Some(lane) = lane {
            drop(lane.send(Work { incoming, now, room, answer }));
        }
        waiting
    }

    /// Takes events in this order and waits until all are stored, for those who have a thread to wait in. A batch is
    /// bounded by whoever makes it, not by the queue.
    ///
    /// # Errors
    /// With the first failure of the store.
    pub(crate) fn accept_all(&self, events: Vec<Incoming>, now: Timestamp) -> Result<Vec<Accepted>, StoreError> {
        let full = |overloaded: Overloaded| StoreError::Failed(overloaded.to_string());
        let mut room = self.room(0).map_err(full)?;
        self.widen(&mut room, events.len()).map_err(full)?;
        let waiting: Vec<_> = events.into_iter().map(|incoming| self.submit(incoming, now, &mut room)).collect();
        let stored = waiting.into_iter().map(|answer| {
            let answer = answer.blocking_recv().map_err(|_| StoreError::Closed)?;
            answer.blocking_recv().unwrap_or(Err(StoreError::Closed))
        });
        stored.collect()
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

impl Room {
    /// Splits off the room for one event.
    fn part(&mut self) -> Self {
        let events = self.events.split(1).expect("room was made for every event of the request");
        Self { events, bytes: self.bytes.clone() }
    }
}

struct Lane {
    store: Arc<Store>,
    rules: Arc<ArcSwap<RuleSet>>,
    state: Mutex<Connection>,
}

impl Lane {
    fn run(&self, queue: &mpsc::Receiver<Work>) {
        while let Ok(Work { incoming, now, room, answer }) = queue.recv() {
            let rules = self.rules.load_full();
            let matched = guarded(&incoming, || rules.recognise(&incoming.normal));
            let state = StoredState::new(&self.state);
            let evaluation = react(&rules, &incoming, matched.as_ref(), &state, now);
            let reads = state.into_reads();
            let receiver = self.store.accept_when(incoming, now, move |connection, incoming| {
                // Given back when the event is recorded, whoever still waits for the answer.
                let _room = room;
                if reads?.still_hold(&lock(connection), now)? {
                    return Ok(evaluation);
                }
                let state = StoredState::new(connection);
                let evaluation = react(&rules, incoming, matched.as_ref(), &state, now);
                state.into_reads()?;
                Ok(evaluation)
            });
            drop(answer.send(receiver));
        }
    }
}

/// What the rules that match ask for, each script held to its deadline.
fn react(
    rules: &RuleSet,
    incoming: &Incoming,
    matched: Option<&Matched>,
    state: &dyn State,
    now: Timestamp,
) -> Evaluation {
    let begun = Instant::now();
    let stopwatch = || begun.elapsed();
    let evaluation =
        matched.and_then(|matched| guarded(incoming, || rules.react(matched, state, now, Some(&stopwatch))));
    evaluation.unwrap_or_else(|| {
        let message = "internal error while evaluating; the event was kept".to_owned();
        Evaluation { failures: vec![Failure { rule: String::new(), hop: 0, message }], ..Evaluation::default() }
    })
}

/// A panic in there costs this event its reactions, not the service its lane.
fn guarded<T>(incoming: &Incoming, work: impl FnOnce() -> T) -> Option<T> {
    let done = catch_unwind(AssertUnwindSafe(work));
    if done.is_err() {
        tracing::error!(event = incoming.name.id, "evaluating an event panicked; it is kept without reactions");
    }
    done.ok()
}
