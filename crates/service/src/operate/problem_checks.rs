//! Problems that are read from the store at regular times: what ages, and what is not looked at.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use reflexarc::RuleSet;
use tokio::sync::watch;

use super::RetentionProgress;
use crate::clock::ServiceClock;
use crate::descriptors;
use crate::dispatch::{TargetGates, failing, flood_detail};
use crate::intake::FailureTracker;
use crate::live_config::LiveConfig;
use crate::shutdown::stopped;
use crate::store::{RuleUse, Store, StoreError};
use crate::telemetry::{Metrics, ProblemKind, Problems, RuleLabel};

/// Time between two checks.
const INTERVAL: Duration = Duration::from_secs(10);
/// Every how many checks the rules are compared with the store, which reads more.
const RULES_EVERY: u32 = 6;
/// Which queues are old.
struct QueueAge {
    now: Timestamp,
    /// From which age on, by target.
    limits: BTreeMap<String, SignedDuration>,
}

/// The size of the write-ahead log from which on it is reported, in bytes.
// It is cut at 32 MiB. Backups of a large store under load reach some hundred MiB, and end.
const MAX_LOG_BYTES: u64 = 64 << 20;

/// What is looked at.
#[derive(Clone)]
pub(crate) struct ProblemSources {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) live: Arc<LiveConfig>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: ServiceClock,
    pub(crate) gates: TargetGates,
    pub(crate) failures: Arc<FailureTracker>,
    pub(crate) retention: Arc<RetentionProgress>,
    /// True once what an earlier process left has been taken over.
    pub(crate) resumed: watch::Receiver<bool>,
    /// Why there are fewer connections than configured, if there are.
    pub(crate) few_connections: Option<String>,
}

/// Checks until `stop` becomes true.
pub(crate) async fn check_regularly(mut sources: ProblemSources, mut stop: watch::Receiver<bool>) {
    // Until then, deliveries to targets that are gone seem to wait.
    tokio::select! {
        _ = sources.resumed.wait_for(|resumed| *resumed) => {}
        () = stopped(&mut stop) => return,
    }
    let mut spans_dropped = 0;
    for round in 0_u32.. {
        let rules = round
            .is_multiple_of(RULES_EVERY)
            .then(|| sources.live.rules.load_full());
        let dropped = sources.metrics.spans_dropped.get();
        let more_dropped = dropped - std::mem::replace(&mut spans_dropped, dropped);
        let sources = sources.clone();
        let checked = tokio::task::spawn_blocking(move || {
            let problems = &sources.metrics.problems;
            check_clock(&sources.clock, &sources.metrics);
            check_pending(sources.store.as_ref(), &sources.live.rules.load(), problems);
            check_targets(&sources.gates, problems);
            check_failing(&sources.failures, &sources.live.rules.load(), problems);
            sources.clock.record();
            let age = QueueAge {
                now: sources.clock.aging_now(),
                limits: sources.gates.aging_after(),
            };
            check(
                sources.store.as_ref(),
                rules.as_deref(),
                &sources.metrics,
                &age,
            );
            check_log(sources.store.as_ref(), &sources.metrics);
            let behind = sources.retention.problem(Instant::now());
            problems.set_level(ProblemKind::RetentionBehind, behind);
            let few = descriptors::shortage().or(sources.few_connections);
            problems.set_level(ProblemKind::DescriptorsLow, few);
            if more_dropped > 0 {
                let detail = "the collector is slower than the service, or does not accept them";
                problems.report(ProblemKind::TracesDropped, "", more_dropped, detail);
            }
            problems.summarize();
        });
        // An error would be a panic; the next check is another attempt.
        drop(checked.await);
        if tokio::time::timeout(INTERVAL, stopped(&mut stop))
            .await
            .is_ok()
        {
            return;
        }
    }
}

/// Reports a jump of the wall clock, or that it is over.
pub(crate) fn check_clock(clock: &ServiceClock, metrics: &Metrics) {
    let jump = clock.suspected();
    let offset = jump.map_or(0, |jump| jump.offset.as_secs());
    metrics.clock_offset.set(offset);
    let subjects = jump.map(|jump| (String::new(), (1, jump.message())));
    let subjects = subjects.into_iter().collect();
    metrics.problems.set(ProblemKind::ClockJump, &subjects);
}

/// Lists the rules with at least four fifths of the keys that they may have, pending or remembered.
fn check_pending(store: &dyn Store, rules: &RuleSet, problems: &Problems) {
    // A store that cannot be read is another problem.
    let Ok(counts) = store.match_counts() else {
        return;
    };
    let filling = counts.into_iter().filter_map(|count| {
        let max = rules.live_window(&count.rule)?.max_pending as u64;
        let (pending, kept) = (count.pending, count.kept);
        let most = pending.max(kept);
        let detail = format!("{pending} pending and {kept} remembered keys, of each at most {max}");
        (most.saturating_mul(5) >= max.saturating_mul(4)).then_some((count.rule, (most, detail)))
    });
    problems.set(ProblemKind::PendingFilling, &filling.collect());
}

/// Lists the rules that have failed several times in a row and not succeeded since.
fn check_failing(failures: &FailureTracker, rules: &RuleSet, problems: &Problems) {
    let failing = failures.current(rules).into_iter().map(|(rule, failing)| {
        let (count, message) = (failing.in_a_row, failing.message);
        let detail = format!("{count} failures in a row: {message}");
        (rule, (u64::from(count), detail))
    });
    problems.set(ProblemKind::RuleFailing, &failing.collect());
}

