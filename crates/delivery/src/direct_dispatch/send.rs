//! One call of a target.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use jiff::SignedDuration;

use super::Redact;
use crate::config::TargetConfig;
use crate::delivery::Delivery;
use crate::outcome::{Receipt, SendError};
use crate::rendering::shorten;

/// Largest part of a receiver's response that is kept, in bytes.
const RESPONSE_BYTES: usize = 4_096;

/// Sends a batch in one call, within the timeout of the target.
pub(super) async fn send(
    target: &TargetConfig,
    redact: &Redact,
    batch: &[Delivery],
) -> Result<Receipt, SendError> {
    // In a block of its own, so that a panic while the future is made is caught too.
    let sending = catch_panic(async { target.target.send(batch).await });
    let outcome = match tokio::time::timeout(target.timeout, sending).await {
        Ok(Some(outcome)) => outcome,
        Ok(None) => Err(SendError::transient(INTERNAL_ERROR)),
        Err(_) => Err(SendError::transient(no_response(target))),
    };
    match outcome {
        Ok(receipt) => Ok(Receipt {
            response: recorded(redact, &receipt.response),
            part: receipt.part,
        }),
        Err(error) => {
            let reason = recorded(redact, error.reason());
            Err(error.with_reason(reason))
        }
    }
}

/// The reason of an attempt in which a target panicked.
pub(super) const INTERNAL_ERROR: &str = "internal error while sending";

/// The reason of an attempt that took too long.
pub(super) fn no_response(target: &TargetConfig) -> String {
    let timeout = SignedDuration::try_from(target.timeout).unwrap_or(SignedDuration::MAX);
    format!("no response within {timeout:#}")
}

/// A response without secrets, shortened.
pub(super) fn recorded(redact: &Redact, response: &str) -> String {
    // Redacted before it is shortened: a secret cut in half would not be recognised.
    shorten(&redact(response), RESPONSE_BYTES)
}

/// `None` if the future panics: a panic in a target is a failed attempt like any other, and must not
/// end the queue of the target.
pub(super) async fn catch_panic<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    // Unwind safe: after a panic the future is not polled again.
    std::future::poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(value)) => Poll::Ready(Some(value)),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}
