//! What a transaction of the timeline did, published once it is committed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use reflexarc::{AnsweredCall, Evaluation, FiringReason, RuleSet};
use reflexarc_delivery::DeliveryId;

use super::TimelineParts;
use crate::live::LiveEntry;
use crate::store::{Accepted, DueMatch};
use crate::telemetry::{CallLabel, FiringLabel, ProblemKind, RuleLabel};

/// What happened in a transaction.
#[derive(Default)]
pub(super) struct Report {
    /// When deadlines were looked at.
    pub(super) looked: Option<Timestamp>,
    fired: Vec<Fired>,
    targets: BTreeSet<String>,
    answered: Vec<(AnsweredReport, Accepted)>,
    /// Pending matches that were closed because their windows are gone, by rule.
    pub(super) closed: BTreeMap<String, u64>,
}

/// A call that was answered.
pub(super) struct AnsweredReport {
    pub(super) delivery: DeliveryId,
    pub(super) call: AnsweredCall,
    /// Whether the rule has seen the answer.
    pub(super) is_processed: bool,
    pub(super) evaluation: Evaluation,
    /// The time of its entry.
    pub(super) at: Timestamp,
}

struct Fired {
    due: DueMatch,
    late_by: SignedDuration,
    evaluation: Evaluation,
    accepted: Accepted,
}

impl Report {
    /// Adds a deadline that was fired at `now`.
    pub(super) fn add(
        &mut self,
        due: DueMatch,
        now: Timestamp,
        evaluation: Evaluation,
        accepted: Accepted,
    ) {
        self.targets.extend(accepted.targets.iter().cloned());
        self.fired.push(Fired {
            late_by: now.duration_since(due.at),
            due,
            evaluation,
            accepted,
        });
    }

    /// Adds an answer. `next_is_due`: another delivery to its target may be sent now.
    pub(super) fn add_answer(
        &mut self,
        answered: AnsweredReport,
        accepted: Accepted,
        next_is_due: bool,
    ) {
        self.targets.extend(accepted.targets.iter().cloned());
        if next_is_due {
            self.targets.insert(answered.call.target.clone());
        }
        self.answered.push((answered, accepted));
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
            let outcome = outcome(&fired.evaluation);
            let label = FiringLabel {
                rule: fired.due.rule.clone(),
                outcome,
            };
            metrics.firings.get_or_create(&label).inc();
            parts.failures.observe(rules, &fired.evaluation);
            if parts.broadcast.is_active() {
                let Fired { due, accepted, .. } = fired;
                let entry = LiveEntry::firing(due, accepted, outcome, &fired.evaluation);
                parts.broadcast.publish([entry]);
            }
        }
        for (answered, accepted) in self.answered {
            answered.publish(parts, rules);
            if parts.broadcast.is_active() {
                let AnsweredReport {
                    delivery,
                    call,
                    evaluation,
                    at,
                    ..
                } = answered;
                let entry = LiveEntry::answer(at, delivery, call, accepted, &evaluation);
                parts.broadcast.publish([entry]);
            }
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

impl AnsweredReport {
    fn publish(&self, parts: &TimelineParts, rules: &RuleSet) {
        let Self {
            delivery,
            call,
            is_processed,
            evaluation,
            at: _,
        } = self;
        let (metrics, answer) = (&parts.metrics, &call.answer);
        let code = match (answer.ok, answer.own_code()) {
            (true, _) => "ok",
            (false, Some(code)) => code.as_str(),
            // The codes of an API are without bound, and so would be the time series.
            (false, None) => "refused",
        };
        let label = CallLabel {
            target: call.target.clone(),
            code,
        };
        metrics.calls.get_or_create(&label).inc();
        metrics.failures.inc_by(evaluation.failures.len() as u64);
        parts.failures.observe(rules, evaluation);
        let (rule, to, operation) = (&call.rule, &call.target, &call.operation);
        if answer.ok || *is_processed {
            tracing::info!(
                rule,
                to,
                operation,
                %delivery,
                code,
                answer = answer.summary(),
                "a call was answered"
            );
            return;
        }
        let detail = format!("{operation} at {to}: {}", answer.summary());
        if metrics
            .problems
            .occurred(ProblemKind::CallFailed, rule, 1, &detail)
        {
            tracing::warn!(
                rule,
                to,
                operation,
                %delivery,
                code,
                answer = answer.summary(),
                "a call failed, and its rule does not process the answer"
            );
        }
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
