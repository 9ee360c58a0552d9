//! Admission: how much each source may have waiting, and when its batches are evaluated.
//!
//! What waits is bounded in events and bytes, for all sources together and for each: a source may
//! hold as much as is free, so one alone holds at most half of the queue, two hold a third each,
//! and there is always space for another one. A single request may use all that is free, so that
//! requests up to the configured sizes are never refused for ever.
//!
//! Evaluation workers and the store take batches in the order in which they come. So that a batch
//! does not wait for everything that a flood has queued before it, only little work is handed to
//! them at one time ([`Window`]); the rest waits here, where sources take turns (`fair_queue.rs`).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::fair_queue::FairQueue;
use super::window::{InFlight, Window};
use crate::limits::Limits;

/// Who sends events.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// The holder of the token with this name.
    Token(Arc<str>),
    /// A client without a token of its own, by its address (signed requests).
    Address(IpAddr),
    /// A connection to a service without tokens, all of whose clients have the same address.
    Connection(u64),
    /// A source that the service takes messages from, by its name.
    #[cfg(feature = "cluster")]
    Stream(Arc<str>),
    /// This process.
    Feed,
}

/// As many events or bytes are waiting to be stored as the limits allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Overloaded {
    /// Those of all sources.
    #[error("too many events are waiting to be stored; try again later")]
    All,
    /// Those of one source.
    #[error("too many events of this client are waiting to be stored; try again later")]
    Source,
}

/// Admits requests, and holds batches back. `B` is a batch.
pub(super) struct Admission<B> {
    limits: Capacity,
    window: Window,
    state: Mutex<State<B>>,
    /// A batch came, work ended, or the end was announced.
    changed: Condvar,
}

/// A request's share of the queue, given back when it is dropped: when its events are committed.
pub(crate) struct AdmissionPermit {
    share: Share,
    source: Source,
    release: Arc<dyn Release>,
    /// The work that was handed to the workers.
    in_flight: u64,
}

/// Takes back what a permit holds, whatever the type of batches is.
trait Release: Send + Sync {
    fn release(&self, source: &Source, share: Share, in_flight: u64);
}

/// The largest amounts.
#[derive(Debug, Clone, Copy)]
struct Capacity {
    events: usize,
    bytes: usize,
    /// Of them, what may be beyond [`SMALL_BYTES`] and [`SMALL_EVENTS`] of their requests.
    large_events: usize,
    large_bytes: usize,
}

/// What a request, a source or all requests hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Share {
    events: usize,
    bytes: usize,
    large_events: usize,
    large_bytes: usize,
}

struct State<B> {
    held: Share,
    sources: HashMap<Source, SourceState>,
    queue: FairQueue<Source, B>,
    in_flight: InFlight,
    is_closing: bool,
}

#[derive(Debug, Default)]
struct SourceState {
    requests: usize,
    held: Share,
}

