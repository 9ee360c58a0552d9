//! The service without HTTP: events from a file or pipe, with the same store, rules and targets.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reflexarc_delivery::BreakerState;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::budgets::RuleBudget;
use crate::dispatch::TargetStatus;
use crate::nodes::watch_nodes;
use crate::service::{Pipeline, ServiceBuilder};
use crate::store::Incoming;
use crate::store::{Accepted, Store, StoreError};
use crate::telemetry::Telemetry;

/// How long a command waits for a target that does not accept deliveries.
// As long as the longest pause of a circuit breaker by default: a receiver that only restarts gets
// its deliveries.
const GIVE_UP_AFTER: SignedDuration = SignedDuration::from_secs(10);
/// A running pipeline that is fed by its caller.
pub struct Feed {
    pipeline: Pipeline,
    /// The names of the targets that take calls.
    call_targets: Vec<String>,
    /// Tells other nodes that this process works.
    beating: JoinHandle<()>,
    /// Ends that when it is dropped.
    _stop: watch::Sender<bool>,
}

impl ServiceBuilder {
    /// Starts everything but the HTTP server, reloads, traces, deadlines and calls. Must be called
    /// within a tokio runtime, but not from async code.
    //
    // Deadlines and calls wait for the service: the rules of a command may be some of its rules
    // only, and would close the matches of all others and answer their calls.
    ///
    /// # Errors
    /// If the store fails, or another process delivers from it.
    pub fn feed(mut self) -> Result<Feed, StoreError> {
        // Nothing else waits for these rules, and the events of a day come within a minute.
        self.config.budgets.default = RuleBudget::UNLIMITED;
        self.config.budgets.rules.clear();
        let calls = self.config.queues.iter();
        let calls = calls.filter(|queue| queue.calls.is_some());
        let call_targets = calls.map(|queue| queue.name.clone()).collect();
        let metrics = Arc::default();
        let pipeline = self.start_pipeline(Arc::clone(&metrics), &Telemetry::default(), false)?;
        let (stop, stopped) = watch::channel(false);
        let beating = tokio::spawn(watch_nodes(pipeline.node_watch(&metrics, None), stopped));
        Ok(Feed {
            pipeline,
            call_targets,
            beating,
            _stop: stop,
        })
    }
}

impl Feed {
    /// Accepts events in this order and waits until they are stored. Must not be called from async
    /// code.
    ///
    /// # Errors
    /// If the store fails; then none of these events is stored.
    pub fn accept(&self, events: Vec<Incoming>) -> Result<Vec<Accepted>, StoreError> {
        let Pipeline {
            intake,
            wake,
            store,
            clock,
            ..
        } = &self.pipeline;
        let accepted = intake.accept_all(events)?;
        for event in &accepted {
            wake.wake(&event.targets, &**store, clock.now());
        }
        Ok(accepted)
    }

    /// Waits until every delivery in the outbox has been attempted at least once, then stops; not
    /// for calls, for those of targets that have not accepted any for ten seconds, nor for those
    /// that wait for another one, which failed. Returns how many deliveries
    /// are left to retry; the next process that serves the store does that.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn finish(self) -> Result<usize, StoreError> {
        let Pipeline {
            queues,
            store,
            shutdown_timeout,
            ..
        } = &self.pipeline;
        // Polled: this is the end of a command, not worth a channel from every queue.
        while accepting_targets_wait(&**store, &queues.gates().statuses(), &self.call_targets)? {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // Retries are left: their waits may be minutes or hours, and a command should end.
        queues.stop();
        drop(tokio::time::timeout(*shutdown_timeout, queues.ended()).await);
        let depths = store.queue_depths(Timestamp::now())?;
        let left = depths.iter().map(|depth| depth.waiting + depth.delayed);
        Ok(left
            .map(|count| usize::try_from(count).unwrap_or(usize::MAX))
            .sum())
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

/// Whether deliveries wait for their first attempt whose targets accept deliveries, or did until a
/// moment ago. Those of a target that is down are attempted one by one, with pauses, which could
/// take hours.
fn accepting_targets_wait(
    store: &dyn Store,
    targets: &[TargetStatus],
    call_targets: &[String],
) -> Result<bool, StoreError> {
    let is_down = |target: &&TargetStatus| {
        let down_for = target
            .since
            .map(|since| Timestamp::now().duration_since(since));
        target.state != BreakerState::Closed && down_for.is_some_and(|time| time > GIVE_UP_AFTER)
    };
    let down: Vec<_> = targets.iter().filter(is_down).collect();
    let unattempted = store.unattempted(Timestamp::now())?;
    let waiting = unattempted.iter().map(|(target, _)| target);
    let mut waiting = waiting.filter(|name| !call_targets.contains(name));
    Ok(waiting.any(|name| !down.iter().any(|target| target.target == *name)))
}
