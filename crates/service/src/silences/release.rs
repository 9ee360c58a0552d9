//! Beginning and ending: what a silence that is over has withheld is released, and queues give back
//! what they have claimed when one begins.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::clock::ServiceClock;
use crate::dispatch::Wake;
use crate::service::blocking;
use crate::shutdown::stopped;
use crate::store::{MAX_INHIBITING_INCIDENTS, ReleaseStep, Store, StoreError, WithheldBy};
use crate::telemetry::{Metrics, ProblemKind};

/// Longest time between two looks: other processes add and end silences too (`reflexarc silence`).
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Changes of what withholds deliveries, for all queues. Clones share it.
#[derive(Clone, Default)]
pub struct WithholdingChanges(Arc<AtomicU64>);

impl WithholdingChanges {
    /// A number that is another one after each change.
    pub(crate) fn current(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    fn record(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// What releasing needs.
pub(crate) struct Releases {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) wake: Wake,
    pub(crate) clock: ServiceClock,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) changes: WithholdingChanges,
    /// Notified when an operator has added or ended a silence through this process.
    pub(crate) changed: Arc<Notify>,
    /// True once what an earlier process left has been taken over.
    pub(crate) resumed: watch::Receiver<bool>,
}

/// Releases what is withheld no more until `stop` becomes true.
pub(crate) async fn release_regularly(mut releases: Releases, mut stop: watch::Receiver<bool>) {
    let mut active = BTreeSet::new();
    tokio::select! {
        _ = releases.resumed.wait_for(|resumed| *resumed) => {}
        () = stopped(&mut stop) => return,
    }
    loop {
        match step(&releases, &mut active).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => {
                let detail = format!("{error}; what silences withhold waits until it works");
                let kind = ProblemKind::StoreOperationFailed;
                let problems = &releases.metrics.problems;
                problems.report(kind, "silences", 1, &detail);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(POLL_INTERVAL) => {}
            () = releases.changed.notified() => {}
            () = stopped(&mut stop) => return,
        }
    }
}

/// Notices silences that have begun, and releases some of what is over. Returns whether there is
/// more to release.
async fn step(releases: &Releases, active: &mut BTreeSet<WithheldBy>) -> Result<bool, StoreError> {
    let (store, now) = (releases.store.clone(), releases.clock.now());
    let (found, next) = blocking(move || {
        let found = store.active_withholding(now)?;
        Ok((found, store.next_release()?))
    })
    .await?;
    let silences = found
        .silences
        .iter()
        .map(|silence| WithheldBy::Silence(silence.id));
    let incidents_found = found.incidents.len();
    let incidents = found.incidents.iter();
    let incidents = incidents.map(|incident| WithheldBy::Incident(incident.id));
    let found: BTreeSet<WithheldBy> = silences.chain(incidents).collect();
    let has_begun = found.iter().any(|id| !active.contains(id));
    *active = found;
    if has_begun {
        if incidents_found == MAX_INHIBITING_INCIDENTS {
            tracing::warn!(
                incidents = incidents_found,
                "too many open incidents of rules with `inhibits`: those beyond inhibit nothing"
            );
        }
        releases.changes.record();
        // Also those that rest: what they hold for the next call may be withheld now.
        for name in releases.wake.names() {
            releases.wake.notify(&name);
        }
    }
    if next.is_none_or(|next| next > now) {
        return Ok(false);
    }
    let done = releases.store.submit_release_withheld(now).await?;
    report(releases, &done);
    releases.wake.wake(&done.targets, &*releases.store, now);
    Ok(done.is_more)
}

fn report(releases: &Releases, done: &ReleaseStep) {
    if done.released > 0 || done.dropped > 0 {
        tracing::info!(
            released = done.released,
            dropped = done.dropped,
            "silences are over: deliveries that they withheld are pending again, or dropped"
        );
    }
    releases.metrics.released.inc_by(done.released);
    releases.metrics.silenced.inc_by(done.dropped);
}
