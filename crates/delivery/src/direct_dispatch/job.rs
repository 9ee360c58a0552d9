//! A delivery in a queue, and the caller that waits for its outcome.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;
use reflexarc_reaction::{CallAnswer, OwnCode};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{DirectOutcome, Dispatched};
use crate::delivery::Delivery;
use crate::retry::DeadLetterCause;

/// A delivery until it has an outcome.
pub(super) struct Job {
    pub(super) delivery: Delivery,
    pub(super) progress: Arc<Mutex<Progress>>,
    /// Those who wait for it: more than one if it was handed over again meanwhile.
    pub(super) replies: Vec<oneshot::Sender<Dispatched>>,
}

/// What is known of a delivery before it has an outcome.
#[derive(Default)]
pub(super) struct Progress {
    pub(super) attempts: u32,
    pub(super) last_error: Option<String>,
    /// Of a change: whether it may have been executed.
    pub(super) may_be_executed: bool,
    /// Of a change: whether it was counted.
    pub(super) is_counted: bool,
}

/// Waits for the outcome of one delivery.
pub(super) struct Waiter {
    reply: oneshot::Receiver<Dispatched>,
    progress: Arc<Mutex<Progress>>,
    is_call: bool,
}

impl Job {
    /// A delivery that was not attempted, and who waits for it.
    pub(super) fn new(delivery: Delivery) -> (Self, Waiter) {
        let (sender, reply) = oneshot::channel();
        let progress = Arc::default();
        let waiter = Waiter {
            reply,
            progress: Arc::clone(&progress),
            is_call: delivery.action.is_call(),
        };
        let job = Self {
            delivery,
            progress,
            replies: vec![sender],
        };
        (job, waiter)
    }

    /// Whether every caller has stopped waiting for the outcome.
    pub(super) fn is_abandoned(&self) -> bool {
        self.replies.iter().all(oneshot::Sender::is_closed)
    }

    /// What is known of it.
    pub(super) fn progress(&self) -> MutexGuard<'_, Progress> {
        lock(&self.progress)
    }

    /// Ends it with this outcome.
    pub(super) fn end(self, outcome: &DirectOutcome) {
        let attempts = self.progress().attempts;
        for reply in self.replies {
            // Fails where the caller has given up.
            drop(reply.send(Dispatched {
                attempts,
                outcome: outcome.clone(),
            }));
        }
    }
}

impl Waiter {
    /// Waits until the deadline; after it, the outcome says that it has passed.
    pub(super) async fn outcome(
        mut self,
        deadline: Option<Instant>,
        timeout: Option<Duration>,
    ) -> Dispatched {
        let ended = match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, &mut self.reply).await,
            None => Ok((&mut self.reply).await),
        };
        match (ended, timeout) {
            (Ok(Ok(dispatched)), _) => dispatched,
            // The runtime was shut down.
            (Ok(Err(_)), _) => self.given_up("the program ended"),
            (Err(_), Some(timeout)) => {
                let timeout = SignedDuration::try_from(timeout).unwrap_or(SignedDuration::MAX);
                self.given_up(&format!("gave up after {timeout:#}"))
            }
            (Err(_), None) => self.given_up("gave up"),
        }
    }

    fn given_up(&self, why: &str) -> Dispatched {
        let progress = lock(&self.progress);
        let reason = match &progress.last_error {
            Some(error) => format!("{why}: {error}"),
            None => why.to_owned(),
        };
        let outcome = if !self.is_call {
            DirectOutcome::Undeliverable {
                cause: DeadLetterCause::Expired,
                reason,
            }
        } else if progress.may_be_executed {
            DirectOutcome::Answered(CallAnswer::own(OwnCode::OutcomeUnknown, reason))
        } else {
            DirectOutcome::Answered(CallAnswer::own(OwnCode::Expired, reason))
        };
        Dispatched {
            attempts: progress.attempts,
            outcome,
        }
    }
}

fn lock(progress: &Mutex<Progress>) -> MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}
