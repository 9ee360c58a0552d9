//! When the next deadline is, as far as is known without asking the store.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::Notify;

/// The earliest deadline of all matches.
///
/// It may be too early, and then the store is asked for nothing; it is never too late. Only the
/// writer of the store changes matches, and only in transactions, so:
///
/// ```text
/// in the transaction   an event sets a deadline         → lower: at once, before the commit
///                      deadlines fired; the next is t   → begin(t): not before the commit
/// after the commit                                      → commit: t, or what was lowered since
/// not committed                                         → nothing: the earlier deadline stays
/// ```
#[derive(Default)]
pub(crate) struct Deadlines {
    known: Mutex<Known>,
    changed: Notify,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    /// None where no match has a deadline.
    earliest: Option<Timestamp>,
    /// As it is once the open transaction is committed.
    next: Option<Timestamp>,
}

impl Default for Known {
    /// Nothing is known: the store has to be asked.
    fn default() -> Self {
        Self {
            earliest: Some(Timestamp::MIN),
            next: Some(Timestamp::MIN),
        }
    }
}

impl Deadlines {
    /// The earliest deadline; `None` if there is none.
    pub(crate) fn earliest(&self) -> Option<Timestamp> {
        self.lock().earliest
    }

    /// Whether something is due by `now`, or may be.
    pub(crate) fn are_due(&self, now: Timestamp) -> bool {
        self.earliest().is_some_and(|earliest| earliest <= now)
    }

    /// A match is due at `at`, if its transaction is committed.
    pub(crate) fn lower(&self, at: Timestamp) {
        let is_earlier = {
            let mut known = self.lock();
            known.next = Some(known.next.map_or(at, |next| next.min(at)));
            let is_earlier = known.earliest.is_none_or(|earliest| at < earliest);
            if is_earlier {
                known.earliest = Some(at);
            }
            is_earlier
        };
        if is_earlier {
            self.changed.notify_one();
        }
    }

    /// In the open transaction the earliest deadline is `next`.
    pub(crate) fn begin(&self, next: Option<Timestamp>) {
        self.lock().next = next;
    }

    /// The transaction of the last [`Deadlines::begin`] is committed.
    pub(crate) fn commit(&self) {
        let mut known = self.lock();
        known.earliest = known.next;
    }

    /// Ends when [`Deadlines::earliest`] has become earlier.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_deadline_that_was_not_committed_as_fired_stays() {
        let deadlines = Deadlines::default();
        assert!(deadlines.are_due(Timestamp::MIN), "nothing is known");
        deadlines.begin(Some(second(10)));
        deadlines.commit();
        assert!(!deadlines.are_due(second(9)));
        // It is fired, and the transaction fails.
        deadlines.begin(None);
        assert_eq!(deadlines.earliest(), Some(second(10)));
        // It is fired again, and an event in the same transaction sets another one.
        deadlines.begin(None);
        deadlines.lower(second(30));
        assert_eq!(deadlines.earliest(), Some(second(10)));
        deadlines.commit();
        assert_eq!(deadlines.earliest(), Some(second(30)));
        deadlines.begin(None);
        deadlines.commit();
        assert_eq!(deadlines.earliest(), None);
        assert!(!deadlines.are_due(Timestamp::MAX));
        deadlines.lower(second(7));
        assert_eq!(deadlines.earliest(), Some(second(7)));
    }
}