/// Lists the targets that are paused, and those whose circuit breakers are not closed.
fn check_targets(gates: &TargetGates, problems: &Problems) {
    let (mut paused, mut not_accepting) = (BTreeMap::new(), BTreeMap::new());
    let (mut flooded, mut stopped) = (BTreeMap::new(), BTreeMap::new());
    for status in gates.statuses() {
        if !status.flooding.is_empty() {
            let detail = flood_detail(&status.flooding);
            flooded.insert(status.target.clone(), (1, detail));
        }
        if let Some(detail) = status.changes_stopped {
            stopped.insert(status.target.clone(), (1, detail));
        }
        let reason = status.reason.as_deref().unwrap_or_default();
        if let Some(by) = &status.paused_by {
            paused.insert(status.target, (1, paused_detail(by, reason)));
        } else if status.since.is_some() {
            let detail = failing(status.failures, reason);
            not_accepting.insert(status.target, (1, detail));
        }
    }
    problems.set(ProblemKind::TargetPaused, &paused);
    problems.set(ProblemKind::TargetFailing, &not_accepting);
    problems.set(ProblemKind::Flood, &flooded);
    problems.set(ProblemKind::ChangesStopped, &stopped);
}

/// What the list of problems says of a paused target.
pub(crate) fn paused_detail(by: &str, reason: &str) -> String {
    format!("by {by}: {reason}")
}

/// Reports a write-ahead log that cannot be cut, because something reads the store as it was long
/// ago. It grows until that ends or the disk is full.
fn check_log(store: &dyn Store, metrics: &Metrics) {
    // A store that is gone is another problem.
    let Ok(bytes) = store.log_bytes() else {
        return;
    };
    let detail = format!(
        "it has {} MiB, and a process still reads the store",
        bytes >> 20
    );
    let detail = Some(detail).filter(|_| bytes > MAX_LOG_BYTES);
    metrics
        .problems
        .set_level(ProblemKind::StoreLogLarge, detail);
}

/// One check; `rules` are compared with the store if they are given.
fn check(store: &dyn Store, rules: Option<&RuleSet>, metrics: &Metrics, age: &QueueAge) {
    let problems = &metrics.problems;
    let found = read(store, age).and_then(|mut found| {
        if let Some(rules) = rules {
            let used = store.rules_in_use()?;
            found.push((ProblemKind::RuleGone, gone(&used, rules)));
            found.push((ProblemKind::StateFilling, filling(&used, rules)));
            metrics.state_entries.clear();
            for used in used.into_iter().filter(|used| used.entries > 0) {
                let gauge = metrics
                    .state_entries
                    .get_or_create(&RuleLabel { rule: used.rule });
                gauge.set(i64::try_from(used.entries).unwrap_or(i64::MAX));
            }
        }
        Ok(found)
    });
    match found {
        Ok(found) => {
            problems.over(ProblemKind::StoreUnreadable);
            for (kind, subjects) in found {
                problems.set(kind, &subjects);
            }
        }
        Err(error) => {
            let detail = error.to_string();
            if problems.holds(ProblemKind::StoreUnreadable, "", &detail) {
                tracing::error!(%error, "cannot read the store");
            }
        }
    }
}

/// The subjects of a problem, each with its count and detail.
type Subjects = BTreeMap<String, (u64, String)>;

fn read(store: &dyn Store, age: &QueueAge) -> Result<Vec<(ProblemKind, Subjects)>, StoreError> {
    let letters = store.dead_letter_counts()?.into_iter();
    let letters = letters.map(|(target, count)| {
        let detail = format!("dead letters of this target in the store: {count}");
        (target, (count, detail))
    });
    let mut found = vec![(ProblemKind::DeadLetters, letters.collect())];
    let depths = store.queue_depths(age.now)?.into_iter();
    let aging = depths.filter_map(|depth| {
        let (target, count, oldest) = (depth.target, depth.waiting, depth.oldest?);
        // Of a target that does not exist they become dead letters soon.
        let limit = *age.limits.get(&target)?;
        let detail = format!("the oldest of {count} deliveries waits since {oldest}");
        let is_old = age.now.duration_since(oldest) > limit;
        is_old.then_some((target, (count, detail)))
    });
    found.push((ProblemKind::QueueAging, aging.collect()));
    Ok(found)
}

/// Rules that the store knows and that do not exist.
fn gone(used: &[RuleUse], rules: &RuleSet) -> Subjects {
    let gone = used.iter().filter(|used| rules.get(&used.rule).is_none());
    let subjects = gone.map(|used| {
        let (pending, entries, matches) = (used.pending, used.entries, used.matches);
        let mut detail = format!("{pending} pending deliveries and {entries} state entries");
        if matches > 0 {
            detail = format!("{detail}, {matches} matches");
        }
        (used.rule.clone(), (pending.max(1), detail))
    });
    subjects.collect()
}

/// Rules with at least four fifths of the state entries that they may have.
fn filling(used: &[RuleUse], rules: &RuleSet) -> Subjects {
    let subjects = used.iter().filter_map(|used| {
        let max = rules.get(&used.rule)?.max_entries() as u64;
        let entries = used.entries;
        let detail = format!("{entries} state entries of at most {max}");
        (entries.saturating_mul(5) >= max.saturating_mul(4))
            .then(|| (used.rule.clone(), (entries, detail)))
    });
    subjects.collect()
}
