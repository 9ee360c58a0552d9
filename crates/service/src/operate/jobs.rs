//! Changes of many deliveries, in the background: in steps, so that events are accepted meanwhile,
//! with progress. They end with the process; the record of the operation says how far they came.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reflexarc_event::Json;
use tokio::sync::watch;

use super::audit::entry;
use super::operation::Operation;
use super::operations::{
    OperationError, Performed, catch_panic, describe, query, record, recorded_name,
};
use super::previews::many;
use crate::handle::ServiceHandle;
use crate::http::AppState;
use crate::shutdown::stopped;
use crate::store::{
    AuditOutcome, AuditVia, BulkChange, DeliveryFilter, NewAuditEntry, PageCursor, StoreError,
};
use crate::telemetry::ProblemKind;

/// Bounds of the work in the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobLimits {
    /// How many run at a time; 4.
    pub running: usize,
    /// How many are remembered, those that run included; 100.
    pub kept: usize,
    /// Up to which number deliveries are counted before; 1,000,000.
    pub counted: u64,
    /// How many deliveries one transaction changes; 1,000.
    pub step: usize,
}

/// Work in the background.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobStatus {
    /// Its number, which is that of its record.
    pub id: u64,
    /// The name of the operation.
    pub operation: &'static str,
    /// What it is about: see [`Operation::subject`].
    pub subject: String,
    /// The operator.
    pub by: String,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// How many deliveries it has changed.
    pub done: u64,
    /// How many it has left as they are, such as calls, which are not redriven.
    pub failed: u64,
    /// How many matched when it began, at most [`JobLimits::counted`].
    pub total: u64,
    /// Why it has ended before its time.
    pub message: Option<String>,
}

/// The work in the background of a service.
pub(crate) struct Jobs {
    list: Mutex<VecDeque<JobStatus>>,
    /// How many run, or are about to.
    running: watch::Sender<usize>,
}

/// The right to run.
struct JobPermit(Arc<Jobs>);

/// Longest rest between two steps.
const MAX_REST: Duration = Duration::from_millis(500);
/// How often the end of work is recorded again if the store fails.
const RECORD_ATTEMPTS: u32 = 5;

impl JobLimits {
    /// The limits.
    pub const LIMITS: Self = Self {
        running: 4,
        kept: 100,
        counted: 1_000_000,
        step: 1_000,
    };
}

impl ServiceHandle {
    /// The work in the background, the newest first: what runs, and what has ended since the start.
    pub fn jobs(&self) -> Vec<JobStatus> {
        self.state.jobs.lock().iter().rev().cloned().collect()
    }
}

impl JobStatus {
    /// `{"id", "operation", "subject", "by", "started", "finished", "done", "failed", "total",
    /// "message"}`.
    pub fn to_json(&self) -> Json {
        let finished = self.finished.map(|at| at.to_string());
        Json::object([
            ("id", Json::count(self.id)),
            ("operation", self.operation.into()),
            ("subject", self.subject.as_str().into()),
            ("by", self.by.as_str().into()),
            ("started", self.started.to_string().into()),
            ("finished", Json::optional(finished.as_deref())),
            ("done", Json::count(self.done)),
            ("failed", Json::count(self.failed)),
            ("total", Json::count(self.total)),
            ("message", Json::optional(self.message.as_deref())),
        ])
    }
}

/// Starts the work of an operation that changes many deliveries.
pub(super) async fn start(
    state: &Arc<AppState>,
    by: &str,
    via: AuditVia,
    operation: Operation,
) -> Result<Performed, OperationError> {
    let now = state.clock.now();
    let operation = operation.bounded(now);
    let new = entry(recorded_name(state, by), via, &operation, now);
    let Some(permit) = state.jobs.begin() else {
        let most = JobLimits::LIMITS.running;
        let message = format!("{most} operations run in the background; wait until one ends");
        return not_begun(state, new, OperationError::busy(message, 5)).await;
    };
    let Some((change, filter)) = operation.bulk() else {
        return Err(OperationError::invalid("it changes one thing only"));
    };
    let (by, filter) = (new.by.clone(), filter.clone());
    let (selected, begun) = (filter.clone(), new.clone());
    // Without a record nothing is changed: what is done to many must not be without a trace.
    let recorded = query(state, move |store| {
        let total = store.count_deliveries(&selected, JobLimits::LIMITS.counted)?;
        Ok((total, store.append_audit(begun)?))
    });
    let (total, id) = match recorded.await {
        Ok(recorded) => recorded,
        Err(error) => return not_begun(state, new, error.into()).await,
    };
    let status = JobStatus {
        id: id.unsigned_abs(),
        operation: operation.name(),
        subject: operation.subject(),
        by,
        started: now,
        finished: None,
        done: 0,
        failed: 0,
        total,
        message: None,
    };
    state.jobs.add(status.clone());
    tracing::info!(
        job = id,
        operation = status.operation,
        subject = status.subject,
        who = status.by,
        total,
        "an operator changes many deliveries"
    );
    let summary = format!("{}; in the background", many(&filter, total));
    let job = Arc::new(Job {
        state: state.clone(),
        id,
        change,
        filter,
        _permit: permit,
    });
    tokio::spawn(job.run());
    Ok(Performed {
        job: Some(status.id),
        ..Performed::new(summary, 0, status.to_json())
    })
}

/// Records why the work of an operation was not begun.
async fn not_begun(
    state: &Arc<AppState>,
    mut entry: NewAuditEntry,
    error: OperationError,
) -> Result<Performed, OperationError> {
    let result = Err(error);
    describe(&result, &mut entry);
    record(state, entry).await;
    result
}

