//! What is done for each event of a run before its turn, on any thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use jiff::Timestamp;
use reflexarc::{Matched, PreparedEvaluation, RuleSet, event_time};
use reflexarc_event::{Event, EventError, NativeEvent};

use super::clock::ClockArg;
use super::shared_state::SharedState;

/// Bytes that reactions may hold ahead of their turn: their effects, and what they have read of the
/// state. Beyond them, reactions run in their turn, one event at a time.
// An event may have effects of 64 MiB, and hundreds of events are prepared at a time.
const MAX_BYTES_AHEAD: usize = 16 << 20;

/// Prepares events.
#[derive(Clone)]
pub(super) struct Preparer {
    pub(super) rules: RuleSet,
    pub(super) clock: ClockArg,
    /// Whether reactions run here.
    pub(super) reacts: bool,
    /// Whether events without effects are needed.
    pub(super) keeps_unmatched: bool,
    /// Whether their times are: deadlines of other events pass with them.
    pub(super) keeps_times: bool,
    pub(super) ahead: Arc<Ahead>,
    pub(super) state: SharedState,
}

/// What preparers and the evaluator know of each other.
#[derive(Debug)]
pub(super) struct Ahead {
    /// Whether the time of the first event that has one is still to be found.
    pub(super) needs_first: AtomicBool,
    /// Bytes that prepared events hold.
    pub(super) bytes: AtomicUsize,
}

/// An event whose turn has come.
pub(super) struct PreparedEvent {
    /// Its time, if it may matter.
    pub(super) time: Option<Timestamp>,
    pub(super) stage: Stage,
}

/// How far an event was prepared.
pub(super) enum Stage {
    /// It has no effects.
    Nothing(Option<NativeEvent>),
    /// The matching rules are known.
    Matched(NativeEvent, Matched),
    /// Also what they do, unless the state changes before the event's turn.
    Prepared(NativeEvent, PreparedEvaluation),
}

impl Preparer {
    pub(super) fn prepare(&self, event: Event) -> Result<PreparedEvent, EventError> {
        let event = NativeEvent::new(event)?;
        let matched = self.rules.matching(&event);
        let needs_time = || self.keeps_times || self.ahead.needs_first.load(Ordering::Relaxed);
        // Reading the time of every event would slow down runs in which few match. An event that
        // is matched before the flag falls has its time read needlessly, never too seldom.
        if matched.is_nothing() {
            return Ok(PreparedEvent {
                time: needs_time().then(|| event_time(&event)).flatten(),
                stage: Stage::Nothing(self.keeps_unmatched.then_some(event)),
            });
        }
        let time = event_time(&event);
        let has_room = self.ahead.bytes.load(Ordering::Relaxed) < MAX_BYTES_AHEAD;
        let now = self.clock.at(time).filter(|_| self.reacts && has_room);
        let stage = match now {
            // The time of the evaluation is known in its turn.
            None => Stage::Matched(event, matched),
            Some(now) => {
                let prepared = self.rules.prepare(&event, matched, now, &self.state);
                let bytes = prepared.bytes();
                self.ahead.bytes.fetch_add(bytes, Ordering::Relaxed);
                Stage::Prepared(event, prepared)
            }
        };
        Ok(PreparedEvent { time, stage })
    }
}
