//! What happens because time passes: deadlines, and changes of clock and rules.
//!
//! All of it happens inside transactions of the store, on the thread of its writer, and is an entry
//! of the archive, so that the archive tells in which order it happened:
//!
//! | entry | when | what it does |
//! |---|---|---|
//! | `firing` | a deadline has passed | the reaction of the rule; its state and deliveries |
//! | `resumed` | nothing looked at deadlines for 15 seconds, and some have passed | they wait for `settle` |
//! | `clock` | a jump of the wall clock was accepted | all deadlines move by as much |
//! | `answer` | a call was answered | what the rule does with it |
//! | `reload` | the rules changed | matches of windows that are gone are closed |
//!
//! # Order
//!
//! Deadlines up to the time of a batch fire before its events ([`Timeline::advance`]), as far as a
//! transaction has room for them: when 100,000 come at once, events are accepted between them, and
//! the engine fires what is overdue of the matches that an event changes. The scheduler
//! (`scheduler.rs`) fires what no event does.

mod answers;
mod entries;
#[cfg(test)]
mod replay_tests;
mod report;
mod scheduler;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use reflexarc::{Evaluation, Rule, RuleSet};
use reflexarc_event::Json;

pub(crate) use self::answers::{EndedCall, answer_regularly};
use self::entries::{clock_entry, firing_entry, reload_entry, resumed_entry};
use self::report::Report;
pub(crate) use self::scheduler::fire_regularly;
use crate::clock::ServiceClock;
use crate::deadlines::Deadlines;
use crate::dispatch::Wake;
use crate::intake::{FailureTracker, arm, fire};
use crate::live::LiveBroadcast;
use crate::nodes::{Nodes, setup_of_targets};
use crate::service::blocking;
use crate::store::{
    Advanced, AfterCommit, EntryKind, Reply, Store, StoreError, TimeTransaction, TimeWork, Timeline,
};
use crate::telemetry::{Metrics, ProblemKind, Problems};

/// Time without a look at deadlines after which those that have passed wait once more.
const MAX_SILENCE: SignedDuration = SignedDuration::from_secs(15);
/// Deadlines that are fired before the events of one batch.
// A few milliseconds: more is left to the scheduler, so that events are accepted meanwhile.
const MAX_BEFORE_EVENTS: usize = 32;
/// Deadlines that are fired before the rules change; what is left is of the rules after.
const MAX_BEFORE_RELOAD: usize = 1_000;

/// How long nodes may take to notice the same jump of their clock.
const SAME_JUMP: SignedDuration = SignedDuration::from_mins(15);
/// By how much their measures of it may differ.
const MAX_DIFFERENCE: SignedDuration = SignedDuration::from_secs(10);
/// How often deadlines are looked for that other nodes have set.
const SHARED_TICK: Duration = Duration::from_secs(1);

/// How long events are accepted without firing deadlines before them after that has failed.
const FAILED_FOR: Duration = Duration::from_secs(10);

/// The [`Timeline`] of a service. Clones share it.
#[derive(Clone)]
pub(crate) struct ServiceTimeline {
    inner: Arc<Inner>,
}

/// What a [`ServiceTimeline`] is made of.
pub(crate) struct TimelineParts {
    pub(crate) rules: Arc<ArcSwap<RuleSet>>,
    pub(crate) failures: Arc<FailureTracker>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: ServiceClock,
    pub(crate) wake: Wake,
    pub(crate) store: Weak<dyn Store>,
    pub(crate) broadcast: LiveBroadcast,
    pub(crate) nodes: Nodes,
}

struct Inner {
    parts: TimelineParts,
    deadlines: Arc<Deadlines>,
    /// When deadlines were last looked at.
    looked: Mutex<Timestamp>,
    /// Targets of deliveries that have no queue.
    unknown_targets: Mutex<BTreeSet<String>>,
    /// When something of this failed, unless it has succeeded since.
    failed: Mutex<Option<Instant>>,
    /// More is due than the scheduler has fired in a step.
    is_flood: AtomicBool,
    /// Transactions that have accepted events.
    batches: AtomicU64,
    /// When the scheduler last ended a step.
    stepped: Mutex<Instant>,
    /// What other rules have left was not ended, because another node may have them.
    has_deferred: AtomicBool,
}

