//! Performing operations in a running service, for the console, the HTTP API and, through it,
//! commands. So each operation is recorded once, whether it was done or refused.

mod deliveries;
mod incidents;
mod service;
mod silences;
mod targets;

use std::sync::Arc;

use reflexarc_event::Json;

use super::audit::{entry, local_name};
use super::operation::Operation;
use crate::handle::ServiceHandle;
use crate::http::AppState;
use crate::service::blocking;
use crate::store::{AuditOutcome, AuditVia, BulkChange, NewAuditEntry, Store, StoreError};
use crate::telemetry::ProblemKind;

/// By what an operator does something.
pub use crate::store::AuditVia as Via;

/// What an operation would do now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OperationPreview {
    /// How many things it would change; of many deliveries at most
    /// [`JobLimits::counted`](super::JobLimits::counted).
    pub count: u64,
    /// For people: `100,000 dead letters to network-team`.
    pub text: String,
    /// The operation that changes this and nothing that comes to match later: perform this one
    /// once it is confirmed.
    pub operation: Operation,
}

/// What an operation has done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Performed {
    /// For people: `incident 7 acknowledged, 2 delayed actions cancelled`.
    pub summary: String,
    /// How many things it has changed; of work in the background, 0.
    pub count: u64,
    /// The number of the work that goes on in the background.
    pub job: Option<u64>,
    /// What the HTTP API answers.
    pub body: Json,
}

/// Why an operation was not done.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct OperationError {
    /// What kind of reason.
    pub kind: OperationErrorKind,
    /// The reason, for people.
    pub message: String,
    /// Further members of the answer of the HTTP API, such as the diagnostics of a reload.
    pub members: Vec<(&'static str, Json)>,
    /// Seconds after which it may be tried again.
    pub retry_after: Option<u32>,
}

/// The kinds of reasons for which an operation is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OperationErrorKind {
    /// A parameter is invalid.
    Invalid,
    /// What it is about does not exist.
    NotFound,
    /// What it is about is not in a state that allows it.
    Conflict,
    /// The rules or the configuration to load are invalid.
    Rejected,
    /// Too much is going on; it may be tried again.
    Busy,
    /// A test message was not delivered.
    NotDelivered,
    /// The store failed.
    StoreFailed,
    /// It panicked, which is a bug.
    Internal,
}

pub(crate) use self::deliveries::show as show_delivery;
pub(super) use self::deliveries::{counted, left};
pub(crate) use self::incidents::show as show_incident;
pub(super) use self::incidents::{no_match, unknown as incident_is_unknown};
pub(super) use self::service::check_is_gone;
pub(crate) use self::silences::preview as matches_pattern;
pub(super) use self::silences::{is_over as silence_is_over, unknown as silence_is_unknown};
pub(super) use self::targets::check_is_known as check_target;

type Result<T = Performed> = std::result::Result<T, OperationError>;

impl ServiceHandle {
    /// What an operation would do now. Nothing is changed.
    ///
    /// # Errors
    /// If it would be refused for a reason that is known before, or the store cannot be read.
    pub async fn preview(&self, operation: &Operation) -> Result<OperationPreview> {
        let operation = operation.clone().bounded(self.state.clock.now());
        let (count, text) = super::previews::preview(&self.state, &operation).await?;
        Ok(OperationPreview {
            count,
            text,
            operation,
        })
    }

    /// Performs an operation of the operator `by`, and records it with its outcome. What changes
    /// many deliveries goes on in the background: [`Performed::job`] is its number. It changes
    /// what matches now, or at the time of its preview.
    ///
    /// # Errors
    /// If it was refused or failed.
    pub async fn perform(&self, by: &str, via: AuditVia, operation: Operation) -> Result {
        let (state, by) = (self.state.clone(), by.to_owned());
        // In a task of its own: a client that is gone must not end it between the change and its
        // record.
        let performing = catch_panic(async move {
            if operation.bulk().is_some() {
                return super::jobs::start(&state, &by, via, operation).await;
            }
            let now = state.clock.now();
            let new = entry(recorded_name(&state, &by), via, &operation, now);
            let recorded = begin(&state, new.clone());
            let (record, result) = if matches!(operation, Operation::PauseTarget { .. }) {
                // A store that hangs must not keep an operator from stopping calls.
                tokio::join!(recorded, apply_apart(&state, &by, operation))
            } else {
                (recorded.await, apply_apart(&state, &by, operation).await)
            };
            end(&state, (record, new), &result).await;
            result
        });
        performing.await?
    }
}

