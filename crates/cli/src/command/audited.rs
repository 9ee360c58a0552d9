//! Records of what commands change in the store themselves.

use std::fmt::Display;

use jiff::Timestamp;
use reflexarc_service::operate::{Operation, record_command};
use reflexarc_service::store::AuditOutcome;
use reflexarc_service::{Store, StoreError};

use super::pending::user;
use crate::config_args::store_failure;
use crate::exit::Failure;
use crate::output::Output;

/// Does one thing between the beginning and the end of its record, so that there is a record if the
/// process dies in between. `describe` says whether it was done, and what the record says.
///
/// # Errors
/// If the operation fails; that is recorded. If nothing can be recorded, nothing is done.
pub(super) fn perform<T>(
    store: &dyn Store,
    operation: &Operation,
    output: &mut Output,
    action: impl FnOnce() -> Result<T, StoreError>,
    describe: impl FnOnce(&T) -> (bool, String),
) -> Result<T, Failure> {
    let id = begin(store, operation, Timestamp::now()).map_err(store_failure)?;
    let result = action();
    let (outcome, count, message) = match &result {
        Ok(done) => match describe(done) {
            (true, message) => (AuditOutcome::Done, 1, message),
            (false, message) => (AuditOutcome::Refused, 0, message),
        },
        Err(error) => (AuditOutcome::Failed, 0, error.to_string()),
    };
    finish(store, id, (outcome, count, &message), output);
    result.map_err(store_failure)
}

/// Records an operation that was refused before it began. That it cannot be recorded is reported.
pub(super) fn refused(
    store: &dyn Store,
    operation: &Operation,
    message: &str,
    output: &mut Output,
) {
    let ended = (AuditOutcome::Refused, 0, message);
    let recorded = record_command(store, &user(), operation, ended, Timestamp::now());
    if let Err(error) = recorded {
        not_recorded(&error, output);
    }
}

/// Reports that the record of an operation is missing or not complete.
pub(super) fn not_recorded(error: &dyn Display, output: &mut Output) {
    output.error(&format!("cannot record it for `reflexarc audit`: {error}"));
}

/// Records an operation that begins now. Returns the number of the entry,
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
        not_recorded(&error, output);
    }
}
