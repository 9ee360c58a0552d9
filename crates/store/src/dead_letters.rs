//! Reports of deliveries that became dead letters, whatever the reason.
//!
//! A dead letter is an alert that did not arrive. The store is the one place that every one of them
//! passes, so it reports them, after the commit; the service logs and counts the reports.

use std::sync::{Arc, Mutex, PoisonError};

use reflexarc_delivery::{DeadLetterCause, DeliveryId, EventRef};

/// Deliveries to one target that became dead letters in one transaction, for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetterReport {
    /// The target.
    pub target: String,
    /// What kind of reason.
    pub cause: DeadLetterCause,
    /// The reason, for people.
    pub reason: String,
    /// How many deliveries.
    pub count: u64,
    /// The first of them, at most [`MAX_LISTED`].
    pub letters: Vec<DeadLetter>,
}

/// One delivery that became a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The delivery.
    pub id: DeliveryId,
    /// The rule that returned its action.
    pub rule: String,
    /// The event that caused it.
    pub event: EventRef,
}

/// The largest number of deliveries that a report lists.
// A removed target may have had a backlog of 100,000.
pub const MAX_LISTED: usize = 100;

/// Called with each report, on the writer's thread: it must not wait.
pub type DeadLetterObserver = Arc<dyn Fn(&DeadLetterReport) + Send + Sync>;

/// The observer of a store, if there is one.
#[derive(Clone, Default)]
pub(crate) struct Observed(Arc<Mutex<Option<DeadLetterObserver>>>);

impl DeadLetterReport {
    /// A report about one delivery.
    pub(crate) fn of_one(
        target: String,
        letter: DeadLetter,
        cause: DeadLetterCause,
        reason: String,
    ) -> Self {
        Self {
            target,
            cause,
            reason,
            count: 1,
            letters: vec![letter],
        }
    }
}

impl Observed {
    /// Replaces the observer.
    pub(crate) fn set(&self, observer: DeadLetterObserver) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(observer);
    }

    /// Hands over reports.
    pub(crate) fn report<'a>(&self, reports: impl IntoIterator<Item = &'a DeadLetterReport>) {
        for report in reports {
            // Cloned, so that the observer runs without the lock.
            let observer = self
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            if let Some(observer) = observer {
                observer(report);
            }
        }
    }
}