/// Performs what is done at once; if it panics, that is recorded too.
async fn apply_apart(state: &Arc<AppState>, by: &str, operation: Operation) -> Result {
    let (state, by) = (state.clone(), by.to_owned());
    catch_panic(async move { apply(&state, &by, operation).await }).await?
}

/// Runs work in a task of its own, in which a panic is an error.
pub(super) async fn catch_panic<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T> {
    tokio::spawn(work).await.map_err(|error| {
        let message = format!("internal error: {error}; please report this bug of reflexarc");
        OperationError::new(OperationErrorKind::Internal, message)
    })
}

/// Performs what is done at once.
async fn apply(state: &Arc<AppState>, by: &str, operation: Operation) -> Result {
    match operation {
        Operation::Redrive { id } => deliveries::redrive(state, by, id).await,
        Operation::Drop { id } => deliveries::drop_dead_letter(state, by, id).await,
        Operation::Cancel { id } => deliveries::cancel(state, by, id).await,
        Operation::RedriveSelected { ids } => {
            deliveries::selected(state, by, BulkChange::Redrive, ids).await
        }
        Operation::DropSelected { ids } => {
            deliveries::selected(state, by, BulkChange::Drop, ids).await
        }
        Operation::CancelSelected { ids } => {
            deliveries::selected(state, by, BulkChange::Cancel, ids).await
        }
        Operation::PauseTarget { target, reason } => {
            targets::pause(state, by, &target, reason).await
        }
        Operation::ResumeTarget { target } => targets::resume(state, by, &target).await,
        Operation::TestTarget { target } => targets::test(state, by, &target).await,
        Operation::AddSilence(request) => silences::add(state, by, request).await,
        Operation::EndSilence { id, drops } => silences::end(state, by, id, drops).await,
        Operation::AcknowledgeIncident { id, note } => {
            incidents::acknowledge(state, by, id, note).await
        }
        Operation::CloseIncident { id, reason } => incidents::close(state, by, id, reason).await,
        Operation::ClosePending { rule, key, reason } => {
            incidents::close_match(state, by, rule, key, reason).await
        }
        Operation::ForgetState { rule } => service::forget(state, by, rule).await,
        Operation::Reload { force } => service::reload(state, by, force).await,
        Operation::AcceptClock => service::accept_clock(state, by).await,
        Operation::RedriveMatching { .. }
        | Operation::DropMatching { .. }
        | Operation::CancelMatching { .. } => {
            let message = "it is done in the background";
            Err(OperationError::new(OperationErrorKind::Invalid, message))
        }
    }
}

/// The operator as records have it.
pub(super) fn recorded_name<'a>(state: &AppState, by: &'a str) -> &'a str {
    local_name(by, state.live.tokens.load().is_open())
}

/// Completes an entry with how the operation ended.
pub(super) fn describe(result: &Result, entry: &mut NewAuditEntry) {
    match result {
        Ok(done) => {
            entry.outcome = AuditOutcome::Done;
            entry.count = done.count;
            entry.message.clone_from(&done.summary);
        }
        Err(error) => {
            entry.outcome = error.outcome();
            entry.message.clone_from(&error.message);
        }
    }
}

/// Records that an operation begins, so that there is a record if the process dies before it ends.
/// Returns the number of the record; `None` if the store fails: [`end`] records it then, because
/// what stops calls or frees space is needed all the more while a store fails.
async fn begin(state: &Arc<AppState>, entry: NewAuditEntry) -> Option<i64> {
    query(state, move |store| store.append_audit(entry))
        .await
        .ok()
}

