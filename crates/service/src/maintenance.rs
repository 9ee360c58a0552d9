//! Taking over the store at a start, and maintaining it while the service runs.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reflexarc_delivery::config::unknown_target_message;
use tokio::sync::watch;

use crate::clock::ServiceClock;
use crate::dispatch::Wake;
use crate::live_config::LiveConfig;
use crate::nodes::Nodes;
use crate::operate::RetentionProgress;
use crate::service::blocking;
use crate::shutdown::stopped;
use crate::store::{Pruned, QueueDepth, Store, StoreError};
use crate::telemetry::{Metrics, ProblemKind, Problems};

/// How often the store is maintained.
// Short, because the archive grows by gigabytes an hour at full load, and expired state entries
// make every count of a rule's entries slower. A pass that finds nothing costs a few look-ups in
// indexes.
const PRUNE_INTERVAL: Duration = Duration::from_secs(10);
/// How many passes of pruning there are to one look for deliveries to unknown targets, which counts
/// all that is pending.
const PASSES_PER_COUNT: u32 = 60;
/// The pause between two attempts to release the claims of an earlier process.
const RESUME_PAUSE: Duration = Duration::from_secs(1);

/// Maintains the store.
pub(crate) struct Maintenance {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) live: Arc<LiveConfig>,
    pub(crate) wake: Wake,
    pub(crate) clock: ServiceClock,
    pub(crate) progress: Arc<RetentionProgress>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) nodes: Nodes,
}

impl Maintenance {
    /// Removes what is old, and repeats what moving deliveries to the dead letters may have failed
    /// to do, until `stop` becomes true.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        for pass in 0_u32.. {
            // One node is enough.
            if self.nodes.is_first() {
                if pass.is_multiple_of(PASSES_PER_COUNT) {
                    self.move_unknown_targets().await;
                }
                self.prune().await;
            } else {
                self.progress.succeeded();
            }
            let stopped = tokio::time::timeout(PRUNE_INTERVAL, stopped(&mut stop)).await;
            if stopped.is_ok() {
                return;
            }
        }
    }

    async fn move_unknown_targets(&self) {
        let (store, wake, now) = (self.store.clone(), self.wake.clone(), self.clock.now());
        let moved = blocking(move || dead_letter_unknown_targets(&*store, &wake, now)).await;
        if let Err(error) = moved {
            let detail = format!("cannot move deliveries to the dead letters: {error}");
            let kind = ProblemKind::StoreOperationFailed;
            self.metrics.problems.report(kind, "move", 1, &detail);
        }
    }

    async fn prune(&self) {
        // Loaded each time: a reload may have changed it.
        let (store, retention) = (self.store.clone(), self.live.retention.load_full());
        let clock = self.clock.clone();
        match blocking(move || store.prune(&retention, clock.aging_now())).await {
            Ok(pruned) => {
                if pruned.events > 0 {
                    tracing::info!(events = pruned.events, "pruned the archive");
                }
                for (target, count) in &pruned.dead_letters {
                    self.metrics.dead_letters_dropped.inc_by(*count);
                    let detail = format!("{count} were older than the configuration allows");
                    let kind = ProblemKind::DeadLettersDropped;
                    self.metrics.problems.report(kind, target, *count, &detail);
                }
                self.report_damage(&pruned);
                self.progress.succeeded();
            }
            Err(error) => self.progress.failed(&error.to_string()),
        }
    }

    /// Reports events that were removed although something of them was damaged.
    fn report_damage(&self, pruned: &Pruned) {
        // A subject of its own: what the check says of the archive would take its place.
        let (kind, part) = (ProblemKind::StorePartsDamaged, "retention");
        for event in &pruned.damage {
            let detail = event.to_string();
            if self.metrics.problems.holds(kind, part, &detail) {
                tracing::warn!(part, detail, "a removed event was damaged");
            }
        }
        let unlisted = pruned.damaged - pruned.damage.len() as u64;
        if unlisted > 0 {
            let detail = format!("{} removed events were damaged", pruned.damaged);
            self.metrics
                .problems
                .holds(kind, "retention (more)", &detail);
        }
    }
}

/// Takes over from the process that delivered before: what it had claimed is due, and deliveries to
/// targets that no longer exist become dead letters. Then the queues begin.
pub(crate) async fn resume(
    store: Arc<dyn Store>,
    wake: Wake,
    clock: ServiceClock,
    problems: Arc<Problems>,
    resumed: watch::Sender<bool>,
) {
    // Until it works: without it, what was claimed would wait for a quarter of an hour, and a store
    // that cannot be written now has nothing for the queues either.
    while !resumed.is_closed() {
        let (releasing, now) = (store.clone(), clock.now());
        match blocking(move || releasing.release_claims(now)).await {
            Ok(0) => break,
            Ok(deliveries) => {
                tracing::info!(
                    deliveries,
                    "resuming deliveries that an earlier process had claimed"
                );
                break;
            }
            Err(error) => {
                let detail = format!("{error}; nothing is delivered until it works");
                problems.report(ProblemKind::StoreOperationFailed, "release", 1, &detail);
                tokio::time::sleep(RESUME_PAUSE).await;
            }
        }
    }
    // A target can be removed while the service is stopped. If this fails, the next look is the
    // first one of the maintenance.
    let now = clock.now();
    let moved = blocking(move || dead_letter_unknown_targets(&*store, &wake, now)).await;
    if let Err(error) = moved {
        problems.report(
            ProblemKind::StoreOperationFailed,
            "move",
            1,
            &error.to_string(),
        );
    }
    resumed.send_replace(true);
    // Keeps the channel open for queues that start later.
    resumed.closed().await;
}

/// Moves deliveries to targets that do not exist to the dead letters: no queue would ever look at
/// them.
fn dead_letter_unknown_targets(
    store: &dyn Store,
    wake: &Wake,
    now: Timestamp,
) -> Result<(), StoreError> {
    if !wake.knows_all_targets(store)? {
        return Ok(());
    }
    for QueueDepth { target, .. } in store.queue_depths(now)? {
        if wake.get(&target).is_none() {
            let reason = unknown_target_message(&target, &wake.names());
            store.dead_letter_target(&target, reason, now)?;
        }
    }
    Ok(())
}
