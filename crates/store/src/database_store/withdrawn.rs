//! Reports that calls were withdrawn, whatever withdrew them.
//!
//! A call is withdrawn by events, answers, deadlines, operators, reloads, and by attempts that end.
//! All of that runs on the writer's thread in jobs that get a connection and nothing else, so what
//! they have to say after the commit is kept by the thread.

use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError};

use crate::WithdrawnCallObserver;

thread_local! {
    /// Whether the open transaction has withdrawn a call.
    static HAS_WITHDRAWN: Cell<bool> = const { Cell::new(false) };
}

/// The observer of a store, if there is one. Clones share it.
#[derive(Clone, Default)]
pub(super) struct WithdrawnCalls(Arc<Mutex<Option<WithdrawnCallObserver>>>);

/// Records on the writer's thread that the open transaction has withdrawn a call.
pub(super) fn record() {
    HAS_WITHDRAWN.set(true);
}

impl WithdrawnCalls {
    /// Replaces the observer.
    pub(super) fn set(&self, observer: WithdrawnCallObserver) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(observer);
    }

    /// The transaction of the writer's thread was committed. One that was undone may be reported
    /// by the next: an observer looks for itself.
    pub(super) fn committed(&self) {
        if !HAS_WITHDRAWN.take() {
            return;
        }
        let observer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Cloned, so that it runs without the lock.
        let cloned = observer.clone();
        drop(observer);
        if let Some(observer) = cloned {
            observer();
        }
    }
}
