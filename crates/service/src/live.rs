//! What happens in the service, live: accepted events with their verdicts, firings, attempts and
//! answers, for `GET /live`, the console and `reflexarc tail`.
//!
//! ```text
//! writer of the store   events (observe.rs), firings and answers, after their commit ─┐
//! queues                attempts of deliveries and calls ─────────────────────────────┤
//!                                                                         LiveBroadcast: a ring
//! each stream (stream.rs)   reads the ring at its own pace, filters (filter.rs), writes SSE
//! ```
//!
//! Publishing never waits: it appends to a ring of bounded size. A stream that reads more slowly
//! than entries come finds the oldest of them gone, and says how many. Without readers, all
//! that publishing costs is the look at a flag.

mod entry;
mod filter;
mod observe;
mod reactions;
mod stream;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

pub(crate) use self::entry::{AttemptEntry, LiveEntry};
pub(crate) use self::filter::{InvalidLiveFilter, LiveFilter};
pub(crate) use self::observe::observe;
pub(crate) use self::stream::{StreamRequest, live_response};

/// Bounds on what live streams make the service hold and do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LiveLimits {
    /// Streams at one time.
    pub(crate) streams: usize,
    /// Entries in the ring, for streams that read slowly or connect again.
    pub(crate) entries: usize,
    /// Bytes of the events in the ring.
    pub(crate) bytes: usize,
    /// How long the ring is kept when the last stream has ended.
    pub(crate) kept: Duration,
    /// Largest event that is in an entry, in bytes; of a larger one, the entry has only its size.
    pub(crate) event_bytes: usize,
}

impl LiveLimits {
    /// The defaults.
    pub(crate) const DEFAULT: Self = Self {
        streams: 64,
        entries: 4_096,
        bytes: 8 << 20,
        kept: Duration::from_secs(60),
        event_bytes: 16 << 10,
    };
}

/// The ring of what happened last. Clones share it.
#[derive(Debug, Clone)]
pub struct LiveBroadcast {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    limits: LiveLimits,
    /// Whether anyone listens, or did until a moment ago.
    is_active: AtomicBool,
    ring: Mutex<Ring>,
    changed: Notify,
    streams: Arc<Semaphore>,
    /// In the ids of entries, so that those of another process are recognised.
    run: String,
}

#[derive(Debug, Default)]
struct Ring {
    entries: VecDeque<Arc<LiveEntry>>,
    /// The number of the first entry.
    first: u64,
    /// Numbers from here on were given without a pause.
    contiguous: u64,
    bytes: usize,
    subscribers: usize,
    /// When the last subscriber left.
    left: Option<Instant>,
}

/// Where a reader is in the ring. While there is one, the ring is filled.
#[derive(Debug)]
pub(crate) struct LiveReader {
    broadcast: LiveBroadcast,
    /// The number of the next entry.
    next: u64,
    _permit: OwnedSemaphorePermit,
}

/// Some entries in their order.
#[derive(Debug)]
pub(crate) struct Read {
    /// How many left the ring before they were read.
    pub(crate) missed: u64,
    /// The number of the first entry.
    pub(crate) first: u64,
    pub(crate) entries: Vec<Arc<LiveEntry>>,
}

/// Entries that a reader has missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missed {
    /// So many have left the ring.
    Entries(u64),
    /// The service was restarted, or had no readers for a time: any number.
    Unknown,
}

/// There are as many streams as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there are {0} live streams already; end one that is not needed, or try again later")]
pub(crate) struct TooManyStreams(usize);

impl Default for LiveBroadcast {
    fn default() -> Self {
        Self::with_limits(LiveLimits::DEFAULT)
    }
}

impl LiveBroadcast {
    pub(crate) fn with_limits(limits: LiveLimits) -> Self {
        // Two processes of one store differ by the time at which they began.
        let run = format!("{:x}", Timestamp::now().as_microsecond());
        Self {
            inner: Arc::new(Inner {
                limits,
                is_active: AtomicBool::new(false),
                ring: Mutex::default(),
                changed: Notify::new(),
                streams: Arc::new(Semaphore::new(limits.streams)),
                run,
            }),
        }
    }

    /// Whether anyone listens: otherwise no entry has to be made.
    pub(crate) fn is_active(&self) -> bool {
        self.inner.is_active.load(Ordering::Relaxed)
    }

    /// Appends entries, if anyone listens.
    pub(crate) fn publish(&self, entries: impl IntoIterator<Item = LiveEntry>) {
        if !self.is_active() {
            return;
        }
        let mut ring = self.lock();
        if ring.subscribers == 0 && ring.is_left_for(self.inner.limits.kept) {
            ring.clear();
            self.inner.is_active.store(false, Ordering::Relaxed);
            return;
        }
        for entry in entries {
            ring.bytes += entry.bytes();
            ring.entries.push_back(Arc::new(entry));
        }
        let limits = self.inner.limits;
        while ring.entries.len() > limits.entries || ring.bytes > limits.bytes {
            let Some(oldest) = ring.entries.pop_front() else {
                break;
            };
            ring.bytes -= oldest.bytes();
            ring.first += 1;
        }
        drop(ring);
        self.inner.changed.notify_waiters();
    }

