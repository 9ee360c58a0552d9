//! One thread that evaluates the events of its resources, ahead of their turn to be stored.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use reflexarc::{Evaluation, Failure, Matched, RuleSet};
use reflexarc_reaction::State;
use rusqlite::Connection;

use super::{Failing, Rest, Waiting};
use crate::incoming::Incoming;
use crate::record::number;
use crate::store::{Reads, Shared, Store, StoreError, StoredState, Turn, lock};
use crate::telemetry::{Span, Stage, Telemetry};

/// An event to be evaluated, and its place among those that wait.
pub(super) struct Work {
    pub(super) batch: u64,
    pub(super) place: usize,
    pub(super) incoming: Incoming,
    pub(super) now: Timestamp,
}

pub(super) struct Lane {
    pub(super) store: Arc<Store>,
    pub(super) rules: Arc<ArcSwap<RuleSet>>,
    pub(super) state: Mutex<Connection>,
    pub(super) waiting: Arc<Waiting>,
    pub(super) failing: Arc<Failing>,
    pub(super) telemetry: Telemetry,
}

/// An evaluation made ahead, and what it depends on.
struct Ahead {
    rules: Arc<RuleSet>,
    matched: Option<Matched>,
    evaluation: Evaluation,
    reads: Result<Reads, StoreError>,
    began: Timestamp,
    took: Duration,
}

impl Lane {
    pub(super) fn run(&self, queue: &mpsc::Receiver<Work>) {
        while let Ok(Work {
            batch,
            place,
            incoming,
            now,
        }) = queue.recv()
        {
            let ahead = Ahead::of(self.rules.load_full(), &incoming, &self.state, now);
            let (failing, telemetry) = (self.failing.clone(), self.telemetry.clone());
            let turn: Turn = Box::new(move |connection: &Shared, incoming: &Incoming| {
                let (began, took) = (ahead.began, ahead.took);
                let (rules, evaluation) = ahead.in_turn(connection, incoming, now)?;
                failing.observe(&rules, &evaluation);
                if telemetry.wants(&incoming.name) {
                    telemetry.note(&evaluated(incoming, &evaluation, began, took));
                }
                Ok(evaluation)
            });
            // Handed on under the lock, so that the order of the line is that of the store.
            let mut line = self.waiting.lock();
            for (events, Rest { now, room, answer }) in line.done(batch, place, (incoming, turn)) {
                self.store.accept_together(events, now, room, answer);
            }
        }
    }
}

impl Ahead {
    fn of(
        rules: Arc<RuleSet>,
        incoming: &Incoming,
        state: &Mutex<Connection>,
        now: Timestamp,
    ) -> Self {
        let (began, clock) = (Timestamp::now(), Instant::now());
        let matched = guarded(incoming, || rules.matching(&incoming.native));
        let state = StoredState::new(state);
        let evaluation = react(&rules, incoming, matched.as_ref(), &state, now);
        let reads = state.into_reads();
        Self {
            rules,
            matched,
            evaluation,
            reads,
            began,
            took: clock.elapsed(),
        }
    }

    /// The evaluation as it is when its turn has come: made again if anything it read has changed since.
    fn in_turn(
        self,
        connection: &Shared,
        incoming: &Incoming,
        now: Timestamp,
    ) -> Result<(Arc<RuleSet>, Evaluation), StoreError> {
        if self.reads?.still_hold(&lock(connection), now)? {
            return Ok((self.rules, self.evaluation));
        }
        let state = StoredState::new(connection);
        let evaluation = react(&self.rules, incoming, self.matched.as_ref(), &state, now);
        state.into_reads()?;
        Ok((self.rules, evaluation))
    }
}

fn evaluated<'a>(
    incoming: &'a Incoming,
    evaluation: &Evaluation,
    began: Timestamp,
    took: Duration,
) -> Span<'a> {
    let faults: Vec<String> = evaluation
        .failures
        .iter()
        .map(|failure| format!("{}: {}", failure.rule, failure.message))
        .collect();
    let facts = vec![
        ("event.type", incoming.identity.name.as_str().into()),
        ("event.resource", incoming.identity.resource.as_str().into()),
        ("rules.matched", number(evaluation.rules.len())),
        ("rules.failed", number(faults.len())),
        ("actions", number(evaluation.actions().count())),
    ];
    let fault = (!faults.is_empty()).then(|| faults.join("; "));
    Span {
        event: &incoming.name,
        stage: Stage::Evaluate,
        began,
        took,
        facts,
        fault,
    }
}

/// What the rules that match ask for, each script held to its deadline.
fn react(
    rules: &RuleSet,
    incoming: &Incoming,
    matched: Option<&Matched>,
    state: &dyn State,
    now: Timestamp,
) -> Evaluation {
    let begun = Instant::now();
    let stopwatch = || begun.elapsed();
    let evaluation = matched.and_then(|matched| {
        guarded(incoming, || {
            rules.react(&incoming.native, matched, state, now, Some(&stopwatch))
        })
    });
    evaluation.unwrap_or_else(|| {
        let message = "internal error while evaluating; the event was kept".to_owned();
        Evaluation {
            failures: vec![Failure {
                rule: String::new(),
                hop: 0,
                message,
            }],
            ..Evaluation::default()
        }
    })
}

/// A panic in there costs this event its reactions, not the service its lane.
fn guarded<T>(incoming: &Incoming, work: impl FnOnce() -> T) -> Option<T> {
    let done = catch_unwind(AssertUnwindSafe(work));
    if done.is_err() {
        tracing::error!(
            event = incoming.name.id,
            "evaluating an event panicked; it is kept without reactions"
        );
    }
    done.ok()
}
