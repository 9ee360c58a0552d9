//! Evaluating batches of events in order, with reactions that run ahead of their turn on all cores.
//!
//! ```text
//! other threads   read, match, run reactions with the state as it is then    Preparer
//! this thread     in order: compare what they read, run again what changed   BatchEvaluator
//! ```

use std::collections::BTreeMap;
use std::iter::Enumerate;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::{thread, vec};

use jiff::{SignedDuration, Timestamp};
use pyo3::prelude::*;
use reflexarc::{MemoryState, RuleSet};

use crate::batch_matching::threads;
use crate::error::ReactionError;
use crate::evaluation_clock::EvaluationClock;
use crate::evaluation_run::EvaluationRun;
use crate::evaluation_source::Part;
use crate::event_preparer::{ItemError, Prepared, PreparedPart, Preparer, Stage};
use crate::signal_check::{SIGNAL_INTERVAL, SignalCheck};

/// Evaluates events of one rule set, batch by batch.
pub(crate) struct BatchEvaluator {
    rules: RuleSet,
    has_windows: bool,
    clock: EvaluationClock,
    options: BatchOptions,
    /// The state after the last event.
    state: Arc<MemoryState>,
    /// The number of the next line, from 0.
    line: usize,
    /// Evaluations since expired entries were removed.
    since_removal: usize,
    /// The latest time of an evaluation.
    latest: Timestamp,
}

/// Arguments of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchOptions {
    /// Whether deadlines fire before each event.
    pub(crate) advance: bool,
    /// Whether a failed reaction is an error of its event, which then changes nothing.
    pub(crate) strict: bool,
    /// Whether events after one with an error are evaluated.
    pub(crate) goes_on: bool,
}

/// The evaluation of an event, or its error.
pub(crate) type Outcome = Result<EvaluationRun, PyErr>;

/// Evaluations between two removals of expired entries: they only bound the memory of long runs.
const REMOVE_EXPIRED_EVERY: usize = 10_000;

/// How long entries are kept after they have expired: events come late, and evaluated at their own
/// time they may still read them.
const EXPIRED_KEPT: SignedDuration = SignedDuration::from_hours(24);

impl BatchEvaluator {
    pub(crate) fn new(
        rules: RuleSet,
        has_windows: bool,
        clock: EvaluationClock,
        options: BatchOptions,
        state: Arc<MemoryState>,
    ) -> Self {
        Self {
            rules,
            has_windows,
            clock,
            options,
            state,
            line: 0,
            since_removal: 0,
            latest: Timestamp::MIN,
        }
    }

    pub(crate) fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// Evaluates the events of a batch in order; up to the first error unless it goes on. Needs no
    /// interpreter lock.
    ///
    /// # Errors
    /// The exception of a signal handler, such as `KeyboardInterrupt`.
    pub(crate) fn evaluate(&mut self, parts: Vec<Part<'_>>) -> PyResult<Vec<Outcome>> {
        let rules = self.rules.clone();
        let clock = self.clock.for_batch();
        let keeps_times = self.has_windows || self.state.has_matches();
        // One part is not worth starting threads, and with one thread nothing is ahead of its turn.
        let threads = threads().min(parts.len());
        let state = Arc::clone(&self.state);
        let preparer = Preparer::new(&rules, clock, keeps_times, threads > 1, state);
        let mut turns = Turns {
            evaluator: self,
            preparer: &preparer,
            clock,
            outcomes: Vec::new(),
            signals: SignalCheck::new(),
        };
        if threads > 1 {
            turns.take_with_threads(threads, parts)?;
        } else {
            for part in parts {
                if !turns.take(preparer.prepare_part(part))? {
                    break;
                }
            }
        }
        let Turns {
            clock, outcomes, ..
        } = turns;
        self.clock = self.clock.after_batch(clock);
        Ok(outcomes)
    }

    /// Evaluates an event with the state that the events before it left.
    ///
    /// # Errors
    /// The failure of a reaction, if that is an error.
    fn evaluate_event(
        &mut self,
        prepared: Prepared,
        clock: &mut EvaluationClock,
    ) -> Result<EvaluationRun, String> {
        let Prepared { event, time, stage } = prepared;
        let reading = clock.next(time);
        let mut run = EvaluationRun::new(Arc::clone(&self.state));
        if self.options.advance && reading.has_passed {
            run.fire_due(&self.rules, self.has_windows, reading.now);
        }
        match stage {
            Stage::Unmatched => run.skip(event),
            Stage::Matched(matched) => {
                run.evaluate_matched(&self.rules, event, &matched, reading.now);
            }
            Stage::Prepared(prepared) => run.evaluate_prepared(&self.rules, event, prepared),
        }
        if let (true, Some(failure)) = (self.options.strict, run.failure()) {
            return Err(failure);
        }
        self.state = run.state();
        self.remove_expired(reading.now);
        Ok(run)
    }