/// Work that runs.
struct Job {
    state: Arc<AppState>,
    id: i64,
    change: BulkChange,
    filter: DeliveryFilter,
    _permit: JobPermit,
}

impl Job {
    async fn run(self: Arc<Self>) {
        let job = self.clone();
        let result = catch_panic(async move { job.work().await }).await;
        let (outcome, message) = match result {
            Ok(Ok(())) => (AuditOutcome::Done, String::new()),
            Ok(Err(message)) => (AuditOutcome::Failed, message),
            Err(panicked) => (AuditOutcome::Failed, panicked.message),
        };
        let now = self.state.clock.now();
        let status = self.state.jobs.update(self.id, |job| {
            job.finished = Some(now);
            job.message = Some(message.clone()).filter(|message| !message.is_empty());
        });
        // What has not ended is in the list.
        let (done, failed) = status.map_or((0, 0), |job| (job.done, job.failed));
        let message = match failed {
            0 => message,
            _ if message.is_empty() => format!("{failed} left unchanged"),
            _ => format!("{message}; {failed} left unchanged"),
        };
        tracing::info!(
            job = self.id,
            done,
            failed,
            outcome = outcome.as_str(),
            message,
            "the change of many deliveries has ended"
        );
        for attempt in 1..=RECORD_ATTEMPTS {
            if self.record(outcome, done, &message).await.is_ok() || self.is_stopping() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1) * attempt).await;
        }
    }

    /// Changes the deliveries, step by step.
    async fn work(&self) -> Result<(), String> {
        let (state, mut stop) = (&self.state, self.state.stop.clone());
        let mut after: Option<PageCursor> = None;
        loop {
            if self.is_stopping() {
                return Err("the service was stopped before the end".to_owned());
            }
            let (began, now) = (Instant::now(), state.clock.now());
            let limit = JobLimits::LIMITS.step;
            let step = state
                .store
                .submit_matching(self.change, &self.filter, after, limit, now);
            let step = step.await.map_err(|error| error.to_string())?;
            let status = state.jobs.update(self.id, |job| {
                job.done += step.changed;
                job.failed += step.unchanged;
            });
            tracing::debug!(
                job = self.id,
                changed = step.changed,
                "deliveries were changed"
            );
            if step.changed > 0 && self.change == BulkChange::Redrive {
                self.wake(now);
            }
            let Some(next) = step.next else { return Ok(()) };
            after = Some(next);
            // If it fails, the next step fails too, or the next record has this one's number too.
            let done = status.map_or(0, |job| job.done);
            drop(self.record(AuditOutcome::Begun, done, "").await);
            // As long as the step took, so that half of the writer's time is left for others.
            let rest = began.elapsed().min(MAX_REST);
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = stopped(&mut stop) => {}
            }
        }
    }

    /// Wakes the queues whose deliveries may be due again.
    fn wake(&self, now: Timestamp) {
        let wake = &self.state.wake;
        match &self.filter.target {
            Some(target) => wake.wake(std::slice::from_ref(target), &*self.state.store, now),
            // Those to targets that are gone become dead letters again by regular maintenance.
            None => wake.wake(&wake.names(), &*self.state.store, now),
        }
    }

    async fn record(
        &self,
        outcome: AuditOutcome,
        done: u64,
        message: &str,
    ) -> Result<(), StoreError> {
        let (id, now) = (self.id, self.state.clock.now());
        let message = message.to_owned();
        let recorded = query(&self.state, move |store| {
            store.finish_audit(id, outcome, done, &message, now)
        });
        let recorded = recorded.await.map(drop);
        if let Err(error) = &recorded {
            let detail = format!("cannot record how far the job {id} is: {error}");
            let problems = &self.state.metrics.problems;
            problems.report(ProblemKind::StoreOperationFailed, "audit", 1, &detail);
        }
        recorded
    }

    fn is_stopping(&self) -> bool {
        *self.state.stop.borrow()
    }
}

impl Jobs {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            list: Mutex::default(),
            running: watch::channel(0).0,
        })
    }

    /// Waits until none runs. They end by themselves when the service is to stop.
    pub(crate) async fn ended(&self) {
        let mut running = self.running.subscribe();
        // Cannot fail: the sender is here.
        drop(running.wait_for(|running| *running == 0).await);
    }

    /// A place for work, if there is one.
    fn begin(self: &Arc<Self>) -> Option<JobPermit> {
        let is_free = self.running.send_if_modified(|running| {
            let is_free = *running < JobLimits::LIMITS.running;
            *running += usize::from(is_free);
            is_free
        });
        is_free.then(|| JobPermit(self.clone()))
    }

    fn add(&self, status: JobStatus) {
        let mut list = self.lock();
        list.push_back(status);
        // What runs stays in the list, however many others have ended meanwhile.
        let is_ended = |job: &JobStatus| job.finished.is_some();
        while list.len() > JobLimits::LIMITS.kept
            && let Some(ended) = list.iter().position(is_ended)
        {
            list.remove(ended);
        }
    }

    /// Changes the status of a job, and returns it.
    fn update(&self, id: i64, change: impl FnOnce(&mut JobStatus)) -> Option<JobStatus> {
        let mut list = self.lock();
        let job = list.iter_mut().find(|job| job.id == id.unsigned_abs())?;
        change(job);
        Some(job.clone())
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<JobStatus>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for JobPermit {
    fn drop(&mut self) {
        self.0.running.send_modify(|running| *running -= 1);
    }
}

#[cfg(test)]
mod tests;
