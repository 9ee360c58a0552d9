//! The rule that settles every delivery of a call: delivered, next part, retry or dead letter.
//!
//! The service's dispatch and rehearsals of scenarios both use it. They differ only in the clock
//! and in where they keep the result.

use jiff::Timestamp;

use crate::delivery::Delivery;
use crate::outcome::{Receipt, SendError};
use crate::retry::{Decision, RetryPolicy};

/// What becomes of one delivery after a call that carried it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settlement {
    /// What happens next.
    pub decision: Decision,
    /// The parts that this call delivered, to be added to [`Delivery::delivered_parts`]; empty when
    /// the call delivered all of it or nothing.
    pub delivered_parts: Vec<String>,
}

/// Settles `delivery` after a call that carried `batch_size` deliveries and had `outcome`.
pub fn settle(
    policy: &RetryPolicy,
    delivery: &Delivery,
    outcome: &Result<Receipt, SendError>,
    batch_size: usize,
    now: Timestamp,
) -> Settlement {
    let delivered_parts = match outcome {
        Ok(Receipt {
            part: Some(part), ..
        }) => vec![part.clone()],
        Err(SendError::Partial { delivered, .. }) => delivered.clone(),
        _ => Vec::new(),
    };
    let decision = match outcome {
        // That a digest was refused says nothing about any single delivery in it: one of 50 may
        // hold a word that the receiver blocks. Each is attempted again, and `CallSchedule` sends
        // it alone; the one that is then refused becomes a dead letter, the other 49 arrive.
        Err(SendError::Refused { .. }) if batch_size > 1 => {
            let error = Err(SendError::transient("refused as part of a digest"));
            policy.decide(delivery, &error, now)
        }
        outcome => policy.decide(delivery, outcome, now),
    };
    Settlement {
        decision,
        delivered_parts,
    }
}

impl Settlement {
    /// The delivery as it is attempted next, and when that attempt is due; `None` after the last.
    pub fn next_attempt(
        &self,
        delivery: &Delivery,
        now: Timestamp,
    ) -> Option<(Timestamp, Delivery)> {
        let (due, attempt) = match &self.decision {
            Decision::RetryAt(due) => (*due, delivery.attempt + 1),
            // Progress starts a new series of attempts: a message in 30 parts must not use up the
            // retries of a whole delivery.
            Decision::NextPart => (now, 1),
            Decision::Delivered | Decision::DeadLetter { .. } => return None,
        };
        let mut next = Delivery {
            attempt,
            ..delivery.clone()
        };
        // On a retry too: a failed attempt may have delivered some parts.
        next.delivered_parts
            .extend_from_slice(&self.delivered_parts);
        Some((due, next))
    }
}

#[cfg(test)]
mod tests {
    use reflexarc_event::{EventIdentity, Json};
    use reflexarc_reaction::Action;

    use super::*;
    use crate::retry::DeadLetterCause;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    /// Before its third attempt, with the first of three parts delivered.
    fn delivery() -> Delivery {
        let action = Action::send("t", Json::Null);
        let event = EventIdentity::default();
        Delivery {
            attempt: 3,
            delivered_parts: vec!["1/3".into()],
            ..Delivery::for_actions(&event, [("r", &action)], NOW).remove(0)
        }
    }

    fn settled(outcome: &Result<Receipt, SendError>, batch_size: usize) -> Settlement {
        settle(
            &RetryPolicy::default(),
            &delivery(),
            outcome,
            batch_size,
            NOW,
        )
    }

    fn refused() -> Result<Receipt, SendError> {
        Err(SendError::Refused {
            reason: "blocked word".into(),
        })
    }

    #[test]
    fn whole_deliveries_have_no_next_attempt() {
        let settlement = settled(&Ok(Receipt::complete("ok")), 1);
        assert_eq!(settlement.decision, Decision::Delivered);
        assert_eq!(settlement.next_attempt(&delivery(), NOW), None);
    }

    #[test]
    fn parts_restart_the_attempts_and_are_remembered() {
        let receipt = Receipt {
            response: "ok".into(),
            part: Some("2/3".into()),
        };
        let (due, next) = settled(&Ok(receipt), 1)
            .next_attempt(&delivery(), NOW)
            .unwrap();
        assert_eq!((due, next.attempt), (NOW, 1));
        assert_eq!(next.delivered_parts, ["1/3", "2/3"]);
    }

    #[test]
    fn failed_parts_are_retried_without_the_delivered_ones() {
        let error = SendError::Partial {
            delivered: vec!["a@example.com".into()],
            rest: Box::new(SendError::transient("mailbox full")),
        };
        let (due, next) = settled(&Err(error), 1)
            .next_attempt(&delivery(), NOW)
            .unwrap();
        assert!(due > NOW && next.attempt == 4);
        assert_eq!(next.delivered_parts, ["1/3", "a@example.com"]);
    }

    #[test]
    fn a_refused_digest_is_retried_and_a_refused_delivery_is_not() {
        assert!(matches!(
            settled(&refused(), 3).decision,
            Decision::RetryAt(_)
        ));
        assert_eq!(
            settled(&refused(), 1).decision,
            Decision::DeadLetter {
                cause: DeadLetterCause::Refused,
                reason: "blocked word".into()
            }
        );
    }
}
