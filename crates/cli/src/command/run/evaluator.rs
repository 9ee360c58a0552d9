//! The evaluation of events, one after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use reflexarc::RuleSet;

use super::clock::{Clock, ClockArg};
use super::preparer::{Ahead, PreparedEvent, Preparer, Stage};
use super::printer::{Evaluated, Item};
use super::shared_state::SharedState;

/// Evaluations between two removals of expired state. Expired entries are never read; removing them
/// only bounds the memory of long runs.
const REMOVE_EXPIRED_EVERY: u64 = 10_000;

/// Evaluates prepared events, each with the state that the events before it left.
pub(super) struct Evaluator {
    rules: RuleSet,
    state: SharedState,
    clock: Clock,
    evaluations: u64,
    ahead: Arc<Ahead>,
}

impl Evaluator {
    pub(super) fn new(rules: RuleSet, clock: ClockArg) -> Self {
        let clock = Clock::new(clock);
        let ahead = Ahead {
            needs_first: AtomicBool::new(clock.needs_first()),
            bytes: AtomicUsize::new(0),
        };
        Self {
            rules,
            state: SharedState::default(),
            clock,
            evaluations: 0,
            ahead: Arc::new(ahead),
        }
    }

    /// A preparer of its events. `reacts`: it runs on other threads and runs reactions there.
    pub(super) fn preparer(&self, reacts: bool, keeps_unmatched: bool) -> Preparer {
        Preparer {
            rules: self.rules.clone(),
            clock: self.clock.arg(),
            reacts,
            keeps_unmatched,
            ahead: Arc::clone(&self.ahead),
            state: self.state.clone(),
        }
    }

    /// Evaluates the next event, which begins on `line` of `source`.
    pub(super) fn evaluate(&mut self, source: &Arc<str>, line: u64, next: PreparedEvent) -> Item {
        let PreparedEvent { time, stage } = next;
        self.clock.see(time);
        let needs_first = self.clock.needs_first();
        self.ahead.needs_first.store(needs_first, Ordering::Relaxed);
        // Without a rule nothing is evaluated, and the time does not matter.
        if let Stage::Nothing(event) = stage {
            return event.map_or(Item::Unmatched, |event| {
                Item::Evaluated(Evaluated::unmatched(source, line, event))
            });
        }
        let reading = self.clock.read(time);
        let now = reading.now;
        let (event, evaluation) = match stage {
            Stage::Nothing(_) => return Item::Unmatched,
            // No deadline: a script is bounded by its number of operations, so that a busy machine
            // gives the same results as an idle one.
            Stage::Matched(event, matched) => {
                let rules = &self.rules;
                let evaluation = rules.evaluate_matched(&event, &matched, &self.state, now, None);
                (event, evaluation)
            }
            Stage::Prepared(event, prepared) => {
                self.ahead
                    .bytes
                    .fetch_sub(prepared.bytes(), Ordering::Relaxed);
                let evaluation = self.rules.evaluate_prepared(&event, prepared, &self.state);
                (event, evaluation)
            }
        };
        // Evaluation returns changes of state as data; the next event must find them in place.
        self.state.apply(&evaluation);
        self.evaluations += 1;
        if self.evaluations.is_multiple_of(REMOVE_EXPIRED_EVERY) {
            self.state.remove_expired(now);
        }
        Item::Evaluated(Evaluated {
            source: Arc::clone(source),
            line,
            event,
            evaluation,
            assumed_time: reading.is_new.then_some(now),
        })
    }
}
