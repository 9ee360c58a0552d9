//! Evaluation workers: the speculative half of intake.
//!
//! A worker evaluates its events before their batch is committed and passes the result to the
//! commit sequencer (`sequencer.rs`), which decides when that is. What it passes on is a closure
//! that the store's writer calls inside the transaction: it validates the speculative evaluation
//! or runs it again (see [`SpeculativeEvaluation::validate_or_rerun`]).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use reflexarc::{Evaluation, Failure, Matched, RuleSet};
use reflexarc_event::Json;
use reflexarc_reaction::{State, StateChange};

use super::admission::Admission;
use super::budget::{BudgetAccounts, EventAccount, EventBudget};
use super::failures::FailureTracker;
use super::stopwatch::ThreadStopwatch;
use super::weight::release_trees;
use super::{Batch, BatchContext, SharedSequencer};
use crate::deadlines::Deadlines;
use crate::live::{LiveBroadcast, observe};
use crate::store::{
    EvaluateInTransaction, Incoming, ReadSet, StateReader, Store, StoreError, StoredState,
};
use crate::telemetry::{Span, Stage, Telemetry};

/// An event to be evaluated, and its position in its batch.
pub(super) struct WorkItem {
    pub(super) batch: u64,
    pub(super) position: usize,
    pub(super) incoming: Incoming,
    pub(super) now: Timestamp,
}

/// One thread that evaluates the events of its resources.
pub(super) struct EvaluationWorker {
    pub(super) store: Arc<dyn Store>,
    pub(super) rules: Arc<ArcSwap<RuleSet>>,
    /// A view of its own, so that workers never wait for each other or for the writer.
    pub(super) state: Box<dyn StateReader>,
    pub(super) sequencer: Arc<SharedSequencer>,
    pub(super) failures: Arc<FailureTracker>,
    pub(super) budgets: Arc<BudgetAccounts>,
    pub(super) admission: Arc<Admission<Batch>>,
    pub(super) deadlines: Arc<Deadlines>,
    pub(super) telemetry: Telemetry,
    pub(super) broadcast: LiveBroadcast,
}

/// An evaluation against the state as last committed, and the reads that it depends on.
struct SpeculativeEvaluation {
    rules: Arc<RuleSet>,
    matched: Option<Matched>,
    now: Timestamp,
    /// With what it depends on; `None` where it has to wait for its turn.
    evaluation: Option<(Evaluation, Result<ReadSet, StoreError>)>,
    budgets: Arc<BudgetAccounts>,
    /// What the evaluation was charged for.
    account: EventAccount,
    started: Timestamp,
    duration: Duration,
}

impl EvaluationWorker {
    /// Evaluates until the channel is closed and empty.
    pub(super) fn run(&self, items: &mpsc::Receiver<WorkItem>) {
        while let Ok(item) = items.recv() {
            let WorkItem {
                batch,
                position,
                incoming,
                now,
            } = item;
            let evaluate = self.speculate(&incoming, now);
            let incoming = release_trees(incoming);
            // The batches are handed to the writer under the sequencer's lock: two workers that
            // release batches at the same time must not swap them on the way.
            let mut sequencer = self.sequencer.lock();
            for (events, context) in sequencer.complete(batch, position, (incoming, evaluate)) {
                let BatchContext { now, permit, reply } = context;
                let (events, reply) = observe(&self.broadcast, events, now, reply);
                self.store
                    .accept_together(events, now, Box::new(permit), reply);
            }
        }
    }

    fn speculate(&self, incoming: &Incoming, now: Timestamp) -> EvaluateInTransaction {
        // One rule set for the whole evaluation: a reload must not mix two versions of a rule.
        let rules = self.rules.load_full();
        let budgets = self.budgets.clone();
        let speculative = SpeculativeEvaluation::run(rules, budgets, incoming, &*self.state, now);
        self.admission.observe(speculative.duration);
        let (failures, telemetry) = (self.failures.clone(), self.telemetry.clone());
        let (live, deadlines) = (self.rules.clone(), self.deadlines.clone());
        Box::new(move |state: &dyn StateReader, incoming: &Incoming, now| {
            let (started, duration) = (speculative.started, speculative.duration);
            let live = live.load_full();
            let (rules, evaluation) = speculative.validate_or_rerun(&live, state, incoming, now)?;
            // Only what is committed counts: a discarded speculation has not happened.
            failures.observe(&rules, &evaluation);
            for at in deadlines_of(&evaluation) {
                deadlines.lower(at);
            }
            if telemetry.is_sampled(&incoming.name) {
                telemetry.record(&evaluation_span(incoming, &evaluation, started, duration));
            }
            Ok(evaluation)
        })
    }
}