impl ServiceTimeline {
    /// A timeline that goes on where another process ended at `looked`.
    pub(crate) fn new(
        parts: TimelineParts,
        deadlines: Arc<Deadlines>,
        looked: Option<Timestamp>,
    ) -> Self {
        let now = parts.clock.now();
        let looked = looked.map_or(now, |looked| looked.min(now));
        Self {
            inner: Arc::new(Inner {
                parts,
                deadlines,
                looked: Mutex::new(looked),
                unknown_targets: Mutex::default(),
                failed: Mutex::default(),
                is_flood: AtomicBool::new(false),
                batches: AtomicU64::new(0),
                stepped: Mutex::new(Instant::now()),
                has_deferred: AtomicBool::new(false),
            }),
        }
    }

    /// Makes rules live: closes the matches of windows that they do not have, and begins what they
    /// wait for before any event. Blocks. Returns how many pending matches were closed.
    ///
    /// # Errors
    /// If the store fails; then the rules before stay live.
    pub(crate) fn replace_rules(&self, rules: RuleSet) -> Result<u64, StoreError> {
        let rules = Arc::new(rules);
        let before = self.inner.parts.rules.load().hash();
        // First, so that no other node closes what these rules have.
        self.announce(rules.hash())?;
        let replaced = self.make_live(&rules);
        if replaced.is_err() {
            self.report_announcement(&self.announce(before));
        }
        replaced
    }

    fn make_live(&self, rules: &Arc<RuleSet>) -> Result<u64, StoreError> {
        let rules = rules.clone();
        let closed = Arc::new(Mutex::new(0));
        let (timeline, count) = (self.clone(), closed.clone());
        let work: TimeWork = Box::new(move |transaction| {
            let now = timeline.inner.parts.clock.now();
            let mut report = Report::default();
            // What has passed is still of the rules before.
            let now = timeline.advance_to(transaction, now, MAX_BEFORE_RELOAD, &mut report)?;
            *lock(&count) = timeline.begin_rules(transaction, &rules, now, true, &mut report)?;
            Ok(Some(timeline.after_commit(
                transaction,
                report,
                Some(rules),
            )?))
        });
        self.submit(work)?.wait()?;
        let closed = *lock(&closed);
        Ok(closed)
    }

    /// Begins with the live rules, which may be others than those of the process before. Blocks.
    ///
    /// # Errors
    /// If the store fails; then what was left for later stays so.
    pub(crate) fn begin(&self) -> Result<(), StoreError> {
        // First, as the transaction may leave something for later again.
        let had_deferred = self.inner.has_deferred.swap(false, Ordering::Relaxed);
        let begun = self.begin_live_rules();
        if begun.is_err() && had_deferred {
            self.defer();
        }
        begun
    }

    fn begin_live_rules(&self) -> Result<(), StoreError> {
        let timeline = self.clone();
        let work: TimeWork = Box::new(move |transaction| {
            let rules = timeline.inner.parts.rules.load_full();
            let now = timeline.inner.parts.clock.now();
            let mut report = Report::default();
            // First, because closing matches must not look like firing them.
            timeline.begin_rules(transaction, &rules, now, false, &mut report)?;
            Ok(Some(timeline.after_commit(transaction, report, None)?))
        });
        self.submit(work)?.wait()
    }

    /// Whether something of other rules is to be ended once all nodes have the same rules.
    pub(crate) fn has_deferred(&self) -> bool {
        self.inner.has_deferred.load(Ordering::Relaxed)
    }

    fn defer(&self) {
        self.inner.has_deferred.store(true, Ordering::Relaxed);
    }

    /// Closes the matches that the rules do not have, and begins what they wait for. Returns how
    /// many pending matches were closed.
    fn begin_rules(
        &self,
        transaction: &mut dyn TimeTransaction,
        rules: &RuleSet,
        now: Timestamp,
        is_reload: bool,
        report: &mut Report,
    ) -> Result<u64, StoreError> {
        let hash = rules.hash();
        let closed = if transaction.has_other_rules(&hash)? {
            // They may be of that node.
            self.defer();
            Vec::new()
        } else {
            transaction.close_matches(&live_windows(rules), now)?
        };
        let closed: BTreeMap<_, _> = closed.into_iter().collect();
        let armed = arm(rules, transaction, now)?;
        let newest = transaction.newest(EntryKind::Reload)?;
        let is_same = newest
            .is_some_and(|(_, detail)| detail.get("hash").and_then(Json::as_str) == Some(&*hash));
        // Rules without windows leave no entry at a start: nothing depends on when it was.
        let begins = rules.has_windows() && !is_same;
        let count = closed.values().sum();
        if is_reload || begins || !closed.is_empty() || !armed.rules.is_empty() {
            let entry = reload_entry(now, &hash, rules.len(), &closed);
            transaction.add(entry, &armed, now)?;
        }
        report.closed.extend(closed);
        Ok(count)
    }

