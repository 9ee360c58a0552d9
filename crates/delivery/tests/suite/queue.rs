//! Delivers through a target as a caller does: sends, settles, retries.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reflexarc_delivery::{
    Decision, Delivery, Receipt, RetryDelays, RetryPolicy, SendError, Target, settle,
};
use reflexarc_reaction::Action;

use crate::samples::deliveries;

/// One attempt: its outcome and the receiver's response.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) outcome: &'static str,
    pub(crate) response: String,
}

/// A delivery that is settled for good.
#[derive(Debug)]
pub(crate) struct Settled {
    /// As it was at the last attempt, with the parts that this attempt delivered.
    pub(crate) delivery: Delivery,
    pub(crate) attempts: Vec<Attempt>,
    /// Why it is a dead letter; `None` when it was delivered.
    pub(crate) dead_letter: Option<String>,
}

/// A policy with that many retries, soon after each other.
pub(crate) fn quick(retries: usize) -> RetryPolicy {
    RetryPolicy {
        delays: RetryDelays::List(vec![SignedDuration::from_millis(20); retries]),
        max_age: SignedDuration::from_hours(1),
    }
}

/// Delivers one action of an event with id `1`.
pub(crate) async fn deliver(target: &dyn Target, policy: &RetryPolicy, action: Action) -> Settled {
    let delivery = deliveries("1", &[action]).remove(0);
    deliver_within(target, policy, delivery, Duration::from_secs(20)).await
}

/// Delivers with a timeout for each send, until the delivery is settled for good.
pub(crate) async fn deliver_within(
    target: &dyn Target,
    policy: &RetryPolicy,
    delivery: Delivery,
    timeout: Duration,
) -> Settled {
    let mut delivery = Delivery {
        queued_at: Timestamp::now(),
        ..delivery
    };
    let mut attempts = Vec::new();
    loop {
        let batch = std::slice::from_ref(&delivery);
        let outcome = match tokio::time::timeout(timeout, target.send(batch)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(SendError::transient(format!(
                "no response within {timeout:?}"
            ))),
        };
        attempts.push(Attempt {
            outcome: outcome
                .as_ref()
                .map_or_else(SendError::outcome, Receipt::outcome),
            response: match &outcome {
                Ok(receipt) => receipt.response.clone(),
                Err(error) => error.reason().to_owned(),
            },
        });
        let now = Timestamp::now();
        let settlement = settle(policy, &delivery, &outcome, 1, now);
        let Some((due, next)) = settlement.next_attempt(&delivery, now) else {
            delivery.delivered_parts.extend(settlement.delivered_parts);
            return Settled {
                delivery,
                attempts,
                dead_letter: match settlement.decision {
                    Decision::DeadLetter { reason, .. } => Some(reason),
                    _ => None,
                },
            };
        };
        tokio::time::sleep(due.duration_since(now).unsigned_abs()).await;
        delivery = next;
    }
}
