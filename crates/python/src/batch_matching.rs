//! BatchArgument events at once: on all cores, without the interpreter's lock, and interruptible.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use reflexarc::RuleSet;
use reflexarc_event::{EventError, Limits, NativeEvent};

use crate::error;
use crate::event_source::{Chunk, EventSource, SourceError};

/// The matching rules of one event, as positions in the rule set.
pub(crate) type Ids = Vec<u32>;

/// Why a batch ends early.
pub(crate) enum BatchError {
    /// What stands at that number, from 0, is no event.
    Event(usize, String),
    /// A Python exception.
    Raised(PyErr),
}

/// How long the interpreter is left alone before it may look at signals.
const SLICE: Duration = Duration::from_millis(40);

/// Hands the matching rules of each event of `feed` to `take`, in order.
pub(crate) fn matching(
    py: Python<'_>,
    rules: &RuleSet,
    mut feed: EventSource<'_>,
    take: impl FnMut(Ids) -> PyResult<()>,
) -> Result<(), BatchError> {
    let mut taking = Taking {
        take,
        next: 0,
        numbers: 0,
        waiting: BTreeMap::new(),
    };
    // A small batch is one piece, which is not worth a thread.
    let Some(first) = py.detach(|| answer(rules, feed.next())) else {
        return Ok(());
    };
    taking.put(0, first)?;
    let work = Work {
        rules,
        feed: Mutex::new((1, feed)),
        stop: AtomicBool::new(false),
    };
    let Some(second) = py.detach(|| work.piece()) else {
        return Ok(());
    };
    let (answers_to, answers) = channel();
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 0..threads {
            let answers_to = answers_to.clone();
            scope.spawn(|| work.all(answers_to));
        }
        drop(answers_to);
        let taken = taking
            .put(second.0, second.1)
            .and_then(|()| taking.all(py, answers));
        work.stop.store(true, Ordering::Relaxed);
        taken
    })
}

/// The rules that match one event given as text.
pub(crate) fn matching_text(rules: &RuleSet, bytes: &[u8]) -> Result<Ids, EventError> {
    let event = NativeEvent::from_json(bytes)?;
    Ok(rules.matching(&event).into_ids())
}

/// What was found out about a piece.
struct Answer {
    found: Vec<Ids>,
    /// How many numbers the piece takes, or what is wrong at which of them.
    end: Result<usize, (usize, Problem)>,
}

enum Problem {
    Event(EventError),
    EventSource(SourceError),
}

/// What the threads share.
struct Work<'a> {
    rules: &'a RuleSet,
    /// The next piece's turn, and where it comes from.
    feed: Mutex<(usize, EventSource<'a>)>,
    stop: AtomicBool,
}

impl Work<'_> {
    fn all(&self, answers_to: Sender<(usize, Answer)>) {
        while !self.stop.load(Ordering::Relaxed) {
            let Some((turn, answer)) = self.piece() else {
                return;
            };
            if answer.end.is_err() {
                self.stop.store(true, Ordering::Relaxed);
            }
            if answers_to.send((turn, answer)).is_err() {
                return;
            }
        }
    }

    fn piece(&self) -> Option<(usize, Answer)> {
        let (turn, piece) = {
            let mut feed = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
            let (turn, feed) = &mut *feed;
            *turn += 1;
            (*turn - 1, feed.next())
        };
        answer(self.rules, piece).map(|answer| (turn, answer))
    }
}

fn answer(rules: &RuleSet, piece: Result<Option<Chunk<'_>>, SourceError>) -> Option<Answer> {
    let piece = match piece {
        Ok(piece) => piece?,
        Err(fault) => {
            return Some(Answer {
                found: Vec::new(),
                end: Err((0, Problem::EventSource(fault))),
            });
        }
    };
    let mut found = Vec::new();
    for (number, event) in piece.events() {
        match matching_text(rules, event) {
            Ok(ids) => found.push(ids),
            Err(error) => {
                return Some(Answer {
                    found,
                    end: Err((number, Problem::Event(error))),
                });
            }
        }
    }
    Some(Answer {
        found,
        end: Ok(piece.len()),
    })
}

/// Puts answers into order.
struct Taking<F> {
    take: F,
    /// Whose turn it is.
    next: usize,
    /// How many numbers are behind.
    numbers: usize,
    waiting: BTreeMap<usize, Answer>,
}

impl<F: FnMut(Ids) -> PyResult<()>> Taking<F> {
    fn all(
        &mut self,
        py: Python<'_>,
        mut answers: Receiver<(usize, Answer)>,
    ) -> Result<(), BatchError> {
        let mut looked = Instant::now();
        loop {
            let receiver = &mut answers;
            match py.detach(move || receiver.recv_timeout(SLICE)) {
                Ok((turn, answer)) => self.put(turn, answer)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            if looked.elapsed() >= SLICE {
                py.check_signals()?;
                looked = Instant::now();
            }
        }
    }

    fn put(&mut self, turn: usize, answer: Answer) -> Result<(), BatchError> {
        self.waiting.insert(turn, answer);
        while let Some(answer) = self.waiting.remove(&self.next) {
            self.next += 1;
            for ids in answer.found {
                (self.take)(ids)?;
            }
            self.numbers += match answer.end {
                Ok(numbers) => numbers,
                Err((_, Problem::EventSource(SourceError::Io(error)))) => {
                    return Err(PyErr::from(error).into());
                }
                Err((number, Problem::EventSource(SourceError::LongLine))) => {
                    let message = format!(
                        "the event has more than the {} bytes allowed",
                        Limits::DEFAULT.bytes
                    );
                    return Err(BatchError::Event(self.numbers + number, message));
                }
                Err((number, Problem::Event(error))) => {
                    return Err(BatchError::Event(self.numbers + number, error.to_string()));
                }
            };
        }
        Ok(())
    }
}

impl From<PyErr> for BatchError {
    fn from(raised: PyErr) -> Self {
        Self::Raised(raised)
    }
}

impl BatchError {
    /// As an exception that calls what is at a number `what` and counts from `first`.
    pub(crate) fn into_exception(self, what: &str, first: usize) -> PyErr {
        match self {
            Self::Event(number, message) => {
                error::EventError::new_err(format!("{what} {}: {message}", first + number))
            }
            Self::Raised(raised) => raised,
        }
    }
}