    /// Tells the other nodes which rules this one is about to run.
    fn announce(&self, hash: String) -> Result<(), StoreError> {
        let parts = &self.inner.parts;
        let store = parts.store.upgrade().ok_or(StoreError::Closed)?;
        parts.nodes.announce(&*store, |setup| setup.rules = hash)
    }

    /// Tells the other nodes which targets this one is about to have. Blocks. A failure is only
    /// reported: the next beat repeats it.
    pub(crate) fn announce_targets(&self, names: &[String]) {
        let parts = &self.inner.parts;
        let Some(store) = parts.store.upgrade() else {
            return;
        };
        let targets = setup_of_targets(names);
        let announced = parts
            .nodes
            .announce(&*store, |setup| setup.targets = targets);
        self.report_announcement(&announced);
    }

    fn report_announcement(&self, announced: &Result<(), StoreError>) {
        if let Err(error) = announced {
            let detail = format!("{error}; the next beat tells other nodes what this one runs");
            let kind = ProblemKind::StoreOperationFailed;
            self.problems().report(kind, "beat", 1, &detail);
        }
    }

    /// Looks for deadlines that other nodes have set.
    async fn look_for_deadlines(&self) -> Result<(), StoreError> {
        let parts = &self.inner.parts;
        let Some(store) = parts.store.upgrade().filter(|_| parts.nodes.are_shared()) else {
            return Ok(());
        };
        if let Some(next) = blocking(move || store.next_deadline()).await? {
            self.inner.deadlines.lower(next);
        }
        Ok(())
    }

    /// The longest time between two looks for deadlines.
    fn tick(&self) -> Duration {
        if self.inner.parts.nodes.are_shared() {
            SHARED_TICK
        } else {
            scheduler::TICK
        }
    }

    /// Whether the live rules have this one, and it is enabled.
    pub(crate) fn has_rule(&self, rule: &str) -> bool {
        let rules = self.inner.parts.rules.load();
        rules.get(rule).is_some_and(Rule::enabled)
    }

    /// Whether a deadline has passed, or may have.
    pub(crate) fn is_due(&self) -> bool {
        let Inner {
            parts, deadlines, ..
        } = &*self.inner;
        let now = parts.clock.now();
        let is_due = deadlines.are_due(now);
        if !is_due {
            self.look(now);
        }
        is_due
    }

    /// Fires what is due in a transaction of its own, at most `limit`. `None` if the store is gone.
    fn submit_step(&self, limit: usize) -> Option<Reply<()>> {
        let timeline = self.clone();
        let work: TimeWork = Box::new(move |transaction| {
            let now = timeline.inner.parts.clock.now();
            let mut report = Report::default();
            timeline.advance_to(transaction, now, limit, &mut report)?;
            Ok(Some(timeline.after_commit(transaction, report, None)?))
        });
        self.submit(work).ok()
    }

    /// Adopts a jump of the clock that was accepted just now, if there is one.
    ///
    /// # Errors
    /// If the store fails; then it is adopted when the store works.
    pub(crate) async fn adopt_clock(&self) -> Result<(), StoreError> {
        match self.submit_adoption() {
            None => Ok(()),
            Some(reply) => reply.await,
        }
    }

    /// Adopts a jump of the clock that is accepted: moves all deadlines by as much, in the
    /// transaction after which the time is the new one. `None` if there is none.
    fn submit_adoption(&self) -> Option<Reply<()>> {
        let clock = &self.inner.parts.clock;
        if !clock.has_accepted() {
            return None;
        }
        let timeline = self.clone();
        let work: TimeWork = Box::new(move |transaction| {
            // Here, where no other transaction can come in between: from now on nothing gets a time
            // by either clock.
            let Some(adoption) = timeline.inner.parts.clock.begin_adoption() else {
                return Ok(None);
            };
            let (now, offset) = (adoption.now, adoption.offset);
            let (mut matches, mut deliveries) = (0, 0);
            // All nodes go by one clock, and one of them moves what they share.
            let is_shared = timeline.inner.parts.nodes.are_shared();
            if !is_shared || !has_moved(transaction, now, offset)? {
                (matches, deliveries) = transaction.shift_times(offset)?;
                let entry = clock_entry(now, offset, (matches, deliveries));
                transaction.add(entry, &Evaluation::default(), now)?;
            }
            let rules = timeline.inner.parts.rules.load_full();
            timeline.begin_deadlines(transaction, &rules)?;
            Ok(Some(Box::new(move || {
                timeline.inner.deadlines.commit();
                {
                    let mut looked = lock(&timeline.inner.looked);
                    *looked = looked.saturating_add(offset).unwrap_or(now);
                }
                adoption.finish();
                let offset = offset.as_secs();
                tracing::info!(
                    offset,
                    matches,
                    deliveries,
                    "the clock was set; deadlines are moved by as much"
                );
            })))
        });
        self.submit(work).ok()
    }

