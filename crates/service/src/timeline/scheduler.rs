//! The scheduler: the task that fires deadlines when no event does.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use tokio::sync::watch;

use super::ServiceTimeline;
use crate::shutdown::stopped;
use crate::store::StoreError;
use crate::telemetry::ProblemKind;

/// Deadlines that one transaction fires.
// Some milliseconds: events that are accepted meanwhile wait for it.
const STEP: usize = 64;
/// How many times as long as a step events have to themselves after it, if some are accepted and
/// more is due.
// So a flood of deadlines takes a third of the time of the store's writer at most, and events are
// accepted at two thirds of their rate.
const EVENTS_SHARE: u32 = 2;
/// How often the time is looked at although nothing is due.
// A pause of the whole process, such as a suspended machine, is noticed because this did not
// happen: see `MAX_SILENCE`.
pub(super) const TICK: Duration = Duration::from_secs(5);
/// How long a step may take, and the pause before it, unless something is wrong.
// Six times as long as the scheduler sleeps at most; a step is 64 scripts and a commit.
const MAX_STEP: Duration = Duration::from_secs(30);
/// How late a deadline may fire, unless more are due than can fire at once.
const MAX_LATE: SignedDuration = SignedDuration::from_mins(1);
/// The pause after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// Sleeps until the earliest deadline, fires what is due, and goes on until `stop` becomes true.
pub(crate) async fn fire_regularly(timeline: ServiceTimeline, mut stop: watch::Receiver<bool>) {
    loop {
        let (begun, batches) = (Instant::now(), timeline.batches());
        let step = fire_step(&timeline).await;
        let is_flood = matches!(step, Ok(true));
        timeline.set_flood(is_flood);
        if step.is_ok() {
            timeline.record_step();
        }
        let pause = match step {
            Ok(true) if timeline.batches() == batches => Duration::ZERO,
            Ok(true) => begun.elapsed().saturating_mul(EVENTS_SHARE),
            Ok(false) => timeline.until_next().min(timeline.tick()),
            Err(error) => {
                timeline.report_failure(&error);
                RETRY
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = timeline.deadlines_changed(), if !is_flood => {}
            () = stopped(&mut stop) => return,
        }
        if *stop.borrow() {
            return;
        }
    }
}

/// Fires some of what is due. Returns whether there is more.
async fn fire_step(timeline: &ServiceTimeline) -> Result<bool, StoreError> {
    timeline.record_time();
    timeline.move_unknown_targets();
    if let Some(reply) = timeline.submit_adoption() {
        reply.await?;
    }
    timeline.look_for_deadlines().await?;
    if !timeline.is_due() {
        return Ok(false);
    }
    let Some(reply) = timeline.submit_step(STEP) else {
        return Ok(false);
    };
    reply.await?;
    Ok(timeline.is_due())
}

impl ServiceTimeline {
    /// Why deadlines do not fire in time; `None` if they do.
    pub(crate) fn stalled(&self, now: Instant) -> Option<String> {
        let silent = now.saturating_duration_since(*super::lock(&self.inner.stepped));
        if silent > MAX_STEP {
            let seconds = silent.as_secs();
            return Some(format!("deadlines have not been looked at for {seconds} s"));
        }
        // What is due is looked at with the next step.
        let overdue = self.overdue().filter(|_| silent > TICK.saturating_mul(2))?;
        let seconds = overdue.as_secs();
        Some(format!(
            "a deadline that passed {seconds} s ago has not fired"
        ))
    }

    /// How late the earliest deadline is, if that is too late and not because there are so many.
    fn overdue(&self) -> Option<SignedDuration> {
        if self.inner.is_flood.load(Ordering::Relaxed) {
            return None;
        }
        let now = self.inner.parts.clock.now();
        let overdue = now.duration_since(self.inner.deadlines.earliest()?);
        (overdue > MAX_LATE).then_some(overdue)
    }

    pub(super) fn record_step(&self) {
        *super::lock(&self.inner.stepped) = Instant::now();
    }

    fn report_failure(&self, error: &StoreError) {
        *super::lock(&self.inner.failed) = Some(Instant::now());
        let detail = format!("{error}; deadlines wait until it works");
        let kind = ProblemKind::StoreOperationFailed;
        self.problems().report(kind, "timers", 1, &detail);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arc_swap::ArcSwap;
    use reflexarc::RuleSet;

    use super::*;
    use crate::clock::ServiceClock;
    use crate::deadlines::Deadlines;
    use crate::dispatch::Wake;
    use crate::intake::FailureTracker;
    use crate::live::LiveBroadcast;
    use crate::nodes::Nodes;
    use crate::store::{SqliteStore, Store, StoreOptions};
    use crate::telemetry::Metrics;
    use crate::timeline::TimelineParts;

    fn timeline(store: &Arc<dyn Store>) -> ServiceTimeline {
        let metrics = Arc::new(Metrics::new());
        let rules = RuleSet::compile(Vec::<(String, &str)>::new()).unwrap();
        let parts = TimelineParts {
            rules: Arc::new(ArcSwap::from_pointee(rules)),
            failures: Arc::new(FailureTracker::new(metrics.problems.clone())),
            metrics,
            clock: ServiceClock::new(None),
            wake: Wake::default(),
            store: Arc::downgrade(store),
            broadcast: LiveBroadcast::default(),
            nodes: Nodes::default(),
        };
        ServiceTimeline::new(parts, Arc::new(Deadlines::default()), None)
    }

    /// Waits until there is a result.
    async fn eventually<T>(mut poll: impl FnMut() -> Option<T>) -> T {
        for _ in 0..6_000 {
            if let Some(found) = poll() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no result within a minute");
    }

    /// As if the disk did not answer: another process holds the store.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_scheduler_that_waits_for_the_store_is_stalled() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reflexarc.db");
        let store = SqliteStore::open(&path, &StoreOptions::default()).unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let timeline = timeline(&store);
        let other = rusqlite::Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        // What is due is not known yet, so that the first step asks the store.
        let (stop, stopped) = watch::channel(false);
        let firing = tokio::spawn(fire_regularly(timeline.clone(), stopped));
        tokio::time::sleep(Duration::from_millis(300)).await;
        let limit = Instant::now() + MAX_STEP;
        let detail = timeline.stalled(limit).unwrap();
        assert_eq!(detail, "deadlines have not been looked at for 30 s");
        other.execute_batch("ROLLBACK").unwrap();
        eventually(|| timeline.stalled(limit).is_none().then_some(())).await;
        stop.send_replace(true);
        firing.await.unwrap();
    }

    #[tokio::test]
    async fn a_deadline_that_is_late_is_a_reason_unless_there_is_a_flood() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reflexarc.db");
        let store = SqliteStore::open(&path, &StoreOptions::default()).unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let timeline = timeline(&store);
        let due = timeline.inner.parts.clock.now() - SignedDuration::from_secs(90);
        timeline.inner.deadlines.begin(Some(due));
        timeline.inner.deadlines.commit();
        let soon = Instant::now() + TICK * 3;
        assert_eq!(
            timeline.stalled(Instant::now()),
            None,
            "a step may be under way"
        );
        let detail = timeline.stalled(soon).unwrap();
        assert!(detail.starts_with("a deadline that passed 9"), "{detail}");
        timeline.set_flood(true);
        assert_eq!(timeline.stalled(soon), None);
        timeline.set_flood(false);
        timeline.inner.deadlines.begin(None);
        timeline.inner.deadlines.commit();
        assert_eq!(timeline.stalled(soon), None);
    }

    #[test]
    fn what_was_deferred_stays_so_if_the_store_fails() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reflexarc.db");
        let store = SqliteStore::open(&path, &StoreOptions::default()).unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let timeline = timeline(&store);
        timeline.defer();
        let other = rusqlite::Connection::open(&path).unwrap();
        let rename = |from: &str, to: &str| {
            let statement = format!("ALTER TABLE {from} RENAME TO {to}");
            other.execute_batch(&statement).unwrap();
        };
        rename("newest_entry", "gone");
        assert!(timeline.begin().is_err());
        assert!(timeline.has_deferred());
        rename("gone", "newest_entry");
        timeline.begin().unwrap();
        assert!(!timeline.has_deferred());

        rename("waiting_call", "gone");
        timeline.withdraw_calls_of_other_rules();
        assert!(timeline.has_deferred());
    }
}
