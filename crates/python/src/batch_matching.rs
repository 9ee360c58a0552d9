//! Matching many events: on all cores, without the interpreter lock, and interruptible.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use reflexarc::{Rule, RuleSet};
use reflexarc_event::{EventError, Limits};
use reflexarc_pattern::Undecided;

use crate::error;
use crate::event_source::{Chunk, EventSource, SourceError};

/// The rules that match one event, as positions in the rule set.
pub(crate) type RuleIds = Vec<u32>;

/// Why a batch ends early.
pub(crate) enum BatchError {
    /// The item with this number, from 0, is not an event, or cannot be compared with a rule.
    Event(usize, MatchError),
    /// A Python exception.
    Exception(PyErr),
}

/// Interval at which the interpreter handles signals, and so the delay of Ctrl-C: short for a
/// person, and long beside the microseconds that taking the lock costs.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(40);

/// Calls `add` with the matching rules of each event of `source`, in order.
pub(crate) fn matching(
    py: Python<'_>,
    rules: &RuleSet,
    mut source: EventSource<'_>,
    add: impl FnMut(RuleIds) -> PyResult<()>,
) -> Result<(), BatchError> {
    let mut collector = Collector {
        add,
        next_chunk: 0,
        items: 0,
        early: BTreeMap::new(),
    };
    // The first chunk is matched here: a batch of one chunk is not worth starting threads.
    let Some(first) = py.detach(|| match_chunk(rules, source.next())) else {
        return Ok(());
    };
    collector.put(0, first)?;
    let shared = Shared {
        rules,
        source: Mutex::new((1, source)),
        stop: AtomicBool::new(false),
    };
    let Some((number, second)) = py.detach(|| shared.match_next_chunk()) else {
        return Ok(());
    };
    let (sender, results) = channel();
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 0..threads {
            let sender = sender.clone();
            scope.spawn(|| shared.match_all_chunks(sender));
        }
        // The channel closes when the last thread drops its sender.
        drop(sender);
        let collected = collector
            .put(number, second)
            .and_then(|()| collector.collect(py, results));
        shared.stop.store(true, Ordering::Relaxed);
        collected
    })
}

/// Why it is not known which rules match one event.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MatchError {
    #[error(transparent)]
    Event(#[from] EventError),
    /// A text that [`Limits::DEFAULT`] does not allow.
    #[error("the event has more than the {} bytes allowed", Limits::DEFAULT.bytes)]
    TooLong,
    #[error("rules {rules}: {Undecided}")]
    Undecided { rules: String },
}

/// The rules that match one event given as text.
pub(crate) fn matching_text(rules: &RuleSet, bytes: &[u8]) -> Result<RuleIds, MatchError> {
    let matched = rules.matching_text(bytes)?;
    let undecided: Vec<u32> = matched.undecided().collect();
    decided(rules, matched.into_ids(), &undecided)
}

/// The rules that match an event, unless some rules are undecided.
pub(crate) fn decided(
    rules: &RuleSet,
    matching: RuleIds,
    undecided: &[u32],
) -> Result<RuleIds, MatchError> {
    if undecided.is_empty() {
        return Ok(matching);
    }
    let mut names = rules.rules().map(Rule::name).collect::<Vec<_>>();
    let mut position = 0..;
    names.retain(|_| position.next().is_some_and(|at| undecided.contains(&at)));
    let rules = names.join(", ");
    Err(MatchError::Undecided { rules })
}

/// The result for a chunk.
struct ChunkResult {
    /// The matching rules of the events before the first error.
    matched: Vec<RuleIds>,
    /// How many items the chunk has, or the number of the first bad one and its error.
    end: Result<usize, (usize, ChunkError)>,
}

enum ChunkError {
    Event(MatchError),
    Source(SourceError),
}

/// What the threads share.
struct Shared<'a> {
    rules: &'a RuleSet,
    /// The number of the next chunk, and the source that it comes from.
    source: Mutex<(usize, EventSource<'a>)>,
    stop: AtomicBool,
}