impl SpeculativeEvaluation {
    fn run(
        rules: Arc<RuleSet>,
        budgets: Arc<BudgetAccounts>,
        incoming: &Incoming,
        state: &dyn StateReader,
        now: Timestamp,
    ) -> Self {
        let (started, clock) = (Timestamp::now(), Instant::now());
        // Kept for a second run: which rules match does not depend on state.
        let mut account = EventAccount::default();
        let budget = EventBudget::new(&budgets, &mut account);
        let matched = catch_panic(|| rules.matching_within(&incoming.native, &budget));
        // What a rule with a window does depends on the position of the event, which it has only
        // in its turn.
        let waits = matched.as_ref();
        let waits = waits.is_some_and(|matched| rules.matches_window(matched));
        let evaluation = (!waits).then(|| {
            // The worker's own view is the state as of the last commit; it does not block the
            // writer, nor is it blocked.
            let state = StoredState::new(state);
            let matched = matched.as_ref();
            let evaluation = run_reactions(&rules, incoming, matched, &state, now, &budget);
            (evaluation, state.into_reads())
        });
        Self {
            rules,
            matched,
            now,
            evaluation,
            budgets,
            account,
            started,
            duration: clock.elapsed(),
        }
    }

    /// The evaluation to commit: the speculative one if every state entry that it read still has
    /// the same value, and rules and time are the same; else a second run against the state in this
    /// transaction.
    ///
    /// Example: events A and B both run `add("n", 1)` while `n` is 4. Both speculate `n = 5` from
    /// the read set {n: 4}. A commits first and sets `n` to 5. B's validation reads 5 instead of 4,
    /// so B runs again and commits `n = 6`.
    fn validate_or_rerun(
        mut self,
        live: &Arc<RuleSet>,
        state: &dyn StateReader,
        incoming: &Incoming,
        now: Timestamp,
    ) -> Result<(Arc<RuleSet>, Evaluation), StoreError> {
        if !Arc::ptr_eq(live, &self.rules) {
            // A reload came in between, and what follows it in the archive is by its rules. The
            // account is of the rules before.
            self.rules = live.clone();
            (self.evaluation, self.account) = (None, EventAccount::default());
            let budget = EventBudget::new(&self.budgets, &mut self.account);
            self.matched = catch_panic(|| live.matching_within(&incoming.native, &budget));
        }
        if let Some((evaluation, reads)) = self.evaluation {
            if reads?.is_current(state, now)? && now == self.now {
                return Ok((self.rules, evaluation));
            }
            self.account.begin_rerun();
        }
        let state = StoredState::new(state);
        let budget = EventBudget::new(&self.budgets, &mut self.account);
        let (rules, matched) = (&self.rules, self.matched.as_ref());
        let evaluation = run_reactions(rules, incoming, matched, &state, now, &budget);
        // The second read set needs no validation: the writer reads its own transaction. It can
        // only hold a read error, and then nothing of this event is committed.
        state.into_reads()?;
        Ok((self.rules, evaluation))
    }
}

/// The deadlines that an evaluation sets.
fn deadlines_of(evaluation: &Evaluation) -> impl Iterator<Item = Timestamp> {
    let changes = evaluation.changes().flat_map(|(_, changes)| changes);
    changes.filter_map(|change| match change {
        StateChange::SetMatch { kept, .. } => kept.due,
        _ => None,
    })
}

fn evaluation_span<'a>(
    incoming: &'a Incoming,
    evaluation: &Evaluation,
    started: Timestamp,
    duration: Duration,
) -> Span<'a> {
    let failures: Vec<String> = evaluation
        .failures
        .iter()
        .map(|failure| format!("{}: {}", failure.rule, failure.message))
        .collect();
    let attributes = vec![
        ("event.type", incoming.identity.name.as_str().into()),
        ("event.resource", incoming.identity.resource.as_str().into()),
        ("rules.matched", Json::count(evaluation.rules.len())),
        ("rules.failed", Json::count(failures.len())),
        ("actions", Json::count(evaluation.actions().count())),
    ];
    Span {
        event: &incoming.name,
        stage: Stage::Evaluate,
        started,
        duration,
        attributes,
        // A failed reaction marks the span as failed, although the event is stored: that is what
        // people search traces for.
        error: (!failures.is_empty()).then(|| failures.join("; ")),
    }
}

/// Runs the reactions of the rules that matched, each script within its deadline and each rule
/// within its budget.
fn run_reactions(
    rules: &RuleSet,
    incoming: &Incoming,
    matched: Option<&Matched>,
    state: &dyn State,
    now: Timestamp,
    budget: &EventBudget<'_>,
) -> Evaluation {
    // Most events: no clock is read for them.
    if matched.is_some_and(Matched::is_nothing) {
        return Evaluation::default();
    }
    // The engine has no clock of its own; it is pure, so that replays give the same evaluations.
    let watch = ThreadStopwatch::start();
    let stopwatch = || watch.elapsed();
    let evaluation = matched.and_then(|matched| {
        catch_panic(|| {
            let (event, stopwatch) = (&incoming.native, Some(&stopwatch as _));
            rules.evaluate_within(event, matched, state, now, stopwatch, budget)
        })
    });
    evaluation.unwrap_or_else(|| {
        let mut failed = Evaluation::default();
        // A panic in the engine cannot be attributed to one rule.
        let id = &incoming.name.id;
        let message = format!("internal error while evaluating {id}; the event was kept");
        failed.failures.push(Failure::new("", message));
        failed
    })
}

/// Limits a panic to the event that caused it: the worker and all its other resources go on.
pub(super) fn catch_panic<T>(work: impl FnOnce() -> T) -> Option<T> {
    // Unwind safe: the rule set is immutable, and the state only has reads recorded in it, which
    // are thrown away with the evaluation.
    catch_unwind(AssertUnwindSafe(work)).ok()
}
