//! Records of what commands change in the store themselves.

use jiff::Timestamp;
use reflexarc_service::operate::{Operation, record_command};
use reflexarc_service::store::AuditOutcome;
use reflexarc_service::{Store, StoreError};

use super::pending::user;
use crate::output::Output;

/// Records an operation that was done or refused. That it cannot be recorded is reported; the
/// operation stays done.
pub(super) fn record(
    store: &dyn Store,
    operation: &Operation,
    is_done: bool,
    message: &str,
    output: &mut Output,
) {
    let outcome = if is_done {
        AuditOutcome::Done
    } else {
        AuditOutcome::Refused
    };
    let ended = (outcome, u64::from(is_done), message);
    let recorded = record_command(store, &user(), operation, ended, Timestamp::now());
    if let Err(error) = recorded {
        output.error(&format!("cannot record it for `reflexarc audit`: {error}"));
    }
}

/// Records an operation that changes many things and begins now. Returns the number of the entry,
/// for [`finish`].
///
/// # Errors
/// If nothing was stored: then nothing should be changed.
pub(super) fn begin(
    store: &dyn Store,
    operation: &Operation,
    now: Timestamp,
) -> Result<i64, StoreError> {
    record_command(store, &user(), operation, (AuditOutcome::Begun, 0, ""), now)
}

/// Records how an operation has ended that [`begin`] has recorded.
pub(super) fn finish(
    store: &dyn Store,
    id: i64,
    (outcome, count, message): (AuditOutcome, u64, &str),
    output: &mut Output,
) {
    let finished = store.finish_audit(id, outcome, count, message, Timestamp::now());
    if let Err(error) = finished {
        output.error(&format!("cannot record it for `reflexarc audit`: {error}"));
    }
}
