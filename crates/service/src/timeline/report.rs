//! What a transaction of the timeline did, published once it is committed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use reflexarc::{Evaluation, FiringReason, RuleSet};

use super::TimelineParts;
use crate::store::{Accepted, DueMatch};
use crate::telemetry::{FiringLabel, RuleLabel};

/// What happened in a transaction.
#[derive(Default)]
pub(super) struct Report {
    /// When deadlines were looked at.
    pub(super) looked: Option<Timestamp>,
    fired: Vec<Fired>,
    targets: BTreeSet<String>,
    /// Pending matches that were closed because their windows are gone, by rule.
    pub(super) closed: BTreeMap<String, u64>,
}

struct Fired {
    rule: String,
    late_by: SignedDuration,
    evaluation: Evaluation,
}

impl Report {
    /// Adds a deadline that was fired at `now`.
    pub(super) fn add(
        &mut self,
        due: &DueMatch,
        now: Timestamp,
        evaluation: Evaluation,
        accepted: Accepted,
    ) {
        self.targets.extend(accepted.targets);
        self.fired.push(Fired {
            rule: due.rule.clone(),
            late_by: now.duration_since(due.at),
            evaluation,
        });
    }

    /// Counts what happened under `rules`, and wakes the queues that have something to send.
    /// Returns the targets that have no queue.
    pub(super) fn publish(self, parts: &TimelineParts, rules: &RuleSet) -> Vec<String> {
        let metrics = &parts.metrics;
        for fired in self.fired {
            let seconds = fired.late_by.as_secs_f64().max(0.0);
            metrics.late_by.observe(seconds);
            metrics
                .failures
                .inc_by(fired.evaluation.failures.len() as u64);
            let label = FiringLabel {
                rule: fired.rule,
                outcome: outcome(&fired.evaluation),
            };
            metrics.firings.get_or_create(&label).inc();
            parts.failures.observe(rules, &fired.evaluation);
        }
        for (rule, count) in self.closed {
            let label = RuleLabel { rule };
            metrics.closed_by_reload.get_or_create(&label).inc_by(count);
        }
        let targets = self.targets.into_iter();
        targets
            .filter(|target| !parts.wake.notify(target))
            .collect()
    }
}

/// What a deadline led to, as the label of a metric.
fn outcome(evaluation: &Evaluation) -> &'static str {
    let firing = evaluation.rules.first();
    let Some(effects) = firing.filter(|effects| effects.firing.is_some()) else {
        return if evaluation.failures.is_empty() {
            "closed"
        } else {
            "failed"
        };
    };
    let is_resolved = effects
        .firing
        .as_ref()
        .is_some_and(|firing| firing.reason == FiringReason::Resolved);
    match (&effects.skipped, is_resolved) {
        (Some(_), _) => "skipped",
        (None, true) => "resolved",
        (None, false) => "fired",
    }
}
