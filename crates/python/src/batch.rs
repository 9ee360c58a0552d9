//! Many events at once: on all cores, without the interpreter's lock, and interruptible.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use reflexarc_engine::RuleSet;
use reflexarc_event::{Event, EventError};

/// The matching rules of one event, as positions in the rule set.
pub(crate) type Ids = Vec<u32>;

/// How long the interpreter is left alone before it may look at signals.
const SLICE: Duration = Duration::from_millis(40);

/// How many events a thread takes at a time.
const BLOCK: usize = 64;

/// The matching rules of each event, in order; the first event that is none ends it, with its position.
pub(crate) fn matching(
    py: Python<'_>,
    rules: &RuleSet,
    events: &[&[u8]],
) -> PyResult<Result<Vec<Ids>, (usize, EventError)>> {
    let work = Work {
        rules,
        events,
        next: AtomicUsize::new(0),
        failed: AtomicBool::new(false),
        done: Mutex::new(Vec::with_capacity(events.len() / BLOCK + 1)),
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(events.len() / BLOCK + 1);
    while py.detach(|| work.slice(threads)) {
        py.check_signals()?;
    }
    let mut done = work.done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(start, _)| *start);
    let mut all = Vec::with_capacity(events.len());
    for (start, block) in done {
        match block {
            Ok(ids) => all.extend(ids),
            Err((offset, error)) => return Ok(Err((start + offset, error))),
        }
    }
    Ok(Ok(all))
}

/// The rules that match one event given as text.
pub(crate) fn matching_text(rules: &RuleSet, bytes: &[u8]) -> Result<Ids, EventError> {
    let event = Event::from_json(bytes)?;
    Ok(rules.matching_ids(&event))
}

/// A block's first position, and its events' rules or the first fault and its offset in the block.
type Block = (usize, Result<Vec<Ids>, (usize, EventError)>);

struct Work<'a> {
    rules: &'a RuleSet,
    events: &'a [&'a [u8]],
    next: AtomicUsize,
    failed: AtomicBool,
    done: Mutex<Vec<Block>>,
}

impl Work<'_> {
    /// Works for a while; false when all is done.
    fn slice(&self, threads: usize) -> bool {
        let end = Instant::now() + SLICE;
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|| self.until(end));
            }
            self.until(end);
        });
        !self.failed.load(Ordering::Relaxed) && self.next.load(Ordering::Relaxed) < self.events.len()
    }

    fn until(&self, end: Instant) {
        while Instant::now() < end && !self.failed.load(Ordering::Relaxed) {
            let start = self.next.fetch_add(BLOCK, Ordering::Relaxed);
            if start >= self.events.len() {
                return;
            }
            let block = &self.events[start..self.events.len().min(start + BLOCK)];
            let ids: Result<Vec<Ids>, _> = block
                .iter()
                .enumerate()
                .map(|(offset, event)| matching_text(self.rules, event).map_err(|error| (offset, error)))
                .collect();
            if ids.is_err() {
                self.failed.store(true, Ordering::Relaxed);
            }
            self.done.lock().unwrap_or_else(PoisonError::into_inner).push((start, ids));
        }
    }
}