    /// How long until the next deadline.
    fn until_next(&self) -> Duration {
        let now = self.inner.parts.clock.now();
        let next = self.inner.deadlines.earliest();
        next.map_or(Duration::MAX, |next| {
            // Of a deadline that has just passed, nothing.
            Duration::try_from(now.duration_until(next)).unwrap_or(Duration::ZERO)
        })
    }

    async fn deadlines_changed(&self) {
        self.inner.deadlines.changed().await;
    }

    /// Asks the store for the next deadline before the next event.
    #[cfg(test)]
    fn forget_deadlines(&self) {
        self.inner.deadlines.lower(Timestamp::MIN);
    }

    /// How many transactions have accepted events.
    fn batches(&self) -> u64 {
        self.inner.batches.load(Ordering::Relaxed)
    }

    fn set_flood(&self, is_flood: bool) {
        self.inner.is_flood.store(is_flood, Ordering::Relaxed);
    }

    /// Keeps the time for the next process. Does not wait for the disk.
    fn record_time(&self) {
        let clock = self.inner.parts.clock.clone();
        drop(tokio::task::spawn_blocking(move || clock.record()));
    }

    /// Moves deliveries to targets that do not exist to the dead letters.
    fn move_unknown_targets(&self) {
        let unknown = std::mem::take(&mut *lock(&self.inner.unknown_targets));
        let parts = &self.inner.parts;
        // Not by the writer of the store, which would be the last to hold it at the end.
        if !unknown.is_empty()
            && let Some(store) = parts.store.upgrade()
        {
            let unknown: Vec<String> = unknown.into_iter().collect();
            parts.wake.wake(&unknown, &*store, parts.clock.now());
        }
    }

    fn problems(&self) -> &Problems {
        &self.inner.parts.metrics.problems
    }

    fn submit(&self, work: TimeWork) -> Result<Reply<()>, StoreError> {
        let store = self.inner.parts.store.upgrade();
        let store = store.ok_or(StoreError::Closed)?;
        Ok(store.submit_time(work))
    }

    /// Brings everything up to `now`, but fires at most `limit` deadlines. Returns the time that
    /// entries have from then on.
    fn advance_to(
        &self,
        transaction: &mut dyn TimeTransaction,
        now: Timestamp,
        limit: usize,
        report: &mut Report,
    ) -> Result<Timestamp, StoreError> {
        let parts = &self.inner.parts;
        // A batch may have got its time before the clock was set back.
        let now = now.min(parts.clock.now());
        let rules = parts.rules.load_full();
        let mut looked = *lock(&self.inner.looked);
        if now.duration_since(looked) > MAX_SILENCE
            && let Some(others) = transaction.others_worked()?
        {
            looked = looked.max(others);
        }
        if now.duration_since(looked) > MAX_SILENCE {
            resume(transaction, &rules, now, looked)?;
        }
        report.looked = Some(now);
        fire_due(transaction, &rules, now, limit, report)?;
        Ok(now)
    }

    /// What is to be done once the transaction is committed.
    fn after_commit(
        &self,
        transaction: &dyn TimeTransaction,
        report: Report,
        rules: Option<Arc<RuleSet>>,
    ) -> Result<AfterCommit, StoreError> {
        let live = rules
            .clone()
            .unwrap_or_else(|| self.inner.parts.rules.load_full());
        self.begin_deadlines(transaction, &live)?;
        let timeline = self.clone();
        Ok(Box::new(move || {
            let Inner {
                parts,
                deadlines,
                unknown_targets,
                failed,
                ..
            } = &*timeline.inner;
            deadlines.commit();
            *lock(failed) = None;
            if let Some(now) = report.looked {
                timeline.look(now);
            }
            let live = parts.rules.load_full();
            let unknown = report.publish(parts, &live);
            lock(unknown_targets).extend(unknown);
            if let Some(rules) = rules {
                parts.rules.store(rules);
            }
        }))
    }