    /// Begins to listen: after the entry with the id `after`, where the ring still has what came
    /// next, else with what comes from now on.
    ///
    /// # Errors
    /// If there are as many readers as there may be.
    pub(crate) fn subscribe(
        &self,
        after: Option<&str>,
    ) -> Result<(LiveReader, Option<Missed>), TooManyStreams> {
        let inner = &self.inner;
        let permit = inner.streams.clone().try_acquire_owned();
        let permit = permit.map_err(|_| TooManyStreams(inner.limits.streams))?;
        let mut ring = self.lock();
        if ring.subscribers == 0
            && ring
                .left
                .is_none_or(|left| left.elapsed() > inner.limits.kept)
        {
            ring.clear();
        }
        ring.subscribers += 1;
        ring.left = None;
        inner.is_active.store(true, Ordering::Relaxed);
        let end = ring.end();
        let (next, missed) = match after.map(|id| self.number_of(id)) {
            None => (end, None),
            // Of another process, or of no entry that there was.
            Some(None) => (end, Some(Missed::Unknown)),
            Some(Some(number)) if number >= end => (end, Some(Missed::Unknown)),
            Some(Some(number)) => {
                let next = number + 1;
                let missed = ring.first.saturating_sub(next);
                let missed = if next < ring.contiguous {
                    Some(Missed::Unknown)
                } else {
                    (missed > 0).then_some(Missed::Entries(missed))
                };
                (next.max(ring.first), missed)
            }
        };
        drop(ring);
        let reader = LiveReader {
            broadcast: self.clone(),
            next,
            _permit: permit,
        };
        Ok((reader, missed))
    }

    /// The number in an id of this process.
    fn number_of(&self, id: &str) -> Option<u64> {
        let (run, number) = id.split_once('-')?;
        (run == self.inner.run).then_some(())?;
        number.parse().ok()
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.inner
            .ring
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl LiveReader {
    /// The next entries, at most `limit`.
    pub(crate) fn read(&mut self, limit: usize) -> Read {
        let ring = self.broadcast.lock();
        let missed = ring.first.saturating_sub(self.next);
        self.next = self.next.max(ring.first);
        let begin = usize::try_from(self.next - ring.first).unwrap_or(usize::MAX);
        let entries = ring.entries.iter().skip(begin).take(limit).cloned();
        let (entries, first): (Vec<_>, _) = (entries.collect(), self.next);
        self.next += entries.len() as u64;
        Read {
            missed,
            first,
            entries,
        }
    }

    /// Gives back what was read from the entry with this number on.
    pub(crate) fn back_to(&mut self, number: u64) {
        self.next = number;
    }

    /// The number of the next entry.
    pub(crate) fn next_number(&self) -> u64 {
        self.next
    }

    /// The entries before the next one that the ring still has.
    pub(crate) fn earlier(&self) -> Vec<Arc<LiveEntry>> {
        let ring = self.broadcast.lock();
        let count = usize::try_from(self.next.saturating_sub(ring.first)).unwrap_or(usize::MAX);
        ring.entries.iter().take(count).cloned().collect()
    }

    /// The id of the entry with this number.
    pub(crate) fn id_of(&self, number: u64) -> String {
        format!("{}-{number}", self.broadcast.inner.run)
    }

    /// Ends when there is an entry to read.
    pub(crate) async fn changed(&self) {
        loop {
            let changed = self.broadcast.inner.changed.notified();
            tokio::pin!(changed);
            // Before the look, so that what comes between look and wait is not overlooked.
            changed.as_mut().enable();
            if self.broadcast.lock().end() > self.next {
                return;
            }
            changed.await;
        }
    }
}

impl Drop for LiveReader {
    fn drop(&mut self) {
        let mut ring = self.broadcast.lock();
        ring.subscribers -= 1;
        if ring.subscribers == 0 {
            ring.left = Some(Instant::now());
        }
    }
}

impl Ring {
    /// The number of the entry that comes next.
    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    fn is_left_for(&self, time: Duration) -> bool {
        self.left.is_some_and(|left| left.elapsed() > time)
    }

    /// Empties the ring before or after a time without listeners. Of the entries of this time no
    /// one knows how many there were, so one number is left out for all of them.
    fn clear(&mut self) {
        self.first = self.end() + 1;
        self.contiguous = self.first;
        self.entries = VecDeque::new();
        self.bytes = 0;
    }
}
