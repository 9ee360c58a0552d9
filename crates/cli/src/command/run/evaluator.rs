//! The evaluation of events, one after the other, and of the deadlines between them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use jiff::{SignedDuration, Timestamp};
use reflexarc::{DelayedAction, DelayedActions, Rule, RuleSet};

use super::clock::{Clock, ClockArg, Reading};
use super::deadlines::{self, Progress, Remaining, UntilArg};
use super::preparer::{Ahead, PreparedEvent, Preparer, Stage};
use super::printer::{Evaluated, Item};
use super::shared_state::SharedState;
use crate::exit::Failure;

/// Evaluations between two removals of expired state. Expired entries are never read; removing them
/// only bounds the memory of long runs.
const REMOVE_EXPIRED_EVERY: u64 = 10_000;

/// Evaluates prepared events, each with the state that the events before it left.
pub(super) struct Evaluator {
    rules: RuleSet,
    state: SharedState,
    clock: Clock,
    /// Absent where no rule has a time window or delays actions: then nothing is ever due.
    progress: Option<Progress>,
    delayed: DelayedActions,
    evaluations: u64,
    ahead: Arc<Ahead>,
}

/// An event whose turn has come, with the time of its evaluation.
pub(super) struct Turn {
    stage: Stage,
    /// Absent where nothing is to be evaluated.
    reading: Option<Reading>,
    /// The time that was reached, where the event is the first that is much earlier.
    late_at: Option<Timestamp>,
}

impl Evaluator {
    pub(super) fn new(rules: RuleSet, clock: ClockArg) -> Self {
        let clock = Clock::new(clock);
        let ahead = Ahead {
            needs_first: AtomicBool::new(clock.needs_first()),
            bytes: AtomicUsize::new(0),
        };
        let waits = |rule: &Rule| rule.enabled() && (rule.window().is_some() || rule.may_delay());
        let progress = rules.rules().any(waits).then(Progress::default);
        Self {
            rules,
            state: SharedState::default(),
            clock,
            progress,
            delayed: DelayedActions::default(),
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
            keeps_times: self.progress.is_some() && self.clock.arg() == ClockArg::Event,
            ahead: Arc::clone(&self.ahead),
            state: self.state.clone(),
        }
    }

    /// Begins the turn of the next event: its time is that of the run now.
    pub(super) fn begin(&mut self, next: PreparedEvent) -> Turn {
        let PreparedEvent { time, stage } = next;
        self.clock.see(time);
        let needs_first = self.clock.needs_first();
        self.ahead.needs_first.store(needs_first, Ordering::Relaxed);
        // Without a rule nothing is evaluated, and the time matters only to what waits.
        let is_evaluated = !matches!(stage, Stage::Nothing(_));
        let reading = is_evaluated.then(|| self.clock.read(time));
        let mut late_at = None;
        if let Some(progress) = &mut self.progress {
            let passed = match &reading {
                Some(reading) if !reading.is_assumed => Some(reading.now),
                Some(_) => None,
                None => self.clock.passed(time),
            };
            // What waits for a first event does so from a time that an event or an argument gives:
            // from 1970 on, which is assumed where none has come yet, everything would be overdue.
            if let Some(now) = passed
                && !progress.is_armed
            {
                self.state.arm(&self.rules, now);
                progress.is_armed = true;
            }
            if let (Some(_), Some(now)) = (&reading, passed) {
                late_at = progress.report_late(now);
            }
            for now in passed.into_iter().chain(reading.as_ref().map(|r| r.now)) {
                progress.reach(now);
            }
        }
        Turn {
            stage,
            reading,
            late_at,
        }
    }

    /// Fires the next deadline up to the time that has been reached, or delivers the next delayed
    /// action. Called until nothing is due, before the event of the turn is evaluated.
    pub(super) fn fire_next(&mut self) -> Option<Item> {
        let reached = self.progress.as_ref()?.reached?;
        // What is due at the time of a deadline has been sent when that fires.
        let before = self.delayed.next_due().and_then(just_before);
        let limit = before.map_or(reached, |before| before.min(reached));
        let Some(mut due) = self.state.fire_next(&self.rules, limit) else {
            return self.delayed.take_due(reached).map(delayed_item);
        };
        self.delayed.hold(&mut due.evaluation, due.at);
        Some(Item::Fired(due.into()))
    }

    /// Evaluates the event of the turn, which begins on `line` of `source`.
    pub(super) fn evaluate(&mut self, source: &Arc<str>, line: u64, turn: Turn) -> Item {
        let Turn {
            stage,
            reading,
            late_at,
        } = turn;
        if let Some(reached) = self.progress.as_ref().and_then(|progress| progress.reached) {
            self.state.advance(reached);
        }
        let Some(reading) = reading else {
            return match stage {
                Stage::Nothing(Some(event)) => {
                    Item::Evaluated(Evaluated::unmatched(source, line, event))
                }
                _ => Item::Unmatched,
            };
        };
        let now = reading.now;
        let (event, mut evaluation) = match stage {
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
        // A late event delays from the time that was reached: nothing is due before.
        let reached = self.progress.as_ref().and_then(|progress| progress.reached);
        let at = reached.map_or(now, |reached| reached.max(now));
        self.delayed.hold(&mut evaluation, at);
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
            late_at,
        })
    }

    /// What is still due after the last event.
    ///
    /// # Errors
    /// If `until` is before the last event.
    pub(super) fn remaining(&mut self, until: UntilArg) -> Result<Remaining, Failure> {
        let reached = match &self.progress {
            None => None,
            Some(progress) => {
                if let (false, Some(now)) = (progress.is_armed, progress.reached) {
                    self.state.arm(&self.rules, now);
                }
                progress.reached
            }
        };
        Remaining::new(until, reached, &self.rules, &self.state.read())
    }

    /// Fires the next deadline after the last event, or delivers the next delayed action.
    ///
    /// # Errors
    /// As [`Remaining::fire_next`].
    pub(super) fn fire_remaining(
        &mut self,
        remaining: &mut Remaining,
    ) -> Result<Option<Item>, Failure> {
        let before = self.delayed.next_due().and_then(just_before);
        let firing = remaining.fire_next(&self.rules, &mut self.state.write(), before)?;
        let (at, item) = match firing {
            Some(mut firing) => {
                self.delayed.hold(&mut firing.evaluation, firing.at);
                (firing.at, Item::Fired(firing))
            }
            None => match self.delayed.take_due(remaining.end()) {
                Some(delayed) => (delayed.at, delayed_item(delayed)),
                None => return Ok(None),
            },
        };
        if let Some(progress) = &mut self.progress {
            progress.reach(at);
        }
        Ok(Some(item))
    }

    /// How many delayed actions of each rule are not due yet.
    pub(super) fn waiting(&self) -> BTreeMap<String, u64> {
        let mut waiting = BTreeMap::new();
        for delayed in self.delayed.iter() {
            *waiting.entry(delayed.effects.rule.clone()).or_default() += 1;
        }
        waiting
    }

    /// How many matches of each rule wait for something.
    pub(super) fn pending(&self) -> BTreeMap<String, u64> {
        let progress = self.progress.as_ref();
        let now = progress.and_then(|progress| progress.reached);
        deadlines::pending(&self.state.read(), now.unwrap_or(Timestamp::MIN))
    }
}

/// The last time before another one.
fn just_before(time: Timestamp) -> Option<Timestamp> {
    time.checked_sub(SignedDuration::from_nanos(1)).ok()
}

fn delayed_item(delayed: DelayedAction) -> Item {
    Item::Delayed(Box::new(delayed))
}
