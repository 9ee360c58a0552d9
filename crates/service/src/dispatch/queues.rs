//! The running queues, and replacing them at a reload.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reflexarc_delivery::config::{
    ConfigDigest, KnownTarget, TargetConfig, TargetInput, unknown_target_message,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{DispatchContext, TargetGates, Wake, call_queue, serve};
use crate::clock::ServiceClock;
use crate::live::LiveBroadcast;
use crate::nodes::Nodes;
use crate::service::blocking;
use crate::shutdown::stopped;
use crate::silences::WithholdingChanges;
use crate::store::Store;
use crate::telemetry::{Metrics, ProblemKind, Redactor, Telemetry};
use crate::timeline::ServiceTimeline;

/// Runs one queue for each target.
pub(crate) struct Queues {
    context: DispatchContext,
    wake: Wake,
    /// Whether the claims of an earlier process are released.
    resumed: watch::Receiver<bool>,
    /// Processes the answers to calls; `None` where calls wait for another process.
    timeline: Option<ServiceTimeline>,
    running: Mutex<BTreeMap<String, RunningQueue>>,
}

/// What a queue is served with.
struct Served {
    queue: TargetConfig,
    context: DispatchContext,
    wake: Wake,
    timeline: Option<ServiceTimeline>,
}

struct RunningQueue {
    /// `None` once the target has been removed.
    digest: Option<ConfigDigest>,
    input: TargetInput,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Queues {
    /// Starts these queues; they claim nothing before `resumed` is true. Must be called within a
    /// tokio runtime.
    #[expect(clippy::too_many_arguments, reason = "each is what all queues share")]
    pub(crate) fn start(
        queues: Vec<TargetConfig>,
        wake: Wake,
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
        resumed: watch::Receiver<bool>,
        clock: ServiceClock,
        redactor: Redactor,
        telemetry: Telemetry,
        gates: TargetGates,
        delivery_bytes: usize,
        withholding: WithholdingChanges,
        nodes: Nodes,
        live: LiveBroadcast,
        timeline: Option<ServiceTimeline>,
    ) -> Self {
        let context = DispatchContext {
            store,
            metrics,
            clock,
            redactor,
            telemetry,
            gates,
            delivery_bytes,
            withholding,
            nodes,
            live,
            // A placeholder: `replace` gives each queue a receiver of its own.
            stop: watch::channel(false).1,
        };
        let started = Self {
            context,
            wake,
            resumed,
            timeline,
            running: Mutex::default(),
        };
        started.replace(queues);
        started
    }

    /// What wakes the queues.
    pub(crate) fn wake(&self) -> &Wake {
        &self.wake
    }

    /// The targets that have a queue.
    pub(crate) fn known_targets(&self) -> Vec<KnownTarget> {
        let running = self.lock();
        let present = running.iter().filter(|(_, queue)| queue.digest.is_some());
        let known = present.map(|(name, queue)| KnownTarget {
            name: name.clone(),
            input: queue.input,
        });
        known.collect()
    }

    /// When calls of each target may begin.
    pub(crate) fn gates(&self) -> &TargetGates {
        &self.context.gates
    }

    /// Replaces the running queues by these. A queue with the same settings goes on undisturbed. A
    /// queue with other settings starts when its predecessor has finished what it was sending.
    /// Deliveries to a removed target become dead letters.
    //
    // Old and new queue of a target never run at the same time. The old one may be in the middle of
    // a send when the new one claims; if both ran, a delivery whose claim was released between them
    // could be sent by both. Waiting costs at most one send timeout, and other targets do not wait.
    pub(crate) fn replace(&self, queues: Vec<TargetConfig>) {
        // Held throughout: a second reload must see the tasks that this one starts.
        let mut running = self.lock();
        self.wake
            .replace(queues.iter().map(|queue| queue.name.clone()));
        self.context.gates.retain(&self.wake.names());
        let removed = running
            .iter_mut()
            .filter(|(name, _)| !queues.iter().any(|queue| queue.name == **name));
        for (name, removed) in removed {
            if removed.digest.take().is_some() {
                removed.stop.send_replace(true);
                let (context, wake) = (self.context.clone(), self.wake.clone());
                let previous = std::mem::replace(&mut removed.task, tokio::spawn(async {}));
                // The entry stays, with the draining task in it: if the target comes back, its new
                // queue waits for that task.
                removed.task = tokio::spawn(drain_removed(previous, name.clone(), context, wake));
            }
        }
        for queue in queues {
            let previous = match running.remove(&queue.name) {
                // The digest covers secrets and the contents of files, so a rotated certificate
                // replaces its queue although the configuration reads the same.
                Some(same) if same.digest == Some(queue.digest) => {
                    running.insert(queue.name, same);
                    continue;
                }
                Some(previous) => {
                    previous.stop.send_replace(true);
                    Some(previous.task)
                }
                None => None,
            };
            let (stop, stopped) = watch::channel(false);
            let context = DispatchContext {
                stop: stopped,
                ..self.context.clone()
            };
            let (name, digest) = (queue.name.clone(), Some(queue.digest));
            let input = TargetInput::from(&queue);
            let resumed = self.resumed.clone();
            let served = Served {
                queue,
                context,
                wake: self.wake.clone(),
                timeline: self.timeline.clone(),
            };
            let task = tokio::spawn(run_after(previous, resumed, served));
            let queue = RunningQueue {
                digest,
                input,
                stop,
                task,
            };
            running.insert(name, queue);
        }
    }

    /// The queues that make no progress, each with the reason.
    pub(crate) fn stalled(&self) -> BTreeMap<String, String> {
        let silent = self
            .context
            .gates
            .silent(tokio::time::Instant::now())
            .into_iter();
        let mut stalled: BTreeMap<_, _> = silent
            .map(|(target, silence)| {
                let seconds = silence.as_secs();
                let detail = format!("it has not looked into the outbox for {seconds} s");
                (target, detail)
            })
            .collect();
        for (target, queue) in &*self.lock() {
            if queue.digest.is_some() && queue.task.is_finished() {
                stalled.insert(target.clone(), "its task has ended".to_owned());
            }
        }
        stalled
    }

    /// Tells all queues to claim nothing more and to finish what they are sending.
    pub(crate) fn stop(&self) {
        for queue in self.lock().values() {
            queue.stop.send_replace(true);
        }
    }

    /// Waits until all queues have ended.
    pub(crate) async fn ended(&self) {
        // Taken out, so that the lock is not held while waiting.
        let running = std::mem::take(&mut *self.lock());
        for queue in running.into_values() {
            drop(queue.task.await);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, RunningQueue>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves a target after the previous queue of its name has ended. What that one had claimed but
/// not sent is due again.
async fn run_after(
    previous: Option<JoinHandle<()>>,
    mut resumed: watch::Receiver<bool>,
    served: Served,
) {
    let Served {
        queue,
        mut context,
        wake,
        timeline,
    } = served;
    // From the start, so that operators see every target and can pause it.
    if context.gates.status(&queue.name).is_none() {
        drop(context.gates.open(&queue));
    }
    tokio::select! {
        // An error would mean that nothing is released any more.
        _ = resumed.wait_for(|resumed| *resumed) => {}
        () = stopped(&mut context.stop) => return,
    }
    if let Some(previous) = previous {
        // An error would mean that the queue panicked; the new one then starts all the same.
        drop(previous.await);
        release(&context, &queue.name).await;
    }
    // Absent if another reload has removed the target meanwhile; then this queue is stopped soon,
    // and until then polling is enough.
    let notify = wake.get(&queue.name).unwrap_or_default();
    match (queue.calls.clone(), timeline) {
        (Some(calls), Some(timeline)) => {
            call_queue::serve(queue, calls, context, timeline, notify).await;
        }
        (Some(_), None) => stopped(&mut context.stop).await,
        (None, _) => serve(queue, context, notify).await,
    }
}

/// Waits until the queue of a removed target has ended, then moves what is left to the dead
/// letters, unless the target has come back.
async fn drain_removed(
    previous: JoinHandle<()>,
    name: String,
    context: DispatchContext,
    wake: Wake,
) {
    // An error would mean that the queue panicked; what it left is in the store.
    drop(previous.await);
    if wake.get(&name).is_none() {
        release(&context, &name).await;
        // Else the first node does so, once no other one has the target.
        let (asked, store) = (wake.clone(), context.store.clone());
        let is_gone = blocking(move || asked.knows_all_targets(&*store)).await;
        if !matches!(is_gone, Ok(true)) {
            return;
        }
        let reason = unknown_target_message(&name, &wake.names());
        let moved = context
            .store
            .submit_dead_letter_target(&name, reason, context.clock.now());
        if let Err(error) = moved.await {
            let detail = format!("cannot move deliveries for {name} to the dead letters: {error}");
            let kind = ProblemKind::StoreOperationFailed;
            context.metrics.problems.report(kind, "move", 1, &detail);
        }
    }
}

async fn release(context: &DispatchContext, target: &str) {
    let released = context
        .store
        .submit_release_claims(target, context.clock.now())
        .await;
    if let Err(error) = released {
        let detail = format!(
            "cannot release claims for {target}, whose deliveries are due when they expire: {error}"
        );
        let kind = ProblemKind::StoreOperationFailed;
        context.metrics.problems.report(kind, "release", 1, &detail);
    }
}