    /// Notes the earliest deadline of these rules as it is in the open transaction.
    fn begin_deadlines(
        &self,
        transaction: &dyn TimeTransaction,
        rules: &RuleSet,
    ) -> Result<(), StoreError> {
        let next = transaction.due(Timestamp::MAX, 1, &live_windows(rules))?;
        let next = next.first().map(|due| due.at);
        self.inner.deadlines.begin(next);
        Ok(())
    }

    /// Whether firing has failed of late.
    fn has_failed(&self) -> bool {
        lock(&self.inner.failed).is_some_and(|failed| failed.elapsed() < FAILED_FOR)
    }

    /// Records that deadlines were looked at.
    fn look(&self, now: Timestamp) {
        let mut looked = lock(&self.inner.looked);
        *looked = now.max(*looked);
    }
}

impl Timeline for ServiceTimeline {
    fn advance(
        &self,
        transaction: &mut dyn TimeTransaction,
        now: Timestamp,
    ) -> Result<Advanced, StoreError> {
        self.inner.batches.fetch_add(1, Ordering::Relaxed);
        let now = now.min(self.inner.parts.clock.now());
        // Nearly always: no statement runs for it.
        if !self.inner.deadlines.are_due(now) {
            self.look(now);
            return Ok(Advanced {
                now,
                after_commit: None,
            });
        }
        // Events are accepted beside a deadline that cannot be fired, and beside more than can be
        // fired at once: the scheduler goes on with both. What is overdue of the matches that an
        // event changes fires with the event.
        if self.has_failed() || self.inner.is_flood.load(Ordering::Relaxed) {
            return Ok(Advanced {
                now,
                after_commit: None,
            });
        }
        let mut report = Report::default();
        let advanced = self.advance_to(transaction, now, MAX_BEFORE_EVENTS, &mut report);
        let advanced = advanced.and_then(|now| {
            Ok(Advanced {
                now,
                after_commit: Some(self.after_commit(transaction, report, None)?),
            })
        });
        if advanced.is_err() {
            *lock(&self.inner.failed) = Some(Instant::now());
        }
        advanced
    }
}

/// Fires at most `limit` deadlines up to `now`, each as an entry.
fn fire_due(
    transaction: &mut dyn TimeTransaction,
    rules: &RuleSet,
    now: Timestamp,
    limit: usize,
    report: &mut Report,
) -> Result<(), StoreError> {
    // Asked for one by one: what fires may be due again at once, before others.
    for _ in 0..limit {
        let due = transaction.due(now, 1, &live_windows(rules))?;
        let Some(due) = due.into_iter().next() else {
            return Ok(());
        };
        let evaluation = fire(rules, &due, transaction)?;
        let entry = firing_entry(&due, &evaluation);
        let accepted = transaction.add(entry, &evaluation, now)?;
        report.add(due, now, evaluation, accepted);
    }
    Ok(())
}

/// The windows that these rules have.
fn live_windows(rules: &RuleSet) -> impl Fn(&str, u64) -> bool {
    |rule, window| {
        let live = rules.live_window(rule);
        live.is_some_and(|live| live.fingerprint == window)
    }
}

/// Whether another node has moved all times by about as much just now.
fn has_moved(
    transaction: &dyn TimeTransaction,
    now: Timestamp,
    offset: SignedDuration,
) -> Result<bool, StoreError> {
    let Some((at, detail)) = transaction.newest(EntryKind::Clock)? else {
        return Ok(false);
    };
    let Some(moved) = detail.get("offset_microseconds").and_then(Json::as_i64) else {
        return Ok(false);
    };
    let moved = SignedDuration::from_micros(moved);
    let differs_by = (moved - offset).abs();
    Ok(now.duration_since(at) < SAME_JUMP && differs_by < MAX_DIFFERENCE)
}

/// Lets what has passed since `since`, when nothing looked at deadlines, wait once more.
fn resume(
    transaction: &mut dyn TimeTransaction,
    rules: &RuleSet,
    now: Timestamp,
    since: Timestamp,
) -> Result<(), StoreError> {
    let settled = |rule: &str| {
        let window = rules.live_window(rule)?;
        now.saturating_add(window.settle).ok()
    };
    let matches = transaction.postpone_due(now, &settled)?;
    if matches > 0 {
        transaction.add(
            resumed_entry(now, since, matches),
            &Evaluation::default(),
            now,
        )?;
        let since = since.to_string();
        tracing::info!(
            since,
            matches,
            "deadlines passed while nothing ran; they wait once more"
        );
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