    fn remove_expired(&mut self, now: Timestamp) {
        self.latest = self.latest.max(now);
        self.since_removal += 1;
        if self.since_removal < REMOVE_EXPIRED_EVERY {
            return;
        }
        self.since_removal = 0;
        if let Ok(until) = self.latest.checked_sub(EXPIRED_KEPT) {
            Arc::make_mut(&mut self.state).remove_expired(until);
        }
    }
}

/// The events of a batch in their turn.
struct Turns<'a, 'b> {
    evaluator: &'a mut BatchEvaluator,
    preparer: &'a Preparer<'b>,
    clock: EvaluationClock,
    outcomes: Vec<Outcome>,
    signals: SignalCheck,
}

/// The parts of a batch that no thread has taken.
struct Queue<'a>(Mutex<Enumerate<vec::IntoIter<Part<'a>>>>);

impl Turns<'_, '_> {
    /// Evaluates parts that other threads prepare.
    fn take_with_threads(&mut self, threads: usize, parts: Vec<Part<'_>>) -> PyResult<()> {
        let preparer = self.preparer;
        let queue = Queue(Mutex::new(parts.into_iter().enumerate()));
        thread::scope(|scope| {
            let (sender, prepared) = channel();
            for _ in 0..threads {
                let sender = sender.clone();
                scope.spawn(|| queue.prepare(preparer, sender));
            }
            // The channel closes when the last thread drops its sender.
            drop(sender);
            let (mut next, mut early) = (0, BTreeMap::new());
            let taken = loop {
                match prepared.recv_timeout(SIGNAL_INTERVAL) {
                    Ok((number, part)) => {
                        early.insert(number, part);
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break Ok(()),
                }
                let mut goes_on = self.signals.check().map(|()| true);
                while let (Ok(true), Some(part)) = (&goes_on, early.remove(&next)) {
                    next += 1;
                    goes_on = self.take(part);
                }
                match goes_on {
                    Ok(true) => {}
                    Ok(false) => break Ok(()),
                    Err(exception) => break Err(exception),
                }
            };
            preparer.stop();
            taken
        })
    }

    /// Evaluates the events of a part. Returns whether the batch goes on.
    fn take(&mut self, part: PreparedPart) -> PyResult<bool> {
        let (item, first) = match part.first {
            Some(first) => ("event", first),
            // Lines are counted from 1.
            None => ("line", self.evaluator.line + 1),
        };
        for (number, prepared) in part.events {
            self.signals.check()?;
            let number = first + number;
            let outcome = match prepared {
                Ok(prepared) => self.take_event(prepared).map_err(|failure| {
                    ReactionError::new_err(format!("{item} {number}: {failure}"))
                }),
                Err(ItemError::Event(error)) => Err(error.of_item(item, number)),
                Err(ItemError::Exception(exception)) => Err(exception),
            };
            let goes_on = outcome.is_ok() || self.evaluator.options.goes_on;
            self.outcomes.push(outcome);
            if !goes_on {
                return Ok(false);
            }
        }
        if part.first.is_none() {
            self.evaluator.line += part.len;
        }
        Ok(true)
    }

    fn take_event(&mut self, prepared: Prepared) -> Result<EvaluationRun, String> {
        if let Stage::Prepared(prepared) = &prepared.stage {
            self.preparer.release(prepared);
        }
        let run = self.evaluator.evaluate_event(prepared, &mut self.clock);
        let needs_first = self.clock.needs_first();
        self.preparer.publish(&self.evaluator.state, needs_first);
        run
    }
}

impl Queue<'_> {
    /// Prepares parts until there are none or the batch ends.
    fn prepare(&self, preparer: &Preparer<'_>, sender: Sender<(usize, PreparedPart)>) {
        while !preparer.is_stopped() {
            let next = {
                let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                parts.next()
            };
            let Some((number, part)) = next else {
                return;
            };
            if sender.send((number, preparer.prepare_part(part))).is_err() {
                return;
            }
        }
    }
}