/// Records how an operation has ended that [`begin`] may have recorded.
async fn end(state: &Arc<AppState>, begun: (Option<i64>, NewAuditEntry), result: &Result) {
    let (id, mut entry) = begun;
    describe(result, &mut entry);
    let Some(id) = id else {
        return record(state, entry).await;
    };
    let (operation, by, now) = (entry.operation.clone(), entry.by.clone(), state.clock.now());
    let recorded = query(state, move |store| {
        store.finish_audit(id, entry.outcome, entry.count, &entry.message, now)
    });
    if let Err(error) = recorded.await {
        let detail = format!("cannot record how {operation} of {by} has ended: {error}");
        let problems = &state.metrics.problems;
        problems.report(ProblemKind::StoreOperationFailed, "audit", 1, &detail);
    }
}

/// Records an operation that has ended. One that is done stays done if the store fails: the log has
/// it, and that it is missing in the table is a problem.
pub(super) async fn record(state: &Arc<AppState>, entry: NewAuditEntry) {
    let (operation, by) = (entry.operation.clone(), entry.by.clone());
    let recorded = query(state, move |store| store.append_audit(entry)).await;
    if let Err(error) = recorded {
        let detail = format!("cannot record that {by} has done {operation}: {error}");
        let problems = &state.metrics.problems;
        problems.report(ProblemKind::StoreOperationFailed, "audit", 1, &detail);
    }
}

/// Queries the store on a thread that may block.
pub(crate) async fn query<T: Send + 'static>(
    state: &Arc<AppState>,
    query: impl FnOnce(&dyn Store) -> std::result::Result<T, StoreError> + Send + 'static,
) -> std::result::Result<T, StoreError> {
    let store = state.store.clone();
    blocking(move || query(&*store)).await
}

impl OperationError {
    pub(crate) fn new(kind: OperationErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            members: Vec::new(),
            retry_after: None,
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(OperationErrorKind::Invalid, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(OperationErrorKind::NotFound, message)
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(OperationErrorKind::Conflict, message)
    }

    pub(crate) fn busy(message: impl Into<String>, retry_after: u32) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(OperationErrorKind::Busy, message)
        }
    }

    pub(crate) fn with_member(mut self, name: &'static str, value: Json) -> Self {
        self.members.push((name, value));
        self
    }

    /// How records say that the operation ended.
    pub fn outcome(&self) -> AuditOutcome {
        match self.kind {
            OperationErrorKind::NotDelivered
            | OperationErrorKind::StoreFailed
            | OperationErrorKind::Internal => AuditOutcome::Failed,
            OperationErrorKind::Invalid
            | OperationErrorKind::NotFound
            | OperationErrorKind::Conflict
            | OperationErrorKind::Rejected
            | OperationErrorKind::Busy => AuditOutcome::Refused,
        }
    }
}

impl From<StoreError> for OperationError {
    fn from(error: StoreError) -> Self {
        Self {
            // A full disk or a locked store is over when someone has acted.
            retry_after: Some(10),
            ..Self::new(OperationErrorKind::StoreFailed, error.to_string())
        }
    }
}

impl Performed {
    pub(crate) fn new(summary: impl Into<String>, count: u64, body: Json) -> Self {
        Self {
            summary: summary.into(),
            count,
            job: None,
            body,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error() {
        assert_eq!(catch_panic(async { 7 }).await.unwrap(), 7);
        let panicking = async { assert!(std::hint::black_box(false), "a bug") };
        let error = catch_panic(panicking).await.unwrap_err();
        assert_eq!(error.kind, OperationErrorKind::Internal);
        assert_eq!(error.outcome(), AuditOutcome::Failed);
        assert!(error.message.starts_with("internal error: "), "{error}");
        assert!(error.message.contains("a bug"), "{error}");
    }
}
