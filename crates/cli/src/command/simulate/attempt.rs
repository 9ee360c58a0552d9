//! One call of a target in the timeline: as text and as JSON.

use jiff::Timestamp;
use reflexarc_delivery::{Decision, Receipt, SendError};
use reflexarc_event::Json;

use super::elapsed;
use super::target_queues::{AttemptedDelivery, TargetCall};
use crate::output::evaluation::{integer, object};
use crate::output::text::truncate;
use crate::output::{Output, Paint};

/// One line: the target, the outcome, what it would receive or what happens next.
pub(super) fn as_text(call: &TargetCall, start: Timestamp, output: &Output) -> String {
    let arrow = output.paint(Paint::Blue, "→");
    // The first attempt is the normal case and not mentioned.
    let attempt = match call.deliveries.as_slice() {
        [one] if one.delivery.attempt == 1 => String::new(),
        [one] => format!(", attempt {}", one.delivery.attempt),
        several if call.merged > 0 => format!(", {} firings merged", several.len()),
        several => format!(", digest of {}", several.len()),
    };
    let (target, kind) = (&call.target, call.kind);
    match &call.outcome {
        Ok(_) => {
            let delivered = output.paint(Paint::Green, "delivered");
            let summary = call.preview.as_ref().map_or_else(String::new, |preview| {
                format!(": {}", truncate(&preview.summary))
            });
            format!("{arrow} {target} ({kind}){attempt} {delivered}{summary}")
        }
        Err(error) => {
            let outcome = output.paint(Paint::Red, error.outcome());
            let (reason, next) = (truncate(error.reason()), next(&call.deliveries, start));
            format!("{arrow} {target} ({kind}){attempt} {outcome}: {reason}; {next}")
        }
    }
}

/// The members `target`, `type`, `outcome`, `reason`, `deliveries` and `message`.
pub(super) fn as_json(call: &TargetCall) -> Json {
    let outcome = call
        .outcome
        .as_ref()
        .map_or_else(SendError::outcome, Receipt::outcome);
    let mut members = vec![
        ("target", Json::from(call.target.as_str())),
        ("type", Json::from(call.kind)),
        ("outcome", Json::from(outcome)),
    ];
    if let Err(error) = &call.outcome {
        members.push(("reason", Json::from(error.reason())));
    }
    let deliveries: Vec<Json> = call.deliveries.iter().map(delivery_json).collect();
    members.push(("deliveries", deliveries.into()));
    if let Some(preview) = &call.preview {
        members.push(("message", preview.body.clone()));
    }
    object(members)
}

fn delivery_json(AttemptedDelivery { delivery, next, .. }: &AttemptedDelivery) -> Json {
    let next = match next {
        Decision::Delivered | Decision::NextPart => None,
        Decision::RetryAt(at) => Some(("retryAt", Json::from(at.to_string()))),
        Decision::DeadLetter { reason, .. } => Some(("deadLetter", Json::from(reason.as_str()))),
    };
    let members = [
        ("id", Json::from(delivery.id.to_string())),
        ("rule", Json::from(delivery.rule.as_str())),
        ("event", Json::from(delivery.event.id.as_str())),
        (
            "attempt",
            integer(usize::try_from(delivery.attempt).unwrap_or(usize::MAX)),
        ),
    ];
    object(members.into_iter().chain(next))
}

/// What happens after a call that failed. The deliveries of a digest may have different ages, so
/// some of them can be retried while others become dead letters.
fn next(deliveries: &[AttemptedDelivery], start: Timestamp) -> String {
    let retries = deliveries.iter().filter_map(|one| match one.next {
        Decision::RetryAt(at) => Some(at),
        Decision::Delivered | Decision::NextPart | Decision::DeadLetter { .. } => None,
    });
    let is_dead = |one: &&AttemptedDelivery| matches!(one.next, Decision::DeadLetter { .. });
    let dead = deliveries.iter().filter(is_dead).count();
    match (retries.min(), dead) {
        (Some(at), 0) => format!("retry at {}", elapsed::inline(start, at)),
        (Some(at), dead) => {
            format!(
                "retry at {}, dead letters: {dead}",
                elapsed::inline(start, at)
            )
        }
        (None, _) => "dead letter".to_owned(),
    }
}
