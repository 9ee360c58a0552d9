//! The task of a node: it beats, notices what other nodes do, and takes over what is left of those
//! that are gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::Nodes;
use super::silence::SilenceWatch;
use crate::clock::ServiceClock;
use crate::dispatch::{TargetGates, Wake};
use crate::operate::end_interrupted;
use crate::service::blocking;
use crate::shutdown::stopped;
use crate::store::{Note, Store, StoreError};
use crate::telemetry::{Metrics, ProblemKind};
use crate::timeline::ServiceTimeline;

/// The time between two beats.
const BEAT_INTERVAL: Duration = Duration::from_secs(3);
/// The shortest one: changes of other nodes come in bursts.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// What the task of a node needs.
pub(crate) struct NodeWatch {
    pub(crate) nodes: Nodes,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: ServiceClock,
    pub(crate) wake: Wake,
    pub(crate) gates: TargetGates,
    /// `None` for a command, whose rules are not those of the service.
    pub(crate) timeline: Option<ServiceTimeline>,
    pub(crate) metrics: Arc<Metrics>,
    /// True once what was left when this process began has been taken over.
    pub(crate) resumed: watch::Receiver<bool>,
}

/// Beats until `stop` becomes true. The node leaves when the lock of its store is dropped.
pub(crate) async fn watch_nodes(watch: NodeWatch, mut stop: watch::Receiver<bool>) {
    let Some(shared) = watch.nodes.shared.clone() else {
        return;
    };
    watch.observe_notes();
    let watch = Arc::new(watch);
    let mut silence = SilenceWatch::default();
    loop {
        let (working, mut looking) = (watch.clone(), silence);
        let worked = blocking(move || {
            let result = working.step(&mut looking);
            Ok((result, looking))
        });
        match worked.await {
            Ok((result, looked)) => {
                silence = looked;
                if let Err(error) = result {
                    watch.report(&error);
                }
            }
            Err(error) => {
                silence = SilenceWatch::default();
                watch.report(&error);
            }
        }
        let begun = Instant::now();
        tokio::select! {
            () = tokio::time::sleep(BEAT_INTERVAL) => {}
            () = shared.changed.notified() => {
                let rest = MIN_INTERVAL.saturating_sub(begun.elapsed());
                tokio::time::sleep(rest).await;
            }
            () = stopped(&mut stop) => return,
        }
    }
}

impl NodeWatch {
    fn observe_notes(&self) {
        let (nodes, wake) = (self.nodes.clone(), self.wake.clone());
        self.store.observe_notes(Arc::new(move |note| match note {
            Note::Target(name) => {
                wake.notify(&name);
            }
            _ => nodes.note_change(),
        }));
    }

    /// Beats once, and does what follows from what that shows.
    fn step(&self, silence: &mut SilenceWatch) -> Result<(), StoreError> {
        let store = &*self.store;
        self.nodes.beat(store)?;
        if self.nodes.view().own.is_none() {
            let detail = "this node was declared lost, and others send what it had claimed: it was \
                          stopped, or could not reach the database, for 9 s or more; it joins again";
            self.report_lost(self.nodes.name(), detail);
            self.nodes.join_again(store)?;
            self.nodes.beat(store)?;
            self.wake_all();
        }
        self.gates.follow(
            store.paused_targets()?,
            store.change_stops()?,
            &self.metrics,
        );
        let lost = self.declare_lost(silence)?;
        // Before, what was left is being taken over anyway.
        if (lost || self.nodes.view().has_ended()) && *self.resumed.borrow() {
            self.take_over()?;
        }
        let agree = self.nodes.agree();
        self.show_disagreement(agree);
        if let Some(timeline) = &self.timeline
            && agree
            && timeline.has_deferred()
        {
            // No node has the rules any more for which this was left.
            timeline.begin()?;
            timeline.withdraw_calls_of_other_rules();
        }
        Ok(())
    }

    /// Declares nodes lost that are silent. Returns whether there are any.
    fn declare_lost(&self, silence: &mut SilenceWatch) -> Result<bool, StoreError> {
        let view = self.nodes.view();
        let others = view.others().map(|node| (node.number, node.beats));
        let silent = silence.look(others, Instant::now());
        let mut is_any = false;
        for number in silent {
            let node = view.nodes.iter().find(|node| node.number == number);
            if let Some(node) = node
                && self.store.declare_lost(node)?
            {
                is_any = true;
                let detail = format!(
                    "it was last seen at {}; others send what it had claimed",
                    node.seen
                );
                self.report_lost(&node.name, &detail);
            }
        }
        Ok(is_any)
    }

    fn report_lost(&self, node: &str, detail: &str) {
        let problems = &self.metrics.problems;
        problems.report(ProblemKind::NodeLost, node, 1, detail);
    }

    /// Releases the claims of nodes that are gone.
    fn take_over(&self) -> Result<(), StoreError> {
        let released = self.store.release_claims(self.clock.now())?;
        if released > 0 {
            tracing::info!(
                deliveries = released,
                "resuming deliveries that another node had claimed"
            );
        }
        if self.nodes.is_first() {
            end_interrupted(&*self.store, &self.nodes, self.clock.now())?;
        }
        self.wake_all();
        Ok(())
    }

    fn wake_all(&self) {
        for name in self.wake.names() {
            self.wake.notify(&name);
        }
    }

    fn show_disagreement(&self, agree: bool) {
        if self.timeline.is_none() {
            return;
        }
        let view = self.nodes.view();
        let names = view.live().map(|node| {
            let rules: String = node.setup.rules.chars().take(12).collect();
            format!("{} has {rules}", node.name)
        });
        let detail = (!agree).then(|| names.collect::<Vec<_>>().join(", "));
        let problems = &self.metrics.problems;
        problems.set_level(ProblemKind::NodesDiffer, detail);
    }

    fn report(&self, error: &StoreError) {
        let detail = format!("{error}; this node sends nothing until it works");
        let problems = &self.metrics.problems;
        problems.report(ProblemKind::StoreOperationFailed, "beat", 1, &detail);
    }
}
