//! Changing all deliveries that a filter selects, as one operation with one record.

use jiff::Timestamp;
use reflexarc_service::operate::{JobLimits, Operation};
use reflexarc_service::store::{AuditOutcome, DeliveryFilter, PageCursor};
use reflexarc_service::{Store, StoreError};

use super::{Change, for_each};
use crate::command::audited;
use crate::config_args::store_failure;
use crate::exit::{Exit, Failure};
use crate::output::Output;

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
    };
    // Where an index is damaged, what it does not have is found one by one. If it is the store that
    // fails, that fails too.
    let result = match work.in_steps(&operation) {
        Ok(()) => Ok(None),
        Err(_) => work.one_by_one(&operation, filter, output),
    };
    let (outcome, message) = match (&result, work.unchanged) {
        (Ok(_), 0) => (AuditOutcome::Done, String::new()),
        (Ok(_), unchanged) => (
            AuditOutcome::Done,
            format!("{unchanged} were left as they are"),
        ),
        (Err(failure), _) => (AuditOutcome::Failed, failure.to_string()),
    };
    let ended = (outcome, work.changed, message.as_str());
    audited::finish(store, work.entry, ended, output);
    let damaged = result?;
    let exit = change.summarise(work.changed, work.unchanged, output)?;
    Ok(damaged.unwrap_or(exit))
}

/// An operation that goes on.
struct Work<'a> {
    store: &'a dyn Store,
    change: &'a Change,
    /// Its record.
    entry: i64,
    changed: u64,
    unchanged: u64,
}

impl Work<'_> {
    /// Changes many in each transaction.
    fn in_steps(&mut self, operation: &Operation) -> Result<(), StoreError> {
        let Some((bulk, filter)) = operation.bulk() else {
            return Ok(());
        };
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
        operation: &Operation,
        filter: &DeliveryFilter,
        output: &mut Output,
    ) -> Result<Option<Exit>, Failure> {
        let until = operation
            .bulk()
            .and_then(|(_, bounded)| bounded.finished_until);
        // They are looked at again.
        self.unchanged = 0;
        let (store, change) = (self.store, self.change);
        for_each(store, (filter, usize::MAX), output, |entry, output| {
            // Those that are pending have only been created.
            let time = entry.finished.unwrap_or(entry.delivery.created);
            if until.is_some_and(|until| time > until) {
                return Ok(());
            }
            let id = entry.delivery.id;
            // The service may settle a delivery between the listing and this change; it is reported
            // like any other in another status.
            if (change.store)(store, id, Timestamp::now()).map_err(store_failure)? {
                self.changed += 1;
            } else {
                self.unchanged += 1;
                change.report_status(id, output);
            }
            Ok(())
        })
    }
}
