//! What the service tells operators of each dead letter: a warning in the log and a counter.

use std::sync::Arc;

use crate::store::{DeadLetterObserver, DeadLetterReport};
use crate::telemetry::Metrics;

/// Logs and counts dead letters.
pub(crate) fn observer(metrics: Arc<Metrics>) -> DeadLetterObserver {
    Arc::new(move |report| {
        log(report);
        metrics.dead_letters(&report.target, report.cause, report.count);
    })
}

fn log(report: &DeadLetterReport) {
    let cause = report.cause.as_str();
    for letter in &report.letters {
        tracing::warn!(
            to = report.target,
            rule = letter.rule,
            event = letter.event.id,
            source = letter.event.source,
            delivery = %letter.id,
            cause,
            reason = report.reason,
            "dead letter: this delivery is not attempted again"
        );
    }
    let unlisted = report.count - report.letters.len() as u64;
    if unlisted > 0 {
        tracing::warn!(
            to = report.target,
            deliveries = unlisted,
            cause,
            reason = report.reason,
            "more dead letters; `reflexarc dlq list` shows all of them"
        );
    }
}
