//! Matching many events: on all cores, without the interpreter lock, and interruptible.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use pyo3::prelude::*;
use reflexarc::{Rule, RuleSet};
use reflexarc_event::{EventError, Limits};
use reflexarc_pattern::Undecided;

use crate::error;
use crate::event_source::{CHUNK_BYTES, Chunk, EventSource};
use crate::signal_check::SIGNAL_INTERVAL;

/// The rules that match one event, as positions in the rule set.
pub(crate) type RuleIds = Vec<u32>;

/// What is done with each event of a batch.
pub(crate) trait Sink {
    /// Whether events after one with an error are needed.
    fn goes_on(&self) -> bool;

    /// Adds the matching rules of the next event.
    fn add(&mut self, ids: RuleIds) -> PyResult<()>;

    /// Adds the error of the next event; `number` is that of the item in the source, from 0. An
    /// exception ends the batch.
    fn add_error(&mut self, number: usize, error: MatchError) -> PyResult<()>;
}

/// Gives `sink` the matching rules of each event of `source`, in order.
pub(crate) fn matching(
    py: Python<'_>,
    rules: &RuleSet,
    mut source: EventSource<'_>,
    sink: &mut impl Sink,
) -> PyResult<()> {
    let goes_on = sink.goes_on();
    let mut collector = Collector {
        sink,
        next_chunk: 0,
        items: 0,
        early: BTreeMap::new(),
    };
    // The first chunk is matched here: a batch of one chunk is not worth starting threads.
    let Some(first) = py.detach(|| match_chunk(rules, source.next(CHUNK_BYTES), goes_on)) else {
        return Ok(());
    };
    collector.put(0, first)?;
    let shared = Shared {
        rules,
        source: Mutex::new((1, source)),
        goes_on,
        stop: AtomicBool::new(false),
    };
    let Some((number, second)) = py.detach(|| shared.match_next_chunk()) else {
        return Ok(());
    };
    let (sender, results) = channel();
    thread::scope(|scope| {
        for _ in 0..threads() {
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

/// The threads that work on one batch.
pub(crate) fn threads() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
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
    #[error("{Undecided}")]
    UndecidedPattern,
    #[error("handlers of {patterns}: {Undecided}")]
    UndecidedHandlers { patterns: String },
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
    /// For each event its matching rules, or its number in the chunk and its error.
    matched: Vec<Result<RuleIds, Box<(usize, MatchError)>>>,
    /// How many items the chunk has, or why it cannot be read.
    items: io::Result<usize>,
}

/// What the threads share.
struct Shared<'a> {
    rules: &'a RuleSet,
    /// The number of the next chunk, and the source that it comes from.
    source: Mutex<(usize, EventSource<'a>)>,
    goes_on: bool,
    stop: AtomicBool,
}

impl Shared<'_> {
    /// Matches chunks until there are none, one ends the batch, or the batch is stopped.
    fn match_all_chunks(&self, sender: Sender<(usize, ChunkResult)>) {
        while !self.stop.load(Ordering::Relaxed) {
            let Some((number, result)) = self.match_next_chunk() else {
                return;
            };
            // Chunks after an error are not needed. Those before it are already with some thread.
            let has_error = !self.goes_on && result.matched.last().is_some_and(Result::is_err);
            if has_error || result.items.is_err() {
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
            (*number - 1, source.next(CHUNK_BYTES))
        };
        match_chunk(self.rules, chunk, self.goes_on).map(|result| (number, result))
    }
}

/// Matches the events of a chunk; unless it `goes_on`, up to the first with an error.
fn match_chunk(
    rules: &RuleSet,
    chunk: io::Result<Option<Chunk<'_>>>,
    goes_on: bool,
) -> Option<ChunkResult> {
    let mut matched = Vec::new();
    let chunk = match chunk {
        Ok(chunk) => chunk?,
        Err(error) => {
            let items = Err(error);
            return Some(ChunkResult { matched, items });
        }
    };
    for (number, event) in chunk.events() {
        let event = event.ok_or(MatchError::TooLong);
        let ids = event.and_then(|event| matching_text(rules, &event));
        let is_last = ids.is_err() && !goes_on;
        matched.push(ids.map_err(|error| Box::new((number, error))));
        if is_last {
            break;
        }
    }
    let items = Ok(chunk.len());
    Some(ChunkResult { matched, items })
}

/// Puts the results of chunks into the order of the chunks.
struct Collector<'a, S> {
    sink: &'a mut S,
    /// The number of the chunk to add next.
    next_chunk: usize,
    /// Items in the chunks added so far; the number of an item in a message is based on it.
    items: usize,
    /// Results that arrived before those of earlier chunks.
    early: BTreeMap<usize, ChunkResult>,
}

impl<S: Sink> Collector<'_, S> {
    /// Collects results until all threads have ended.
    fn collect(
        &mut self,
        py: Python<'_>,
        mut results: Receiver<(usize, ChunkResult)>,
    ) -> PyResult<()> {
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

    /// Adds a result, and those that waited for it.
    fn put(&mut self, number: usize, result: ChunkResult) -> PyResult<()> {
        self.early.insert(number, result);
        while let Some(result) = self.early.remove(&self.next_chunk) {
            self.next_chunk += 1;
            for matched in result.matched {
                match matched {
                    Ok(ids) => self.sink.add(ids)?,
                    Err(error) => {
                        let (number, error) = *error;
                        self.sink.add_error(self.items + number, error)?;
                    }
                }
            }
            self.items += result.items?;
        }
        Ok(())
    }
}

impl MatchError {
    /// The Python exception of this error, with a message.
    pub(crate) fn exception(&self, message: String) -> PyErr {
        match self {
            Self::Event(_) | Self::TooLong => error::EventError::new_err(message),
            Self::Undecided { .. } | Self::UndecidedPattern | Self::UndecidedHandlers { .. } => {
                error::UndecidedError::new_err(message)
            }
        }
    }

    /// The Python exception of this error in an item: `line 3: …`.
    pub(crate) fn of_item(&self, item: &str, number: usize) -> PyErr {
        self.exception(format!("{item} {number}: {self}"))
    }
}

impl From<MatchError> for PyErr {
    fn from(error: MatchError) -> Self {
        error.exception(error.to_string())
    }
}
