//! Changing all deliveries that a filter selects, as one operation with one record.

use jiff::Timestamp;
use reflexarc_delivery::DeliveryId;
use reflexarc_service::operate::JobLimits;
use reflexarc_service::store::{AuditOutcome, BulkChange, DeliveryFilter, PageCursor};
use reflexarc_service::{Store, StoreError};

use super::{Change, for_each};
use crate::command::audited;
use crate::config_args::store_failure;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Deliveries that may fail to be changed one by one. Then it is the store that fails.
const MAX_FAILED: u64 = 100;

/// Changes what a filter selects now; what comes to match later stays as it is.
pub(super) fn change_all(
    store: &dyn Store,
    filter: &DeliveryFilter,
    change: &Change,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let begun = Timestamp::now();
    let operation = (change.many)(filter.clone()).bounded(begun);
    let mut work = Work {
        store,
        change,
        entry: audited::begin(store, &operation, begun).map_err(store_failure)?,
        changed: 0,
        unchanged: 0,
        failed: 0,
    };
    let result = match operation.bulk() {
        Some((bulk, filter)) => work.run(bulk, filter, output),
        None => Err(Failure::Runtime(format!(
            "{} changes one thing only",
            operation.name()
        ))),
    };
    let (outcome, message) = match (&result, work.failed, work.unchanged) {
        (Err(failure), ..) => (AuditOutcome::Failed, failure.to_string()),
        (Ok(Some(_)), 0, _) => (
            AuditOutcome::Failed,
            "damaged deliveries were left out".to_owned(),
        ),
        (Ok(_), 0, 0) => (AuditOutcome::Done, String::new()),
        (Ok(_), 0, unchanged) => (AuditOutcome::Done, format!("{unchanged} left unchanged")),
        (Ok(_), failed, _) => (
            AuditOutcome::Failed,
            format!("{failed} could not be changed"),
        ),
    };
    let ended = (outcome, work.changed, message.as_str());
    audited::finish(store, work.entry, ended, output);
    let incomplete = result?;
    let exit = change.summarise(work.changed, work.unchanged, output)?;
    Ok(incomplete.unwrap_or(exit))
}

/// An operation that goes on.
struct Work<'a> {
    store: &'a dyn Store,
    change: &'a Change,
    /// Its record.
    entry: i64,
    changed: u64,
    unchanged: u64,
    failed: u64,
}

impl Work<'_> {
    /// Changes all; where that fails for some, all others. Returns the exit code if it did.
    fn run(
        &mut self,
        bulk: BulkChange,
        filter: &DeliveryFilter,
        output: &mut Output,
    ) -> Result<Option<Exit>, Failure> {
        match self.in_steps(bulk, filter) {
            Ok(()) => {
                if self.unchanged > 0 {
                    let (count, reason) = (self.unchanged, self.change.unchanged);
                    output.error(&format!("{count} left unchanged: each {reason}"));
                }
                Ok(None)
            }
            // One delivery that is damaged keeps all others of its transaction from being changed,
            // and a damaged index does not have all of them.
            Err(error) if is_local(&error) => {
                output.error(&format!("{error}; trying one delivery after another"));
                // They are looked at again.
                self.unchanged = 0;
                self.one_by_one(filter, output)
            }
            Err(error) => Err(store_failure(error)),
        }
    }

    /// Changes many in each transaction.
    fn in_steps(&mut self, bulk: BulkChange, filter: &DeliveryFilter) -> Result<(), StoreError> {
        let (store, limit) = (self.store, JobLimits::LIMITS.step);
        let mut after: Option<PageCursor> = None;
        loop {
            let now = Timestamp::now();
            let step = store.change_matching(bulk, filter, after, limit, now)?;
            self.changed += step.changed;
            self.unchanged += step.unchanged;
            after = step.next;
            if after.is_none() {
                return Ok(());
            }
            // If it fails, the next step fails too, or the next record has this one's number too.
            let begun = AuditOutcome::Begun;
            drop(store.finish_audit(self.entry, begun, self.changed, "", now));
        }
    }

    /// Changes each alone, and reports what is damaged.
    fn one_by_one(
        &mut self,
        filter: &DeliveryFilter,
        output: &mut Output,
    ) -> Result<Option<Exit>, Failure> {
        let damaged = for_each(self.store, (filter, usize::MAX), output, |entry, output| {
            self.one(entry.delivery.id, output)
        })?;
        Ok(damaged.or((self.failed > 0).then_some(Exit::Unreadable)))
    }

    /// Changes one delivery, and reports it if that fails or it is left as it is.
    fn one(&mut self, id: DeliveryId, output: &mut Output) -> Result<(), Failure> {
        match self.change.apply(self.store, id) {
            Ok(None) => self.changed += 1,
            // The service may settle a delivery between the listing and this change.
            Ok(Some(reason)) => {
                self.unchanged += 1;
                output.error(&reason);
            }
            Err(error) if is_local(&error) && self.failed < MAX_FAILED => {
                self.failed += 1;
                output.error(&format!("cannot change delivery {id}: {error}"));
            }
            Err(error) => return Err(store_failure(error)),
        }
        Ok(())
    }
}

/// Whether a store may fail in this way for one delivery and not for the next.
fn is_local(error: &StoreError) -> bool {
    matches!(error, StoreError::Corrupt { .. } | StoreError::Failed(_))
}