/// Bytes and events of a request that do not count as those of a large one.
const SMALL_BYTES: usize = 64 << 10;
const SMALL_EVENTS: usize = 100;
impl<B: Send + 'static> Admission<B> {
    pub(super) fn new(limits: &Limits, workers: usize) -> Self {
        // Clients that send most of 8 MiB each and then stop have what they sent reserved until
        // their time is over. Alerts come in small requests, and the rest is theirs.
        let large = |all: usize, one: usize| (all / 4 * 3).max(one);
        Self {
            limits: Capacity {
                events: limits.queue_events,
                bytes: limits.queue_bytes,
                large_events: large(limits.queue_events, limits.batch_events),
                large_bytes: large(limits.queue_bytes, limits.body_bytes),
            },
            window: Window::new(workers),
            state: Mutex::new(State {
                held: Share::default(),
                sources: HashMap::new(),
                queue: FairQueue::new(),
                in_flight: InFlight::default(),
                is_closing: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// A permit of a request of `source` that has reserved nothing yet. Fails if `announced` bytes
    /// would not be free now: better than to have them sent in vain.
    //
    // They are not reserved: the client may announce 8 MiB and send nothing.
    pub(super) fn admit(
        self: &Arc<Self>,
        source: Source,
        announced: usize,
    ) -> Result<AdmissionPermit, Overloaded> {
        let mut state = self.lock();
        let wanted = Share::default().growth(0, announced);
        state.check(&self.limits, &source, Share::default(), wanted)?;
        state.sources.entry(source.clone()).or_default().requests += 1;
        Ok(AdmissionPermit {
            share: Share::default(),
            source,
            release: self.clone(),
            in_flight: 0,
        })
    }

    /// Adds events and bytes to the permit, or fails: a full queue is reported to the client, which
    /// can slow down, rather than kept from it by an open connection.
    pub(super) fn reserve(
        &self,
        permit: &mut AdmissionPermit,
        events: usize,
        bytes: usize,
    ) -> Result<(), Overloaded> {
        let mut state = self.lock();
        let wanted = permit.share.growth(events, bytes);
        state.check(&self.limits, &permit.source, permit.share, wanted)?;
        state.held = state.held.plus(wanted);
        let source = state.sources.entry(permit.source.clone()).or_default();
        source.held = source.held.plus(wanted);
        permit.share = permit.share.plus(wanted);
        Ok(())
    }

    /// Returns the batch if it can be handed to the workers now; otherwise it waits for its turn.
    pub(super) fn enqueue(
        &self,
        mut permit: AdmissionPermit,
        make_batch: impl FnOnce(AdmissionPermit) -> B,
    ) -> Option<B> {
        let work = permit.share.work();
        permit.in_flight = work;
        let mut state = self.lock();
        if state.queue.is_empty() && self.window.admits(state.in_flight, work) {
            state.in_flight.add(work);
            return Some(make_batch(permit));
        }
        let source = permit.source.clone();
        state.queue.push(source, work, make_batch(permit));
        drop(state);
        self.changed.notify_all();
        None
    }

    /// Waits for the next batch that can be handed to the workers; `None` after [`Self::close`],
    /// when none waits any more.
    pub(super) fn next(&self) -> Option<B> {
        let mut state = self.lock();
        loop {
            match state.queue.next_work() {
                Some(work) if self.window.admits(state.in_flight, work) => {
                    state.in_flight.add(work);
                    return state.queue.pop();
                }
                None if state.is_closing => return None,
                _ => {
                    let woken = self.changed.wait(state);
                    state = woken.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Takes into account how long the evaluation of an event took.
    pub(super) fn observe(&self, evaluation: Duration) {
        self.window.observe(evaluation);
    }

    /// Ends [`Self::next`].
    pub(super) fn close(&self) {
        self.lock().is_closing = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<B>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Send> Release for Admission<B> {
    fn release(&self, source: &Source, share: Share, in_flight: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.held = state.held.minus(share);
        if in_flight > 0 {
            state.in_flight.remove(in_flight);
        }
        if let Some(held) = state.sources.get_mut(source) {
            held.held = held.held.minus(share);
            held.requests = held.requests.saturating_sub(1);
            if held.requests == 0 {
                state.sources.remove(source);
            }
        }
        // Most requests never wait, and then none must be woken.
        if !state.queue.is_empty() {
            drop(state);
            self.changed.notify_all();
        }
    }
}

impl AdmissionPermit {
    /// Bytes that are reserved.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.share.bytes
    }
}

impl Drop for AdmissionPermit {
    fn drop(&mut self) {
        self.release
            .release(&self.source, self.share, self.in_flight);
    }
}

impl std::fmt::Debug for AdmissionPermit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdmissionPermit")
            .field("source", &self.source)
            .field("share", &self.share)
            .finish_non_exhaustive()
    }
}

impl<B> State<B> {
    /// Whether a request of `source` that holds `own` may have `wanted` besides.
    fn check(
        &self,
        limits: &Capacity,
        source: &Source,
        own: Share,
        wanted: Share,
    ) -> Result<(), Overloaded> {
        let free = |limit: usize, held: usize, wanted: usize| limit.checked_sub(held + wanted);
        let all = self.held;
        let events = free(limits.events, all.events, wanted.events);
        let bytes = free(limits.bytes, all.bytes, wanted.bytes);
        let large_events = free(limits.large_events, all.large_events, wanted.large_events);
        let large_bytes = free(limits.large_bytes, all.large_bytes, wanted.large_bytes);
        let (Some(events), Some(bytes)) = (events, bytes) else {
            return Err(Overloaded::All);
        };
        if large_events.is_none() || large_bytes.is_none() {
            return Err(Overloaded::All);
        }
        let held = self
            .sources
            .get(source)
            .map_or(Share::default(), |source| source.held);
        // What the source holds in other requests.
        let others = held.minus(own);
        let mine = held.plus(wanted);
        let exceeds = |others: usize, mine: usize, free: usize| others > 0 && mine > free;
        if exceeds(others.events, mine.events, events) || exceeds(others.bytes, mine.bytes, bytes) {
            return Err(Overloaded::Source);
        }
        Ok(())
    }
}

impl Share {
    /// What is added when this many events and bytes are added to a request that holds `self`.
    fn growth(self, events: usize, bytes: usize) -> Self {
        let large = |before: usize, more: usize, small: usize| {
            (before + more).saturating_sub(small) - before.saturating_sub(small)
        };
        Self {
            events,
            bytes,
            large_events: large(self.events, events, SMALL_EVENTS),
            large_bytes: large(self.bytes, bytes, SMALL_BYTES),
        }
    }

    /// The work of its events: one for each, or for each KiB if they are larger.
    fn work(self) -> u64 {
        let work = self.events.max(self.bytes >> 10).max(1);
        u64::try_from(work).unwrap_or(u64::MAX)
    }

    fn plus(self, other: Self) -> Self {
        Self {
            events: self.events + other.events,
            bytes: self.bytes + other.bytes,
            large_events: self.large_events + other.large_events,
            large_bytes: self.large_bytes + other.large_bytes,
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            events: self.events.saturating_sub(other.events),
            bytes: self.bytes.saturating_sub(other.bytes),
            large_events: self.large_events.saturating_sub(other.large_events),
            large_bytes: self.large_bytes.saturating_sub(other.large_bytes),
        }
    }
}

#[cfg(test)]
#[path = "admission/tests.rs"]
mod tests;
