//! One call of a target, as a line of the timeline and as data.

use jiff::Timestamp;
use reflexarc_delivery::{Decision, Receipt, SendError};
use reflexarc_event::Json;

use super::outbox::{Call, Parcel};
use super::timeline::since;
use crate::output::evaluation::{integer, object};
use crate::output::text::truncate;
use crate::output::{Output, Paint};

/// A line: where to, what came of it, what happens next, and what the target would get.
pub(super) fn told(call: &Call, start: Timestamp, output: &Output) -> String {
    let arrow = output.paint(Paint::Blue, "→");
    let attempt = match call.parcels.as_slice() {
        [parcel] if parcel.delivery.attempt == 1 => String::new(),
        [parcel] => format!(", attempt {}", parcel.delivery.attempt),
        parcels => format!(", {} in one message", parcels.len()),
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
            let word = output.paint(Paint::Red, error.outcome());
            let next = next(&call.parcels, start);
            format!(
                "{arrow} {target} ({kind}){attempt} {word}, {}; {next}",
                truncate(error.reason())
            )
        }
    }
}

/// `target`, `type`, `outcome`, `reason`, `deliveries`, `message`.
pub(super) fn as_json(call: &Call) -> Json {
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
    let deliveries = call.parcels.iter().map(|Parcel { delivery, next, .. }| {
        let next = match next {
            Decision::Delivered | Decision::NextPart => Vec::new(),
            Decision::RetryAt(at) => vec![("retryAt", Json::from(at.to_string()))],
            Decision::DeadLetter(reason) => vec![("deadLetter", Json::from(reason.as_str()))],
        };
        let attempt = usize::try_from(delivery.attempt).unwrap_or(usize::MAX);
        let facts = [
            ("id", Json::from(delivery.id.to_string())),
            ("rule", Json::from(delivery.rule.as_str())),
            ("event", Json::from(delivery.event.id.as_str())),
            ("attempt", integer(attempt)),
        ];
        object(facts.into_iter().chain(next))
    });
    members.push(("deliveries", deliveries.collect::<Vec<_>>().into()));
    if let Some(preview) = &call.preview {
        members.push(("message", preview.body.clone()));
    }
    object(members)
}

/// What happens after a call that failed.
fn next(parcels: &[Parcel], start: Timestamp) -> String {
    let again = parcels.iter().filter_map(|parcel| match parcel.next {
        Decision::RetryAt(at) => Some(at),
        Decision::Delivered | Decision::NextPart | Decision::DeadLetter(_) => None,
    });
    let dead = parcels
        .iter()
        .filter(|parcel| matches!(parcel.next, Decision::DeadLetter(_)))
        .count();
    match (again.min(), dead) {
        (Some(at), 0) => format!("again at {}", since(start, at).trim_start()),
        (Some(at), dead) => format!(
            "again at {}, {dead} to the dead letters",
            since(start, at).trim_start()
        ),
        (None, _) => "to the dead letters".to_owned(),
    }
}
