//! What the service tells operators of each dead letter: a warning in the log and a counter.

use std::sync::Arc;

use reflexarc_delivery::DeadLetterCause;

use crate::store::{DeadLetterObserver, DeadLetterReport};
use crate::telemetry::{Metrics, ProblemKind, Problems};

/// Logs and counts dead letters.
pub(crate) fn observer(metrics: Arc<Metrics>) -> DeadLetterObserver {
    Arc::new(move |report| {
        log(report, &metrics.problems);
        metrics.dead_letters(&report.target, report.cause, report.count);
    })
}

fn log(report: &DeadLetterReport, problems: &Problems) {
    let cause = report.cause.as_str();
    let is_exhausted = matches!(
        report.cause,
        DeadLetterCause::Exhausted | DeadLetterCause::Expired
    );
    if is_exhausted {
        // Without a line of its own: each is a dead letter, and logged as such.
        let kind = ProblemKind::RetriesExhausted;
        problems.occurred(kind, &report.target, report.count, &report.reason);
    }
    if report.cause == DeadLetterCause::UnknownTarget {
        let rule = report.letters.first().map(|letter| letter.rule.as_str());
        let rule = rule.unwrap_or_default();
        let detail = format!("rule {rule}: {}", report.reason);
        problems.occurred(
            ProblemKind::UnknownTarget,
            &report.target,
            report.count,
            &detail,
        );
    }
    let occurred = |count| {
        let detail = format!("{cause}: {}", report.reason);
        problems.occurred(ProblemKind::DeadLetters, &report.target, count, &detail)
    };
    for letter in &report.letters {
        if !occurred(1) {
            continue;
        }
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
    let unlisted = report.count.saturating_sub(report.letters.len() as u64);
    if unlisted > 0 && occurred(unlisted) {
        tracing::warn!(
            to = report.target,
            deliveries = unlisted,
            cause,
            reason = report.reason,
            "more dead letters; `reflexarc dlq list` shows all of them"
        );
    }
}
