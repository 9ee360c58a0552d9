//! What is done for each event of a batch before its turn, on any thread.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use pyo3::prelude::*;
use reflexarc::{Matched, MemoryState, PreparedEvaluation, RuleSet, event_time};
use reflexarc_event::{Event, NativeEvent};

use crate::batch_matching::MatchError;
use crate::evaluation_clock::EvaluationClock;
use crate::evaluation_source::{Item, Part};

/// Prepares events of a batch, on several threads at a time.
pub(crate) struct Preparer<'a> {
    rules: &'a RuleSet,
    clock: EvaluationClock,
    /// Whether the times of all events matter: deadlines pass with them.
    keeps_times: bool,
    /// Whether the time of the first event that has one is still to be found.
    needs_first: AtomicBool,
    /// Whether reactions run here.
    reacts: bool,
    /// Bytes that prepared events hold.
    bytes: AtomicUsize,
    /// The state after the last turn.
    state: RwLock<Arc<MemoryState>>,
    /// Whether what is prepared is not needed any more.
    stop: AtomicBool,
}

/// An event whose turn has come.
pub(crate) struct Prepared {
    pub(crate) event: NativeEvent,
    /// Its time, if it may matter.
    pub(crate) time: Option<Timestamp>,
    pub(crate) stage: Stage,
}

/// How far an event was prepared.
pub(crate) enum Stage {
    /// No rule matches it.
    Unmatched,
    /// The matching rules are known.
    Matched(Matched),
    /// Also what they do, unless the state changes before the event's turn.
    Prepared(PreparedEvaluation),
}

/// The events of a part, or their errors, each with its number in the part.
pub(crate) struct PreparedPart {
    pub(crate) events: Vec<(usize, Result<Prepared, ItemError>)>,
    /// How many numbers the part takes.
    pub(crate) len: usize,
    /// The number of the first one; `None` for lines, which are counted in order.
    pub(crate) first: Option<usize>,
}

/// Why an item is not an event.
pub(crate) enum ItemError {
    Event(MatchError),
    /// With the number of the event.
    Exception(PyErr),
}

/// Bytes that reactions may hold ahead of their turn: their effects, and what they have read of the
/// state. Beyond them, reactions run in their turn, one event at a time.
// An event may have effects of 64 MiB, and hundreds of events are prepared at a time.
const MAX_BYTES_AHEAD: usize = 16 << 20;

impl<'a> Preparer<'a> {
    pub(crate) fn new(
        rules: &'a RuleSet,
        clock: EvaluationClock,
        keeps_times: bool,
        reacts: bool,
        state: Arc<MemoryState>,
    ) -> Self {
        Self {
            rules,
            clock,
            keeps_times,
            needs_first: AtomicBool::new(clock.needs_first()),
            reacts,
            bytes: AtomicUsize::new(0),
            state: RwLock::new(state),
            stop: AtomicBool::new(false),
        }
    }

    /// Makes threads end after their present event.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Prepares the events of a part; only some of them if it is stopped.
    pub(crate) fn prepare_part(&self, part: Part<'_>) -> PreparedPart {
        let len = part.len();
        match part {
            Part::Items(first, items) => {
                let events = items.into_iter().map(|item| self.prepare_item(item));
                let events = events.enumerate().take_while(|_| !self.is_stopped());
                PreparedPart {
                    events: events.collect(),
                    len,
                    first: Some(first),
                }
            }
            Part::Chunk(chunk) => {
                let events = chunk.events();
                let events = events.map(|(number, text)| (number, self.prepare_line(text)));
                PreparedPart {
                    events: events.take_while(|_| !self.is_stopped()).collect(),
                    len,
                    first: None,
                }
            }
        }
    }

    /// Makes the state after a turn, and the first time, known to the threads.
    pub(crate) fn publish(&self, state: &Arc<MemoryState>, needs_first: bool) {
        self.needs_first.store(needs_first, Ordering::Relaxed);
        if !self.reacts {
            return;
        }
        let mut known = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&known, state) {
            known.clone_from(state);
        }
    }

    /// Records that the turn of an event has come.
    pub(crate) fn release(&self, prepared: &PreparedEvaluation) {
        self.bytes.fetch_sub(prepared.bytes(), Ordering::Relaxed);
    }

    fn prepare_item(&self, item: Item) -> Result<Prepared, ItemError> {
        match item {
            Item::Text(text) => self.prepare(Event::from_json(text)),
            Item::Event(event) => self.prepare(Ok(event)),
            Item::Invalid(error) => Err(ItemError::Exception(error)),
        }
    }

    fn prepare_line(&self, text: Option<Cow<'_, [u8]>>) -> Result<Prepared, ItemError> {
        let text = text.ok_or(ItemError::Event(MatchError::TooLong))?;
        self.prepare(Event::from_json(text))
    }

    fn prepare(
        &self,
        event: Result<Event, reflexarc_event::EventError>,
    ) -> Result<Prepared, ItemError> {
        let event = event.and_then(NativeEvent::new);
        let event = event.map_err(|error| ItemError::Event(error.into()))?;
        let matched = self.rules.matching(&event);
        let is_unmatched = matched.is_nothing();
        // Reading the time of every event would slow down batches in which few match. An event
        // that is read before the flag falls has its time read needlessly, never too seldom.
        let needs_time = self.clock.is_of_events()
            && (!is_unmatched || self.keeps_times || self.needs_first.load(Ordering::Relaxed));
        let time = needs_time.then(|| event_time(&event)).flatten();
        let stage = if is_unmatched {
            Stage::Unmatched
        } else {
            self.react(&event, matched, time)
        };
        Ok(Prepared { event, time, stage })
    }

    fn react(&self, event: &NativeEvent, matched: Matched, time: Option<Timestamp>) -> Stage {
        let has_room = self.bytes.load(Ordering::Relaxed) < MAX_BYTES_AHEAD;
        let Some(now) = self.clock.at(time).filter(|_| self.reacts && has_room) else {
            // The time of the evaluation is known in its turn.
            return Stage::Matched(matched);
        };
        let state = {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(&state)
        };
        let prepared = self.rules.prepare(event, matched, now, &*state);
        self.bytes.fetch_add(prepared.bytes(), Ordering::Relaxed);
        Stage::Prepared(prepared)
    }
}
