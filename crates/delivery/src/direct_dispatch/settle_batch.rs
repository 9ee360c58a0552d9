//! What follows for each delivery of a call from its outcome.

use tokio::time::Instant;

use super::DirectOutcome;
use super::ordered_jobs::{Number, OrderedJobs};
use super::queue_clock::QueueClock;
use crate::batch::Batch;
use crate::outcome::{Receipt, SendError};
use crate::retry::{Decision, RetryPolicy};

/// Settles the deliveries of a call, whose jobs have these `numbers`.
pub(super) fn settle_batch(
    jobs: &mut OrderedJobs,
    clock: &QueueClock,
    policy: &RetryPolicy,
    batch: &Batch,
    numbers: impl Iterator<Item = Option<Number>>,
    outcome: &Result<Receipt, SendError>,
) {
    let now = clock.now();
    let settled = batch.settle(policy, outcome, now);
    let next_digest = batch.next_digest(outcome);
    for ((number, delivery), settlement) in numbers.zip(&batch.deliveries).zip(settled) {
        let Some(number) = number else { continue };
        if let Some(job) = jobs.get(number) {
            let mut progress = job.progress();
            progress.attempts += 1;
            if let Err(error) = outcome {
                progress.last_error = Some(error.reason().to_owned());
            }
        }
        if let Some((due, mut next)) = settlement.next_attempt(delivery, now) {
            next.digest = next_digest;
            // A part that was delivered is not a failure: nothing overtakes it.
            let failed = outcome.is_err().then(Instant::now);
            jobs.retry(number, next, clock.instant(due), failed);
            continue;
        }
        let ended = match settlement.decision {
            Decision::DeadLetter { cause, reason } => {
                DirectOutcome::Undeliverable { cause, reason }
            }
            _ => DirectOutcome::Delivered {
                response: outcome
                    .as_ref()
                    .map_or_else(ToString::to_string, |receipt| receipt.response.clone()),
            },
        };
        if let Some(job) = jobs.end(number) {
            job.end(&ended);
        }
    }
}
