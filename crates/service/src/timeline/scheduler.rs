//! The scheduler: the task that fires deadlines when no event does.

use std::time::{Duration, Instant};

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
const TICK: Duration = Duration::from_secs(5);
/// The pause after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// Sleeps until the earliest deadline, fires what is due, and goes on until `stop` becomes true.
pub(crate) async fn fire_regularly(timeline: ServiceTimeline, mut stop: watch::Receiver<bool>) {
    loop {
        let (begun, batches) = (Instant::now(), timeline.batches());
        let step = fire_step(&timeline).await;
        let is_flood = matches!(step, Ok(true));
        timeline.set_flood(is_flood);
        let pause = match step {
            Ok(true) if timeline.batches() == batches => Duration::ZERO,
            Ok(true) => begun.elapsed().saturating_mul(EVENTS_SHARE),
            Ok(false) => timeline.until_next().min(TICK),
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
    fn report_failure(&self, error: &StoreError) {
        *super::lock(&self.inner.failed) = Some(Instant::now());
        let detail = format!("{error}; deadlines wait until it works");
        let kind = ProblemKind::StoreOperationFailed;
        self.problems().report(kind, "timers", 1, &detail);
    }
}