impl Shared<'_> {
    /// Matches chunks until there are none, one has an error, or the batch is stopped.
    fn match_all_chunks(&self, sender: Sender<(usize, ChunkResult)>) {
        while !self.stop.load(Ordering::Relaxed) {
            let Some((number, result)) = self.match_next_chunk() else {
                return;
            };
            // Chunks after an error are not needed. Those before it are already with some thread.
            if result.end.is_err() {
                self.stop.store(true, Ordering::Relaxed);
            }
            if sender.send((number, result)).is_err() {
                return;
            }
        }
    }

    /// The number and result of the next chunk. Only reading holds the mutex, not matching.
    fn match_next_chunk(&self) -> Option<(usize, ChunkResult)> {
        let (number, chunk) = {
            let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
            let (number, source) = &mut *source;
            *number += 1;
            (*number - 1, source.next())
        };
        match_chunk(self.rules, chunk).map(|result| (number, result))
    }
}

fn match_chunk(
    rules: &RuleSet,
    chunk: Result<Option<Chunk<'_>>, SourceError>,
) -> Option<ChunkResult> {
    let mut matched = Vec::new();
    let chunk = match chunk {
        Ok(chunk) => chunk?,
        Err(error) => {
            let end = Err((0, ChunkError::Source(error)));
            return Some(ChunkResult { matched, end });
        }
    };
    for (number, event) in chunk.events() {
        match matching_text(rules, &event) {
            Ok(ids) => matched.push(ids),
            Err(error) => {
                let end = Err((number, ChunkError::Event(error)));
                return Some(ChunkResult { matched, end });
            }
        }
    }
    let end = Ok(chunk.len());
    Some(ChunkResult { matched, end })
}

/// Puts the results of chunks into the order of the chunks.
struct Collector<F> {
    add: F,
    /// The number of the chunk to add next.
    next_chunk: usize,
    /// Items in the chunks added so far; the number of an item in a message is based on it.
    items: usize,
    /// Results that arrived before those of earlier chunks.
    early: BTreeMap<usize, ChunkResult>,
}

impl<F: FnMut(RuleIds) -> PyResult<()>> Collector<F> {
    /// Collects results until all threads have ended.
    fn collect(
        &mut self,
        py: Python<'_>,
        mut results: Receiver<(usize, ChunkResult)>,
    ) -> Result<(), BatchError> {
        let mut signals_checked = Instant::now();
        loop {
            let receiver = &mut results;
            // Waiting is detached, so that other Python threads run. The time limit returns to the
            // interpreter even if no result comes, because only it can handle a signal.
            match py.detach(move || receiver.recv_timeout(SIGNAL_INTERVAL)) {
                Ok((number, result)) => self.put(number, result)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            if signals_checked.elapsed() >= SIGNAL_INTERVAL {
                py.check_signals()?;
                signals_checked = Instant::now();
            }
        }
    }

    /// Adds the result of a chunk and the early ones that follow it, or keeps it for later.
    fn put(&mut self, number: usize, result: ChunkResult) -> Result<(), BatchError> {
        self.early.insert(number, result);
        while let Some(result) = self.early.remove(&self.next_chunk) {
            self.next_chunk += 1;
            for ids in result.matched {
                (self.add)(ids)?;
            }
            self.items += match result.end {
                Ok(items) => items,
                Err((_, ChunkError::Source(SourceError::Io(error)))) => {
                    return Err(PyErr::from(error).into());
                }
                Err((number, ChunkError::Source(SourceError::LineTooLong))) => {
                    return Err(BatchError::Event(self.items + number, MatchError::TooLong));
                }
                Err((number, ChunkError::Event(error))) => {
                    return Err(BatchError::Event(self.items + number, error));
                }
            };
        }
        Ok(())
    }
}

impl MatchError {
    /// The Python exception of this error, with a message.
    fn exception(&self, message: String) -> PyErr {
        match self {
            Self::Event(_) | Self::TooLong => error::EventError::new_err(message),
            Self::Undecided { .. } => error::UndecidedError::new_err(message),
        }
    }
}

impl From<MatchError> for PyErr {
    fn from(error: MatchError) -> Self {
        error.exception(error.to_string())
    }
}

impl From<PyErr> for BatchError {
    fn from(exception: PyErr) -> Self {
        Self::Exception(exception)
    }
}

impl BatchError {
    /// The Python exception; its message calls the item `item` and counts from `first`, as in
    /// `line 3: …`.
    pub(crate) fn into_exception(self, item: &str, first: usize) -> PyErr {
        match self {
            Self::Event(number, error) => {
                let message = format!("{item} {}: {error}", first + number);
                error.exception(message)
            }
            Self::Exception(exception) => exception,
        }
    }
}
